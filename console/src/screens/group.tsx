// One group of faces as a contact sheet: who it may be, what a person calls it, and which of its faces are somebody else's.

import type { UserMatch } from "@aws-sdk/client-rekognition";
import { useEffect, useId, useState } from "preact/hooks";
import { call } from "../api";
import { count, percent } from "../format";
import { MOST_FACES, name, type Group, type Named } from "../groups";
import { to } from "../router";
import { ErrorNote, useTask } from "../ui/basics";
import { Sheet } from "../ui/sheet";

type Props = {
  group: Group;
  number: number;
  collection: string;
  users: string[];
  threshold: number;
  picked: boolean;
  onPick: (on: boolean) => void;
  onSplit: (faces: ReadonlySet<string>) => void;
  onNamed: (named: Named) => void;
};

export function GroupCard({ group: { members }, number, collection, users, threshold, picked, onPick, onSplit, onNamed }: Props) {
  const [user, setUser] = useState("");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const naming = useTask<Named>();
  const likely = useTask<UserMatch | undefined>();
  const id = useId();
  const typical = members[0]?.id;
  const known = users.length;
  useEffect(() => {
    if (!known || !typical) return;
    const request = { CollectionId: collection, FaceId: typical, UserMatchThreshold: threshold, MaxUsers: 1 };
    void likely.run(async () => (await call("SearchUsers", request)).UserMatches?.[0]);
  }, [typical, known]);
  const give = (to: string) =>
    void naming.run(async () => {
      const named = await name(collection, to.trim(), members);
      onNamed(named);
      return named;
    });
  const match = likely.value;
  const similar = match?.User?.UserId;
  return (
    <section class="card flush group" aria-labelledby={id}>
      <div class="toolbar">
        <div class="check">
          <input
            type="checkbox"
            aria-label={`Choose group ${number}`}
            checked={picked}
            onChange={(event) => onPick(event.currentTarget.checked)}
          />
          <h4 id={id}>Group {number}</h4>
          <span class="fine">{count(members.length, "face")}</span>
        </div>
        <form
          class="naming"
          onSubmit={(event) => {
            event.preventDefault();
            give(user);
          }}
        >
          <label class="hidden" for={`${id}-user`}>
            Name of group {number}
          </label>
          <input
            id={`${id}-user`}
            value={user}
            onInput={(event) => setUser(event.currentTarget.value)}
            list={`${id}-users`}
            placeholder="Who is it?"
            required
            maxLength={128}
            pattern="[a-zA-Z0-9_.\-:]+"
            title="Letters, digits, and any of _ . - :"
            autocomplete="off"
            spellcheck={false}
          />
          <datalist id={`${id}-users`}>
            {users.map((user) => (
              <option key={user} value={user} />
            ))}
          </datalist>
          <button class="primary" disabled={naming.busy}>
            Name
          </button>
        </form>
      </div>
      {similar && (
        <p class="likely">
          Resembles <a href={to(["collections", collection, "users", similar])}>{similar}</a>{" "}
          <span class="value">{percent(match?.Similarity)}</span>
          <button type="button" disabled={naming.busy} onClick={() => give(similar)}>
            Give to {similar}
          </button>
        </p>
      )}
      {members.length > MOST_FACES && (
        <p class="likely fine">A user has {MOST_FACES} faces at most: the most typical ones get the name.</p>
      )}
      {naming.error && <ErrorNote error={naming.error} />}
      <Sheet members={members} chosen={chosen} onChosen={setChosen} measured />
      {chosen.size > 0 && (
        <div class="toolbar below">
          <p class="fine" aria-live="polite">
            {count(chosen.size, "face")} chosen
          </p>
          <button
            type="button"
            disabled={chosen.size === members.length}
            onClick={() => {
              onSplit(chosen);
              setChosen(new Set());
            }}
          >
            Split off {count(chosen.size, "face")}
          </button>
        </div>
      )}
    </section>
  );
}
