/**
 * Broadcasts to many connections: server and clients are two processes, both pinned to one core where the
 * system allows it, so that the sum of their work counts; and each to a core of its own, where the slower
 * of them counts.
 *
 * A broadcast begins when all have got the one before, so none can be held together with another; and
 * once more with several to be heard of at a time, as when many talk in a room.
 *
 *     deno task bench:broadcast [--smoke] [--json] [--rounds 5]
 */
import { compare, type Measured, ratio, rivals } from "./_compare.ts";
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
import { type Rated, rateOf, rateTable } from "./_rates.ts";
import { type Goal, show, type Table } from "./_report.ts";
import { scaled, wanted } from "./_settings.ts";

const CONNECTIONS = scaled(1_000, 20);
/** A multiple of how many there are at a time. */
const COUNT = scaled(48, 8);
const SIZE = 128;

const KINDS: readonly Kind[] = [RAW, VNET, DENO_WEBSOCKET, WS_DENO, WS_NODE];

/** How many broadcasts there are until they all must be heard of. */
const AT_ONCE: readonly number[] = [1, 8];

const tables: Table[] = [];
const goals: Goal[] = [];
for (const place of [ONE_CORE, AWAKE]) await measureAll(place);
progressEnds();
show({ title: "Broadcast", tables, goals, notes: [placementNote] });

async function measureAll(place: Place): Promise<void> {
  using _awake = keptAwake(place);
  await using stack = new AsyncDisposableStack();
  const pairs = await startAll(KINDS, place.placement);
  for (const pair of pairs) {
    stack.use(pair);
    await pair.connect(CONNECTIONS, true);
  }
  for (const atOnce of AT_ONCE) {
    const title = `broadcast of ${SIZE} B to ${CONNECTIONS.toLocaleString("en")} connections, ` +
      `${atOnce} at a time, ${place.name}`;
    if (!wanted(title)) continue;
    const all = await compare(title, pairs, (pair) => measure(pair, atOnce));
    tables.push(rateTable(title, all, { unit: "deliveries", clients: "clients" }));
    // There is no goal for several at a time: it says "more when they coalesce".
    if (atOnce === 1) judge(place, all);
  }
}

function judge(place: Place, all: readonly Measured<Rated>[]): void {
  const { raw, vnet, peer } = rivals(all, rateOf);
  goals.push({
    name: `${place.name}: deliveries ÷ raw`,
    value: ratio(vnet, raw, rateOf),
    floor: 0.85,
    stretch: 1,
    better: "more",
  });
  if (peer === undefined) return;
  goals.push({
    name: `${place.name}: deliveries ÷ best peer (${peer.kind.label})`,
    value: ratio(vnet, peer, rateOf),
    floor: 1.05,
    stretch: 1.25,
    better: "more",
  });
}

async function measure(pair: Pair, atOnce: number): Promise<Rated> {
  const deliveries = COUNT * CONNECTIONS;
  const bytes = deliveries * SIZE;
  await pair.client.ask("expect", { bytes, each: atOnce * CONNECTIONS * SIZE });
  let duration = 0;
  const cost = await pair.costOf(async () => {
    duration = await pair.server.ask("broadcast", { size: SIZE, count: COUNT, atOnce });
  });
  return {
    rate: deliveries / duration * 1_000,
    server: cost.server / deliveries,
    client: cost.client / deliveries,
  };
}
