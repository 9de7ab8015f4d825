// The keys that calls are signed with. They stay in memory: a reload forgets them.

import { useState } from "preact/hooks";
import { currentKeys, isAnybody, useKeys as signWith, type ServiceError } from "../api";
import { ErrorNote, Field } from "./basics";

export function KeysForm({ error, onDone, onCancel }: { error?: ServiceError; onDone: () => void; onCancel: () => void }) {
  const known = currentKeys();
  const [id, setId] = useState(isAnybody() ? "" : known.accessKeyId);
  const [secret, setSecret] = useState("");
  const [token, setToken] = useState("");
  const [region, setRegion] = useState(known.region);
  const submit = (event: Event) => {
    event.preventDefault();
    signWith({ accessKeyId: id.trim(), secretAccessKey: secret.trim(), sessionToken: token.trim() || undefined, region: region.trim() });
    onDone();
  };
  const anybody = () => {
    signWith();
    onDone();
  };
  return (
    <form class="stack" onSubmit={submit}>
      {error ? <ErrorNote error={error} /> : null}
      <p>
        {error
          ? "This server checks signatures. "
          : isAnybody()
            ? "Calls are signed as anybody, which a server without keys takes. "
            : "Calls are signed with your key. "}
        Keys stay in this tab's memory until it is reloaded or closed.
      </p>
      <Field label="Access key id" value={id} onValue={setId} required autofocus />
      <Field label="Secret access key" type="password" value={secret} onValue={setSecret} required />
      <Field label="Session token" type="password" value={token} onValue={setToken} hint="Only with temporary keys." />
      <Field label="Region" value={region} onValue={setRegion} required pattern="[a-z0-9\-]+" />
      <p class="actions end">
        {!isAnybody() && (
          <button type="button" onClick={anybody}>
            Forget them
          </button>
        )}
        <button type="button" onClick={onCancel}>
          Cancel
        </button>
        <button class="primary">Sign with these</button>
      </p>
    </form>
  );
}
