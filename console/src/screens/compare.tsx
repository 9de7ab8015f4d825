// Whether a face of one photo is in another.

import type { BoundingBox, QualityFilter } from "@aws-sdk/client-rekognition";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { call } from "../api";
import { count, percent } from "../format";
import type { Reply } from "../operations";
import { Bar, Busy, Empty, ErrorNote, Heading, Live, Quality, Threshold, useTask } from "../ui/basics";
import { DropZone } from "../ui/dropzone";
import { Crop, Photo, type Mark } from "../ui/photo";
import { Snippet } from "../ui/snippet";

export default function Compare() {
  const [source, setSource] = useState<File>();
  const [target, setTarget] = useState<File>();
  const [threshold, setThreshold] = useState(80);
  const [filter, setFilter] = useState<QualityFilter>("NONE");
  const task = useTask<Reply<"CompareFaces">>();
  const request = source &&
    target && { SourceImage: { Bytes: source }, TargetImage: { Bytes: target }, SimilarityThreshold: threshold, QualityFilter: filter };
  const run = () => request && task.run(() => call("CompareFaces", request));
  useEffect(() => task.reset(), [source, target]);
  useEffect(() => {
    const soon = setTimeout(run, 200);
    return () => clearTimeout(soon);
  }, [source, target, threshold, filter]);
  const reply = task.value;
  const matches = reply?.FaceMatches ?? [];
  const unmatched = reply?.UnmatchedFaces ?? [];
  const sourceMarks: Mark[] = reply ? [{ box: reply.SourceImageFace?.BoundingBox, label: "The source face", kind: "kept" }] : [];
  const targetMarks = [
    ...matches.map(({ Face, Similarity }, index): Mark => ({
      box: Face?.BoundingBox,
      label: `Match ${index + 1}, similarity ${percent(Similarity)}`,
      kind: "kept",
    })),
    ...unmatched.map((face, index): Mark => ({ box: face.BoundingBox, label: `Unmatched face ${index + 1}`, kind: "left" })),
  ];
  return (
    <div class="stack">
      <div>
        <Heading level={1} title="Compare">
          Compare
        </Heading>
        <p class="fine">The largest face of the source is compared with every face of the target. Nothing is kept.</p>
      </div>
      <div class="card pad options row" role="group" aria-label="Options">
        <Threshold label="Least similarity" value={threshold} onValue={setThreshold} />
        <Quality value={filter} onValue={setFilter} />
      </div>
      {task.error && <ErrorNote error={task.error} again={run} />}
      <Pair
        lines={matches.map(({ Face, Similarity }) => ({
          from: reply?.SourceImageFace?.BoundingBox,
          to: Face?.BoundingBox,
          similarity: Similarity ?? 0,
        }))}
      >
        <Side label="Source" file={source} marks={sourceMarks} onFile={setSource} />
        <Side label="Target" file={target} marks={targetMarks} onFile={setTarget} />
      </Pair>
      {task.busy && <Busy>Comparing</Busy>}
      {!request && (
        <Empty title="Two photos to compare">
          <p>Drop one on each side: a portrait as the source, and a photo in which to look for that person as the target.</p>
        </Empty>
      )}
      {reply && target && (
        <section class="card flush" aria-label="Result">
          <h2 class="pad-title">
            {count(matches.length, "match", "matches")}, {count(unmatched.length, "unmatched face")}
          </h2>
          <Live>
            {count(matches.length, "match", "matches")}, {count(unmatched.length, "unmatched face")}
          </Live>
          <ul class="matches">
            {matches.map(({ Face, Similarity }, index) => (
              <li key={`match ${index}`}>
                {Face?.BoundingBox && <Crop file={target} box={Face.BoundingBox} />}
                <div class="match-text">
                  <p class="match-name">Match {index + 1}</p>
                  <p class="fine">Confidence {percent(Face?.Confidence, 2)}</p>
                </div>
                <div class="match-figure">
                  <span class="value">{percent(Similarity, 2)}</span>
                  <Bar value={Similarity ?? 0} />
                </div>
              </li>
            ))}
            {unmatched.map((face, index) => (
              <li key={`unmatched ${index}`}>
                {face.BoundingBox && <Crop file={target} box={face.BoundingBox} />}
                <div class="match-text">
                  <p class="match-name">Unmatched face {index + 1}</p>
                  <p class="fine">Confidence {percent(face.Confidence, 2)}</p>
                </div>
                <div class="match-figure fine">below {percent(threshold, 0)}</div>
              </li>
            ))}
          </ul>
        </section>
      )}
      {request && <Snippet call={{ operation: "CompareFaces", request }} />}
    </div>
  );
}

function Side({ label, file, marks, onFile }: { label: string; file: File | undefined; marks: Mark[]; onFile: (file: File) => void }) {
  return (
    <section class="side" aria-label={label}>
      <p class="side-title">
        {label}
        {file && <span class="fine">{file.name}</span>}
      </p>
      {file && (
        <div class="card flush">
          <Photo file={file} alt={`${label}: ${file.name}`} marks={marks} selected={-1} />
        </div>
      )}
      <DropZone
        label={`Drop the ${label.toLowerCase()} here`}
        compact={file !== undefined}
        onFiles={([first]) => first && onFile(first.file)}
      />
    </section>
  );
}

interface Line {
  from: BoundingBox | undefined;
  to: BoundingBox | undefined;
  similarity: number;
}

interface Drawn {
  path: string;
  middle: [number, number];
  similarity: number;
}

/** Two photos with lines from the source's face to each that matches. */
function Pair({ lines, children }: { lines: Line[]; children: ComponentChildren }) {
  const frame = useRef<HTMLDivElement>(null);
  const [drawn, setDrawn] = useState<Drawn[]>([]);
  const key = JSON.stringify(lines);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const measure = () => setDrawn(drawnIn(element, lines));
    // Photos take their place when they have been decoded, and move with the window.
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    for (const photo of element.querySelectorAll(".photo")) observer.observe(photo);
    measure();
    return () => observer.disconnect();
  }, [key]);
  return (
    <div class="pair" ref={frame}>
      {children}
      {drawn.length > 0 && (
        <>
          <svg class="lines" aria-hidden="true">
            {drawn.map(({ path }, index) => (
              <g key={index}>
                <path class="halo" d={path} />
                <path d={path} />
              </g>
            ))}
          </svg>
          {drawn.map(({ middle: [x, y], similarity }, index) => (
            <span key={index} class="line-label" aria-hidden="true" style={{ left: `${x}px`, top: `${y}px` }}>
              {percent(similarity)}
            </span>
          ))}
        </>
      )}
    </div>
  );
}

function drawnIn(frame: HTMLElement, lines: Line[]): Drawn[] {
  const [source, target] = [...frame.querySelectorAll(".photo")].map((photo) => photo.getBoundingClientRect());
  if (!source?.height || !target?.height) return [];
  const origin = frame.getBoundingClientRect();
  const beside = target.left >= source.right;
  /** A point of a box: how far along its width and its height. */
  const at = (
    photo: DOMRect,
    { Left = 0, Top = 0, Width = 0, Height = 0 }: BoundingBox,
    across: number,
    down: number,
  ): [number, number] => [
    photo.left - origin.left + (Left + across * Width) * photo.width,
    photo.top - origin.top + (Top + down * Height) * photo.height,
  ];
  return lines.flatMap(({ from, to, similarity }) => {
    if (!from || !to) return [];
    const [x1, y1] = beside ? at(source, from, 1, 0.5) : at(source, from, 0.5, 1);
    const [x2, y2] = beside ? at(target, to, 0, 0.5) : at(target, to, 0.5, 0);
    const [mx, my] = [(x1 + x2) / 2, (y1 + y2) / 2];
    const bend = beside ? `${mx} ${y1} ${mx} ${y2}` : `${x1} ${my} ${x2} ${my}`;
    return [{ path: `M${x1} ${y1}C${bend} ${x2} ${y2}`, middle: [mx, my] as [number, number], similarity }];
  });
}
