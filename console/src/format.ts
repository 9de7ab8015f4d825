// Numbers, times and names in words.

const whole = new Intl.NumberFormat("en-GB");
const times = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export function count(number: number, one: string, many = `${one}s`) {
  return `${whole.format(number)} ${number === 1 ? one : many}`;
}

export function number(value: number) {
  return whole.format(value);
}

export function percent(value: number | undefined, digits = 1) {
  return value === undefined ? "unknown" : `${value.toFixed(digits)}\u00a0%`;
}

export function time(value: Date | undefined) {
  return value ? times.format(value) : "unknown";
}

export function bytes(size: number) {
  return size < 1024 * 1024 ? `${Math.max(1, Math.round(size / 1024))} KB` : `${(size / 1024 / 1024).toFixed(1)} MB`;
}

export function seconds(value: number) {
  return value < 90 ? `${Math.max(1, Math.round(value))} s` : `${Math.round(value / 60)} min`;
}

/** Enumerations as the API spells them, in words: SMALL_BOUNDING_BOX is "small bounding box". */
export function words(code: string) {
  return code.toLowerCase().replaceAll("_", " ");
}

export function short(id: string) {
  return id.slice(0, 8);
}
