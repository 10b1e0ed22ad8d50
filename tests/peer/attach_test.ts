/**
 * `attach()`: a session on a connection that exists, on either side of it.
 */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  attach,
  type AttachOptions,
  type ByteTransport,
  ConnectError,
  json,
  type MessageTransport,
  text,
} from "@vgo/vnet";
import { memoryPair, Simulation } from "@vgo/vnet/testing";
import { bodies, collect, serveText, type Text } from "../client/_support.ts";

type ClientOptions = Omit<AttachOptions<Text, "client">, "side">;
type ServerOptions = Omit<AttachOptions<Text, "server">, "side">;

/** Both ends of a connection in memory; no heartbeat, as time is real here. */
async function attachPair(client: ClientOptions = {}, server: ServerOptions = {}) {
  const [here, there] = memoryPair();
  const common = { serializer: text(), heartbeat: false } as const;
  return await Promise.all([
    attach<"client", Text>(here, { side: "client", ...common, ...client }),
    attach<"server", Text>(there, { side: "server", ...common, ...server }),
  ]);
}

Deno.test("attach() opens a session between two ends of a connection", async () => {
  const log: string[] = [];
  const [client, server] = await attachPair(
    { id: "ann", onConnect: ({ id, side }) => log.push(`${side} ${id}`) },
    { onConnect: ({ id, side }) => log.push(`${side} ${id}`) },
  );
  assertEquals([client.side, client.id, client.state], ["client", "ann", "open"]);
  assertEquals([server.side, server.id, server.state], ["server", "ann", "open"]);
  assertEquals(log, ["server ann", "client ann"]);
  client.send("up", { topic: "t" });
  server.send("down");
  assertEquals(await collect(server.messages, 1), [{ body: "up", topic: "t" }]);
  assertEquals(bodies(await collect(client.messages, 1)), ["down"]);
  assert(await client.ping() >= 0);
  const [info] = await Promise.all([client.close({ reason: "bye" }), server.closed]);
  assertEquals([info.code, (await server.closed).reason], ["NORMAL", "bye"]);
});

Deno.test("attach() calls its hooks with the peer, and onDisconnect once", async () => {
  const log: string[] = [];
  const [client, server] = await attachPair({}, {
    onMessage: ({ body }, peer) => peer.send(`${body}!`),
    onDisconnect: ({ code, initiator }, peer) => log.push(`${code} ${initiator} ${peer.side}`),
  });
  client.send("echo");
  assertEquals(bodies(await collect(client.messages, 1)), ["echo!"]);
  await client.close();
  await server.closed;
  assertEquals(log, ["NORMAL remote server"]);
});

Deno.test("attach() runs over whole messages, as WebSocket carries them", async () => {
  const [here, there] = messagePair();
  const [client, server] = await Promise.all([
    attach<"client", Text>(here, { side: "client", serializer: text(), heartbeat: false }),
    attach<"server", Text>(there, { side: "server", serializer: text(), heartbeat: false }),
  ]);
  client.send("x".repeat(1_000_000));
  const [message] = await collect(server.messages, 1);
  assertEquals(message?.body.length, 1_000_000);
  server.send("short");
  assertEquals(bodies(await collect(client.messages, 1)), ["short"]);
  client.abort();
  await server.closed;
});

Deno.test("attach() gives each client without an id none of its own: the connection is known", async () => {
  const [client, server] = await attachPair();
  assertEquals([client.id, server.id], ["", ""]);
  client.abort();
  await server.closed;
});

Deno.test("attach() rejects when the other end hangs up, or refuses", async () => {
  const [here, there] = memoryPair();
  there.close();
  const lost = await assertRejects(() => attach(here, { side: "client" }), ConnectError);
  assertEquals(lost.code, "LINK_LOST");
  const [one, other] = memoryPair();
  const results = await Promise.allSettled([
    attach(one, { side: "client", serializer: json() }),
    attach<"server", Text>(other, { side: "server", serializer: text() }),
  ]);
  for (const result of results) {
    assert(result.status === "rejected" && result.reason instanceof ConnectError);
    assertEquals(result.reason.code, "UNSUPPORTED");
    assertStringIncludes(result.reason.message, "'json'");
  }
});

Deno.test("attach() rejects within handshakeTimeout where nobody speaks, and closes", async () => {
  await using sim = new Simulation();
  const [here, there] = memoryPair();
  const attaching = attach(here, { side: "server", handshakeTimeout: 2_000, runtime: sim });
  const error = await assertRejects(() => sim.run(attaching), ConnectError);
  assertEquals([error.code, sim.clock.now()], ["HANDSHAKE_TIMEOUT", 2_000]);
  await sim.advance(1_000);
  const buffer = new Uint8Array(512);
  for (let count: number | null = 1; count !== null;) count = await there.read(buffer);
  there.close();
});

Deno.test("attach() names another protocol", async () => {
  const [here, there] = memoryPair();
  const attaching = attach(here, { side: "server" });
  await there.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  const error = await assertRejects(() => attaching, ConnectError);
  assertEquals(error.code, "WRONG_PROTOCOL");
  assertStringIncludes(error.message, "HTTP");
  there.close();
});

Deno.test("attach() rejects with the signal's reason itself, before and while it opens", async () => {
  const [here, there] = memoryPair();
  const options = { side: "client", signal: AbortSignal.abort("early") } as const;
  assertEquals(await attach(here, options).catch((error) => error), "early");
  const controller = new AbortController();
  const attaching = attach(here, { side: "client", signal: controller.signal });
  await there.read(new Uint8Array(512));
  controller.abort("late");
  assertEquals(await attaching.catch((error) => error), "late");
  there.close();
});

Deno.test("attach() ends the session when its signal is aborted later", async () => {
  const controller = new AbortController();
  const [client, server] = await attachPair({ signal: controller.signal });
  controller.abort("enough");
  const info = await client.closed;
  assertEquals([info.code, info.reason], ["ABORTED", "enough"]);
  assertEquals((await server.closed).code, "LINK_LOST");
});

Deno.test("attach() ends the session when onConnect fails", async () => {
  const logged: string[] = [];
  const [client, server] = await attachPair({}, {
    onConnect: () => Promise.reject(new Error("No")),
    logger: { error: (_message, fields) => logged.push(String(fields?.error)) },
  });
  assertEquals((await client.closed).code, "INTERNAL");
  assertEquals([(await server.closed).initiator, logged], ["local", ["Error: No"]]);
});

Deno.test("Server.attach() takes a connection in as one that it accepted", async () => {
  await using sim = new Simulation();
  const [here, there] = memoryPair();
  const server = await serveText(sim, { register: ({ id }) => ({ data: { came: id } }) }, []);
  const [peer, client] = await Promise.all([
    server.attach(there),
    attach<"client", Text>(here, { side: "client", serializer: text(), id: "ann", runtime: sim }),
  ]);
  assertEquals([peer.data.came, server.peers.get("ann") === peer], ["ann", true]);
  assert(peer.server === server);
  client.send("hello");
  assertEquals(bodies(await collect(peer.messages, 1)), ["hello"]);
  await sim.run(server.close());
  assertEquals((await client.closed).code, "DRAINING");
});

Deno.test("Server.attach() rejects when the client is refused, leaves, or comes too late", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim, { register: () => ({ reject: "AUTH_FAILED" }) }, []);
  const [here, there] = memoryPair();
  const results = await Promise.allSettled([
    server.attach(there),
    attach(here, { side: "client", serializer: text(), runtime: sim }),
  ]);
  for (const result of results) {
    assert(result.status === "rejected" && result.reason instanceof ConnectError);
    assertEquals(result.reason.code, "AUTH_FAILED");
  }
  const [gone, left] = memoryPair();
  gone.close();
  assertEquals((await assertRejects(() => server.attach(left), ConnectError)).code, "LINK_LOST");
  await sim.run(server.close());
  const [late, dropped] = memoryPair();
  await assertRejects(() => server.attach(dropped), ConnectError);
  assertEquals(await late.read(new Uint8Array(1)), null);
  late.close();
});

/** Two ends that carry whole messages, over a connection that carries bytes. */
function messagePair(): [MessageTransport, MessageTransport] {
  const [here, there] = memoryPair();
  return [messages(here), messages(there)];
}

/** A length of four bytes before each message. */
function messages(conn: ByteTransport): MessageTransport {
  const writeAll = async (data: Uint8Array) => {
    for (let at = 0; at < data.length;) at += await conn.write(data.subarray(at));
  };
  const readAll = async (size: number) => {
    const data = new Uint8Array(size);
    for (let at = 0; at < size;) {
      const count = await conn.read(data.subarray(at));
      if (count === null) return undefined;
      at += count;
    }
    return data;
  };
  return {
    async send(message) {
      const header = new Uint8Array(4);
      new DataView(header.buffer).setUint32(0, message.length);
      await writeAll(header);
      await writeAll(message);
    },
    close: () => conn.close(),
    async *[Symbol.asyncIterator]() {
      for (let head = await readAll(4); head !== undefined; head = await readAll(4)) {
        const message = await readAll(new DataView(head.buffer).getUint32(0));
        if (message === undefined) return;
        yield message;
      }
    },
  };
}
