/**
 * `serve()`: its listeners, its registry, its events and its counts.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  Addr,
  type ByteTransport,
  connect,
  ConnectError,
  serve,
  type ServerEvent,
  type ServerPeer,
  text,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import {
  Acceptor,
  ADDRESS,
  collect,
  connectText,
  openPair,
  serveText,
  type Text,
  types,
} from "../client/_support.ts";

Deno.test("serve() on several addresses has one registry", async () => {
  await using sim = new Simulation();
  const listener = await sim.listen(Addr.parse("tcp://0.0.0.0:3"));
  const addresses = ["tcp://:1", new URL("tcp://server:2"), listener, { port: 4 }];
  const server = await serveText(sim, {}, addresses);
  assertEquals(server.addrs.map(({ port }) => port), [1, 2, 3, 4]);
  assertEquals(server.addr.port, 1);
  for (const { port } of server.addrs) {
    await sim.run(connect(`server:${port}`, { runtime: sim, serializer: text(), id: `${port}` }));
  }
  assertEquals(Array.from(server.peers, ({ id }) => id).sort(), ["1", "2", "3", "4"]);
  await sim.run(server.close());
  for (const port of [1, 2, 3, 4]) await sim.listen(Addr.parse(`server:${port}`));
});

Deno.test("serve() binds every address or none", async () => {
  await using sim = new Simulation();
  await using _taken = await Acceptor.listen(sim, () => {}, "tcp://server:2");
  const own = await sim.listen(Addr.parse("tcp://server:3"));
  const error = await assertRejects(
    () => serveText(sim, {}, ["tcp://server:1", own, "tcp://server:2"]),
    ConnectError,
  );
  assertEquals(error.code, "ADDRESS_IN_USE");
  await sim.listen(Addr.parse("tcp://server:1"));
  // A listener that was given stays with who gave it.
  await assertRejects(() => sim.listen(Addr.parse("tcp://server:3")), ConnectError);
});

Deno.test("serve() on no address has none to tell", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim, {}, []);
  assertEquals(server.addrs, []);
  assertThrows(() => server.addr, TypeError, "the server listens on none");
});

Deno.test("serve() rejects with the signal's reason itself, and is ended by it later", async () => {
  await using sim = new Simulation();
  const early = await serveText(sim, { signal: AbortSignal.abort("early") }).catch((e) => e);
  assertEquals(early, "early");
  const controller = new AbortController();
  const { client, server } = await openPair(sim, {
    serve: { signal: controller.signal },
    connect: { reconnect: false },
  });
  controller.abort("enough");
  const info = await sim.run(server.closed, { timeout: 0 });
  assertEquals([info.code, info.reason, server.peers.size], ["ABORTED", "enough", 0]);
  assertEquals((await sim.run(client.closed)).code, "LINK_LOST");
});

Deno.test("serve() goes on accepting after a failure, after a pause that grows", async () => {
  await using sim = new Simulation();
  const conns: ByteTransport[] = [];
  let failures = 6;
  let closed = () => {};
  const listener = {
    addr: Addr.parse(ADDRESS),
    close: () => closed(),
    async *[Symbol.asyncIterator]() {
      if (failures-- > 0) throw new Error("Too many open files");
      yield* conns;
      await new Promise<void>((resolve) => closed = resolve);
    },
  };
  const events: ServerEvent<ServerPeer<Text>>[] = [];
  const raw = await sim.listen(Addr.parse(ADDRESS));
  const dialled = await sim.dial(Addr.parse(ADDRESS));
  for await (const conn of raw) {
    if ("read" in conn) conns.push(conn);
    break;
  }
  raw.close();
  const options = { onEvent: (event: ServerEvent<ServerPeer<Text>>) => events.push(event) };
  const server = await serveText(sim, options, listener);
  const connecting = connect(() => dialled, { runtime: sim, serializer: text() });
  await sim.run(connecting);
  const delays = events.flatMap((event) => event.type === "accept-error" ? [event.delay] : []);
  assertEquals([delays, sim.clock.now()], [[10, 20, 40, 80, 160, 320], 630]);
  await sim.run(server.close());
});

Deno.test("Server.peers knows who is here, by id and in order of coming", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim);
  assertEquals([server.peers.size, server.peers.has("a"), [...server.peers]], [0, false, []]);
  const clients = [];
  for (const id of ["__proto__", "b", "constructor"]) clients.push(await connectText(sim, { id }));
  const { peers } = server;
  assertEquals(Array.from(peers, ({ id }) => id), ["__proto__", "b", "constructor"]);
  assertEquals([peers.size, peers.has("b"), peers.has("toString")], [3, true, false]);
  assertEquals([peers.get("b")?.id, peers.getAll("b").length], ["b", 1]);
  assertEquals([peers.get("nobody"), peers.getAll("nobody")], [undefined, []]);
  const [, b] = clients;
  await sim.run(b?.close() ?? Promise.reject("no b"));
  assertEquals(Array.from(peers, ({ id }) => id), ["__proto__", "constructor"]);
  assertEquals([peers.size, peers.has("b")], [2, false]);
});

Deno.test("Server.peers may be iterated while clients are sent away", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim);
  for (let n = 0; n < 5; n++) await connectText(sim, { id: `${n}`, reconnect: false });
  for (const peer of server.peers) peer.abort();
  assertEquals(server.peers.size, 0);
});

Deno.test("Server tells of clients that come, go and are refused, in order", async () => {
  await using sim = new Simulation();
  const told: ServerEvent<ServerPeer<Text>>[] = [];
  const server = await serveText(sim, {
    register: ({ id }) => id !== "bad",
    onEvent: (event) => told.push(event),
  });
  const looped = collect(server.events());
  const client = await connectText(sim, { id: "good" });
  const [peer] = server.peers;
  await connectText(sim, { id: "bad" }).catch(() => {});
  await sim.run(client.close({ reason: "Done" }));
  await sim.run(server.close());
  assertEquals(types(told), ["connect", "reject", "disconnect", "drain", "close"]);
  assertEquals(await looped, told);
  const [connected, rejected, disconnected, , closed] = told;
  assert(connected?.type === "connect" && connected.peer === peer);
  assert(rejected?.type === "reject" && rejected.code === "AUTH_FAILED");
  assert(disconnected?.type === "disconnect" && disconnected.peer === peer);
  assertEquals([disconnected.info.code, disconnected.info.reason], ["NORMAL", "Done"]);
  assert(closed?.type === "close");
  assertEquals(closed.info, await server.closed);
});

Deno.test("Server.stats() counts clients, traffic and refusals, also of those that are gone", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim, {
    register: ({ id }) => id !== "bad",
    onMessage: ({ body }, peer) => peer.send(body),
  });
  for (const id of ["a", "b", "bad", "bad"]) {
    const client = await connectText(sim, { id, reconnect: false }).catch(() => undefined);
    client?.send("12345");
    await sim.advance(100);
    if (id === "b") await sim.run(client?.close() ?? Promise.reject("no b"));
  }
  const unregistered = await sim.dial(Addr.parse(ADDRESS));
  await sim.advance(0);
  const stats = server.stats();
  assertEquals([stats.peers, stats.peak, stats.total, stats.unregistered], [1, 2, 2, 1]);
  assertEquals([stats.messagesIn, stats.messagesOut, stats.dropped], [2, 2, 0]);
  assertEquals([stats.rejected, stats.queued], [{ AUTH_FAILED: 2 }, { bytes: 0, frames: 0 }]);
  assert(stats.bytesIn > 100 && stats.bytesOut > 100);
  unregistered.close();
});

Deno.test("Server refuses what is above maxConnections, tells of it, and has room again later", async () => {
  await using sim = new Simulation();
  const events: ServerEvent<ServerPeer<Text>>[] = [];
  const server = await serveText(sim, {
    limits: { maxConnections: 2 },
    onEvent: (event) => events.push(event),
  });
  const first = await connectText(sim, { id: "1" });
  await connectText(sim, { id: "2" });
  const error = await assertRejects(() => connectText(sim, { openTimeout: 0 }), ConnectError);
  assertEquals([error.code, error.initiator], ["TOO_MANY_CONNECTIONS", "remote"]);
  assert(error.retryAfter > 0);
  const limits = events.flatMap((event) =>
    event.type === "limit" ? [[event.limit, event.value, event.remoteAddr.port > 0]] : []
  );
  assertEquals(limits, [["maxConnections", 2, true]]);
  assertEquals(server.stats().rejected, { TOO_MANY_CONNECTIONS: 1 });
  await sim.run(first.close());
  await connectText(sim, { openTimeout: 0 });
  assertEquals(server.peers.size, 2);
});

Deno.test("Server hangs up on the oldest that says nothing above maxUnregistered, and serves the registered", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim, {
    limits: { maxUnregistered: 3 },
    handshakeTimeout: 1_000,
    onMessage: ({ body }, peer) => peer.send(body),
  });
  const client = await connectText(sim);
  const silent = [];
  for (let n = 0; n < 5; n++) silent.push(await sim.dial(Addr.parse(ADDRESS)));
  await sim.advance(0);
  assertEquals(server.stats().unregistered, 3);
  for (const conn of silent.slice(0, 2)) assertEquals(await conn.read(new Uint8Array(1)), null);
  client.send("still here");
  assertEquals((await sim.run(collect(client.messages, 1)))[0]?.body, "still here");
  await sim.advance(1_000);
  assertEquals(server.stats().unregistered, 0);
  await connectText(sim, { openTimeout: 0 });
  for (const conn of silent) conn.close();
});

Deno.test("Server logs a line for each client that comes and goes, with nothing to forge", async () => {
  await using sim = new Simulation();
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const server = await serve(ADDRESS, { runtime: sim, logger: { info: log, warn: log } });
  const client = await sim.run(connect(ADDRESS, { runtime: sim, id: 'eve" connected' }));
  await sim.run(client.close({ reason: "bye\u2028admin connected" }));
  await sim.run(server.close());
  assertEquals(lines.length, 4, lines.join("\n"));
  assert(lines[1]?.startsWith('"eve\\" connected" connected from '), lines[1]);
  assert(lines[1]?.endsWith("(1 now)"));
  assert(lines[2]?.includes("(0 now)") && !/[\u2028\n]/.test(lines[2]), lines[2]);
});
