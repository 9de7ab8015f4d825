// A server without the operations that the cloud does not have: screens say so, and what remains of them works.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, api, fits, image, launch, open, photo } from "./browser.mjs";

const SENTENCE = "This server cannot do that";

test("without extensions: a sentence in the place of the screens that need them", { timeout: 60_000 }, async (t) => {
  const browser = await launch();
  t.after(() => browser.close());
  const here = { CollectionId: "without" };
  await api("CreateCollection", here);
  t.after(() => api("DeleteCollection", here));
  const { FaceRecords } = await api("IndexFaces", { ...here, Image: image(photo("obama.jpg")), ExternalImageId: "obama.jpg" });
  await api("CreateUser", { ...here, UserId: "barack" });
  await api("AssociateFaces", { ...here, UserId: "barack", FaceIds: [FaceRecords[0].Face.FaceId] });
  const { page, wrong } = await open(browser, "#/collections/without/picture");
  page.setDefaultTimeout(20_000);

  await page.locator("input[type=file]").first().setInputFiles(photo("obama.jpg"));
  await page.getByText(SENTENCE).waitFor();
  await page.getByText("SearchAllFacesByImage").first().waitFor();
  assert.equal(await page.locator(".drop").count(), 0);
  await accessible(page, "picture without extensions");
  await fits(page, "picture without extensions");

  await page.getByRole("link", { name: "People" }).click();
  await page.getByRole("button", { name: "Group the faces" }).click();
  await page.getByText(SENTENCE).waitFor();
  await page.getByText("GroupFaces").first().waitFor();
  await accessible(page, "people without extensions");

  // It is known by now.
  await page.getByRole("link", { name: "Picture" }).click();
  await page.getByText(SENTENCE).waitFor();

  await page.getByRole("link", { name: "Users" }).click();
  await page.getByRole("link", { name: "barack", exact: true }).click();
  await page.locator(".print").filter({ hasText: "obama.jpg" }).waitFor();
  assert.equal(await page.getByLabel("Doubtful below").count(), 0);
  assert.equal(await page.getByRole("alert").count(), 0);
  assert.deepEqual(wrong, []);
});
