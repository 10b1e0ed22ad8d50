/**
 * `connect()`: when it resolves, when it gives up, and what its error says.
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  Addr,
  Client,
  type ClientEvent,
  connect,
  ConnectError,
  json,
  raw,
  type Registration,
  text,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import {
  ADDRESS,
  atOnce,
  connectText,
  ofType,
  openPair,
  serveText,
  type Text,
  types,
  until,
} from "./_support.ts";

Deno.test("connect() gives a client that is open and registered under its id", async () => {
  await using sim = new Simulation();
  const { client, server, peer } = await openPair(sim);
  assertEquals([client.id, client.side, client.state], ["ann", "client", "open"]);
  assertEquals([peer.id, peer.side, peer.state], ["ann", "server", "open"]);
  assert(server.peers.get("ann") === peer);
  assertEquals(`${client.localAddr}`, `${peer.remoteAddr}`);
  assertEquals([client.remoteAddr.port, peer.localAddr.port], [9966, 9966]);
});

Deno.test("connect() takes the id that the server gives it", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim);
  const clients = [await connectText(sim), await connectText(sim)];
  const ids = clients.map(({ id }) => id);
  assert(ids.every((id) => id !== "" && server.peers.has(id)));
  assertEquals(new Set(ids).size, 2);
});

Deno.test("connect() keeps the id that it was given when it comes back", async () => {
  await using sim = new Simulation();
  const { client, server } = await openPair(sim, { connect: { id: "" } });
  const { id } = client;
  sim.link(client).cut();
  await until(sim, () => client.state === "open");
  assertEquals([client.id, server.peers.has(id)], [id, true]);
});

Deno.test("connect() waits for a server that starts after it", async () => {
  await using sim = new Simulation();
  const connecting = connect<Text>(ADDRESS, { runtime: sim, serializer: text() });
  await sim.advance(3_000);
  await serveText(sim);
  const client = await sim.run(connecting);
  assertEquals(client.state, "open");
});

Deno.test("connect() gives up after openTimeout with the last failure, and dials no more", async () => {
  await using sim = new Simulation();
  const events: ClientEvent[] = [];
  const error = await assertRejects(
    () => connectText(sim, { onEvent: (event) => events.push(event) }),
    ConnectError,
  );
  assertEquals(sim.clock.now(), 10_000);
  const dials = ofType(events, "dial").length;
  assertEquals([error.code, error.attempts], ["REFUSED", dials]);
  assertStringIncludes(error.message, "Cannot connect within 10000 ms: Cannot connect to");
  assertInstanceOf(error.cause, ConnectError);
  await serveText(sim);
  await sim.advance(60_000);
  assertEquals([types(events).at(-1), ofType(events, "dial").length], ["close", dials]);
});

Deno.test("connect() says TIMEOUT when it has had no answer at all", async () => {
  await using sim = new Simulation();
  sim.setDialMode(ADDRESS, "hang");
  const error = await assertRejects(() => connectText(sim, { openTimeout: 100 }), ConnectError);
  assertEquals([error.code, sim.clock.now()], ["TIMEOUT", 100]);
});

for (const options of [{ openTimeout: 0 }, { reconnect: false }] as const) {
  Deno.test(`connect() tries once with ${JSON.stringify(options)}`, async () => {
    await using sim = new Simulation();
    const error = await assertRejects(() => connectText(sim, options), ConnectError);
    assertEquals([error.code, error.attempts, sim.clock.now()], ["REFUSED", 1, 0]);
  });
}

Deno.test("connect() with openTimeout 0 mends its link once it is open", async () => {
  await using sim = new Simulation();
  const { client } = await openPair(sim, { connect: { openTimeout: 0 } });
  sim.link(client).cut();
  await sim.advance(0);
  assertEquals(client.state, "waiting");
  await until(sim, () => client.state === "open");
});

Deno.test("connect() with reconnect: false ends with its link", async () => {
  await using sim = new Simulation();
  const { client } = await openPair(sim, { connect: { reconnect: false } });
  sim.link(client).cut();
  const { code, initiator } = await atOnce(sim, client.closed);
  assertEquals([client.state, code, initiator], ["closed", "LINK_LOST", "network"]);
});

Deno.test("connect() gives up after maxAttempts failures in a row", async () => {
  await using sim = new Simulation();
  const reconnect = { maxAttempts: 3, delay: 1_000 };
  const error = await assertRejects(() => connectText(sim, { reconnect }), ConnectError);
  assertEquals([error.code, error.attempts, sim.clock.now()], ["REFUSED", 3, 2_000]);
});

Deno.test("connect() rejects with the signal's reason itself, and does not even dial", async () => {
  await using sim = new Simulation();
  const reason = { any: "thing" };
  const events: ClientEvent[] = [];
  const connecting = connectText(sim, {
    signal: AbortSignal.abort(reason),
    onEvent: (event) => events.push(event),
  });
  assert(await connecting.catch((error) => error) === reason);
  await sim.advance(1_000);
  assertEquals(events, []);
});

Deno.test("connect() ends the client when its signal is aborted later", async () => {
  await using sim = new Simulation();
  const controller = new AbortController();
  const { client, server } = await openPair(sim, { connect: { signal: controller.signal } });
  controller.abort(new Error("That is enough"));
  const { code, reason } = await atOnce(sim, client.closed);
  assertEquals([code, reason], ["ABORTED", "That is enough"]);
  await sim.advance(0);
  assertEquals(server.peers.size, 0);
});

Deno.test("connect() asks a function for the address before every dial", async () => {
  await using sim = new Simulation();
  await serveText(sim);
  const attempts: number[] = [];
  const forms = ["tcp://server:1", new URL("tcp://server:2"), { port: 3 }, Addr.parse(ADDRESS)];
  const options = { runtime: sim, serializer: text(), reconnect: { delay: 100 } };
  const client = await sim.run(connect<Text>((attempt) => {
    attempts.push(attempt);
    const form = forms[attempt - 1] ?? ADDRESS;
    return attempt % 2 === 0 ? Promise.resolve(form) : form;
  }, options));
  assertEquals([attempts, client.remoteAddr.port], [[1, 2, 3, 4], 9966]);
  sim.link(client).cut();
  await until(sim, () => client.state === "open");
  assertEquals(attempts, [1, 2, 3, 4, 5]);
});

Deno.test("connect() survives an address function that fails", async () => {
  await using sim = new Simulation();
  await serveText(sim);
  const events: ClientEvent[] = [];
  await sim.run(connect<Text>((attempt) => {
    if (attempt === 1) throw new Error("The directory is down");
    return attempt === 2 ? Promise.reject("late") : attempt === 3 ? "not://an.address" : ADDRESS;
  }, { runtime: sim, serializer: text(), onEvent: (event) => events.push(event) }));
  const reasons = ofType(events, "wait").map(({ error }) => error.message);
  assertEquals(reasons.slice(0, 2), [
    "Cannot connect as the address function failed: The directory is down",
    "Cannot connect as the address function failed: late",
  ]);
  assertStringIncludes(reasons[2] ?? "", "Cannot use address");
});

Deno.test("connect() runs on a transport that is open already", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim);
  const client = await sim.run(connect<Text>(
    () => sim.dial(Addr.parse(ADDRESS)),
    { runtime: sim, serializer: text(), id: "ann" },
  ));
  assertEquals([client.remoteAddr.port, server.peers.has("ann")], [9966, true]);
});

Deno.test("connect() closes a transport that it gets too late, or cannot use", async () => {
  await using sim = new Simulation();
  await serveText(sim);
  const late = async () => {
    await sim.sleep(1_000);
    return await sim.dial(Addr.parse(ADDRESS));
  };
  const options = { runtime: sim, serializer: text() };
  const client = new Client<Text>(late, options);
  await sim.advance(500);
  client.abort();
  await sim.advance(1_000);
  assertEquals(sim.links.length, 0);
  const auth = () => Promise.reject(new Error("No token"));
  const connecting = connect<Text>(late, { ...options, auth, openTimeout: 0 });
  const error = await assertRejects(() => sim.run(connecting), ConnectError);
  assertStringIncludes(error.message, "No token");
  assertEquals(sim.links.length, 0);
});

Deno.test("connect() asks for a fresh credential before every dial", async () => {
  await using sim = new Simulation();
  const seen: string[] = [];
  await serveText(sim, {
    register: ({ auth }) => {
      seen.push(auth);
      return true;
    },
  });
  let count = 0;
  const client = await connectText(sim, {
    auth: () => ++count % 2 === 0 ? Promise.resolve(`async ${count}`) : `sync ${count}`,
  });
  for (let n = 0; n < 2; n++) {
    sim.link(client).cut();
    await until(sim, () => client.state === "open");
  }
  assertEquals(seen, ["sync 1", "async 2", "sync 3"]);
});

Deno.test("connect() survives a credential function that fails", async () => {
  await using sim = new Simulation();
  await serveText(sim, { register: ({ auth }) => auth === "token" });
  let count = 0;
  const client = await connectText(sim, {
    auth: () => {
      if (++count === 1) throw new Error("No token yet");
      return count === 2 ? Promise.reject(new Error("Still none")) : "token";
    },
  });
  assertEquals([client.state, count], ["open", 3]);
});

Deno.test("connect() shows its credential as text or bytes, and its metadata", async () => {
  await using sim = new Simulation();
  const seen: Registration[] = [];
  await serveText(sim, {
    register: (request) => {
      seen.push(request);
      return true;
    },
  });
  await connectText(sim, { id: "a", auth: "sésame", metadata: { region: "eu" } });
  await connectText(sim, { id: "b", auth: new Uint8Array([0xff, 0]) });
  await connectText(sim, { id: "c" });
  assertEquals(
    seen.map(({ id, auth, authBytes, metadata }) => [id, auth, authBytes, { ...metadata }]),
    [
      ["a", "sésame", new TextEncoder().encode("sésame"), { region: "eu" }],
      ["b", "\ufffd\0", new Uint8Array([0xff, 0]), {}],
      ["c", "", new Uint8Array(), {}],
    ],
  );
});

Deno.test("connect() is refused in words, once, when the serializers differ", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim);
  const error = await assertRejects(
    () => sim.run(connect(ADDRESS, { runtime: sim, serializer: json() })),
    ConnectError,
  );
  assertEquals([error.code, error.attempts, sim.clock.now()], ["UNSUPPORTED", 1, 0]);
  assertStringIncludes(error.message, "serializer 'json'");
  assertStringIncludes(error.message, "'text'");
  assertEquals(server.stats().rejected, { UNSUPPORTED: 1 });
});

Deno.test("connect() gets along with any serializer if it takes bytes as they are", async () => {
  await using sim = new Simulation();
  const got: string[] = [];
  await serveText(sim, { onMessage: ({ body }) => got.push(body) });
  const client = await sim.run(connect(ADDRESS, { runtime: sim, serializer: raw() }));
  await client.send(new TextEncoder().encode("bytes"));
  await sim.advance(0);
  assertEquals(got, ["bytes"]);
});

Deno.test("connect() names HTTP when the server speaks that", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("hello"),
  );
  const error = await assertRejects(
    () => connect(`127.0.0.1:${server.addr.port}`, { openTimeout: 0 }),
    ConnectError,
  );
  assertEquals(error.code, "WRONG_PROTOCOL");
  assertStringIncludes(error.message, "speaks HTTP, not vnet");
});

Deno.test("connect() names TLS when the server speaks that", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using conn = await listener.accept();
    // An alert: the peer's first record was none.
    await conn.write(new Uint8Array([0x15, 3, 3, 0, 2, 2, 10]));
    await conn.read(new Uint8Array(512));
  })();
  const error = await assertRejects(
    () => connect(`127.0.0.1:${listener.addr.port}`, { openTimeout: 0 }),
    ConnectError,
  );
  assertEquals(error.code, "WRONG_PROTOCOL");
  assertStringIncludes(error.message, "speaks TLS, not vnet");
  await serving;
  listener.close();
});

Deno.test("connect() with await using closes at the end of the block", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim);
  let closed: Promise<unknown>;
  {
    await using client = await connectText(sim, { id: "ann" });
    closed = client.closed;
    client.send("last words");
  }
  await closed;
  assertEquals(server.stats().messagesIn, 1);
  assertEquals(server.peers.size, 0);
});
