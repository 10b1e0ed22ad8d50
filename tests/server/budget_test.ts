/**
 * What all queues of a server may hold together (`maxQueuedBytesTotal`): it is shared, and whatever
 * becomes of a peer its share comes back.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Client,
  type ConnectOptions,
  LimitError,
  type ServeOptions,
  type Server,
  type ServerEvent,
  type ServerPeer,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { connectText, serveText, type Text, until } from "../client/_support.ts";
import { Rng } from "../_support/rng.ts";

/** What a message counts beyond its body. */
const OVERHEAD = 64;
const TOTAL = 1_000_000;
/** More than the simulated network takes while nothing arrives. */
const BLOCK = 400_000;

interface World {
  readonly server: Server<Text>;
  readonly events: ServerEvent<ServerPeer<Text>>[];
  /** A client to which nothing gets through any more, with one message that waits. */
  stuck(id: string, bytes?: number): Promise<[Client<Text>, ServerPeer<Text>]>;
  /** How much may wait at present. */
  room(): Promise<number>;
}

/** A server whose peers may hold much each, and less together. */
async function makeWorld(sim: Simulation, options: ServeOptions<Text> = {}): Promise<World> {
  const events: ServerEvent<ServerPeer<Text>>[] = [];
  const server = await serveText(sim, {
    heartbeat: false,
    onEvent: (event) => events.push(event),
    limits: { maxQueuedBytes: TOTAL, maxQueuedBytesTotal: TOTAL },
    ...options,
  });
  const stuck = async (
    id: string,
    bytes = BLOCK,
    connect: ConnectOptions<Text> = {},
  ): Promise<[Client<Text>, ServerPeer<Text>]> => {
    const client = await connectText(sim, {
      id,
      reconnect: false,
      heartbeat: false,
      onMessage: () => {},
      ...connect,
    });
    const peer = server.peers.get(id);
    assert(peer !== undefined);
    sim.link(client).blackhole("down");
    if (bytes > 0) assertEquals(peer.trySend("x".repeat(bytes - OVERHEAD)), "sent");
    await sim.advance(0);
    return [client, peer];
  };
  let probes = 0;
  const room = async () => {
    // One that never takes what it is sent: what it is not given is what others hold.
    const [client, peer] = await stuck(`probe ${probes++}`, 0);
    let most = 0;
    for (const step of [100_000, 10_000, 1_000, OVERHEAD]) {
      while (peer.trySend("x".repeat(step - OVERHEAD)) !== "full") most += step;
    }
    client.abort();
    peer.abort();
    await sim.advance(0);
    return most;
  };
  return { server, events, stuck, room };
}

Deno.test("maxQueuedBytesTotal bounds all peers together; who holds nothing is refused as well", async () => {
  await using sim = new Simulation();
  const { server, events, stuck } = await makeWorld(sim);
  const [, ann] = await stuck("ann");
  await stuck("bob");
  const [, cat] = await stuck("cat", 0);
  const error = await assertRejects(() => cat.send("x".repeat(200_000)), LimitError);
  assertEquals([error.code, error.limit, error.initiator], [
    "QUEUE_FULL",
    "maxQueuedBytesTotal",
    "local",
  ]);
  assert(error.message.includes("all peers together"), error.message);
  assertEquals(cat.trySend("x".repeat(200_000 - OVERHEAD)), "sent");
  assertEquals(ann.trySend(""), "full");
  assertEquals(events.filter(({ type }) => type === "limit"), [
    {
      type: "limit",
      limit: "maxQueuedBytesTotal",
      value: TOTAL,
      remoteAddr: cat.remoteAddr,
      peer: cat,
    },
    {
      type: "limit",
      limit: "maxQueuedBytesTotal",
      value: TOTAL,
      remoteAddr: ann.remoteAddr,
      peer: ann,
    },
  ]);
  assertEquals(server.stats().limits, { maxQueuedBytesTotal: 2 });
  assertEquals(server.stats().queued.frames, 3);
});

Deno.test("maxQueuedBytesTotal: policies drop of a peer's own messages only", async () => {
  await using sim = new Simulation();
  const { stuck, events } = await makeWorld(sim);
  await stuck("ann", 900_000);
  const [, bob] = await stuck("bob", 0);
  for (const topic of ["1", "2", "3"]) {
    const body = "x".repeat(40_000 - OVERHEAD);
    assert(bob.trySend(body, { topic, overflow: "drop-oldest" }) !== "full", topic);
  }
  await Promise.resolve();
  assertEquals([bob.queued.frames, bob.stats.dropped], [2, 1]);
  // Were all its own gone there would still be no room: none of them goes.
  assertEquals(bob.trySend("x".repeat(200_000), { overflow: "drop-oldest" }), "full");
  assertEquals([bob.queued.frames, bob.stats.dropped], [2, 2]);
  await sim.advance(0);
  assertEquals(
    events.flatMap((event) => event.type === "drop" ? [`${event.peer.id} ${event.frames}`] : []),
    ["bob 1", "bob 1"],
  );
});

/** The ways in which what a peer holds comes to its end. */
const ENDINGS: Record<
  string,
  (sim: Simulation, client: Client<Text>, peer: ServerPeer<Text>) => unknown
> = {
  "it is delivered": (sim, client) => sim.link(client).heal(),
  "the peer is closed": (_, __, peer) => peer.close({ grace: 500 }),
  "the peer is aborted": (_, __, peer) => peer.abort(),
  "the client leaves": (_, client) => client.close({ grace: 100 }),
  "the client is aborted": (_, client) => client.abort(),
  "the link breaks": (sim, client) => sim.link(client).cut(),
  "the link breaks in the midst of it": (sim, client) =>
    sim.link(client).degrade({ cutAfter: 50_000 }),
  "the write stalls": () => {},
  "a policy ends the peer": (_, __, peer) =>
    peer.trySend("x".repeat(TOTAL), { overflow: "disconnect" }),
};

for (const [name, end] of Object.entries(ENDINGS)) {
  Deno.test(`maxQueuedBytesTotal is given back when ${name}`, async () => {
    await using sim = new Simulation();
    const { server, stuck, room } = await makeWorld(sim);
    const all = await room();
    assert(all > TOTAL - 2 * OVERHEAD, `${all}`);
    const [client, peer] = await stuck("ann");
    // Of each kind: acknowledged, with a key, droppable.
    for (let n = 0; n < 10; n++) {
      peer.send("x".repeat(1_000), { ack: true, timeout: 100 });
      peer.send("x".repeat(1_000 * n), { key: "k" });
      peer.send("x".repeat(1_000), { overflow: "drop-oldest" });
    }
    const held = server.stats().queued.bytes;
    assert(held > BLOCK && held < TOTAL, `${held}`);
    assert(await room() < TOTAL - BLOCK);
    end(sim, client, peer);
    // The write timeout is 15 s.
    await sim.advance(20_000);
    assertEquals(server.stats().queued, { bytes: 0, frames: 0 });
    assertEquals(await room(), all);
  });
}

Deno.test("maxQueuedBytesTotal comes out even after 1,500 random sends and endings", async () => {
  for (const seed of [1, 2]) {
    await using sim = new Simulation({ seed, faults: { delay: 1 } });
    const rng = new Rng(seed);
    const { server, room } = await makeWorld(sim, {
      limits: { maxQueuedBytes: 300_000, maxQueuedBytesTotal: 300_000 },
    });
    const all = await room();
    const clients: Client<Text>[] = [];
    for (let n = 0; n < 5; n++) {
      clients.push(
        await connectText(sim, {
          id: `${n}`,
          reconnect: { delay: 20 },
          onMessage: () => {},
          heartbeat: { interval: 100, timeout: 200 },
        }),
      );
    }
    for (let step = 0; step < 1_500; step++) {
      const peers = [...server.peers];
      const peer = peers.length === 0 ? undefined : rng.pick(peers);
      const client = rng.pick(clients);
      const body = "x".repeat(rng.int(30_000));
      const overflow = rng.pick(["wait", "drop-oldest", "drop-newest", "disconnect"] as const);
      const key = rng.int(3) === 0 ? { key: `${rng.int(4)}` } : {};
      const ack = rng.int(4) === 0;
      if (rng.int(3) === 0) {
        server.broadcast(body, { ...key, ack, timeout: 50, overflow: "drop-newest" });
      } else peer?.send(body, { ...key, ack, timeout: 50, overflow });
      if (client.state === "open" && rng.int(20) === 0) {
        const link = sim.link(client);
        switch (rng.int(5)) {
          case 0:
            link.cut();
            break;
          case 1:
            link.blackhole(rng.pick(["up", "down", "both"]));
            break;
          case 2:
            link.degrade({ delay: 1, bytesPerSecond: 50_000 });
            break;
          case 3:
            peer?.close({ grace: 10 });
            break;
          case 4:
            link.heal();
        }
      }
      if (rng.int(4) === 0) await sim.advance(rng.int(10));
      const { queued } = server.stats();
      // What is being written has left the queue: a batch of each, and a message.
      assert(queued.bytes <= 300_000 + 5 * 100_000, `step ${step} of seed ${seed}`);
    }
    for (const client of clients) client.abort();
    for (const link of sim.links) link.heal();
    await until(sim, () => server.peers.size === 0);
    assertEquals(server.stats().queued, { bytes: 0, frames: 0 });
    assert(server.stats().limits.maxQueuedBytesTotal !== undefined, `seed ${seed}`);
    assertEquals(await room(), all, `seed ${seed}`);
  }
});
