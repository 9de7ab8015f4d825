// The faces of a collection: page by page, filtered, chosen, deleted, given to a user.

import type { Face } from "@aws-sdk/client-rekognition";
import { useEffect, useRef, useState } from "preact/hooks";
import { call } from "../api";
import { count, percent, words } from "../format";
import { to } from "../router";
import { Busy, Confirm, Dialog, Empty, ErrorNote, Field, Heading, Live, useShown, useTask } from "../ui/basics";
import { FaceOf } from "../ui/photo";
import { Snippet } from "../ui/snippet";
import type { Section } from "./section";

const SIZE = 50;
const FETCHED = 500;
/** What one call may delete, and give to a user. */
const DELETED_AT_ONCE = 4096;
const ASSOCIATED_AT_ONCE = 100;

interface Loaded {
  faces: Face[];
  token?: string;
}

interface Refused {
  id: string;
  why: string;
}

export default function Faces({ collection, onChange }: Section) {
  const list = useTask<Loaded>();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [asking, setAsking] = useState<"delete" | "associate">();
  const work = useTask<{ said: string; refused: Refused[] }>();
  const { faces, token } = list.value ?? { faces: [] };

  const load = (all: boolean, before: Loaded = { faces: [] }) =>
    list.run(async () => {
      let loaded = before;
      do {
        const reply = await call("ListFaces", { CollectionId: collection, MaxResults: FETCHED, NextToken: loaded.token });
        loaded = { faces: [...loaded.faces, ...(reply.Faces ?? [])], token: reply.NextToken };
      } while (all && loaded.token);
      return loaded;
    });
  useEffect(() => void load(false), []);

  const { filter, matching, shown, toFirstPage, field, pager } = useShown(faces, SIZE, ({ ExternalImageId = "" }) => ExternalImageId);
  const ids = [...chosen];
  const every = matching.length > 0 && matching.every(({ FaceId = "" }) => chosen.has(FaceId));
  const toggle = (faces: Face[], on: boolean) =>
    setChosen((before) => {
      const after = new Set(before);
      for (const { FaceId = "" } of faces) on ? after.add(FaceId) : after.delete(FaceId);
      return after;
    });

  const changed = () => {
    setChosen(new Set());
    toFirstPage();
    void load(false);
    onChange();
  };
  const remove = () =>
    work.run(async () => {
      const refused: Refused[] = [];
      let deleted = 0;
      for (let at = 0; at < ids.length; at += DELETED_AT_ONCE) {
        const reply = await call("DeleteFaces", { CollectionId: collection, FaceIds: ids.slice(at, at + DELETED_AT_ONCE) });
        deleted += reply.DeletedFaces?.length ?? 0;
        refused.push(
          ...(reply.UnsuccessfulFaceDeletions ?? []).map(({ FaceId = "", UserId, Reasons }) => ({ id: FaceId, why: why(Reasons, UserId) })),
        );
      }
      changed();
      return { said: `${count(deleted, "face")} deleted.`, refused };
    });
  const associate = (user: string) =>
    work.run(async () => {
      const refused: Refused[] = [];
      let associated = 0;
      for (let at = 0; at < ids.length; at += ASSOCIATED_AT_ONCE) {
        const reply = await call("AssociateFaces", {
          CollectionId: collection,
          UserId: user,
          FaceIds: ids.slice(at, at + ASSOCIATED_AT_ONCE),
        });
        associated += reply.AssociatedFaces?.length ?? 0;
        refused.push(
          ...(reply.UnsuccessfulFaceAssociations ?? []).map(({ FaceId = "", UserId, Reasons }) => ({
            id: FaceId,
            why: why(Reasons, UserId),
          })),
        );
      }
      changed();
      return { said: `${count(associated, "face")} associated with ${user}.`, refused };
    });

  return (
    <div class="stack">
      <Heading level={2} unseen title={`Faces - ${collection}`}>
        Faces
      </Heading>
      {list.error && <ErrorNote error={list.error} again={() => load(false)} />}
      {work.error && <ErrorNote error={work.error} />}
      {work.value && <Done {...work.value} />}
      {list.busy && faces.length === 0 && <Busy />}
      {list.value && faces.length === 0 && (
        <Empty title="No faces yet">
          <p>
            Faces come out of photos that are <a href={to(["collections", collection, "index"])}>indexed</a> into this collection.
          </p>
        </Empty>
      )}
      {faces.length > 0 && (
        <div class="card flush">
          <div class="toolbar">
            {field("Filter by external image id")}
            <div class="toolbar-end">
              <p class="fine">
                {filter
                  ? `${count(matching.length, "face")} of ${count(faces.length, "loaded one")}`
                  : `${count(faces.length, "face")} loaded${token ? ", more to come" : ""}`}
              </p>
              {token && (
                <button type="button" disabled={list.busy} onClick={() => load(false, list.value)}>
                  Load more
                </button>
              )}
              {token && (
                <button type="button" disabled={list.busy} onClick={() => load(true, list.value)}>
                  Load all
                </button>
              )}
            </div>
          </div>
          <div class="toolbar selection">
            <label class="check">
              <input type="checkbox" checked={every} onChange={(event) => toggle(matching, event.currentTarget.checked)} />
              {filter ? "All that match" : "All loaded"}
            </label>
            <div class="toolbar-end">
              <p class="fine" aria-live="polite">
                {count(chosen.size, "face")} chosen
              </p>
              <button type="button" disabled={!chosen.size || work.busy} onClick={() => setAsking("associate")}>
                Associate with a user
              </button>
              <button type="button" class="danger quiet" disabled={!chosen.size || work.busy} onClick={() => setAsking("delete")}>
                Delete
              </button>
            </div>
          </div>
          <div class="scroll" role="region" aria-label="Faces" tabIndex={0}>
            <table>
              <thead>
                <tr>
                  <th scope="col">
                    <span class="hidden">Chosen</span>
                  </th>
                  <th scope="col">Face</th>
                  <th scope="col" class="wide">
                    Face id
                  </th>
                  <th scope="col" class="wide">
                    User
                  </th>
                  <th scope="col" class="figure wide">
                    Confidence
                  </th>
                  <th scope="col">
                    <span class="hidden">Search</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {shown.map((face) => (
                  <Row
                    key={face.FaceId}
                    face={face}
                    collection={collection}
                    chosen={chosen.has(face.FaceId ?? "")}
                    onChosen={(on) => toggle([face], on)}
                  />
                ))}
              </tbody>
            </table>
          </div>
          {matching.length === 0 && (
            <p class="pad fine">No loaded face has that in its external image id.{token && " There are more to load."}</p>
          )}
          <p class="fine pad">
            The service keeps no photos: pictures are of those that this tab has indexed, or loaded again under{" "}
            <a href={to(["collections", collection, "people"])}>People</a>.
          </p>
          {pager("faces")}
        </div>
      )}
      <Snippet call={{ operation: "ListFaces", request: { CollectionId: collection, MaxResults: FETCHED } }} />
      {chosen.size > 0 && (
        <Snippet call={{ operation: "DeleteFaces", request: { CollectionId: collection, FaceIds: ids.slice(0, DELETED_AT_ONCE) } }} />
      )}
      {asking === "delete" && (
        <Confirm title={`Delete ${count(chosen.size, "face")}?`} action="Delete" onConfirm={remove} onClose={() => setAsking(undefined)}>
          <p>What the collection knows of them is gone for good. Faces that belong to a user are kept; disassociate them first.</p>
        </Confirm>
      )}
      {asking === "associate" && <Associate faces={chosen.size} onUser={associate} onClose={() => setAsking(undefined)} />}
    </div>
  );
}

function why(reasons: string[] = [], user: string | undefined) {
  return `${reasons.map(words).join(", ")}${user ? ` (${user})` : ""}`;
}

function Done({ said, refused }: { said: string; refused: Refused[] }) {
  const note = useRef<HTMLDivElement>(null);
  // The button that was pressed has nothing to act on any more, and would lose the focus to nowhere.
  useEffect(() => note.current?.focus(), [said]);
  return (
    <div class={`note ${refused.length ? "warn" : "good"}`} ref={note} tabIndex={-1}>
      <p>{said}</p>
      {refused.length > 0 && (
        <>
          <p>{count(refused.length, "face was", "faces were")} refused:</p>
          <ul class="plain">
            {refused.slice(0, SIZE).map(({ id, why }) => (
              <li key={id}>
                <code>{id}</code> {why}
              </li>
            ))}
          </ul>
        </>
      )}
      <Live>{said}</Live>
    </div>
  );
}

function Row({ face, collection, chosen, onChosen }: { face: Face; collection: string; chosen: boolean; onChosen: (on: boolean) => void }) {
  const name = face.ExternalImageId ?? `face ${face.FaceId}`;
  return (
    <tr>
      <td>
        <input type="checkbox" aria-label={`Choose ${name}`} checked={chosen} onChange={(event) => onChosen(event.currentTarget.checked)} />
      </td>
      <th scope="row">
        <span class="with-crop">
          <FaceOf face={face} />
          {face.ExternalImageId ?? <span class="fine">none</span>}
        </span>
      </th>
      <td class="wide">
        <code>{face.FaceId}</code>
      </td>
      <td class="wide">{face.UserId && <a href={to(["collections", collection, "users", face.UserId])}>{face.UserId}</a>}</td>
      <td class="figure wide">{percent(face.Confidence, 2)}</td>
      <td class="figure">
        <a href={to(["collections", collection, "search"], { face: face.FaceId ?? "" })}>
          Search<span class="hidden"> for {name}</span>
        </a>
      </td>
    </tr>
  );
}

function Associate({ faces, onUser, onClose }: { faces: number; onUser: (user: string) => void; onClose: () => void }) {
  const [user, setUser] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    onClose();
    onUser(user.trim());
  };
  return (
    <Dialog title={`Associate ${count(faces, "face")}`} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        <Field
          label="User id"
          value={user}
          onValue={setUser}
          required
          autofocus
          hint="A user of this collection. Faces that are unlike those it has are refused; of a user without faces, none is."
        />
        <p class="actions end">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button class="primary">Associate</button>
        </p>
      </form>
    </Dialog>
  );
}
