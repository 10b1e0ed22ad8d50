/** `@vgo/vnet/browser` is for browsers: its bundle asks for nothing else, and its types for nothing but the DOM. */
import { assert, assertEquals } from "@std/assert";
import { Folder } from "./_folder.ts";
import { Child, systemTest } from "./_process.ts";

const ENTRY = new URL("../../src/browser.ts", import.meta.url);
const needs = { permissions: ["read", "run", "write"] } as const;

/** A page loads this before it can do anything: more than this, compressed, is to be decided on. */
const MOST = 55_000;

/**
 * What the oldest browsers that the entry point names do not have (Chrome 119, Firefox 121, Safari 17.4), as
 * far as it can be told from a text.
 */
const TOO_NEW =
  /\b(?:await )?using [\w$]+ =|\bArray\.fromAsync\b|\bPromise\.try\b|\bIterator\.from\b|\bRegExp\.escape\b|\bURL\.parse\b|\.(?:isSubsetOf|symmetricDifference|toBase64|fromBase64|toHex|fromHex)\(/;

systemTest("the bundle of @vgo/vnet/browser has nothing of Deno or Node in it", needs, async () => {
  await using folder = await Folder.make();
  const plain = await bundle(folder.path("plain.js"));
  for (const foreign of [/(?<![.\w$])Deno\b/, /["'`]node:/, /["'`](?:npm|jsr|https?):/, TOO_NEW]) {
    const found = plain.split("\n").find((line) => foreign.test(line));
    assertEquals(found, undefined, `${foreign}`);
  }
  const small = new TextEncoder().encode(await bundle(folder.path("small.js"), "--minify"));
  const packed = await gzip(small);
  console.log(`${small.length} bytes minified, ${packed} of them gzipped`);
  assert(packed < MOST, `${packed} bytes`);
});

systemTest("@vgo/vnet/browser checks with the types of the DOM alone", needs, async () => {
  await using folder = await Folder.make();
  const lib = ["dom", "dom.iterable", "esnext"];
  const config = { compilerOptions: { lib, noUncheckedIndexedAccess: true } };
  await Deno.writeTextFile(folder.path("deno.json"), JSON.stringify(config));
  const page = `
    import { connect, contract, json, message, method, RpcError, type } from "${ENTRY.href}";
    const chat = contract({
      serializer: json(),
      server: { join: method({ input: type<{ room: string }>(), output: type<string[]>() }) },
      client: { said: message(type<{ text: string }>()) },
    });
    const client = await connect(\`wss://\${location.host}/chat\`, {
      contract: chat,
      onMessage: ({ body }) => document.body.append(body.text),
    });
    const members: string[] = await client.call("join", { room: "lobby" });
    document.title = String(members.length);
    export const shows = (error: unknown) => error instanceof RpcError ? error.code : "";
  `;
  await Deno.writeTextFile(folder.path("page.ts"), page);
  const args = ["check", "--no-lock", "--config", folder.path("deno.json")];
  await using good = new Child([...args, folder.path("page.ts")]);
  assertEquals(await good.finish(), 0, good.text);
  // Without this the check might as well be one with the types of Deno.
  await Deno.writeTextFile(folder.path("bad.ts"), "Deno.exit();");
  await using bad = new Child([...args, folder.path("bad.ts")]);
  assertEquals(await bad.finish(), 1, bad.text);
});

async function bundle(path: string, ...options: string[]): Promise<string> {
  const args = ["bundle", "--platform", "browser", ...options, "--output", path, ENTRY.pathname];
  await using child = new Child(args);
  assertEquals(await child.finish(), 0, child.text);
  return await Deno.readTextFile(path);
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<number> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(stream).bytes()).length;
}
