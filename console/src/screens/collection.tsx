// One collection: what it is, and its sections.

import { useCallback, useEffect, useRef } from "preact/hooks";
import { call } from "../api";
import { number, time } from "../format";
import type { Reply } from "../operations";
import { onReach } from "../reach";
import { to, type Route } from "../router";
import { Busy, ErrorNote, Heading, useTask } from "../ui/basics";
import { Lazy, type Loader } from "../ui/lazy";
import type { Section } from "./section";

const SECTIONS: Record<string, [string, Loader<Section>]> = {
  index: ["Index", () => import("./index-photos")],
  search: ["Search", () => import("./search")],
  picture: ["Picture", () => import("./picture")],
  people: ["People", () => import("./people")],
  faces: ["Faces", () => import("./faces")],
  users: ["Users", () => import("./users")],
  settings: ["Settings", () => import("./settings")],
};

export default function Collection({ route }: { route: Route }) {
  const [, name = "", section = "index"] = route.path;
  return <Whole key={name} name={name} section={section} route={route} />;
}

function Whole({ name, section, route }: { name: string; section: string; route: Route }) {
  const about = useTask<Reply<"DescribeCollection">>();
  const load = useCallback(() => void about.run(() => call("DescribeCollection", { CollectionId: name })), [name]);
  useEffect(load, [load]);
  useEffect(() => onReach((reachable) => reachable && load()), [load]);
  const tabs = useRef<HTMLElement>(null);
  useEffect(() => {
    // A narrow screen does not show all of them at once.
    const [strip, tab] = [tabs.current, tabs.current?.querySelector<HTMLElement>("[aria-current]")];
    if (strip && tab) strip.scrollLeft = tab.offsetLeft - strip.offsetLeft - (strip.clientWidth - tab.offsetWidth) / 2;
  }, [section]);
  const { value, error } = about;
  const loader = SECTIONS[section]?.[1];
  return (
    <div class="stack">
      <div class="collection-head">
        <div>
          <p class="crumb">
            <a href={to(["collections"])}>Collections</a>
          </p>
          <h1 tabIndex={-1}>{name}</h1>
        </div>
        {value && (
          <dl class="stats">
            <div>
              <dt>Faces</dt>
              <dd data-stat="faces">{number(value.FaceCount ?? 0)}</dd>
            </div>
            <div>
              <dt>Users</dt>
              <dd data-stat="users">{number(value.UserCount ?? 0)}</dd>
            </div>
            <div>
              <dt>Face model</dt>
              <dd>{value.FaceModelVersion}</dd>
            </div>
            <div>
              <dt>Created</dt>
              <dd>{time(value.CreationTimestamp)}</dd>
            </div>
          </dl>
        )}
        <nav class="tabs" aria-label={`Sections of ${name}`} ref={tabs}>
          {Object.entries(SECTIONS).map(([key, [label]]) => (
            <a key={key} href={to(["collections", name, key])} aria-current={key === section ? "page" : undefined}>
              {label}
            </a>
          ))}
        </nav>
      </div>
      {error && <ErrorNote error={error} again={load} />}
      {!value && about.busy && <Busy />}
      {value &&
        (loader ? (
          <Lazy
            key={`${section} ${route.query}`}
            load={loader}
            props={{ collection: name, arn: value.CollectionARN ?? "", route, onChange: load }}
          />
        ) : (
          <Heading level={2} title="Not found">
            There is no such section
          </Heading>
        ))}
    </div>
  );
}
