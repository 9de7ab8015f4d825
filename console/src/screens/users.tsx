// The users of a collection.

import { useEffect, useState } from "preact/hooks";
import { call, pages } from "../api";
import { count, words } from "../format";
import { to } from "../router";
import { Busy, Empty, ErrorNote, Field, Heading, Live, useShown, useTask } from "../ui/basics";
import { Snippet } from "../ui/snippet";
import type { Section } from "./section";
import { OneUser } from "./user";

const SIZE = 50;

interface User {
  id: string;
  status: string;
}

export default function Users(props: Section) {
  const user = props.route.path[3];
  return user === undefined ? <List {...props} /> : <OneUser key={user} {...props} user={user} />;
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
