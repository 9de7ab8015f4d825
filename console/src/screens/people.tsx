// Who is there: groups of faces that belong to nobody yet, to be looked over, put together and apart, and named.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { call } from "../api";
import { count } from "../format";
import { gathered, keep, keptOf, merged, sortingOf, split, without, type Named, type Sorting } from "../groups";
import type { Reply } from "../operations";
import { to } from "../router";
import { photoOf } from "../seen";
import { Busy, Empty, ErrorNote, Field, Heading, Live, Pager, Threshold, useTask, wholeNumber } from "../ui/basics";
import { LoadPhotos } from "../ui/load-photos";
import { Missing, useOwn } from "../ui/own";
import { Sheet } from "../ui/sheet";
import { Snippet } from "../ui/snippet";
import { GroupCard } from "./group";
import type { Section } from "./section";

/** Groups of a page. */
const SIZE = 10;
/** Users whose names are offered. */
const OFFERED = 500;
/** A group has so many faces at least. */
const LEAST = 2;

export default function People({ collection, onChange }: Section) {
  const [options, setOptions] = useState<{ threshold: number; least?: number | undefined }>({ threshold: 80, least: LEAST });
  const [sorting, setSorting] = useState<Sorting | undefined>(() => keptOf(collection));
  const [users, setUsers] = useState<string[]>([]);
  const [picked, setPicked] = useState<ReadonlySet<number>>(new Set());
  const [named, setNamed] = useState<Named>();
  const [page, setPage] = useState(0);
  const [turn, setTurn] = useState(0);
  const task = useTask<Reply<"GroupFaces">>();
  const { missing, watch } = useOwn("GroupFaces");
  const request = { CollectionId: collection, FaceMatchThreshold: options.threshold, MinFaces: options.least };
  const change = (next: Sorting | undefined) => {
    setSorting(next);
    keep(collection, next);
  };
  const listUsers = async () => {
    const reply = await call("ListUsers", { CollectionId: collection, MaxResults: OFFERED }).catch(() => undefined);
    setUsers((reply?.Users ?? []).map(({ UserId = "" }) => UserId).sort((a, b) => a.localeCompare(b)));
  };
  const group = (event: Event) => {
    event.preventDefault();
    setNamed(undefined);
    void task.run(async () => {
      // Thousands of faces take their time, and somebody else's grouping is waited for.
      const reply = await watch(call("GroupFaces", request, true));
      change(sortingOf(reply));
      setPicked(new Set());
      setPage(0);
      void listUsers();
      return reply;
    });
  };
  useEffect(() => void listUsers(), []);
  const { groups, ungrouped } = sorting ?? { groups: [], ungrouped: [] };
  const last = Math.max(0, Math.ceil(groups.length / SIZE) - 1);
  const at = Math.min(page, last);
  const all = useMemo(() => [...groups.flatMap(({ members }) => members), ...ungrouped], [sorting]);
  const seen = useMemo(() => all.filter(({ face }) => photoOf(face)).length, [all, turn]);
  const onNamed = (id: number, outcome: Named) => {
    setNamed(outcome);
    if (sorting) change(without(sorting, id, new Set([...outcome.given, ...outcome.beyond])));
    setPicked((before) => new Set([...before].filter((other) => other !== id)));
    void listUsers();
    onChange();
  };
  const grouped = count(all.length - ungrouped.length, "face");
  const said = `${count(groups.length, "group")} of ${grouped}, ${count(ungrouped.length, "face")} in none`;
  return (
    <div class="stack">
      <div>
        <Heading level={2} title={`People - ${collection}`}>
          People
        </Heading>
        <p class="fine">Faces that belong to no user yet, grouped by who resembles whom. Nothing is stored until you name a group.</p>
      </div>
      {missing ? (
        <Missing operation="GroupFaces">
          <p>
            Under <a href={to(["collections", collection, "faces"])}>Faces</a> you can choose faces by hand and associate them with a user.
          </p>
        </Missing>
      ) : (
        <>
          <div class="intake">
            <LoadPhotos
              compact={seen > 0}
              said={sorting && all.length > 0 ? `${seen} of ${count(all.length, "face")} have a picture.` : ""}
              onLoaded={() => setTurn((turn) => turn + 1)}
            />
            <form class="card pad stack" onSubmit={group} aria-label="Grouping">
              <div class="options">
                <Threshold
                  label="Least similarity"
                  value={options.threshold}
                  onValue={(threshold) => setOptions((before) => ({ ...before, threshold }))}
                />
                <Field
                  label="Smallest group"
                  type="number"
                  min={String(LEAST)}
                  value={options.least ?? ""}
                  placeholder={String(LEAST)}
                  onValue={(text) => setOptions((before) => ({ ...before, least: wholeNumber(text) }))}
                />
              </div>
              <p class="actions">
                <button class="primary" disabled={task.busy}>
                  {sorting ? "Group anew" : "Group the faces"}
                </button>
              </p>
            </form>
          </div>
          {task.error && <ErrorNote error={task.error} />}
          {task.busy && <Busy>Comparing every face with every other. Many thousands take a minute.</Busy>}
          {named && <NamedNote named={named} collection={collection} />}
          {sorting && <Live>{said}</Live>}
          {sorting && all.length === 0 && (
            <Empty title="Nobody without a name">
              <p>Every face of this collection belongs to a user, or there is none yet.</p>
            </Empty>
          )}
          {sorting && all.length > 0 && (
            <>
              <div class="title-row">
                <h3>{said}</h3>
                <p class="actions">
                  <button
                    type="button"
                    disabled={picked.size < 2}
                    onClick={() => {
                      change(merged(sorting, picked));
                      setPicked(new Set());
                    }}
                  >
                    Merge {picked.size > 1 ? count(picked.size, "group") : "groups"}
                  </button>
                </p>
              </div>
              {groups.slice(at * SIZE, (at + 1) * SIZE).map((one, index) => (
                <GroupCard
                  key={one.id}
                  group={one}
                  number={at * SIZE + index + 1}
                  collection={collection}
                  users={users}
                  threshold={options.threshold}
                  picked={picked.has(one.id)}
                  onPick={(on) =>
                    setPicked((before) => {
                      const after = new Set(before);
                      on ? after.add(one.id) : after.delete(one.id);
                      return after;
                    })
                  }
                  onSplit={(faces) => change(split(sorting, one.id, faces))}
                  onNamed={(outcome) => onNamed(one.id, outcome)}
                />
              ))}
              <Pager page={at} size={SIZE} total={groups.length} onPage={setPage} of="groups" />
              {ungrouped.length > 0 && <Ungrouped sorting={sorting} onChange={change} />}
            </>
          )}
          <Snippet call={{ operation: "GroupFaces", request }} />
        </>
      )}
    </div>
  );
}

/** Faces that resemble nobody enough. */
function Ungrouped({ sorting, onChange }: { sorting: Sorting; onChange: (sorting: Sorting) => void }) {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  return (
    <section class="card flush" aria-labelledby="ungrouped">
      <div class="toolbar">
        <h3 id="ungrouped">In no group</h3>
        <button
          type="button"
          disabled={!chosen.size}
          onClick={() => {
            onChange(gathered(sorting, chosen));
            setChosen(new Set());
          }}
        >
          {chosen.size ? `Make a group of ${count(chosen.size, "face")}` : "Make a group"}
        </button>
      </div>
      <Sheet members={sorting.ungrouped} chosen={chosen} onChosen={setChosen} />
    </section>
  );
}

function NamedNote({ named: { user, given, refused, beyond }, collection }: { named: Named; collection: string }) {
  const note = useRef<HTMLDivElement>(null);
  // The button that was pressed went with its group, and would lose the focus to nowhere.
  useEffect(() => note.current?.focus(), [user, given]);
  return (
    <div class={`note ${refused.length || beyond.length ? "warn" : "good"}`} ref={note} tabIndex={-1} role="status">
      <p>
        {count(given.length, "face")} given to <a href={to(["collections", collection, "users", user])}>{user}</a>.
      </p>
      {beyond.length > 0 && <p>A user has 100 faces at most. {count(beyond.length, "less typical face")} stay without a name.</p>}
      {refused.length > 0 && (
        <>
          <p>{count(refused.length, "face was", "faces were")} refused, and still in the group:</p>
          <ul class="plain">
            {refused.map(({ id, why }) => (
              <li key={id}>
                <code>{id}</code> {why}
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
