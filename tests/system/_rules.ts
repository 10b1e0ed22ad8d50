/**
 * The rules of the source tree (see ARCHITECTURE), as a function from files to complaints.
 *
 * Owns the rules. Reads no file: `structure_test.ts` hands it the tree, and small bad ones.
 */
import { codeOnly } from "./_code_only.ts";

/** One file under `src/`: its path from there, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Each room may import from itself and from those before it. */
export const ROOMS: readonly string[] = [
  "base",
  "contract",
  "codec",
  "wire",
  "session",
  "stream",
  "peer",
  "client",
  "server",
  "net",
  "udp",
  "websocket",
  "runtime",
  "testing",
  "otel",
];

/** A file of more lines is hard to hold in the head. */
export const MAX_LINES = 400;
/** What a file may exceed it by before it must be split. */
export const TOLERANCE = 20;

const SANS_IO = ["base", "contract", "codec", "wire", "session"];
/** The protocol's half of a room whose other half talks to the network. */
const SANS_IO_FILES =
  /^websocket\/(?:client_handshake|compression|frame_\w+|handshake|header_values|http_head|masking|message_buffer|protocol|rfc6455|server_handshake|utf8)\.ts$/;
const RUNTIME_ROOMS = ["net", "udp", "runtime"];
const NON_NULL_ROOMS = ["codec", "wire", "websocket"];
/** Packages that deno.json names, and that the published package may therefore ask for. */
const PACKAGES = /^@std\/(?:async|bytes)(?:\/|$)/;
/** A package that only one entry point, or the room behind it, may ask for, so that nobody else loads it. */
const ENTRY_PACKAGES: ReadonlyMap<string, RegExp> = new Map([
  ["@msgpack/msgpack", /^msgpack\.ts$/],
  ["@opentelemetry/api", /^otel(?:\.ts|\/.+)$/],
]);

interface Import {
  readonly specifier: string;
  /** `import type` and `export type`: gone at run time. */
  readonly typeOnly: boolean;
  /** `import()`: runs later, so it closes no cycle. */
  readonly dynamic: boolean;
  readonly line: number;
}

interface Pattern {
  readonly name: string;
  readonly regExp: RegExp;
}

const PATTERNS_SANS_IO: readonly Pattern[] = [
  { name: "await", regExp: /\bawait\b/g },
  { name: "async", regExp: /(?<!\.)\basync\b(?!\s*[?:])/g },
  { name: "a timer", regExp: /\b(?:set(?:Timeout|Interval|Immediate)|queueMicrotask)\b/g },
  { name: "a timer", regExp: /\bAbortSignal\s*\.\s*timeout\b/g },
  {
    name: "the clock",
    regExp: /\bDate\s*\.\s*now\b|\bnew\s+Date\s*\(\s*\)|(?<![.\w$#])performance\b/g,
  },
  { name: "randomness", regExp: /\bMath\s*\.\s*random\b|(?<![.\w$#])crypto\b/g },
  { name: "console", regExp: /(?<![.\w$#])console\b/g },
];

const PATTERNS_EVERYWHERE: readonly Pattern[] = [
  { name: "`any`", regExp: /(?<![.\w$#])any\b(?!\s*(?:\?:|[:(]))/g },
  { name: "`as unknown as`", regExp: /\bas\s+unknown\s+as\b/g },
];

/** Not preceded by a space, as a negation is once it is formatted. */
const NON_NULL: Pattern = { name: "`!`", regExp: /(?<=[\w$)\]])!(?!=)/g };
const DENO: Pattern = { name: "`Deno`", regExp: /(?<![.\w$#])Deno\b/g };

/** Everything that breaks a rule, as "path:line: what"; nothing when all is well. */
export function violations(files: readonly SourceFile[]): string[] {
  const imports = new Map(files.map((file) => [file.path, importsOf(file)]));
  const found = [
    ...files.flatMap((file) => ofContent(file)),
    ...files.flatMap((file) => ofImports(file.path, imports.get(file.path) ?? [], imports)),
    ...cycles(imports),
  ];
  return [...new Set(found)];
}

/** What a single file says. */
function ofContent({ path, text }: SourceFile): string[] {
  const room = roomOf(path);
  if (room && !ROOMS.includes(room)) return [`${path}:1: No such room: ${room}`];
  const code = codeOnly(text);
  const found: string[] = [];
  const forbid = ({ name, regExp }: Pattern, where: string) => {
    for (const { index } of code.matchAll(regExp)) {
      found.push(`${path}:${lineAt(code, index)}: ${name} must not be used ${where}`);
    }
  };

  PATTERNS_EVERYWHERE.forEach((pattern) => forbid(pattern, "in src"));
  if (SANS_IO.includes(room) || SANS_IO_FILES.test(path)) {
    PATTERNS_SANS_IO.forEach((pattern) => forbid(pattern, "in a sans-IO room"));
  }
  if (!NON_NULL_ROOMS.includes(room)) forbid(NON_NULL, `outside of ${NON_NULL_ROOMS.join(", ")}`);
  if (!mayUseRuntime(path)) forbid(DENO, "outside of the rooms that touch the system");
  // In a comment, which `code` does not have.
  for (const { index } of text.matchAll(/@ts-(?:ignore|expect-error|nocheck)/g)) {
    found.push(`${path}:${lineAt(text, index)}: The checker must not be silenced`);
  }
  const lines = text.trimEnd().split("\n").length;
  if (lines > MAX_LINES + TOLERANCE) {
    found.push(`${path}:${lines}: A file has at most ${MAX_LINES} lines`);
  }
  return found;
}

/** What a single file asks for. */
function ofImports(
  path: string,
  imports: readonly Import[],
  files: ReadonlyMap<string, unknown>,
): string[] {
  const room = roomOf(path);
  const found: string[] = [];
  for (const { specifier, line } of imports) {
    const complain = (what: string) => found.push(`${path}:${line}: ${what}: ${specifier}`);
    if (!specifier.startsWith(".")) {
      const known = PACKAGES.test(specifier) || ENTRY_PACKAGES.get(specifier)?.test(path) ||
        (specifier.startsWith("node:") && (mayUseRuntime(path) || room === "testing"));
      if (!known) complain("Not to be imported here");
      continue;
    }
    const target = resolve(path, specifier);
    if (!files.has(target)) {
      complain("No such file under src");
    } else if (target.endsWith("/mod.ts")) {
      complain("A mod.ts is for those outside");
    } else if (room && roomOf(target) === "") {
      complain("An entry point is for those outside");
    } else if (room && ROOMS.indexOf(roomOf(target)) > ROOMS.indexOf(room)) {
      complain(`Room ${room} must not know room ${roomOf(target)}`);
    }
  }
  return found;
}

/**
 * Files that need each other in order to load. Types are gone by then, so `import type` may go round:
 * an error names its `CloseInfo`, and that its error.
 */
function cycles(imports: ReadonlyMap<string, readonly Import[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string) => {
    if (trail.includes(path)) {
      found.push(`${path}:1: Cycle: ${[...trail.slice(trail.indexOf(path)), path].join(" -> ")}`);
    }
    if (done.has(path) || trail.includes(path)) return;
    trail.push(path);
    for (const { specifier, typeOnly, dynamic } of imports.get(path) ?? []) {
      if (!typeOnly && !dynamic && specifier.startsWith(".")) visit(resolve(path, specifier));
    }
    trail.pop();
    done.add(path);
  };
  for (const path of imports.keys()) visit(path);
  return found;
}

/** Imports and re-exports, found in the code and read from the text. */
function importsOf({ text }: SourceFile): Import[] {
  const code = codeOnly(text);
  const statement =
    /(?<![.\w$#])(import|export)(\s+type(?=\s*[{*\w])(?!\s+from\b))?(?:\s*\(\s*|\s+|\s*[\w$\s{},*]*?\bfrom\s*)(?=")/g;
  return [...code.matchAll(statement)].map((match) => {
    const start = match.index + match[0].length + 1;
    return {
      specifier: text.slice(start, code.indexOf('"', start)),
      typeOnly: match[2] !== undefined,
      dynamic: match[0].includes("("),
      line: lineAt(code, match.index),
    };
  });
}

/** The folder under `src/`; "" for an entry point, which lies there itself. */
function roomOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "";
}

function mayUseRuntime(path: string): boolean {
  const room = roomOf(path);
  return room === "" || RUNTIME_ROOMS.includes(room) || /^websocket\/deno_\w+\.ts$/.test(path);
}

function resolve(from: string, specifier: string): string {
  return new URL(specifier, `file:///src/${from}`).pathname.replace("/src/", "");
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}
