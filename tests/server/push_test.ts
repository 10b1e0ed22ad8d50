/**
 * `push` and `broadcast`: who gets what, and what the server is told of it.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Client, json, LimitError, serve, type Server, text } from "@vgo/vnet";
import { connect } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { ADDRESS, connectText, openPair, serveText, type Text, until } from "../client/_support.ts";

/** A server with clients "0", "1" …, and what each of them has got. */
async function crowd(
  sim: Simulation,
  count: number,
  maxQueuedBytes = 1_000,
): Promise<{ server: Server<Text>; clients: Client<Text>[]; got: string[][] }> {
  const server = await serveText(sim, { limits: { maxQueuedBytes } });
  const got: string[][] = [];
  const clients: Client<Text>[] = [];
  for (let n = 0; n < count; n++) {
    const mine: string[] = [];
    got.push(mine);
    clients.push(
      await connectText(sim, {
        id: `${n}`,
        onMessage: ({ body, topic }) => mine.push(topic === "" ? body : `${topic}: ${body}`),
      }),
    );
  }
  return { server, clients, got };
}

Deno.test("Server.push() sends to the client with that id, and tells that there is none", async () => {
  await using sim = new Simulation();
  const { server, got } = await crowd(sim, 2);
  assertEquals(await server.push("1", "for you", { topic: "t" }), true);
  assertEquals(await server.push("7", "for nobody"), false);
  await sim.advance(0);
  assertEquals(got, [[], ["t: for you"]]);
});

Deno.test("Server.push() sends to all who have that id, where several may", async () => {
  await using sim = new Simulation();
  const got: string[] = [];
  const { server } = await openPair(sim, { serve: { duplicateId: "allow" } });
  for (let n = 0; n < 2; n++) {
    await connectText(sim, { id: "bob", onMessage: ({ body }) => got.push(body) });
  }
  assertEquals(await server.push("bob", "both of you"), true);
  await sim.advance(0);
  assertEquals(got, ["both of you", "both of you"]);
});

Deno.test("Server.push() says false for a client that is just leaving", async () => {
  await using sim = new Simulation();
  const { server, clients } = await crowd(sim, 1);
  const peer = server.peers.get("0");
  assert(peer !== undefined && clients.length === 1);
  sim.link(peer).blackhole();
  peer.send("x".repeat(600_000));
  await sim.advance(0);
  peer.close({ grace: 1_000 });
  assertEquals([peer.state, await server.push("0", "too late")], ["draining", false]);
});

Deno.test("Server.push() waits for room, and rejects where there is none", async () => {
  await using sim = new Simulation();
  const { server, clients, got } = await crowd(sim, 2);
  const [client] = clients;
  assert(client !== undefined);
  sim.link(client).blackhole();
  const big = server.push("0", "x".repeat(600_000));
  await sim.advance(0);
  const error = await assertRejects(() => server.push("0", "x"), LimitError);
  assertEquals(error.code, "QUEUE_FULL");
  assertEquals(await server.push("1", "fine"), true);
  sim.link(client).heal();
  assertEquals(await sim.run(big), true);
  await sim.advance(0);
  assertEquals(got.map(({ length }) => length), [1, 1]);
});

Deno.test("Server.broadcast() reaches every client once, and counts them", async () => {
  await using sim = new Simulation();
  const { server, got } = await crowd(sim, 10);
  assertEquals(await server.broadcast("news"), {
    sent: 10,
    queued: 0,
    skipped: 0,
    acked: [],
    missing: [],
  });
  await server.broadcast("more", { topic: "t" });
  await sim.advance(0);
  assertEquals(got, Array(10).fill(["news", "t: more"]));
});

Deno.test("Server.broadcast() to nobody is no error", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim);
  assertEquals(await server.broadcast("anybody?"), {
    sent: 0,
    queued: 0,
    skipped: 0,
    acked: [],
    missing: [],
  });
});

Deno.test("Server.broadcast() leaves out whom it is told to: one, several, or a stranger", async () => {
  await using sim = new Simulation();
  const { server, got } = await crowd(sim, 4);
  const [zero, one, two] = ["0", "1", "2"].map((id) => server.peers.get(id));
  assert(zero !== undefined && one !== undefined && two !== undefined);
  const counts = [
    await server.broadcast("not 0", { except: zero }),
    await server.broadcast("not 1 or 2", { except: [one, two] }),
    await server.broadcast("not 1", { except: new Set([one]) }),
  ];
  assertEquals(counts.map(({ sent }) => sent), [3, 2, 3]);
  await sim.advance(0);
  assertEquals(got.map((mine) => mine.join()), [
    "not 1 or 2,not 1",
    "not 0",
    "not 0,not 1",
    "not 0,not 1 or 2,not 1",
  ]);
  zero.abort();
  assertEquals((await server.broadcast("to all others", { except: zero })).sent, 3);
});

Deno.test("Server.broadcast() waits for nobody: it counts who is behind, and who was skipped", async () => {
  await using sim = new Simulation();
  // The slow ones hold more than the high-water mark, one of them all that may wait.
  const { server, clients, got } = await crowd(sim, 5, 601_000);
  const [full, behind] = clients;
  assert(full !== undefined && behind !== undefined);
  for (const client of [full, behind]) sim.link(client).blackhole();
  server.push("0", "x".repeat(600_000));
  server.push("1", "x".repeat(500_000));
  await sim.advance(10);
  const before = sim.clock.now();
  const result = await server.broadcast("x".repeat(1_000));
  assertEquals([result, sim.clock.now()], [{
    sent: 3,
    queued: 1,
    skipped: 1,
    acked: [],
    missing: [],
  }, before]);
  for (const client of [full, behind]) sim.link(client).heal();
  await until(sim, () => server.stats().queued.frames === 0);
  assertEquals(got.map(({ length }) => length), [1, 2, 1, 1, 1]);
  assertEquals(server.peers.get("0")?.stats.dropped, 1);
});

Deno.test("Server.broadcast() encodes its body once, and refuses what is none", async () => {
  await using sim = new Simulation();
  let encoded = 0;
  const serializer = json<number>();
  const server = await serve(ADDRESS, {
    runtime: sim,
    serializer: {
      ...serializer,
      serialize: (value: number) => {
        encoded++;
        if (value < 0) throw new RangeError("Cannot count below zero");
        return serializer.serialize(value);
      },
    },
  });
  for (let n = 0; n < 3; n++) await sim.run(connect(ADDRESS, { runtime: sim, serializer }));
  await server.broadcast(1);
  assertEquals(encoded, 1);
  await assertRejects(() => server.broadcast(-1), RangeError);
  await assertRejects(() => server.broadcast(1, { topic: "x".repeat(256) }), RangeError);
  await assertRejects(() => server.push("x", -1), RangeError);
});

Deno.test("Server.broadcast() from onConnect reaches those who are there, the newest included", async () => {
  await using sim = new Simulation();
  const got: string[] = [];
  await serveText(sim, { onConnect: ({ server, id }) => server.broadcast(`${id} is here`) });
  for (const id of ["a", "b"]) {
    await sim.run(connect<Text>(ADDRESS, {
      runtime: sim,
      serializer: text(),
      id,
      onMessage: ({ body }) => got.push(`${id} hears: ${body}`),
    }));
  }
  await sim.advance(0);
  assertEquals(got.sort(), ["a hears: a is here", "a hears: b is here", "b hears: b is here"]);
});
