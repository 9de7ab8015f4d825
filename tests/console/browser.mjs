// A browser on the console: what every test here starts from. The environment names the server, the photos and Chromium:
// REKOLLECT_URL, REKOLLECT_TEST_PHOTOS, REKOLLECT_MADE_PHOTOS (made by test_console.py), REKOLLECT_TEST_CHROMIUM.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const url = process.env.REKOLLECT_URL;
export const photo = (name) => join(process.env.REKOLLECT_TEST_PHOTOS, name);
export const made = (name) => join(process.env.REKOLLECT_MADE_PHOTOS, name);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** An address that leads to this machine, and that browsers trust no more than a server of the local network without TLS. */
export const ELSEWHERE = "192.0.2.7";

const FLAGS = [
  `--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`,
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launch() {
  return chromium.launch({ executablePath: process.env.REKOLLECT_TEST_CHROMIUM, args: FLAGS });
}

/** A page on the console in a context of its own, and what went wrong on it: console errors, violations of the policy, exceptions. */
export async function open(browser, route = "", { at = url, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const wrong = [];
  context.on("weberror", (error) => wrong.push(String(error.error())));
  context.on("console", (message) => {
    // An answer of 4xx, which tests provoke, is no error of the console; the browser logs it as one.
    if (["error", "warning"].includes(message.type()) && !/^Failed to load resource: .* status of 400/.test(message.text()))
      wrong.push(message.text());
  });
  await context.addInitScript(() =>
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
      console.error(`policy ${violatedDirective} broken by ${blockedURI}`),
    ),
  );
  const page = await context.newPage();
  await page.goto(`${at}/console/${route}`);
  return { context, page, wrong };
}

/** Calls the server by itself, to hold what the console shows against its answer. The keyless server takes no signature too. */
export async function api(operation, request) {
  const reply = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": `RekognitionService.${operation}` },
    body: JSON.stringify(request),
  });
  return reply.json();
}

export const image = (path) => ({ Bytes: readFileSync(path).toString("base64") });

/** No violation that axe knows, in light and in dark. */
export async function accessible(page, screen) {
  await page.locator("main h1").waitFor();
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme });
    await inject(page);
    const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
    const told = violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`,
    );
    assert.deepEqual(told, [], `${screen}, ${colorScheme}`);
  }
}

/** axe, by the debugger's way in: the page's policy allows no eval. */
async function inject(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: axe, allowUnsafeEvalBlockedByCSP: true });
  await session.detach();
}

/** Nothing is wider than the page, at 360 pixels too. */
export async function fits(page, screen) {
  const size = page.viewportSize();
  await page.setViewportSize({ width: 360, height: 740 });
  const fit = () => document.documentElement.scrollWidth <= document.documentElement.clientWidth;
  // What is drawn over photos moves after them.
  await page.waitForFunction(fit, null, { timeout: 3000 }).catch(() => assert.fail(`${screen} is wider than a narrow screen`));
  await page.setViewportSize(size);
}

/** Drops files or folders of the disk on an element, as a file manager does. */
export async function drop(page, selector, files) {
  const box = await page.locator(selector).first().boundingBox();
  const session = await page.context().newCDPSession(page);
  const where = { x: box.x + box.width / 2, y: box.y + 12 };
  for (const type of ["dragEnter", "dragOver", "drop"]) {
    await session.send("Input.dispatchDragEvent", { type, ...where, data: { items: [], files, dragOperationsMask: 1 } });
  }
  await session.detach();
}

/** Where boxes are on their photo, as parts of its width and height. */
export function boxesOf(page, selector) {
  return page.locator(`${selector} .box`).evaluateAll((boxes) =>
    boxes.map((box) => {
      const inner = box.getBoundingClientRect();
      const outer = box.closest(".photo").querySelector("img").getBoundingClientRect();
      return {
        Left: (inner.left - outer.left) / outer.width,
        Top: (inner.top - outer.top) / outer.height,
        Width: inner.width / outer.width,
        Height: inner.height / outer.height,
      };
    }),
  );
}

/** Goes on with Tab to what a screen reader calls by this name, which has to show that it has the focus. */
export async function tabTo(page, name) {
  for (let step = 0; step < 80; step++) {
    await page.keyboard.press("Tab");
    const called = await page.evaluate(() => {
      const element = document.activeElement;
      return (element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent).trim();
    });
    if (!name.test(called)) continue;
    const outline = await page.evaluate(() => {
      const element = document.activeElement;
      const around = [element, element.nextElementSibling, element.parentElement].filter(Boolean);
      return around.map((one) => getComputedStyle(one).outlineStyle);
    });
    assert.ok(
      outline.some((style) => style !== "none"),
      `the focus on ${called} cannot be seen`,
    );
    return;
  }
  assert.fail(`Tab does not reach ${name}`);
}

/** Within half a percent of the photo: what rounding to pixels makes. */
export function same(boxes, expected) {
  assert.equal(boxes.length, expected.length);
  boxes.forEach((box, index) => {
    for (const [member, value] of Object.entries(expected[index])) {
      assert.ok(Math.abs(box[member] - value) < 0.005, `box ${index}: ${member} is ${box[member]}, and the service said ${value}`);
    }
  });
}
