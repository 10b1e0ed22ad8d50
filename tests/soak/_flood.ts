/**
 * What besets a server: sockets that say next to nothing.
 *
 *   deno run --allow-net _flood.ts <port> drip <sockets> <ms>
 *   deno run --allow-net _flood.ts <port> burst <sockets> <ms>
 *
 * "drip": so many at all times, each of which sends one byte a second of what a client says first.
 * "burst": so many at once that say nothing. Ends when the time is over, or all were hung up on.
 */
import { HELLO } from "../_support/wire_client.ts";
import { encoded } from "../_support/wire_client.ts";
import { encodeClientPreface, encodeHello } from "../../src/wire/handshake.ts";
import { sleep } from "./_measure.ts";

const [port = 0, , count = 0, duration = 0] = Deno.args.map(Number);
const kind = Deno.args[1];
const words = encoded(encodeClientPreface, (out) => encodeHello(out, HELLO));
const until = performance.now() + duration;

const sockets = Array.from({ length: count }, async () => {
  if (kind === "burst") return await silence();
  while (performance.now() < until) await drip();
});
await Promise.race([Promise.all(sockets), sleep(duration)]);
Deno.exit();

/** Until it is hung up on. */
async function drip(): Promise<void> {
  const conn = await dial();
  if (conn === undefined) return await sleep(100);
  let open = true;
  conn.read(new Uint8Array(64)).catch(() => null).finally(() => open = false);
  for (let at = 0; open && at < words.length && performance.now() < until; at++) {
    await conn.write(words.subarray(at, at + 1)).catch(() => open = false);
    for (let waited = 0; open && waited < 10; waited++) await sleep(100);
  }
  conn.close();
}

async function silence(): Promise<void> {
  const conn = await dial();
  await conn?.read(new Uint8Array(64)).catch(() => null);
  conn?.close();
}

async function dial(): Promise<Deno.Conn | undefined> {
  try {
    return await Deno.connect({ hostname: "127.0.0.1", port });
  } catch {
    return undefined;
  }
}
