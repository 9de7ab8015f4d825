// Faces whose photo this tab has in hand, since it indexed it: the service keeps no images, so that of others there is nothing to show.

import type { BoundingBox, Face } from "@aws-sdk/client-rekognition";
import { onOtherKeys } from "./api";

const photos = new Map<string, { file: File; box: BoundingBox }>();
onOtherKeys.push(() => photos.clear());

export function remember(faces: (Face | undefined)[], file: File) {
  for (const face of faces) if (face?.FaceId && face.BoundingBox) photos.set(face.FaceId, { file, box: face.BoundingBox });
}

export function photoOf(faceId: string | undefined) {
  return faceId === undefined ? undefined : photos.get(faceId);
}
