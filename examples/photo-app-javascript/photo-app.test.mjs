// The app against whatever server the SDK's variables name, with the photos of the folder PHOTOS (README.md says how it is laid out).

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, parse } from "node:path";
import { after, before, test } from "node:test";
import { DescribeCollectionCommand } from "@aws-sdk/client-rekognition";
import { NoFace, PhotoApp, SomebodyElse } from "./photo-app.mjs";

const { PHOTOS } = process.env;
assert(PHOTOS, "name a folder of photos with PHOTOS: README.md");

const entries = readdirSync(PHOTOS, { withFileTypes: true });
const people = new Map();
for (const folder of entries.filter((entry) => entry.isDirectory())) {
  const photos = readdirSync(join(PHOTOS, folder.name)).sort();
  people.set(folder.name, photos.map((photo) => join(PHOTOS, folder.name, photo)));
}
const others = entries.filter((entry) => entry.isFile()).map((file) => join(PHOTOS, file.name));
// A picture of nothing.
const greyPng = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAGQAAABkCAAAAABVicqIAAAAPUlEQVR42u3NAQkAAAwDoEVf9LU4HLSA6YFIJBKJRCKRSCQSiUQi" +
    "kUgkEolEIpFIJBKJRCKRSCQSiUTyPxmMBYke15yysgAAAABJRU5ErkJggg==",
  "base64",
);

const app = new PhotoApp(`photo-app-${randomUUID()}`);
const faces = async () => (await app.client.send(new DescribeCollectionCommand(app.album))).FaceCount;

// The app knows each person by the first of their photos.
before(async () => {
  await app.open();
  for (const [person, [first]] of people) await app.add(person, first);
});
after(() => app.close());

for (const [person, [, ...more]] of people) {
  for (const photo of more) {
    test(`${person} is known on ${basename(photo)}`, async () => assert((await app.whoIsOn(photo)).includes(person)));
  }
}

for (const photo of others) {
  // The name of a photo names those on it: `ada+bob.jpg`. Names without a folder are strangers.
  test(`everybody known and nobody else is named on ${basename(photo)}`, async () => {
    const expected = parse(photo).name.split("+").filter((name) => people.has(name));
    assert.deepEqual((await app.whoIsOn(photo)).filter((name) => name).sort(), expected.sort());
  });
}

test("a question leaves nothing", async () => {
  for (const photo of others) await app.whoIsOn(photo);
  assert.equal(await faces(), people.size);
});

test("a photo without a face teaches nothing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "photo-app-"));
  try {
    writeFileSync(join(folder, "grey.png"), greyPng);
    await assert.rejects(app.add("nobody", join(folder, "grey.png")), NoFace);
  } finally {
    rmSync(folder, { recursive: true });
  }
  assert.equal(await faces(), people.size);
});

test("a photo of somebody else is refused", async () => {
  const [[known], [, [other]]] = people;
  await assert.rejects(app.add(known, other), SomebodyElse);
  assert.equal(await faces(), people.size);
});

test("who is forgotten is a stranger", async () => {
  const [person, [first, ...more]] = [...people].sort((a, b) => b[1].length - a[1].length)[0];
  for (const photo of more) await app.add(person, photo);
  assert((await app.whoIsOn(first)).includes(person));
  await app.forget(person);
  assert(!(await app.whoIsOn(first)).includes(person));
  assert.equal(await faces(), people.size - 1);
});
