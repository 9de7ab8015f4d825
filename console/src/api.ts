// Calls of the service, made by the worker. The keys are in this module's memory and nowhere else.

import { MAX_BYTES } from "./files";
import { bytes } from "./format";
import {
  UNREACHABLE,
  type FromWorker,
  type Keys,
  type Operation,
  type Operations,
  type Reply,
  type Request,
  type Told,
  type ToWorker,
} from "./operations";
import { tellReach } from "./reach";

declare const WORKER: string;

/** What a server without keys is called with: it takes any. */
const ANYBODY: Keys = { accessKeyId: "any", secretAccessKey: "any", region: "us-east-1" };

/** Errors that other keys may cure. */
const KEY_ERRORS = new Set([
  "ExpiredTokenException",
  "IncompleteSignatureException",
  "InvalidSignatureException",
  "MissingAuthenticationTokenException",
  "UnrecognizedClientException",
]);

export class ServiceError extends Error {
  readonly status?: number;
  readonly requestId?: string;

  constructor({ name, message, status, requestId }: Told) {
    super(message);
    this.name = name;
    this.status = status;
    this.requestId = requestId;
  }

  get isOfKeys() {
    return KEY_ERRORS.has(this.name);
  }

  get isOfReach() {
    return this.name === UNREACHABLE;
  }
}

/** A call that has no answer yet. */
interface Waiting {
  resolve: (reply: never) => void;
  reject: (error: ServiceError) => void;
  /** When it was made, by the page's clock. */
  since: number;
  bulk: boolean;
  /** Whether the service was too busy for it, and is asked again. */
  putOff: boolean;
}

let keys = ANYBODY;
/** Whether the service has taken them. */
let accepted = false;
/** Why no call can be made any more. */
let stopped: ServiceError | undefined;
let lastId = 0;
const waiting = new Map<number, Waiting>();
const worker = new Worker(WORKER);

worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
  const call = waiting.get(data.id);
  if ("putOff" in data) {
    if (call) call.putOff = true;
    return;
  }
  waiting.delete(data.id);
  if ("error" in data) call?.reject(new ServiceError(data.error));
  else call?.resolve(data.reply as never);
});

// It does not start when the server has been replaced by another version since the page was loaded.
worker.addEventListener("error", () => {
  stopped = new ServiceError({ name: "Error", message: "The console's worker does not run; reload the page." });
  for (const { reject } of waiting.values()) reject(stopped);
  waiting.clear();
});

export function currentKeys(): Readonly<Keys> {
  return keys;
}

export function isAnybody() {
  return keys === ANYBODY;
}

/** What is done before the keys of somebody else are signed with: what is on the screen, and on its way, is of the account before. */
export const onOtherKeys: (() => void)[] = [];

/** Signs with these keys from now on; without any, as anybody. */
export function useKeys(given: Keys = ANYBODY) {
  // Keys that the service never took saw nothing, and what waits for better ones goes on.
  if (accepted && given.accessKeyId !== keys.accessKeyId) for (const forget of onOtherKeys) forget();
  keys = given;
  accepted = false;
}

/** What is waited for: how many calls the service was too busy for, and the seconds that somebody has waited for the oldest one. What takes
 * long by its nature, such as a batch, has a place of its own in which that is told. */
export function underWay() {
  const calls = [...waiting.values()];
  const began = calls.filter(({ bulk }) => !bulk).map(({ since }) => since);
  return {
    putOff: calls.filter((call) => call.putOff).length,
    longest: began.length ? (performance.now() - Math.min(...began)) / 1000 : 0,
  };
}

/** Told of errors that other keys may cure. */
export const onKeyError: { listener?: (error: ServiceError) => void } = {};

export async function call<Name extends Operation>(operation: Name, request: Request<Name>, bulk = false): Promise<Reply<Name>> {
  if (stopped) throw stopped;
  for (const member of Object.values(request)) {
    const size = (member as { Bytes?: File } | undefined)?.Bytes?.size ?? 0;
    const message = `The file has ${bytes(size)}, and the service takes 5 MB of image bytes at most.`;
    if (size > MAX_BYTES) throw new ServiceError({ name: "Not sent", message });
  }
  const id = ++lastId;
  const signer = keys;
  try {
    const reply = await ask<Reply<Name>>({ id, operation, request, keys, bulk }, bulk);
    accepted ||= signer === keys;
    return reply;
  } catch (error) {
    if (error instanceof ServiceError && error.isOfKeys) onKeyError.listener?.(error);
    if (error instanceof ServiceError && error.isOfReach) tellReach(false);
    throw error;
  }
}

function ask<Answer>(message: ToWorker, bulk: boolean) {
  return new Promise<Answer>((resolve, reject) => {
    waiting.set(message.id, { resolve, reject, since: performance.now(), bulk, putOff: false });
    worker.postMessage(message);
  });
}

/** The id that the service gives to a photo: it follows from its bytes. */
export async function imageIdOf(photo: File) {
  if (stopped) throw stopped;
  return ask<string>({ id: ++lastId, photo }, true);
}

type Paged = { [Name in Operation]: Operations[Name][0] extends { NextToken?: string } ? Name : never }[Operation];

/** Every page of a listing. */
export async function* pages<Name extends Paged>(operation: Name, request: Request<Name>): AsyncGenerator<Reply<Name>> {
  let token: string | undefined;
  do {
    const page = await call(operation, { ...request, NextToken: token });
    yield page;
    token = (page as { NextToken?: string }).NextToken;
  } while (token);
}
