// All collections of the account, and a new one.

import { useEffect, useState } from "preact/hooks";
import { call, pages } from "../api";
import { count, number, time } from "../format";
import type { Reply } from "../operations";
import { go, to } from "../router";
import { Busy, Dialog, Empty, ErrorNote, Field, Heading, useShown, useTask } from "../ui/basics";
import { Snippet } from "../ui/snippet";
import { TagFields, tagsOf, type TagRow } from "../ui/tags";

const SIZE = 25;

export default function Collections() {
  const list = useTask<string[]>();
  const [creating, setCreating] = useState(false);
  const load = () =>
    list.run(async () => {
      const found: string[] = [];
      for await (const { CollectionIds } of pages("ListCollections", {})) found.push(...(CollectionIds ?? []));
      return found.sort((a, b) => a.localeCompare(b));
    });
  useEffect(() => void load(), []);
  const { matching, shown, field, pager } = useShown(list.value ?? [], SIZE, (name) => name);
  return (
    <div class="stack">
      <div class="title-row">
        <div>
          <Heading level={1} title="Collections">
            Collections
          </Heading>
          <p class="fine">
            {list.value ? count(list.value.length, "collection") : "Faces are kept in collections, and searched one collection at a time."}
          </p>
        </div>
        <button type="button" class="primary" onClick={() => setCreating(true)}>
          New collection
        </button>
      </div>
      {list.busy && <Busy />}
      {list.error && <ErrorNote error={list.error} again={load} />}
      {list.value?.length === 0 && (
        <Empty title="No collection yet">
          <p>A collection keeps the faces of photos that you index. Create one, then drop photos on it.</p>
          <p>
            <button type="button" class="primary" onClick={() => setCreating(true)}>
              Create the first one
            </button>
          </p>
        </Empty>
      )}
      {list.value !== undefined && list.value.length > 0 && (
        <div class="card flush">
          {list.value.length > 5 && (
            <div class="toolbar">
              {field("Filter by name")}
            </div>
          )}
          <div class="scroll" role="region" aria-label="Collections" tabIndex={0}>
            <table>
              <thead>
                <tr>
                  <th scope="col">Name</th>
                  <th scope="col" class="figure">
                    Faces
                  </th>
                  <th scope="col" class="figure">
                    Users
                  </th>
                  <th scope="col" class="wide">
                    Face model
                  </th>
                  <th scope="col" class="wide">
                    Created
                  </th>
                  <th scope="col" class="wide">
                    Tags
                  </th>
                </tr>
              </thead>
              <tbody>
                {shown.map((name) => (
                  <Row key={name} name={name} />
                ))}
              </tbody>
            </table>
          </div>
          {matching.length === 0 && <p class="pad fine">No collection has that in its name.</p>}
          {pager("collections")}
        </div>
      )}
      <Snippet call={{ operation: "ListCollections", request: {} }} />
      {creating && <Create onClose={() => setCreating(false)} />}
    </div>
  );
}

type About = Reply<"DescribeCollection"> & { tags: [string, string][] };

/** A collection, described when it comes into view. */
function Row({ name }: { name: string }) {
  const about = useTask<About>();
  useEffect(
    () =>
      void about.run(async () => {
        const described = await call("DescribeCollection", { CollectionId: name });
        const { Tags } = await call("ListTagsForResource", { ResourceArn: described.CollectionARN });
        return { ...described, tags: Object.entries(Tags ?? {}) };
      }),
    [name],
  );
  const { value, error } = about;
  return (
    <tr>
      <th scope="row">
        <a href={to(["collections", name])}>{name}</a>
        {value && (
          <p class="fine wide">
            <code>{value.CollectionARN}</code>
          </p>
        )}
        {error && (
          <p class="fine bad">
            {error.name}: {error.message}
          </p>
        )}
      </th>
      <td class="figure">{value ? number(value.FaceCount ?? 0) : "\u2026"}</td>
      <td class="figure">{value ? number(value.UserCount ?? 0) : "\u2026"}</td>
      <td class="wide">{value?.FaceModelVersion}</td>
      <td class="wide time">{value && time(value.CreationTimestamp)}</td>
      <td class="wide">
        <span class="tags">
          {value?.tags.map(([key, text]) => (
            <span key={key} class="tag">
              {key}
              {text && `: ${text}`}
            </span>
          ))}
        </span>
      </td>
    </tr>
  );
}

function Create({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [tags, setTags] = useState<TagRow[]>([]);
  const task = useTask<Reply<"CreateCollection">>();
  const given = tagsOf(tags);
  const request = { CollectionId: name, Tags: Object.keys(given).length ? given : undefined };
  const submit = async (event: Event) => {
    event.preventDefault();
    if (await task.run(() => call("CreateCollection", request))) {
      onClose();
      go(to(["collections", name]));
    }
  };
  return (
    <Dialog title="New collection" onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        <Field label="Name" value={name} onValue={setName} required maxLength={255} autofocus hint="Letters, digits, and any of _ . -" />
        <TagFields rows={tags} onRows={setTags} />
        {task.error && <ErrorNote error={task.error} />}
        <Snippet call={{ operation: "CreateCollection", request }} />
        <p class="actions end">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button class="primary" disabled={task.busy}>
            Create
          </button>
        </p>
      </form>
    </Dialog>
  );
}
