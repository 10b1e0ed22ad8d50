/**
 * The drain of a server: what goes over the wire, what is still taken and what is not, and when and how
 * its clients come back.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Client,
  type ClientEvent,
  connect,
  type ConnectOptions,
  json,
  serve,
  type Server,
  text,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { encodeRequest } from "../../src/wire/call.ts";
import { FrameType } from "../../src/wire/constants.ts";
import * as control from "../../src/wire/control.ts";
import { fate, type Json, makeWorld, rpcError } from "../calls/_support.ts";
import {
  ADDRESS,
  atOnce,
  inSlots,
  openPair,
  serveText,
  type Text,
  until,
} from "../client/_support.ts";
import type { WireClient } from "../_support/wire_client.ts";
import { World } from "../_support/world.ts";

const NOTHING = new Uint8Array(0);

/** A REQUEST with this id for a method, as the next tracked frame. */
function request(peer: WireClient, id: number, method: string): Promise<void> {
  return peer.send((out) => encodeRequest(out, id, ++peer.seq, 0, method, true, NOTHING));
}

/** The number of the last PING that came. */
function lastPing(peer: WireClient): number {
  const ping = peer.all(FrameType.PING).at(-1);
  assert(ping !== undefined, peer.summary());
  return control.decodePing(ping.body, 0, ping.body.length).opaque;
}

/** A world whose server has a method that is answered when the test says so, and one that is at once. */
async function wireWorld(): Promise<{ world: World; finish: () => void; called: string[] }> {
  const called: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const world = await World.start({
    methods: {
      slow: () => {
        called.push("slow");
        return promise;
      },
      quick: () => {
        called.push("quick");
      },
    },
  });
  return { world, finish: resolve, called };
}

Deno.test("Server.close() says GOAWAY and PING; until the PONG calls are taken, after it refused unrun", async () => {
  const { world, finish, called } = await wireWorld();
  await using _ = world;
  const { sim, server } = world;
  const peer = await world.open();
  await request(peer, 1, "slow");
  await sim.advance(0);
  const before = peer.frames.length;
  const closing = server.close({ reason: "Moving house", spread: 4_000 });
  await sim.advance(100);
  const said = peer.frames.slice(before).filter(({ type }) => type !== FrameType.ACK);
  assertEquals(said.map(({ type }) => type), [FrameType.GOAWAY, FrameType.PING]);
  const [goaway] = said;
  assert(goaway !== undefined);
  const { code, retryAfter, reason } = control.decodeGoaway(
    goaway.aux,
    goaway.body,
    0,
    goaway.body.length,
  );
  assertEquals([code, reason], ["DRAINING", "Moving house"]);
  assert(retryAfter >= 0 && retryAfter <= 2_000, `${retryAfter}`);
  // It cannot know yet: this is taken, and so is a message.
  await request(peer, 3, "quick");
  await peer.message(Uint8Array.of(7));
  await sim.advance(100);
  assertEquals([called, world.received.length], [["slow", "quick"], 1]);
  assertEquals(peer.all(FrameType.RESPONSE).map(({ id }) => id), [3]);
  await peer.send((out) => control.encodePong(out, lastPing(peer), 0));
  await request(peer, 5, "quick");
  await peer.message(Uint8Array.of(8));
  await sim.advance(100);
  assertEquals([called, world.received.length], [["slow", "quick"], 2]);
  const [error] = peer.all(FrameType.ERROR);
  assert(error !== undefined, peer.summary());
  // UNAVAILABLE, and the bit that says that it was not executed.
  assertEquals([error.id, error.aux, (error.body[0] ?? 0) & 1], [5, 0x010e, 1]);
  finish();
  await sim.run(peer.ended);
  assertEquals(peer.all(FrameType.RESPONSE).map(({ id }) => id), [3, 1]);
  assertEquals(peer.farewells(), ["CLOSE DRAINING"]);
  peer.close();
  // The refused call is none of those that had to finish.
  const { finished, cut } = await sim.run(closing);
  assertEquals([finished, cut], [2, 0]);
});

Deno.test("Server.close() takes no PONG for an answer that belongs to an earlier PING", async () => {
  const { world } = await wireWorld();
  await using _ = world;
  const { sim, server } = world;
  const peer = await world.open();
  server.peers.get(only(server, "witness"))?.ping().catch(() => {});
  await sim.advance(10);
  const earlier = lastPing(peer);
  const closing = server.close({ spread: 0 });
  await sim.advance(10);
  assertEquals(lastPing(peer), earlier + 1);
  await peer.send((out) => control.encodePong(out, earlier, 0));
  await sim.advance(500);
  assertEquals(peer.farewells(), []);
  await peer.send((out) => control.encodePong(out, earlier + 1, 0));
  await sim.run(peer.ended);
  assertEquals(peer.farewells(), ["CLOSE DRAINING"]);
  peer.close();
  await sim.run(closing);
});

for (const [grace, expected] of [[10_000, 1_000], [300, 300], [0, 0]] as const) {
  Deno.test(`Server.close() waits ${expected} ms for a client that says nothing, of ${grace} ms grace`, async () => {
    const { world } = await wireWorld();
    await using _ = world;
    const { sim, server } = world;
    const peer = await world.open();
    const before = sim.clock.now();
    const closing = server.close({ grace });
    await sim.run(peer.ended);
    assertEquals([sim.clock.now() - before, peer.farewells()], [expected, ["CLOSE DRAINING"]]);
    peer.close();
    await sim.run(closing);
  });
}

Deno.test("Server.close() is told of by events, on both ends, with GOAWAY before CLOSE", async () => {
  await using sim = new Simulation({ faults: { delay: 10 } });
  const events: string[] = [];
  const { client, server } = await openPair(sim, {
    serve: {
      onEvent: (event) => {
        if (event.type === "drain") events.push(`server drain ${event.initiator}`);
        if (event.type === "close") events.push("server close");
      },
    },
    connect: {
      reconnect: { delay: 100 },
      onEvent: (event) => {
        if (event.type === "drain") events.push(`client drain ${event.initiator} ${client.state}`);
        if (event.type === "disconnect") events.push(`client disconnect ${event.info.code}`);
      },
    },
  });
  await sim.run(server.close({ spread: 0 }));
  assertEquals(events, [
    "server drain local",
    "client drain remote open",
    "client disconnect DRAINING",
    "server close",
  ]);
});

Deno.test("Client that was told of the drain holds new calls for the next link, and none runs twice", async () => {
  await using sim = new Simulation({ faults: { delay: 20 } });
  const ran: string[] = [];
  const options = (name: string) => ({
    runtime: sim,
    serializer: json(),
    methods: {
      work: async (input: unknown) => {
        ran.push(`${name} ${input}`);
        await sim.sleep(1_000);
        return name;
      },
    },
  });
  const first = await serve<Json>(ADDRESS, options("first"));
  const client = await sim.run(
    connect<Json>(ADDRESS, { runtime: sim, serializer: json(), onEvent: () => {} }),
  );
  const calls = [client.call("work", "before")];
  await sim.advance(100);
  const closing = first.close({ spread: 100 });
  // The GOAWAY is on its way.
  calls.push(client.call("work", "crossing"));
  await sim.advance(50);
  calls.push(client.call("work", "after"));
  await sim.advance(100);
  assertEquals(ran, ["first before", "first crossing"]);
  const { finished, cut } = await sim.run(closing);
  const second = await serve<Json>(ADDRESS, options("second"));
  assertEquals(await sim.run(Promise.all(calls)), ["first", "first", "second"]);
  assertEquals(ran, ["first before", "first crossing", "second after"]);
  assertEquals([finished, cut, second.peers.size], [2, 0, 1]);
});

Deno.test("Client with offline reject refuses calls from the GOAWAY on, as not executed", async () => {
  await using world = await makeWorld({
    server: { methods: { slow: () => world.sim.sleep(1_000) } },
    client: { queue: { offline: "reject" } },
  });
  const { client, server, sim } = world;
  const slow = client.call("slow");
  await sim.advance(10);
  const closing = server.close();
  await sim.advance(10);
  assertEquals(client.state, "open");
  const error = await rpcError(atOnce(sim, client.call("slow")));
  assertEquals([error.code, error.executed, error.message], [
    "UNAVAILABLE",
    "no",
    "The other end is going away",
  ]);
  assertEquals(await sim.run(fate(slow)), "OK");
  await sim.run(closing);
  assertEquals(server.stats().callsIn, 1);
});

Deno.test("Client goes on sending messages during a drain, and they are taken", async () => {
  await using sim = new Simulation({ faults: { delay: 5 } });
  const got: string[] = [];
  const { client, server, peer } = await openPair(sim, {
    serve: {
      onMessage: ({ body }) => void got.push(body),
      methods: { slow: () => sim.sleep(500).then(() => "") },
    },
    connect: { reconnect: { delay: 100 }, onMessage: ({ body }) => void got.push(body) },
  });
  const slow = client.call("slow");
  await sim.advance(20);
  const closing = server.close();
  await sim.advance(20);
  await sim.run(client.send("up", { ack: true }));
  await sim.run(slow);
  await sim.run(closing);
  // The server itself has nothing more to say.
  assertEquals([got, peer.state], [["up"], "closed"]);
});

Deno.test("Peer.close() says by its CLOSE which calls it did not take: those were not executed", async () => {
  let ran = 0;
  await using world = await makeWorld({
    faults: { delay: 20 },
    server: {
      methods: {
        slow: async () => {
          ran++;
          await world.sim.sleep(60_000);
        },
      },
    },
    client: { reconnect: false },
  });
  const { client, peer, sim } = world;
  const taken = fate(client.call("slow"));
  await sim.advance(50);
  const closing = peer.close({ grace: 10 });
  await sim.advance(5);
  // Written before the CLOSE comes, and too late.
  const late = fate(client.call("slow"));
  assertEquals(await sim.run(Promise.all([taken, late])), ["UNAVAILABLE maybe", "UNAVAILABLE no"]);
  assertEquals(ran, 1);
  await sim.run(closing);
});

Deno.test("Server.close() ends a peer that drains already with a longer grace, within its own", async () => {
  await using world = await makeWorld({
    server: { methods: { hang: () => new Promise(() => {}) } },
    client: { reconnect: false },
  });
  const { client, peer, server, sim } = world;
  const call = fate(client.call("hang"));
  await sim.advance(10);
  const closing = peer.close({ grace: 60_000 });
  await sim.advance(10);
  const before = sim.clock.now();
  const { cut } = await sim.run(server.close({ grace: 2_000 }));
  assertEquals([cut, sim.clock.now() - before], [1, 2_000]);
  assertEquals([(await closing).cut, await call], [1, "UNAVAILABLE maybe"]);
});

Deno.test("Server.close() does not give a peer that drains already more time than it has", async () => {
  await using world = await makeWorld({
    server: { methods: { hang: () => new Promise(() => {}) } },
    client: { reconnect: false },
  });
  const { client, peer, server, sim } = world;
  client.call("hang").catch(() => {});
  await sim.advance(10);
  peer.close({ grace: 500 });
  const before = sim.clock.now();
  await sim.run(server.close({ grace: 60_000 }));
  assertEquals(sim.clock.now() - before, 500);
});

Deno.test("Server.close() refuses a spread that is none, and goes on", async () => {
  await using sim = new Simulation();
  const { server, client } = await openPair(sim);
  for (const spread of [-1, NaN, Infinity, 2 ** 32]) {
    assertThrows(() => server.close({ spread }), RangeError, "'spread' must be");
  }
  assertEquals([server.peers.size, client.state], [1, "open"]);
  await sim.run(server.close({ spread: 2 ** 32 - 1 }));
});

Deno.test("Client comes back within the spread that the server asks for, not before", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    await using sim = new Simulation({ seed });
    const waits: number[] = [];
    const { server, client } = await openPair(sim, {
      connect: { onEvent: (event) => event.type === "wait" && waits.push(event.delay) },
    });
    const closing = server.close({ spread: 60_000 });
    await sim.run(closing);
    await serveText(sim);
    await until(sim, () => client.state === "open", 61_000);
    const [wait, ...more] = waits;
    assert(wait !== undefined && wait <= 60_000 && more.length === 0, `${waits} with seed ${seed}`);
  }
});

Deno.test("Server.close() C5 brings 1,000 clients back spread out, each once", async () => {
  const spread = 5_000;
  await using sim = new Simulation({ seed: 2, faults: { delay: 1 } });
  const old = await serveText(sim);
  const dials: number[] = [];
  const options = {
    runtime: sim,
    serializer: text(),
    onEvent: (event: ClientEvent) => event.type === "dial" && dials.push(sim.clock.now()),
  };
  const clients = Array.from({ length: 1_000 }, () => new Client<Text>(ADDRESS, options));
  await until(sim, () => old.peers.size === 1_000);
  dials.length = 0;
  const closing = old.close({ spread });
  await sim.run(closing);
  const since = sim.clock.now();
  const young = await serveText(sim);
  await until(sim, () => clients.every(({ state }) => state === "open"), spread + 1_000);
  const peak = Math.max(...inSlots(dials, since, 100));
  assert(peak <= 200, `${peak} dials in 100 ms`);
  // All of the spread is used, and nothing but the spread.
  const last = Math.max(...dials) - since;
  assert(last > spread * 0.8 && last <= spread, `The last one came after ${last} ms`);
  assertEquals([dials.length, young.peers.size], [1_000, 1_000]);
});

Deno.test("Server.close() of a rolling restart: a client whose calls never stop sees none of it", async () => {
  await using sim = new Simulation({ seed: 3, faults: { delay: 2, jitter: 3 } });
  const ran = new Map<unknown, number>();
  const start = () =>
    serve<Json>(ADDRESS, {
      runtime: sim,
      serializer: json(),
      methods: {
        work: async (n) => {
          ran.set(n, (ran.get(n) ?? 0) + 1);
          await sim.sleep(5 + sim.random() * 40);
          return n;
        },
      },
    });
  const clients: Client<Json>[] = [];
  let server = await start();
  for (let n = 0; n < 4; n++) {
    const options: ConnectOptions<Json> = { runtime: sim, serializer: json() };
    clients.push(await sim.run(connect<Json>(ADDRESS, options)));
  }
  const calls: Promise<unknown>[] = [];
  for (let restart = 0; restart < 10; restart++) {
    for (let n = 0; n < 30; n++) {
      for (const client of clients) calls.push(client.call("work", calls.length));
      await sim.advance(sim.random() * 10);
    }
    const { cut } = await sim.run(server.close({ spread: 100 }));
    assertEquals(cut, 0);
    server = await start();
  }
  const answers = await sim.run(Promise.all(calls));
  assertEquals(answers, answers.map((_, n) => n));
  assertEquals([ran.size, new Set(ran.values())], [calls.length, new Set([1])]);
});

/** The id of the one client that is not this one. */
function only(server: Server, other: string): string {
  const [id, ...more] = Array.from(server.peers, ({ id }) => id).filter((id) => id !== other);
  assert(id !== undefined && more.length === 0);
  return id;
}
