// What each section of a collection is told.

import type { Route } from "../router";

export interface Section {
  collection: string;
  arn: string;
  route: Route;
  /** Has the counts above read again. */
  onChange: () => void;
}
