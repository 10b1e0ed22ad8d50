/**
 * Prices, of which only the newest is of use: each tick has its symbol as its key, and takes the place of
 * an older one that still waits for a reader. A fast reader sees all, a slow one sees some, and neither
 * the other reader nor the server's memory suffers. In the end both know the newest.
 *
 * Up to 1 MiB is ahead of a reader, on its way or with it, and no queue that the server could tidy: so
 * much older is what a slow one reads.
 *
 *     deno run --allow-net=127.0.0.1 examples/ticker.ts
 */
import { type Client, connect, json, serve, type Untyped } from "@vgo/vnet";
import { count } from "./_program.ts";

interface Tick {
  readonly symbol: string;
  readonly number: number;
  /** The prices of today, of which the last is the newest. */
  readonly prices: readonly number[];
}

const SYMBOLS = ["VGO", "NET", "ABC"];
const TICKS = 200;
/** By reader: how many ticks it has seen, and the newest of each symbol. */
const seen = new Map<string, { ticks: number; newest: Map<string, Tick> }>();
const dropped = new Map<string, number>();
const prices = new Map(SYMBOLS.map((symbol) => [symbol, Array<number>(2_000).fill(100)]));

await using server = await serve("127.0.0.1:0", {
  serializer: json<Tick>(),
  onEvent(event) {
    if (event.type !== "drop") return;
    const what = `${event.peer.id}, by ${event.policy}`;
    dropped.set(what, (dropped.get(what) ?? 0) + event.frames);
  },
});
const readers = [
  await reader("fast", () => {}),
  await reader("slow", () => pause(10)), // it draws a chart
];

for (let number = 1; number <= TICKS; number++) {
  for (const symbol of SYMBOLS) {
    const all = prices.get(symbol) ?? [];
    all.push(Math.round(100 * ((all.at(-1) ?? 0) + Math.random() - 0.5)) / 100);
    server.broadcast({ symbol, number, prices: all.slice(-2_000) }, { key: symbol });
  }
  if (number % 50 === 0) {
    const waits = count(server.peers.get("slow")?.queued.frames ?? 0, "tick");
    console.log(`tick ${number}: slow is at ${upTo("slow")}, with ${waits} in its queue`);
  }
  await pause(10);
}
// What is on its way to the slow one it still reads; of each symbol the newest is the last.
while (upTo("slow") < TICKS) await pause(10);

for (const [id, { ticks, newest }] of seen) {
  const price = newest.get("VGO")?.prices.at(-1);
  console.log(`${id} has seen ${ticks} of ${TICKS * SYMBOLS.length}, VGO is at ${price}`);
}
for (const [what, frames] of dropped) console.log(`${frames} made way for newer ones: ${what}`);
console.log(`${server.stats().queued.bytes} bytes are queued`);
for (const one of readers) await one.close();

function reader(id: string, read: (tick: Tick) => unknown): Promise<Client<Untyped<Tick>>> {
  const mine = { ticks: 0, newest: new Map<string, Tick>() };
  seen.set(id, mine);
  return connect(server.addr, {
    id,
    serializer: json<Tick>(),
    async onMessage({ body }) {
      await read(body);
      mine.ticks++;
      mine.newest.set(body.symbol, body);
    },
  });
}

/** Up to which number a reader has seen all symbols. */
function upTo(id: string): number {
  const newest = seen.get(id)?.newest;
  return Math.min(...SYMBOLS.map((symbol) => newest?.get(symbol)?.number ?? 0));
}

function pause(ms: number): Promise<void> {
  return new Promise((next) => setTimeout(next, ms));
}
