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
      // A hidden tab has nobody to tell, but photos that may wait for the server.
      if (!document.hidden || !isReachable()) {
        const reply = await fetch("/readyz?full").catch(() => undefined);
        // While something loads the status is 503, and the body says what. What stands before the server has other bodies.
        const told = await reply?.json().catch(() => undefined);
        setLoading(told?.loading);
        tellReach(told !== undefined || (reply !== undefined && reply.status < 500));
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
