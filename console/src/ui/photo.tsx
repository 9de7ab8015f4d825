// A photo with what was found on it. Boxes are parts of the width and height of the upright image, which is what a browser shows.

import type { BoundingBox, Face, Landmark } from "@aws-sdk/client-rekognition";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { asMeant } from "../files";
import { onLoaded, photoOf } from "../seen";
import { spread } from "./names";

export interface Mark {
  box: BoundingBox | undefined;
  landmarks?: Landmark[];
  /** Said of the box, and what tells it from others: kept faces are drawn through, others dashed. */
  label: string;
  kind: "kept" | "left";
  number?: number;
  /** Written beside the box. */
  name?: string;
}

/** An address of a file, for as long as it is shown. */
function useAddress(file: File) {
  const [address, setAddress] = useState<string>();
  useEffect(() => {
    let wanted = true;
    let made: string | undefined;
    void asMeant(file)
      .catch(() => file)
      .then((picture) => {
        if (wanted) setAddress((made = URL.createObjectURL(picture)));
      });
    return () => {
      wanted = false;
      setAddress(undefined);
      if (made) URL.revokeObjectURL(made);
    };
  }, [file]);
  return address;
}

const part = (value: number | undefined) => `${(value ?? 0) * 100}%`;

type Props = {
  file: File;
  alt: string;
  marks: Mark[];
  selected?: number;
  onSelect?: (index: number) => void;
  onSize?: () => void;
  children?: ComponentChildren;
};

export function Photo({ file, alt, marks, selected, onSelect, onSize, children }: Props) {
  const address = useAddress(file);
  const [size, setSize] = useState<{ width: number; height: number }>();
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    setSize(undefined);
    setBroken(false);
  }, [file]);
  const photo = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = photo.current;
    if (!element || !size || !marks.some(({ name }) => name)) return;
    spread(element);
    const observer = new ResizeObserver(() => spread(element));
    observer.observe(element);
    return () => observer.disconnect();
  }, [size, marks.map(({ name }) => name).join("\n")]);
  if (broken) return <p class="unseen">This browser cannot show the file.</p>;
  const ratio = size ? size.width / size.height : undefined;
  const frame = ratio === undefined ? undefined : { aspectRatio: String(ratio), width: `min(100%, ${ratio} * var(--photo-height))` };
  return (
    <div class="photo" style={frame} ref={photo}>
      {address && (
        <img
          src={address}
          alt={alt}
          onError={() => setBroken(true)}
          onLoad={({ currentTarget: image }) => {
            setSize({ width: image.naturalWidth, height: image.naturalHeight });
            onSize?.();
          }}
        />
      )}
      {size &&
        marks.map((mark, index) => (
          <Box key={index} mark={mark} selected={index === selected} onSelect={onSelect && (() => onSelect(index))} />
        ))}
      {size &&
        marks.map((mark, index) =>
          mark.landmarks?.map((point) => (
            <i
              key={`${index} ${point.Type}`}
              class={`point ${index === selected ? "selected" : ""}`}
              style={{ left: part(point.X), top: part(point.Y) }}
            />
          )),
        )}
      {children}
    </div>
  );
}

function Box({ mark, selected, onSelect }: { mark: Mark; selected: boolean; onSelect?: () => void }) {
  if (!mark.box) return null;
  const { Left, Top, Width, Height } = mark.box;
  const style = { left: part(Left), top: part(Top), width: part(Width), height: part(Height) };
  const number = mark.number !== undefined && (
    <span class="number" aria-hidden="true">
      {mark.number}
    </span>
  );
  const name = mark.name !== undefined && (
    <span class="name" aria-hidden="true">
      {mark.name}
    </span>
  );
  const look = `box ${mark.kind} ${selected ? "selected" : ""}`;
  if (!onSelect)
    return (
      <span class={look} style={style} role="img" aria-label={mark.label}>
        {number}
        {name}
      </span>
    );
  return (
    <button type="button" class={look} style={style} aria-pressed={selected} aria-label={mark.label} onClick={onSelect}>
      {number}
      {name}
    </button>
  );
}

const SIDE = 144;
/** What is so near to the screen is drawn before it is scrolled to. */
const AHEAD = "50%";
let decoding: Promise<void> = Promise.resolve();

/** A small square of a photo: the face in the box, or of the whole what lies a little above the middle, where heads are. It is drawn when it comes into view, and one photo is
 * decoded at a time and apart from the page: as images they would hold it up, large as they are. */
export function Crop({ file, box }: { file: File; box?: BoundingBox | undefined }) {
  const [canvas, setCanvas] = useState<HTMLCanvasElement | null>(null);
  useEffect(() => {
    if (!canvas) return;
    let wanted = true;
    const draws = (entries: IntersectionObserverEntry[]) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      decoding = decoding.then(async () => {
        if (wanted) await draw(canvas, file, box).catch(() => undefined); // what cannot be decoded leaves the square empty
      });
    };
    const observer = new IntersectionObserver(draws, { rootMargin: AHEAD });
    observer.observe(canvas);
    return () => {
      wanted = false;
      observer.disconnect();
    };
  }, [canvas, file, box]);
  return <canvas ref={setCanvas} class="crop" width={SIDE} height={SIDE} aria-hidden="true" />;
}

async function draw(canvas: HTMLCanvasElement, file: File, box: BoundingBox | undefined) {
  const image = await createImageBitmap(await asMeant(file));
  const { Left = 0, Top = 0, Width = 1, Height = 1 } = box ?? {};
  // A face with something around it; of a whole photo, what fits.
  const side = box ? 1.25 * Math.max(Width * image.width, Height * image.height) : Math.min(image.width, image.height);
  const left = within((Left + Width / 2) * image.width - side / 2, side, image.width);
  const top = within(box ? (Top + Height / 2) * image.height - side / 2 : 0.15 * (image.height - side), side, image.height);
  const context = canvas.getContext("2d");
  context?.clearRect(0, 0, SIDE, SIDE);
  context?.drawImage(image, left, top, side, side, 0, 0, SIDE, SIDE);
  image.close();
}

/** Where a side begins so that it does not reach over the edges, if it is short enough for that. */
function within(at: number, side: number, whole: number) {
  return side > whole ? (whole - side) / 2 : Math.max(0, Math.min(at, whole - side));
}

/** A face as a picture, if this tab has its photo. */
export function FaceOf({ face }: { face: Face | undefined }) {
  const [, setTurn] = useState(0);
  useEffect(() => onLoaded(() => setTurn((turn) => turn + 1)), []);
  const photo = photoOf(face);
  if (photo) return <Crop file={photo.file} box={photo.box} />;
  return (
    <svg class="crop none" aria-hidden="true" viewBox="0 0 32 32">
      <circle cx="16" cy="12.5" r="4.5" />
      <path d="M8 25c.8-4.2 4-6.5 8-6.5s7.2 2.3 8 6.5" />
    </svg>
  );
}
