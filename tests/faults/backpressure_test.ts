/**
 * The group Backpressure of the fault catalogue (M4 belongs to WebSocket): a peer that never reads, one
 * slow among many, a slow handler, a flag that would mean compression, small views that are kept.
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { type Bytes, ClosedError, connect, type Overflow, serve, type ServerPeer } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { FrameType } from "../../src/wire/constants.ts";
import * as control from "../../src/wire/control.ts";
import { ADDRESS, atOnce, connectText, openPair, serveText, until } from "../client/_support.ts";
import { failure, LIMITS } from "../_support/wire_client.ts";
import { World } from "../_support/world.ts";

const KIB = 1_024;
const MIB = 1_024 * KIB;
/** The default of `queue.highWaterMark`. */
const HIGH_WATER = 64 * KIB;
/** What one write takes out of the queue, about. */
const WRITE_SIZE = 64 * KIB;

/** Sends as fast as it may, up to 64 MB, and tells how much was accepted. */
function pour(peer: ServerPeer, size: number): { sent: () => number; ended: Promise<unknown> } {
  let sent = 0;
  const ended = (async () => {
    for (; sent < 64 * MIB; sent += size) await peer.send(new Uint8Array(size));
  })().then(() => undefined, (error: unknown) => error);
  return { sent: () => sent, ended };
}

function peerOf(world: World, id: string): ServerPeer {
  const peer = world.server.peers.get(id);
  assert(peer !== undefined);
  return peer;
}

Deno.test("M1 send() waits for a peer that never reads, which is dead after 15 s without progress", async () => {
  await using world = await World.start();
  const { sim, server } = world;
  const raw = await world.open({ clientId: "deaf" });
  raw.pause();
  const peer = peerOf(world, "deaf");
  const began = sim.clock.now();
  const size = 16 * KIB;
  const { sent, ended } = pour(peer, size);
  await sim.advance(14_000);
  // What the network holds, what is being written, and what waits: not the 64 MB.
  const most = 256 * KIB + WRITE_SIZE + HIGH_WATER + 3 * size;
  assert(sent() > 256 * KIB && sent() <= most, `${sent()} bytes were accepted`);
  assert(peer.queued.bytes <= WRITE_SIZE + HIGH_WATER + 2 * size, `${peer.queued.bytes}`);
  assertEquals(server.stats().queued, peer.queued);
  assertEquals([peer.state, world.ends()], ["open", []]);
  const { code, initiator, unsent } = await sim.run(peer.closed);
  assertEquals([code, initiator, sim.clock.now() - began], ["WRITE_TIMEOUT", "network", 15_000]);
  assert(unsent.frames > 0);
  const error = await atOnce(sim, ended);
  assertInstanceOf(error, ClosedError);
  assertEquals(error.code, "WRITE_TIMEOUT");
  assertEquals([peer.queued, server.stats().queued], [
    { bytes: 0, frames: 0 },
    { bytes: 0, frames: 0 },
  ]);
  raw.resume();
  raw.close();
  await sim.advance(0);
  assertEquals(world.ends(), ["disconnect WRITE_TIMEOUT"]);
  await world.undisturbed();
});

Deno.test("M1 send() waits for as long as a peer reads at all, however slowly", async () => {
  await using world = await World.start();
  const { sim } = world;
  const raw = await world.open({ clientId: "slow" });
  raw.pause();
  const peer = peerOf(world, "slow");
  const { sent, ended } = pour(peer, 4 * KIB);
  // A glance at what has come, which is little at first.
  const glance = async () => {
    raw.resume();
    raw.pause();
    await sim.advance(0);
  };
  await glance();
  for (let n = 0; n < 10; n++) {
    await glance();
    await sim.advance(14_000);
  }
  assertEquals([peer.state, world.ends()], ["open", []]);
  assert(sent() < MIB + HIGH_WATER, `${sent()}`);
  peer.abort();
  assertInstanceOf(await sim.run(ended), ClosedError);
  raw.resume();
});

Deno.test("M1 send() to a peer that reads and grants nothing waits at its window, and is not given up", async () => {
  await using world = await World.start({ heartbeat: { interval: 1_000, timeout: 500 } });
  const { sim } = world;
  const raw = await world.open({ clientId: "full" });
  const peer = peerOf(world, "full");
  const { sent, ended } = pour(peer, 4 * KIB);
  for (let n = 0; n < 60; n++) {
    // Its application is stuck, and it lives.
    await raw.send((out) => control.encodePing(out, n, 0));
    await sim.advance(500);
  }
  const got = raw.all(FrameType.MSG).reduce((sum, { body }) => sum + body.length + 12 + 64, 0);
  assert(got <= LIMITS.recvBytes && got > LIMITS.recvBytes - 5 * KIB, `${got}`);
  assert(sent() <= LIMITS.recvBytes + HIGH_WATER + 4 * KIB, `${sent()}`);
  assertEquals([peer.state, world.ends()], ["open", []]);
  // Control frames pass what waits for credit.
  assertEquals(raw.all(FrameType.PONG).length, 60);
  await raw.send((out) => control.encodeAck(out, 0, 2 * LIMITS.recvBytes));
  await sim.advance(10);
  assert(raw.all(FrameType.MSG).length > 400, raw.summary());
  peer.abort();
  assertInstanceOf(await sim.run(ended), ClosedError);
});

Deno.test("M1 close() frees what waits for a peer that never reads, and counts it", async () => {
  await using world = await World.start();
  const { sim, server } = world;
  const raw = await world.open({ clientId: "deaf" });
  raw.pause();
  const peer = peerOf(world, "deaf");
  const error = failure(pour(peer, 16 * KIB).ended.then((error) => Promise.reject(error)));
  await sim.advance(100);
  const { frames, bytes } = peer.queued;
  const before = sim.clock.now();
  const info = await sim.run(peer.close({ grace: 2_000 }));
  // The grace, and the second that a farewell may take.
  assertEquals(sim.clock.now() - before, 3_000);
  assert(info.unsent.frames > 0 && info.unsent.frames <= frames && info.unsent.bytes <= bytes);
  assertEquals([info.code, server.stats().queued.bytes], ["NORMAL", 0]);
  assertInstanceOf(await error, ClosedError);
  raw.resume();
  raw.close();
  await sim.advance(0);
  await world.undisturbed();
});

/** Broadcasts 50 MB to 50 clients; the first of them takes nothing where there is a policy for it. */
async function broadcastToFifty(overflow: Overflow | undefined): Promise<{
  /** How long it took, and how much each of the others has got. */
  readonly others: { readonly ms: number; readonly got: readonly number[] };
  readonly skipped: number;
  readonly drops: readonly string[];
  readonly left: number;
}> {
  await using sim = new Simulation({ faults: { delay: 5 } });
  const drops: string[] = [];
  const server = await serveText(sim, {
    limits: { maxQueuedBytes: 300_000 },
    onEvent: (event) => event.type === "drop" && drops.push(`${event.peer.id} ${event.policy}`),
  });
  const got: number[] = [];
  for (let n = 0; n < 50; n++) {
    got.push(0);
    const onMessage = () => void (got[n] = (got[n] ?? 0) + 1);
    await connectText(sim, { id: `${n}`, reconnect: false, onMessage });
  }
  const [first] = server.peers;
  assert(first !== undefined);
  if (overflow !== undefined) sim.link(first).blackhole("down");
  const before = sim.clock.now();
  const body = "x".repeat(50_000);
  let skipped = 0;
  for (let n = 0; n < 20; n++) {
    const options = overflow === undefined ? {} : { overflow };
    skipped += (await server.broadcast(body, options)).skipped;
    assert(first.queued.bytes <= 300_000 + WRITE_SIZE + 50_000, `${first.queued.bytes}`);
    await until(sim, () => got.slice(1).every((count) => count === n + 1), 1_000);
  }
  const others = { ms: sim.clock.now() - before, got: got.slice(1) };
  return { others, skipped, drops, left: server.peers.size };
}

Deno.test("M2 broadcast() of 50 MB to 50, of which one is slow: the others notice nothing", async () => {
  const calm = await broadcastToFifty(undefined);
  assertEquals([calm.skipped, calm.drops, calm.left], [0, [], 50]);
  for (const overflow of ["drop-newest", "drop-oldest", "disconnect"] satisfies Overflow[]) {
    const { others, skipped, drops, left } = await broadcastToFifty(overflow);
    // In virtual time not a millisecond later.
    assertEquals(others, calm.others, overflow);
    assertEquals(left, overflow === "disconnect" ? 49 : 50);
    assertEquals(new Set(drops), new Set(overflow === "disconnect" ? [] : [`0 ${overflow}`]));
    assert(overflow === "drop-newest" ? skipped > 5 : skipped < 2, `${skipped} with ${overflow}`);
  }
});

Deno.test("M3 onMessage that takes 10 ms stops the sender at the window; pongs and calls go on", async () => {
  await using sim = new Simulation({ faults: { delay: 1 } });
  const MESSAGES = 10_000;
  let handled = 0;
  const heartbeat = { interval: 1_000, timeout: 500 };
  const { client, peer } = await openPair(sim, {
    serve: {
      heartbeat,
      methods: { quick: () => "answer" },
      onMessage: async () => {
        await sim.sleep(10);
        handled++;
      },
    },
    connect: { heartbeat },
  });
  const body = "x".repeat(1_000);
  let sent = 0;
  const sending = (async () => {
    for (; sent < MESSAGES; sent++) await client.send(body);
  })();
  let most = 0;
  for (let n = 0; n < 20; n++) {
    await sim.advance(1_000);
    most = Math.max(most, peer.stats.messagesIn - handled);
    // The reader goes on: only credit is withheld.
    assert(await sim.run(client.ping()) <= 5);
    assertEquals(await sim.run(client.call("quick")), "answer");
  }
  // Each costs its length field, and 64 bytes for keeping it.
  const cost = 1_000 + 12 + 2 + 64;
  assert(most <= MIB / cost && most > MIB / cost * 0.7, `${most} messages were not handled`);
  assert(sent - handled <= MIB / cost + (HIGH_WATER + WRITE_SIZE) / 1_064 + 2, `${sent} sent`);
  await sim.run(sending);
  await until(sim, () => handled === MESSAGES);
  assertEquals([client.state, client.stats.links, peer.stats.dropped], ["open", 1, 0]);
});

Deno.test("M3 messages that a loop reads slowly stop the sender at the window as well", async () => {
  await using sim = new Simulation({ faults: { delay: 1 } });
  const { client, peer } = await openPair(sim);
  const body = "x".repeat(10_000);
  let sent = 0;
  const sending = (async () => {
    for (; sent < 500; sent++) await client.send(body);
  })();
  let read = 0;
  await sim.run((async () => {
    for await (const _ of peer.messages) {
      assert(peer.stats.messagesIn - read <= MIB / 10_000, `${peer.stats.messagesIn} of ${read}`);
      await sim.sleep(10);
      if (++read === 500) break;
    }
  })());
  await sim.run(sending);
  assertEquals([read, sent], [500, 500]);
});

Deno.test("M5 serve() rejects the flag that would mean compression, whatever the frame", async () => {
  const types = [FrameType.MSG, FrameType.REQUEST, FrameType.CHUNK, FrameType.PING, 0x90];
  for (const type of types) {
    await using world = await World.start();
    const peer = await world.open();
    const id = type === FrameType.REQUEST || type === FrameType.CHUNK ? 1 : 0;
    const seq = type === FrameType.PING ? 0 : ++peer.seq;
    // What it holds would be 4 GiB of zeros.
    await peer.frame({ type, flags: 0x80, id, seq }, Uint8Array.of(0, 0, 0xff, 0xff, 0xff, 0xff));
    await world.closed(peer, "UNKNOWN_CRITICAL");
    assertEquals(world.received, []);
  }
});

Deno.test("M6 message.body stays what it was for as long as it is kept; slice() keeps no more than itself", async () => {
  await using sim = new Simulation();
  const kept: Bytes[] = [];
  const sliced: Bytes[] = [];
  await serve(ADDRESS, {
    runtime: sim,
    onMessage: ({ body }) => {
      if (body.length > 32) return;
      kept.push(body);
      sliced.push(body.slice());
    },
  });
  const client = await sim.run(connect(ADDRESS, { runtime: sim }));
  const before = client.stats.bytesOut;
  const large = new Uint8Array(20_000).fill(0xee);
  for (let n = 0; n < 10_000; n++) {
    const small = new Uint8Array(32).fill(n);
    new DataView(small.buffer).setUint32(0, n);
    await client.send(small);
    if (n % 50 === 0) await client.send(large);
    if (n % 100 === 0) await sim.advance(0);
  }
  await until(sim, () => kept.length === 10_000);
  for (const bodies of [kept, sliced]) {
    for (const [n, body] of bodies.entries()) {
      const { buffer, byteOffset, byteLength } = body;
      const whole = byteLength === 32 && new DataView(buffer, byteOffset).getUint32(0) === n &&
        body.subarray(4).every((byte) => byte === n % 256);
      assert(whole, `Body ${n} has changed`);
    }
  }
  const held = (bodies: readonly Bytes[]) =>
    [...new Set(bodies.map(({ buffer }) => buffer))].reduce((sum, it) => sum + it.byteLength, 0);
  assertEquals(held(sliced), 320_000);
  // The others keep the slabs that they came in, large neighbours included, and each of those once.
  const received = client.stats.bytesOut - before;
  assert(held(kept) <= received * 1.25, `${held(kept)} bytes are kept of ${received}`);
});

Deno.test("M1 send() to clients: a server that never reads is dead after 15 s as well", async () => {
  await using sim = new Simulation();
  const { client } = await openPair(sim, {
    serve: { heartbeat: false },
    connect: { heartbeat: false, reconnect: false },
  });
  sim.link(client).blackhole("up");
  let sent = 0;
  const sending = (async () => {
    for (; sent < 64 * MIB; sent += 16 * KIB) await client.send("x".repeat(16 * KIB));
  })();
  const rejected = failure(sending);
  const { code } = await sim.run(client.closed);
  assertEquals([code, sim.clock.now()], ["WRITE_TIMEOUT", 15_000]);
  assertInstanceOf(await rejected, ClosedError);
  assert(sent <= 256 * KIB + WRITE_SIZE + HIGH_WATER + 48 * KIB, `${sent}`);
  const other = await connectText(sim, { id: "bob" });
  assertEquals(other.state, "open");
});
