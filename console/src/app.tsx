// The frame around the screens: header, routes, and the keys when the service asks for them.

import { useEffect, useState } from "preact/hooks";
import { isAnybody, onKeyError, type ServiceError } from "./api";
import { to, useRoute, type Route } from "./router";
import { Dialog, Heading } from "./ui/basics";
import { KeysForm } from "./ui/keys";
import { Lazy, type Loader } from "./ui/lazy";
import { Preparing } from "./ui/preparing";
import { Trouble } from "./ui/trouble";

declare const LICENCES: string;

/** Screens are fetched when they are first gone to. */
const SCREENS: Record<string, Loader<{ route: Route }>> = {
  collections: () => import("./screens/collections"),
  collection: () => import("./screens/collection"),
  compare: () => import("./screens/compare"),
  detect: () => import("./screens/detect"),
};

const PLACES: [string, string][] = [
  ["collections", "Collections"],
  ["compare", "Compare"],
  ["detect", "Detect"],
];

export function App() {
  const route = useRoute();
  const [keyError, setKeyError] = useState<ServiceError>();
  const [asking, setAsking] = useState(false);
  // Screens begin anew with other keys: what they show may be another account's.
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    onKeyError.listener = (error) => {
      setKeyError(error);
      setAsking(true);
    };
  }, []);
  const [place = "collections", inner] = route.path;
  const name = place === "collections" && inner !== undefined ? "collection" : place;
  const load = Object.hasOwn(SCREENS, name) ? SCREENS[name] : undefined;
  const close = () => {
    setAsking(false);
    setKeyError(undefined);
  };
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.querySelector<HTMLElement>("main h1, main h2")?.focus();
        }}
      >
        Skip to the content
      </a>
      <header class="top">
        <div class="top-inner">
          <a class="brand" href={to(["collections"])}>
            <Mark />
            rekollect<span class="brand-more">console</span>
          </a>
          <nav aria-label="Main">
            {PLACES.map(([name, label]) => (
              <a key={name} href={to([name])} aria-current={name === place ? "page" : undefined}>
                {label}
              </a>
            ))}
          </nav>
          <p class="where">
            <span class="hidden">Endpoint </span>
            <code>{location.origin}</code>
          </p>
          <button type="button" class="quiet keys" onClick={() => setAsking(true)}>
            Keys<span class="fine">{isAnybody() ? "any" : "yours"}</span>
          </button>
        </div>
      </header>
      <Trouble />
      <Preparing />
      <main id="main" key={turn}>
        {load ? <Lazy key={name} load={load} props={{ route }} /> : <Nowhere />}
      </main>
      <footer>
        <a href={LICENCES}>Licences</a>
      </footer>
      {asking && (
        <Dialog title="Keys" onClose={close}>
          <KeysForm
            error={keyError}
            onDone={() => {
              close();
              setTurn((before) => before + 1);
            }}
            onCancel={close}
          />
        </Dialog>
      )}
    </>
  );
}

function Nowhere() {
  return (
    <div class="stack">
      <Heading level={1} title="Not found">
        There is no such page
      </Heading>
      <p>
        <a href={to(["collections"])}>To the collections</a>
      </p>
    </div>
  );
}

function Mark() {
  return (
    <svg aria-hidden="true" viewBox="0 0 32 32">
      <path d="M7 12V9a2 2 0 0 1 2-2h3M20 7h3a2 2 0 0 1 2 2v3M25 20v3a2 2 0 0 1-2 2h-3M12 25H9a2 2 0 0 1-2-2v-3" />
      <circle cx="16" cy="13.6" r="3.4" />
      <path d="M10 22.2c.6-3 3-4.6 6-4.6s5.4 1.6 6 4.6" />
    </svg>
  );
}
