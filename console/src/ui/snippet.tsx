// The call of a screen as another client would make it.

import { useEffect, useRef, useState } from "preact/hooks";
import { currentKeys, isAnybody } from "../api";
import type { Call } from "../operations";
import { formsOf } from "../snippets";

export function Snippet({ call }: { call: Call }) {
  const forms = formsOf(call);
  const names = Object.keys(forms);
  const [chosen, setForm] = useState<string>();
  const form = chosen ?? names[0] ?? "";
  const setting = { endpoint: location.origin, region: currentKeys().region, anybody: isAnybody() };
  const text = forms[form]?.(call, setting) ?? "";
  return (
    <details class="snippet">
      <summary>
        The same call with {names.length > 1 ? `the ${names.join(" or ")}` : names[0]}: <code>{call.operation}</code>
      </summary>
      <div class="snippet-bar">
        <div role="group" aria-label="Client" class="segments">
          {names.map((name) => (
            <button key={name} type="button" aria-pressed={name === form} onClick={() => setForm(name)}>
              {name}
            </button>
          ))}
        </div>
        <Copy text={text} what={`${form} call of ${call.operation}`} />
      </div>
      <pre tabIndex={0} role="region" aria-label={`${call.operation} with ${form}`}>
        <code>{text}</code>
      </pre>
    </details>
  );
}

export function Copy({ text, what }: { text: string; what: string }) {
  const [said, say] = useState("");
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    say((await copied(text)) ? "Copied" : "Select and copy it by hand");
    clearTimeout(timer.current);
    timer.current = setTimeout(say, 2000, "");
  };
  return (
    <button type="button" class="quiet" onClick={copy}>
      <span aria-live="polite">{said || "Copy"}</span>
      <span class="hidden"> {what}</span>
    </button>
  );
}

async function copied(text: string) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard where the page is not of a secure origin: a server in the local network by plain HTTP.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "hidden";
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    const focused = document.activeElement as HTMLElement | null;
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return done;
  }
}
