// The console on a server that checks signatures. REKOLLECT_TEST_KEY and REKOLLECT_TEST_SECRET are the one key that it knows.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, fits, launch, open } from "./browser.mjs";

const { REKOLLECT_TEST_KEY: key, REKOLLECT_TEST_SECRET: secret } = process.env;

test("keys are asked for, checked by the service, and kept in memory only", { timeout: 60_000 }, async (t) => {
  const browser = await launch();
  t.after(() => browser.close());
  const { context, page, wrong } = await open(browser);
  const dialog = page.getByRole("dialog");
  await dialog.getByText("UnrecognizedClientException").waitFor();
  await dialog.getByText("The security token included in the request is invalid.").waitFor();
  await dialog.getByText("Request id").waitFor();
  await accessible(page, "keys");
  await fits(page, "keys");

  await page.getByLabel("Access key id").fill(key);
  await page.getByLabel("Secret access key").fill(`${secret}x`);
  await page.getByRole("button", { name: "Sign with these" }).click();
  await dialog.getByText("InvalidSignatureException").waitFor();
  await dialog.getByText("The request signature we calculated does not match the signature you provided.").waitFor();

  await page.getByLabel("Secret access key").fill(secret);
  await page.getByRole("button", { name: "Sign with these" }).click();
  await page.getByText("No collection yet").waitFor();
  assert.equal(await dialog.count(), 0);
  await page.getByRole("button", { name: "Create the first one" }).click();
  await page.getByLabel("Name").fill("signed");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("heading", { name: "signed", exact: true }).waitFor();
  // The call to copy has neither half of the key.
  await page.locator("summary").filter({ hasText: "IndexFaces" }).click();
  const call = await page.locator("details[open] pre").innerText();
  assert.ok(call.startsWith("aws rekognition index-faces") && !call.includes(key) && !call.includes(secret), call);

  const kept = await page.evaluate(async () => ({
    local: { ...localStorage },
    session: { ...sessionStorage },
    cookies: document.cookie,
    databases: await indexedDB.databases(),
    caches: await caches.keys(),
    state: history.state,
    address: location.hash,
  }));
  assert.deepEqual(kept, { local: {}, session: {}, cookies: "", databases: [], caches: [], state: null, address: "#/collections/signed" });
  assert.deepEqual(await context.cookies(), []);
  await page.reload();
  await dialog.getByText("UnrecognizedClientException").waitFor();
  assert.deepEqual(wrong, []);
});
