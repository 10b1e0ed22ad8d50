/**
 * `broadcast` to groups, with a key, with acknowledgements; and what becomes of it when peers are slow,
 * leave, or are many of one id.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type BroadcastResult,
  type Client,
  connect,
  json,
  LimitError,
  serve,
  type Server,
  type ServerPeer,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import {
  ADDRESS,
  atOnce,
  connectText,
  openPair,
  serveText,
  type Text,
  until,
} from "../client/_support.ts";

/** Twice what the simulated network takes while nothing arrives. */
const FULL = "x".repeat(600_000);

interface Crowd {
  readonly server: Server<Text>;
  readonly clients: Client<Text>[];
  readonly peers: ServerPeer<Text>[];
  /** What each of them has got, but for the longest. */
  readonly got: string[][];
}

/** A server with clients "0", "1" …, in groups by their number: "even" or "odd", and "all". */
async function crowd(
  sim: Simulation,
  count: number,
  limits: { maxQueuedBytes?: number } = { maxQueuedBytes: 700_000 },
): Promise<Crowd> {
  const server = await serveText(sim, { limits, heartbeat: false });
  const got: string[][] = [];
  const clients: Client<Text>[] = [];
  for (let n = 0; n < count; n++) {
    const mine: string[] = [];
    got.push(mine);
    const onMessage = ({ body }: { body: string }) => body.length < 1_000 && mine.push(body);
    clients.push(
      await connectText(sim, { id: `${n}`, onMessage, reconnect: false, heartbeat: false }),
    );
  }
  const peers = [...server.peers];
  for (const [n, peer] of peers.entries()) {
    peer.join(n % 2 === 0 ? "even" : "odd");
    peer.join("all");
  }
  return { server, clients, peers, got };
}

/** Fills the way to a client, so that what is sent to it waits. */
async function stick(sim: Simulation, peer: ServerPeer<Text> | undefined): Promise<void> {
  assert(peer !== undefined);
  sim.link(peer).blackhole();
  peer.send(FULL);
  await sim.advance(0);
}

/** A result as counts and ids. */
function summary(
  { sent, queued, skipped, acked, missing }: BroadcastResult<ServerPeer<Text>>,
): string {
  const ids = (peers: readonly ServerPeer<Text>[]) => peers.map(({ id }) => id).sort().join();
  return `${sent} sent, ${queued} queued, ${skipped} skipped, acked ${ids(acked)}, missing ${
    ids(missing)
  }`;
}

Deno.test("Server.broadcast() goes to one group, to several without doubles, to none", async () => {
  await using sim = new Simulation();
  const { server, got, peers } = await crowd(sim, 4);
  const counts: number[] = [];
  for (
    const group of ["even", ["odd"], ["even", "odd", "all", "even"], [], ["nobody"], "nobody"]
  ) {
    counts.push((await server.broadcast(`to ${group}`, { group })).sent);
  }
  assertEquals(counts, [2, 2, 4, 0, 0, 0]);
  const [zero, one] = peers;
  assert(zero !== undefined && one !== undefined);
  const except = await server.broadcast("except", { group: ["even", "all"], except: [zero, one] });
  assertEquals(except.sent, 2);
  await sim.advance(0);
  assertEquals(got, [
    ["to even", "to even,odd,all,even"],
    ["to odd", "to even,odd,all,even"],
    ["to even", "to even,odd,all,even", "except"],
    ["to odd", "to even,odd,all,even", "except"],
  ]);
});

Deno.test("Server.broadcast() keeps its place among what else is sent in one turn, and in the next", async () => {
  await using sim = new Simulation();
  const { server, got, peers } = await crowd(sim, 2);
  const [zero] = peers;
  assert(zero !== undefined);
  const sent: string[] = [];
  const say = (text: string) => {
    sent.push(text);
    zero.send(text);
  };
  const tell = (text: string) => {
    sent.push(text);
    server.broadcast(text);
  };
  for (let turn = 0; turn < 4; turn++) {
    for (let n = 0; n < 6; n++) (n % 4 < turn ? say : tell)(`${turn}.${n}`);
    if (turn % 2 === 1) await sim.advance(0);
  }
  await sim.advance(0);
  assertEquals(got[0], sent);
  assertEquals(got[1]?.length, 6 + 4 + 2 + 1);
  assertEquals([zero.stats.messagesOut, zero.queued], [24, { bytes: 0, frames: 0 }]);
});

Deno.test("Server.broadcast() takes any iterable for except, and asks it once", async () => {
  await using sim = new Simulation();
  const { server, peers } = await crowd(sim, 4);
  let asked = 0;
  function* some() {
    asked++;
    yield* peers.slice(0, 3);
  }
  assertEquals((await server.broadcast("x", { except: some() })).sent, 1);
  assertEquals((await server.broadcast("x", { except: server.group("even") })).sent, 2);
  assertEquals((await server.broadcast("x", { except: server.peers })).sent, 0);
  assertEquals(asked, 1);
});

Deno.test("Server.broadcast() with a key: who is slow keeps the newest only", async () => {
  await using sim = new Simulation();
  const { server, peers, got } = await crowd(sim, 3);
  const [slow] = peers;
  await stick(sim, slow);
  for (let price = 0; price < 500; price++) {
    const { sent, queued, skipped } = await server.broadcast(`${price}`, { key: "VGO" });
    assertEquals([sent, queued, skipped], [2, 1, 0]);
    if (price % 100 === 0) await sim.advance(1);
  }
  assertEquals([slow?.queued.frames, slow?.stats.dropped], [2, 499]);
  assert(slow !== undefined);
  sim.link(slow).heal();
  await until(sim, () => slow.queued.frames === 0);
  await sim.advance(10);
  assertEquals(got[0], ["499"]);
  assertEquals([got[1]?.at(-1), got[2]?.at(-1)], ["499", "499"]);
});

Deno.test("Server.broadcast() drops the newest by default, and heeds another policy", async () => {
  await using sim = new Simulation();
  const { server, peers, got } = await crowd(sim, 2, { maxQueuedBytes: 600_500 });
  const [slow] = peers;
  await stick(sim, slow);
  const results: string[] = [];
  for (const body of ["1", "2", "3", "4", "5", "6", "7", "8"]) {
    results.push(summary(await server.broadcast(body, { overflow: "drop-oldest" })).slice(0, 26));
  }
  assertEquals(new Set(results), new Set(["1 sent, 1 queued, 0 skippe"]));
  assertEquals(
    summary(await server.broadcast("x".repeat(100))),
    "1 sent, 0 queued, 1 skipped, acked , missing ",
  );
  assert(slow !== undefined);
  sim.link(slow).heal();
  await until(sim, () => slow.queued.frames === 0);
  await sim.advance(10);
  assertEquals(got[0], ["3", "4", "5", "6", "7", "8"]);
});

Deno.test("Server.broadcast() drops the newest, whatever the server does with other messages", async () => {
  for (const overflow of ["wait", "drop-oldest", "disconnect"] as const) {
    await using sim = new Simulation();
    const { peer, server } = await openPair(sim, {
      serve: { queue: { overflow }, limits: { maxQueuedBytes: 600_064 }, heartbeat: false },
    });
    await stick(sim, peer);
    assertEquals((await server.broadcast("x")).skipped, 1);
    assertEquals([peer.state, peer.queued.frames, peer.stats.dropped], ["open", 1, 1]);
  }
});

Deno.test("Server.broadcast() with disconnect ends who is slow, and reaches the others", async () => {
  await using sim = new Simulation();
  const { server, peers, got } = await crowd(sim, 5, { maxQueuedBytes: 600_064 });
  for (const slow of [peers[1], peers[3]]) await stick(sim, slow);
  const result = await server.broadcast("news", { overflow: "disconnect", group: "all" });
  assertEquals(summary(result), "3 sent, 0 queued, 2 skipped, acked , missing ");
  await sim.advance(1_000);
  assertEquals([server.peers.size, got], [3, [["news"], [], ["news"], [], ["news"]]]);
});

Deno.test("Server.broadcast({ ack }) tells who has it, and who has not said so in time", async () => {
  await using sim = new Simulation({ faults: { delay: 5 } });
  const { server, peers } = await crowd(sim, 5);
  const before = sim.clock.now();
  const all = await sim.run(server.broadcast("everybody", { ack: true }));
  assertEquals(summary(all), "5 sent, 0 queued, 0 skipped, acked 0,1,2,3,4, missing ");
  assertEquals(sim.clock.now() - before, 10);
  const [zero, one] = peers;
  assert(zero !== undefined && one !== undefined);
  sim.link(zero).blackhole("down");
  sim.link(one).blackhole("up");
  const some = await sim.run(server.broadcast("some", { ack: true, timeout: 500 }));
  assertEquals(summary(some), "5 sent, 0 queued, 0 skipped, acked 2,3,4, missing 0,1");
  assertEquals(sim.clock.now() - before, 510);
  const few = await sim.run(
    server.broadcast("few", { ack: true, group: "odd", except: one, timeout: 500 }),
  );
  assertEquals(summary(few), "1 sent, 0 queued, 0 skipped, acked 3, missing ");
});

Deno.test("Server.broadcast({ ack }) counts as missing whom it could not reach, without waiting for them", async () => {
  await using sim = new Simulation({ faults: { delay: 5 } });
  const { server, peers } = await crowd(sim, 3, { maxQueuedBytes: 600_064 });
  const [full, leaving] = peers;
  assert(full !== undefined && leaving !== undefined);
  await stick(sim, full);
  await stick(sim, leaving);
  leaving.close({ grace: 5_000 });
  const before = sim.clock.now();
  const result = await sim.run(server.broadcast("x", { ack: true, timeout: 60_000 }));
  assertEquals(summary(result), "1 sent, 0 queued, 2 skipped, acked 2, missing 0,1");
  assertEquals(sim.clock.now() - before, 10);
  const nobody = await atOnce(sim, server.broadcast("x", { ack: true, group: "nobody" }));
  assertEquals(summary(nobody), "0 sent, 0 queued, 0 skipped, acked , missing ");
});

Deno.test("Server.broadcast({ ack }) does not wait for who leaves meanwhile, or finds it too large", async () => {
  await using sim = new Simulation({ faults: { delay: 5 } });
  const { server, peers, clients } = await crowd(sim, 4);
  for (const peer of peers) sim.link(peer).blackhole("up");
  const work = server.broadcast("x", { ack: true, timeout: 60_000 });
  await sim.advance(20);
  const [zero, one, two, three] = peers;
  assert(zero !== undefined && one !== undefined && two !== undefined && three !== undefined);
  zero.abort();
  sim.link(one).cut();
  two.close({ grace: 0 });
  sim.link(three).heal();
  await sim.advance(20);
  // Whoever is gone by now may have had it; nobody will ever say so.
  assertEquals(
    summary(await atOnce(sim, work)),
    "4 sent, 0 queued, 0 skipped, acked 3, missing 0,1,2",
  );
  for (const client of clients) client.abort();
  const small = await connectText(sim, { id: "small", limits: { maxMessageLength: 100 } });
  const result = await sim.run(
    server.broadcast("x".repeat(101), { ack: true, except: peers }),
  );
  assertEquals(summary(result), "1 sent, 0 queued, 0 skipped, acked , missing small");
  assertEquals(small.state, "open");
});

Deno.test("Server.broadcast({ ack }) of a newer one with its key counts the older as missing", async () => {
  await using sim = new Simulation();
  const { server, peers } = await crowd(sim, 1);
  const [slow] = peers;
  await stick(sim, slow);
  const older = server.broadcast("1", { ack: true, key: "k" });
  const newer = server.broadcast("2", { ack: true, key: "k" });
  assertEquals(
    summary(await atOnce(sim, older)),
    "0 sent, 1 queued, 0 skipped, acked , missing 0",
  );
  assert(slow !== undefined);
  sim.link(slow).heal();
  assertEquals(summary(await sim.run(newer)), "0 sent, 1 queued, 0 skipped, acked 0, missing ");
});

Deno.test("Server.broadcast() rejects with the signal's reason itself, before and while it waits", async () => {
  await using sim = new Simulation();
  const { server, peers, got } = await crowd(sim, 2);
  const early = server.broadcast("never", { signal: AbortSignal.abort("early") });
  assertEquals(await early.catch((error) => error), "early");
  for (const peer of peers) sim.link(peer).blackhole("up");
  const controller = new AbortController();
  const { signal } = controller;
  const late = server.broadcast("x", { ack: true, signal }).catch((error) => error);
  await sim.advance(10);
  controller.abort("late");
  assertEquals(await atOnce(sim, late), "late");
  assertEquals(got, [["x"], ["x"]]);
});

Deno.test("Server.broadcast() that nobody awaits ends nothing, whatever it rejects with", async () => {
  await using sim = new Simulation();
  const { server, peers } = await crowd(sim, 2);
  server.broadcast("x", { signal: AbortSignal.abort("early") });
  server.broadcast("x", { ack: true, timeout: 10 });
  server.push("0", FULL);
  for (const peer of peers) sim.link(peer).blackhole();
  for (let n = 0; n < 5; n++) server.push("0", FULL);
  server.push("0", "x", { ack: true, timeout: 10 });
  server.push("1", "x", { signal: AbortSignal.abort("early") });
  // The test fails if one of these is an unhandled rejection.
  await sim.advance(100);
  for (const peer of peers) peer.abort();
  await sim.advance(100);
});

Deno.test("Server.broadcast() rejects what is too large for every queue, before anybody gets it", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim, { limits: { maxMessageLength: 1_000 } });
  const got: string[] = [];
  for (const id of ["a", "b"]) {
    await connectText(sim, { id, onMessage: ({ body }) => got.push(body) });
  }
  const error = await assertRejects(() => server.broadcast("x".repeat(1_001)), LimitError);
  assertEquals([error.code, error.limit], ["TOO_LARGE", "maxMessageLength"]);
  await sim.advance(10);
  assertEquals(got, []);
});

Deno.test("Server.broadcast() reaches each once while peers come and go, some of them because of it", async () => {
  await using sim = new Simulation();
  let left = 0;
  const server = await serveText(sim, {
    limits: { maxQueuedBytes: 600_064 },
    onDisconnect: (_, { server }) => {
      // A broadcast in the midst of a broadcast.
      if (left++ < 3) server.broadcast("somebody left", { overflow: "disconnect" });
    },
  });
  const got = new Map<string, string[]>();
  for (let n = 0; n < 8; n++) {
    const mine: string[] = [];
    got.set(`${n}`, mine);
    await connectText(sim, {
      id: `${n}`,
      reconnect: false,
      onMessage: ({ body }) => body.length < 100 && mine.push(body),
    });
  }
  for (const id of ["1", "4", "6"]) await stick(sim, server.peers.get(id));
  const { sent, queued, skipped } = await server.broadcast("news", { overflow: "disconnect" });
  // The others had gone before it was their turn.
  assertEquals([sent + queued, skipped], [5, 1]);
  await sim.advance(1_100);
  for (const [id, mine] of got) {
    const gone = ["1", "4", "6"].includes(id);
    assertEquals(mine.filter((body) => body === "news").length, gone ? 0 : 1, id);
    assertEquals(mine.filter((body) => body !== "news").length, gone ? 0 : 3, id);
  }
});

Deno.test("Server.broadcast() serializes once, whoever and how many get it", async () => {
  await using sim = new Simulation();
  let encoded = 0;
  const serializer = json<number>();
  const server = await serve(ADDRESS, {
    runtime: sim,
    serializer: {
      ...serializer,
      serialize: (value: number) => {
        encoded++;
        return serializer.serialize(value);
      },
    },
    onConnect: (peer) => peer.join(peer.id < "5" ? "low" : "high"),
  });
  const got: number[] = [];
  for (let n = 0; n < 10; n++) {
    const onMessage = ({ body }: { body: number }) => got.push(body);
    await sim.run(connect(ADDRESS, { runtime: sim, serializer, id: `${n}`, onMessage }));
  }
  await server.broadcast(1, { group: ["low", "high"], key: "k" });
  await sim.run(server.broadcast(2, { ack: true }));
  await sim.run(server.push("3", 3, { ack: true }));
  assertEquals([encoded, got.length], [3, 21]);
});

Deno.test("Server.push() reaches all who share an id, in whatever state the first of them is", async () => {
  await using sim = new Simulation();
  const got: string[] = [];
  const { client, server } = await openPair(sim, {
    serve: { duplicateId: "allow", limits: { maxQueuedBytes: 600_064 }, heartbeat: false },
  });
  const other = await connectText(sim, { id: "ann", onMessage: ({ body }) => got.push(body) });
  const [first] = server.peers.getAll("ann");
  await stick(sim, first);
  assertEquals(await atOnce(sim, server.push("ann", "one is full")), true);
  await sim.advance(0);
  assertEquals(got, ["one is full"]);
  client.abort();
  assertEquals(await sim.run(server.push("ann", "one is leaving", { ack: true })), true);
  assertEquals([got.length, other.state], [2, "open"]);
});

Deno.test("Server.push({ ack }) resolves when the client has it", async () => {
  await using sim = new Simulation({ faults: { delay: 5 } });
  const { server, peers } = await crowd(sim, 1);
  const before = sim.clock.now();
  assertEquals(await sim.run(server.push("0", "x", { ack: true })), true);
  assertEquals(sim.clock.now() - before, 10);
  assertEquals(await atOnce(sim, server.push("nobody", "x", { ack: true })), false);
  const [peer] = peers;
  assert(peer !== undefined);
  sim.link(peer).blackhole("up");
  const work = server.push("0", "x", { ack: true });
  await sim.advance(10);
  sim.link(peer).cut();
  assertEquals(await sim.run(work), false);
});
