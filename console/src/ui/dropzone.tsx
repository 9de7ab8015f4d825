// Where photos are dropped or chosen.

import { useId, useState } from "preact/hooks";
import { chosen, dropped, type Chosen } from "../files";

const SENT = "JPEG or PNG, up to 5 MB each. Photos are sent to this server and not kept by it.";

type Props = { label: string; several?: boolean; compact?: boolean; note?: string; onFiles: (files: Chosen[]) => void };

export function DropZone({ label, several = false, compact = false, note = SENT, onFiles }: Props) {
  const [over, setOver] = useState(0);
  const [reading, setReading] = useState(false);
  const id = useId();
  const take = (files: Chosen[]) => files.length && onFiles(several ? files : files.slice(0, 1));
  const drop = async (event: DragEvent) => {
    event.preventDefault();
    setOver(0);
    if (!event.dataTransfer) return;
    setReading(true);
    try {
      take(await dropped(event.dataTransfer));
    } finally {
      setReading(false);
    }
  };
  const choose = (event: Event) => {
    const input = event.currentTarget as HTMLInputElement;
    take(chosen(input.files));
    input.value = ""; // so that the same file can be chosen again
  };
  return (
    <div
      class={`drop ${over ? "over" : ""} ${compact ? "compact" : ""}`}
      role="group"
      aria-label={label}
      onDragEnter={(event) => {
        event.preventDefault();
        setOver((depth) => depth + 1);
      }}
      onDragLeave={() => setOver((depth) => depth - 1)}
      onDragOver={(event) => event.preventDefault()}
      onDrop={drop}
    >
      <svg class="drop-icon" aria-hidden="true" viewBox="0 0 32 32">
        <path d="M16 21V6m0 0-5 5m5-5 5 5M5 20v4a3 3 0 0 0 3 3h16a3 3 0 0 0 3-3v-4" />
      </svg>
      <p class="drop-label">{reading ? "Reading the folder" : label}</p>
      <div class="actions">
        <span class="chooser">
          <input id={id} type="file" accept="image/jpeg,image/png" multiple={several} onChange={choose} />
          <label class="button primary" for={id}>
            {several ? "Choose photos" : "Choose a photo"}
          </label>
        </span>
        {several && (
          <span class="chooser">
            <input id={`${id}-folder`} type="file" {...{ webkitdirectory: true }} onChange={choose} />
            <label class="button" for={`${id}-folder`}>
              Choose a folder
            </label>
          </span>
        )}
      </div>
      <p class="fine">{note}</p>
    </div>
  );
}
