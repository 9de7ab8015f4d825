// Builds the console into dist/, a flat folder: index.html, and assets whose names carry a hash of what is in them, so that they can be
// cached for ever.

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const source = (name) => join(here, "src", name);
const out = join(here, "dist");
const BASE = "/console/";

const common = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  target: "es2022",
  outdir: out,
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
};

/** What esbuild named the output of an entry point. */
function named(result, entry) {
  const found = Object.entries(result.metafile.outputs).find(([, output]) => output.entryPoint?.endsWith(entry));
  return basename(found[0]);
}

/** Puts a file beside the scripts, under a name with its hash. */
async function put(name, content) {
  const [base, extension] = name.split(".");
  const hashed = `${base}-${createHash("sha256").update(content).digest("hex").slice(0, 8)}.${extension}`;
  await writeFile(join(out, hashed), content);
  return hashed;
}

/** The licences of the packages that the scripts were made of, as each of them asks for. */
async function licences(...results) {
  const inputs = results.flatMap((result) => Object.keys(result.metafile.inputs));
  const packages = new Set(inputs.flatMap((path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0] ?? []));
  const texts = [...packages].sort().map(async (folder) => {
    const { name, version, license } = JSON.parse(await readFile(join(here, folder, "package.json"), "utf8"));
    const file = (await readdir(join(here, folder))).find((entry) => /^licen[sc]e/i.test(entry));
    return `${name} ${version} (${license})\n\n${file ? await readFile(join(here, folder, file), "utf8") : ""}`;
  });
  return (await Promise.all(texts)).join(`\n${"-".repeat(80)}\n\n`);
}

await rm(out, { recursive: true, force: true });
await mkdir(out);

// The worker is one script: a chunk that it shared with the page would be fetched by both before the first call.
const worker = await build({ ...common, entryPoints: [source("worker.ts")], format: "iife" });
const screens = {
  ...common,
  entryPoints: [source("main.tsx")],
  format: "esm",
  splitting: true,
  jsx: "automatic",
  jsxImportSource: "preact",
};
const define = (licences) => ({ WORKER: JSON.stringify(BASE + named(worker, "worker.ts")), LICENCES: JSON.stringify(BASE + licences) });
// What the scripts are made of is known when they have been built; where that is written down has to be in them.
const dry = await build({ ...screens, define: define(""), write: false });
const page = await build({ ...screens, define: define(await put("licences.txt", await licences(worker, dry))) });
const style = await build({ ...common, entryPoints: [source("style.css")] });

const names = {
  script: named(page, "main.tsx"),
  style: named(style, "style.css"),
  favicon: await put("favicon.svg", await readFile(source("favicon.svg"))),
};
const html = await readFile(source("index.html"), "utf8");
await writeFile(
  join(out, "index.html"),
  html.replace(/\{(\w+)\}/g, (_, name) => BASE + names[name]),
);
