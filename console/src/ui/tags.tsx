// Tags while they are being written.

import { useEffect, useRef } from "preact/hooks";
import { Field } from "./basics";

export interface TagRow {
  key: string;
  value: string;
}

export function tagsOf(rows: TagRow[]) {
  return Object.fromEntries(rows.filter(({ key }) => key).map(({ key, value }) => [key, value]));
}

export function TagFields({ rows, onRows }: { rows: TagRow[]; onRows: (rows: TagRow[]) => void }) {
  const group = useRef<HTMLFieldSetElement>(null);
  const before = useRef(rows.length);
  useEffect(() => {
    // What was just added is written next; what was removed must not take the focus with it.
    if (rows.length > before.current) group.current?.querySelector<HTMLInputElement>(".tag-row:last-of-type input")?.focus();
    if (rows.length < before.current) group.current?.querySelector<HTMLButtonElement>(".add")?.focus();
    before.current = rows.length;
  }, [rows.length]);
  const change = (index: number, part: Partial<TagRow>) => onRows(rows.map((row, at) => (at === index ? { ...row, ...part } : row)));
  return (
    <fieldset ref={group}>
      <legend>Tags</legend>
      {rows.map((row, index) => (
        <div class="tag-row" key={index}>
          <Field label="Key" value={row.key} maxLength={128} onValue={(key) => change(index, { key })} />
          <Field label="Value" value={row.value} maxLength={256} onValue={(value) => change(index, { value })} />
          <button
            type="button"
            aria-label={`Remove tag ${row.key || index + 1}`}
            onClick={() => onRows(rows.filter((_, at) => at !== index))}
          >
            Remove
          </button>
        </div>
      ))}
      <button type="button" class="add" onClick={() => onRows([...rows, { key: "", value: "" }])}>
        Add a tag
      </button>
    </fieldset>
  );
}
