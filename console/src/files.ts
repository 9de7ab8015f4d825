// Files out of drops and choosers, and the ids that are made of their names.

/** What a request may carry of image bytes. */
export const MAX_BYTES = 5 * 1024 * 1024;

export interface Chosen {
  file: File;
  /** Its path inside what was dropped or chosen. */
  path: string;
  /** Why the browser could not read it. */
  unreadable?: string;
}

export function chosen(list: FileList | null): Chosen[] {
  return [...(list ?? [])].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}

/** The files of a drop, those inside of folders too. */
export async function dropped(data: DataTransfer): Promise<Chosen[]> {
  // Entries have to be taken before the first await: the drop is emptied after its event.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (!entries.length) return chosen(data.files);
  return (await Promise.all(entries.map(within))).flat();
}

/** What cannot be read is listed too, and keeps nothing else from being taken. */
async function within(entry: FileSystemEntry): Promise<Chosen[]> {
  const path = entry.fullPath.replace(/^\//, "");
  try {
    return await readable(entry, path);
  } catch (error) {
    return [{ file: new File([], entry.name), path, unreadable: String(error) }];
  }
}

async function readable(entry: FileSystemEntry, path: string): Promise<Chosen[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ file, path }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Chosen[] = [];
  for (;;) {
    // A reader gives some entries at a time, and none when it is at its end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const inner of some) found.push(...(await within(inner)));
  }
}

/** An id out of a file's name: marks off letters, an underscore for whatever else an ExternalImageId cannot have. */
export function externalId(name: string) {
  const plain = name.normalize("NFD").replace(/\p{M}/gu, "");
  return plain.replace(/[^a-zA-Z0-9_.\-:]/gu, "_").slice(0, 255);
}

const PNG = "\x89PNG\r\n\x1a\n";

/** The picture as the service sees it: it turns JPEGs by their Exif, but no PNG, which browsers turn too. So a PNG is shown without. */
export async function asMeant(file: File): Promise<Blob> {
  const head = new Uint8Array(await file.slice(0, PNG.length).arrayBuffer());
  if (String.fromCharCode(...head) !== PNG) return file;
  const data = new DataView(await file.arrayBuffer());
  const kept: Blob[] = [];
  let from = 0;
  // Chunks: four bytes of length, four of name, the content, four of checksum.
  for (let at = PNG.length; at + 8 <= data.byteLength;) {
    const next = at + 12 + data.getUint32(at);
    if (data.getUint32(at + 4) === 0x65584966 /* eXIf */) {
      kept.push(file.slice(from, at));
      from = next;
    }
    at = next;
  }
  return kept.length ? new Blob([...kept, file.slice(from)], { type: "image/png" }) : file;
}
