// Names on a photo: each below its box where that is free, else above it, else further down.

/** Pixels between a box and its name, and between two names. */
const GAP = 4;
/** Rows below a box that are tried. */
const ROWS = 6;

/** Moves the names inside of a photo apart. */
export function spread(photo: HTMLElement) {
  const frame = photo.getBoundingClientRect();
  const taken: DOMRect[] = [];
  for (const name of photo.querySelectorAll<HTMLElement>(".name")) {
    const box = name.parentElement?.getBoundingClientRect();
    if (!box) continue;
    const { width, height } = name.getBoundingClientRect();
    const middle = box.left + box.width / 2 - width / 2;
    const left = Math.max(frame.left, Math.min(middle, frame.right - width));
    const below = Array.from({ length: ROWS }, (_, row) => box.bottom + GAP + row * (height + GAP));
    const tops = [...below.slice(0, 1), box.top - GAP - height, ...below.slice(1)];
    const places = tops.map((top) => new DOMRect(left, top, width, height));
    const inside = places.filter((place) => place.top >= frame.top && place.bottom <= frame.bottom);
    const place = inside.find((place) => !taken.some((other) => overlap(place, other))) ?? inside[0] ?? places[0];
    if (!place) continue;
    taken.push(place);
    name.style.left = `${place.left - box.left}px`;
    name.style.top = `${place.top - box.top}px`;
  }
}

function overlap(a: DOMRect, b: DOMRect) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
