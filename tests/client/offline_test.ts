/**
 * What becomes of messages that are sent while there is no link, and of those that a link takes along
 * when it dies.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Client, ClosedError, LimitError, text } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { ADDRESS, atOnce, openPair, serveText, type Text, until } from "./_support.ts";

Deno.test("Client.send() keeps messages for the first link, in order", async () => {
  await using sim = new Simulation();
  const client = new Client<Text>(ADDRESS, { runtime: sim, serializer: text() });
  const sends = [client.send("1"), client.send("2")];
  assertEquals(client.trySend("3"), "queued");
  await Promise.all(sends);
  assertEquals(client.queued.frames, 3);
  await sim.advance(2_000);
  const got: string[] = [];
  await serveText(sim, { onMessage: ({ body }) => got.push(body) });
  await sim.run(client.opened);
  client.send("4");
  await sim.advance(0);
  assertEquals(got, ["1", "2", "3", "4"]);
  assertEquals(client.queued, { bytes: 0, frames: 0 });
});

Deno.test("Client.send() keeps messages for the next link, in order, each once", async () => {
  await using sim = new Simulation();
  const got: string[] = [];
  const { client } = await openPair(sim, { serve: { onMessage: ({ body }) => got.push(body) } });
  const expected: string[] = [];
  for (let round = 0; round < 5; round++) {
    for (let n = 0; n < 10; n++) {
      const body = `${round}.${n}`;
      expected.push(body);
      client.send(body);
      if (n !== 4) continue;
      // What was handed over arrives: nothing takes time.
      await sim.advance(0);
      sim.link(client).cut();
      await sim.advance(0);
    }
    await until(sim, () => client.state === "open");
  }
  await sim.advance(0);
  assertEquals(got, expected);
});

Deno.test("Client never sends again what it had handed to a link that died", async () => {
  await using sim = new Simulation({ faults: { delay: 50 } });
  const got: string[] = [];
  const { client } = await openPair(sim, { serve: { onMessage: ({ body }) => got.push(body) } });
  client.send("lost on the way");
  await sim.advance(20);
  assertEquals(client.queued.frames, 0);
  sim.link(client).cut();
  await sim.advance(0);
  client.send("after it");
  await until(sim, () => client.state === "open");
  await sim.advance(1_000);
  assertEquals(got, ["after it"]);
});

Deno.test("Client sends a message again whole of which a part was handed over", async () => {
  await using sim = new Simulation();
  const got: number[] = [];
  const { client } = await openPair(sim, {
    serve: { onMessage: ({ body }) => got.push(body.length) },
  });
  sim.link(client).blackhole();
  client.send("x".repeat(900_000));
  client.send("whole");
  await sim.advance(0);
  assertEquals(client.queued.frames, 2);
  sim.link(client).cut();
  await until(sim, () => client.state === "open");
  await sim.advance(1_000);
  assertEquals([got, client.stats.dropped], [[900_000, 5], 0]);
});

Deno.test("Client.send() with offline: reject fails at once where there is no link", async () => {
  await using sim = new Simulation();
  const got: string[] = [];
  const client = new Client<Text>(ADDRESS, {
    runtime: sim,
    serializer: text(),
    queue: { offline: "reject" },
  });
  await assertRejects(() => client.send("too early"), ClosedError, "there is no open link");
  assertThrows(() => client.trySend("too early"), ClosedError);
  await serveText(sim, { onMessage: ({ body }) => got.push(body) });
  await sim.run(client.opened);
  await client.send("in time");
  await sim.advance(0);
  sim.link(client).blackhole();
  client.send("y".repeat(500_000));
  client.send("kept, since there was a link");
  await sim.advance(0);
  sim.link(client).cut();
  await sim.advance(0);
  const error = await assertRejects(() => client.send("between"), ClosedError);
  assertEquals(error.code, "LINK_LOST");
  await until(sim, () => client.state === "open");
  await sim.advance(1_000);
  const kept = ["in time", "y".repeat(500_000), "kept, since there was a link"];
  assert(got.every((body, at) => body === kept[at]) && got.length === kept.length);
});

Deno.test("Client.send() is bounded by maxQueuedBytes while there is no link", async () => {
  await using sim = new Simulation();
  const client = new Client<Text>(ADDRESS, {
    runtime: sim,
    serializer: text(),
    limits: { maxQueuedBytes: 1_000 },
    queue: { highWaterMark: 10_000 },
  });
  let accepted = 0;
  while (client.trySend("x".repeat(36)) === "queued") accepted++;
  assertEquals([accepted, client.queued.bytes], [10, 1_000]);
  const error = await assertRejects(() => client.send("x"), LimitError);
  assertEquals([error.code, error.limit], ["QUEUE_FULL", "maxQueuedBytes"]);
  assertEquals([client.stats.dropped, client.stats.limits], [0, { maxQueuedBytes: 2 }]);
  const got: string[] = [];
  await serveText(sim, { onMessage: ({ body }) => got.push(body) });
  await sim.run(client.opened);
  await sim.advance(0);
  assertEquals(got.length, 10);
});

Deno.test("Client.send() waits for room while there is no link, and goes on with the next", async () => {
  await using sim = new Simulation();
  const client = new Client<Text>(ADDRESS, {
    runtime: sim,
    serializer: text(),
    queue: { highWaterMark: 200, lowWaterMark: 100 },
  });
  await client.send("small");
  let resolved = false;
  const waiting = client.send("x".repeat(200)).then(() => resolved = true);
  await sim.advance(1_000);
  assert(!resolved);
  await serveText(sim, { onMessage: () => {} });
  await sim.run(waiting);
  assertEquals(client.queued.frames, 0);
});

Deno.test("Client.close() without a link is at once, and counts what was never sent", async () => {
  await using sim = new Simulation();
  const client = new Client<Text>(ADDRESS, {
    runtime: sim,
    serializer: text(),
    queue: { highWaterMark: 100 },
  });
  const kept = client.send("1");
  const waiting = client.send("x".repeat(100));
  await kept;
  const { unsent, code } = await atOnce(sim, client.close());
  assertEquals([unsent, code], [{ bytes: 1 + 100 + 2 * 64, frames: 2 }, "NORMAL"]);
  await assertRejects(() => waiting, ClosedError);
  assertEquals(client.queued, { bytes: 0, frames: 0 });
});
