// The pictures of the README and of docs/console.md, into the folder REKOLLECT_SCREENSHOTS. The photos are the White House's, works of the
// United States government and in the public domain; they come out of the registry package face-recognition.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { launch, open } from "./browser.mjs";

const { REKOLLECT_SCREENSHOTS: folder, REKOLLECT_TEST_PHOTOS: photos } = process.env;
const photo = (name) => join(photos, `${name}.jpg`);

test("screenshots", { timeout: 120_000 }, async (t) => {
  mkdirSync(folder, { recursive: true });
  const browser = await launch();
  t.after(() => browser.close());
  const { page } = await open(browser);
  const choose = (at, files) => page.locator("input[type=file]").nth(at).setInputFiles(files);
  const take = async (name) => {
    await page.evaluate(() => document.activeElement.blur());
    await page.waitForTimeout(500); // thumbnails are drawn one after the other
    await page.screenshot({ path: join(folder, `${name}.png`), animations: "disabled" });
  };
  await page.getByRole("button", { name: "Create the first one" }).click();
  await page.getByLabel("Name").fill("people");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("heading", { name: "Index photos" }).waitFor({ state: "attached" });
  await choose(0, ["obama", "obama3", "biden"].map(photo));
  await page.getByText("Done").first().waitFor();
  await page.getByRole("button", { name: "obama.jpg" }).click();
  await page.locator(".detail .box").first().waitFor();
  await take("index");

  await page.locator(".tabs").getByRole("link", { name: "Search" }).click();
  await choose(0, photo("obama2"));
  await page.locator(".matches li").nth(1).waitFor();
  await page.locator(".box").waitFor();
  await take("search");

  await page.locator(".tabs").getByRole("link", { name: "People" }).click();
  await choose(0, ["obama", "obama3", "biden"].map(photo));
  await page.getByRole("button", { name: "Group the faces" }).click();
  await page.locator(".group .print").nth(1).waitFor();
  await page.getByLabel("Name of group 1").fill("barack-obama");
  await take("people");

  await page.getByRole("button", { name: "Name", exact: true }).click();
  await page.getByText("2 faces given to barack-obama.").first().waitFor();
  await page.locator(".tabs").getByRole("link", { name: "Picture" }).click();
  await choose(0, photo("obama2"));
  await page.locator(".box .name").waitFor();
  await take("picture");

  await page.getByRole("link", { name: "Compare" }).click();
  await choose(0, photo("obama2"));
  await choose(1, photo("obama"));
  await page.locator(".line-label").waitFor();
  await take("compare");

  await page.getByRole("link", { name: "Detect" }).click();
  await choose(0, photo("obama"));
  await page.locator(".summary").waitFor();
  await page.locator(".detail .point").first().waitFor();
  await take("detect");
});
