// A call as a command line of the aws-cli and as a program with boto3; one that they do not know, as a command line of curl.

import { OWN_OPERATIONS, type Call } from "./operations";

export interface Setting {
  endpoint: string;
  region: string;
  /** Whether any key will do: then the snippet brings one, since neither client calls without. */
  anybody: boolean;
}

/** Stands for the bytes of a file in a request. */
const FILE = "\u0000file";

function snake(name: string, separator: string) {
  return name.replace(/([a-z0-9])([A-Z])/g, `$1${separator}$2`).toLowerCase();
}

/** For a POSIX shell. */
export function shellQuoted(text: string) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}

/** JSON's strings are Python's too. */
function python(value: unknown, indent: string): string {
  if (value instanceof File) return `open(${JSON.stringify(value.name)}, "rb").read()`;
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const deeper = `${indent}    `;
  if (Array.isArray(value)) {
    const items = value.map((item) => python(item, deeper));
    return items.length < 4 ? `[${items.join(", ")}]` : `[\n${items.map((item) => `${deeper}${item},\n`).join("")}${indent}]`;
  }
  return `{${Object.entries(value)
    .map(([key, member]) => `${JSON.stringify(key)}: ${python(member, deeper)}`)
    .join(", ")}}`;
}

/** A member as an option: images have options of their own, and what begins with a dash would be taken for an option. */
function option(name: string, value: unknown) {
  const flag = `--${snake(name, "-")}`;
  const file = (value as { Bytes?: unknown } | null)?.Bytes;
  // The aws-cli would take a tilde at the beginning for a home.
  if (file instanceof File) return `${flag}-bytes ${shellQuoted(`fileb://${file.name.replace(/^~/, "./~")}`)}`;
  // Plain names may follow one another; others could be taken for the shorthand of the aws-cli, which JSON never is.
  if (Array.isArray(value) && value.every((item) => /^\w[\w.:-]*$/.test(item))) return `${flag} ${value.join(" ")}`;
  const text = shellQuoted(typeof value === "object" ? JSON.stringify(value) : String(value));
  return text.startsWith("-") ? `${flag}=${text}` : `${flag} ${text}`;
}

function given(call: Call) {
  return Object.entries(call.request).filter(([, value]) => value !== undefined);
}

export function awsCli(call: Call, { endpoint, region, anybody }: Setting) {
  const key = anybody ? "AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any " : "";
  const lines = [
    `${key}aws rekognition ${snake(call.operation, "-")}`,
    ...given(call).map(([name, value]) => option(name, value)),
    `--endpoint-url ${shellQuoted(endpoint)} --region ${shellQuoted(region)}`,
  ];
  const names = Object.values(call.request).map((value) => (value as { Bytes?: File } | undefined)?.Bytes?.name ?? "");
  const hint = names.some((name) => name.includes("$")) ? "# The aws-cli takes a $ in a file's name for a variable: rename the file.\n" : "";
  return hint + lines.join(" \\\n    ");
}

export function boto3(call: Call, { endpoint, region, anybody }: Setting) {
  const client = [
    '"rekognition"',
    `endpoint_url=${JSON.stringify(endpoint)}`,
    `region_name=${JSON.stringify(region)}`,
    ...(anybody ? ['aws_access_key_id="any"', 'aws_secret_access_key="any"'] : []),
  ];
  const lines = (items: string[]) => items.map((item) => `\n    ${item},`).join("");
  const members = given(call).map(([name, value]) => `${name}=${python(value, "    ")}`);
  const ending = members.length ? `${lines(members)}\n` : "";
  const reply = `reply = rekognition.${snake(call.operation, "_")}(${ending})`;
  return `import boto3\n\nrekognition = boto3.client(${lines(client)}\n)\n${reply}\nprint(reply)\n`;
}

/** Bytes go through a pipe, since no command line is as long as a photo. */
export function curl(call: Call, { endpoint, region, anybody }: Setting) {
  let file = "";
  const body = JSON.stringify(call.request, (_, value) => {
    if (!(value instanceof File)) return value;
    file = value.name;
    return FILE;
  });
  // The name of a file may begin with a dash.
  const [before = "", after = ""] = body.split(JSON.stringify(FILE)).map(shellQuoted);
  const given = file ? `{ printf %s ${before}\\"; base64 < ${shellQuoted(file)} | tr -d '\\n'; printf %s \\"${after}; } | ` : "";
  const key = `${anybody ? "any:any" : "ACCESS-KEY-ID:SECRET-ACCESS-KEY"}`;
  const lines = [
    `${given}curl ${shellQuoted(endpoint)}`,
    `-H 'Content-Type: application/x-amz-json-1.1' -H 'X-Amz-Target: RekognitionService.${call.operation}'`,
    `--aws-sigv4 ${shellQuoted(`aws:amz:${region}:rekognition`)} --user ${key}`,
    file ? "--data-binary @-" : `--data-binary ${shellQuoted(body)}`,
  ];
  return lines.join(" \\\n    ");
}

/** The clients that a call can be written down for. */
export function formsOf({ operation }: Call): Record<string, (call: Call, setting: Setting) => string> {
  return OWN_OPERATIONS.has(operation) ? { curl } : { "aws-cli": awsCli, boto3 };
}
