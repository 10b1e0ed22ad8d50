/**
 * Calls on one connection, server and client in processes of their own, beside the limit of the
 * runtime and what else there is.
 *
 *     deno task bench:calls [--smoke] [--json] [--rounds 5]
 *
 * Every contestant makes calls in a closed loop: so many are in flight, and each answer makes room for
 * the next. Each has its own two processes, and they are measured in turns. vnet has all its defaults,
 * and its handler is an async function; its calls have deadlines, those of the others have none.
 */
import { compare, type Measured, ratio, rivals } from "./_compare.ts";
import type { CallFigures, CallLoad } from "./_contestant.ts";
import { DENO_WEBSOCKET, type Kind, RAW, VNET, WS_DENO, WS_NODE } from "./_kinds.ts";
import {
  AWAKE,
  keptAwake,
  ONE_CORE,
  type Pair,
  type Place,
  placementNote,
  startAll,
} from "./_processes.ts";
import { progressEnds } from "./_progress.ts";
import { type Between, type Rated, rateOf, rateTable } from "./_rates.ts";
import { type Goal, show, type Table } from "./_report.ts";
import { scaled, wanted } from "./_settings.ts";

const DURATION = scaled(500, 30);

const KINDS: readonly Kind[] = [
  RAW,
  { ...VNET, name: "vnetAsync" },
  { ...VNET, label: "vnet, sync handler", role: "variant" },
  DENO_WEBSOCKET,
  WS_DENO,
  WS_NODE,
];

/** What is measured, and what was promised of it. */
interface Case {
  readonly size: number;
  readonly inFlight: number;
  /** Floor and stretch of the ratio of the rates. */
  readonly ofRaw?: readonly [floor: number, stretch: number];
  readonly ofPeer?: readonly [floor: number, stretch: number];
}

const LATENCY: Between<Round> = {
  columns: [{ name: "p50 µs", as: "decimal" }, { name: "p99 µs", as: "decimal" }],
  valuesOf: [({ p50 }) => p50 * 1_000, ({ p99 }) => p99 * 1_000],
};

const CASES: readonly (readonly [Place, readonly Case[]])[] = [[ONE_CORE, [
  { size: 128, inFlight: 1 },
  { size: 128, inFlight: 64, ofRaw: [0.3, 0.45], ofPeer: [9, 13] },
  { size: 16, inFlight: 64, ofRaw: [0.3, 0.5], ofPeer: [8, 12] },
  { size: 4_096, inFlight: 64, ofRaw: [0.25, 0.4], ofPeer: [3.3, 5] },
]], [AWAKE, [
  { size: 128, inFlight: 64, ofRaw: [0.35, 0.5], ofPeer: [4, 6.5] },
  { size: 128, inFlight: 1_024, ofPeer: [9, 14] },
]]];

/** One round of one contestant. */
interface Round extends CallFigures, Rated {}

const tables: Table[] = [];
const goals: Goal[] = [];

for (const [place, cases] of CASES) await measureAll(place, cases);
progressEnds();
show({ title: "Calls on one connection", tables, goals, notes: [placementNote] });

async function measureAll(place: Place, cases: readonly Case[]): Promise<void> {
  using _awake = keptAwake(place);
  await using stack = new AsyncDisposableStack();
  const pairs = await startAll(KINDS, place.placement);
  for (const pair of pairs) {
    stack.use(pair);
    await pair.connect(1, false);
  }
  for (const one of cases) {
    const { size, inFlight } = one;
    const title = `calls, ${place.name}, ${size} B, ${inFlight} in flight`;
    if (!wanted(title)) continue;
    const load = { size, inFlight, duration: DURATION };
    const all = await compare(title, pairs, (pair) => measure(pair, load));
    tables.push(rateTable(title, all, { unit: "calls" }, LATENCY));
    judge(`${place.name}, ${size} B, ${inFlight} in flight`, one, all);
  }
}

async function measure(pair: Pair, load: CallLoad): Promise<Round> {
  let figures: CallFigures | undefined;
  const cost = await pair.costOf(async () => figures = await pair.client.ask("calls", load));
  if (figures === undefined) throw new TypeError("There must be figures");
  const { count, duration } = figures;
  return {
    ...figures,
    rate: count / duration * 1_000,
    server: cost.server / count,
    client: cost.client / count,
  };
}

function judge(name: string, one: Case, all: readonly Measured<Round>[]): void {
  const { raw, vnet, peer } = rivals(all, rateOf);
  const goal = (what: string, value: number, better: Goal["better"], bounds: readonly number[]) => {
    const [floor, stretch] = bounds;
    const limits = {
      ...(floor === undefined ? {} : { floor }),
      ...(stretch === undefined ? {} : { stretch }),
    };
    if (!Number.isNaN(value)) goals.push({ name: `${name}: ${what}`, value, better, ...limits });
  };
  if (one.ofRaw) goal("rate ÷ raw", ratio(vnet, raw, rateOf), "more", one.ofRaw);
  const best = `best peer (${peer?.kind.label})`;
  if (one.ofPeer) goal(`rate ÷ ${best}`, ratio(vnet, peer, rateOf), "more", one.ofPeer);
  if (one.inFlight === 1) {
    const p50 = ({ p50 }: Round) => p50;
    goal("p50 ÷ raw", ratio(vnet, raw, p50), "less", [1.2, 1.1]);
    // The goal is ws at 1.16 of raw, which is what it takes on Deno; on Node it is quicker.
    for (const [kind, ...bounds] of [[WS_DENO, 1], [WS_NODE]] as const) {
      const ws = all.find((measured) => measured.kind === kind);
      goal(`p50 ÷ ${kind.label}`, ratio(vnet, ws, p50), "less", bounds);
    }
  }
  if (name.startsWith("one core, 128 B, 64")) {
    const cpu = ({ server, client }: Round) => server + client;
    goal("CPU of both ÷ raw", ratio(vnet, raw, cpu), "less", [3.3, 2.2]);
    goal(`CPU of both ÷ ${best}`, ratio(vnet, peer, cpu), "less", [1 / 9, 1 / 13]);
  }
  if (name.startsWith("awake, 128 B, 64")) {
    const steadiest = rivals(all, ({ p99 }) => -p99).peer;
    goal("p99 ÷ raw", ratio(vnet, raw, ({ p99 }) => p99), "less", [6]);
    const name = `p99 ÷ best peer (${steadiest?.kind.label})`;
    goal(name, ratio(vnet, steadiest, ({ p99 }) => p99), "less", [0.5]);
  }
}
