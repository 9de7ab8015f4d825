// A server that is away, slow or too busy: the console says so, loses nothing, and goes on when it is over.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { between } from "./between.mjs";
import { accessible, api, fits, launch, made, open, url } from "./browser.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** A test with a page that reaches the server by a way that can fail. */
function trouble(name, place, body) {
  test(name, { timeout: 120_000 }, async (t) => {
    const collection = `trouble-${randomUUID()}`;
    await api("CreateCollection", { CollectionId: collection });
    const way = await between(url);
    const { context, page, wrong } = await open(browser, `#/collections/${collection}/${place}`, { at: way.url });
    page.setDefaultTimeout(30_000);
    t.after(async () => {
      await context.close();
      way.close();
      await api("DeleteCollection", { CollectionId: collection });
    });
    await page.locator("main h2").waitFor({ state: "attached" });
    await body({ page, collection, way, t });
    // What the browser itself says of connections that were cut is no error of the console.
    assert.deepEqual(
      wrong.filter((text) => !/^Failed to load resource: net::ERR_/.test(text)),
      [],
    );
  });
}

const notice = (page) => page.locator(".trouble");
const few = () =>
  readdirSync(made("many"))
    .filter((name) => name.startsWith("photo"))
    .slice(0, 12)
    .map((name) => join(made("many"), name));

trouble("a server that is away: said at once, and photos wait for it", "index", async ({ page, collection, way }) => {
  way.state = "cut";
  await notice(page).filter({ hasText: "The server cannot be reached" }).waitFor();
  await page.getByRole("status").filter({ hasText: "The server cannot be reached" }).waitFor({ state: "attached" });
  await page.locator("input[type=file]").first().setInputFiles(few());
  await page.getByText("Waiting for the server").first().waitFor();
  await page.getByText("0 failed", { exact: true }).waitFor();
  await accessible(page, "a server that is away");
  await fits(page, "a server that is away");
  way.state = "open";
  await page.getByText("12 indexed, 12 faces").waitFor();
  await page.getByText("Done").first().waitFor();
  assert.equal(await notice(page).count(), 0);
  assert.equal((await api("DescribeCollection", { CollectionId: collection })).FaceCount, 12);
});

trouble("photos that were paused by hand stay so when the server is back", "index", async ({ page, way }) => {
  way.state = "slow";
  await page.locator("input[type=file]").first().setInputFiles(few());
  await page.getByRole("button", { name: "Pause" }).click();
  way.state = "cut";
  await notice(page).filter({ hasText: "The server cannot be reached" }).waitFor();
  way.state = "open";
  await notice(page).waitFor({ state: "detached" });
  await page.getByRole("button", { name: /^Go on with/ }).waitFor();
  await page.waitForTimeout(500);
  await page.getByText("Paused").first().waitFor();
  await page.getByRole("button", { name: /^Go on with/ }).click();
  await page.getByText("12 indexed, 12 faces").waitFor();
});

trouble("a call without an answer says why, and can be made again", "users", async ({ page, way }) => {
  await page.getByText("No users yet").waitFor();
  way.state = "cut";
  await page.getByLabel("New user's id").fill("ada");
  await page.getByRole("button", { name: "Create user" }).click();
  const error = page.getByRole("alert").filter({ hasText: "No answer" });
  await error.filter({ hasText: "The server cannot be reached: it does not run, or this machine is offline." }).waitFor();
  way.state = "open";
  await page.getByRole("button", { name: "Create user" }).click();
  await page.getByRole("link", { name: "ada", exact: true }).waitFor();
  assert.equal(await error.count(), 0);
});

trouble("a server that is slow: the wait is told", "users", async ({ page, way }) => {
  way.state = "slow";
  await page.getByLabel("New user's id").fill("ada");
  await page.getByRole("button", { name: "Create user" }).click();
  await notice(page).filter({ hasText: /has not answered for \d+ seconds/ }).waitFor();
  await accessible(page, "a slow server");
  way.state = "open";
  await notice(page).waitFor({ state: "detached" });
  await page.getByRole("link", { name: "ada", exact: true }).waitFor();
});

trouble("a server that is too busy: said while the console asks again", "index", async ({ page, collection, t }) => {
  t.after(() => fetch(`${url}/_faults`, { method: "DELETE" }));
  const rule = { operation: "IndexFaces", error: "ThrottlingException", calls: 6 };
  await fetch(`${url}/_faults`, { method: "POST", body: JSON.stringify(rule) });
  await page.locator("input[type=file]").first().setInputFiles(few());
  await notice(page).filter({ hasText: /too busy for \d calls? \(ThrottlingException\)/ }).waitFor();
  await accessible(page, "a busy server");
  await page.getByText("12 indexed, 12 faces").waitFor({ timeout: 90_000 });
  await notice(page).waitFor({ state: "detached" });
  assert.equal((await api("DescribeCollection", { CollectionId: collection })).FaceCount, 12);
});
