// Photos on their way into a collection.

import type { FaceDetail } from "@aws-sdk/client-rekognition";
import { useEffect, useRef, useState } from "preact/hooks";
import { batchOf, type Batch, type Item, type Options } from "../batch";
import { count, number, seconds, short, words } from "../format";
import { to } from "../router";
import { DropZone } from "../ui/dropzone";
import { Empty, ErrorNote, Field, Heading, Live, Pager, Select, wholeNumber } from "../ui/basics";
import { FaceFacts } from "../ui/face";
import { Crop, Photo, type Mark } from "../ui/photo";
import { Snippet } from "../ui/snippet";
import type { Section } from "./section";

const SIZE = 50;

export default function IndexPhotos({ collection, onChange }: Section) {
  const batch = batchOf(collection);
  useBatch(batch, onChange);
  const [chosen, setChosen] = useState<number>();
  const [failuresOnly, setFailuresOnly] = useState(false);
  const [page, setPage] = useState(0);
  const { items, tally } = batch;
  const listed = failuresOnly ? items.filter((item) => item.state === "failed") : items;
  const item = items[chosen ?? -1] ?? items.find(({ state }) => state === "indexed" || state === "failed");
  const example = item ?? items[0];
  return (
    <div class="stack">
      <Heading level={2} unseen title={`Index - ${collection}`}>
        Index photos
      </Heading>
      <div class="intake">
        <DropZone several compact={items.length > 0} label="Drop photos or folders here" onFiles={(files) => batch.add(files)} />
        <OptionsForm batch={batch} open={items.length === 0} />
      </div>
      {items.length > 0 && (
        <Progress
          batch={batch}
          onClear={() => {
            batch.clear();
            setChosen(undefined);
            setPage(0);
          }}
        />
      )}
      {items.length > 0 && (
        <div class="split">
          <section class="card flush list" aria-label="Photos">
            <div class="toolbar">
              <label class="check">
                <input
                  type="checkbox"
                  checked={failuresOnly}
                  onChange={(event) => {
                    setFailuresOnly(event.currentTarget.checked);
                    setPage(0);
                  }}
                />
                Failures only ({number(tally.failed)})
              </label>
            </div>
            {listed.length === 0 && <p class="pad fine">No failures.</p>}
            <ul class="files">
              {listed.slice(page * SIZE, (page + 1) * SIZE).map((one) => (
                <Row key={one.id} item={one} current={one === item} onChoose={() => setChosen(one.id)} />
              ))}
            </ul>
            <Pager page={page} size={SIZE} total={listed.length} onPage={setPage} of="photos" />
          </section>
          {item ? (
            <Detail key={item.id} item={item} collection={collection} jump={chosen !== undefined} />
          ) : (
            <div class="card pad">
              <p class="fine">The first photo is on its way.</p>
            </div>
          )}
        </div>
      )}
      {items.length === 0 && (
        <Empty title="Nothing indexed in this tab yet">
          <p>
            Each photo is sent to the service, which finds its faces and keeps a description of each. Here you see what it found, face by
            face.
          </p>
        </Empty>
      )}
      <Snippet call={{ operation: "IndexFaces", request: batch.request(example?.file ?? new File([], "photo.jpg")) }} />
    </div>
  );
}

/** Draws again as the batch goes on, and tells when it has come to its end. */
function useBatch(batch: Batch, onEnd: () => void) {
  const [, setTurn] = useState(0);
  useEffect(() => {
    let active = batch.active;
    return batch.listen(() => {
      setTurn((turn) => turn + 1);
      if (active && !batch.active) onEnd();
      active = batch.active;
    });
  }, [batch, onEnd]);
}

function OptionsForm({ batch, open }: { batch: Batch; open: boolean }) {
  const [, setTurn] = useState(0);
  const { options } = batch;
  const set = (part: Partial<Options>) => {
    batch.options = { ...batch.options, ...part };
    setTurn((turn) => turn + 1);
  };
  return (
    <details class="card folded" open={open}>
      <summary>
        Options<span class="fine">for photos from now on</span>
      </summary>
      <div class="options">
        <Select
          label="External image id"
          value={options.naming}
          onValue={(naming) => set({ naming })}
          options={[
            ["name", "The file's name"],
            ["text", "A text of mine"],
            ["none", "None"],
          ]}
        />
        {options.naming === "text" && (
          <Field label="Text" value={options.text} onValue={(text) => set({ text })} hint="Letters, digits, and any of _ . - :" />
        )}
        <Field
          label="Max faces a photo"
          type="number"
          min="1"
          value={options.maxFaces ?? ""}
          placeholder="100"
          onValue={(text) => set({ maxFaces: wholeNumber(text) })}
        />
        <Select
          label="Quality filter"
          value={options.quality}
          onValue={(quality) => set({ quality })}
          options={[
            ["AUTO", "Auto"],
            ["NONE", "None"],
            ["LOW", "Low"],
            ["MEDIUM", "Medium"],
            ["HIGH", "High"],
          ]}
        />
        <Select
          label="Attributes"
          value={options.attributes}
          onValue={(attributes) => set({ attributes })}
          options={[
            ["DEFAULT", "Default"],
            ["ALL", "All"],
          ]}
        />
      </div>
    </details>
  );
}

function Progress({ batch, onClear }: { batch: Batch; onClear: () => void }) {
  const { tally, items, active, stopped } = batch;
  const done = tally.indexed + tally.failed;
  const rate = batch.seconds > 0 ? batch.done / batch.seconds : 0;
  const left = tally.waiting + tally.running;
  const resting = batch.cutOff ? "Waiting for the server" : left ? "Paused" : tally.cancelled ? "Cancelled" : "Done";
  const state = active ? (stopped ? "Pausing" : "Indexing") : resting;
  const tenth = Math.floor((10 * done) / items.length);
  return (
    <section class="card pad progress" aria-label="Progress">
      <p>
        <strong>{state}</strong> {number(done)} of {count(items.length, "photo")}
      </p>
      <progress aria-label="Photos done" max={items.length} value={done} />
      <p class="fine figures">
        <span>
          <span class="dot good" />
          {number(tally.indexed)} indexed, {count(batch.faces, "face")}
        </span>
        <span>
          <span class="dot bad" />
          {number(tally.failed)} failed
        </span>
        {tally.cancelled > 0 && <span>{number(tally.cancelled)} not sent</span>}
        {rate > 0 && <span>{rate.toFixed(1)} a second</span>}
        {active && !stopped && rate > 0 && <span>about {seconds(left / rate)} left</span>}
      </p>
      <p class="actions">
        {active && (
          <button type="button" disabled={stopped} onClick={() => batch.stop()}>
            Pause
          </button>
        )}
        {!active && tally.waiting > 0 && (
          <button type="button" class="primary" onClick={() => batch.run()}>
            Go on with {count(tally.waiting, "photo")}
          </button>
        )}
        {tally.waiting > 0 && (
          <button type="button" onClick={() => batch.cancel()}>
            Cancel the rest
          </button>
        )}
        {!active && tally.failed > 0 && (
          <button type="button" onClick={() => batch.again()}>
            Try failures again
          </button>
        )}
        {!active && tally.waiting === 0 && (
          <button type="button" onClick={onClear}>
            Clear the list
          </button>
        )}
      </p>
      {/* Every tenth is said aloud; every photo would be a torrent. */}
      <Live>{active ? `Indexing, ${tenth * 10} percent` : `${state}: ${tally.indexed} indexed, ${tally.failed} failed`}</Live>
    </section>
  );
}

function Row({ item, current, onChoose }: { item: Item; current: boolean; onChoose: () => void }) {
  return (
    <li>
      <button type="button" class="file" aria-current={current ? "true" : undefined} onClick={onChoose}>
        <Crop file={item.file} />
        <span class="file-text">
          <span class="file-name">{item.path}</span>
          <span class={`fine ${item.state === "failed" ? "bad" : ""}`}>{outcome(item)}</span>
        </span>
      </button>
    </li>
  );
}

function outcome({ state, reply, error }: Item) {
  if (state === "waiting") return "Waiting";
  if (state === "cancelled") return "Not sent";
  if (state === "running") return "Being indexed";
  if (error) return `${error.name}: ${error.message}`;
  const left = reply?.UnindexedFaces?.length ?? 0;
  return `${count(reply?.FaceRecords?.length ?? 0, "face")}${left ? `, ${left} left out` : ""}`;
}

interface Found {
  id?: string;
  detail: FaceDetail;
  reasons: string[];
}

function Detail({ item, collection, jump }: { item: Item; collection: string; jump: boolean }) {
  const [selected, setSelected] = useState(0);
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a narrow screen the photo is above the list that it was chosen from.
    if (jump && section.current && section.current.getBoundingClientRect().top < 0) section.current.scrollIntoView({ block: "start" });
  }, []);
  const found: Found[] = [
    ...(item.reply?.FaceRecords ?? []).map(({ Face, FaceDetail }) => ({ id: Face?.FaceId, detail: FaceDetail ?? {}, reasons: [] })),
    ...(item.reply?.UnindexedFaces ?? []).map(({ FaceDetail, Reasons }) => ({ detail: FaceDetail ?? {}, reasons: Reasons ?? [] })),
  ];
  const marks = found.map(({ id, detail, reasons }, index): Mark => ({
    box: detail.BoundingBox,
    landmarks: detail.Landmarks,
    label: `Face ${index + 1}, ${id ? "indexed" : `not indexed: ${reasons.map(words).join(", ")}`}`,
    kind: id ? "kept" : "left",
    number: found.length > 1 ? index + 1 : undefined,
  }));
  const face = found[selected];
  return (
    <section class="card flush detail" ref={section} aria-label={`Photo ${item.path}`}>
      <div class="photo-side">
        <Photo file={item.file} alt={item.path} marks={marks} selected={selected} onSelect={setSelected} />
      </div>
      <div class="fact-side">
        <h3>{item.path}</h3>
        {item.error && item.state === "failed" && <ErrorNote error={item.error} />}
        {item.reply && found.length === 0 && <p class="fine">The service found no face in this photo.</p>}
        {found.length > 1 && (
          <div class="face-picks" role="group" aria-label="Faces">
            {found.map(({ id }, index) => (
              <button
                key={index}
                type="button"
                class={id ? "pick" : "pick left"}
                aria-pressed={index === selected}
                aria-label={marks[index]?.label}
                onClick={() => setSelected(index)}
              >
                {index + 1}
              </button>
            ))}
          </div>
        )}
        {face && (
          <>
            {face.id ? (
              <p class="face-id">
                <span class="tag good">indexed</span> <code title={face.id}>{short(face.id)}</code>{" "}
                <a href={to(["collections", collection, "search"], { face: face.id })}>Search for this face</a>
              </p>
            ) : (
              <p class="face-id">
                <span class="tag warn">not indexed</span> {face.reasons.map(words).join(", ")}
              </p>
            )}
            <FaceFacts face={face.detail} />
          </>
        )}
        {item.reply && (
          <p class="fine">
            {item.reply.OrientationCorrection &&
              item.reply.OrientationCorrection !== "ROTATE_0" &&
              `Lies turned: ${words(item.reply.OrientationCorrection)}. `}
            Face model {item.reply.FaceModelVersion}.
          </p>
        )}
      </div>
    </section>
  );
}
