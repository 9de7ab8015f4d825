// Photos that somebody loads again, so that faces have pictures. They do not leave the browser.

import { useState } from "preact/hooks";
import type { Chosen } from "../files";
import { count, number } from "../format";
import { load } from "../seen";
import { Live } from "./basics";
import { DropZone } from "./dropzone";

/** `said`: how many of the faces have a picture now. */
export function LoadPhotos({ said, compact, onLoaded }: { said: string; compact: boolean; onLoaded: () => void }) {
  const [reading, setReading] = useState<{ read: number; of: number }>();
  const take = async (files: Chosen[]) => {
    setReading({ read: 0, of: files.length });
    await load(files, (read) => setReading({ read, of: files.length }));
    setReading(undefined);
    onLoaded();
  };
  return (
    <div class="stack tight">
      <DropZone
        several
        compact={compact}
        label="Drop the photos again to see the faces"
        note="The server keeps no photos. Those that you load here stay in this browser, and are not sent."
        onFiles={take}
      />
      {reading ? (
        <div>
          <p class="fine">
            {number(reading.read)} of {count(reading.of, "file")} read
          </p>
          <progress aria-label="Files read" max={reading.of} value={reading.read} />
        </div>
      ) : (
        said && <p class="fine">{said}</p>
      )}
      <Live>{reading ? "Reading photos" : said}</Live>
    </div>
  );
}
