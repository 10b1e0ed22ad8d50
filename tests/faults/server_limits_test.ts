/**
 * The group Server limits of the fault catalogue, rows L1 to L3: frames that never become whole, floods of
 * connections, and accepting that fails. (L4 has a file of its own; L5 belongs to resuming.)
 */
import { assert, assertEquals } from "@std/assert";
import {
  Addr,
  type Client,
  connect,
  ConnectError,
  type ServeOptions,
  type Server,
  type ServerEvent,
  type ServerPeer,
  text,
  type Transport,
  type TransportListener,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { encodeMessage } from "../../src/wire/message.ts";
import { tally } from "../calls/_support.ts";
import { ADDRESS, connectText, serveText, type Text, until } from "../client/_support.ts";
import { encoded, rawFrame, type WireClient } from "../_support/wire_client.ts";
import { World } from "../_support/world.ts";

const FRAME_TIMEOUT = 30_000;
/** A message of which only parts are sent. */
const WHOLE = encoded((out) => encodeMessage(out, 1, "topic", new Uint8Array(10_000)));

/** Events of one type. */
function ofType<T extends ServerEvent<ServerPeer<Text>>["type"]>(
  events: readonly ServerEvent<ServerPeer<Text>>[],
  type: T,
): Extract<ServerEvent<ServerPeer<Text>>, { type: T }>[] {
  return events.filter((event): event is Extract<ServerEvent<ServerPeer<Text>>, { type: T }> =>
    event.type === type
  );
}

Deno.test("L1 serve() ends 300 connections whose frames never become whole, after 30 s", async () => {
  // Quick heartbeats make no difference: every byte that drips is a sign of life.
  const heartbeat = { interval: 1_000, timeout: 500 };
  await using world = await World.start({ heartbeat });
  const { sim, server } = world;
  const peers: WireClient[] = [];
  for (let n = 0; n < 300; n++) peers.push(await world.open());
  const began = sim.clock.now();
  for (const [n, peer] of peers.entries()) {
    // A part of a header, a header, all but a byte.
    const length = [3, 16, 500, WHOLE.length - 1][n % 4] ?? 0;
    await peer.write(WHOLE.subarray(0, length - (n % 2)));
  }
  const dripping = peers.filter((_, n) => n % 4 === 2);
  for (let at = 500; at < 559; at++) {
    await sim.advance(FRAME_TIMEOUT / 60);
    for (const [n, peer] of peers.entries()) {
      if (n % 4 !== 2) continue;
      await peer.write(WHOLE.subarray(at, at + 1));
    }
  }
  // The others were silent for 1.5 s and more: their heartbeat was faster.
  assertEquals(server.peers.size, 1 + dripping.length);
  await sim.advance(FRAME_TIMEOUT - (sim.clock.now() - began));
  assertEquals(server.peers.size, 1);
  assertEquals(tally(world.ends()), {
    "disconnect BAD_FRAME": 75,
    "disconnect HEARTBEAT_TIMEOUT": 225,
  });
  for (const peer of dripping) assertEquals(peer.farewells(), ["CLOSE BAD_FRAME"]);
  for (const peer of peers) peer.close();
  await sim.advance(2_000);
  await world.undisturbed();
});

Deno.test("L1 serve() without a heartbeat ends all of them, and nobody whose frames are whole in time", async () => {
  await using world = await World.start();
  const { sim, server } = world;
  const peers: WireClient[] = [];
  for (let n = 0; n < 30; n++) peers.push(await world.open());
  const slow = await world.open({ clientId: "slow" });
  await Promise.all(peers.map((peer, n) => peer.write(WHOLE.subarray(0, 1 + n * 300))));
  // Each of its frames takes 29 s, and each has 30 s of its own.
  const frames = [1, 2].map((seq) =>
    encoded((out) => encodeMessage(out, seq, "", new Uint8Array(100)))
  );
  for (const frame of frames) {
    await slow.write(frame.subarray(0, 50));
    await sim.advance(29_000);
    await slow.write(frame.subarray(50));
    await sim.advance(0);
  }
  assertEquals([server.peers.size, world.received.length], [2, 2]);
  assertEquals(tally(world.ends()), { "disconnect BAD_FRAME": 30 });
  for (const peer of [...peers, slow]) peer.close();
  await sim.advance(0);
  await world.undisturbed();
});

/** A server, its events, and attempts to get in. */
async function makeGate(sim: Simulation, limits: ServeOptions["limits"]): Promise<{
  server: Server<Text>;
  events: ServerEvent<ServerPeer<Text>>[];
  knock(id?: string): Promise<Client<Text> | string>;
}> {
  const events: ServerEvent<ServerPeer<Text>>[] = [];
  const server = await serveText(sim, {
    limits: limits ?? {},
    methods: { echo: (text) => text },
    onEvent: (event) => events.push(event),
  });
  const knock = (id = "") =>
    connect<Text>(ADDRESS, {
      runtime: sim,
      serializer: text(),
      id,
      openTimeout: 0,
      reconnect: false,
    }).catch((error) => error instanceof ConnectError ? error.code : String(error));
  return { server, events, knock };
}

Deno.test("L2 serve() of 2,000 dials lets in 500, refuses the newest, and goes on", async () => {
  await using sim = new Simulation();
  const { server, events, knock } = await makeGate(sim, { maxConnections: 500 });
  const answers = await sim.run(Promise.all(Array.from({ length: 2_000 }, () => knock())));
  const inside = answers.filter((answer) => typeof answer !== "string");
  // Those who came first are in, and are served.
  assertEquals(inside.length, 500);
  assertEquals(inside, answers.slice(0, 500));
  // Of those who came at once some found nobody to tell them why.
  const { peers, peak, rejected, limits, unregistered } = server.stats();
  assertEquals([peers, peak, unregistered], [500, 500, 0]);
  assertEquals(rejected, { TOO_MANY_CONNECTIONS: 1_500 });
  assertEquals((limits.maxConnections ?? 0) + (limits.maxUnregistered ?? 0), 1_500);
  const told = ofType(events, "limit").map(({ limit, value }) => `${limit} ${value}`);
  assertEquals(told.length, Object.keys(limits).length, `${told}`);
  const [first, ...others] = inside;
  assert(first !== undefined);
  assertEquals(await sim.run(first.call("echo", "still served")), "still served");
  for (const client of others.slice(0, 10)) client.abort();
  await sim.advance(0);
  const again = await sim.run(Promise.all(Array.from({ length: 12 }, () => knock())));
  assertEquals(again.filter((answer) => typeof answer !== "string").length, 10);
  assertEquals(again.slice(10), ["TOO_MANY_CONNECTIONS", "TOO_MANY_CONNECTIONS"]);
});

Deno.test("L2 serve() asks who finds no room to come back, and who comes back gets in", async () => {
  await using sim = new Simulation({ seed: 3 });
  const { server, knock } = await makeGate(sim, { maxConnections: 1 });
  const first = await sim.run(knock("first"));
  assert(typeof first !== "string");
  const waits: number[] = [];
  const waiting = connectText(sim, {
    id: "second",
    openTimeout: 60_000,
    onEvent: (event) => event.type === "wait" && waits.push(event.delay),
  });
  await sim.advance(5_000);
  assert(waits.length >= 2 && waits.every((wait) => wait >= 1_000 && wait < 2_000), `${waits}`);
  first.abort();
  await until(sim, () => server.peers.has("second"), 3_000);
  assertEquals((await waiting).state, "open");
});

Deno.test("L2 serve() of 2,000 who say nothing holds 512, and lets in at once who says something", async () => {
  await using sim = new Simulation();
  const { server, events, knock } = await makeGate(sim, {});
  const inside = await sim.run(knock("inside"));
  assert(typeof inside !== "string");
  const silent: Transport[] = [];
  for (let n = 0; n < 2_000; n++) {
    sim.dial(Addr.parse(ADDRESS)).then((conn) => silent.push(conn));
  }
  await sim.advance(0);
  await sim.advance(0);
  const { unregistered, limits, rejected } = server.stats();
  assertEquals([silent.length, unregistered], [2_000, 512]);
  assertEquals([limits, rejected], [{ maxUnregistered: 1_488 }, { TOO_MANY_CONNECTIONS: 1_488 }]);
  assertEquals(ofType(events, "limit").map(({ limit, value }) => [limit, value]), [
    ["maxUnregistered", 512],
  ]);
  assertEquals(await sim.run(inside.call("echo", "served")), "served");
  const before = sim.clock.now();
  const patient = connectText(sim, { id: "patient", openTimeout: 20_000 });
  assertEquals((await patient).state, "open");
  // One of the silent has made way.
  assert(sim.clock.now() - before <= 100, `${sim.clock.now() - before}`);
  for (const conn of silent) conn.close();
  await sim.advance(10_000);
  const after = server.stats();
  assertEquals([after.unregistered, after.peers], [0, 2]);
  assertEquals(after.rejected.TOO_MANY_CONNECTIONS, 1_489);
});

Deno.test("L2 serve() of a flood from one host: others come in as before", async () => {
  await using sim = new Simulation();
  const hosts: string[] = [];
  const inner = await sim.listen(Addr.parse(ADDRESS));
  const listener: TransportListener = {
    addr: inner.addr,
    close: () => inner.close(),
    async *[Symbol.asyncIterator]() {
      for await (const conn of inner) {
        const remoteAddr = Addr.parse({ hostname: hosts.shift() ?? "10.9.9.9", port: 1 });
        assert("read" in conn);
        yield {
          remoteAddr,
          read: (buffer) => conn.read(buffer),
          write: (data) => conn.write(data),
          close: () => conn.close(),
        };
      }
    },
  };
  const server = await serveText(sim, { limits: { maxConnectionsPerHost: 5 } }, listener);
  const flood = Array.from({ length: 200 }, () => {
    hosts.push("10.0.0.1");
    return sim.dial(Addr.parse(ADDRESS));
  });
  await sim.advance(0);
  for (let n = 0; n < 5; n++) {
    hosts.push(`10.0.1.${n}`);
    assertEquals((await connectText(sim, { id: `good ${n}` })).state, "open");
  }
  assertEquals([server.peers.size, server.stats().limits], [5, { maxConnectionsPerHost: 195 }]);
  for (const conn of await Promise.all(flood)) conn.close();
});

/** A listener that fails to accept when it is told to. */
class Failing implements TransportListener {
  /** What the next tries to accept fail with. */
  readonly errors: Error[] = [];
  tries = 0;
  readonly #inner: AsyncIterator<Transport>;
  readonly #listener: TransportListener;
  #pending: Promise<IteratorResult<Transport>> | undefined;
  #failed = Promise.withResolvers<void>();

  constructor(listener: TransportListener) {
    this.#listener = listener;
    this.#inner = listener[Symbol.asyncIterator]();
  }

  get addr(): unknown {
    return this.#listener.addr;
  }

  /** Lets the accept that waits fail, and those after it. */
  fail(...errors: Error[]): void {
    this.errors.push(...errors);
    this.#failed.resolve();
  }

  [Symbol.asyncIterator](): AsyncIterator<Transport> {
    return { next: () => this.#next() };
  }

  close(): void {
    this.#listener.close();
  }

  async #next(): Promise<IteratorResult<Transport>> {
    this.tries++;
    this.#pending ??= this.#inner.next();
    await Promise.race([this.#pending, this.#failed.promise]);
    const error = this.errors.shift();
    if (error !== undefined) throw error;
    this.#failed = Promise.withResolvers<void>();
    const next = await this.#pending;
    this.#pending = undefined;
    return next;
  }
}

function emfile(): Error {
  return Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" });
}

function aborted(): Error {
  return new Deno.errors.ConnectionAborted("Software caused connection abort (os error 103)");
}

Deno.test("L3 serve() goes on after accepting has failed, with pauses from 10 ms to 1 s", async () => {
  await using sim = new Simulation();
  const listener = new Failing(await sim.listen(Addr.parse(ADDRESS)));
  const events: ServerEvent<ServerPeer<Text>>[] = [];
  const server = await serveText(sim, { onEvent: (event) => events.push(event) }, listener);
  const before = await connectText(sim, { id: "before" });
  events.length = 0;
  const errors = Array.from({ length: 10 }, emfile);
  const began = sim.clock.now();
  listener.fail(...errors);
  // Who comes meanwhile waits in the backlog, and is no worse off.
  const meanwhile = connectText(sim, { id: "meanwhile", handshakeTimeout: 60_000 });
  assertEquals((await meanwhile).state, "open");
  const failures = ofType(events, "accept-error");
  assertEquals(failures.map(({ delay }) => delay), [
    10,
    20,
    40,
    80,
    160,
    320,
    640,
    1_000,
    1_000,
    1_000,
  ]);
  assertEquals(failures.map(({ error }) => error), errors);
  assertEquals(sim.clock.now() - began, 4_270);
  assertEquals([before.state, server.peers.size], ["open", 2]);
  // One success, and the pauses begin anew.
  listener.fail(aborted());
  assertEquals((await connectText(sim, { id: "after" })).state, "open");
  assertEquals(ofType(events, "accept-error").at(-1)?.delay, 10);
});

Deno.test("L3 serve() spins on no listener, and one that fails disturbs no other", async () => {
  await using sim = new Simulation();
  const bad = new Failing(await sim.listen(Addr.parse("tcp://server:1")));
  bad.fail(...Array.from({ length: 1_000 }, emfile));
  const server = await serveText(sim, {}, [bad, ADDRESS]);
  for (let n = 0; n < 20; n++) {
    assertEquals((await connectText(sim, { id: `${n}` })).state, "open");
    await sim.advance(1_000);
  }
  assert(bad.tries <= 8 + 20, `${bad.tries} tries in 20 s`);
  assertEquals(server.peers.size, 20);
});

Deno.test("L3 Server.close() ends a pause after a failure at once, and leaves no timer", async () => {
  for (const how of ["close", "abort"] as const) {
    await using sim = new Simulation();
    const listener = new Failing(await sim.listen(Addr.parse(ADDRESS)));
    listener.fail(...Array.from({ length: 20 }, emfile));
    const server = await serveText(sim, {}, listener);
    await sim.advance(5_000);
    const { tries } = listener;
    server[how]();
    await sim.run(server.closed, { timeout: 0 });
    assertEquals([sim.clock.pending, listener.tries], [0, tries]);
  }
});

Deno.test("L3 serve() takes a connection that is gone before it is looked at", async () => {
  await using sim = new Simulation();
  const { server, events } = await makeGate(sim, {});
  for (let n = 0; n < 50; n++) {
    const conn = await sim.dial(Addr.parse(ADDRESS));
    if (n % 2 === 0) await conn.write(rawFrame({ type: 1 }).subarray(0, n % 8));
    conn.close();
  }
  await sim.advance(0);
  assertEquals(ofType(events, "accept-error"), []);
  assertEquals([server.stats().unregistered, sim.links.length], [0, 0]);
  assertEquals((await connectText(sim)).state, "open");
});
