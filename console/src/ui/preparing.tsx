// What the service is loading into memory. Until it is there, a search may have to be tried again.

import { useEffect, useState } from "preact/hooks";
import { count, number } from "../format";
import { isReachable, tellReach } from "../reach";
import { Bar, Busy } from "./basics";

interface Loading {
  galleries: number;
  vectors: number;
  of: number;
}

/** Milliseconds between two questions. */
const PAUSE = 3000;

export function Preparing() {
  const [loading, setLoading] = useState<Loading>();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    let over = false;
    const ask = async () => {
      try {
        // While something loads the status is 503, and the body says what.
        const told = document.hidden && isReachable() ? undefined : await (await fetch("/readyz?full")).json();
        if (told) {
          setLoading(told.loading);
          tellReach(true);
        }
      } catch {
        setLoading(undefined);
        tellReach(false);
      }
      if (!over) timer = setTimeout(ask, PAUSE);
    };
    void ask();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, []);
  if (!loading?.galleries) return null;
  return (
    <div class="preparing">
      <Busy>
        Loading {count(loading.galleries, "collection")} into memory: {number(loading.vectors)} of {number(loading.of)} faces and users
      </Busy>
      <Bar value={(100 * loading.vectors) / Math.max(1, loading.of)} />
    </div>
  );
}
