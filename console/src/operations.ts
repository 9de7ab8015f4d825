// What the console calls: each operation with its request and its reply, in the SDK's own types.

import type * as sdk from "@aws-sdk/client-rekognition";
import type * as own from "./extensions";

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
  DescribeUser: [own.DescribeUserRequest, own.DescribeUserResponse];
  GroupFaces: [own.GroupFacesRequest, own.GroupFacesResponse];
  SearchAllFacesByImage: [own.SearchAllFacesByImageRequest, own.SearchAllFacesByImageResponse];
}

export type Operation = keyof Operations;

/** Those that the cloud does not have. A server may be started without them. */
export const OWN_OPERATIONS: ReadonlySet<Operation> = new Set(["DescribeUser", "GroupFaces", "SearchAllFacesByImage"]);

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

/** The name of the error of a call that the server did not answer. */
export const UNREACHABLE = "No answer";

/** An error as it crosses from the worker: the service's own words, or the browser's where there was no answer. */
export interface Told {
  name: string;
  message: string;
  status?: number;
  requestId?: string;
}

/** A call to make, or a photo whose id is to be told. */
export type ToWorker = Asked | { id: number; photo: File };

export interface Asked {
  id: number;
  operation: Operation;
  request: unknown;
  keys: Keys;
  bulk: boolean;
}

/** What is said of a call: its answer, or, before there is one, that the service was too busy for it and is asked again. */
export type FromWorker = { id: number; reply: unknown } | { id: number; error: Told } | { id: number; putOff: true };
