// People: groups of unnamed faces, what a person does with them, and what is stored of it. Another collection, `alike`, is imported by
// test_console.py: 130 faces of one person.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { accessible, api, ELSEWHERE, fits, image, launch, made, open, photo, tabTo, url } from "./browser.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const PHOTOS = ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "sample1.jpg"];

/** A test with a page of a collection in which some people have no name yet. */
function people(name, { photos = PHOTOS, at = url, place = "people" }, body) {
  test(name, { timeout: 120_000 }, async (t) => {
    const collection = `people-${randomUUID()}`;
    const here = { CollectionId: collection };
    await api("CreateCollection", here);
    for (const one of photos) {
      const file = one.startsWith("turned") ? made(one) : photo(one);
      await api("IndexFaces", { ...here, Image: image(file), ExternalImageId: one });
    }
    const { context, page, wrong } = await open(browser, `#/collections/${collection}/${place}`, { at });
    page.setDefaultTimeout(20_000);
    t.after(async () => {
      await context.close();
      await api("DeleteCollection", here);
    });
    await page.locator("main h2").waitFor();
    await body({ page, here });
    assert.deepEqual(wrong, []);
  });
}

const files = (photos) => photos.map((one) => (one.startsWith("turned") ? made(one) : photo(one)));
const load = (page, photos) => page.locator("input[type=file]").first().setInputFiles(files(photos));
const group = async (page) => {
  await page.getByRole("button", { name: /^Group (the faces|anew)$/ }).click();
  await page.getByRole("heading", { name: / in none$/ }).waitFor();
};
/** The group with this photo. */
const groupOf = (page, name) => page.locator(".group").filter({ has: page.getByTitle(`${name},`) });
const namesOf = (sheet) => sheet.locator(".print-name").allInnerTexts();
const facesOf = async (here, user) => (await api("ListFaces", { ...here, UserId: user })).Faces.map((face) => face.ExternalImageId).sort();
const OBAMA = ["obama.jpg", "obama2.jpg", "obama3.jpg"];

people("groups are shown as the service makes them, and their pictures when photos are loaded again", {}, async ({ page, here }) => {
  await accessible(page, "people, before");
  await group(page);
  const told = await api("GroupFaces", here);
  const cards = page.locator(".group");
  assert.equal(await cards.count(), told.Groups.length);
  for (const [at, { Faces }] of told.Groups.entries()) {
    const shown = await namesOf(cards.nth(at));
    assert.deepEqual(
      shown,
      Faces.map(({ Face }) => Face.ExternalImageId),
    );
  }
  assert.deepEqual((await namesOf(groupOf(page, "obama.jpg"))).sort(), OBAMA);
  const ungrouped = page.getByRole("region", { name: "In no group" });
  assert.deepEqual(
    await namesOf(ungrouped),
    told.UngroupedFaces.map((face) => face.ExternalImageId),
  );
  const faces = told.UngroupedFaces.length + told.Groups.reduce((sum, { Faces }) => sum + Faces.length, 0);
  await page.getByText(`0 of ${faces} faces have a picture.`).first().waitFor();
  assert.equal(await page.locator("canvas.crop").count(), 0);
  await accessible(page, "people, without pictures");

  // Of one photo too few, and one too many.
  await load(page, [...PHOTOS.filter((one) => one !== "biden.jpg"), "sample4.jpg"]);
  await page.getByText(`${faces - 1} of ${faces} faces have a picture.`).first().waitFor();
  assert.equal(await page.locator("canvas.crop").count(), faces - 1);
  const tile = page.getByTitle("biden.jpg,");
  assert.equal(await tile.locator("svg.crop").count(), 1);
  await accessible(page, "people");
  await fits(page, "people");
});

people("faces are cut out of upright photos", { photos: ["obama.jpg", "turned.jpg", "turned.png"] }, async ({ page, here }) => {
  await group(page);
  await load(page, ["obama.jpg", "turned.jpg", "turned.png"]);
  const { Faces } = await api("ListFaces", here);
  await page.getByText(`${Faces.length} of ${Faces.length} faces have a picture.`).first().waitFor();
  await page.waitForTimeout(1000); // pictures are drawn one after the other
  const look = (name) =>
    page
      .getByTitle(`${name},`)
      .first()
      .locator("canvas")
      .evaluate((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return [...data].filter((_, at) => at % 4 < 3);
      });
  const unlike = (a, b) => a.reduce((sum, value, at) => sum + Math.abs(value - b[at]), 0) / a.length;
  const upright = await look("obama.jpg");
  assert.ok(
    upright.some((value) => value > 100),
    "nothing is drawn",
  );
  for (const name of Faces.map((face) => face.ExternalImageId).filter((name) => name !== "obama.jpg")) {
    const difference = unlike(upright, await look(name));
    assert.ok(difference < 20, `${name} differs by ${difference} of 255 from the upright photo`);
  }
});

people(
  "ids of photos are known on a page without TLS too",
  { photos: ["obama.jpg", "biden.jpg"], at: url.replace("127.0.0.1", ELSEWHERE) },
  async ({ page }) => {
    assert.equal(await page.evaluate(() => globalThis.isSecureContext), false);
    await group(page);
    await load(page, ["obama.jpg", "biden.jpg"]);
    await page.getByText("2 of 2 faces have a picture.").first().waitFor();
  },
);

people("put together and apart by hand, and stored with the name alone", {}, async ({ page, here }) => {
  await group(page);
  const obama = groupOf(page, "obama.jpg");
  await obama.getByTitle("obama2.jpg,").getByRole("checkbox").check();
  await obama.getByRole("button", { name: "Split off 1 face" }).click();
  assert.deepEqual((await namesOf(groupOf(page, "obama.jpg"))).sort(), ["obama.jpg", "obama3.jpg"]);
  assert.deepEqual(await namesOf(groupOf(page, "obama2.jpg")), ["obama2.jpg"]);

  // Two photos of other people, out of those in no group.
  const ungrouped = page.getByRole("region", { name: "In no group" });
  await ungrouped.getByTitle("biden.jpg,").getByRole("checkbox").check();
  await ungrouped.getByRole("button", { name: "Make a group of 1 face" }).click();
  assert.deepEqual(await namesOf(page.locator(".group").first()), ["biden.jpg"]);

  // It is still so after another screen.
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Save tags" }).waitFor();
  await page.getByRole("link", { name: "People" }).click();
  await groupOf(page, "biden.jpg").waitFor();

  for (const one of ["obama.jpg", "obama2.jpg"]) await groupOf(page, one).getByLabel(/^Choose group/).check();
  await page.getByRole("button", { name: "Merge 2 groups" }).click();
  assert.deepEqual((await namesOf(groupOf(page, "obama.jpg"))).sort(), OBAMA);
  assert.deepEqual((await api("ListUsers", here)).Users, []);

  await groupOf(page, "obama.jpg").getByLabel(/^Name of group/).fill("barack");
  await groupOf(page, "obama.jpg").getByRole("button", { name: "Name" }).click();
  await page.getByText("3 faces given to barack.").first().waitFor();
  assert.equal(await groupOf(page, "obama.jpg").count(), 0);
  assert.deepEqual(await facesOf(here, "barack"), OBAMA);
  await page.locator("[data-stat=users]").filter({ hasText: "1" }).waitFor();
  await accessible(page, "people, named");
});

people("a group that resembles a user is given to it, and faces that are unlike it are refused", {}, async ({ page, here }) => {
  const { Faces } = await api("ListFaces", here);
  const id = (name) => Faces.find((face) => face.ExternalImageId === name).FaceId;
  await api("CreateUser", { ...here, UserId: "barack" });
  await api("AssociateFaces", { ...here, UserId: "barack", FaceIds: [id("obama.jpg")] });
  await group(page);
  const card = groupOf(page, "obama2.jpg");
  const [typical] = await namesOf(card);
  const { UserMatches } = await api("SearchUsers", { ...here, FaceId: id(typical) });
  await card.getByText(`${UserMatches[0].Similarity.toFixed(1)}\u00a0%`).first().waitFor();
  await accessible(page, "people, a suggestion");
  await card.getByRole("button", { name: "Give to barack" }).click();
  await page.getByText("2 faces given to barack.").first().waitFor();
  assert.deepEqual(await facesOf(here, "barack"), OBAMA);

  const ungrouped = page.getByRole("region", { name: "In no group" });
  await ungrouped.getByTitle("biden.jpg,").getByRole("checkbox").check();
  await ungrouped.getByRole("button", { name: "Make a group of 1 face" }).click();
  await groupOf(page, "biden.jpg").getByLabel(/^Name of group/).fill("barack");
  await groupOf(page, "biden.jpg").getByRole("button", { name: "Name" }).click();
  await page.getByText("1 face was refused, and still in the group:").waitFor();
  await page.getByText("low match confidence").waitFor();
  await groupOf(page, "biden.jpg").waitFor();
  assert.deepEqual(await facesOf(here, "barack"), OBAMA);
});

people("by keyboard alone: a group is named", {}, async ({ page, here }) => {
  await tabTo(page, /^Group the faces$/);
  await page.keyboard.press("Enter");
  await groupOf(page, "obama.jpg").waitFor();
  await page.getByRole("status").filter({ hasText: / in none$/ }).waitFor({ state: "attached" });
  await tabTo(page, /^Choose group 1$/);
  await page.keyboard.press("Space");
  assert.equal(await page.getByLabel("Choose group 1").isChecked(), true);
  const first = await namesOf(page.locator(".group").first());
  await tabTo(page, /^Name of group 1$/);
  await page.keyboard.type("somebody");
  await page.keyboard.press("Enter");
  await page.getByText(`${first.length} faces given to somebody.`).first().waitFor();
  // What was pressed is gone; the focus is on what came of it.
  assert.match(await page.evaluate(() => document.activeElement.textContent), /given to somebody/);
  assert.deepEqual(await facesOf(here, "somebody"), [...first].sort());
});

people("doubtful faces of a user come first, and go", { place: "users" }, async ({ page, here }) => {
  const { Faces } = await api("ListFaces", here);
  const taken = Faces.filter((face) => [...OBAMA, "biden.jpg"].includes(face.ExternalImageId)).map((face) => face.FaceId);
  await api("CreateUser", { ...here, UserId: "barack" });
  // A user without faces takes any.
  await api("AssociateFaces", { ...here, UserId: "barack", FaceIds: taken });
  await page.reload();
  await page.getByRole("link", { name: "barack", exact: true }).click();
  await page.locator(".print").first().waitFor();
  const told = await api("DescribeUser", { ...here, UserId: "barack" });
  assert.equal(told.Faces[0].Face.ExternalImageId, "biden.jpg");
  const shown = await page.locator(".print .fine").allInnerTexts();
  assert.deepEqual(
    shown.map((text) => text.split(" ")[0]),
    told.Faces.map(({ Similarity }) => `${Similarity.toFixed(1)}\u00a0%`),
  );
  // A limit between the stranger and the others.
  const limit = Math.ceil(told.Faces[0].Similarity + 0.01);
  assert.ok(told.Faces[1].Similarity >= limit, `${told.Faces.map((face) => face.Similarity)}`);
  await page.getByLabel("Doubtful below").fill(String(limit));
  assert.equal(await page.locator(".print.doubtful").count(), 1);
  await page.getByRole("button", { name: "Choose 1 doubtful face" }).click();
  await accessible(page, "user, doubtful faces");
  await fits(page, "user, doubtful faces");
  await page.getByRole("button", { name: "Disassociate 1" }).click();
  await page.getByText("1 face disassociated.").waitFor();
  assert.deepEqual(await facesOf(here, "barack"), OBAMA);

  await page.getByTitle("obama3.jpg,").getByRole("checkbox").check();
  await page.getByRole("button", { name: "Delete 1" }).click();
  await accessible(page, "user, deletion of faces");
  await page.getByRole("button", { name: "Delete faces" }).click();
  await page.getByText("1 face deleted.").waitFor();
  assert.deepEqual(await facesOf(here, "barack"), ["obama.jpg", "obama2.jpg"]);
  assert.equal((await api("DescribeCollection", here)).FaceCount, Faces.length - 1);
});

test("of a group of 130 faces a user gets the 100 most typical", { timeout: 120_000 }, async (t) => {
  const here = { CollectionId: "alike" };
  const { Groups } = await api("GroupFaces", here);
  assert.deepEqual(
    Groups.map(({ Faces }) => Faces.length),
    [130],
  );
  const { context, page, wrong } = await open(browser, "#/collections/alike/people");
  page.setDefaultTimeout(20_000);
  t.after(() => context.close());
  await group(page);
  const card = page.locator(".group").first();
  await card.getByRole("button", { name: "Show 96 more of 130" }).click();
  assert.equal(await card.locator(".print").count(), 120);
  await card.getByText("A user has 100 faces at most").waitFor();
  await card.getByLabel("Name of group 1").fill("one");
  await card.getByRole("button", { name: "Name" }).click();
  await page.getByText("100 faces given to one.").first().waitFor();
  await page.getByText("30 less typical faces stay without a name.").waitFor();
  const typical = Groups[0].Faces.slice(0, 100).map(({ Face }) => Face.ExternalImageId);
  assert.deepEqual(await facesOf(here, "one"), typical.sort());
  assert.deepEqual(wrong, []);
});
