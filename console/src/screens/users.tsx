// The users of a collection, and the faces of one of them.

import type { Face } from "@aws-sdk/client-rekognition";
import { useEffect, useState } from "preact/hooks";
import { call, pages } from "../api";
import { count, short, words } from "../format";
import { go, to } from "../router";
import { Busy, Confirm, Empty, ErrorNote, Field, Heading, Live, useShown, useTask } from "../ui/basics";
import { FaceOf } from "../ui/photo";
import { Snippet } from "../ui/snippet";
import type { Section } from "./section";

const SIZE = 50;

interface User {
  id: string;
  status: string;
}

export default function Users(props: Section) {
  const user = props.route.path[3];
  return user === undefined ? <List {...props} /> : <One key={user} {...props} user={user} />;
}

function List({ collection, onChange }: Section) {
  const list = useTask<User[]>();
  const creation = useTask<string>();
  const [name, setName] = useState("");
  const load = () =>
    list.run(async () => {
      const found: User[] = [];
      for await (const { Users } of pages("ListUsers", { CollectionId: collection, MaxResults: 500 })) {
        found.push(...(Users ?? []).map(({ UserId = "", UserStatus = "" }) => ({ id: UserId, status: UserStatus })));
      }
      return found.sort((a, b) => a.id.localeCompare(b.id));
    });
  useEffect(() => void load(), []);
  const create = (event: Event) => {
    event.preventDefault();
    void creation.run(async () => {
      await call("CreateUser", { CollectionId: collection, UserId: name });
      setName("");
      void load();
      onChange();
      return name;
    });
  };
  const users = list.value ?? [];
  const { shown, field, pager } = useShown(users, SIZE, ({ id }) => id);
  return (
    <div class="stack">
      <Heading level={2} unseen title={`Users - ${collection}`}>
        Users
      </Heading>
      <form class="card pad inline" onSubmit={create}>
        <Field label="New user's id" value={name} onValue={setName} required maxLength={128} />
        <button class="primary" disabled={creation.busy}>
          Create user
        </button>
      </form>
      {creation.error && <ErrorNote error={creation.error} />}
      {creation.value && <Live>{creation.value} created</Live>}
      {list.error && <ErrorNote error={list.error} again={load} />}
      {list.busy && !list.value && <Busy />}
      {list.value && users.length === 0 && (
        <Empty title="No users yet">
          <p>A user gathers up to 100 faces of one person, and is searched for as one. Create one, then associate faces with it.</p>
        </Empty>
      )}
      {users.length > 0 && (
        <div class="card flush">
          <div class="toolbar">
            {field("Filter by user id")}
            <p class="fine">{count(users.length, "user")}</p>
          </div>
          <table>
            <thead>
              <tr>
                <th scope="col">User</th>
                <th scope="col">Status</th>
                <th scope="col">
                  <span class="hidden">Search</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map(({ id, status }) => (
                <tr key={id}>
                  <th scope="row">
                    <a href={to(["collections", collection, "users", id])}>{id}</a>
                  </th>
                  <td>
                    <span class={`tag ${status === "ACTIVE" ? "good" : ""}`}>{words(status)}</span>
                  </td>
                  <td class="figure">
                    <a href={to(["collections", collection, "search"], { user: id })}>
                      Search<span class="hidden"> for {id}</span>
                    </a>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {pager("users")}
        </div>
      )}
      <Snippet call={{ operation: "ListUsers", request: { CollectionId: collection, MaxResults: 500 } }} />
      <Snippet call={{ operation: "CreateUser", request: { CollectionId: collection, UserId: name || "USER" } }} />
    </div>
  );
}

function One({ collection, user, onChange }: Section & { user: string }) {
  const faces = useTask<Face[]>();
  const work = useTask<{ said: string; refused: string[] }>();
  const [typed, setTyped] = useState("");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [deleting, setDeleting] = useState(false);
  const here = { CollectionId: collection, UserId: user };
  const load = () =>
    faces.run(async () => {
      const found: Face[] = [];
      for await (const { Faces } of pages("ListFaces", here)) found.push(...(Faces ?? []));
      return found;
    });
  useEffect(() => void load(), []);
  const ids = typed.split(/[\s,]+/).filter(Boolean);
  const associate = (event: Event) => {
    event.preventDefault();
    void work.run(async () => {
      const reply = await call("AssociateFaces", { ...here, FaceIds: ids });
      setTyped("");
      void load();
      return {
        said: `${count(reply.AssociatedFaces?.length ?? 0, "face")} associated.`,
        refused: (reply.UnsuccessfulFaceAssociations ?? []).map(
          ({ FaceId, Reasons = [], UserId }) => `${FaceId}: ${Reasons.map(words).join(", ")}${UserId ? ` (${UserId})` : ""}`,
        ),
      };
    });
  };
  const disassociate = () =>
    void work.run(async () => {
      const reply = await call("DisassociateFaces", { ...here, FaceIds: [...chosen] });
      setChosen(new Set());
      void load();
      return {
        said: `${count(reply.DisassociatedFaces?.length ?? 0, "face")} disassociated.`,
        refused: (reply.UnsuccessfulFaceDisassociations ?? []).map(
          ({ FaceId, Reasons = [] }) => `${FaceId}: ${Reasons.map(words).join(", ")}`,
        ),
      };
    });
  const remove = () =>
    void work.run(async () => {
      await call("DeleteUser", here);
      onChange();
      go(to(["collections", collection, "users"]));
      return { said: `${user} deleted.`, refused: [] };
    });
  const toggle = (id: string) =>
    setChosen((before) => {
      const after = new Set(before);
      if (!after.delete(id)) after.add(id);
      return after;
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
          <button type="button" class="danger quiet" onClick={() => setDeleting(true)}>
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
              Several with spaces between. Or choose them under <a href={to(["collections", collection, "faces"])}>Faces</a>.
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
      {faces.value && faces.value.length > 0 && (
        <section class="card flush" aria-label="Faces of the user">
          <div class="toolbar">
            <p>{count(faces.value.length, "face")}</p>
            <button type="button" disabled={!chosen.size || work.busy} onClick={disassociate}>
              Disassociate {chosen.size || ""}
            </button>
          </div>
          <ul class="tiles">
            {faces.value.map(({ FaceId = "", ExternalImageId }) => (
              <li key={FaceId}>
                <label class="tile">
                  <input type="checkbox" checked={chosen.has(FaceId)} onChange={() => toggle(FaceId)} />
                  <FaceOf id={FaceId} />
                  <span>
                    <span class="match-name">{ExternalImageId ?? "no external image id"}</span>
                    <code class="fine" title={FaceId}>
                      {short(FaceId)}
                    </code>
                  </span>
                </label>
              </li>
            ))}
          </ul>
        </section>
      )}
      <Snippet call={{ operation: "AssociateFaces", request: { ...here, FaceIds: ids.length ? ids : ["FACE-ID"] } }} />
      {chosen.size > 0 && <Snippet call={{ operation: "DisassociateFaces", request: { ...here, FaceIds: [...chosen] } }} />}
      {deleting && (
        <Confirm title={`Delete ${user}?`} action="Delete user" onConfirm={remove} onClose={() => setDeleting(false)}>
          <p>Its faces stay in the collection, and belong to nobody then.</p>
        </Confirm>
      )}
    </div>
  );
}
