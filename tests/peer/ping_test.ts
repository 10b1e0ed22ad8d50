/**
 * `ping()`: round trips, many at once, and what ends the wait.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Client, ClosedError, TimeoutError } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { ADDRESS, openPair } from "../client/_support.ts";

Deno.test("Peer.ping() gives the round trip in ms, on both sides, and keeps it in stats", async () => {
  await using sim = new Simulation({ faults: { delay: 30 } });
  const { client, peer } = await openPair(sim);
  for (const end of [client, peer]) {
    assertEquals(await sim.run(end.ping()), 60);
    assertEquals(end.stats.rtt, { last: 60, min: 60, mean: 60, p99: 60 });
  }
  sim.link(client).degrade({ delay: 50 });
  assertEquals(await sim.run(client.ping()), 100);
  assertEquals(client.stats.rtt, { last: 100, min: 60, mean: 65, p99: 100 });
});

Deno.test("Peer.ping() answers a hundred at once, with few frames", async () => {
  await using sim = new Simulation({ faults: { delay: 30 } });
  const { client, peer } = await openPair(sim);
  const before = peer.stats.bytesIn;
  const pings = Array.from({ length: 100 }, () => client.ping());
  assertEquals(new Set(await sim.run(Promise.all(pings))), new Set([60]));
  assert(peer.stats.bytesIn - before <= 64, `${peer.stats.bytesIn - before} bytes`);
});

Deno.test("Peer.ping() that overlaps with others gets an answer of its own time", async () => {
  await using sim = new Simulation({ faults: { delay: 30 } });
  const { client } = await openPair(sim);
  const trips: number[] = [];
  for (let n = 0; n < 10; n++) {
    const asked = sim.clock.now();
    client.ping().then(() => trips.push(sim.clock.now() - asked));
    await sim.advance(7);
  }
  await sim.advance(1_000);
  assertEquals(trips, Array(10).fill(60));
});

Deno.test("Peer.ping() overtakes messages that wait", async () => {
  await using sim = new Simulation();
  const { client, peer } = await openPair(sim, {
    serve: { onMessage: () => new Promise(() => {}) },
    connect: { limits: { maxQueuedBytes: 10_000_000 } },
  });
  for (let n = 0; n < 3; n++) client.send("x".repeat(500_000));
  await sim.advance(1_000);
  assert(client.queued.frames > 0);
  assertEquals(await sim.run(client.ping()), 0);
  assertEquals(peer.stats.messagesIn, 2);
});

Deno.test("Peer.ping() rejects with TimeoutError after its timeout, 5 s by default", async () => {
  await using sim = new Simulation();
  const { client } = await openPair(sim, { connect: { heartbeat: false } });
  sim.link(client).blackhole();
  const started = sim.clock.now();
  await assertRejects(() => sim.run(client.ping({ timeout: 100 })), TimeoutError);
  assertEquals(sim.clock.now() - started, 100);
  await assertRejects(() => sim.run(client.ping()), TimeoutError);
  assertEquals(sim.clock.now() - started, 5_100);
});

Deno.test("Peer.ping() rejects with the signal's reason itself", async () => {
  await using sim = new Simulation();
  const { client } = await openPair(sim);
  const early = await client.ping({ signal: AbortSignal.abort("early") }).catch((error) => error);
  sim.link(client).blackhole();
  const controller = new AbortController();
  const pinging = client.ping({ signal: controller.signal }).catch((error) => error);
  await sim.advance(10);
  controller.abort("late");
  assertEquals([early, await pinging], ["early", "late"]);
});

Deno.test("Peer.ping() rejects at once when the link ends, and where there is none", async () => {
  await using sim = new Simulation();
  const { client, peer } = await openPair(sim);
  sim.link(client).blackhole();
  const pings = [client.ping(), peer.ping()].map((ping) => ping.catch((error) => error));
  await sim.advance(10);
  sim.link(client).cut();
  for (const error of await sim.run(Promise.all(pings), { timeout: 0 })) {
    assert(error instanceof ClosedError, String(error));
    assertEquals(error.code, "LINK_LOST");
  }
  assertEquals(client.state, "waiting");
  await assertRejects(() => client.ping(), ClosedError, "there is no open link");
  await assertRejects(() => peer.ping(), ClosedError);
  const young = new Client(ADDRESS, { runtime: sim });
  await assertRejects(() => young.ping(), ClosedError, "there is no open link");
});

Deno.test("Peer.ping() leaves no timer behind", async () => {
  await using sim = new Simulation();
  const { client } = await openPair(sim, {
    serve: { heartbeat: false },
    connect: { heartbeat: false },
  });
  await sim.advance(1_000);
  const before = sim.clock.pending;
  await Promise.all(Array.from({ length: 50 }, () => client.ping({ timeout: 60_000 })));
  await sim.advance(1_000);
  assertEquals(sim.clock.pending, before);
});
