// A collection's tags, and its end.

import { useEffect, useState } from "preact/hooks";
import { call } from "../api";
import { forget } from "../batch";
import { go, to } from "../router";
import { Busy, Confirm, ErrorNote, Heading, Live, useTask } from "../ui/basics";
import { Copy, Snippet } from "../ui/snippet";
import { TagFields, tagsOf, type TagRow } from "../ui/tags";
import type { Section } from "./section";

export default function Settings({ collection, arn }: Section) {
  return (
    <div class="stack">
      <Heading level={2} unseen title={`Settings - ${collection}`}>
        Settings
      </Heading>
      <section class="card pad" aria-labelledby="arn">
        <h3 id="arn">Resource name (ARN)</h3>
        <p class="arn">
          <code>{arn}</code>
          <Copy text={arn} what="the ARN" />
        </p>
      </section>
      <Tags arn={arn} />
      <Deletion collection={collection} />
    </div>
  );
}

function Tags({ arn }: { arn: string }) {
  const kept = useTask<Record<string, string>>();
  const saving = useTask<true>();
  const [rows, setRows] = useState<TagRow[]>([]);
  const load = () =>
    kept.run(async () => {
      const tags = (await call("ListTagsForResource", { ResourceArn: arn })).Tags ?? {};
      setRows(Object.entries(tags).map(([key, value]) => ({ key, value })));
      return tags;
    });
  useEffect(() => void load(), []);
  const before = kept.value ?? {};
  const now = tagsOf(rows);
  const changed = Object.fromEntries(Object.entries(now).filter(([key, value]) => before[key] !== value));
  const gone = Object.keys(before).filter((key) => !Object.hasOwn(now, key));
  const dirty = Object.keys(changed).length > 0 || gone.length > 0;
  const save = (event: Event) => {
    event.preventDefault();
    void saving.run(async () => {
      if (gone.length) await call("UntagResource", { ResourceArn: arn, TagKeys: gone });
      if (Object.keys(changed).length) await call("TagResource", { ResourceArn: arn, Tags: changed });
      await load();
      return true;
    });
  };
  return (
    <>
      <form class="card pad stack" onSubmit={save}>
        {kept.busy && !kept.value && <Busy />}
        {kept.error && <ErrorNote error={kept.error} again={load} />}
        {kept.value && (
          <>
            <TagFields rows={rows} onRows={setRows} />
            {rows.length === 0 && <p class="fine">No tags. They tell collections apart for people and for programs that manage them.</p>}
            {saving.error && <ErrorNote error={saving.error} />}
            <p class="actions">
              <button class="primary" disabled={!dirty || saving.busy}>
                Save tags
              </button>
            </p>
            {saving.value && !dirty && <Live>Tags saved</Live>}
          </>
        )}
      </form>
      <Snippet call={{ operation: "ListTagsForResource", request: { ResourceArn: arn } }} />
      {Object.keys(changed).length > 0 && <Snippet call={{ operation: "TagResource", request: { ResourceArn: arn, Tags: changed } }} />}
      {gone.length > 0 && <Snippet call={{ operation: "UntagResource", request: { ResourceArn: arn, TagKeys: gone } }} />}
    </>
  );
}

function Deletion({ collection }: { collection: string }) {
  const [asking, setAsking] = useState(false);
  const deletion = useTask<void>();
  const remove = () =>
    void deletion.run(async () => {
      await call("DeleteCollection", { CollectionId: collection });
      forget(collection);
      go(to(["collections"]));
    });
  return (
    <>
      <section class="card pad stack danger-zone" aria-labelledby="delete-collection">
        <h3 id="delete-collection">Delete the collection</h3>
        <p>With it go its faces, its users and its tags. Nothing brings them back.</p>
        {deletion.error && <ErrorNote error={deletion.error} />}
        <p class="actions">
          <button type="button" class="danger" disabled={deletion.busy} onClick={() => setAsking(true)}>
            Delete {collection}
          </button>
        </p>
      </section>
      <Snippet call={{ operation: "DeleteCollection", request: { CollectionId: collection } }} />
      {asking && (
        <Confirm
          title={`Delete ${collection}?`}
          action="Delete for good"
          typed={collection}
          onConfirm={remove}
          onClose={() => setAsking(false)}
        >
          <p>Every face and every user of this collection is deleted.</p>
        </Confirm>
      )}
    </>
  );
}
