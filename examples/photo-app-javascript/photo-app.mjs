// A photo app: it learns people from photos, says who is on another one, and forgets a person altogether.
//
//   node photo-app.mjs add ada ada.jpg
//   node photo-app.mjs who party.jpg
//   node photo-app.mjs forget ada
//
// The faces are in a collection of Rekognition; photos are sent with the requests and kept nowhere. Which server that is is nothing that
// this program knows: the SDK reads it from its own variables, and without them it asks the cloud.

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import {
  AssociateFacesCommand,
  ConflictException,
  CreateCollectionCommand,
  CreateUserCommand,
  DeleteCollectionCommand,
  DeleteFacesCommand,
  DeleteUserCommand,
  IndexFacesCommand,
  paginateListFaces,
  RekognitionClient,
  ResourceAlreadyExistsException,
  SearchUsersCommand,
} from "@aws-sdk/client-rekognition";

const ALBUM = "photo-app";

/** The photo has no face that is good enough to know a person by. */
export class NoFace extends Error {}

/** The face on the photo is too unlike those that the person is known by. */
export class SomebodyElse extends Error {}

export class PhotoApp {
  constructor(album = ALBUM) {
    this.album = { CollectionId: album };
    this.client = new RekognitionClient({});
  }

  /** Makes the collection, unless it is there. */
  async open() {
    await this.client.send(new CreateCollectionCommand(this.album)).catch(unless(ResourceAlreadyExistsException));
  }

  /** Learns a person from a photo, on which the largest face is theirs. */
  async add(person, photo) {
    const faces = await this.#index(photo, { ExternalImageId: person, MaxFaces: 1, QualityFilter: "AUTO" });
    if (faces.length === 0) throw new NoFace(photo);
    const user = { ...this.album, UserId: person };
    // A conflict is a further photo of somebody known.
    await this.client.send(new CreateUserCommand(user)).catch(unless(ConflictException));
    const given = await this.client.send(new AssociateFacesCommand({ ...user, FaceIds: faces }));
    if (given.UnsuccessfulFaceAssociations.length > 0) {
      await this.#deleteFaces(faces);
      throw new SomebodyElse(photo);
    }
  }

  /**
   * The names of those on a photo, the largest face first; undefined for a stranger.
   *
   * SearchUsersByImage looks for the largest face alone. So all faces are indexed, each is looked for, and they are deleted again.
   */
  async whoIsOn(photo) {
    const faces = await this.#index(photo, { ExternalImageId: `visit-${randomUUID()}` });
    try {
      return await Promise.all(faces.map((face) => this.#nameOf(face)));
    } finally {
      await this.#deleteFaces(faces);
    }
  }

  /** Deletes all that is known of a person: faces and user. */
  async forget(person) {
    const user = { ...this.album, UserId: person };
    const faces = [];
    for await (const page of paginateListFaces({ client: this.client }, { ...user })) faces.push(...page.Faces.map((face) => face.FaceId));
    // A face that belongs to a user cannot be deleted. Those of a user are 100 at most, which one call takes.
    await this.client.send(new DeleteUserCommand(user));
    await this.#deleteFaces(faces);
  }

  /** Deletes the album. */
  async close() {
    await this.client.send(new DeleteCollectionCommand(this.album));
    this.client.destroy();
  }

  async #index(photo, how) {
    const image = { Bytes: await readFile(photo) };
    const { FaceRecords } = await this.client.send(new IndexFacesCommand({ ...this.album, Image: image, ...how }));
    return FaceRecords.map((record) => record.Face.FaceId);
  }

  async #nameOf(face) {
    const { UserMatches } = await this.client.send(new SearchUsersCommand({ ...this.album, FaceId: face, MaxUsers: 1 }));
    return UserMatches[0]?.User.UserId;
  }

  async #deleteFaces(faces) {
    // The operation takes no empty list.
    if (faces.length > 0) await this.client.send(new DeleteFacesCommand({ ...this.album, FaceIds: faces }));
  }
}

/** Passes over errors of one kind. */
function unless(kind) {
  return (error) => {
    if (!(error instanceof kind)) throw error;
  };
}

async function main([command, ...rest]) {
  const app = new PhotoApp();
  if (command === "add" && rest.length === 2) {
    await app.open();
    await app.add(...rest);
  } else if (command === "who" && rest.length === 1) {
    for (const name of await app.whoIsOn(...rest)) console.log(name ?? "a stranger");
  } else if (command === "forget" && rest.length === 1) {
    await app.forget(...rest);
  } else {
    throw new Error("photo-app.mjs add NAME PHOTO | who PHOTO | forget NAME");
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main(process.argv.slice(2));
