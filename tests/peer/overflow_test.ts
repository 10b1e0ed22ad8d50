/**
 * What becomes of a message for which there is no room: each policy, as a default and for one message,
 * keys of which only the newest waits, and messages of which a part was written when the link broke.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  ClosedError,
  type ConnectOptions,
  LimitError,
  type Overflow,
  type SendOptions,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { ByteBudget } from "../../src/session/outbox.ts";
import { connectText, openPair, serveText, type Text, until } from "../client/_support.ts";
import { bytes, makeQueue } from "./_queue.ts";
import { Rng } from "../_support/rng.ts";

const POLICIES: readonly Overflow[] = ["wait", "drop-oldest", "drop-newest", "disconnect"];
/** Twice what the simulated network takes while nothing arrives. */
const FULL = "x".repeat(600_000);

/** How a `send` ended: nothing, or the code of its error. */
function outcome(sent: Promise<void>): Promise<string> {
  return sent.then(
    () => "resolved",
    (error) =>
      error instanceof LimitError || error instanceof ClosedError ? error.code : `${error}`,
  );
}

/** What each policy makes of "d" where "a", "b" and "c" fill the queue. */
const TABLE: Record<Overflow, { sent: string; tried: string; left: string[]; told: string[] }> = {
  "wait": {
    sent: "QUEUE_FULL",
    tried: "full",
    left: ["a", "b", "c"],
    told: ["limit maxQueuedBytes 1000"],
  },
  "drop-oldest": {
    sent: "resolved",
    tried: "queued",
    left: ["b", "c", "d"],
    told: ["drop 1 200 drop-oldest"],
  },
  "drop-newest": {
    sent: "resolved",
    tried: "full",
    left: ["a", "b", "c"],
    told: ["limit maxQueuedBytes 1000", "drop 1 200 drop-newest"],
  },
  "disconnect": {
    sent: "SLOW_CONSUMER",
    tried: "full",
    left: ["a", "b", "c"],
    told: ["limit maxQueuedBytes 1000", "too slow: 792 of 1000 bytes wait already"],
  },
};

for (const policy of POLICIES) {
  for (const by of ["default", "message"]) {
    Deno.test(`Peer.send() and trySend() without room, "${policy}" by ${by}`, async () => {
      const expected = TABLE[policy];
      for (const how of ["send", "trySend"] as const) {
        const others: Overflow = policy === "wait" ? "disconnect" : "wait";
        const made = makeQueue({ overflow: by === "default" ? policy : others });
        const { queue, told, counters, names } = made;
        const options: SendOptions = by === "default" ? {} : { overflow: policy };
        for (const topic of ["a", "b", "c"]) queue.trySendBytes(bytes(200), { ...options, topic });
        const last = { ...options, topic: "d" };
        if (how === "trySend") assertEquals(queue.trySendBytes(bytes(200), last), expected.tried);
        else assertEquals(await outcome(queue.sendBytes(bytes(200), last)), expected.sent);
        await Promise.resolve();
        assertEquals(told, expected.told);
        assertEquals([queue.queued.frames, queue.queued.bytes], [3, 792]);
        assertEquals(names(), expected.left);
        assertEquals(counters.dropped, policy.startsWith("drop") ? 1 : 0);
        const limits = policy === "drop-oldest" ? {} : { maxQueuedBytes: 1 };
        assertEquals(counters.limits, limits);
      }
    });
  }
}

Deno.test("Peer.send() waits above the high-water mark with the policy wait only", async () => {
  for (const policy of POLICIES) {
    const { queue } = makeQueue();
    let resolved = 0;
    for (let n = 0; n < 3; n++) {
      queue.sendBytes(bytes(200), { overflow: policy }).then(() => resolved++);
    }
    for (let n = 0; n < 10; n++) await Promise.resolve();
    assertEquals(resolved, policy === "wait" ? 2 : 3, policy);
    while (queue.outbox.bytes > 300) queue.outbox.shift();
    queue.checkRoom();
    for (let n = 0; n < 10; n++) await Promise.resolve();
    assertEquals(resolved, 3);
  }
});

Deno.test("Peer.send() drop-oldest drops nothing for one that would not fit even then", async () => {
  const { queue, told, names } = makeQueue();
  queue.trySendBytes(bytes(300), { topic: "stays" });
  for (const topic of ["a", "b"]) {
    queue.trySendBytes(bytes(200), { topic, overflow: "drop-oldest" });
  }
  assertEquals(queue.trySendBytes(bytes(700), { topic: "huge", overflow: "drop-oldest" }), "full");
  assertEquals(queue.queued.frames, 3);
  assertEquals(
    queue.trySendBytes(bytes(500), { topic: "fits", overflow: "drop-oldest" }),
    "queued",
  );
  await Promise.resolve();
  assertEquals(told, ["limit maxQueuedBytes 1000", "drop 3 1100 drop-oldest"]);
  assertEquals(names(), ["stays", "fits"]);
});

Deno.test("Peer.send() drop-oldest with a key makes room for the one that takes its place", async () => {
  const { queue, told, names } = makeQueue();
  const send = (topic: string, length: number, key?: string) =>
    queue.trySendBytes(bytes(length), {
      topic,
      overflow: "drop-oldest",
      ...(key === undefined ? {} : { key }),
    });
  send("a", 300);
  send("price 1", 100, "price");
  send("b", 300);
  assertEquals(send("price 2", 150, "price"), "queued");
  assertEquals(send("price 3", 400, "price"), "queued");
  await Promise.resolve();
  assertEquals(told, ["drop 2 250 key", "drop 1 300 drop-oldest"]);
  assertEquals(names(), ["price 3", "b"]);
});

Deno.test("Peer.send() makes the sender wait when one that is longer takes the place of another", async () => {
  const { queue } = makeQueue();
  await queue.sendBytes(bytes(10), { key: "k" });
  let resolved = false;
  queue.sendBytes(bytes(600), { key: "k" }).then(() => resolved = true);
  for (let n = 0; n < 10; n++) await Promise.resolve();
  assertEquals(resolved, false);
});

Deno.test("Peer.send({ ack }) need not be told once nobody waits for it any more", async () => {
  const { queue, clock } = makeQueue();
  const controller = new AbortController();
  const { signal } = controller;
  for (const options of [{ timeout: 100 }, { signal }]) {
    queue.sendBytes(bytes(10), { ack: true, ...options });
  }
  const overs: (boolean | undefined)[] = [];
  await clock.advance(100);
  overs.push(queue.outbox.peek()?.receipt?.over);
  queue.outbox.shift();
  overs.push(queue.outbox.peek()?.receipt?.over);
  controller.abort();
  overs.push(queue.outbox.peek()?.receipt?.over);
  assertEquals(overs, [true, false, true]);
});

Deno.test("Peer.send() with wait is never dropped: 10,000 random sends, writes and broken links", async () => {
  for (const seed of [1, 2, 3, 4]) {
    const rng = new Rng(seed);
    const budget = new ByteBudget(6_000);
    const queues = Array.from({ length: 3 }, () => ({
      ...makeQueue({ overflow: rng.pick(POLICIES), maxQueuedBytes: 3_000, budget }),
      waits: new Set<string>(),
      written: [] as number[],
      accepted: 0,
      replaced: 0,
    }));
    for (let n = 0; n < 10_000; n++) {
      const it = rng.pick(queues);
      const { outbox } = it.queue;
      const [next] = [outbox.peek()];
      switch (rng.int(5)) {
        case 0:
          // Some bytes go out, or all of it.
          if (next === undefined) break;
          if (next.payload.length > 200 && next.offset === 0) outbox.begin(200);
          else {
            outbox.shift();
            it.waits.delete(next.topic);
            it.written.push(Number(next.topic));
            it.queue.checkRoom();
          }
          break;
        case 1:
          outbox.rewind();
          break;
        default: {
          const overflow = rng.pick(POLICIES);
          const key = rng.int(4) === 0 ? `${rng.int(3)}` : undefined;
          const topic = `${n}`;
          const said = it.queue.trySendBytes(bytes(rng.int(700)), {
            topic,
            overflow,
            ...(key === undefined ? {} : { key }),
          });
          if (said === "full") break;
          it.accepted++;
          // Only the newest of a key waits: that is none of the policy's doing.
          if (key === undefined && overflow === "wait") it.waits.add(topic);
        }
      }
      const note = `operation ${n} of seed ${seed}`;
      const held = queues.reduce((sum, { queue }) => sum + queue.outbox.bytes, 0);
      assert(budget.used === held && held <= budget.max, note);
      assert(outbox.bytes <= 3_000 || outbox.frames === 1, note);
    }
    await Promise.resolve();
    for (const { waits, written, names, told, counters, accepted } of queues) {
      const left = names();
      assertEquals([...waits].filter((name) => !left.includes(name)), [], `seed ${seed}`);
      const all = [...written, ...left.map(Number)];
      assertEquals(new Set(all).size, all.length, `Nothing goes out twice: seed ${seed}`);
      const drops = told.map((line) => line.match(/^drop (\d+)/)?.[1]).reduce(
        (sum, count) => sum + Number(count ?? 0),
        0,
      );
      assertEquals(counters.dropped, drops, `seed ${seed}`);
      const newest = told.flatMap((line) => line.match(/^drop (\d+) \d+ drop-newest/)?.[1] ?? []);
      const refused = newest.reduce((sum, count) => sum + Number(count), 0);
      // Of drop-oldest the newest itself may be the one, where nothing else can go.
      const gone = accepted - all.length;
      assert(gone >= 0 && gone <= drops - refused, `${gone} of ${drops} with seed ${seed}`);
    }
    assertEquals(budget.used, 0, `seed ${seed}`);
  }
});

Deno.test("Peer.send() refuses options that are none", async () => {
  await using sim = new Simulation();
  const { client } = await openPair(sim, { serve: { onMessage: () => {} } });
  const [key, overflow] = JSON.parse('[5, "sometimes"]');
  await assertRejects(() => client.send("x", { key }), TypeError, "'key' must be a string");
  await assertRejects(() => client.send("x", { overflow }), TypeError, "'overflow' must be");
  assertThrows(() => client.trySend("x", { overflow }), TypeError);
  const error = await assertRejects(
    () => connectText(sim, { queue: { overflow } }),
    TypeError,
    "'queue.overflow' must be",
  );
  assert(error.message.endsWith("current value is sometimes"));
});

/** A client of which one message waits that fills the network; what it tells; and what the server got. */
async function stuck(sim: Simulation, options: ConnectOptions<Text> = {}) {
  const got: string[] = [];
  const told: string[] = [];
  const pair = await openPair(sim, {
    serve: { onMessage: ({ body }) => got.push(body.length > 100 ? `${body.length}` : body) },
    connect: {
      limits: { maxQueuedBytes: 601_000 },
      ...options,
      onEvent: (event) => {
        if (event.type === "drop") told.push(`drop ${event.frames} ${event.bytes} ${event.policy}`);
        if (event.type === "limit") told.push(`limit ${event.limit} ${event.value}`);
      },
    },
  });
  sim.link(pair.client).blackhole();
  pair.client.send(FULL);
  await sim.advance(0);
  return { ...pair, got, told };
}

Deno.test("Peer.send() tells of drops once a turn and policy, and counts each", async () => {
  await using sim = new Simulation();
  const { client, told } = await stuck(sim);
  for (let turn = 0; turn < 3; turn++) {
    for (let n = 0; n < 10; n++) client.trySend("x".repeat(100), { overflow: "drop-newest" });
    await sim.advance(0);
  }
  assertEquals(
    told,
    [
      "drop 5 500 drop-newest",
      "drop 10 1000 drop-newest",
      "drop 10 1000 drop-newest",
    ].toSpliced(0, 0, "limit maxQueuedBytes 601000"),
  );
  assertEquals([client.stats.dropped, client.stats.limits], [25, { maxQueuedBytes: 25 }]);
});

Deno.test("Peer.send() tells of a limit again only after there was room", async () => {
  await using sim = new Simulation();
  const { client, told, got } = await stuck(sim);
  const flood = () => {
    for (let n = 0; n < 20; n++) client.trySend("x".repeat(200));
  };
  flood();
  await sim.advance(1_000);
  flood();
  assertEquals(told, ["limit maxQueuedBytes 601000"]);
  sim.link(client).heal();
  await until(sim, () => client.queued.frames === 0);
  sim.link(client).blackhole();
  client.send(FULL);
  await sim.advance(0);
  flood();
  assertEquals(told.length, 2);
  assertEquals([client.stats.limits, got.length], [{ maxQueuedBytes: 20 + 20 + 17 - 3 }, 4]);
});

Deno.test("Peer.send() disconnect ends the peer with SLOW_CONSUMER; a client comes back", async () => {
  await using sim = new Simulation();
  const ended: string[] = [];
  const server = await serveText(sim, {
    limits: { maxQueuedBytes: 700_000 },
    queue: { overflow: "disconnect" },
    onDisconnect: ({ code, reason }) => ended.push(`${code}: ${reason}`),
  });
  const client = await connectText(sim, { id: "slow", reconnect: { delay: 100 } });
  const [peer] = server.peers;
  assert(peer !== undefined);
  sim.link(client).blackhole("down");
  peer.send(FULL);
  await sim.advance(0);
  const error = await assertRejects(() => peer.send("x".repeat(200_000)), ClosedError);
  assertEquals([error.code, error.initiator, peer.state], ["SLOW_CONSUMER", "local", "closed"]);
  assertEquals((await sim.run(peer.closed)).unsent.frames, 1);
  assertEquals(ended, ["SLOW_CONSUMER: 600064 of 700000 bytes wait already"]);
  await until(sim, () => client.state === "open" && server.peers.size === 1);
  assertEquals([server.stats().total, server.stats().queued.bytes], [2, 0]);
});

Deno.test("Peer.send() with a key: a slow end gets the newest only, in the places of the first", async () => {
  await using sim = new Simulation();
  const got: string[] = [];
  const { client, peer } = await openPair(sim, {
    connect: { onMessage: ({ body, topic }) => topic !== "" && got.push(`${topic} ${body}`) },
    serve: { limits: { maxQueuedBytes: 700_000 } },
  });
  sim.link(client).blackhole();
  peer.send(FULL);
  await sim.advance(0);
  for (let price = 0; price < 1_000; price++) {
    for (const key of ["VGO", "NET", "OLD"]) {
      assertEquals(peer.trySend(`${price}`, { key, topic: key }), "queued");
    }
  }
  assertEquals(peer.queued.frames, 4);
  sim.link(client).heal();
  await until(sim, () => got.length === 3);
  assertEquals(got, ["VGO 999", "NET 999", "OLD 999"]);
  assertEquals(peer.stats.dropped, 3 * 999);
});

Deno.test("Peer.send() delivers once what waited, or was written in part, when the link broke", async () => {
  let halves = 0;
  for (let seed = 1; seed <= 25; seed++) {
    const rng = new Rng(seed);
    await using sim = new Simulation({ seed, faults: { delay: 1 } });
    const got: number[] = [];
    const { client } = await openPair(sim, {
      serve: { onMessage: ({ body }) => got.push(Number(body.slice(0, 4))) },
      connect: { reconnect: { delay: 100 }, limits: { maxQueuedBytes: 1 << 24 } },
    });
    sim.link(client).degrade({ delay: 1, cutAfter: 1 + rng.int(1_500_000) });
    for (let n = 0; n < 30; n++) {
      const length = rng.int(3) === 0 ? 300_000 : 10;
      client.trySend(`${n}`.padStart(4, "0").padEnd(length, "x"));
    }
    await sim.advance(50);
    // The rest of one that was begun counts whole.
    const waiting = client.queued.frames;
    const begun = client.stats.messagesOut + waiting;
    assertEquals(begun, 30, `seed ${seed}`);
    if (client.state === "waiting") halves++;
    await until(sim, () => client.queued.frames === 0);
    await sim.advance(100);
    const inOrder = got.every((n, at) => at === 0 || n > (got[at - 1] ?? 0));
    assert(inOrder, `${got} with seed ${seed}`);
    const rest = got.filter((n) => n >= 30 - waiting);
    assertEquals(rest.length, waiting, `${got} with seed ${seed}`);
  }
  assert(halves > 10, `${halves} links must have broken`);
});
