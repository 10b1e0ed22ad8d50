/**
 * What both ends count: `peer.stats` and `server.stats()`.
 */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import type { PeerStats, ServerStats, Traffic } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { fate, makeWorld } from "../calls/_support.ts";
import { connectText, openPair, serveText, until } from "../client/_support.ts";
import { Counters } from "../../src/peer/stats.ts";
import { Rng } from "../_support/rng.ts";

/** The flow alone, without what belongs to one end. */
function flow({ messagesIn, messagesOut, callsIn, callsOut, inFlight, dropped }: Traffic) {
  return { messagesIn, messagesOut, callsIn, callsOut, inFlight, dropped };
}

const NO_FLOW = flow({
  bytesIn: 0,
  bytesOut: 0,
  messagesIn: 0,
  messagesOut: 0,
  callsIn: 0,
  callsOut: 0,
  inFlight: 0,
  dropped: 0,
});

Deno.test("Peer.stats counts what flows, alike on both ends", async () => {
  await using world = await makeWorld({
    server: {
      onMessage: () => {},
      methods: { echo: (value) => value, hang: () => new Promise(() => {}) },
    },
    client: { onMessage: () => {}, methods: { echo: (value) => value } },
  });
  const { client, peer, run, sim } = world;
  for (let n = 0; n < 5; n++) await run(client.send(n));
  for (let n = 0; n < 3; n++) await run(peer.send("x".repeat(100_000)));
  await run(client.call("echo", 1));
  await run(peer.call("echo", 1));
  const controller = new AbortController();
  const hung = [1, 2].map(() => fate(client.call("hang", 1, { signal: controller.signal })));
  await sim.advance(100);
  assertEquals(flow(client.stats), {
    messagesIn: 3,
    messagesOut: 5,
    callsIn: 1,
    callsOut: 3,
    inFlight: 2,
    dropped: 0,
  });
  assertEquals(flow(peer.stats), {
    messagesIn: 5,
    messagesOut: 3,
    callsIn: 3,
    callsOut: 1,
    inFlight: 2,
    dropped: 0,
  });
  // Every byte that one end has written the other has read.
  assertEquals([peer.stats.bytesIn, peer.stats.bytesOut], [
    client.stats.bytesOut,
    client.stats.bytesIn,
  ]);
  assert(client.stats.bytesIn > 300_000);
  controller.abort();
  await Promise.all(hung);
  assertEquals(client.stats.inFlight, 0);
});

Deno.test("Peer.stats tells of one moment, and does not change afterwards", async () => {
  await using sim = new Simulation();
  const { client } = await openPair(sim, { serve: { onMessage: () => {} } });
  const before = client.stats;
  const copy = structuredClone(before);
  for (let n = 0; n < 10; n++) await client.send("x");
  await sim.run(client.ping());
  assertEquals(before, copy);
  assertEquals(client.stats.messagesOut, 10);
  client.abort();
  const last = client.stats;
  await sim.advance(1_000);
  assertEquals([client.stats.messagesOut, client.stats], [10, last]);
});

Deno.test("Peer.stats tells what waits, which limits were met, and how many links there were", async () => {
  await using sim = new Simulation();
  const began = Date.now();
  const { client } = await openPair(sim, {
    serve: { onMessage: () => {} },
    connect: { limits: { maxQueuedBytes: 1_000 }, reconnect: { delay: 100 } },
  });
  assert(client.stats.since >= began - 1_000 && client.stats.since <= Date.now());
  assertEquals([client.stats.queued, client.stats.limits], [{ bytes: 0, frames: 0 }, {}]);
  sim.link(client).blackhole();
  client.send("x".repeat(600_000));
  await sim.advance(0);
  for (let n = 0; n < 4; n++) client.trySend("x");
  assertEquals(client.stats.queued, client.queued);
  assertEquals([client.stats.queued.frames, client.stats.limits], [1, { maxQueuedBytes: 4 }]);
  sim.link(client).cut();
  await until(sim, () => client.state === "open");
  await sim.advance(100);
  assertEquals([client.stats.links, client.stats.messagesOut, client.stats.queued.frames], [
    2,
    1,
    0,
  ]);
});

Deno.test("Peer.stats measures round trips: the last, the shortest, a mean, a percentile", async () => {
  await using sim = new Simulation({ faults: { delay: 10 } });
  const { client } = await openPair(sim);
  assertEquals(client.stats.rtt, { last: 0, min: 0, mean: 0, p99: 0 });
  await sim.run(client.ping());
  assertEquals(client.stats.rtt, { last: 20, min: 20, mean: 20, p99: 20 });
  sim.link(client).degrade({ delay: 50 });
  await sim.run(client.ping());
  assertEquals(client.stats.rtt, { last: 100, min: 20, mean: 30, p99: 100 });
});

Deno.test("Counters.roundTrip() forgets what is older than 128, but for the shortest", () => {
  for (const seed of [1, 2, 3]) {
    const rng = new Rng(seed);
    const counters = new Counters(0);
    const all: number[] = [];
    let mean: number | undefined;
    for (let n = 0; n < 500; n++) {
      const time = rng.next() * 100;
      all.push(time);
      mean = mean === undefined ? time : mean * 7 / 8 + time / 8;
      counters.roundTrip(time);
      const { rtt } = counters.snapshot(0, { bytes: 0, frames: 0 });
      const newest = all.slice(-128).sort((a, b) => a - b);
      assertEquals([rtt.last, rtt.min], [time, Math.min(...all)], `${n} of seed ${seed}`);
      assertEquals(rtt.p99, newest[Math.ceil(newest.length * 0.99) - 1], `${n} of seed ${seed}`);
      assertAlmostEquals(rtt.mean, mean, 1e-9);
    }
  }
});

Deno.test("Server.stats() is the sum of those who are here and those who are gone", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim, {
    onMessage: () => {},
    methods: { echo: (text) => text },
    limits: { maxQueuedBytes: 1_000 },
  });
  const gone: PeerStats[] = [];
  const add = (sum: Traffic, one: Traffic): Traffic => ({
    bytesIn: sum.bytesIn + one.bytesIn,
    bytesOut: sum.bytesOut + one.bytesOut,
    messagesIn: sum.messagesIn + one.messagesIn,
    messagesOut: sum.messagesOut + one.messagesOut,
    callsIn: sum.callsIn + one.callsIn,
    callsOut: sum.callsOut + one.callsOut,
    inFlight: sum.inFlight + one.inFlight,
    dropped: sum.dropped + one.dropped,
  });
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 3; n++) {
      const client = await connectText(sim, { id: `${round} ${n}`, reconnect: false });
      const peer = server.peers.get(client.id);
      assert(peer !== undefined);
      for (let m = 0; m <= n; m++) client.send("x".repeat(m * 100));
      await sim.run(client.call("echo", "x"));
      sim.link(client).blackhole("down");
      peer.send("x".repeat(600_000));
      await sim.advance(0);
      for (let m = 0; m <= round; m++) peer.trySend("x", { overflow: "drop-newest" });
      const sum = [...gone, ...Array.from(server.peers, ({ stats }) => stats)].reduce(add, {
        bytesIn: 0,
        bytesOut: 0,
        ...NO_FLOW,
      });
      const stats: ServerStats = server.stats();
      const { peers, peak, total, queued, limits, ...rest } = stats;
      const own = add({ bytesIn: 0, bytesOut: 0, ...NO_FLOW }, rest);
      assertEquals(own, sum, `${round} ${n}`);
      assertEquals([peers, peak, total], [n + 1, 3 * Math.sign(round) || n + 1, round * 3 + n + 1]);
      const here = Array.from(server.peers, ({ stats }) => stats);
      assertEquals(queued, {
        bytes: here.reduce((bytes, { queued }) => bytes + queued.bytes, 0),
        frames: n + 1,
      });
      const met = [...gone, ...here].reduce(
        (met, one) => met + (one.limits.maxQueuedBytes ?? 0),
        0,
      );
      assertEquals(limits, { maxQueuedBytes: met });
    }
    for (const peer of [...server.peers]) {
      peer.abort();
      gone.push(peer.stats);
    }
    await sim.advance(0);
  }
  await sim.run(server.close());
  const { peers, queued, inFlight, unregistered, messagesIn, dropped } = server.stats();
  assertEquals([peers, queued, inFlight, unregistered], [0, { bytes: 0, frames: 0 }, 0, 0]);
  assertEquals([messagesIn, dropped], [3 * (1 + 2 + 3), 3 * (1 + 2 + 3)]);
});

Deno.test("Server.stats() counts calls in flight of both ends, and none of those who are gone", async () => {
  await using world = await makeWorld({
    server: { methods: { hang: () => new Promise(() => {}) } },
    client: {
      methods: { hang: () => new Promise(() => {}) },
      reconnect: false,
      limits: { maxInFlight: 1 },
    },
  });
  const { client, peer, server, sim } = world;
  // The last of them waits for a place.
  const made = [client.call("hang"), client.call("hang"), peer.call("hang"), peer.call("hang")];
  const calls = made.map(fate);
  await sim.advance(1);
  assertEquals(server.stats().inFlight, 4);
  client.abort();
  await sim.advance(1);
  await Promise.all(calls);
  const { inFlight, callsIn, callsOut } = server.stats();
  assertEquals([inFlight, callsIn, callsOut], [0, 2, 2]);
});

Deno.test("Server.stats() counts who was refused, by code, and who has not registered", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim, {
    handshakeTimeout: 1_000,
    register: ({ id }) =>
      id === "slow" ? new Promise(() => {}) : id === "ok" || { reject: "AUTH_FAILED" },
  });
  const options = { reconnect: false, openTimeout: 0 } as const;
  await connectText(sim, { ...options, id: "ok" });
  for (let n = 0; n < 3; n++) await connectText(sim, { ...options, id: "bad" }).catch(() => {});
  await connectText(sim, { ...options, id: "slow" }).catch(() => {});
  const { peers, total, peak, rejected } = server.stats();
  assertEquals([peers, total, peak], [1, 1, 1]);
  assertEquals(rejected, { AUTH_FAILED: 3, HANDSHAKE_TIMEOUT: 1 });
  const stats = server.stats();
  const copy = structuredClone(stats);
  await connectText(sim, { ...options, id: "bad" }).catch(() => {});
  assertEquals(stats, copy);
});
