// A contact sheet: faces beside one another, to be looked over and chosen.

import { useState } from "preact/hooks";
import type { Member } from "../groups";
import { percent, short } from "../format";
import { FaceOf } from "./photo";

/** Faces that are shown unless more are asked for. */
const FEW = 24;

type Props = {
  members: Member[];
  chosen: ReadonlySet<string>;
  onChosen: (chosen: ReadonlySet<string>) => void;
  /** Whether the similarity of each is shown. */
  measured?: boolean;
  /** Said of faces below this similarity. */
  doubtfulBelow?: number | undefined;
};

export function Sheet({ members, chosen, onChosen, measured = false, doubtfulBelow }: Props) {
  const [shown, setShown] = useState(FEW);
  const toggle = (id: string) => {
    const after = new Set(chosen);
    if (!after.delete(id)) after.add(id);
    onChosen(after);
  };
  return (
    <>
      <ul class="sheet">
        {members.slice(0, shown).map((member) => (
          <Print
            key={member.id}
            member={member}
            chosen={chosen.has(member.id)}
            similarity={measured ? percent(member.similarity) : undefined}
            doubtful={doubtfulBelow !== undefined && member.similarity < doubtfulBelow}
            onToggle={() => toggle(member.id)}
          />
        ))}
      </ul>
      {members.length > shown && (
        <p class="sheet-more">
          <button type="button" class="quiet" onClick={() => setShown(shown + 4 * FEW)}>
            Show {Math.min(4 * FEW, members.length - shown)} more of {members.length}
          </button>
        </p>
      )}
    </>
  );
}

type PrintProps = { member: Member; chosen: boolean; similarity: string | undefined; doubtful: boolean; onToggle: () => void };

function Print({ member: { id, face }, chosen, similarity, doubtful, onToggle }: PrintProps) {
  const name = face.ExternalImageId ?? short(id);
  return (
    <li>
      <label class={doubtful ? "print doubtful" : "print"} title={`${name}, face ${id}`}>
        <input type="checkbox" checked={chosen} onChange={onToggle} />
        <FaceOf face={face} />
        <span class="print-name">{name}</span>
        {similarity && (
          <span class="fine">
            {similarity}
            {doubtful && " doubtful"}
          </span>
        )}
      </label>
    </li>
  );
}
