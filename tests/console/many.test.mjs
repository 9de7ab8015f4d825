// A folder of photos dropped at once: each is indexed or listed with its reason, and the tab stays responsive meanwhile.
// test_console.py makes the folder; every fiftieth of its files is no photo.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { accessible, api, drop, launch, made, open } from "./browser.mjs";

test("a folder of photos", { timeout: 900_000 }, async (t) => {
  const files = readdirSync(made("many"));
  const broken = files.filter((name) => name.startsWith("broken")).length;
  const browser = await launch();
  t.after(() => browser.close());
  await api("CreateCollection", { CollectionId: "many" });
  const { page, wrong } = await open(browser, "#/collections/many/index");
  await page.locator(".drop").waitFor();
  await page.evaluate(() => {
    globalThis.stalls = { task: 0, frame: 0 };
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) stalls.task = Math.max(stalls.task, duration);
    }).observe({ type: "longtask" });
    let last = performance.now();
    requestAnimationFrame(function next(now) {
      stalls.frame = Math.max(stalls.frame, now - last);
      last = now;
      requestAnimationFrame(next);
    });
  });
  const begin = performance.now();
  await drop(page, ".drop", [made("many")]);

  // Paused on its way, it stops there, and goes on with the rest. The bar tells how far it is.
  const bar = () => page.getByRole("progressbar", { name: "Photos done" }).evaluate(({ value, max }) => [value, max]);
  await page.locator(".file-text").filter({ hasText: "1 face" }).first().waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("Paused").first().waitFor();
  const soFar = (await api("DescribeCollection", { CollectionId: "many" })).FaceCount;
  assert.ok(soFar > 0 && soFar < files.length - broken, `${soFar} of ${files.length} were indexed when it paused`);
  const [done, of] = await bar();
  assert.equal(of, files.length);
  assert.ok(done >= soFar && done < of, `the bar is at ${done} of ${of}, and ${soFar} are indexed`);
  await page.getByRole("button", { name: /^Go on with/ }).click();
  await page.waitForFunction((before) => document.querySelector("progress").value > before, done);

  // Cancelled, it sends nothing more; what was not sent is listed as that.
  await page.getByRole("button", { name: "Cancel the rest" }).click();
  await page.getByText("Cancelled").first().waitFor();
  const sent = (await bar())[0];
  await page.getByText(`${files.length - sent} not sent`, { exact: true }).waitFor();
  const kept = (await api("DescribeCollection", { CollectionId: "many" })).FaceCount;
  assert.ok(kept >= soFar && kept <= sent && sent < files.length, `${kept} faces of ${sent} photos that were sent`);
  await accessible(page, "a cancelled batch");
  await page.getByRole("button", { name: "Clear the list" }).click();

  // From the beginning: the same photos are no others.
  await drop(page, ".drop", [made("many")]);
  await page.getByLabel(/Failures only/).check();
  await page.getByLabel(/Failures only/).uncheck();
  await page.getByText("Done").first().waitFor({ timeout: 880_000 });
  const seconds = (performance.now() - begin) / 1000;
  const { task, frame } = await page.evaluate(() => stalls);
  const rate = (files.length / seconds).toFixed(1);
  t.diagnostic(`${files.length} photos in ${seconds.toFixed(1)} s, ${rate} a second`);
  t.diagnostic(`longest task ${task.toFixed(0)} ms, longest frame ${frame.toFixed(0)} ms`);
  await page.getByText(new RegExp(`^${(files.length - broken).toLocaleString("en-GB")} indexed`)).waitFor();
  assert.equal((await api("DescribeCollection", { CollectionId: "many" })).FaceCount, files.length - broken);
  const rows = page.locator(".file");
  assert.equal(await rows.count(), 50);
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText(`51 to ${Math.min(100, files.length)} of ${files.length}`).waitFor();
  assert.equal(await rows.count(), Math.min(50, files.length - 50));
  await page.getByLabel(/Failures only/).check();
  const reasons = await page.locator(".file-text .fine").allInnerTexts();
  assert.deepEqual(reasons, Array(broken).fill("InvalidImageFormatException: Request has invalid image format"));
  assert.ok(task < 500, `the page stood still for ${task} ms`);

  await page.getByRole("link", { name: "Faces", exact: true }).click();
  await page.getByText(/^\d+ faces loaded/).waitFor();
  const all = page.getByRole("button", { name: "Load all" });
  assert.equal(await all.isVisible(), files.length - broken > 500);
  if (await all.isVisible()) await all.click();
  await page.getByText(`${files.length - broken} faces loaded`, { exact: true }).waitFor();
  assert.deepEqual(wrong, []);
});
