// The AWS SDK, in a worker: reading, encoding, hashing and signing photos would otherwise hold up the page.

import * as sdk from "@aws-sdk/client-rekognition";
import * as own from "./extension-commands";
import { UNREACHABLE, type Asked, type FromWorker, type Keys, type Operation, type Told, type ToWorker } from "./operations";

const COMMANDS: Record<Operation, new (request: never) => object> = {
  AssociateFaces: sdk.AssociateFacesCommand,
  CompareFaces: sdk.CompareFacesCommand,
  CreateCollection: sdk.CreateCollectionCommand,
  CreateUser: sdk.CreateUserCommand,
  DeleteCollection: sdk.DeleteCollectionCommand,
  DeleteFaces: sdk.DeleteFacesCommand,
  DeleteUser: sdk.DeleteUserCommand,
  DescribeCollection: sdk.DescribeCollectionCommand,
  DetectFaces: sdk.DetectFacesCommand,
  DisassociateFaces: sdk.DisassociateFacesCommand,
  IndexFaces: sdk.IndexFacesCommand,
  ListCollections: sdk.ListCollectionsCommand,
  ListFaces: sdk.ListFacesCommand,
  ListTagsForResource: sdk.ListTagsForResourceCommand,
  ListUsers: sdk.ListUsersCommand,
  SearchFaces: sdk.SearchFacesCommand,
  SearchFacesByImage: sdk.SearchFacesByImageCommand,
  SearchUsers: sdk.SearchUsersCommand,
  SearchUsersByImage: sdk.SearchUsersByImageCommand,
  TagResource: sdk.TagResourceCommand,
  UntagResource: sdk.UntagResourceCommand,
  DescribeUser: own.DescribeUserCommand,
  GroupFaces: own.GroupFacesCommand,
  SearchAllFacesByImage: own.SearchAllFacesByImageCommand,
};

/** What browsers say of a call that got no answer: Chromium, Firefox, Safari. */
const NO_ANSWER = /failed to fetch|networkerror|load failed/i;

let signedWith = "";
let clients: Record<"single" | "bulk", sdk.RekognitionClient>;

/** Clients for these keys. A batch of photos waits out a throttled server for long; somebody who waits for one answer is told soon. */
function clientsFor({ region, ...credentials }: Keys) {
  const keys = JSON.stringify([region, credentials]);
  if (keys !== signedWith) {
    const shared = { endpoint: self.location.origin, region, credentials };
    clients = {
      single: new sdk.RekognitionClient({ ...shared, maxAttempts: 3 }),
      bulk: new sdk.RekognitionClient({ ...shared, maxAttempts: 10, retryMode: "adaptive" }),
    };
    signedWith = keys;
  }
  return clients;
}

/** The request with the bytes of its files. */
async function read(value: unknown): Promise<unknown> {
  if (value instanceof File) return new Uint8Array(await value.arrayBuffer());
  if (Array.isArray(value) || typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(async ([name, member]) => [name, await read(member)]);
  return Object.fromEntries(await Promise.all(members));
}

/** No answer, which the SDK does not ask again for. */
class NoAnswer extends Error {}

function isNoAnswer(error: unknown) {
  return error instanceof NoAnswer || (error instanceof TypeError && NO_ANSWER.test(error.message));
}

function told(error: unknown): Told {
  if (error instanceof sdk.RekognitionServiceException) {
    const { httpStatusCode: status, requestId } = error.$metadata;
    return { name: error.name, message: error.message, status, requestId };
  }
  if (isNoAnswer(error)) {
    return { name: UNREACHABLE, message: "The server cannot be reached: it does not run, or this machine is offline." };
  }
  const status = (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
  if (status !== undefined && status >= 500) {
    return { name: UNREACHABLE, message: `The server cannot be reached: what stands before it answered with status ${status}.`, status };
  }
  return error instanceof Error ? { name: error.name, message: error.message } : { name: "Error", message: String(error) };
}

/** A call that the service is too busy for is sent again by the SDK, and whoever waits for it is told. A batch is told at once that there
 * is no server: it has a way of its own to wait for one. */
function watch(command: sdk.ListCollectionsCommand, { id, bulk }: Asked) {
  command.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        const busy = error instanceof sdk.ThrottlingException || error instanceof sdk.ProvisionedThroughputExceededException;
        if (busy) self.postMessage({ id, putOff: true } satisfies FromWorker);
        throw bulk && isNoAnswer(error) ? new NoAnswer() : error;
      }
    },
    // Inside of the retries.
    { step: "finalizeRequest", priority: "low" },
  );
}

async function answer(asked: Asked): Promise<FromWorker> {
  const { id, operation, request, keys, bulk } = asked;
  try {
    const command = new COMMANDS[operation]((await read(request)) as never) as sdk.ListCollectionsCommand;
    watch(command, asked);
    const client = clientsFor(keys)[bulk ? "bulk" : "single"];
    return { id, reply: await client.send(command) };
  } catch (error) {
    return { id, error: told(error) };
  }
}

/** The SDK's own: it is there on pages without TLS too, for which browsers have none. */
const Sha256 = new sdk.RekognitionClient({ region: "none" }).config.sha256;

/** The id that the service gives to a photo, by its bytes. */
async function imageId(photo: File) {
  const digest = new Sha256();
  digest.update(new Uint8Array(await photo.arrayBuffer()));
  return uuid((await digest.digest()).slice(0, 16));
}

/** Sixteen bytes as an id of version 3. */
function uuid(bytes: Uint8Array) {
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const variant = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-3${hex.slice(13, 16)}-${variant.toString(16)}${hex.slice(18, 20)}-${hex.slice(20)}`;
}

async function named({ id, photo }: { id: number; photo: File }): Promise<FromWorker> {
  try {
    return { id, reply: await imageId(photo) };
  } catch (error) {
    return { id, error: told(error) };
  }
}

self.addEventListener("message", async ({ data }: MessageEvent<ToWorker>) =>
  self.postMessage("photo" in data ? await named(data) : await answer(data)),
);
