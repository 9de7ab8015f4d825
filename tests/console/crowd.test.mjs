// A collection of 5,000 faces, which test_console.py imports: paging through them never holds the page up.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, launch, open } from "./browser.mjs";

/** Milliseconds that the page may stand still, on a machine that has other things to do. Who scrolls notices 100. */
const STALL = 200;

test("5,000 faces: paged through, filtered and chosen without a stutter", { timeout: 120_000 }, async (t) => {
  const browser = await launch();
  t.after(() => browser.close());
  const { page, wrong } = await open(browser, "#/collections/crowd/faces");
  await page.getByText("500 faces loaded, more to come").waitFor();
  await page.evaluate(() => {
    globalThis.longest = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
    }).observe({ type: "longtask" });
  });
  /** Does something, and holds the longest task of the page meanwhile against what is let pass. */
  const smooth = async (name, work) => {
    await page.evaluate(() => (longest = 0));
    const begin = performance.now();
    await work();
    // What the last click began is over with the next frame.
    const task = await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(() => resolve(longest), 50))));
    t.diagnostic(`${name}: ${((performance.now() - begin) / 1000).toFixed(1)} s, longest task ${task.toFixed(0)} ms`);
    assert.ok(task < STALL, `${name}: the page stood still for ${task} ms`);
  };
  const next = page.getByRole("button", { name: "Next" });
  await smooth("all of them loaded", async () => {
    await page.getByRole("button", { name: "Load all" }).click();
    await page.getByText("5,000 faces loaded", { exact: true }).waitFor();
  });
  await smooth("to the last page, one after the other", async () => {
    for (let at = 1; at < 100; at++) await next.click();
    await page.getByText("4951 to 5000 of 5000").waitFor();
  });
  assert.equal(await next.isDisabled(), true);
  assert.equal(await page.locator("tbody tr").count(), 50);
  await smooth("filtered, letter by letter", async () => {
    await page.getByLabel("Filter by external image id").pressSequentially("made-up-01234");
    await page.getByText("1 face of 5,000 loaded ones").waitFor();
    await page.getByLabel("Filter by external image id").fill("");
  });
  await smooth("all chosen", async () => {
    await page.getByLabel("All loaded").check();
    await page.getByText("5,000 faces chosen").waitFor();
  });
  await smooth("back and forth with all chosen", async () => {
    for (let at = 0; at < 10; at++) await next.click();
    for (let at = 0; at < 10; at++) await page.getByRole("button", { name: "Previous" }).click();
  });
  await accessible(page, "5,000 faces");

  await page.locator(".tabs").getByRole("link", { name: "People" }).click();
  await smooth("all of them grouped", async () => {
    await page.getByRole("button", { name: "Group the faces" }).click();
    await page.getByRole("heading", { name: "0 groups of 0 faces, 5,000 faces in none" }).waitFor({ timeout: 60_000 });
  });
  await smooth("shown by the hundred", async () => {
    for (let at = 0; at < 4; at++) await page.getByRole("button", { name: /^Show 96 more/ }).click();
  });
  assert.deepEqual(wrong, []);
});
