// The console on a server without keys, screen by screen. Each test has a collection of its own.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { accessible, api, boxesOf, drop, fits, image, launch, made, open, photo, same, tabTo, url } from "./browser.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const percent = (value, digits = 1) => `${value.toFixed(digits)}\u00a0%`;

/** A test with a page, at whose end nothing may have gone wrong on it. */
function screen(name, route, body) {
  test(name, { timeout: 120_000 }, async (t) => {
    const collection = `console-${randomUUID()}`;
    const { context, page, wrong } = await open(browser, route.replace("COLLECTION", collection.replaceAll(":", "%3A")), {
      permissions: ["clipboard-read"],
    });
    page.setDefaultTimeout(20_000);
    t.after(async () => {
      await context.close();
      await api("DeleteCollection", { CollectionId: collection });
    });
    await body({ page, collection, t });
    assert.deepEqual(wrong, []);
  });
}

/** The same with a collection that exists, and photos indexed into it under their names. */
function section(name, place, photos, body) {
  screen(name, "", async ({ page, collection, t }) => {
    await api("CreateCollection", { CollectionId: collection });
    for (const one of photos) await api("IndexFaces", { CollectionId: collection, Image: image(photo(one)), ExternalImageId: one });
    await page.goto(`${url}/console/#/collections/${collection}/${place}`);
    await page.locator("main h2").waitFor({ state: "attached" });
    await body({ page, collection, t });
  });
}

const chooser = (page, at = 0) => page.locator("input[type=file]").nth(at);
const shown = (page, text) => page.getByText(text).first().waitFor();

screen("the first paint costs less than 200 KB of script, under a policy that lets in nothing else", "", async ({ page, t }) => {
  const reply = await page.reload();
  assert.match(reply.headers()["content-security-policy"], /^default-src 'none'; script-src 'self';/);
  await page.getByRole("heading", { name: "Collections" }).waitFor();
  await page.waitForLoadState("networkidle");
  // As they came over the network, the worker's among them.
  const sizes = await page.evaluate(() =>
    performance
      .getEntriesByType("resource")
      .filter(({ name }) => name.endsWith(".js"))
      .map(({ name, encodedBodySize }) => [name.split("/").pop(), encodedBodySize]),
  );
  assert.ok(
    sizes.some(([name, size]) => name.startsWith("worker-") && size > 10_000),
    `the SDK is not counted in ${sizes}`,
  );
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  t.diagnostic(`${total} bytes of script in ${sizes.length} files`);
  assert.ok(total < 200_000, `${total} bytes`);
});

screen("collections: made with a tag, tagged anew, deleted by typing the name", "", async ({ page, collection }) => {
  await page
    .getByRole("button", { name: /New collection|Create the first one/ })
    .first()
    .click();
  const name = page.getByRole("dialog").getByLabel("Name");
  await name.fill("no spaces");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await shown(page, "ValidationException");
  await shown(page, "failed to satisfy constraint");
  await shown(page, "Request id");
  await accessible(page, "new collection");
  await name.fill(collection);
  await page.getByRole("button", { name: "Add a tag" }).click();
  await page.getByLabel("Key").fill("team");
  await page.getByLabel("Value").fill("a b");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("heading", { name: "Index photos" }).waitFor({ state: "attached" });
  const arn = (await api("DescribeCollection", { CollectionId: collection })).CollectionARN;
  assert.deepEqual((await api("ListTagsForResource", { ResourceArn: arn })).Tags, { team: "a b" });

  await page.getByRole("link", { name: "Collections" }).first().click();
  const row = page.getByRole("row").filter({ hasText: collection });
  await row.getByText("team: a b").waitFor();
  await row.getByText(arn).waitFor();
  await accessible(page, "collections");
  await fits(page, "collections");

  await row.getByRole("link").click();
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("Value").fill("c");
  await page.getByRole("button", { name: "Add a tag" }).click();
  await page.getByLabel("Key").nth(1).fill("stage");
  await page.getByLabel("Value").nth(1).fill("test");
  await page.getByRole("button", { name: "Save tags" }).click();
  await page.getByText("Tags saved").waitFor({ state: "attached" });
  assert.deepEqual((await api("ListTagsForResource", { ResourceArn: arn })).Tags, { team: "c", stage: "test" });
  await page.getByRole("button", { name: "Remove tag team" }).click();
  await page.getByRole("button", { name: "Save tags" }).click();
  await page.getByText("Tags saved").waitFor({ state: "attached" });
  assert.deepEqual((await api("ListTagsForResource", { ResourceArn: arn })).Tags, { stage: "test" });
  await accessible(page, "settings");
  await fits(page, "settings");

  await page.getByRole("button", { name: `Delete ${collection}` }).click();
  const confirm = page.getByRole("button", { name: "Delete for good" });
  await page.getByLabel(/to confirm/).fill(collection.slice(1));
  assert.equal(await confirm.isDisabled(), true);
  await page.keyboard.press("Enter");
  assert.equal((await api("DescribeCollection", { CollectionId: collection })).FaceCount, 0);
  await accessible(page, "deletion");
  await page.getByLabel(/to confirm/).fill(collection);
  await confirm.click();
  await page.getByRole("heading", { name: "Collections", exact: true }).waitFor();
  assert.equal((await api("DescribeCollection", { CollectionId: collection })).Code, "ResourceNotFoundException");
});

section("index: boxes and landmarks are where the service found the faces", "index", [], async ({ page, collection }) => {
  await accessible(page, "index, empty");
  const files = [
    [photo("sample4.jpg"), "sample4.jpg"],
    [made("turned.jpg"), "turned.jpg"],
    [made("turned.png"), "turned.png"],
  ];
  await page.evaluate(() => {
    const [create, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
    globalThis.addresses = 0;
    URL.createObjectURL = (file) => (addresses++, create(file));
    URL.revokeObjectURL = (address) => (addresses--, revoke(address));
  });
  await chooser(page).setInputFiles(files.map(([file]) => file));
  await shown(page, "Done");
  for (const [file, name] of files) {
    // The same image under the same external id is told again, and nothing is stored.
    const { FaceRecords } = await api("IndexFaces", { CollectionId: collection, Image: image(file), ExternalImageId: name });
    await page.locator(".file").filter({ hasText: name }).click();
    await page.locator(`[aria-label="Photo ${name}"] .box`).first().waitFor();
    same(
      await boxesOf(page, ".detail"),
      FaceRecords.map((record) => record.FaceDetail.BoundingBox),
    );
    // One JPEG lies on its side, and Exif says so: it is shown upright, as its boxes are meant. A PNG is shown as it is.
    const { width, height } = await page.locator(".detail img").boundingBox();
    assert.equal(width > height, name === "sample4.jpg", `${name} is shown ${width} x ${height}`);
    const points = await page.locator(".detail .point").evaluateAll((points) =>
      points.map((point) => {
        const [inner, outer] = [point.getBoundingClientRect(), point.closest(".photo").querySelector("img").getBoundingClientRect()];
        return { X: (inner.x + inner.width / 2 - outer.x) / outer.width, Y: (inner.y + inner.height / 2 - outer.y) / outer.height };
      }),
    );
    same(
      points,
      FaceRecords.flatMap((record) => record.FaceDetail.Landmarks.map(({ X, Y }) => ({ X, Y }))),
    );
  }
  const { FaceCount } = await api("DescribeCollection", { CollectionId: collection });
  await page
    .locator("[data-stat=faces]")
    .filter({ hasText: String(FaceCount) })
    .waitFor();
  await accessible(page, "index");
  await fits(page, "index");
  assert.equal(await page.evaluate(() => addresses), 1);
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Save tags" }).waitFor();
  assert.equal(await page.evaluate(() => addresses), 0, "an address of a photo was not given back");
});

section("index: what is left out or refused is listed with its reason", "index", [], async ({ page, collection }) => {
  await page.getByLabel("Max faces a photo").fill("1");
  await drop(page, ".drop", [photo("sample4.jpg"), made("broken.jpg"), made("large.jpg")]);
  await shown(page, "Done");
  await page.locator(".file").filter({ hasText: "sample4" }).click();
  const again = { CollectionId: collection, Image: image(photo("sample4.jpg")), ExternalImageId: "sample4.jpg", MaxFaces: 1 };
  const { UnindexedFaces } = await api("IndexFaces", again);
  await page.locator(".box.left").first().waitFor();
  assert.equal(await page.locator(".box.left").count(), UnindexedFaces.length);
  await page.locator(".box.left").first().click();
  await shown(page, "exceeds max faces");
  await page.getByLabel(/Failures only/).check();
  const failures = await page.locator(".file-text").allInnerTexts();
  assert.deepEqual(
    failures.map((text) => text.split("\n")),
    [
      ["broken.jpg", "InvalidImageFormatException: Request has invalid image format"],
      ["large.jpg", "Not sent: The file has 5.0 MB, and the service takes 5 MB of image bytes at most."],
    ],
  );
  await page.locator(".file").first().click();
  await page.locator(".detail").getByText("InvalidImageFormatException").waitFor();
  await page.locator(".detail").getByText("Request id").waitFor();
  await accessible(page, "index, a failure");
  const { Faces } = await api("ListFaces", { CollectionId: collection });
  assert.deepEqual(
    Faces.map((face) => face.ExternalImageId),
    ["sample4.jpg"],
  );
});

section("index: a folder that is chosen, under names that were made to fit", "index", [], async ({ page, collection }) => {
  await chooser(page, 1).setInputFiles(made("few"));
  await shown(page, "2 indexed, 2 faces");
  assert.deepEqual((await page.locator(".file-name").allInnerTexts()).sort(), ["few/Zo\u00eb & co.jpg", "few/inner/it's.jpg"].sort());
  const named = async () => (await api("ListFaces", { CollectionId: collection })).Faces.map((face) => face.ExternalImageId).sort();
  assert.deepEqual(await named(), ["Zoe___co.jpg", "it_s.jpg"]);
  await page.locator("summary").filter({ hasText: "Options" }).click();
  await page.getByLabel("External image id").selectOption("text");
  await page.getByLabel("Text").fill("not / allowed");
  await chooser(page).setInputFiles(photo("obama2.jpg"));
  await shown(page, "ValidationException");
  await page.getByLabel("Text").fill("president");
  await page.getByRole("button", { name: "Try failures again" }).click();
  await shown(page, "3 indexed, 3 faces");
  assert.deepEqual(await named(), ["Zoe___co.jpg", "it_s.jpg", "president"]);
});

section("index: a throttled server is asked again", "index", [], async ({ page, t }) => {
  t.after(() => fetch(`${url}/_faults`, { method: "DELETE" }));
  await fetch(`${url}/_faults`, {
    method: "POST",
    body: JSON.stringify({ operation: "IndexFaces", error: "ThrottlingException", calls: 3 }),
  });
  await chooser(page).setInputFiles(photo("obama.jpg"));
  await shown(page, "Done");
  await shown(page, "1 indexed, 1 face");
  assert.deepEqual((await (await fetch(`${url}/_faults`)).json()).rules, [], "it was not throttled as often as it should");
});

section(
  "search: by a photo, by a face of the matches, and what is not there",
  "search",
  ["obama.jpg", "biden.jpg"],
  async ({ page, collection }) => {
    await accessible(page, "search, empty");
    await chooser(page).setInputFiles(photo("obama2.jpg"));
    const asked = { CollectionId: collection, Image: image(photo("obama2.jpg")) };
    const found = await api("SearchFacesByImage", asked);
    assert.equal(found.FaceMatches.length, 1);
    await shown(page, percent(found.FaceMatches[0].Similarity, 2));
    await page.locator(".box").first().waitFor();
    same(await boxesOf(page, ".searched"), [found.SearchedFaceBoundingBox]);
    assert.deepEqual(await page.locator(".match-name").allInnerTexts(), ["obama.jpg"]);
    await page.getByLabel("Least similarity").fill("0");
    await page.locator(".matches li").nth(1).waitFor();
    const all = await api("SearchFacesByImage", { ...asked, FaceMatchThreshold: 0 });
    assert.deepEqual(
      await page.locator(".match-figure .value").allInnerTexts(),
      all.FaceMatches.map((match) => percent(match.Similarity, 2)),
    );
    await accessible(page, "search");
    await fits(page, "search");

    await page.locator(".matches a").first().click();
    assert.equal(await page.getByLabel("Face id").inputValue(), found.FaceMatches[0].Face.FaceId);
    await page.getByLabel("Least similarity").fill("0");
    await page.locator(".match-name").filter({ hasText: "biden.jpg" }).waitFor();
    assert.deepEqual(await page.locator(".match-name").allInnerTexts(), ["biden.jpg"]);
    await page.getByLabel("Face id").fill(randomUUID());
    await page.getByRole("button", { name: "Search", exact: true }).click();
    await shown(page, "InvalidParameterException");
    await shown(page, "faceId was not found in the collection.");
  },
);

section(
  "faces: filtered by external image id, several deleted at once",
  "faces",
  ["obama.jpg", "obama2.jpg", "biden.jpg"],
  async ({ page, collection }) => {
    await page.getByLabel("Filter by external image id").fill("OBAMA");
    await page.getByText("2 faces of 3 loaded ones").waitFor();
    await page.getByLabel("All that match").check();
    await shown(page, "2 faces chosen");
    await accessible(page, "faces");
    await fits(page, "faces");
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await accessible(page, "faces, deletion");
    await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
    await shown(page, "2 faces deleted.");
    await page.locator("[data-stat=faces]").filter({ hasText: "1" }).waitFor();
    const { Faces } = await api("ListFaces", { CollectionId: collection });
    assert.deepEqual(
      Faces.map((face) => face.ExternalImageId),
      ["biden.jpg"],
    );
  },
);

section("users: made, given faces, found, and taken apart again", "users", ["obama.jpg", "biden.jpg"], async ({ page, collection }) => {
  await page.getByLabel("New user's id").fill("barack");
  await page.getByRole("button", { name: "Create user" }).click();
  await page.getByRole("link", { name: "barack", exact: true }).waitFor();
  await page.getByLabel("New user's id").fill("barack");
  await page.getByRole("button", { name: "Create user" }).click();
  await shown(page, "ConflictException");
  await accessible(page, "users");
  await fits(page, "users");

  await page.getByRole("link", { name: "Faces", exact: true }).click();
  await page.getByLabel("Choose obama.jpg").check();
  await page.getByRole("button", { name: "Associate with a user" }).click();
  await page.getByLabel("User id").fill("barack");
  await accessible(page, "association");
  await page.getByRole("button", { name: "Associate", exact: true }).click();
  await shown(page, "1 face associated with barack.");
  const face = (await api("ListFaces", { CollectionId: collection, UserId: "barack" })).Faces[0];
  assert.equal(face.ExternalImageId, "obama.jpg");

  // A face of a user is refused.
  await page.getByLabel("Choose obama.jpg").check();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await shown(page, "associated to an existing user (barack)");

  await page.getByRole("link", { name: "Search", exact: true }).first().click();
  await page.getByLabel("Search among").selectOption("users");
  await chooser(page).setInputFiles(photo("obama2.jpg"));
  const found = await api("SearchUsersByImage", { CollectionId: collection, Image: image(photo("obama2.jpg")) });
  await shown(page, percent(found.UserMatches[0].Similarity, 2));
  await page.locator(".match-name a").click();
  await page.getByRole("heading", { name: "barack" }).waitFor();

  await page.getByLabel("Face ids to associate").fill(`${randomUUID()} ${face.FaceId}`);
  await page.getByRole("button", { name: "Associate", exact: true }).click();
  await shown(page, ": face not found");
  await page.locator(".print input").check();
  await accessible(page, "user");
  await fits(page, "user");
  await page.getByRole("button", { name: "Disassociate 1" }).click();
  await shown(page, "1 face disassociated.");
  assert.deepEqual((await api("ListFaces", { CollectionId: collection, UserId: "barack" })).Faces, []);
  await page.getByRole("button", { name: "Delete user" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete user" }).click();
  await shown(page, "No users yet");
  assert.deepEqual((await api("ListUsers", { CollectionId: collection })).Users, []);
});

screen("compare: a line to each face that matches, the others listed", "#/compare", async ({ page }) => {
  await accessible(page, "compare, empty");
  await chooser(page, 0).setInputFiles(photo("sample3.jpg"));
  await chooser(page, 1).setInputFiles(photo("sample1.jpg"));
  const told = await api("CompareFaces", { SourceImage: image(photo("sample3.jpg")), TargetImage: image(photo("sample1.jpg")) });
  assert.equal(told.FaceMatches.length, 1);
  assert.notEqual(told.UnmatchedFaces.length, 0);
  await page.locator(".line-label").waitFor();
  same(await boxesOf(page, "[aria-label=Source]"), [told.SourceImageFace.BoundingBox]);
  same(
    await boxesOf(page, "[aria-label=Target]"),
    [...told.FaceMatches.map(({ Face }) => Face), ...told.UnmatchedFaces].map((face) => face.BoundingBox),
  );
  assert.deepEqual(await page.locator(".line-label").allInnerTexts(), [percent(told.FaceMatches[0].Similarity)]);
  // The line ends at the two boxes.
  const [from, to, ...line] = await page.evaluate(() => {
    const [source, target] = ["Source", "Target"].map((side) =>
      document.querySelector(`[aria-label=${side}] .box`).getBoundingClientRect(),
    );
    const path = document.querySelector(".lines path:not(.halo)");
    const origin = document.querySelector(".lines").getBoundingClientRect();
    const at = (length) => path.getPointAtLength(length).x + origin.x;
    return [source.right, target.left, at(0), at(path.getTotalLength())];
  });
  assert.ok(Math.abs(from - line[0]) < 2 && Math.abs(to - line[1]) < 2, `${[from, to]} and ${line}`);
  assert.equal(await page.getByText(/^Unmatched face \d/).count(), told.UnmatchedFaces.length);
  await accessible(page, "compare");
  await fits(page, "compare");
  await chooser(page, 0).setInputFiles(made("broken.jpg"));
  await shown(page, "InvalidImageFormatException");
});

screen("detect: every attribute, as the service tells it", "#/detect", async ({ page }) => {
  await accessible(page, "detect, empty");
  await chooser(page).setInputFiles(photo("sample4.jpg"));
  const { FaceDetails } = await api("DetectFaces", { Image: image(photo("sample4.jpg")), Attributes: ["ALL"] });
  await page.locator(".box").first().waitFor();
  same(
    await boxesOf(page, ".detail"),
    FaceDetails.map((face) => face.BoundingBox),
  );
  for (const [index, face] of FaceDetails.entries()) {
    await page.locator(".face-picks button").nth(index).click();
    const facts = Object.fromEntries(
      await page
        .locator(".facts-list > div")
        .evaluateAll((rows) => rows.map((row) => [row.querySelector("dt").textContent, row.querySelector(".value").textContent])),
    );
    const expected = {
      Confidence: percent(face.Confidence, 2),
      "Age, in years": `${face.AgeRange.Low} to ${face.AgeRange.High}`,
      [`Looks ${face.Gender.Value.toLowerCase()}`]: percent(face.Gender.Confidence),
      [face.Smile.Value ? "Smiling" : "Not smiling"]: percent(face.Smile.Confidence),
      [face.Beard.Value ? "Beard" : "No beard"]: percent(face.Beard.Confidence),
      Yaw: `${face.Pose.Yaw.toFixed(1)}\u00b0`,
      Sharpness: face.Quality.Sharpness.toFixed(1),
      ...Object.fromEntries(face.Emotions.map(({ Type, Confidence }) => [Type.toLowerCase(), percent(Confidence)])),
    };
    assert.deepEqual({ ...facts, ...expected }, facts);
  }
  await accessible(page, "detect");
  await fits(page, "detect");
});

screen("a call that is copied does the same with the aws-cli and with boto3", "#/detect", async ({ page }) => {
  await chooser(page).setInputFiles(made(`it's "a" photo.jpg`));
  await page.locator(".summary").waitFor();
  const expected = (await api("DetectFaces", { Image: image(photo("obama.jpg")), Attributes: ["ALL"] })).FaceDetails[0].Confidence;
  await page.locator("summary").click();
  const copied = async (client) => {
    await page.getByRole("button", { name: client, exact: true }).click();
    await page.getByRole("button", { name: `${client} call of DetectFaces` }).click();
    await shown(page, "Copied");
    return page.evaluate(() => navigator.clipboard.readText());
  };
  const run = (program, ...rest) => execFileSync(program, rest, { cwd: made(""), encoding: "utf8" });
  const [command, program] = [await copied("aws-cli"), await copied("boto3")];
  assert.equal(JSON.parse(run("bash", "-c", `${command} --output json`)).FaceDetails[0].Confidence, expected);
  assert.match(run(process.env.REKOLLECT_TEST_PYTHON, "-c", program), new RegExp(`'Confidence': ${expected}\\b`));
  await accessible(page, "a call");
  await fits(page, "a call");
});

section("a call with lists, tags and a threshold is quoted for both", "faces", ["obama.jpg"], async ({ page, collection }) => {
  await page.getByLabel("Choose obama.jpg").check();
  await page.locator("summary").filter({ hasText: "DeleteFaces" }).click();
  const snippet = page.locator("details[open]");
  const run = (program, ...rest) => execFileSync(program, rest, { encoding: "utf8" });
  const command = await snippet.locator("pre").innerText();
  await snippet.getByRole("button", { name: "boto3", exact: true }).click();
  const program = await snippet.locator("pre").innerText();
  const [id] = JSON.parse(run("bash", "-c", `${command} --output json`)).DeletedFaces;
  assert.deepEqual((await api("ListFaces", { CollectionId: collection })).Faces, []);
  // The face is gone by now, and boto3 says so.
  assert.match(run(process.env.REKOLLECT_TEST_PYTHON, "-c", program), new RegExp(`'FaceId': '${id}', 'Reasons': \\['FACE_NOT_FOUND'\\]`));
});

screen("copying works where the browser has no clipboard for the page", "#/compare", async ({ page }) => {
  await page.addInitScript(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await page.goto(`${url}/console/?#/collections`);
  await page.locator("summary").click();
  await page.getByRole("button", { name: "aws-cli call of ListCollections" }).click();
  await shown(page, "Copied");
});

screen("by keyboard alone: a collection, photos, a search", "", async ({ page, collection }) => {
  // Listened to from the start: one that opens while the listener is being set up would be lost.
  let chosen;
  page.on("filechooser", (dialog) => dialog.setFiles(chosen));
  const choose = async (name, files) => {
    await tabTo(page, name);
    chosen = files;
    await page.keyboard.press("Space");
  };
  await page.getByRole("heading", { name: "Collections" }).waitFor();
  await tabTo(page, /^(New collection|Create the first one)$/);
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.type(collection);
  await page.keyboard.press("Enter");
  // The focus is on the new screen's heading, and Tab goes on from there.
  await page.waitForFunction(() => document.activeElement.textContent === "Index photos");
  assert.match(await page.title(), new RegExp(`^Index - ${collection}`));
  await choose(/^Choose photos$/, [photo("obama.jpg"), photo("biden.jpg")]);
  await page.getByText("Done").first().waitFor();
  await page.keyboard.press("Home");
  await page.evaluate(() => document.querySelector(".skip").focus());
  await tabTo(page, /^Search$/);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement.textContent === "Search");
  await choose(/^Choose a photo$/, photo("obama2.jpg"));
  await page.locator(".match-name").filter({ hasText: "obama.jpg" }).waitFor();
  const said = await page.getByRole("status").allInnerTexts();
  assert.ok(said.includes("1 match"), `a screen reader is told ${said}`);
});

screen("an address that leads nowhere says so", "#/nowhere", async ({ page }) => {
  await page.getByRole("heading", { name: "There is no such page" }).waitFor();
  await accessible(page, "nowhere");
});
