/**
 * 1,000,000 calls with far deadlines over one real connection, and what they leave behind: no timer, no
 * table entry, no heap.
 *
 *   deno run --allow-net --v8-flags=--expose-gc tests/calls/million.ts [calls]
 *
 * Prints its figures, and fails when anything grows with the number of calls.
 */
import { connect, serve } from "@vgo/vnet";
import { countedRuntime } from "../soak/_measure.ts";

const CALLS = Number(Deno.args[0] ?? 1_000_000);
const IN_FLIGHT = 256;
/** 24 days: nothing of it may be there when the call is over. */
const FAR = 2 ** 31 - 1;
/** What is left may differ by so much, in bytes, however many calls there were. */
const SLACK = 2 << 20;

/** Bytes that are in use once nothing is left to collect; `undefined` without `--expose-gc`. */
function heap(): number | undefined {
  const gc: unknown = Reflect.get(globalThis, "gc");
  if (typeof gc !== "function") return undefined;
  for (let i = 0; i < 4; i++) gc();
  return Deno.memoryUsage().heapUsed;
}

const { runtime, timers } = countedRuntime();
const body = new Uint8Array(16);
await using server = await serve("127.0.0.1:0", { runtime, methods: { echo: (input) => input } });
await using client = await connect(server.addr, { runtime });

/** So many calls, some hundred of them in flight at a time. */
async function run(calls: number): Promise<void> {
  let left = calls;
  const worker = async () => {
    while (left-- > 0) await client.call("echo", body, { timeout: FAR });
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
}

await run(10_000);
const before = { heap: heap(), timers: timers() };
const begun = performance.now();
await run(CALLS);
const seconds = (performance.now() - begun) / 1_000;
const after = { heap: heap(), timers: timers() };

const [peer] = server.peers;
console.log(`${CALLS} calls in ${seconds.toFixed(2)} s: ${Math.round(CALLS / seconds)} a second`);
console.log(`heap before and after: ${before.heap ?? "?"} and ${after.heap ?? "?"} bytes`);
console.log(`timers before and after: ${before.timers} and ${after.timers}`);
console.log(`answered by the server: ${(peer?.stats.callsIn ?? 0) - 10_000}`);
const { finished, cut } = await client.close();
console.log(`open at the end: ${finished + cut} calls`);

const grown = (after.heap ?? 0) - (before.heap ?? 0);
if (grown > SLACK || after.timers > before.timers || finished + cut > 0) {
  console.log("Something grows with the number of calls");
  Deno.exit(1);
}
