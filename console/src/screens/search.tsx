// Who is it: faces or users of a collection, by a photo, a face or a user.

import type { BoundingBox, Face, QualityFilter } from "@aws-sdk/client-rekognition";
import { useEffect, useState } from "preact/hooks";
import { call } from "../api";
import { count, percent, short, words } from "../format";
import type { Call, Request } from "../operations";
import { to, type Route } from "../router";
import { Bar, Busy, Empty, ErrorNote, Field, Heading, Live, Quality, Select, Threshold, useTask, wholeNumber } from "../ui/basics";
import { DropZone } from "../ui/dropzone";
import { FaceOf, Photo, type Mark } from "../ui/photo";
import { Snippet } from "../ui/snippet";
import type { Section } from "./section";

type Subject = { kind: "photo"; file: File } | { kind: "face" | "user"; id: string };

interface Options {
  among: "faces" | "users";
  threshold: number;
  max?: number;
  filter: QualityFilter;
}

interface Match {
  similarity: number;
  face?: Face;
  user?: string;
  status?: string;
}

interface Found {
  /** The face that was searched with, where it was in a photo. */
  box?: BoundingBox;
  confidence?: number;
  others: { box: BoundingBox | undefined; reasons: string[] }[];
  matches: Match[];
}

/** The call of a search, and how it is made. */
function searching(
  collection: string,
  subject: Subject,
  { among, threshold, max, filter }: Options,
): { call: Call; run: () => Promise<Found> } {
  const faces = { CollectionId: collection, FaceMatchThreshold: threshold, MaxFaces: max };
  const users = { CollectionId: collection, UserMatchThreshold: threshold, MaxUsers: max };
  if (subject.kind === "photo" && among === "faces") {
    const request: Request<"SearchFacesByImage"> = { ...faces, Image: { Bytes: subject.file }, QualityFilter: filter };
    return {
      call: { operation: "SearchFacesByImage", request },
      run: async () => {
        const reply = await call("SearchFacesByImage", request);
        return {
          box: reply.SearchedFaceBoundingBox,
          confidence: reply.SearchedFaceConfidence,
          others: [],
          matches: ofFaces(reply.FaceMatches),
        };
      },
    };
  }
  if (subject.kind === "photo") {
    const request: Request<"SearchUsersByImage"> = { ...users, Image: { Bytes: subject.file }, QualityFilter: filter };
    return {
      call: { operation: "SearchUsersByImage", request },
      run: async () => {
        const { SearchedFace, UnsearchedFaces, UserMatches } = await call("SearchUsersByImage", request);
        const others = (UnsearchedFaces ?? []).map(({ FaceDetails, Reasons }) => ({
          box: FaceDetails?.BoundingBox,
          reasons: Reasons ?? [],
        }));
        return {
          box: SearchedFace?.FaceDetail?.BoundingBox,
          confidence: SearchedFace?.FaceDetail?.Confidence,
          others,
          matches: ofUsers(UserMatches),
        };
      },
    };
  }
  if (subject.kind === "face" && among === "faces") {
    const request = { ...faces, FaceId: subject.id };
    return {
      call: { operation: "SearchFaces", request },
      run: async () => ({ others: [], matches: ofFaces((await call("SearchFaces", request)).FaceMatches) }),
    };
  }
  const request = { ...users, ...(subject.kind === "face" ? { FaceId: subject.id } : { UserId: subject.id }) };
  return {
    call: { operation: "SearchUsers", request },
    run: async () => ({ others: [], matches: ofUsers((await call("SearchUsers", request)).UserMatches) }),
  };
}

function ofFaces(matches: { Similarity?: number; Face?: Face }[] = []): Match[] {
  return matches.map(({ Similarity = 0, Face }) => ({ similarity: Similarity, face: Face }));
}

function ofUsers(matches: { Similarity?: number; User?: { UserId?: string; UserStatus?: string } }[] = []): Match[] {
  return matches.map(({ Similarity = 0, User }) => ({ similarity: Similarity, user: User?.UserId, status: User?.UserStatus }));
}

/** What the address asks for: ?face=ID, ?user=ID. */
function asked({ query }: Route): Subject | undefined {
  const face = query.get("face");
  const user = query.get("user");
  return face ? { kind: "face", id: face } : user ? { kind: "user", id: user } : undefined;
}

export default function Search({ collection, route }: Section) {
  const [subject, setSubject] = useState(() => asked(route));
  const [by, setBy] = useState<Subject["kind"]>(subject?.kind ?? "photo");
  const [options, setOptions] = useState<Options>({ among: subject?.kind === "user" ? "users" : "faces", threshold: 80, filter: "NONE" });
  const task = useTask<Found>();
  const set = (part: Partial<Options>) => setOptions((before) => ({ ...before, ...part }));
  const current = subject?.kind === by ? subject : undefined;
  const search = current && searching(collection, current, options);
  const again = () => search && task.run(search.run);
  // What was found for one photo must not be shown on another, nor faces as users; a new threshold may wait for its answer.
  useEffect(() => task.reset(), [current, options.among]);
  useEffect(() => {
    if (!search) return;
    // A slider on its way is not asked for at every step.
    const soon = setTimeout(again, 200);
    return () => clearTimeout(soon);
  }, [current, options]);
  const found = task.value;
  const choose = (kind: Subject["kind"]) => {
    setBy(kind);
    if (kind === "user") set({ among: "users" });
  };
  return (
    <div class="stack">
      <Heading level={2} unseen title={`Search - ${collection}`}>
        Search
      </Heading>
      <div class="query">
        <div class="stack tight">
          <div role="group" aria-label="Search by" class="segments">
            {(
              [
                ["photo", "By photo"],
                ["face", "By face id"],
                ["user", "By user id"],
              ] as const
            ).map(([kind, label]) => (
              <button key={kind} type="button" aria-pressed={by === kind} onClick={() => choose(kind)}>
                {label}
              </button>
            ))}
          </div>
          {by === "photo" ? (
            <DropZone
              label="Drop a photo of somebody here"
              compact={current !== undefined}
              onFiles={([first]) => first && setSubject({ kind: "photo", file: first.file })}
            />
          ) : (
            <IdForm key={by} kind={by} id={current && "id" in current ? current.id : ""} onId={(id) => setSubject({ kind: by, id })} />
          )}
          {current?.kind === "photo" && (
            <section class="card searched" aria-label="Searched photo">
              <Photo file={current.file} alt={current.file.name} marks={marksOf(found)} selected={0} />
              <p class="fine">
                {found?.box ? `The box is the face that was searched for; confidence ${percent(found.confidence, 2)}.` : current.file.name}
              </p>
            </section>
          )}
        </div>
        <div class="stack tight">
          <div class="card pad options" role="group" aria-label="Options">
            <Select
              label="Search among"
              value={options.among}
              onValue={(among) => set({ among })}
              options={
                by === "user"
                  ? [["users", "Users"]]
                  : [
                      ["faces", "Faces"],
                      ["users", "Users"],
                    ]
              }
            />
            <Threshold label="Least similarity" value={options.threshold} onValue={(threshold) => set({ threshold })} />
            <Field
              label="Max matches"
              type="number"
              min="1"
              value={options.max ?? ""}
              placeholder="no limit"
              onValue={(text) => set({ max: wholeNumber(text) })}
            />
            {by === "photo" && <Quality value={options.filter} onValue={(filter) => set({ filter })} />}
          </div>
          {task.error && <ErrorNote error={task.error} again={again} />}
          {current && task.busy && !found && <Busy>Searching</Busy>}
          {current && found && (
            <section class="card flush" aria-label="Matches" aria-busy={task.busy}>
              <Matches found={found} collection={collection} among={options.among} threshold={options.threshold} />
              <Live>{count(found.matches.length, "match", "matches")}</Live>
            </section>
          )}
          {!current && (
            <Empty title={by === "photo" ? "Whose face is it?" : `Which ${by}?`}>
              <p>
                {by === "photo"
                  ? "Drop a photo: its largest face is looked for in this collection."
                  : `Give the id of a ${by} of this collection: it is found in the section ${by === "face" ? "Faces" : "Users"}.`}
              </p>
            </Empty>
          )}
        </div>
      </div>
      {search && <Snippet call={search.call} />}
    </div>
  );
}

function marksOf(found: Found | undefined): Mark[] {
  if (!found) return [];
  return [
    ...(found.box ? [{ box: found.box, label: "The face that was searched for", kind: "kept" as const }] : []),
    ...found.others.map(({ box, reasons }) => ({ box, label: `Not searched: ${reasons.map(words).join(", ")}`, kind: "left" as const })),
  ];
}

function IdForm({ kind, id, onId }: { kind: "face" | "user"; id: string; onId: (id: string) => void }) {
  const [text, setText] = useState(id);
  return (
    <form
      class="card pad inline"
      onSubmit={(event) => {
        event.preventDefault();
        onId(text.trim());
      }}
    >
      <Field label={kind === "face" ? "Face id" : "User id"} value={text} onValue={setText} required />
      <button class="primary">Search</button>
    </form>
  );
}

function Matches({ found, collection, among, threshold }: { found: Found; collection: string; among: string; threshold: number }) {
  if (!found.matches.length) {
    return (
      <Empty title="Nobody else that similar">
        <p>
          No other {among === "users" ? "user" : "face"} of this collection reaches a similarity of {threshold}. A lower threshold shows what
          comes near.
        </p>
      </Empty>
    );
  }
  return (
    <>
      <h3 class="pad-title">{count(found.matches.length, "match", "matches")}</h3>
      <ol class="matches">
        {found.matches.map((match, index) => (
          <li key={match.face?.FaceId ?? match.user}>
            <span class="rank" aria-hidden="true">
              {index + 1}
            </span>
            {match.face && <FaceOf face={match.face} />}
            <div class="match-text">
              {match.face ? (
                <>
                  <p class="match-name">{match.face.ExternalImageId ?? <span class="fine">no external image id</span>}</p>
                  <p class="fine">
                    <a href={to(["collections", collection, "search"], { face: match.face.FaceId ?? "" })}>
                      <code title={match.face.FaceId}>{short(match.face.FaceId ?? "")}</code>
                    </a>
                    {match.face.UserId && ` user ${match.face.UserId}`}
                  </p>
                </>
              ) : (
                <>
                  <p class="match-name">
                    <a href={to(["collections", collection, "users", match.user ?? ""])}>{match.user}</a>
                  </p>
                  <p class="fine">{words(match.status ?? "")}</p>
                </>
              )}
            </div>
            <div class="match-figure">
              <span class="value">{percent(match.similarity, 2)}</span>
              <Bar value={match.similarity} />
            </div>
          </li>
        ))}
      </ol>
    </>
  );
}
