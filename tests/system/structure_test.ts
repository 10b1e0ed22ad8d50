/**
 * The source tree obeys its rules, and the checker of those rules can tell.
 *
 * The rules are in `_rules.ts`; here are the tree, and a small bad tree for each rule.
 */
import { assert, assertEquals } from "@std/assert";
import { codeOnly } from "./_code_only.ts";
import { MAX_LINES, type SourceFile, TOLERANCE, violations } from "./_rules.ts";

const SRC = new URL("../../src/", import.meta.url);
const BENCH = new URL("../../bench/", import.meta.url);

Deno.test("src obeys the rules of the structure", async () => {
  const files = await Array.fromAsync(sourceFiles(SRC));
  assert(files.length > 0, "There is nothing under src");
  const found = violations(files);
  assert(found.length === 0, `\n${found.join("\n")}`);
});

Deno.test("benchmarks have a quick form", async () => {
  for await (const { path, text } of sourceFiles(BENCH)) {
    if (!path.endsWith("_bench.ts")) continue;
    assert(text.includes("_settings.ts"), `${path} does not use bench/_settings.ts`);
  }
});

Deno.test("violations() finds none in a tree that obeys", () => {
  const lines = "\n".repeat(MAX_LINES + TOLERANCE - 1);
  assertEquals(
    violations([
      { path: "frames.ts", text: `export * from "./codec/a.ts";\nawait Deno.stat("any");` },
      { path: "msgpack.ts", text: `import { encode } from "@msgpack/msgpack";` },
      { path: "otel/a.ts", text: `import { trace } from "@opentelemetry/api";` },
      { path: "base/a.ts", text: `import type { B } from "./b.ts";\nexport class A {}` },
      { path: "base/b.ts", text: `import { A } from "./a.ts";\nexport class B {}` },
      { path: "codec/a.ts", text: `import { A } from "../base/a.ts";\nexport const c = A[0]!;` },
      { path: "session/a.ts", text: `// Date.now, await\nconst a = "await console.log()";` },
      { path: "session/b.ts", text: "/* any */ const a = `async ${b} Math.random()`;" },
      { path: "session/c.ts", text: `const a = !b || !c, d = e !== f, g = Promise.any(h);` },
      { path: "session/d.ts", text: `export const a = /setTimeout("/.test(b);${lines}` },
      { path: "peer/a.ts", text: `import { A } from "../base/a.ts";\nawait a;` },
      { path: "websocket/deno_server.ts", text: `Deno.upgradeWebSocket(request);` },
      { path: "runtime/a.ts", text: `import "node:tls";\nawait import("../websocket/a.ts");` },
      { path: "websocket/a.ts", text: `export const a = b.Deno;` },
      { path: "testing/mod.ts", text: `export { A } from "../base/a.ts";` },
    ]),
    [],
  );
});

/** One tree for each way of breaking a rule, and what is said about it. */
const BROKEN: [string, SourceFile[], string][] = [
  [
    "an import from a later room",
    [{ path: "base/a.ts", text: `\nimport { b } from "../wire/b.ts";` }, {
      path: "wire/b.ts",
      text: "",
    }],
    "base/a.ts:2: Room base must not know room wire: ../wire/b.ts",
  ],
  [
    "an import of a type from a later room",
    [{ path: "codec/a.ts", text: `import type { B } from "../peer/b.ts";` }, {
      path: "peer/b.ts",
      text: "",
    }],
    "codec/a.ts:1: Room codec must not know room peer: ../peer/b.ts",
  ],
  [
    "a network in the client",
    [{ path: "client/a.ts", text: `export {\n  b,\n} from "../net/b.ts";` }, {
      path: "net/b.ts",
      text: "",
    }],
    "client/a.ts:1: Room client must not know room net: ../net/b.ts",
  ],
  [
    "a WebSocket that the server loads later",
    [{ path: "server/a.ts", text: `await import("../websocket/b.ts");` }, {
      path: "websocket/b.ts",
      text: "",
    }],
    "server/a.ts:1: Room server must not know room websocket: ../websocket/b.ts",
  ],
  [
    "an import of a mod.ts",
    [{ path: "testing/a.ts", text: `import "./mod.ts";` }, { path: "testing/mod.ts", text: "" }],
    "testing/a.ts:1: A mod.ts is for those outside: ./mod.ts",
  ],
  [
    "an import from outside of src",
    [{ path: "peer/a.ts", text: `import { vnet } from "../../mod.ts";` }],
    "peer/a.ts:1: No such file under src: ../../mod.ts",
  ],
  [
    "an import of an entry point",
    [{ path: "peer/a.ts", text: `import "../frames.ts";` }, { path: "frames.ts", text: "" }],
    "peer/a.ts:1: An entry point is for those outside: ../frames.ts",
  ],
  [
    "a package that deno.json does not name",
    [{ path: "net/a.ts", text: `import ws from "npm:ws";` }],
    "net/a.ts:1: Not to be imported here: npm:ws",
  ],
  [
    "a package that another entry point loads",
    [{ path: "contract/a.ts", text: `import { encode } from "@msgpack/msgpack";` }],
    "contract/a.ts:1: Not to be imported here: @msgpack/msgpack",
  ],
  [
    "a package that another room loads",
    [{ path: "peer/otel.ts", text: `import { trace } from "@opentelemetry/api";` }],
    "peer/otel.ts:1: Not to be imported here: @opentelemetry/api",
  ],
  [
    "Node in a room that does not touch the system",
    [{ path: "peer/a.ts", text: `import tls from "node:tls";` }],
    "peer/a.ts:1: Not to be imported here: node:tls",
  ],
  [
    "a cycle",
    [
      { path: "peer/a.ts", text: `import { b } from "./b.ts";` },
      { path: "peer/b.ts", text: `export * from "./c.ts";` },
      { path: "peer/c.ts", text: `import "./a.ts";` },
    ],
    "peer/a.ts:1: Cycle: peer/a.ts -> peer/b.ts -> peer/c.ts -> peer/a.ts",
  ],
  ["a room nobody knows", [{ path: "util/a.ts", text: "" }], "util/a.ts:1: No such room: util"],
  [
    "a long file",
    [{ path: "peer/a.ts", text: "1;\n".repeat(MAX_LINES + TOLERANCE + 1) }],
    `peer/a.ts:${MAX_LINES + TOLERANCE + 1}: A file has at most ${MAX_LINES} lines`,
  ],
  [
    "Deno where it must not be",
    [{ path: "websocket/client.ts", text: `const a: Deno.Conn = b;` }],
    "websocket/client.ts:1: `Deno` must not be used outside of the rooms that touch the system",
  ],
  [
    "a checker that is silenced",
    [{ path: "peer/a.ts", text: `// @ts-ignore: it is fine` }],
    "peer/a.ts:1: The checker must not be silenced",
  ],
  [
    "a clock in the protocol of WebSockets",
    [{ path: "websocket/frame_reader.ts", text: `const a = performance.now();` }],
    "websocket/frame_reader.ts:1: the clock must not be used in a sans-IO room",
  ],
  [
    "an index that is asserted",
    [{ path: "peer/a.ts", text: `const b = a[0]!.c;` }],
    "peer/a.ts:1: `!` must not be used outside of codec, wire, websocket",
  ],
  [
    "a field that is asserted",
    [{ path: "peer/a.ts", text: `class A { #b!: string; }` }],
    "peer/a.ts:1: `!` must not be used outside of codec, wire, websocket",
  ],
];
for (const text of ["let a: any;", "const a = b as any;", "let a: Map<string, any>;"]) {
  BROKEN.push([text, [{ path: "peer/a.ts", text }], "peer/a.ts:1: `any` must not be used in src"]);
}
BROKEN.push([
  "a double cast",
  [{ path: "peer/a.ts", text: `const a = b as unknown as string;` }],
  "peer/a.ts:1: `as unknown as` must not be used in src",
]);
const OUTSIDE: Record<string, string> = {
  "await a;": "await",
  "export async function a() {}": "async",
  "setTimeout(a, 1);": "a timer",
  "globalThis.setInterval(a, 1);": "a timer",
  "queueMicrotask(a);": "a timer",
  "AbortSignal.timeout(1);": "a timer",
  "const a = `${Date.now()}`;": "the clock",
  "const a = new Date();": "the clock",
  "performance.now();": "the clock",
  "Math.random();": "randomness",
  "crypto.getRandomValues(a);": "randomness",
  "console.log(a);": "console",
};
for (const [text, name] of Object.entries(OUTSIDE)) {
  BROKEN.push([
    text,
    [{ path: "session/a.ts", text }],
    `session/a.ts:1: ${name} must not be used in a sans-IO room`,
  ]);
}

for (const [name, files, expected] of BROKEN) {
  Deno.test(`violations() finds ${name}`, () => assertEquals(violations(files), [expected]));
}

Deno.test("codeOnly() blanks text and keeps code and offsets", () => {
  const cases: [string, string][] = [
    [`a; // b "c`, `a;        `],
    [`/* a\n// */ b`, `    \n      b`],
    [`"a\\"b" + 'c"d'`, `"    " + '   '`],
    ["`a ${b + `c ${d}`} e`", "`  ${b + `  ${d}`}  `"],
    ["`a ${{ b: `}` }.b} c`; d", "`  ${{ b: ` ` }.b}  `; d"],
    ["`\\`${a}\\${b}`", "`  ${a}     `"],
    [`a / b / c`, `a / b / c`],
    [`a = /[/"]\\//g; b`, `a = /       g; b`],
    [`a("/*") + b // c`, `a("  ") + b     `],
  ];
  for (const [source, code] of cases) assertEquals(codeOnly(source), code, source);
});

/** Every TypeScript file below. */
async function* sourceFiles(folder: URL, path = ""): AsyncGenerator<SourceFile> {
  for await (const entry of Deno.readDir(folder)) {
    const url = new URL(entry.name, folder);
    if (entry.isDirectory) {
      yield* sourceFiles(new URL(`${url}/`), `${path}${entry.name}/`);
    } else if (entry.name.endsWith(".ts")) {
      yield { path: path + entry.name, text: await Deno.readTextFile(url) };
    }
  }
}
