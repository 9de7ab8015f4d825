// Groups of faces on their way to a name: taken from the service, put together and apart by a person, and stored with the name alone.

import type { Face, FaceMatch } from "@aws-sdk/client-rekognition";
import { call, onOtherKeys, pages, ServiceError } from "./api";
import { words } from "./format";
import type { Reply } from "./operations";

/** What a user can have. */
export const MOST_FACES = 100;

/** A face, and its average similarity to the others of its group. */
export interface Member {
  id: string;
  face: Face;
  similarity: number;
}

export interface Group {
  id: number;
  /** The most typical first. */
  members: Member[];
}

export interface Sorting {
  groups: Group[];
  ungrouped: Member[];
}

let lastId = 0;

function member({ Face, Similarity = 0 }: FaceMatch): Member {
  return { id: Face?.FaceId ?? "", face: Face ?? {}, similarity: Similarity };
}

export function members(matches: FaceMatch[] | undefined) {
  return (matches ?? []).map(member);
}

export function sortingOf({ Groups, UngroupedFaces }: Reply<"GroupFaces">): Sorting {
  return {
    groups: (Groups ?? []).map(({ Faces }) => ({ id: ++lastId, members: members(Faces) })),
    ungrouped: (UngroupedFaces ?? []).map((Face) => member({ Face })),
  };
}

/** One group of several, in the place of the first of them. */
export function merged({ groups, ungrouped }: Sorting, ids: ReadonlySet<number>): Sorting {
  const parts = groups.filter(({ id }) => ids.has(id));
  const [first] = parts;
  if (!first) return { groups, ungrouped };
  const together = parts.flatMap((group) => group.members).sort((a, b) => b.similarity - a.similarity);
  const others = groups.filter(({ id }) => id === first.id || !ids.has(id));
  return { groups: others.map((group) => (group.id === first.id ? { ...group, members: together } : group)), ungrouped };
}

/** A group of its own for some faces of another, behind it. */
export function split({ groups, ungrouped }: Sorting, from: number, faces: ReadonlySet<string>): Sorting {
  return {
    groups: groups.flatMap((group) => {
      if (group.id !== from) return [group];
      const taken = group.members.filter(({ id }) => faces.has(id));
      const left = group.members.filter(({ id }) => !faces.has(id));
      return [{ ...group, members: left }, { id: ++lastId, members: taken }].filter(({ members }) => members.length > 0);
    }),
    ungrouped,
  };
}

/** A group, the first of all, of faces that are in none. */
export function gathered({ groups, ungrouped }: Sorting, faces: ReadonlySet<string>): Sorting {
  const taken = ungrouped.filter(({ id }) => faces.has(id));
  return { groups: [{ id: ++lastId, members: taken }, ...groups], ungrouped: ungrouped.filter(({ id }) => !faces.has(id)) };
}

/** Without these faces of a group. */
export function without({ groups, ungrouped }: Sorting, from: number, faces: ReadonlySet<string>): Sorting {
  const rest = groups.map((group) =>
    group.id === from ? { ...group, members: group.members.filter(({ id }) => !faces.has(id)) } : group,
  );
  return { groups: rest.filter(({ members }) => members.length > 0), ungrouped };
}

export interface Named {
  user: string;
  given: string[];
  refused: { id: string; why: string }[];
  /** Faces for which the user had no room: the least typical. */
  beyond: string[];
}

/** Gives faces to a user, who is made if there is none of that name. */
export async function name(collection: string, user: string, members: Member[]): Promise<Named> {
  const here = { CollectionId: collection, UserId: user };
  const room = MOST_FACES - ((await isNew(here)) ? 0 : await facesOf(here));
  const ids = [...members].sort((a, b) => b.similarity - a.similarity).map(({ id }) => id);
  const fitting = ids.slice(0, room);
  const reply = fitting.length ? await call("AssociateFaces", { ...here, FaceIds: fitting }) : undefined;
  return {
    user,
    given: (reply?.AssociatedFaces ?? []).map(({ FaceId = "" }) => FaceId),
    refused: (reply?.UnsuccessfulFaceAssociations ?? []).map(({ FaceId = "", Reasons = [], UserId }) => ({
      id: FaceId,
      why: `${Reasons.map(words).join(", ")}${UserId ? ` (${UserId})` : ""}`,
    })),
    beyond: ids.slice(room),
  };
}

async function isNew(here: { CollectionId: string; UserId: string }) {
  try {
    await call("CreateUser", here);
    return true;
  } catch (error) {
    if (error instanceof ServiceError && error.name === "ConflictException") return false;
    throw error;
  }
}

async function facesOf(here: { CollectionId: string; UserId: string }) {
  let faces = 0;
  for await (const { Faces } of pages("ListFaces", here)) faces += Faces?.length ?? 0;
  return faces;
}

/** What was put together and apart is still there when somebody comes back from another screen. */
const kept = new Map<string, Sorting>();
onOtherKeys.push(() => kept.clear());

export function keptOf(collection: string) {
  return kept.get(collection);
}

export function keep(collection: string, sorting: Sorting | undefined) {
  if (sorting) kept.set(collection, sorting);
  else kept.delete(collection);
}
