// Who is in this picture: the page holds what the operation SearchAllFacesByImage answers.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { accessible, api, boxesOf, fits, image, launch, made, open, photo, same, tabTo } from "./browser.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const KNOWN = ["obama.jpg", "biden.jpg", "sample3.jpg"];
const percent = (value) => `${value.toFixed(1)}\u00a0%`;

/** A test with the page of a collection that knows some people, one of them as the user barack. */
function picture(name, body) {
  test(name, { timeout: 120_000 }, async (t) => {
    const collection = `picture-${randomUUID()}`;
    await api("CreateCollection", { CollectionId: collection });
    for (const one of KNOWN) {
      const { FaceRecords } = await api("IndexFaces", { CollectionId: collection, Image: image(photo(one)), ExternalImageId: one });
      if (one !== "obama.jpg") continue;
      const barack = { CollectionId: collection, UserId: "barack" };
      await api("CreateUser", barack);
      await api("AssociateFaces", { ...barack, FaceIds: [FaceRecords[0].Face.FaceId] });
    }
    const { context, page, wrong } = await open(browser, `#/collections/${collection}/picture`);
    page.setDefaultTimeout(20_000);
    t.after(async () => {
      await context.close();
      await api("DeleteCollection", { CollectionId: collection });
    });
    await page.getByRole("heading", { name: "Who is in this picture?" }).waitFor();
    const asked = { CollectionId: collection, MaxFaces: 5, MaxUsers: 5 };
    await body({ page, ask: (file, more) => api("SearchAllFacesByImage", { ...asked, Image: image(file), ...more }) });
    assert.deepEqual(wrong, []);
  });
}

const choose = (page, file) => page.locator("input[type=file]").first().setInputFiles(file);

/** What is written on the boxes, as the reply has it. */
function names(reply) {
  return reply.Faces.map(({ UserMatches, FaceMatches }) => UserMatches[0]?.User.UserId ?? FaceMatches[0]?.Face.ExternalImageId ?? "unknown");
}

picture("every face has its box, its name and its matches", async ({ page, ask }) => {
  await accessible(page, "picture, empty");
  // The second one lies on its side, and is shown upright.
  for (const file of [photo("sample1.jpg"), made("turned.jpg")]) {
    const told = await ask(file);
    await choose(page, file);
    await page.locator(`.people > li:nth-child(${told.Faces.length})`).waitFor();
    await page.locator(".box").nth(told.Faces.length - 1).waitFor();
    same(
      await boxesOf(page, ".searched"),
      told.Faces.map(({ FaceDetail }) => FaceDetail.BoundingBox),
    );
    assert.deepEqual(await page.locator(".box .name").allInnerTexts(), names(told));
    const matches = told.Faces.flatMap(({ UserMatches, FaceMatches }) => [...UserMatches, ...FaceMatches]);
    assert.deepEqual(
      await page.locator(".likes .value").allInnerTexts(),
      matches.map(({ Similarity }) => percent(Similarity)),
    );
  }
  assert.deepEqual(await page.locator(".box .name").allInnerTexts(), ["barack"]);
  await page.getByRole("button", { name: "Face 1: barack", exact: true }).waitFor();
  await page.getByRole("status").filter({ hasText: "1 face, 1 known" }).waitFor({ state: "attached" });
  await accessible(page, "picture");
  await fits(page, "picture");
});

picture("names do not lie on one another, nor beside the photo", async ({ page, ask }) => {
  const file = photo("sample1.jpg");
  // With no threshold everybody has a name.
  const told = await ask(file, { FaceMatchThreshold: 0, UserMatchThreshold: 0 });
  assert.ok(told.Faces.length > 2, `${told.Faces.length} faces`);
  await page.getByLabel("Least similarity").fill("0");
  await choose(page, file);
  await page.locator(".box .name").nth(told.Faces.length - 1).waitFor();
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 844 });
    await page.waitForTimeout(200);
    const [frame, ...rects] = await page.locator(".searched img, .searched .name").evaluateAll((all) =>
      all.map((one) => one.getBoundingClientRect().toJSON()),
    );
    for (const [at, a] of rects.entries()) {
      assert.ok(a.left >= frame.left - 1 && a.right <= frame.right + 1 && a.top >= frame.top - 1 && a.bottom <= frame.bottom + 1);
      for (const b of rects.slice(at + 1)) {
        const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
        assert.ok(apart, `at ${width} pixels two names lie on one another`);
      }
    }
  }
});

picture("faces that were not searched are listed with the reasons", async ({ page, ask }) => {
  const file = photo("sample4.jpg");
  const told = await ask(file, { QualityFilter: "HIGH" });
  assert.notEqual(told.UnsearchedFaces.length, 0);
  await page.getByLabel("Quality filter").selectOption("HIGH");
  await choose(page, file);
  await page.getByRole("heading", { name: "Not searched", exact: true }).waitFor();
  assert.equal(await page.locator(".box.left").count(), told.UnsearchedFaces.length);
  const reasons = told.UnsearchedFaces.map(({ Reasons }) => Reasons.map((one) => one.toLowerCase().replaceAll("_", " ")).join(", "));
  assert.deepEqual(await page.locator("ul.people .fine").allInnerTexts(), reasons);
  await accessible(page, "picture, not searched");
  await fits(page, "picture, not searched");
});

picture("a photo without a face, and a file that is no photo", async ({ page }) => {
  await choose(page, made("nobody.jpg"));
  await page.getByText("InvalidParameterException").waitFor();
  await page.getByText("There are no faces in the image").waitFor();
  await choose(page, made("broken.jpg"));
  await page.getByText("InvalidImageFormatException").waitFor();
  await page.getByText("This browser cannot show the file.").waitFor();
});

picture("by keyboard alone: from a face of the photo to its entry", async ({ page, ask }) => {
  const file = photo("sample1.jpg");
  const { Faces } = await ask(file);
  page.once("filechooser", (dialog) => dialog.setFiles(file));
  await tabTo(page, /^Choose a photo$/);
  await page.keyboard.press("Space");
  await page.locator(".box").nth(Faces.length - 1).waitFor();
  await tabTo(page, /^Face 2: /);
  await page.keyboard.press("Enter");
  await page.locator(".people > li:nth-child(2).selected").waitFor();
  await tabTo(page, /^Face 1: /);
  await page.keyboard.press("Enter");
  await page.locator(".people > li:nth-child(1).selected").waitFor();
  assert.equal(await page.locator(".box").first().getAttribute("aria-pressed"), "true");
});

picture("the call that is copied does the same with curl", async ({ page, ask }) => {
  const file = made(`it's "a" photo.jpg`);
  await choose(page, file);
  await page.locator(".people > li").first().waitFor();
  await page.locator("summary").click();
  const command = await page.locator("details[open] pre").innerText();
  const reply = JSON.parse(execFileSync("bash", ["-c", `${command} --silent`], { cwd: made(""), encoding: "utf8" }));
  assert.deepEqual(reply, await ask(file, { FaceMatchThreshold: 80, UserMatchThreshold: 80, QualityFilter: "NONE" }));
  await accessible(page, "a call with curl");
  await fits(page, "a call with curl");
});
