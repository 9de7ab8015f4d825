// Routes are in the part of the address behind the #: /collections/NAME/search?face=ID.

import { useEffect, useState } from "preact/hooks";

export interface Route {
  /** The parts between the slashes, decoded. */
  path: string[];
  query: URLSearchParams;
}

export function parse(hash: string): Route {
  const [path = "", query] = hash.replace(/^#?\/?/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

function decoded(part: string) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // an address that somebody typed
  }
}

/** The address of a route. */
export function to(path: string[], query: Record<string, string> = {}) {
  const search = new URLSearchParams(query).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${search && `?${search}`}`;
}

export function go(address: string) {
  location.hash = address;
}

/** Whether somebody has moved since the page was loaded: only then does a heading take the focus. */
export let moved = false;

export function useRoute() {
  const [route, setRoute] = useState(() => parse(location.hash));
  useEffect(() => {
    const follow = () => {
      moved = true;
      setRoute(parse(location.hash));
    };
    addEventListener("hashchange", follow);
    // Somebody may have moved on before there was anybody to listen.
    setRoute(parse(location.hash));
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
}
