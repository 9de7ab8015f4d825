// Who is in this picture: every face of a photo, and whom of a collection each resembles.

import type { BoundingBox, QualityFilter } from "@aws-sdk/client-rekognition";
import { useEffect, useRef, useState } from "preact/hooks";
import { call } from "../api";
import type { SearchedFace } from "../extensions";
import { count, percent, short, words } from "../format";
import type { Reply, Request } from "../operations";
import { to } from "../router";
import { photoOf } from "../seen";
import { Bar, Busy, Empty, ErrorNote, Field, Heading, Live, Quality, Threshold, useTask, wholeNumber } from "../ui/basics";
import { DropZone } from "../ui/dropzone";
import { Missing, useOwn } from "../ui/own";
import { Crop, FaceOf, Photo, type Mark } from "../ui/photo";
import { Snippet } from "../ui/snippet";
import type { Section } from "./section";

interface Options {
  threshold: number;
  max?: number | undefined;
  filter: QualityFilter;
}

/** Written beside a face that resembles nobody. */
const UNKNOWN = "unknown";
/** Matches that are listed of a face unless more are asked for. */
const FEW = 5;

export default function Picture({ collection }: Section) {
  const [file, setFile] = useState<File>();
  const [selected, setSelected] = useState(0);
  const [options, setOptions] = useState<Options>({ threshold: 80, max: FEW, filter: "NONE" });
  const task = useTask<Reply<"SearchAllFacesByImage">>();
  const { missing, watch } = useOwn("SearchAllFacesByImage");
  const set = (part: Partial<Options>) => setOptions((before) => ({ ...before, ...part }));
  const { threshold, max, filter } = options;
  const request: Request<"SearchAllFacesByImage"> = {
    CollectionId: collection,
    Image: { Bytes: file ?? new File([], "photo.jpg") },
    MaxFaces: max,
    FaceMatchThreshold: threshold,
    MaxUsers: max,
    UserMatchThreshold: threshold,
    QualityFilter: filter,
  };
  const search = () => void (file && task.run(() => watch(call("SearchAllFacesByImage", request))));
  useEffect(() => {
    task.reset();
    setSelected(0);
  }, [file]);
  useEffect(() => {
    // A slider on its way is not asked for at every step.
    const soon = setTimeout(search, 200);
    return () => clearTimeout(soon);
  }, [file, options]);
  const faces = task.value?.Faces ?? [];
  const left = task.value?.UnsearchedFaces ?? [];
  const known = faces.filter((face) => nameOf(face) !== undefined).length;
  const said = `${count(faces.length, "face")}, ${known} known${left.length ? `, ${left.length} not searched` : ""}`;
  return (
    <div class="stack">
      <Heading level={2} title={`Picture - ${collection}`}>
        Who is in this picture?
      </Heading>
      {missing ? (
        <Missing operation="SearchAllFacesByImage">
          <p>
            <a href={to(["collections", collection, "search"])}>Search</a> looks for the largest face of a photo.
          </p>
        </Missing>
      ) : (
        <>
          <div class="query">
            <div class="stack tight">
              <DropZone
                label="Drop a photo of one or many people here"
                compact={file !== undefined}
                onFiles={([first]) => first && setFile(first.file)}
              />
              {file && (
                <section class="card searched" aria-label={`Photo ${file.name}`}>
                  <Photo file={file} alt={file.name} marks={marksOf(faces, left)} selected={selected} onSelect={setSelected} />
                  <p class="fine">{file.name}</p>
                </section>
              )}
            </div>
            <div class="stack tight">
              <OptionsCard options={options} set={set} />
              {task.error && <ErrorNote error={task.error} again={search} />}
              {file && task.busy && !task.value && <Busy>Searching for every face</Busy>}
              {!file && (
                <Empty title="No photo yet">
                  <p>Drop one: each of its faces is looked for among the faces and the users of this collection. Nothing is kept.</p>
                </Empty>
              )}
              {file && task.value && (
                <section class="card flush" aria-label="People" aria-busy={task.busy}>
                  <h3 class="pad-title">{said}</h3>
                  <Live>{said}</Live>
                  <ol class="people">
                    {faces.map((face, index) => (
                      <Person
                        key={index}
                        face={face}
                        at={index}
                        file={file}
                        collection={collection}
                        threshold={threshold}
                        selected={index === selected}
                        onSelect={() => setSelected(index)}
                      />
                    ))}
                  </ol>
                  {left.length > 0 && (
                    <>
                      <h3 class="pad-title">Not searched</h3>
                      <ul class="people">
                        {left.map(({ FaceDetails, Reasons = [] }, index) => (
                          <li key={index} class={faces.length + index === selected ? "person selected" : "person"}>
                            <Cut file={file} box={FaceDetails?.BoundingBox} />
                            <div class="match-text">
                              <p class="match-name">Face {faces.length + index + 1}</p>
                              <p class="fine">{Reasons.map(words).join(", ")}</p>
                            </div>
                          </li>
                        ))}
                      </ul>
                    </>
                  )}
                </section>
              )}
            </div>
          </div>
          <Snippet call={{ operation: "SearchAllFacesByImage", request }} />
        </>
      )}
    </div>
  );
}

/** Who a face is, as far as is known: a user of the collection, or else what the photo of the most similar face was named. */
function nameOf({ UserMatches, FaceMatches }: SearchedFace): string | undefined {
  const user = UserMatches?.[0];
  const face = FaceMatches?.[0];
  return user?.User?.UserId ?? face?.Face?.UserId ?? face?.Face?.ExternalImageId ?? (face && short(face.Face?.FaceId ?? ""));
}

function similarityOf({ UserMatches, FaceMatches }: SearchedFace) {
  return UserMatches?.[0]?.Similarity ?? FaceMatches?.[0]?.Similarity;
}

function marksOf(faces: SearchedFace[], left: NonNullable<Reply<"SearchAllFacesByImage">["UnsearchedFaces"]>): Mark[] {
  return [
    ...faces.map((face, index): Mark => {
      const name = nameOf(face);
      const known = name === undefined ? UNKNOWN : `${name}, similarity ${percent(similarityOf(face))}`;
      return { box: face.FaceDetail?.BoundingBox, label: `Face ${index + 1}: ${known}`, kind: "kept", name: name ?? UNKNOWN };
    }),
    ...left.map(
      ({ FaceDetails, Reasons = [] }, index): Mark => ({
        box: FaceDetails?.BoundingBox,
        label: `Face ${faces.length + index + 1}, not searched: ${Reasons.map(words).join(", ")}`,
        kind: "left",
      }),
    ),
  ];
}

function OptionsCard({ options: { threshold, max, filter }, set }: { options: Options; set: (part: Partial<Options>) => void }) {
  return (
    <div class="card pad options" role="group" aria-label="Options">
      <Threshold label="Least similarity" value={threshold} onValue={(value) => set({ threshold: value })} />
      <Field
        label="Max matches a face"
        type="number"
        min="1"
        value={max ?? ""}
        placeholder="no limit"
        onValue={(text) => set({ max: wholeNumber(text) })}
      />
      <Quality value={filter} onValue={(value) => set({ filter: value })} />
    </div>
  );
}

function Cut({ file, box }: { file: File; box: BoundingBox | undefined }) {
  return box ? <Crop file={file} box={box} /> : null;
}

type PersonProps = {
  face: SearchedFace;
  at: number;
  file: File;
  collection: string;
  threshold: number;
  selected: boolean;
  onSelect: () => void;
};

/** A face of the photo with everybody whom it resembles. */
function Person({ face, at, file, collection, threshold, selected, onSelect }: PersonProps) {
  const entry = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (selected && at > 0) entry.current?.scrollIntoView({ block: "nearest" });
  }, [selected]);
  const [whole, setWhole] = useState(false);
  const name = nameOf(face);
  const users = face.UserMatches ?? [];
  const faces = face.FaceMatches ?? [];
  const shown = whole ? faces : faces.slice(0, FEW);
  return (
    <li class={selected ? "person selected" : "person"} ref={entry}>
      <Cut file={file} box={face.FaceDetail?.BoundingBox} />
      <div class="match-text">
        <p>
          <button type="button" class="person-name" aria-pressed={selected} onClick={onSelect}>
            <span class="hidden">Face {at + 1}: </span>
            {name ?? "Unknown"}
          </button>
        </p>
        {users.length + faces.length === 0 && <p class="fine">Nobody of this collection reaches a similarity of {threshold}.</p>}
        {users.length > 0 && (
          <ul class="likes" aria-label="Users">
            {users.slice(0, whole ? undefined : FEW).map(({ User, Similarity }) => (
              <li key={User?.UserId}>
                <span class="like-name">
                  <a href={to(["collections", collection, "users", User?.UserId ?? ""])}>{User?.UserId}</a> <span class="fine">user</span>
                </span>
                <Bar value={Similarity ?? 0} />
                <span class="value">{percent(Similarity)}</span>
              </li>
            ))}
          </ul>
        )}
        {shown.length > 0 && (
          <ul class="likes" aria-label="Faces">
            {shown.map(({ Face, Similarity }) => (
              <li key={Face?.FaceId}>
                <span class="like-name with-crop">
                  {photoOf(Face) && <FaceOf face={Face} />}
                  <a href={to(["collections", collection, "search"], { face: Face?.FaceId ?? "" })}>
                    {Face?.ExternalImageId ?? <code>{short(Face?.FaceId ?? "")}</code>}
                  </a>
                </span>
                <Bar value={Similarity ?? 0} />
                <span class="value">{percent(Similarity)}</span>
              </li>
            ))}
          </ul>
        )}
        {!whole && Math.max(faces.length, users.length) > FEW && (
          <button type="button" class="quiet" onClick={() => setWhole(true)}>
            All {count(faces.length + users.length, "match", "matches")}
          </button>
        )}
      </div>
    </li>
  );
}
