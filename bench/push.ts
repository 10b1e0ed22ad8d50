/**
 * Messages one way, from a server to its client, as fast as they are taken: both processes pinned to one
 * core where the system allows it, so that the sum of their work counts; and each to a core of its own,
 * where the slower of them counts.
 *
 *     deno task bench:push [--smoke] [--json] [--rounds 5]
 *
 * The limit of the runtime is the same number of bytes, 64 KiB to a write. `ws` holds 64 messages together
 * by corking its socket; vnet's sender asks after as many whether there is room for more.
 */
import { compare, ratio, rivals } from "./_compare.ts";
import { DENO_WEBSOCKET, FRAMES, type Kind, RAW, VNET, WS_DENO, WS_NODE } from "./_kinds.ts";
import { AWAKE, keptAwake, ONE_CORE, type Pair, placementNote, startAll } from "./_processes.ts";
import { progressEnds } from "./_progress.ts";
import { type Rated, rateOf, rateTable } from "./_rates.ts";
import { type Goal, show, type Table } from "./_report.ts";
import { scaled, wanted } from "./_settings.ts";

/** About how long one measurement takes, in ms. */
const DURATION = scaled(400, 20);
const FIRST_COUNT = 64;

const KINDS: readonly Kind[] = [RAW, VNET, FRAMES, DENO_WEBSOCKET, WS_DENO, WS_NODE];

/** What was promised, by size. */
const SIZES: readonly {
  readonly name: string;
  readonly size: number;
  readonly ofRaw: readonly [floor: number, stretch: number];
  readonly ofPeer: readonly [floor: number, stretch: number];
}[] = [
  { name: "32 B", size: 32, ofRaw: [0.2, 0.32], ofPeer: [6, 10] },
  { name: "1 KiB", size: 1_024, ofRaw: [0.7, 0.9], ofPeer: [1.8, 2.5] },
  { name: "64 KiB", size: 65_536, ofRaw: [0.75, 1.1], ofPeer: [1.1, 1.6] },
];

const tables: Table[] = [];
const goals: Goal[] = [];
for (const place of [ONE_CORE, AWAKE]) {
  using _awake = keptAwake(place);
  await using stack = new AsyncDisposableStack();
  const pairs = await startAll(KINDS, place.placement);
  for (const pair of pairs) {
    stack.use(pair);
    await pair.connect(1, true);
  }
  for (const { name, size, ofRaw, ofPeer } of SIZES) {
    const title = `push, ${place.name}, ${name}`;
    if (!wanted(title)) continue;
    const counts = new Map(pairs.map((pair) => [pair, FIRST_COUNT]));
    const all = await compare(title, pairs, async (pair) => {
      let round = await measure(pair, size, counts.get(pair) ?? FIRST_COUNT);
      // The first measurement only shows how many there must be; the second one warms up.
      if (counts.get(pair) !== FIRST_COUNT) return round;
      for (let tries = 0; tries < 3; tries++) {
        counts.set(pair, Math.max(FIRST_COUNT + 1, Math.round(round.rate * DURATION / 1_000)));
        round = await measure(pair, size, counts.get(pair) ?? FIRST_COUNT);
      }
      return round;
    });
    tables.push(rateTable(title, all, { unit: "messages" }));
    const { raw, vnet, peer } = rivals(all, rateOf);
    const goal = (what: string, value: number, [floor, stretch]: readonly [number, number]) =>
      goals.push({
        name: `${place.name}, ${name}: ${what}`,
        value,
        floor,
        stretch,
        better: "more",
      });
    goal("rate ÷ raw", ratio(vnet, raw, rateOf), ofRaw);
    if (peer) goal(`rate ÷ best peer (${peer.kind.label})`, ratio(vnet, peer, rateOf), ofPeer);
  }
}
progressEnds();
show({ title: "Messages one way", tables, goals, notes: [placementNote] });

async function measure(pair: Pair, size: number, count: number): Promise<Rated> {
  await pair.client.ask("expect", { bytes: size * count });
  let duration = 0;
  const cost = await pair.costOf(async () => {
    const begin = performance.now();
    await pair.server.ask("push", { size, count });
    await pair.client.ask("arrived", {});
    duration = performance.now() - begin;
  });
  return {
    rate: count / duration * 1_000,
    server: cost.server / count,
    client: cost.client / count,
  };
}
