// Faces whose photo this tab has in hand: it indexed it, or somebody loaded it again. The service keeps no images, so that of others there
// is nothing to show.

import type { BoundingBox, Face } from "@aws-sdk/client-rekognition";
import { imageIdOf, onOtherKeys } from "./api";
import type { Chosen } from "./files";

/** What the service takes out of a bucket; no indexed photo is larger. */
const LARGEST = 15 * 1024 * 1024;

const photos = new Map<string, { file: File; box: BoundingBox }>();
/** Photos that were loaded again, by their ids. */
const loaded = new Map<string, File>();
const listeners = new Set<() => void>();
onOtherKeys.push(() => {
  photos.clear();
  loaded.clear();
});

export function remember(faces: (Face | undefined)[], file: File) {
  for (const face of faces) if (face?.FaceId && face.BoundingBox) photos.set(face.FaceId, { file, box: face.BoundingBox });
}

export function photoOf(face: Face | undefined) {
  if (!face) return undefined;
  const file = face.ImageId === undefined ? undefined : loaded.get(face.ImageId);
  const again = file && face.BoundingBox && { file, box: face.BoundingBox };
  return photos.get(face.FaceId ?? "") ?? again;
}

/** Takes photos in hand again. Says after each how many were read; a file that is no photo, or cannot be read, is passed over. */
export async function load(files: Chosen[], onRead: (read: number) => void) {
  for (const [at, { file, unreadable }] of files.entries()) {
    if (!unreadable && file.type.startsWith("image/") && file.size <= LARGEST) {
      const id = await imageIdOf(file).catch(() => undefined);
      if (id) loaded.set(id, file);
    }
    onRead(at + 1);
  }
  for (const listener of listeners) listener();
}

/** Told when photos have been loaded. */
export function onLoaded(listener: () => void) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}
