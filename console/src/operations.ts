// What the console calls: each operation with its request and its reply, in the SDK's own types.

import type * as sdk from "@aws-sdk/client-rekognition";

export interface Operations {
  AssociateFaces: [sdk.AssociateFacesRequest, sdk.AssociateFacesResponse];
  CompareFaces: [sdk.CompareFacesRequest, sdk.CompareFacesResponse];
  CreateCollection: [sdk.CreateCollectionRequest, sdk.CreateCollectionResponse];
  CreateUser: [sdk.CreateUserRequest, sdk.CreateUserResponse];
  DeleteCollection: [sdk.DeleteCollectionRequest, sdk.DeleteCollectionResponse];
  DeleteFaces: [sdk.DeleteFacesRequest, sdk.DeleteFacesResponse];
  DeleteUser: [sdk.DeleteUserRequest, sdk.DeleteUserResponse];
  DescribeCollection: [sdk.DescribeCollectionRequest, sdk.DescribeCollectionResponse];
  DetectFaces: [sdk.DetectFacesRequest, sdk.DetectFacesResponse];
  DisassociateFaces: [sdk.DisassociateFacesRequest, sdk.DisassociateFacesResponse];
  IndexFaces: [sdk.IndexFacesRequest, sdk.IndexFacesResponse];
  ListCollections: [sdk.ListCollectionsRequest, sdk.ListCollectionsResponse];
  ListFaces: [sdk.ListFacesRequest, sdk.ListFacesResponse];
  ListTagsForResource: [sdk.ListTagsForResourceRequest, sdk.ListTagsForResourceResponse];
  ListUsers: [sdk.ListUsersRequest, sdk.ListUsersResponse];
  SearchFaces: [sdk.SearchFacesRequest, sdk.SearchFacesResponse];
  SearchFacesByImage: [sdk.SearchFacesByImageRequest, sdk.SearchFacesByImageResponse];
  SearchUsers: [sdk.SearchUsersRequest, sdk.SearchUsersResponse];
  SearchUsersByImage: [sdk.SearchUsersByImageRequest, sdk.SearchUsersByImageResponse];
  TagResource: [sdk.TagResourceRequest, sdk.TagResourceResponse];
  UntagResource: [sdk.UntagResourceRequest, sdk.UntagResourceResponse];
}

export type Operation = keyof Operations;

/** A request as screens write it: where the service takes bytes, they give the file. */
type Given<T> = T extends Uint8Array
  ? File
  : T extends readonly (infer Item)[]
    ? Given<Item>[]
    : T extends object
      ? { [Key in keyof T]: Given<T[Key]> }
      : T;

export type Request<Name extends Operation> = Given<Operations[Name][0]>;
export type Reply<Name extends Operation> = Operations[Name][1];

/** One call, as it is made and as it is written down for other clients. */
export type Call = { [Name in Operation]: { operation: Name; request: Request<Name> } }[Operation];

export interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  region: string;
}

/** An error as it crosses from the worker: the service's own words, or the browser's where there was no answer. */
export interface Told {
  name: string;
  message: string;
  status?: number;
  requestId?: string;
}

export interface ToWorker {
  id: number;
  operation: Operation;
  request: unknown;
  keys: Keys;
  bulk: boolean;
}

export type FromWorker = { id: number; reply: unknown } | { id: number; error: Told };
