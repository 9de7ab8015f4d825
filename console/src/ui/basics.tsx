// The small parts that every screen is made of.

import type { QualityFilter } from "@aws-sdk/client-rekognition";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ServiceError } from "../api";
import type { Told } from "../operations";
import { moved } from "../router";

/** The heading of a screen: it takes the focus when somebody comes here, and names the page. Unseen where the tab above says the same. */
export function Heading({
  level,
  title,
  unseen,
  children,
}: {
  level: 1 | 2;
  title: string;
  unseen?: boolean;
  children: ComponentChildren;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  const Tag = `h${level}` as const;
  useEffect(() => {
    document.title = `${title} - rekollect console`;
    if (!moved) return;
    heading.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [title]);
  return (
    <Tag ref={heading} tabIndex={-1} class={unseen ? "hidden" : undefined}>
      {children}
    </Tag>
  );
}

/** An error in the service's own words. */
export function ErrorNote({ error, again }: { error: Told | Error; again?: () => void }) {
  const { status, requestId } = error as Told;
  return (
    <div class="note error" role="alert">
      <p>
        <strong>{error.name}</strong> {error.message}
      </p>
      {requestId && (
        <p class="fine">
          Request id <code>{requestId}</code>
          {status && `, status ${status}`}
        </p>
      )}
      {again && (
        <p>
          <button type="button" onClick={again}>
            Try again
          </button>
        </p>
      )}
    </div>
  );
}

/** What is said to a screen reader as it happens. */
export function Live({ children }: { children: ComponentChildren }) {
  return (
    <div class="hidden" role="status">
      {children}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="empty">
      <svg aria-hidden="true" viewBox="0 0 48 48">
        <path d="M8 17v-5a4 4 0 0 1 4-4h5M31 8h5a4 4 0 0 1 4 4v5M40 31v5a4 4 0 0 1-4 4h-5M17 40h-5a4 4 0 0 1-4-4v-5" />
        <circle cx="24" cy="20.5" r="5" />
        <path d="M15 33.5c.9-4.5 4.5-7 9-7s8.1 2.5 9 7" />
      </svg>
      <p class="empty-title">{title}</p>
      <div>{children}</div>
    </div>
  );
}

export function Busy({ children = "Loading" }: { children?: ComponentChildren }) {
  return (
    <p class="busy" role="status">
      <span class="spinner" aria-hidden="true" />
      {children}
    </p>
  );
}

interface FieldProps {
  label: string;
  value: string | number;
  onValue: (value: string) => void;
  hint?: ComponentChildren;
  type?: "text" | "search" | "password" | "number";
  required?: boolean;
  autofocus?: boolean;
  placeholder?: string;
  pattern?: string;
  maxLength?: number;
  min?: string;
}

export function Field({ label, hint, onValue, type = "text", ...input }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {/* Preact's types know an input by one type only. */}
      <input
        id={id}
        type={type as "text"}
        autocomplete="off"
        spellcheck={false}
        {...input}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
      {hint && (
        <p class="fine" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

type SelectProps<Value extends string> = { label: string; value: Value; options: [Value, string][]; onValue: (value: Value) => void };

export function Select<Value extends string>({ label, value, options, onValue }: SelectProps<Value>) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onValue(event.currentTarget.value as Value)}>
        {options.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

/** How good a face of a photo has to be to be looked for. Indexing has a choice of its own, in which Auto comes first. */
export function Quality({ value, onValue }: { value: QualityFilter; onValue: (value: QualityFilter) => void }) {
  return (
    <Select
      label="Quality filter"
      value={value}
      onValue={onValue}
      options={[
        ["NONE", "None"],
        ["AUTO", "Auto"],
        ["LOW", "Low"],
        ["MEDIUM", "Medium"],
        ["HIGH", "High"],
      ]}
    />
  );
}

/** A threshold: a slider with its number beside it. */
export function Threshold({ label, value, onValue }: { label: string; value: number; onValue: (value: number) => void }) {
  const id = useId();
  return (
    <div class="field threshold">
      <label for={id}>{label}</label>
      <div>
        <input
          id={id}
          type="range"
          min="0"
          max="100"
          step="1"
          value={value}
          onInput={(event) => onValue(event.currentTarget.valueAsNumber)}
        />
        <output for={id}>{value}</output>
      </div>
    </div>
  );
}

/** A number that may be left out. */
export function wholeNumber(text: string) {
  return text.trim() === "" ? undefined : Number(text);
}

/** A dialog that is open while it is there. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    return () => (opener as HTMLElement | null)?.focus?.();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

type ConfirmProps = {
  title: string;
  action: string;
  typed?: string;
  onConfirm: () => void;
  onClose: () => void;
  children: ComponentChildren;
};

/** Asks before something is deleted; with `typed`, until that has been typed. */
export function Confirm({ title, action, typed, onConfirm, onClose, children }: ConfirmProps) {
  const [text, setText] = useState("");
  const confirm = (event: Event) => {
    event.preventDefault();
    if (typed !== undefined && text !== typed) return;
    onClose();
    onConfirm();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={confirm}>
        {children}
        {typed !== undefined && <Field label={`Type ${typed} to confirm`} value={text} onValue={setText} />}
        <p class="actions end">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button class="danger" disabled={typed !== undefined && text !== typed}>
            {action}
          </button>
        </p>
      </form>
    </Dialog>
  );
}

/** Pages of a list that is in memory whole. */
export function Pager({
  page,
  size,
  total,
  onPage,
  of,
}: {
  page: number;
  size: number;
  total: number;
  onPage: (page: number) => void;
  of: string;
}) {
  const last = Math.max(0, Math.ceil(total / size) - 1);
  if (!last) return null;
  return (
    <nav class="pager" aria-label={`Pages of ${of}`}>
      <button type="button" disabled={page === 0} onClick={() => onPage(page - 1)}>
        Previous
      </button>
      <span aria-live="polite">
        {page * size + 1} to {Math.min(total, (page + 1) * size)} of {total}
      </span>
      <button type="button" disabled={page >= last} onClick={() => onPage(page + 1)}>
        Next
      </button>
    </nav>
  );
}

/** A share of a hundred as a bar; the number itself is text beside it. */
export function Bar({ value, tone }: { value: number; tone?: "plain" | undefined }) {
  return (
    <span class={`bar ${tone ?? ""}`} aria-hidden="true">
      <span style={{ width: `${Math.max(0, Math.min(100, value))}%` }} />
    </span>
  );
}

/** Something that is asked for: what came, what went wrong, whether it is under way. */
export function useTask<Value>() {
  const [state, setState] = useState<{ value?: Value; error?: ServiceError; busy: boolean }>({ busy: false });
  const latest = useRef(0);
  const run = async (work: () => Promise<Value>) => {
    const turn = ++latest.current;
    // An answer to an earlier question must not replace the one to a later.
    const settle = (next: Partial<typeof state>) => turn === latest.current && setState((before) => ({ ...before, ...next, busy: false }));
    setState((before) => ({ ...before, error: undefined, busy: true }));
    try {
      const value = await work();
      settle({ value });
      return value;
    } catch (error) {
      settle({ error: error instanceof ServiceError ? error : new ServiceError({ name: "Error", message: String(error) }) });
      if (!(error instanceof ServiceError)) throw error;
      return undefined;
    }
  };
  const reset = () => {
    latest.current++;
    setState({ busy: false });
  };
  return { ...state, run, reset };
}

/** What of a list is on show: a page at a time of those whose text has the filter's in it. */
export function useShown<One>(all: One[], size: number, text: (one: One) => string) {
  const [filter, setFilter] = useState("");
  const [page, setPage] = useState(0);
  const wanted = filter.toLowerCase();
  const matching = all.filter((one) => text(one).toLowerCase().includes(wanted));
  return {
    filter,
    matching,
    shown: matching.slice(page * size, (page + 1) * size),
    toFirstPage: () => setPage(0),
    field: (label: string) => (
      <Field
        label={label}
        type="search"
        value={filter}
        onValue={(text) => {
          setFilter(text);
          setPage(0);
        }}
      />
    ),
    pager: (of: string) => <Pager page={page} size={size} total={matching.length} onPage={setPage} of={of} />,
  };
}
