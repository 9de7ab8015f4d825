// Whether the server can be reached, as the calls and the page's own questions tell it.

let reachable = true;
const listeners = new Set<(reachable: boolean) => void>();

export function isReachable() {
  return reachable;
}

/** Says what was just found out; whoever listens is told when it has changed. */
export function tellReach(now: boolean) {
  if (now === reachable) return;
  reachable = now;
  for (const listener of listeners) listener(now);
}

export function onReach(listener: (reachable: boolean) => void) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}
