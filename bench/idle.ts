/**
 * Connections on which nothing happens: how much memory each takes at the server, and how much of a
 * core the heartbeats of ten thousand.
 *
 *     deno task bench:idle [--smoke] [--json] [--rounds 3]
 *
 * Every measurement has a server of its own, whose memory is taken before and after, each time with
 * the garbage gone: as it is resident then, and once the engine has given back what it can do without.
 * vnet's heartbeat has its default interval (10 s); it is measured after one of them
 * has passed, so that what a beat leaves behind counts. The others have none, but for one of bare
 * connections that answer a byte as often: what heartbeats alone make the engine keep.
 */
import { median } from "./_stats.ts";
import {
  DENO_WEBSOCKET,
  type Kind,
  RAW,
  RAW_BEATING,
  takingPart,
  VNET,
  VNET_LEAN,
  WS_DENO,
  WS_NODE,
} from "./_kinds.ts";
import { Pair, twoCores } from "./_processes.ts";
import { progress, progressEnds } from "./_progress.ts";
import { type Goal, show, type Table } from "./_report.ts";
import { rounds as wantedRounds, scaled, smoke } from "./_settings.ts";

const COUNTS = smoke ? [50] : [1_000, 5_000, 10_000];
/** The count of which most is asked. */
const MOST = COUNTS.at(-1) ?? 0;
/** Memory differs little from round to round, and each takes long. */
const rounds = Math.min(wantedRounds, 3);
/** How long, in ms, nothing happens before memory is looked at. */
const QUIET = scaled(2_000, 100);
/** And where there are heartbeats: longer than their interval. */
const QUIET_BEATS = scaled(11_000, 100);
/** How long, in ms, the processor is watched: some intervals. */
const WATCH = scaled(30_000, 300);
/** Each end of a connection is a descriptor of a process of its own, beside some others. */
const SPARE = 64;

const KINDS: readonly Kind[] = takingPart([
  RAW,
  RAW_BEATING,
  VNET,
  VNET_LEAN,
  DENO_WEBSOCKET,
  WS_DENO,
  WS_NODE,
]);

type Sizes = Map<Kind, Map<number, number[]>>;
const memory: Sizes = new Map();
const needs: Sizes = new Map();
const shares = { server: [] as number[], client: [] as number[] };
const notes: string[] = [];

const limit = descriptorLimit();
const counts = COUNTS.filter((count) => count + SPARE <= limit);
if (counts.length < COUNTS.length) {
  notes.push(
    `The system allows ${limit} descriptors: ${counts.join(", ")} connections were possible.`,
  );
}
for (const count of counts) {
  for (let round = 1; round <= rounds; round++) {
    for (const kind of KINDS) {
      if (kind.role === "variant" && count < MOST) continue;
      progress(`idle, ${count} connections`, `round ${round} of ${rounds}, ${kind.label}`);
      try {
        await measure(kind, count, round === 1 && count === MOST);
      } catch (error) {
        if (kind.role !== "peer") throw error;
        const why = error instanceof Error ? error.message : error;
        notes.push(`${kind.label} is left out at ${count}: ${why}`);
      }
    }
  }
}
progressEnds();
report();

async function measure(kind: Kind, count: number, watched: boolean): Promise<void> {
  await using pair = await Pair.start(kind, twoCores);
  // What the first connection needs, the code above all, does not belong to all others.
  await pair.connect(1, true);
  const before = await pair.server.ask("memory", {});
  await pair.connect(count - 1, true);
  const beats = kind === RAW_BEATING || kind.name === VNET.name;
  await pause(beats ? QUIET_BEATS : QUIET);
  const after = await pair.server.ask("memory", {});
  note(memory, kind, count, after.resident - before.resident);
  note(needs, kind, count, after.needed - before.needed);
  if (!watched || kind.role !== "vnet") return;
  const cost = await pair.costOf(() => pause(WATCH));
  shares.server.push(cost.server / WATCH / 1_000);
  shares.client.push(cost.client / WATCH / 1_000);
}

/** More of the bytes that a server has with so many connections than with one. */
function note(sizes: Sizes, kind: Kind, count: number, bytes: number): void {
  const byCount = sizes.get(kind) ?? new Map<number, number[]>();
  sizes.set(kind, byCount);
  byCount.set(count, [...byCount.get(count) ?? [], bytes / (count - 1) / 1_024]);
}

function tableOf(title: string, sizes: Sizes): Table {
  return {
    title,
    columns: [
      { name: "", as: "text" },
      ...counts.map((count) => ({ name: count.toLocaleString("en"), as: "decimal" as const })),
    ],
    rows: KINDS.filter((kind) => sizes.has(kind)).map((kind) => [
      kind.label,
      ...counts.map((count) => sizeOf(sizes, kind, count) ?? null),
    ]),
    bars: counts.length,
  };
}

function report(): void {
  const tables = [
    tableOf("memory of the server, KiB per connection", memory),
    tableOf("without the room that its engine keeps for what comes next", needs),
  ];
  const vnet = sizeOf(memory, VNET, MOST);
  const goals: Goal[] = [];
  if (vnet !== undefined) {
    goals.push({ name: `KiB at ${MOST}`, value: vnet, floor: 10, stretch: 7.5, better: "less" });
    // The goal's two figures beside the peers are its floor and its stretch.
    const peers = [[DENO_WEBSOCKET, { floor: 0.5 }], [WS_NODE, { stretch: 1.2 }]] as const;
    for (const [kind, bounds] of peers) {
      const peer = sizeOf(memory, kind, MOST);
      if (peer === undefined) continue;
      goals.push({ name: `÷ ${kind.label}`, value: vnet / peer, better: "less", ...bounds });
    }
  }
  if (shares.server.length > 0) {
    const percent = (values: readonly number[]) => `${(median(values) * 100).toFixed(2)} %`;
    notes.push(
      `The heartbeats of ${MOST.toLocaleString("en")} connections of vnet take ${
        percent(shares.server)
      } of a core at the server, and ${
        percent(shares.client)
      } at the process with all its clients.`,
    );
  }
  show({ title: "Idle connections", tables, goals, notes });
}

function sizeOf(sizes: Sizes, kind: Kind, count: number): number | undefined {
  const measured = sizes.get(kind)?.get(count);
  return measured && median(measured);
}

/** How many descriptors a process may have: the runtime asks for as many as it can get. */
function descriptorLimit(): number {
  try {
    const { stdout } = new Deno.Command("sh", { args: ["-c", "ulimit -H -n"] }).outputSync();
    const text = new TextDecoder().decode(stdout).trim();
    return text === "unlimited" ? Infinity : Number(text) || Infinity;
  } catch {
    return Infinity; // no such shell: the systems without one have no such limit
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
