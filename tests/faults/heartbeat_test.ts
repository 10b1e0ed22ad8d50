/**
 * Heartbeat faults (rows B1 to B9 and B11): a dead end is noticed in time, a living one is never taken
 * for dead. Virtual time, but for the two rows that are about real time.
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { type CloseInfo, connect, serve, type Server, TimeoutError } from "@vgo/vnet";
import { memoryPair, Simulation } from "@vgo/vnet/testing";
import { FrameType } from "../../src/wire/constants.ts";
import * as control from "../../src/wire/control.ts";
import { encodeMessage } from "../../src/wire/message.ts";
import { Rng } from "../_support/rng.ts";
import { offline, settle, StallClock } from "../_support/stall_clock.ts";
import { encoded, failure, LIMITS, WireClient } from "../_support/wire_client.ts";
import { World } from "../_support/world.ts";

const H = 200;
const T = 100;
const TICK = Math.min(250, H / 8, T / 4);
const HEARTBEAT = { interval: H, timeout: T };
const VOLATILE = encoded((out) => encodeMessage(out, 0, "", new Uint8Array(10)));

for (const [row, direction] of [["B1", "both"], ["B2", "up"], ["B2", "down"]] as const) {
  Deno.test(`serve() and connect() ${row} notice a black hole ${direction}, in 100 trials`, async () => {
    for (let seed = 1; seed <= 100; seed++) {
      const rng = new Rng(seed);
      const faults = { delay: rng.int(15), jitter: rng.int(5) };
      await using sim = new Simulation({ seed, faults });
      const ends: [string, CloseInfo][] = [];
      const onDisconnect = (side: string) => (info: CloseInfo) => {
        ends.push([side, info]);
      };
      const shared = { runtime: sim, heartbeat: HEARTBEAT };
      const server = await serve("tcp://0.0.0.0:9966", {
        ...shared,
        onDisconnect: onDisconnect("server"),
      });
      const client = await sim.run(
        connect(server.addr, { ...shared, reconnect: false, onDisconnect: onDisconnect("client") }),
      );
      for (let i = rng.int(6); i > 0; i--) {
        await sim.advance(rng.int(3 * H));
        if (rng.int(2) === 0) client.trySend(new Uint8Array(rng.int(100)));
      }
      assertEquals([ends.length, server.peers.size], [0, 1], `seed ${seed}`);
      sim.link(client).blackhole(direction);
      await sim.advance(H + T + TICK);
      assertEquals(ends.map(([side]) => side).sort(), ["client", "server"], `seed ${seed}`);
      for (const [, { code }] of ends) assertEquals(code, "HEARTBEAT_TIMEOUT", `seed ${seed}`);
      // Whoever notices first says so, where it is heard.
      const first = ends[0]?.[1].initiator;
      const second = ends[1]?.[1].initiator;
      assertEquals(first, "network", `seed ${seed}`);
      if (direction === "both") assertEquals(second, "network", `seed ${seed}`);
      assertEquals(server.peers.size, 0);
    }
  });
}

Deno.test("serve() B3 pings although the other end never stops sending", async () => {
  await using world = await World.start({ heartbeat: HEARTBEAT });
  const peer = await world.open();
  const times: number[] = [];
  const reading = (async () => {
    while (times.push(world.sim.clock.now()) > 0) await peer.next(FrameType.PING);
  })().catch(() => {});
  for (let i = 0; i < 300; i++) {
    await peer.write(VOLATILE);
    await world.sim.advance(H / 10);
  }
  const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
  assert(gaps.length >= 29 && gaps.length <= 31, `${gaps}`);
  assert(gaps.every((gap) => gap <= H + TICK), `${gaps}`);
  assertEquals(world.ends(), []);
  await world.sim.advance(H + T + TICK);
  await reading;
  await world.freed(peer, ["CLOSE HEARTBEAT_TIMEOUT"], "disconnect HEARTBEAT_TIMEOUT");
});

Deno.test("serve() B4 does not take its own sending for a sign of life", async () => {
  await using world = await World.start({ heartbeat: HEARTBEAT });
  const peer = await world.open({ clientId: "ann" });
  for (let i = 0; i < (H + T) / 20 - 1; i++) {
    await world.server.push("ann", new Uint8Array(100));
    await world.sim.advance(20);
  }
  assertEquals(world.ends(), []);
  await world.sim.advance(20 + TICK);
  await world.freed(peer, ["CLOSE HEARTBEAT_TIMEOUT"], "disconnect HEARTBEAT_TIMEOUT");
});

Deno.test("connect() B4 does not take its own sending into a black hole for a sign of life", async () => {
  await using world = await World.start({ heartbeat: HEARTBEAT });
  const { sim, witness } = world;
  sim.link(witness).blackhole();
  for (let i = 0; i < (H + T + TICK) / 20; i++) {
    if (witness.state === "open") witness.trySend(new Uint8Array(100));
    await sim.advance(20);
  }
  assertEquals(witness.state, "closed");
  assertEquals((await sim.run(witness.closed)).code, "HEARTBEAT_TIMEOUT");
});

Deno.test("serve() B5 answers a flood of pings with FLOOD, and queues no pongs for it", async () => {
  await using world = await World.start();
  const peer = await world.open();
  const attack = world.sim.run(peer.tell((out) => {
    for (let opaque = 1; opaque <= 50_000; opaque++) control.encodePing(out, opaque, 0);
  }));
  await world.closed(peer, "FLOOD");
  await attack;
  assert(peer.all(FrameType.PONG).length <= 1, peer.summary());
});

Deno.test("serve() B5 lives with 50,000 pings that come slowly enough", async () => {
  await using world = await World.start();
  const peer = await world.open();
  for (let sent = 0; sent < 50_000; sent += 500) {
    await peer.send((out) => {
      for (let i = 1; i <= 500; i++) control.encodePing(out, sent + i, 0);
    });
    await world.sim.advance(500);
  }
  // One for each read that brought some: never one for each.
  const pongs = opaques(peer, FrameType.PONG);
  assert(pongs.length >= 100 && pongs.length <= 200, `${pongs.length} pongs`);
  assertEquals(pongs, pongs.toSorted((a, b) => a - b));
  assertEquals(pongs.at(-1), 50_000);
  peer.close();
  await world.sim.advance(0);
  await world.undisturbed();
});

Deno.test("serve() B6 reads on while its writes are blocked, and answers the newest ping", async () => {
  await using world = await World.start({ heartbeat: HEARTBEAT });
  const peer = await world.open({ clientId: "ann" });
  peer.pause();
  const held = world.server.peers.get("ann");
  held?.trySend(new Uint8Array(900_000));
  await world.sim.advance(10);
  assert((held?.queued.bytes ?? 0) > 0, "The server's writes must be blocked");
  const before = world.stats("ann");
  for (let sent = 0; sent < 10_000; sent += 80) {
    await peer.send((out) => {
      for (let i = 1; i <= 80; i++) control.encodePing(out, sent + i, 0);
    });
    await world.sim.advance(100);
  }
  const after = world.stats("ann");
  assertEquals(after.bytesIn - before.bytesIn, 10_000 * 32);
  assertEquals(after.bytesOut, before.bytesOut);
  peer.resume();
  await world.sim.advance(10);
  const pongs = opaques(peer, FrameType.PONG);
  assertEquals([pongs.length, pongs.at(-1)], [1, 10_000]);
  peer.close();
  await world.sim.advance(0);
  await world.undisturbed();
});

Deno.test("serve() B7 takes a pong that answers nothing for life, and for nothing else", async () => {
  await using world = await World.start({ heartbeat: HEARTBEAT });
  const peer = await world.open({ clientId: "ann" });
  const held = world.server.peers.get("ann");
  const forged = [0, 999_999, Number.MAX_SAFE_INTEGER];
  for (let i = 0; i < 100; i++) {
    await peer.send((out) => control.encodePong(out, forged[i % forged.length] ?? 0, 0));
    await world.sim.advance(H / 2);
  }
  assertEquals(world.ends(), []);
  assertEquals(held?.stats.rtt.last, 0);
  const ping = failure(held?.ping({ timeout: 50 }) ?? Promise.resolve());
  await peer.send((out) => control.encodePong(out, 0, 0));
  assertInstanceOf(await world.sim.run(ping), TimeoutError);
  // The right one counts, and only once.
  const opaque = opaques(peer, FrameType.PING).at(-1) ?? 0;
  const trips: (number | undefined)[] = [];
  for (let i = 0; i < 3; i++) {
    await peer.send((out) => control.encodePong(out, opaque, 0));
    await world.sim.advance(10);
    trips.push(held?.stats.rtt.last);
  }
  const [trip = 0] = trips;
  assert(trip > 0 && trip <= 50, `${trip}`);
  assertEquals(trips, [trip, trip, trip]);
});

Deno.test("serve() B8 drops none of 50 peers after its event loop has stalled for 3 H", async () => {
  const clock = new StallClock();
  let dropped = 0;
  const server = await serve([], {
    runtime: offline(clock),
    heartbeat: HEARTBEAT,
    onDisconnect: () => void dropped++,
  });
  const peers = await Promise.all(Array.from({ length: 50 }, () => attached(server)));
  // Each was asked for a sign of life, and gives it while the server is stalled.
  clock.jump(H);
  await settle();
  const answers = peers.map((peer) => {
    assertEquals(opaques(peer, FrameType.PING).length, 1);
    return peer.send((out) => control.encodePong(out, 1, 0));
  });
  clock.jump(700);
  await Promise.all(answers);
  await settle();
  assertEquals([dropped, server.peers.size], [0, 50]);
  // Who is silent from now on is dropped as ever: the stall was forgiven once.
  const [quiet, ...others] = peers;
  for (let i = 0; i < (H + T + TICK) / 25; i++) {
    clock.jump(25);
    await Promise.all(others.map((peer) => peer.write(VOLATILE)));
    await settle();
  }
  assertEquals([dropped, server.peers.size], [1, 49]);
  assertEquals(quiet?.farewells(), ["CLOSE HEARTBEAT_TIMEOUT"]);
  for (const peer of peers) peer.close();
  await settle();
  await server.close();
  assertEquals(clock.pending, 0);
});

Deno.test("serve() and connect() B8 survive a block of the real event loop", async () => {
  let dropped = 0;
  const onDisconnect = () => void dropped++;
  const server = await serve("127.0.0.1:0", { heartbeat: HEARTBEAT, onDisconnect });
  const clients = await Promise.all(
    Array.from({ length: 50 }, () => connect(server.addr, { heartbeat: HEARTBEAT, onDisconnect })),
  );
  for (const pause of [H, 10]) {
    await real(pause);
    const end = performance.now() + 700;
    while (performance.now() < end);
  }
  await real(H + T);
  assertEquals([dropped, server.peers.size], [0, 50]);
  assert(clients.every((client) => client.state === "open" && client.stats.links === 1));
  await Promise.all(clients.map((client) => client.close()));
  await server.close();
});

Deno.test("serve() and connect() B9 do not look at the wall clock", async () => {
  const { now } = Date;
  let dropped = 0;
  const onDisconnect = () => void dropped++;
  const heartbeat = { interval: 100, timeout: 100 };
  const server = await serve("127.0.0.1:0", { heartbeat, onDisconnect });
  const client = await connect(server.addr, { heartbeat, onDisconnect });
  try {
    for (const hours of [1, -1, 24, 0]) {
      Date.now = () => now() + hours * 3_600_000;
      await real(100);
    }
  } finally {
    Date.now = now;
  }
  const roundTrip = await client.ping();
  assert(roundTrip >= 0 && roundTrip < 60_000, `${roundTrip}`);
  assertEquals([dropped, client.state, server.peers.size], [0, "open", 1]);
  await client.close();
  await server.close();
});

Deno.test("serve() and connect() B11 keep a slow link alive while 4 MiB travel over it", async () => {
  for (const from of ["client", "server"] as const) {
    await using sim = new Simulation();
    const size = 4 * 1_048_576;
    const got: number[] = [];
    const ends: string[] = [];
    const shared = {
      runtime: sim,
      heartbeat: HEARTBEAT,
      onMessage: ({ body }: { readonly body: Uint8Array }) => void got.push(body.length),
      onDisconnect: ({ code }: CloseInfo) => void ends.push(code),
    };
    const server = await serve("tcp://0.0.0.0:9966", shared);
    const client = await sim.run(connect(server.addr, { ...shared, id: "ann" }));
    sim.link(client).degrade({ bytesPerSecond: 256_000, delay: 10 });
    const sender = from === "client" ? client : server.peers.get("ann");
    const start = sim.clock.now();
    sender?.trySend(new Uint8Array(size).fill(1));
    while (got.length === 0 && sim.clock.now() < start + 30_000) await sim.advance(100);
    assertEquals([got, ends], [[size], []], from);
    assert(sim.clock.now() - start > 16_000, "The link must have been slow");
    assertEquals(client.stats.links, 1);
    await sim.advance(2_000);
    assertEquals(ends, []);
  }
});

Deno.test("serve() B11 sends its pings between the fragments of a message", async () => {
  await using world = await World.start({ heartbeat: HEARTBEAT });
  const peer = await world.open({ clientId: "ann", limits: { ...LIMITS, recvBytes: 8_388_608 } });
  world.sim.link(world.server.peers.get("ann") ?? {}).degrade({ bytesPerSecond: 256_000 });
  world.server.peers.get("ann")?.trySend(new Uint8Array(2 * 1_048_576));
  for (let i = 0; i < 90; i++) {
    await world.sim.advance(100);
    await peer.write(VOLATILE);
  }
  const types = peer.frames.map(({ type }) => type);
  const fragments = types.slice(types.indexOf(FrameType.MSG), types.lastIndexOf(FrameType.MSG) + 1);
  assertEquals(peer.all(FrameType.MSG).reduce((sum, { body }) => sum + body.length, 0), 2_097_158);
  const pings = fragments.filter((type) => type === FrameType.PING).length;
  assert(pings >= 5, `${pings} pings among ${fragments.length} frames`);
  assertEquals(world.ends(), []);
  peer.close();
});

/** A scripted client of a server that has no network. */
async function attached(server: Server): Promise<WireClient> {
  const [near, far] = memoryPair();
  const peer = new WireClient(near);
  await Promise.all([server.attach(far), peer.open()]);
  return peer;
}

function opaques(peer: WireClient, type: number): number[] {
  return peer.all(type).map(({ body }) => control.decodePing(body, 0, body.length).opaque);
}

function real(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
