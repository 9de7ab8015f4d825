// Commands of operations that the SDK does not know. Requests and replies are described to it as it describes its own: a list is
// [1, namespace, name, traits, item], a structure [3, namespace, name, traits, names, types], an operation [9, namespace, name, traits,
// request, reply]; as a type, 0 is a text and 1 a number.

import * as sdk from "@aws-sdk/client-rekognition";

const SPACE = "com.amazonaws.rekognition";
const TEXT = 0;
const NUMBER = 1;

type Shape = typeof sdk.Face$;
type List = [1, string, string, 0, () => Shape];
type Type = typeof TEXT | typeof NUMBER | (() => Shape | List);

function listOf(item: Shape): () => List {
  return () => [1, SPACE, `${item[2]}List`, 0, () => item];
}

function structure(name: string, members: Record<string, Type>): Shape {
  return [3, SPACE, name, 0, Object.keys(members), Object.values(members)];
}

/** A command that the SDK knows, sent under another name: endpoint, signature, retries and errors are the same for all. */
function command(name: string, request: Record<string, Type>, reply: Record<string, Type>) {
  const operationSchema = [9, SPACE, name, 0, () => structure(`${name}Request`, request), () => structure(`${name}Response`, reply)];
  return class extends sdk.SearchUsersByImageCommand {
    constructor(input: never) {
      super(input);
      this.middlewareStack.add(
        (next, context) => (args) => {
          Object.assign(context["__smithy_context"] ?? {}, { operation: name, operationSchema });
          return next(args);
        },
        { step: "initialize", priority: "high" },
      );
    }
  };
}

const matches = listOf(sdk.FaceMatch$);

export const SearchAllFacesByImageCommand = command(
  "SearchAllFacesByImage",
  {
    CollectionId: TEXT,
    Image: () => sdk.Image$,
    MaxFaces: NUMBER,
    FaceMatchThreshold: NUMBER,
    MaxUsers: NUMBER,
    UserMatchThreshold: NUMBER,
    QualityFilter: TEXT,
  },
  {
    Faces: listOf(
      structure("SearchedFaceOfAll", { FaceDetail: () => sdk.FaceDetail$, FaceMatches: matches, UserMatches: listOf(sdk.UserMatch$) }),
    ),
    UnsearchedFaces: listOf(sdk.UnsearchedFace$),
    FaceModelVersion: TEXT,
    OrientationCorrection: TEXT,
  },
);

export const GroupFacesCommand = command(
  "GroupFaces",
  { CollectionId: TEXT, FaceMatchThreshold: NUMBER, MinFaces: NUMBER, Faces: TEXT },
  {
    Groups: listOf(structure("FaceGroup", { Confidence: NUMBER, Faces: matches })),
    UngroupedFaces: listOf(sdk.Face$),
    FaceModelVersion: TEXT,
  },
);

export const DescribeUserCommand = command(
  "DescribeUser",
  { CollectionId: TEXT, UserId: TEXT },
  { User: () => sdk.User$, Faces: matches, FaceModelVersion: TEXT },
);
