/**
 * Broadcasts to many connections: server and clients are two processes, pinned to one core where the
 * system allows it. A broadcast begins when all have got the one before, so none can be held together
 * with another.
 *
 *     deno task bench:broadcast [--smoke] [--json] [--rounds 5]
 */
import { compare, type Measured, ratio, rivals } from "./_compare.ts";
import { DENO_WEBSOCKET, type Kind, RAW, VNET, WS_DENO, WS_NODE } from "./_kinds.ts";
import { oneCore, type Pair, placementNote, startAll } from "./_processes.ts";
import { progressEnds } from "./_progress.ts";
import { type Rated, rateOf, rateTable } from "./_rates.ts";
import { type Goal, show } from "./_report.ts";
import { scaled } from "./_settings.ts";

const CONNECTIONS = scaled(1_000, 20);
const COUNT = scaled(50, 2);
const SIZE = 128;

const KINDS: readonly Kind[] = [RAW, VNET, DENO_WEBSOCKET, WS_DENO, WS_NODE];

const title = `broadcast of ${SIZE} B to ${CONNECTIONS.toLocaleString("en")} connections, one core`;
const all = await measureAll();
const { raw, vnet, peer } = rivals(all, rateOf);
const goals: Goal[] = [{
  name: "deliveries ÷ raw",
  value: ratio(vnet, raw, rateOf),
  floor: 0.85,
  stretch: 1,
  better: "more",
}];
if (peer !== undefined) {
  goals.push({
    name: `deliveries ÷ best peer (${peer.kind.label})`,
    value: ratio(vnet, peer, rateOf),
    floor: 1.05,
    stretch: 1.25,
    better: "more",
  });
}
progressEnds();
show({
  title: "Broadcast",
  tables: [rateTable(title, all, { unit: "deliveries", clients: "clients" })],
  goals,
  notes: [placementNote],
});

async function measureAll(): Promise<Measured<Rated>[]> {
  await using stack = new AsyncDisposableStack();
  const pairs = await startAll(KINDS, oneCore);
  for (const pair of pairs) {
    stack.use(pair);
    await pair.connect(CONNECTIONS, true);
  }
  return await compare(title, pairs, measure);
}

async function measure(pair: Pair): Promise<Rated> {
  const deliveries = COUNT * CONNECTIONS;
  const bytes = deliveries * SIZE;
  await pair.client.ask("expect", { bytes, each: CONNECTIONS * SIZE });
  let duration = 0;
  const cost = await pair.costOf(async () => {
    duration = await pair.server.ask("broadcast", { size: SIZE, count: COUNT });
  });
  return {
    rate: deliveries / duration * 1_000,
    server: cost.server / deliveries,
    client: cost.client / deliveries,
  };
}
