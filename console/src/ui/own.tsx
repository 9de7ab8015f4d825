// Screens whose operations only this server has.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { onOtherKeys, ServiceError } from "../api";
import type { Operation } from "../operations";
import { Empty } from "./basics";

/** What this server was asked for and does not know. */
const unknown = new Set<Operation>();
onOtherKeys.push(() => unknown.clear());

/** Whether the server has an operation, as far as this tab knows, and what has to hear of errors to know it. */
export function useOwn(operation: Operation) {
  const [missing, setMissing] = useState(unknown.has(operation));
  const watch = async <Value,>(work: Promise<Value>): Promise<Value> => {
    try {
      return await work;
    } catch (error) {
      if (error instanceof ServiceError && error.name === "UnknownOperationException") {
        unknown.add(operation);
        setMissing(true);
      }
      throw error;
    }
  };
  return { missing, watch };
}

/** Stands in the place of a screen that cannot work. */
export function Missing({ operation, children }: { operation: Operation; children: ComponentChildren }) {
  return (
    <Empty title="This server cannot do that">
      <p>
        It does not know the operation <code>{operation}</code>, which Amazon Rekognition does not have either. It was started with{" "}
        <code>--extensions off</code>, or it is older than this page.
      </p>
      {children}
    </Empty>
  );
}
