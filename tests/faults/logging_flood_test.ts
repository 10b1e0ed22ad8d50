/**
 * The row G3 of the fault catalogue: what fails again and again is told in a few lines, and counted; a
 * change of state is told in one.
 */
import { assert, assertEquals } from "@std/assert";
import { Client, connect, serve, type TransportListener } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { counted, Lines } from "../_support/lines.ts";
import { offline, settle, StallClock } from "../_support/stall_clock.ts";
import { failure, utf8 } from "../_support/wire_client.ts";

const ADDRESS = "tcp://server:9966";
const EMPTY = new Uint8Array(0);

Deno.test("connect() G3 says in 20 lines that 1,000 dials have failed, and how they did", async () => {
  const said = new Lines();
  await using sim = new Simulation();
  sim.setDialMode(ADDRESS, "refuse");
  let waits = 0;
  const client = new Client(ADDRESS, {
    runtime: sim,
    logger: said.logger,
    onEvent: ({ type }) => void (type === "wait" && waits++),
  });
  while (waits < 1_000 && sim.clock.now() < 100_000_000) await sim.advance(30_000);
  assert(said.lines.length <= 20, said.lines.join("\n"));
  assert(said.lines.length >= 5);
  sim.setDialMode(ADDRESS, "answer");
  const server = await serve(ADDRESS, { runtime: sim });
  await sim.run(client.opened);
  await sim.run(client.close());
  // What was left out is told at the end, so that nothing is missing.
  assert(waits >= 1_000, `${waits}`);
  assertEquals(counted(said.with("Next try in")), waits);
  assertEquals(said.with("Connected to").length, 1);
  await sim.run(server.close());
});

Deno.test("connect() G3 says no more of a server that lets it in and hangs up each time", async () => {
  const said = new Lines();
  await using sim = new Simulation();
  const server = await serve(ADDRESS, {
    runtime: sim,
    onConnect: (peer) => sim.sleep(10).then(() => peer.abort()),
  });
  let sessions = 0;
  const client = new Client(ADDRESS, {
    runtime: sim,
    logger: said.logger,
    reconnect: { delay: 100, maxDelay: 1_000 },
    onConnect: () => void sessions++,
  });
  while (sessions < 1_000 && sim.clock.now() < 10_000_000) await sim.advance(10_000);
  assert(said.lines.length <= 45, said.lines.join("\n"));
  client.abort();
  assertEquals(counted(said.with("Connected to")), sessions);
  await sim.run(server.close());
});

Deno.test("connect() G3 begins anew once a link has lasted", async () => {
  const said = new Lines();
  await using sim = new Simulation();
  const server = await serve(ADDRESS, { runtime: sim });
  const client = await sim.run(connect(ADDRESS, {
    runtime: sim,
    logger: said.logger,
    reconnect: { stableAfter: 1_000, delay: 100 },
  }));
  for (let n = 0; n < 20; n++) {
    await sim.advance(2_000);
    sim.link(client).cut();
    await sim.advance(500);
  }
  assertEquals([said.with("Connected to").length, said.with("Next try").length], [21, 20]);
  await sim.run(client.close());
  await sim.run(server.close());
});

Deno.test("serve() G3 says in a few lines that it refuses 10,000 connections", async () => {
  const said = new Lines();
  await using sim = new Simulation();
  const server = await serve(ADDRESS, {
    runtime: sim,
    logger: said.logger,
    limits: { maxConnections: 1, maxUnregistered: 4 },
  });
  const client = await sim.run(connect(ADDRESS, { runtime: sim, id: "ann" }));
  // Beyond maxUnregistered, beyond maxConnections, and who speaks something else.
  const idle = await Promise.all(Array.from({ length: 4 }, () => sim.run(sim.dial(server.addr))));
  for (let n = 0; n < 10_000; n++) idle.push(await sim.run(sim.dial(server.addr)));
  assertEquals(server.stats().limits.maxUnregistered, 10_000);
  for (const conn of idle) conn.close();
  await sim.advance(0);
  for (let n = 0; n < 500; n++) {
    await sim.run(failure(connect(ADDRESS, { runtime: sim, openTimeout: 0 })));
    const conn = await sim.run(sim.dial(server.addr));
    await conn.write(utf8("GET / HTTP/1.1\r\n\r\n"));
    await sim.advance(0);
    conn.close();
  }
  await sim.run(client.close());
  await sim.run(server.close());
  assert(said.lines.length <= 80, said.lines.join("\n"));
  const { rejected, limits } = server.stats();
  assertEquals(counted(said.with("'maxUnregistered'")), limits.maxUnregistered);
  assertEquals(counted(said.with("'maxConnections'")), limits.maxConnections);
  assertEquals(counted(said.with("not let in")), sum(rejected));
});

Deno.test("serve() G3 says in a few lines that it cannot accept, a thousand times", async () => {
  const said = new Lines();
  const clock = new StallClock();
  const server = await serve(broken(), { runtime: offline(clock), logger: said.logger });
  for (let n = 0; n < 1_000; n++) {
    await settle();
    clock.jump(1_000);
  }
  await server.close();
  const lines = said.with("Cannot accept connections: Error: Too many open files");
  assert(lines.length <= 15, lines.join("\n"));
  assert(counted(lines) >= 1_000);
});

Deno.test("serve() G3 says in a few lines that a hook fails for each message", async () => {
  const said = new Lines();
  await using sim = new Simulation();
  const server = await serve(ADDRESS, {
    runtime: sim,
    logger: said.logger,
    onMessage: ({ body }) => {
      throw body.length === 0 ? new TypeError("Nothing there") : new Error("Too much");
    },
  });
  const client = await sim.run(connect(ADDRESS, { runtime: sim, id: "ann" }));
  for (let n = 0; n < 1_000; n++) await client.send(new Uint8Array(n % 2));
  await sim.run(client.close());
  await sim.run(server.close());
  for (const text of ["Nothing there", "Too much"]) {
    const lines = said.with(text);
    assert(lines.length <= 12, lines.join("\n"));
    assertEquals(counted(lines), 500);
  }
});

Deno.test("serve() G3 writes a line when a client falls behind, and one when it has caught up", async () => {
  const said = new Lines();
  await using sim = new Simulation();
  const server = await serve(ADDRESS, {
    runtime: sim,
    logger: said.logger,
    limits: { maxQueuedBytes: 10_000 },
    queue: { overflow: "drop-oldest", highWaterMark: 5_000 },
  });
  const client = await sim.run(connect(ADDRESS, { runtime: sim, id: "ann" }));
  const [peer] = server.peers;
  const start = said.lines.length;
  // In one turn nothing leaves: of a thousand most are dropped.
  for (let n = 0; n < 1_000; n++) peer?.trySend(new Uint8Array(1_000));
  await sim.advance(100);
  const dropped = peer?.stats.dropped ?? 0;
  assert(dropped > 900, `${dropped}`);
  const who = `"ann" at ${peer?.remoteAddr}`;
  const [slow = "", caughtUp, ...more] = said.lines.slice(start);
  assert(slow.startsWith(`warn ${who} is too slow: `), slow);
  assertEquals([caughtUp, more], [`info ${who} has caught up. Messages dropped: ${dropped}`, []]);
  // To keep only the newest is what a key is for.
  for (let n = 0; n < 1_000; n++) peer?.trySend(EMPTY, { key: "price" });
  await sim.advance(100);
  assertEquals(said.lines.length, start + 2);
  await sim.run(client.close());
  await sim.run(server.close());
});

Deno.test("serve() and connect() G3 write a line when a limit is met, and when they close and have", async () => {
  const [served, dialled] = [new Lines(), new Lines()];
  await using sim = new Simulation();
  const server = await serve(ADDRESS, {
    runtime: sim,
    logger: served.logger,
    limits: { messagesPerSecond: 100 },
    methods: { slow: () => sim.sleep(3_000) },
  });
  const client = await sim.run(connect(ADDRESS, {
    runtime: sim,
    id: "ann",
    logger: dialled.logger,
    reconnect: false,
  }));
  for (let n = 0; n < 300; n++) client.trySend(EMPTY);
  await sim.advance(5_000);
  const [met = "", ...more] = served.with("limit");
  assert(/^warn "ann" at \S+ has met the limit 'messagesPerSecond' \(100\)$/.test(met), met);
  assertEquals(more, []);
  const call = client.call("slow", EMPTY);
  await sim.advance(100);
  const closing = server.close({ grace: 5_000 });
  await sim.run(call);
  await sim.run(closing);
  const [begun, gone, closed] = served.lines.slice(-3);
  assertEquals([begun, closed], [
    "info Closing within 5000 ms. Connections: 1",
    "info Closed: The server is closing. Calls finished: 1, cut: 0; messages unsent: 0",
  ]);
  assert(gone?.startsWith('info "ann" disconnected: '), gone);
  const [leaving, ended, over] = dialled.lines.slice(-3);
  assert(leaving?.startsWith(`info ${client.remoteAddr} is going away: back in `), leaving);
  assert(ended?.startsWith("warn Connection to "), ended);
  assert(over?.startsWith("info Closed: "), over);
});

Deno.test("connect() G3 writes a line when a client has something to finish, and one when it has", async () => {
  const said = new Lines();
  await using sim = new Simulation();
  const server = await serve(ADDRESS, { runtime: sim, methods: { slow: () => sim.sleep(3_000) } });
  const client = await sim.run(connect(ADDRESS, { runtime: sim, logger: said.logger }));
  const call = client.call("slow", EMPTY);
  const closing = client.close();
  await sim.run(call);
  await sim.run(closing);
  const [, begun, , closed, ...more] = said.lines;
  assertEquals([begun, closed, more], [
    "info Closing. Calls to finish: 1; messages to send: 0",
    "info Closed: NORMAL. Calls finished: 1, cut: 0; messages unsent: 0",
    [],
  ]);
  await sim.run(server.close());
});

/** A listener that can accept nothing. */
function broken(): TransportListener {
  return {
    close() {},
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.reject(new Error("Too many open files")),
    }),
  };
}

function sum(counts: Readonly<Record<string, number | undefined>>): number {
  return Object.values(counts).reduce<number>((total, count = 0) => total + count, 0);
}
