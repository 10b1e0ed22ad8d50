/**
 * The same behaviour on real sockets: what the simulation promises has to hold on loopback TCP.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  Client,
  ClosedError,
  connect,
  ConnectError,
  json,
  serve,
  type ServerPeer,
  text,
  type Untyped,
} from "@vgo/vnet";
import { bodies, collect, type Text } from "../client/_support.ts";

const LOCAL = "127.0.0.1:0";

Deno.test("connect() and serve() echo over TCP", async () => {
  await using server = await serve(LOCAL, {
    serializer: text(),
    onMessage: ({ body, topic }, peer) => peer.send(body, { topic }),
  });
  await using client = await connect(server.addr, { serializer: text(), id: "ann" });
  assertEquals([client.state, client.remoteAddr.port], ["open", server.addr.port]);
  assertEquals(server.peers.get("ann")?.remoteAddr.port, client.localAddr.port);
  client.send("hello", { topic: "greeting" });
  assertEquals(await collect(client.messages, 1), [{ body: "hello", topic: "greeting" }]);
});

Deno.test("connect() and serve() carry 8 MiB both ways at once, unchanged", async () => {
  const size = 8 * 1_024 * 1_024;
  const limits = { maxQueuedBytes: 2 * size };
  const got = Promise.withResolvers<Uint8Array>();
  await using server = await serve(LOCAL, {
    limits,
    onConnect: (peer) => peer.send(pattern(size, 7)),
    onMessage: ({ body }) => got.resolve(body),
  });
  await using client = await connect(server.addr, { limits });
  await client.send(pattern(size, 3));
  const [message] = await collect(client.messages, 1);
  assert(isPattern(message?.body, size, 7), "What the client got is not what was sent");
  assert(isPattern(await got.promise, size, 3), "What the server got is not what was sent");
});

Deno.test("serve() takes 100 clients at once, each in its order", async () => {
  const got = new Map<string, number[]>();
  const all = Promise.withResolvers<void>();
  let count = 0;
  await using server = await serve(LOCAL, {
    serializer: json<number>(),
    onMessage: ({ body }, { id }) => {
      const list = got.get(id) ?? [];
      list.push(body);
      got.set(id, list);
      if (++count === 100 * 50) all.resolve();
    },
  });
  const clients = await Promise.all(Array.from(
    { length: 100 },
    (_, n) => connect(server.addr, { id: `client-${n}`, serializer: json<number>() }),
  ));
  for (let n = 0; n < 50; n++) for (const client of clients) client.send(n);
  await all.promise;
  const expected = Array.from({ length: 50 }, (_, n) => n);
  assertEquals(got.size, 100);
  for (const list of got.values()) assertEquals(list, expected);
  await Promise.all(clients.map((client) => client.close()));
});

Deno.test("Server.broadcast() reaches 50 clients over TCP, but for one", async () => {
  await using server = await serve(LOCAL, { serializer: text() });
  const clients = await Promise.all(Array.from(
    { length: 50 },
    (_, n) => connect(server.addr, { id: `${n}`, serializer: text() }),
  ));
  const except = server.peers.get("7");
  assert(except !== undefined);
  const { sent, queued, skipped } = await server.broadcast("news", { except });
  assertEquals([sent + queued, skipped], [49, 0]);
  assertEquals(await server.push("7", "for you alone"), true);
  const heard = await Promise.all(clients.map(({ messages }) => collect(messages, 1)));
  assertEquals(
    heard.map((messages) => bodies(messages)[0]),
    Array.from({ length: 50 }, (_, n) => n === 7 ? "for you alone" : "news"),
  );
  await Promise.all(clients.map((client) => client.close()));
});

Deno.test("Client comes back to a server that was restarted on its port", async () => {
  const first = await serve(LOCAL, { serializer: text() });
  const { addr } = first;
  const reconnect = { delay: 50 };
  await using client = await connect(addr, { serializer: text(), reconnect });
  const events = client.events()[Symbol.asyncIterator]();
  first.abort();
  const seen: string[] = [];
  const next = async () => {
    const { value } = await events.next();
    seen.push(value?.type ?? "end");
    return value?.type;
  };
  while (await next() !== "wait");
  client.send("kept for the next server");
  const got = Promise.withResolvers<string>();
  await using _second = await serve(addr, {
    serializer: text(),
    onMessage: ({ body }) => got.resolve(body),
  });
  assertEquals(await got.promise, "kept for the next server");
  assertEquals(seen, ["disconnect", "wait"]);
});

Deno.test("serve() on several addresses has one registry, and binds all or none", async () => {
  const server = await serve([LOCAL, LOCAL], { serializer: text() });
  const ports = server.addrs.map(({ port }) => port);
  assert(ports[0] !== ports[1] && server.addr.port === ports[0]);
  const clients = await Promise.all(
    server.addrs.map((addr, n) => connect(addr, { id: `${n}`, serializer: text() })),
  );
  assertEquals([server.peers.size, server.peers.has("0"), server.peers.has("1")], [2, true, true]);
  const taken = await assertRejects(
    () => serve([LOCAL, server.addr], { serializer: text() }),
    ConnectError,
  );
  assertEquals([taken.code, taken.initiator], ["ADDRESS_IN_USE", "local"]);
  await Promise.all(clients.map((client) => client.close()));
  await server.close();
});

Deno.test("serve() takes the runtime's own listeners, and closes them", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  {
    await using server = await serve([listener, LOCAL]);
    assertEquals([server.addr.port, server.addrs.length], [listener.addr.port, 2]);
    await using client = await connect(server.addr);
    assertEquals(client.state, "open");
  }
  await assertRejects(() => listener.accept(), Deno.errors.BadResource);
});

Deno.test("Server.close() ends its clients with DRAINING, and frees its port", async () => {
  const server = await serve(LOCAL);
  await using client = await connect(server.addr, { reconnect: false });
  const [info] = await Promise.all([server.close({ reason: "Good night" }), client.closed]);
  assertEquals([info.code, info.reason], ["NORMAL", "Good night"]);
  const { code, reason, initiator } = await client.closed;
  assertEquals([code, reason, initiator], ["DRAINING", "Good night", "remote"]);
  await using again = await serve(server.addr);
  assertEquals(again.addr.port, server.addr.port);
});

Deno.test("Server.abort() and Client.abort() leave nothing open", async () => {
  const server = await serve(LOCAL);
  const clients = await Promise.all(
    Array.from({ length: 5 }, () => connect(server.addr, { reconnect: false })),
  );
  clients[0]?.abort();
  server.abort();
  await Promise.all([...clients.map(({ closed }) => closed), server.closed]);
  assertEquals(server.peers.size, 0);
});

Deno.test("Peer.send() in a loop is held back by a slow reader on TCP", async () => {
  const peers: ServerPeer<Untyped<string>>[] = [];
  const release = Promise.withResolvers<void>();
  await using server = await serve(LOCAL, {
    serializer: text(),
    onConnect: (peer) => peers.push(peer),
    onMessage: () => release.promise,
  });
  await using client = await connect(server.addr, { serializer: text() });
  let sent = 0;
  let waiting: Promise<void> | undefined;
  // One after the other until one has to wait: the window of 1 MiB is full then.
  for (; sent < 200; sent++) {
    const sending = client.send("x".repeat(30_000));
    const first = await Promise.race([sending.then(() => "sent"), afterRoundTrip(client)]);
    if (first === "sent") continue;
    waiting = sending;
    break;
  }
  assert(waiting !== undefined && sent > 30 && sent < 60, `${sent} messages were sent`);
  release.resolve();
  await waiting;
});

Deno.test("Client.send() after the end does not end the process", async () => {
  await using server = await serve(LOCAL, { serializer: text() });
  const client = new Client<Text>(server.addr, { serializer: text(), reconnect: false });
  await client.opened;
  const [peer] = server.peers;
  await client.close();
  await peer?.closed;
  client.send("nobody looks at this promise");
  peer?.send("nor at this one");
  await assertRejects(() => client.send("at this one yes"), ClosedError);
});

/** Tells that a PING has overtaken whatever waits. */
async function afterRoundTrip(client: Client<Text>): Promise<string> {
  await client.ping();
  await client.ping();
  return "waits";
}

function pattern(size: number, step: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at++) bytes[at] = (at * step) >>> 8;
  return bytes;
}

function isPattern(bytes: Uint8Array | undefined, size: number, step: number): boolean {
  return bytes?.length === size && bytes.every((byte, at) => byte === ((at * step) >>> 8 & 0xff));
}
