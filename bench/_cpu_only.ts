/**
 * The goals that no socket is needed for: figures of `deno bench`, as a report.
 */
import { progress } from "./_progress.ts";
import type { Goal, Report, Table } from "./_report.ts";
import { median } from "./_stats.ts";

/** The part of `deno bench --json` that is read here. Times in ns. */
interface Output {
  readonly cpu: string;
  readonly benches: readonly {
    readonly group: string;
    readonly name: string;
    readonly results: readonly { readonly ok?: { readonly p75: number } }[];
  }[];
}

const FILES = ["split_peers_bench.ts", "upkeep_bench.ts"];
const CALLS = 64;

/** Bounds of a ratio. */
type Bounds = readonly [floor: number, stretch?: number];

/** Group by group: what of vnet is judged, and against whom. */
const SPLITTING: readonly {
  readonly group: string;
  readonly way: string;
  readonly ofRaw?: Bounds;
  readonly ofPeer: Bounds;
  readonly peers: RegExp;
}[] = [
  ...["16 B", "64 B", "256 B"].map((size) => ({
    group: `peers, ${size}, 64 KiB chunks`,
    way: "callback",
    ofRaw: [0.4, 0.6] as const,
    ofPeer: size === "16 B" ? [1.5, 2] as const : [2, 3] as const,
    peers: /./,
  })),
  {
    group: "peers, 64 B, 64 KiB chunks",
    way: "batches",
    ofRaw: [0.35, 0.45],
    ofPeer: [2, 2.5],
    peers: /./,
  },
  {
    group: "peers, 64 B, 64 KiB chunks",
    way: "for await",
    ofRaw: [0.15, 0.2],
    ofPeer: [3, 4],
    peers: /^it-length-prefixed, async/,
  },
  {
    group: "peers, 1 MiB, 64 KiB chunks",
    way: "batches",
    ofRaw: [0.6, 0.9],
    ofPeer: [1.2, 1.5],
    peers: /^(?!it-length-prefixed)/,
  },
  ...["7 B", "1 B"].map((chunk) => ({
    group: `peers, 64 B, ${chunk} chunks`,
    way: "callback",
    ofPeer: [1, 2] as const,
    peers: /^(ws|it-length-prefixed)/,
  })),
];

/** Runs the benchmarks so often; the median of the rounds counts. */
export async function measureCpuOnly(
  rounds: number,
  args: readonly string[],
): Promise<{ reports: Report[]; cpu: string }> {
  const times = new Map<string, Map<string, number[]>>();
  let cpu = "";
  for (let round = 1; round <= rounds; round++) {
    progress("CPU only", `round ${round} of ${rounds}`);
    const output = await bench(args);
    cpu = output.cpu;
    for (const { group, name, results } of output.benches) {
      const time = results[0]?.ok?.p75;
      const names = times.get(group) ?? new Map<string, number[]>();
      times.set(group, names);
      if (time !== undefined) names.set(name, [...names.get(name) ?? [], time]);
    }
  }
  const medians = new Map(
    [...times].map(([group, names]) =>
      [group, new Map([...names].map(([name, times]) => [name, median(times)]))] as const
    ),
  );
  return { reports: [splitting(medians), upkeep(medians)], cpu };
}

type Medians = ReadonlyMap<string, ReadonlyMap<string, number>>;

function splitting(medians: Medians): Report {
  const groups = [...medians].filter(([group]) => group.startsWith("peers"));
  const goals: Goal[] = [];
  for (const { group, way, ofRaw, ofPeer, peers } of SPLITTING) {
    const times = medians.get(group);
    const vnet = times?.get(`vnet, ${way}`);
    if (times === undefined || vnet === undefined) continue;
    const [raw = NaN] = times.values();
    const goal = (what: string, value: number, [floor, stretch]: Bounds) => {
      const name = `${group.replace("peers, ", "")}, ${way}: ${what}`;
      const limits = stretch === undefined ? { floor } : { floor, stretch };
      goals.push({ name, value, ...limits, better: "more" });
    };
    if (ofRaw !== undefined) goal("÷ raw", raw / vnet, ofRaw);
    const [best] = [...times]
      .filter(([name]) => peers.test(name) && !/^(vnet|walk|memcpy)/.test(name))
      .sort(([, a], [, b]) => a - b);
    if (best !== undefined) goal(`÷ best peer (${best[0]})`, best[1] / vnet, ofPeer);
  }
  return {
    title: "Splitting a byte stream",
    tables: groups.map(([group, times]) => tableOf(group.replace("peers, ", ""), times)),
    goals,
    notes: [
      "The frames of it-length-prefixed are lists of pieces, so it does not count where frames are longer than chunks.",
    ],
  };
}

function upkeep(medians: Medians): Report {
  const groups = [...medians].filter(([group]) => !group.startsWith("peers"));
  const parts = medians.get(`deadline and heartbeat of ${CALLS} calls`);
  const timer = parts?.get("setTimeout, clearTimeout") ?? NaN;
  const vnet = parts?.get("vnet, all in one read") ?? NaN;
  return {
    title: "Deadline and heartbeat",
    tables: groups.map(([group, times]) => tableOf(group, times)),
    goals: [
      { name: "ns of a call", value: vnet / CALLS, floor: 50, better: "less" },
      { name: "times cheaper than a timer", value: timer / vnet, floor: 40, better: "more" },
    ],
    notes: [],
  };
}

/** The first row is the baseline. */
function tableOf(title: string, times: ReadonlyMap<string, number>): Table {
  const [raw = NaN] = times.values();
  return {
    title,
    columns: [
      { name: "", as: "text" },
      { name: "µs a turn", as: "decimal" },
      { name: "rate ÷ the first", as: "ratio" },
    ],
    rows: [...times].map(([name, time]) => [name, time / 1_000, raw / time]),
  };
}

async function bench(args: readonly string[]): Promise<Output> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bench",
      "--json",
      "--allow-net",
      // Packages of npm ask for variables.
      "--allow-env",
      ...FILES.map((file) => `${import.meta.dirname}/${file}`),
      "--",
      ...args,
    ],
    stderr: "null",
  }).output();
  if (!success) throw new Error("'deno bench' failed");
  return JSON.parse(new TextDecoder().decode(stdout));
}
