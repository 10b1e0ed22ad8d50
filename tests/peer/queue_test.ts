/**
 * Sending: what `send` waits for, what `trySend` says, and what is refused.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ClosedError, LimitError, TimeoutError } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { openPair, type Pair, until } from "../client/_support.ts";

/** Twice what the simulated network takes while nothing arrives. */
const FULL = "x".repeat(600_000);

/** A pair whose client can send nothing any more: one message fills the network, and a part of it waits. */
async function stuckPair(
  sim: Simulation,
  queue: { highWaterMark?: number; lowWaterMark?: number } = {},
): Promise<Pair> {
  const pair = await openPair(sim, {
    serve: { onMessage: () => {} },
    connect: { queue, limits: { maxQueuedBytes: 700_000 } },
  });
  sim.link(pair.client).blackhole();
  pair.client.send(FULL);
  await sim.advance(0);
  return pair;
}

Deno.test("Peer.send() resolves at once below the high-water mark", async () => {
  await using sim = new Simulation();
  const { client, peer } = await openPair(sim);
  for (const end of [client, peer]) {
    for (let n = 0; n < 100; n++) await end.send("small");
    assertEquals(await end.ready, undefined);
  }
});

Deno.test("Peer.send() waits above the high-water mark until below the low one", async () => {
  await using sim = new Simulation();
  const { client } = await openPair(sim, {
    serve: { onMessage: () => {} },
    connect: { queue: { highWaterMark: 1_000, lowWaterMark: 500 } },
  });
  sim.link(client).degrade({ bytesPerSecond: 1_000 });
  let resolved = 0;
  for (let n = 0; n < 12; n++) client.send("x".repeat(36)).then(() => resolved++);
  assertEquals(client.queued, { bytes: 1_200, frames: 12 });
  await sim.advance(0);
  // The network took it all: what it does with it is not queued here.
  assertEquals([resolved, client.queued.bytes], [12, 0]);
});

Deno.test("Peer.queued counts what waits, and what was handed to a write that has not ended", async () => {
  await using sim = new Simulation();
  const { client } = await stuckPair(sim);
  const { bytes, frames } = client.queued;
  assert(bytes > 600_000 && frames === 1, `${bytes} bytes, ${frames} frames`);
  client.send("12345");
  assertEquals(client.queued, { bytes: bytes + 5 + 64, frames: 2 });
  sim.link(client).heal();
  await until(sim, () => client.queued.frames === 0);
  assertEquals(client.queued, { bytes: 0, frames: 0 });
});

Deno.test("Peer.ready waits for the low-water mark, for all who ask", async () => {
  await using sim = new Simulation();
  const { client } = await stuckPair(sim, { highWaterMark: 10_000, lowWaterMark: 5_000 });
  const log: string[] = [];
  client.ready.then(() => log.push("first"));
  client.send("more").then(() => log.push("send"));
  client.ready.then(() => log.push("second"));
  await sim.advance(1_000);
  assertEquals(log, []);
  sim.link(client).heal();
  await sim.advance(1_000);
  assertEquals(log.sort(), ["first", "second", "send"]);
});

Deno.test("Peer.trySend() says sent, queued or full, and never waits", async () => {
  await using sim = new Simulation();
  const { client } = await openPair(sim);
  assertEquals(client.trySend("a"), "sent");
  sim.link(client).blackhole();
  client.send(FULL);
  await sim.advance(0);
  assertEquals(client.trySend("b"), "queued");
  assertEquals(client.trySend("x".repeat(900_000)), "full");
  assertEquals([client.stats.dropped, client.stats.limits], [0, { maxQueuedBytes: 1 }]);
});

Deno.test("Peer.send() rejects with QUEUE_FULL where maxQueuedBytes wait, and goes on later", async () => {
  await using sim = new Simulation();
  const { client } = await stuckPair(sim);
  const error = await assertRejects(() => client.send("x".repeat(200_000)), LimitError);
  assertEquals([error.code, error.limit, error.initiator], [
    "QUEUE_FULL",
    "maxQueuedBytes",
    "local",
  ]);
  assertEquals(client.queued.frames, 1);
  sim.link(client).heal();
  await until(sim, () => client.queued.frames === 0);
  await client.send("x".repeat(200_000));
});

Deno.test("Peer.send() takes one message of any size into an empty queue", async () => {
  await using sim = new Simulation();
  const got: number[] = [];
  const { client } = await openPair(sim, {
    serve: { onMessage: ({ body }) => got.push(body.length) },
    connect: { limits: { maxQueuedBytes: 1_000 } },
  });
  client.send("x".repeat(500_000));
  await assertRejects(() => client.send("y"), LimitError);
  await sim.advance(0);
  assertEquals(got, [500_000]);
});

Deno.test("Peer.send() rejects with TOO_LARGE above its own maxMessageLength", async () => {
  await using sim = new Simulation();
  const { client } = await openPair(sim, {
    serve: { onMessage: () => {} },
    connect: { limits: { maxMessageLength: 1_000 } },
  });
  await client.send("x".repeat(1_000));
  const error = await assertRejects(() => client.send("x".repeat(1_001)), LimitError);
  assertEquals([error.code, error.limit], ["TOO_LARGE", "maxMessageLength"]);
  assertThrows(() => client.trySend("x".repeat(1_001)), LimitError);
  await sim.advance(0);
  assertEquals(client.state, "open");
});

Deno.test("Peer.send() tells onEvent of a message that only the other end finds too large", async () => {
  await using sim = new Simulation();
  const errors: unknown[] = [];
  const got: string[] = [];
  const { client } = await openPair(sim, {
    serve: { onMessage: ({ body }) => got.push(body), limits: { maxMessageLength: 1_000 } },
    connect: { onEvent: (event) => event.type === "error" && errors.push(event.error) },
  });
  client.send("x".repeat(1_001));
  client.send("fits");
  await sim.advance(0);
  assertEquals([got, client.stats.dropped, errors.length], [["fits"], 1, 1]);
  assert(errors[0] instanceof LimitError && errors[0].code === "TOO_LARGE");
});

Deno.test("Peer.send() gives up a wait for room after its timeout; the message stays queued", async () => {
  await using sim = new Simulation();
  const { client } = await stuckPair(sim, { highWaterMark: 1_000 });
  const sent = client.send("still goes out", { timeout: 50 });
  await assertRejects(() => sim.run(sent), TimeoutError);
  assertEquals(client.queued.frames, 2);
});

Deno.test("Peer.send() rejects with the signal's reason itself, before and while it waits", async () => {
  await using sim = new Simulation();
  const { client } = await stuckPair(sim, { highWaterMark: 1_000 });
  const before = await client.send("x", { signal: AbortSignal.abort("early") })
    .catch((error) => error);
  assertEquals([before, client.queued.frames], ["early", 1]);
  const controller = new AbortController();
  const sent = client.send("x", { signal: controller.signal }).catch((error) => error);
  await sim.advance(10);
  controller.abort("late");
  assertEquals([await sent, client.queued.frames], ["late", 2]);
});

Deno.test("Peer.send() to a peer that has ended rejects, and unawaited ends nothing", async () => {
  await using sim = new Simulation();
  const { client, peer } = await openPair(sim);
  await sim.run(client.close({ reason: "Good night" }));
  await sim.advance(0);
  // None of these is awaited: the test fails if one of them is an unhandled rejection.
  client.send("x");
  peer.send("x");
  client.send("x", { timeout: 10 });
  client.send("x", { signal: new AbortController().signal });
  await sim.advance(100);
  const error = await assertRejects(() => client.send("x"), ClosedError);
  assertEquals([error.code, error.initiator], ["NORMAL", "local"]);
  const other = await assertRejects(() => peer.send("x"), ClosedError);
  assertEquals([other.code, other.initiator, other.info.reason], [
    "NORMAL",
    "remote",
    "Good night",
  ]);
  assertThrows(() => client.trySend("x"), ClosedError);
});

Deno.test("Peer.send() that waits for room rejects when the peer ends", async () => {
  await using sim = new Simulation();
  const { client } = await stuckPair(sim, { highWaterMark: 1_000 });
  const waits = [client.send("x"), client.send("x", { timeout: 60_000 }), client.ready];
  const settled = Promise.allSettled(waits);
  client.abort();
  const results = await sim.run(settled);
  assertEquals(results.map(({ status }) => status), ["rejected", "rejected", "rejected"]);
  assert(
    results.every((result) => result.status === "rejected" && result.reason instanceof ClosedError),
  );
});

Deno.test("Peer.send() refuses a topic that is none, and a body that is none", async () => {
  await using sim = new Simulation();
  const { client, peer } = await openPair(sim, { serve: { onMessage: () => {} } });
  await client.send("longest", { topic: "é".repeat(127) });
  await assertRejects(() => client.send("x", { topic: "é".repeat(128) }), RangeError);
  assertThrows(() => client.trySend("x", { topic: "x".repeat(256) }), RangeError);
  const nonsense = JSON.parse("[5, {}]");
  await assertRejects(() => peer.send(nonsense[0]), TypeError);
  await assertRejects(() => peer.send("x", { topic: nonsense[1] }), TypeError);
  await sim.advance(0);
  assertEquals([client.state, peer.stats.messagesIn], ["open", 1]);
});

Deno.test("Peer.send() as a loop goes as fast as the other end takes it", async () => {
  await using sim = new Simulation();
  let taken = 0;
  const { client } = await openPair(sim, {
    serve: {
      onMessage: async () => {
        await sim.sleep(10);
        taken++;
      },
    },
  });
  let sent = 0;
  let most = 0;
  const sending = (async () => {
    for (; sent < 300; sent++) {
      await client.send("x".repeat(20_000));
      most = Math.max(most, sent - taken);
    }
  })();
  await sim.run(sending);
  assertEquals(sent, 300);
  // At most the window of 1 MiB, what the write loop holds, and the queue's high-water mark.
  assert(most * 20_000 < 1_048_576 + 2 * 65_536 + 40_000, `${most} messages ahead`);
});
