// Photos on their way into a collection: a few at a time, each with what came of it.

import { call, onOtherKeys, ServiceError } from "./api";
import { externalId, type Chosen } from "./files";
import type { Reply, Request, Told } from "./operations";
import { onReach } from "./reach";
import { remember } from "./seen";

const AT_ONCE = 4;

export type State = "waiting" | "running" | "indexed" | "failed" | "cancelled";

export interface Item extends Chosen {
  id: number;
  state: State;
  reply?: Reply<"IndexFaces">;
  error?: Told;
}

export interface Options {
  naming: "none" | "name" | "text";
  text: string;
  maxFaces?: number;
  quality: "AUTO" | "NONE" | "LOW" | "MEDIUM" | "HIGH";
  attributes: "DEFAULT" | "ALL";
}

export class Batch {
  readonly items: Item[] = [];
  readonly tally: Record<State, number> = { waiting: 0, running: 0, indexed: 0, failed: 0, cancelled: 0 };
  options: Options = { naming: "name", text: "", quality: "AUTO", attributes: "DEFAULT" };
  faces = 0;
  stopped = false;
  /** Whether it stopped by itself, since the server could not be reached, and goes on by itself. */
  cutOff = false;
  /** Photos that were answered, and the seconds until then: what the rate is made of. */
  done = 0;
  private elapsed = 0;
  private resumed = 0;
  private next = 0;
  private listeners = new Set<() => void>();
  private frame = 0;

  constructor(readonly collection: string) {}

  get seconds() {
    return this.elapsed + (this.active ? (performance.now() - this.resumed) / 1000 : 0);
  }

  request(file: File): Request<"IndexFaces"> {
    const { naming, text, maxFaces, quality, attributes } = this.options;
    const external = naming === "name" ? externalId(file.name) : naming === "text" ? text : undefined;
    return {
      CollectionId: this.collection,
      Image: { Bytes: file },
      ExternalImageId: external || undefined,
      MaxFaces: maxFaces,
      QualityFilter: quality,
      DetectionAttributes: [attributes],
    };
  }

  /** Whether photos are on their way. */
  get active() {
    return this.tally.running > 0;
  }

  add(files: Chosen[]) {
    for (const file of files) this.items.push({ ...file, id: this.items.length, state: "waiting" });
    this.tally.waiting += files.length;
    this.run();
  }

  /** Sends nothing more for now; what is on its way arrives. */
  stop() {
    this.stopped = true;
    this.cutOff = false;
    this.changed();
  }

  /** Sends nothing more of what waits. */
  cancel() {
    for (const item of this.items) if (item.state === "waiting") this.move(item, "cancelled");
    this.changed();
  }

  /** Goes on with what waits. */
  run() {
    this.stopped = this.cutOff = false;
    this.next = 0;
    this.pump();
  }

  /** Goes on if it was cut off from the server. */
  reconnected() {
    if (this.cutOff) this.run();
  }

  again() {
    for (const item of this.items) if (item.state === "failed") this.move(item, "waiting");
    this.run();
  }

  clear() {
    this.items.length = 0;
    this.faces = this.elapsed = this.done = 0;
    for (const state of Object.keys(this.tally) as State[]) this.tally[state] = 0;
    this.changed();
  }

  private pump() {
    while (!this.stopped && this.tally.running < AT_ONCE) {
      while (this.items[this.next] && this.items[this.next]?.state !== "waiting") this.next++;
      const item = this.items[this.next];
      if (!item) break;
      if (!this.active) this.resumed = performance.now();
      this.move(item, "running");
      void this.index(item).then(() => {
        if (!this.active) this.elapsed += (performance.now() - this.resumed) / 1000;
        this.pump();
      });
    }
    this.changed();
  }

  private async index(item: Item) {
    item.error = undefined;
    if (item.unreadable) {
      item.error = { name: "Not read", message: item.unreadable };
      this.move(item, "failed");
      return;
    }
    try {
      item.reply = await call("IndexFaces", this.request(item.file), true);
      const records = item.reply.FaceRecords ?? [];
      const faces = records.map((record) => record.Face);
      if (batches.get(this.collection) === this) remember(faces, item.file);
      this.faces += records.length;
      this.move(item, "indexed");
    } catch (error) {
      if (error instanceof ServiceError && (error.isOfKeys || error.isOfReach)) {
        // The others would fail alike: the photos wait until the keys are right, or the server is there again.
        this.move(item, "waiting");
        const byItself = error.isOfReach && (this.cutOff || !this.stopped);
        this.stop();
        this.cutOff = byItself;
        return;
      }
      item.error = error instanceof ServiceError ? error : { name: "Error", message: String(error) };
      this.move(item, "failed");
    }
  }

  private move(item: Item, state: State) {
    this.tally[item.state]--;
    this.tally[state]++;
    if (state === "indexed" || state === "failed") this.done++;
    item.state = state;
    this.changed();
  }

  /** Listeners are told once a frame at most: a thousand photos change more often than anybody can look. */
  private changed() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      for (const listener of this.listeners) listener();
    });
  }

  listen(listener: () => void) {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }
}

const batches = new Map<string, Batch>();

// The browser asks before a tab is closed that still has photos to send.
addEventListener("beforeunload", (event) => {
  if ([...batches.values()].some(({ active, tally }) => active || tally.waiting > 0)) event.preventDefault();
});

onReach((reachable) => {
  if (reachable) for (const batch of batches.values()) batch.reconnected();
});

/** A collection's batch goes on while other screens are looked at. */
export function batchOf(collection: string) {
  const batch = batches.get(collection) ?? new Batch(collection);
  batches.set(collection, batch);
  return batch;
}

onOtherKeys.push(() => [...batches.keys()].forEach(forget));

export function forget(collection: string) {
  batches.get(collection)?.stop();
  batches.delete(collection);
}
