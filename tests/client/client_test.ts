/**
 * `new Client()`: its states, its events, and `reconnect()`.
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { Client, type ClientEvent, ClosedError, ConnectError, text } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import {
  ADDRESS,
  atOnce,
  collect,
  ofType,
  openPair,
  serveText,
  type Text,
  types,
  until,
} from "./_support.ts";

Deno.test("Client dials in the next microtask: what is attached at once misses nothing", async () => {
  await using sim = new Simulation();
  await serveText(sim);
  const client = new Client<Text>(ADDRESS, { runtime: sim, serializer: text() });
  const events = collect(client.events(), 2);
  assertEquals(client.state, "connecting");
  await client.opened;
  assertEquals(client.state, "open");
  assertEquals(types(await events), ["dial", "connect"]);
});

Deno.test("Client that is closed at once never dials", async () => {
  await using sim = new Simulation();
  await serveText(sim);
  const events: ClientEvent[] = [];
  const client = new Client(ADDRESS, { runtime: sim, onEvent: (event) => events.push(event) });
  client.abort();
  await sim.advance(1_000);
  assertEquals(types(events), ["close"]);
});

Deno.test("Client.state goes from connecting to open, waiting, open, draining, closed", async () => {
  await using sim = new Simulation({ faults: { delay: 10 } });
  const server = await serveText(sim);
  const states: string[] = [];
  const client: Client<Text> = new Client<Text>(ADDRESS, {
    runtime: sim,
    serializer: text(),
    reconnect: { delay: 100 },
    onEvent: () => states.push(client.state),
  });
  states.push(client.state);
  await sim.run(client.opened);
  sim.link(client).cut();
  await sim.advance(1_000);
  assertEquals([client.state, server.peers.size], ["open", 1]);
  sim.link(client).blackhole();
  for (let n = 0; n < 5; n++) client.send("x".repeat(100_000));
  const closing = client.close({ grace: 100 });
  states.push(client.state);
  await sim.run(closing);
  assertEquals(states, [
    "connecting",
    "connecting", // dial
    "open", // connect
    "waiting", // disconnect
    "waiting", // wait
    "waiting", // dial
    "open", // connect
    "draining",
    "draining", // disconnect
    "closed", // close
  ]);
});

Deno.test("Client stays connecting until it has been open once", async () => {
  await using sim = new Simulation();
  const client = new Client<Text>(ADDRESS, { runtime: sim, serializer: text() });
  for (let n = 0; n < 20; n++) {
    await sim.advance(500);
    assertEquals(client.state, "connecting");
  }
});

Deno.test("Client.opened rejects when the client ends before, with why it was not open", async () => {
  await using sim = new Simulation();
  const client = new Client<Text>(ADDRESS, { runtime: sim, serializer: text() });
  await sim.advance(5_000);
  client.close();
  const error = await assertRejects(() => client.opened, ConnectError);
  assertEquals(error.code, "REFUSED");
  assert(error.attempts > 1);
  const { code, initiator } = await client.closed;
  assertEquals([code, initiator], ["NORMAL", "local"]);
});

Deno.test("Client.opened rejects as closed when nothing had failed yet", async () => {
  await using sim = new Simulation();
  const client = new Client<Text>(ADDRESS, { runtime: sim, serializer: text() });
  client.abort(new Error("Changed my mind"));
  const error = await assertRejects(() => client.opened, ConnectError);
  assertEquals(error.code, "ABORTED");
  assertEquals((await client.closed).reason, "Changed my mind");
});

Deno.test("Client that nobody looks after ends without an unhandled rejection", async () => {
  await using sim = new Simulation();
  const client = new Client<Text>(ADDRESS, { runtime: sim, serializer: text() });
  client.send("into the void");
  await sim.advance(100);
  client.abort();
  client.send("and after the end");
  await sim.advance(100);
  assertEquals(client.state, "closed");
});

Deno.test("Client tells onEvent and every loop the same, in order", async () => {
  await using sim = new Simulation();
  const told: ClientEvent[] = [];
  const { client } = await openPair(sim, {
    connect: { reconnect: { delay: 1_000 }, onEvent: (event) => told.push(event) },
  });
  const first = collect(client.events());
  sim.link(client).cut();
  await sim.advance(0);
  const second = collect(client.events());
  await until(sim, () => client.state === "open");
  await sim.run(client.close());
  assertEquals(types(told), [
    "dial",
    "connect",
    "disconnect",
    "wait",
    "dial",
    "connect",
    "disconnect",
    "close",
  ]);
  assertEquals(await first, told.slice(2));
  assertEquals(await second, told.slice(4));
  assertEquals(await collect(client.events()), []);
  const [wait] = ofType(told, "wait");
  assertEquals([wait?.delay, wait?.attempt], [1_000, 1]);
  assertInstanceOf(wait?.error, ClosedError);
  const dials = ofType(told, "dial").map(({ addr, attempt }) => [`${addr}`, attempt]);
  assertEquals(dials, [[ADDRESS, 1], [ADDRESS, 2]]);
  const codes = ofType(told, "disconnect").map(({ info }) => [info.code, info.initiator]);
  assertEquals(codes, [["LINK_LOST", "network"], ["NORMAL", "local"]]);
});

Deno.test("Client.events() may be left at any time", async () => {
  await using sim = new Simulation();
  const { client } = await openPair(sim);
  const [event] = await collectOne(client, () => sim.link(client).cut(), sim);
  assertEquals(event?.type, "disconnect");
  await until(sim, () => client.state === "open");
});

Deno.test("Client gives what onEvent throws to the logger, and goes on", async () => {
  await using sim = new Simulation();
  const logged: unknown[] = [];
  const { client } = await openPair(sim, {
    connect: {
      onEvent: (event) => {
        if (event.type === "dial") throw new Error("sync");
        return Promise.reject(new Error("async"));
      },
      logger: { error: (_message, fields) => logged.push(fields?.error) },
    },
  });
  assertEquals(client.state, "open");
  await sim.advance(0);
  assertEquals(logged.map(String), ["Error: sync", "Error: async"]);
});

Deno.test("Client logs a line per change of state, and nothing of what it sends", async () => {
  await using sim = new Simulation();
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const { client } = await openPair(sim, {
    connect: {
      reconnect: { delay: 5_000 },
      auth: "hunter2",
      logger: { info: log, warn: log, error: log },
    },
  });
  for (let n = 0; n < 100; n++) client.send("confidential");
  await sim.advance(0);
  sim.link(client).cut();
  await sim.advance(10_000);
  assertEquals(lines.length, 4, lines.join("\n"));
  assertStringIncludes(lines[0] ?? "", "Connected to tcp://server:9966 as ann");
  assertStringIncludes(lines[2] ?? "", "Next try in 5000 ms");
  assert(!lines.some((line) => /hunter2|confidential/.test(line)));
});

Deno.test("Client logs nothing of its server's words that could pass for a line of its own", async () => {
  await using sim = new Simulation();
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const { server } = await openPair(sim, { connect: { logger: { info: log, warn: log } } });
  await sim.run(server.close({ reason: "bye\nConnected to \x1b[31mme\u2028" }));
  assertEquals(lines.length, 4);
  assertStringIncludes(lines[2] ?? "", "bye\\u000aConnected to \\u001b[31mme\\u2028 (DRAINING)");
  assert(!lines.some((line) => /[\p{Cc}\u2028]/u.test(line)), lines.join("|"));
});

Deno.test("Client.reconnect() skips the wait before the next dial", async () => {
  await using sim = new Simulation();
  const { client, server } = await openPair(sim, { connect: { reconnect: { delay: 60_000 } } });
  server.abort();
  await sim.advance(0);
  await serveText(sim);
  assertEquals(client.state, "waiting");
  client.reconnect();
  await sim.advance(0);
  assertEquals(client.state, "open");
});

Deno.test("Client.reconnect() gives up an open link for a new one, at once", async () => {
  await using sim = new Simulation();
  const events: ClientEvent[] = [];
  const { client, server, peer } = await openPair(sim, {
    connect: { onEvent: (event) => events.push(event) },
  });
  const { port } = client.localAddr;
  client.reconnect();
  assertEquals(client.state, "waiting");
  await sim.advance(0);
  assertEquals([client.state, server.peers.size, sim.links.length], ["open", 1, 1]);
  assert(client.localAddr.port !== port);
  assertEquals(types(events), ["dial", "connect", "disconnect", "dial", "connect"]);
  const { code, initiator } = await peer.closed;
  assertEquals([code, initiator], ["NORMAL", "remote"]);
});

Deno.test("Client.reconnect() does nothing while it dials, drains, or is closed", async () => {
  await using sim = new Simulation({ faults: { delay: 10 } });
  const events: ClientEvent[] = [];
  const server = await serveText(sim);
  const client = new Client<Text>(ADDRESS, {
    runtime: sim,
    serializer: text(),
    onEvent: (event) => events.push(event),
  });
  client.reconnect();
  await sim.advance(5);
  client.reconnect();
  await sim.run(client.opened);
  const closing = client.close();
  client.reconnect();
  await sim.run(closing);
  client.reconnect();
  await sim.advance(60_000);
  assertEquals(types(events), ["dial", "connect", "disconnect", "close"]);
  assertEquals(server.stats().total, 1);
});

Deno.test("Client.reconnect() works for a client that would not come back by itself", async () => {
  await using sim = new Simulation();
  const { client } = await openPair(sim, { connect: { reconnect: false } });
  client.reconnect();
  await sim.advance(0);
  assertEquals(client.state, "open");
  sim.link(client).cut();
  await atOnce(sim, client.closed);
});

Deno.test("Client.stats count over all links, and since when", async () => {
  await using sim = new Simulation();
  const before = Date.now();
  const { client } = await openPair(sim, {
    serve: { onMessage: ({ body }, peer) => peer.send(body) },
    connect: { onMessage: () => {} },
  });
  for (let links = 1; links <= 3; links++) {
    await client.send("hello");
    await sim.advance(60);
    const { stats } = client;
    assertEquals([stats.links, stats.messagesOut, stats.messagesIn], [links, links, links]);
    assert(stats.bytesIn > 0 && stats.bytesOut > 0 && stats.since >= before);
    client.reconnect();
    await sim.advance(0);
  }
});

/** Leaves a loop over events after the first one. */
async function collectOne(
  client: Client<Text>,
  then: () => void,
  sim: Simulation,
): Promise<ClientEvent[]> {
  const one = collect(client.events(), 1);
  then();
  return await sim.run(one);
}
