// Operations that this server has and the cloud does not: their requests and replies, out of the SDK's own types.

import type * as sdk from "@aws-sdk/client-rekognition";

export interface SearchAllFacesByImageRequest {
  CollectionId: string | undefined;
  Image: sdk.Image | undefined;
  MaxFaces?: number | undefined;
  FaceMatchThreshold?: number | undefined;
  MaxUsers?: number | undefined;
  UserMatchThreshold?: number | undefined;
  QualityFilter?: sdk.QualityFilter | undefined;
}

/** A face of a photo, and whom it resembles. */
export interface SearchedFace {
  FaceDetail?: sdk.FaceDetail;
  FaceMatches?: sdk.FaceMatch[];
  UserMatches?: sdk.UserMatch[];
}

export interface SearchAllFacesByImageResponse {
  Faces?: SearchedFace[];
  UnsearchedFaces?: sdk.UnsearchedFace[];
  FaceModelVersion?: string;
  OrientationCorrection?: sdk.OrientationCorrection;
}

export interface GroupFacesRequest {
  CollectionId: string | undefined;
  FaceMatchThreshold?: number | undefined;
  MinFaces?: number | undefined;
  Faces?: "UNASSIGNED" | "ALL" | undefined;
}

/** Faces that are likely one person's, the most typical first. */
export interface FaceGroup {
  Confidence?: number;
  Faces?: sdk.FaceMatch[];
}

export interface GroupFacesResponse {
  Groups?: FaceGroup[];
  UngroupedFaces?: sdk.Face[];
  FaceModelVersion?: string;
}

export interface DescribeUserRequest {
  CollectionId: string | undefined;
  UserId: string | undefined;
}

export interface DescribeUserResponse {
  User?: { UserId?: string; UserStatus?: string };
  /** The least typical first. */
  Faces?: sdk.FaceMatch[];
  FaceModelVersion?: string;
}
