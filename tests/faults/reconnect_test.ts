/**
 * The group Reconnect of the fault catalogue: a client that cannot reach its server, loses it, or is
 * sent away. In virtual time, but for the two dials that only a real network can refuse.
 */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  Addr,
  Client,
  type ClientEvent,
  type CloseCode,
  connect,
  ConnectError,
  serve,
  text,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import {
  Acceptor,
  ADDRESS,
  atOnce,
  connectText,
  inSlots,
  ofType,
  openPair,
  serveText,
  type Text,
  types,
  until,
  Watched,
} from "../client/_support.ts";

const TRIALS = 50;

Deno.test("connect() C1 is refused at once where nobody listens", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const error = await assertRejects(
    () => connect(`127.0.0.1:${port}`, { openTimeout: 0 }),
    ConnectError,
  );
  assertEquals([error.code, error.attempts, error.initiator], ["REFUSED", 1, "network"]);
});

Deno.test("connect() C1 gives a dial up that nobody answers, after dialTimeout", async () => {
  await using sim = new Simulation();
  sim.setDialMode(ADDRESS, "hang");
  const events: ClientEvent[] = [];
  const client = new Client<Text>(ADDRESS, {
    runtime: sim,
    serializer: text(),
    reconnect: { delay: 1_000 },
    onEvent: (event) => events.push(event),
  });
  await sim.advance(4_999);
  assertEquals(types(events), ["dial"]);
  await sim.advance(1);
  const [wait] = ofType(events, "wait");
  assertInstanceOf(wait?.error, ConnectError);
  assertEquals(wait.error.code, "TIMEOUT");
  await sim.advance(1_000);
  assertEquals(types(events), ["dial", "wait", "dial"]);
  client.abort();
  assertEquals(sim.clock.pending, 0);
});

Deno.test("connect() C1 waits behind 512 that were not accepted, and gets in when there is room", async () => {
  await using sim = new Simulation();
  const listener = await sim.listen(Addr.parse(ADDRESS));
  const crowd = await Promise.all(
    Array.from({ length: 512 }, () => sim.dial(Addr.parse(ADDRESS))),
  );
  const late = newClient(sim);
  await assertRejects(
    () => connectText(sim, { openTimeout: 3_000 }),
    ConnectError,
    "Cannot connect within 3000 ms",
  );
  assertEquals([sim.clock.now(), late.state], [3_000, "connecting"]);
  for (const conn of crowd) conn.close();
  await serve(listener, { runtime: sim, serializer: text() });
  await atOnce(sim, late.opened);
});

Deno.test("connect() C1 ends a dial that nobody answers when its signal says so", async () => {
  await using sim = new Simulation();
  sim.setDialMode(ADDRESS, "hang");
  const controller = new AbortController();
  const reason = { not: "even an error" };
  const opening = connect(ADDRESS, { runtime: sim, signal: controller.signal });
  await sim.advance(100);
  controller.abort(reason);
  const thrown = await atOnce(sim, opening.then(() => "opened", (error) => error));
  assert(thrown === reason);
  assertEquals(sim.clock.pending, 0);
});

Deno.test("Client C2 does not dial a server in a busy loop that accepts and hangs up", async () => {
  for (let seed = 0; seed < 20; seed++) {
    await using sim = new Simulation({ seed });
    await using acceptor = await Acceptor.listen(sim, (conn) => conn.close());
    new Client(ADDRESS, { runtime: sim, reconnect: { jitter: 0.5 } });
    await sim.advance(10_000);
    const { length } = acceptor.conns;
    assert(length >= 2 && length <= 8, `${length} dials with seed ${seed}`);
  }
});

Deno.test("Client C2 does not dial a server in a busy loop that registers it and hangs up", async () => {
  for (let seed = 0; seed < 20; seed++) {
    await using sim = new Simulation({ seed });
    const server = await serveText(sim, { onConnect: (peer) => peer.abort() });
    new Client<Text>(ADDRESS, { runtime: sim, serializer: text(), reconnect: { jitter: 0.5 } });
    await sim.advance(10_000);
    const { total } = server.stats();
    assert(total >= 2 && total <= 8, `${total} sessions with seed ${seed}`);
  }
});

Deno.test("Client C2 counts failures anew only after a link was open for stableAfter", async () => {
  await using sim = new Simulation();
  const events: ClientEvent[] = [];
  const { client, server } = await openPair(sim, {
    connect: {
      reconnect: { initialDelay: 1_000, jitter: 0 },
      onEvent: (event) => events.push(event),
    },
  });
  for (const lasts of [4_999, 4_999, 5_000, 4_999]) {
    await until(sim, () => client.state === "open");
    const opened = sim.clock.now();
    await sim.advance(lasts);
    assertEquals(sim.clock.now() - opened, lasts);
    sim.link(client).cut();
    await sim.advance(0);
  }
  const waits = ofType(events, "wait").map(({ attempt, delay }) => [attempt, delay]);
  assertEquals(waits, [[1, 1_000], [2, 2_000], [1, 1_000], [2, 2_000]]);
  assertEquals(server.stats().total, 4);
});

/** Brings a client into each state; what it gives is called at the end. */
const STATES: Record<string, (sim: Simulation) => Promise<{ client: Client<Text> }>> = {
  connecting: (sim) => {
    sim.setDialMode(ADDRESS, "hang");
    return Promise.resolve({ client: newClient(sim) });
  },
  "not started": (sim) => Promise.resolve({ client: newClient(sim) }),
  waiting: async (sim) => {
    const { client, server } = await openPair(sim);
    server.abort();
    await until(sim, () => client.state === "waiting");
    return { client };
  },
  "before the first wait": async (sim) => {
    const client = newClient(sim);
    await sim.advance(0);
    return { client };
  },
  open: (sim) => openPair(sim),
  draining: async (sim) => {
    const pair = await openPair(sim);
    sim.link(pair.client).blackhole();
    for (let n = 0; n < 5; n++) pair.client.send("x".repeat(100_000));
    pair.client.close();
    await sim.advance(sim.random() * 1_000);
    assertEquals(pair.client.state, "draining");
    return pair;
  },
  closed: async (sim) => {
    const pair = await openPair(sim);
    await sim.run(pair.client.close());
    return pair;
  },
};

for (const [state, bring] of Object.entries(STATES)) {
  Deno.test(`Client.abort() C3 settles at once and leaves nothing: ${state}`, async () => {
    for (let seed = 0; seed < TRIALS; seed++) {
      await using sim = new Simulation({ seed, faults: { delay: seed % 3 } });
      const { client } = await bring(sim);
      await sim.advance(seed % 5);
      const code = state === "closed" ? "NORMAL" : "ABORTED";
      client.abort();
      assertEquals(client.state, "closed");
      const info = await atOnce(sim, client.closed);
      assertEquals(info.code, code);
      client.abort();
      assertEquals(await atOnce(sim, client.close()), info);
    }
  });
}

Deno.test("Client.abort() and close() C3 settle at once in a handshake that nobody answers", async () => {
  for (let seed = 0; seed < TRIALS; seed++) {
    await using sim = new Simulation({ seed });
    await using acceptor = await Acceptor.listen(sim);
    const client = newClient(sim);
    const opened = client.opened.then(() => "opened", (error) => error);
    await sim.advance(seed * 97);
    assertEquals([acceptor.conns.length, client.state], [1, "connecting"]);
    if (seed % 2 === 0) client.abort();
    const info = await atOnce(sim, client.close());
    assertEquals(info.code, seed % 2 === 0 ? "ABORTED" : "NORMAL");
    assertInstanceOf(await opened, ConnectError);
  }
});

for (const state of ["not started", "connecting", "before the first wait", "waiting", "closed"]) {
  Deno.test(`Client.close() C3 settles at once where there is nothing to drain: ${state}`, async () => {
    for (let seed = 0; seed < TRIALS; seed++) {
      await using sim = new Simulation({ seed, faults: { delay: seed % 3 } });
      const { client } = await STATES[state]?.(sim) ?? {};
      assert(client !== undefined);
      const info = await atOnce(sim, client.close());
      assertEquals([client.state, info.code, info.initiator], ["closed", "NORMAL", "local"]);
      assertEquals(await atOnce(sim, client.close()), info);
    }
  });
}

Deno.test("Client.reconnect() C4 never makes a second link, however often it is called", async () => {
  for (let seed = 0; seed < 20; seed++) {
    await using sim = new Simulation({ seed, faults: { delay: 3, jitter: 5 } });
    let live = 0;
    let most = 0;
    const { client, server } = await openPair(sim, {
      serve: {
        onConnect: () => most = Math.max(most, ++live),
        onDisconnect: () => live--,
      },
    });
    for (let call = 0; call < 100; call++) {
      client.reconnect();
      if (call % 10 > 0) continue;
      await sim.advance(Math.floor(sim.random() * 30));
      assert(server.peers.size <= 1, `${server.peers.size} peers with seed ${seed}`);
    }
    await sim.advance(1_000);
    assertEquals([most, live, server.peers.size, sim.links.length], [1, 1, 1, 1], `seed ${seed}`);
    assertEquals(client.state, "open");
    assert(server.stats().total > 1);
  }
});

Deno.test("Client C5 comes back spread out: 1,000 clients after 5 s without a server", async () => {
  for (const seed of [1, 2]) {
    await using sim = new Simulation({ seed, faults: { delay: 1 } });
    const down = await serveText(sim);
    const dials: number[] = [];
    const clients = Array.from({ length: 1_000 }, () =>
      newClient(sim, (event) => {
        if (event.type === "dial") dials.push(sim.clock.now());
      }));
    await until(sim, () => down.peers.size === 1_000);
    down.abort();
    await sim.advance(5_000);
    dials.length = 0;
    const up = await serveText(sim);
    const since = sim.clock.now();
    await until(sim, () => clients.every(({ state }) => state === "open"), 21_000);
    const peak = Math.max(...inSlots(dials, since, 100));
    assert(peak <= 200, `${peak} dials in 100 ms with seed ${seed}`);
    assertEquals(up.peers.size, 1_000);
  }
});

Deno.test("Client C5 waits for as long as the server asks, and up to as long again", async () => {
  await using sim = new Simulation({ seed: 3 });
  let busy = true;
  const server = await serveText(sim, {
    register: () => busy ? { reject: "SERVER_RESTART", retryAfter: 3_000 } : true,
  });
  const dials: number[] = [];
  for (let n = 0; n < 1_000; n++) {
    newClient(sim, (event) => {
      if (event.type === "dial") dials.push(sim.clock.now());
    });
  }
  await sim.advance(1);
  assertEquals(server.stats().rejected, { SERVER_RESTART: 1_000 });
  busy = false;
  dials.length = 0;
  await sim.advance(6_000);
  assertEquals(dials.length, 1_000);
  assert(Math.min(...dials) >= 3_000);
  const peak = Math.max(...inSlots(dials, 3_000, 100));
  assert(peak <= 200, `${peak} dials in 100 ms`);
  assertEquals(server.peers.size, 1_000);
});

const FINAL: CloseCode[] = [
  "AUTH_FAILED",
  "BAD_VERSION",
  "CLIENT_ID_INVALID",
  "TAKEN_OVER",
  "UNSUPPORTED",
];

for (const code of FINAL) {
  Deno.test(`Client C6 stops after one dial, and says why once: ${code}`, async () => {
    await using sim = new Simulation();
    const server = await serveText(sim, { register: () => ({ reject: code, reason: "No" }) });
    const events: ClientEvent[] = [];
    const client = newClient(sim, (event) => events.push(event));
    const error = await assertRejects(() => sim.run(client.opened), ConnectError);
    assertEquals([error.code, error.attempts, error.initiator], [code, 1, "remote"]);
    const info = await sim.run(client.closed);
    assertEquals([info.code, info.reason, info.initiator], [code, "No", "remote"]);
    await sim.advance(120_000);
    assertEquals(types(events), ["dial", "close"]);
    assertEquals(server.stats().rejected, { [code]: 1 });
  });
}

Deno.test("Client C6 does not fight for an id that was taken over", async () => {
  await using sim = new Simulation();
  const { client, server } = await openPair(sim, { serve: { duplicateId: "replace" } });
  const events: ClientEvent[] = [];
  const winner = await connectText(sim, { id: "ann", onEvent: (event) => events.push(event) });
  const info = await sim.run(client.closed);
  assertEquals([info.code, info.initiator], ["TAKEN_OVER", "remote"]);
  await sim.advance(120_000);
  assertEquals([winner.state, server.stats().total], ["open", 2]);
  assertEquals(types(events), ["dial", "connect"]);
});

Deno.test("Client C6 comes back after a refusal that may heal", async () => {
  for (const code of ["CLIENT_ID_IN_USE", "TOO_MANY_CONNECTIONS", "INTERNAL"] as const) {
    await using sim = new Simulation();
    let tries = 0;
    await serveText(sim, { register: () => ++tries < 3 ? { reject: code } : true });
    const client = newClient(sim);
    await sim.run(client.opened);
    assertEquals([client.state, tries], ["open", 3], code);
  }
});

Deno.test("Client C7 writes nothing more after the first error, and tells of one end", async () => {
  for (let seed = 0; seed < TRIALS; seed++) {
    await using sim = new Simulation({ seed, faults: { delay: 1 } });
    const told: string[] = [];
    const server = await serveText(sim, {
      onDisconnect: ({ code }) => told.push(`server ${code}`),
    });
    const conns: Watched[] = [];
    const client = new Client<Text>(async () => {
      const conn = new Watched(await sim.dial(Addr.parse(ADDRESS)));
      conns.push(conn);
      return conn;
    }, {
      runtime: sim,
      serializer: text(),
      reconnect: { delay: 5_000 },
      onDisconnect: ({ code }) => told.push(`client ${code}`),
      onEvent: (event) => {
        if (event.type !== "disconnect") return;
        told.push("event");
        for (const conn of conns) conn.over = true;
      },
    });
    await sim.run(client.opened);
    for (let n = 0; n < 100; n++) client.send("x".repeat(10_000));
    sim.link(client).degrade({ cutAfter: 1 + Math.floor(sim.random() * 600_000), delay: 1 });
    await sim.advance(1_000);
    assertEquals(client.state, "waiting");
    client.send("after the end");
    await sim.advance(1_000);
    assertEquals(told.sort(), ["client LINK_LOST", "event", "server LINK_LOST"], `seed ${seed}`);
    assertEquals(conns.map(({ late, closes }) => [late, closes]), [[0, 1]], `seed ${seed}`);
    assertEquals(server.peers.size, 0);
  }
});

Deno.test("connect() C8 tries several addresses in turn, without a wait between them", async () => {
  await using sim = new Simulation();
  const events: ClientEvent[] = [];
  const dead = ["tcp://server:1", "tcp://server:2"];
  const server = await serveText(sim);
  const client = await sim.run(connect<Text>([...dead, ADDRESS], {
    runtime: sim,
    serializer: text(),
    onEvent: (event) => events.push(event),
  }));
  assertEquals(sim.clock.now(), 0);
  assertEquals(ofType(events, "dial").map(({ addr }) => addr.port), [1, 2, 9966]);
  assertEquals(client.remoteAddr.port, 9966);
  server.abort();
  const other = await serveText(sim, {}, dead[0]);
  await until(sim, () => client.state === "open");
  assertEquals([client.remoteAddr.port, other.peers.size], [1, 1]);
});

Deno.test("connect() C8 goes past an address that hangs", async () => {
  await using sim = new Simulation();
  sim.setDialMode("tcp://server:1", "hang");
  await serveText(sim);
  const options = { runtime: sim, serializer: text(), dialTimeout: 2_000 };
  const client = await sim.run(connect<Text>(["tcp://server:1", ADDRESS], options));
  assertEquals([client.remoteAddr.port, sim.clock.now()], [9966, 2_000]);
});

Deno.test("connect() C8 reaches a name with two kinds of addresses, of which one is dead", async () => {
  await using server = await serve("127.0.0.1:0");
  await using client = await connect(`localhost:${server.addr.port}`);
  assertEquals(client.remoteAddr.hostname, "127.0.0.1");
});

function newClient(sim: Simulation, onEvent: (event: ClientEvent) => unknown = () => {}) {
  return new Client<Text>(ADDRESS, { runtime: sim, serializer: text(), onEvent });
}
