// What is wrong with the server or the way to it, said once above all screens.

import { useEffect, useState } from "preact/hooks";
import { underWay } from "../api";
import { count } from "../format";
import { isReachable, onReach } from "../reach";

/** Milliseconds between two looks at what is under way. */
const PAUSE = 1000;
/** Somebody who has waited for so many seconds wants to know that it is the server that is slow. */
const LONG = 8;

const AWAY =
  "The server cannot be reached: it does not run, or this machine is offline. " +
  "The console keeps asking; photos that wait are sent when it answers.";

export function Trouble() {
  const [reachable, setReachable] = useState(isReachable);
  const [calls, setCalls] = useState({ putOff: 0, longest: 0 });
  useEffect(() => onReach(setReachable), []);
  useEffect(() => {
    const timer = setInterval(() => {
      const { putOff, longest } = underWay();
      setCalls((before) => {
        const after = { putOff, longest: longest >= LONG ? Math.floor(longest) : 0 };
        return before.putOff === after.putOff && before.longest === after.longest ? before : after;
      });
    }, PAUSE);
    return () => clearInterval(timer);
  }, []);
  const said = !reachable
    ? AWAY
    : calls.putOff
      ? `The server is too busy for ${count(calls.putOff, "call")} (ThrottlingException). The console asks again by itself.`
      : calls.longest
        ? `The server has not answered for ${calls.longest} seconds. It may be busy, or the way to it slow.`
        : "";
  // The place is always there: screen readers tell what changes in it. Seconds that go by are not told one by one.
  return (
    <>
      <div class="hidden" role="status">
        {said.replace(/for \d+ seconds/, "for long")}
      </div>
      {said && (
        <p class={`trouble ${reachable ? "" : "away"}`} aria-hidden="true">
          {said}
        </p>
      )}
    </>
  );
}
