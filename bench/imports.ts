/**
 * What it costs to import vnet: which modules an entry point loads, and how much later a program starts.
 *
 *     deno task bench:import [--smoke] [--json] [--rounds 15]
 *
 * A module counts when it is evaluated at the start: what is imported for its types only, or by
 * `import()` when first needed, does not. The times are those of whole processes, measured in turns.
 */
import config from "../deno.json" with { type: "json" };
import { progress, progressEnds } from "./_progress.ts";
import { type Goal, show, type Table } from "./_report.ts";
import { scaled } from "./_settings.ts";
import { median } from "./_stats.ts";

const ROOT = new URL("..", import.meta.url);
const RUNS = scaled(15, 2);
const EMPTY = "data:application/javascript,";

/** What the root must not load, and how its modules are recognised. */
const NOT_LOADED: readonly (readonly [name: string, path: RegExp])[] = [
  ["UDP", /^src\/udp/],
  ["TLS", /\/tls_(?!types)/],
  ["WebSocket", /^src\/websocket/],
  ["MessagePack", /msgpack/],
  ["testing", /^src\/testing/],
];

/** The part of `deno info --json` that is read here. */
interface Graph {
  readonly roots: readonly string[];
  readonly modules: readonly {
    readonly specifier: string;
    readonly size?: number;
    readonly dependencies?: readonly Dependency[];
  }[];
}

interface Dependency {
  readonly isDynamic?: boolean;
  readonly code?: { readonly specifier?: string };
}

/** An entry point, and what it loads. */
interface Entry {
  readonly name: string;
  readonly path: string;
  /** Paths from the root of the repository. */
  readonly modules: readonly string[];
  readonly bytes: number;
}

const entries: Entry[] = [];
for (const [name, path] of Object.entries(config.exports)) {
  progress("import", name);
  entries.push(await entryOf(name.replace(".", "@vgo/vnet"), path));
}
const times = await startTimes(["", ...entries.map(({ path }) => path)]);
progressEnds();
const empty = times.get("") ?? NaN;

const [root] = entries;
const loaded = NOT_LOADED.map(([name, path]) =>
  [name, root?.modules.filter((module) => path.test(module)).length ?? 0] as const
);
const table: Table = {
  title: "what an import loads",
  columns: [
    { name: "", as: "text" },
    { name: "modules", as: "count" },
    { name: "source, KiB", as: "decimal" },
    { name: "start, ms", as: "decimal" },
    { name: "more than an empty program, ms", as: "decimal" },
  ],
  rows: [
    ["an empty program", 0, 0, empty, 0],
    ...entries.map(({ name, path, modules, bytes }) => {
      const time = times.get(path) ?? NaN;
      return [name, modules.length, bytes / 1_024, time, time - empty];
    }),
  ],
  bars: 3,
};
const rooms: Table = {
  title: "modules that @vgo/vnet loads, by room",
  columns: [{ name: "room", as: "text" }, { name: "modules", as: "text" }],
  rows: [...Map.groupBy(root?.modules ?? [], roomOf)].sort().map(([room, modules]) => [
    room,
    modules.map((module) => module.replace(/^.*\//, "").replace(/\.ts$/, "")).sort().join(" "),
  ]),
};
const goals: Goal[] = loaded.map(([name, count]) => ({
  name: `modules of ${name} that @vgo/vnet loads`,
  value: count,
  floor: 0,
  better: "less",
}));
show({ title: "Import", tables: [table, rooms], goals, notes: [] });

async function entryOf(name: string, path: string): Promise<Entry> {
  const graph: Graph = JSON.parse(await run(["info", "--json", path]));
  const modules = new Map(graph.modules.map((module) => [module.specifier, module]));
  const seen = new Set(graph.roots);
  for (const specifier of seen) { // it grows meanwhile
    for (const { code, isDynamic } of modules.get(specifier)?.dependencies ?? []) {
      if (code?.specifier !== undefined && !isDynamic) seen.add(code.specifier);
    }
  }
  let bytes = 0;
  for (const specifier of seen) bytes += modules.get(specifier)?.size ?? 0;
  return { name, path, modules: [...seen].map((one) => one.replace(ROOT.href, "")), bytes };
}

/** Medians of how long a program runs that does nothing but import, in ms. */
async function startTimes(paths: readonly string[]): Promise<Map<string, number>> {
  const times = new Map(paths.map((path) => [path, [] as number[]]));
  for (let round = 0; round <= RUNS; round++) {
    progress("start", `round ${round} of ${RUNS}`);
    for (const path of paths) {
      const begin = performance.now();
      await run(["run", path === "" ? EMPTY : path]);
      // The first run compiles what the runtime keeps from then on.
      if (round > 0) times.get(path)?.push(performance.now() - begin);
    }
  }
  return new Map([...times].map(([path, times]) => [path, median(times)]));
}

async function run(args: string[]): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), { args, cwd: ROOT, stderr: "piped" });
  const { success, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`'deno ${args.join(" ")}' failed: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

function roomOf(module: string): string {
  return /^src\/(\w+)\//.exec(module)?.[1] ?? "";
}
