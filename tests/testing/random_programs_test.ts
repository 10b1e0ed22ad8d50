/** Random programs of faults: whatever happens to a link, bytes keep their order and nothing is left. */
import { assert, assertEquals } from "@std/assert";
import { type ByteTransport, type Faults, Simulation } from "@vgo/vnet/testing";
import { Rng } from "../_support/rng.ts";
import { connected } from "./_support.ts";

interface Received {
  bytes: number[];
  end: "open" | "end" | "error";
}

/** Runs one program; gives its trace and what each end received. */
async function program(seed: number): Promise<{ trace: string; ends: string }> {
  const rng = new Rng(seed);
  await using sim = new Simulation({ seed, faults: randomFaults(rng) });
  const [client, server] = await connected(sim);
  const [up, down]: [Received, Received] = [{ bytes: [], end: "open" }, { bytes: [], end: "open" }];
  const sent = { up: 0, down: 0 };
  const readers = [pump(server, up), pump(client, down)];
  const write = async (conn: ByteTransport, direction: "up" | "down") => {
    const from = sent[direction];
    const data = Uint8Array.from({ length: 1 + rng.int(2_000) }, (_, at) => pattern(from + at));
    sent[direction] += await conn.write(data);
  };
  const writes: Promise<void>[] = [];
  let healed = true;
  for (let step = 0; step < 25; step++) {
    const link = sim.links[0];
    switch (rng.int(14)) {
      case 0:
        healed = false;
        link?.blackhole(rng.pick(["up", "down", "both"]));
        break;
      case 1:
      case 2:
        healed = true;
        link?.heal();
        break;
      case 3:
        link?.degrade(randomFaults(rng));
        break;
      case 4:
        if (rng.int(8) === 0) link?.cut(rng.pick(["reset", "close"]));
        break;
      case 5:
        await sim.advance(rng.int(300));
        break;
      default:
        // One write at a time, so that what was sent is known.
        await sim.advance(rng.int(50));
        if (writes.length === 0) {
          const [conn, direction] = rng.pick([[client, "up"], [server, "down"]] as const);
          const work: Promise<void> = write(conn, direction).catch(() => {}).finally(() => {
            writes.splice(writes.indexOf(work), 1);
          });
          writes.push(work);
        }
    }
  }
  if (!healed) sim.links[0]?.heal();
  await sim.run(Promise.all(writes));
  const closed = [client, server].map((conn) => conn.closeWrite?.().catch(() => {}));
  await sim.run(Promise.all([...closed, ...readers]));
  client.close();
  server.close();
  for (const [direction, received] of [["up", up], ["down", down]] as const) {
    const message = `seed ${seed}, ${direction}: ${received.bytes.length} of ${sent[direction]}`;
    const wrong = received.bytes.findIndex((byte, at) => byte !== pattern(at));
    assertEquals(wrong, -1, `${message} bytes, out of order`);
    assert(received.bytes.length <= sent[direction], message);
    if (received.end === "end") assertEquals(received.bytes.length, sent[direction], message);
    assert(received.end !== "open", message);
  }
  return { trace: `${sim.traceHash}`, ends: `${up.end} ${down.end}` };
}

/** Differs at each place for longer than any buffer is. */
function pattern(at: number): number {
  return Math.imul(at + 1, 0x9e3779b1) >>> 24;
}

function randomFaults(rng: Rng): Faults {
  const faults: { -readonly [K in keyof Faults]: Faults[K] } = {};
  if (rng.int(2) === 0) faults.delay = rng.int(200);
  if (rng.int(2) === 0) faults.jitter = rng.int(400);
  if (rng.int(4) === 0) faults.bytesPerSecond = 500 + rng.int(100_000);
  if (rng.int(3) === 0) faults.slice = 1 + rng.int(50);
  if (rng.int(12) === 0) faults.cutAfter = rng.int(5_000);
  return faults;
}

async function pump(conn: ByteTransport, received: Received): Promise<void> {
  const buffer = new Uint8Array(4_096);
  try {
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      for (let at = 0; at < n; at++) received.bytes.push(buffer[at] ?? -1);
    }
    received.end = "end";
  } catch {
    received.end = "error";
  }
}

Deno.test("Simulation keeps the order of bytes in 1,000 random programs of faults", async () => {
  const ends = new Map<string, number>();
  for (let seed = 0; seed < 1_000; seed++) {
    const result = await program(seed);
    ends.set(result.ends, (ends.get(result.ends) ?? 0) + 1);
  }
  // The programs are worth nothing if all of them end in the same way.
  assert((ends.get("end end") ?? 0) > 100 && (ends.get("error error") ?? 0) > 100, `${[...ends]}`);
});

Deno.test("Simulation repeats a random program exactly", async () => {
  const traces = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    const { trace } = await program(seed);
    assertEquals((await program(seed)).trace, trace, `seed ${seed}`);
    traces.add(trace);
  }
  assertEquals(traces.size, 60);
});
