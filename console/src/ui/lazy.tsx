// Parts of the console that are fetched when they are first gone to.

import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Busy, ErrorNote } from "./basics";

export type Loader<Props> = () => Promise<{ default: FunctionComponent<Props> }>;

const arrived = new Map<unknown, FunctionComponent<never>>();

export function Lazy<Props extends object>({ load, props }: { load: Loader<Props>; props: Props }) {
  const [, setLatest] = useState<unknown>();
  const [error, setError] = useState<Error>();
  const Known = arrived.get(load) as FunctionComponent<Props> | undefined;
  useEffect(() => {
    if (Known) return;
    load().then(({ default: component }) => {
      arrived.set(load, component);
      setLatest(() => load);
    }, setError);
  }, [load]);
  // A server of another version has no such file: the page has to be loaded anew.
  if (error) return <ErrorNote error={error} again={() => location.reload()} />;
  return Known ? <Known {...props} /> : <Busy />;
}
