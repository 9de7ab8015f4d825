// One user: its faces, those that may be somebody else's first, to be taken away or deleted.

import { useEffect, useState } from "preact/hooks";
import { call, pages, ServiceError } from "../api";
import { count, words } from "../format";
import { members, type Member } from "../groups";
import { go, to } from "../router";
import { Busy, Confirm, Empty, ErrorNote, Field, Heading, Threshold, useTask } from "../ui/basics";
import { useOwn } from "../ui/own";
import { Sheet } from "../ui/sheet";
import { Snippet } from "../ui/snippet";
import type { Section } from "./section";

/** A face whose average similarity to the others is below this is doubtful, unless somebody sets another limit. */
const DOUBTFUL = 80;

interface Done {
  said: string;
  refused: string[];
}

export function OneUser({ collection, user, onChange }: Section & { user: string }) {
  const faces = useTask<Member[]>();
  const work = useTask<Done>();
  const { missing, watch } = useOwn("DescribeUser");
  const [typed, setTyped] = useState("");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [limit, setLimit] = useState(DOUBTFUL);
  const [asking, setAsking] = useState<"user" | "faces">();
  const here = { CollectionId: collection, UserId: user };
  const load = () =>
    faces.run(async () => {
      try {
        if (!missing) return members((await watch(call("DescribeUser", here))).Faces);
      } catch (error) {
        if (!(error instanceof ServiceError && error.name === "UnknownOperationException")) throw error;
      }
      // Without the operation the faces are known, but not which of them are doubtful.
      const found: Member[] = [];
      for await (const { Faces } of pages("ListFaces", here)) found.push(...members(Faces?.map((Face) => ({ Face }))));
      return found;
    });
  useEffect(() => void load(), []);
  const ids = typed.split(/[\s,]+/).filter(Boolean);
  const list = faces.value ?? [];
  // One face resembles itself.
  const measured = !missing && list.length > 1;
  const doubtful = measured ? list.filter(({ similarity }) => similarity < limit) : [];
  const changed = () => {
    setChosen(new Set());
    void load();
  };
  const associate = (event: Event) => {
    event.preventDefault();
    void work.run(async () => {
      const reply = await call("AssociateFaces", { ...here, FaceIds: ids });
      setTyped("");
      changed();
      return {
        said: `${count(reply.AssociatedFaces?.length ?? 0, "face")} associated.`,
        refused: refusals(reply.UnsuccessfulFaceAssociations),
      };
    });
  };
  const disassociate = () => call("DisassociateFaces", { ...here, FaceIds: [...chosen] });
  const takeAway = () =>
    void work.run(async () => {
      const reply = await disassociate();
      changed();
      return {
        said: `${count(reply.DisassociatedFaces?.length ?? 0, "face")} disassociated.`,
        refused: refusals(reply.UnsuccessfulFaceDisassociations),
      };
    });
  const removeFaces = () =>
    void work.run(async () => {
      // The service keeps faces that belong to a user.
      const free = ((await disassociate()).DisassociatedFaces ?? []).flatMap(({ FaceId }) => FaceId ?? []);
      const reply = free.length ? await call("DeleteFaces", { CollectionId: collection, FaceIds: free }) : undefined;
      changed();
      onChange();
      return { said: `${count(reply?.DeletedFaces?.length ?? 0, "face")} deleted.`, refused: refusals(reply?.UnsuccessfulFaceDeletions) };
    });
  const removeUser = () =>
    void work.run(async () => {
      await call("DeleteUser", here);
      onChange();
      go(to(["collections", collection, "users"]));
      return { said: `${user} deleted.`, refused: [] };
    });
  return (
    <div class="stack">
      <div class="title-row">
        <div>
          <p class="crumb">
            <a href={to(["collections", collection, "users"])}>Users</a>
          </p>
          <Heading level={2} title={`${user} - ${collection}`}>
            {user}
          </Heading>
        </div>
        <p class="actions">
          <a class="button" href={to(["collections", collection, "search"], { user })}>
            Search similar users
          </a>
          <button type="button" class="danger quiet" onClick={() => setAsking("user")}>
            Delete user
          </button>
        </p>
      </div>
      {work.error && <ErrorNote error={work.error} />}
      {work.value && (
        <div class={`note ${work.value.refused.length ? "warn" : "good"}`} role="status">
          <p>{work.value.said}</p>
          {work.value.refused.map((line) => (
            <p key={line}>{line}</p>
          ))}
        </div>
      )}
      <form class="card pad inline" onSubmit={associate}>
        <Field
          label="Face ids to associate"
          value={typed}
          onValue={setTyped}
          required
          hint={
            <>
              Several with spaces between. Or choose them under <a href={to(["collections", collection, "faces"])}>Faces</a>, or name a
              group under <a href={to(["collections", collection, "people"])}>People</a>.
            </>
          }
        />
        <button class="primary" disabled={work.busy}>
          Associate
        </button>
      </form>
      {faces.error && <ErrorNote error={faces.error} again={load} />}
      {faces.busy && !faces.value && <Busy />}
      {faces.value?.length === 0 && (
        <Empty title="No faces yet">
          <p>A user without faces is never found. Associate some that show the same person.</p>
        </Empty>
      )}
      {list.length > 0 && (
        <section class="card flush" aria-label="Faces of the user">
          {measured && (
            <div class="toolbar">
              <Threshold label="Doubtful below" value={limit} onValue={setLimit} />
              <button
                type="button"
                disabled={!doubtful.length}
                onClick={() => setChosen(new Set(doubtful.map(({ id }) => id)))}
              >
                Choose {count(doubtful.length, "doubtful face")}
              </button>
            </div>
          )}
          <div class="toolbar">
            <p>
              {count(list.length, "face")}
              {measured && <span class="fine">, with the average similarity to the others; the least similar first</span>}
            </p>
            <div class="toolbar-end">
              <button type="button" disabled={!chosen.size || work.busy} onClick={takeAway}>
                Disassociate {chosen.size || ""}
              </button>
              <button type="button" class="danger quiet" disabled={!chosen.size || work.busy} onClick={() => setAsking("faces")}>
                Delete {chosen.size || ""}
              </button>
            </div>
          </div>
          <Sheet
            members={list}
            chosen={chosen}
            onChosen={setChosen}
            measured={measured}
            doubtfulBelow={measured ? limit : undefined}
          />
        </section>
      )}
      {!missing && <Snippet call={{ operation: "DescribeUser", request: here }} />}
      <Snippet call={{ operation: "AssociateFaces", request: { ...here, FaceIds: ids.length ? ids : ["FACE-ID"] } }} />
      {chosen.size > 0 && <Snippet call={{ operation: "DisassociateFaces", request: { ...here, FaceIds: [...chosen] } }} />}
      {asking === "user" && (
        <Confirm title={`Delete ${user}?`} action="Delete user" onConfirm={removeUser} onClose={() => setAsking(undefined)}>
          <p>Its faces stay in the collection, and belong to nobody then.</p>
        </Confirm>
      )}
      {asking === "faces" && (
        <Confirm
          title={`Delete ${count(chosen.size, "face")}?`}
          action="Delete faces"
          onConfirm={removeFaces}
          onClose={() => setAsking(undefined)}
        >
          <p>They are taken from {user}, and what the collection knows of them is gone for good.</p>
        </Confirm>
      )}
    </div>
  );
}

function refusals(refused: { FaceId?: string; UserId?: string; Reasons?: string[] }[] = []) {
  return refused.map(({ FaceId, Reasons = [], UserId }) => `${FaceId}: ${Reasons.map(words).join(", ")}${UserId ? ` (${UserId})` : ""}`);
}
