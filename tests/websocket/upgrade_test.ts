/** WebSockets on servers that exist: of `node:http` and of `Deno.serve`. */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { createServer, type Server } from "node:http";
import {
  ClosedError,
  ConnectError,
  connectWebSocket,
  LimitError,
  type NativeUpgradeOptions,
  ProtocolError,
  upgradeWebSocket,
  VnetError,
  type WebSocketConn,
  type WebSocketUpgradeOptions,
} from "@vgo/vnet/websocket";
import { body, hex, join } from "../_support/feed.ts";
import { settle, take, writeAll } from "./_support.ts";

const MIB = new Uint8Array(1 << 20).fill(7);

// ── node:http ──

/** A server of Node's whose upgrades are ours; plain requests get an answer too. */
async function nodeServer(options: WebSocketUpgradeOptions = {}) {
  const sockets: WebSocketConn[] = [];
  const errors: unknown[] = [];
  const http = createServer((_request, response) => void response.end("plain HTTP"));
  http.on("upgrade", async (request, socket, head) => {
    try {
      sockets.push(await upgradeWebSocket(request, socket, head, options));
    } catch (error) {
      errors.push(error);
    }
  });
  const port = await listening(http);
  return {
    url: `ws://127.0.0.1:${port}/`,
    port,
    sockets,
    errors,
    async [Symbol.asyncDispose]() {
      for (const ws of sockets) ws.abort();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

function listening(http: Server): Promise<number> {
  return new Promise((resolve) => {
    http.listen(0, "127.0.0.1", () => {
      const address = http.address();
      if (typeof address === "object" && address !== null) resolve(address.port);
    });
  });
}

Deno.test("upgradeWebSocket() takes over a connection of node:http, with all that ours can do", async () => {
  await using server = await nodeServer({
    protocols: ["chat"],
    compression: true,
    onMessage: (message, ws) => ws.send(message),
  });
  const ws = await connectWebSocket(`${server.url}room?a=1`, {
    protocols: ["chat"],
    compression: true,
  });
  for (const message of ["text", body(10), "x".repeat(10_000), body(500_000)]) {
    await ws.send(message);
    assertEquals(await take(ws, 1), [message]);
  }
  assert(await ws.ping() >= 0);
  const [other] = server.sockets;
  assert(other !== undefined && await other.ping() >= 0);
  assertEquals([other.protocol, other.url, other.missing], ["chat", `${server.url}room?a=1`, []]);
  assertEquals([other.localAddr.port, other.remoteAddr.hostname], [server.port, "127.0.0.1"]);
  const info = await ws.close(4_000, "bye");
  assertEquals([info.wasClean, (await other.closed).reason], [true, "bye"]);
  const plain = await fetch(server.url.replace("ws", "http"));
  assertEquals(await plain.text(), "plain HTTP");
});

Deno.test("upgradeWebSocket() on node:http takes what came behind the request", async () => {
  await using server = await nodeServer({ onMessage: (message, ws) => ws.send(message) });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  const head = [
    "GET / HTTP/1.1",
    "Host: a",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "\r\n",
  ].join("\r\n");
  await writeAll(conn, join(head, hex("8181 00000000 61")));
  let text = "";
  const buffer = new Uint8Array(1_000);
  while (!text.endsWith("\x01a")) {
    text += new TextDecoder("latin1").decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
  }
  assert(text.startsWith("HTTP/1.1 101 "));
});

Deno.test("upgradeWebSocket() on node:http refuses, and says so on both ends", async () => {
  await using server = await nodeServer({ accept: (request) => !request.url.endsWith("/no") });
  await assertRejects(() => connectWebSocket(`${server.url}no`), ConnectError, "403 Forbidden");
  while (server.errors.length === 0) await settle();
  assertInstanceOf(server.errors[0], ProtocolError);
  await using strict = await nodeServer();
  await assertRejects(
    () => connectWebSocket(strict.url, { headers: { origin: "http://evil.example" } }),
    ConnectError,
    "403 Forbidden",
  );
});

Deno.test("upgradeWebSocket() on node:http: backpressure goes through", async () => {
  await using server = await nodeServer();
  const ws = await connectWebSocket(server.url);
  while (server.sockets.length === 0) await settle();
  const [other] = server.sockets;
  assert(other !== undefined);
  let sent = 0;
  const sending = (async () => {
    for (; sent < 60; sent++) await ws.send(MIB);
  })();
  for (let i = 0; i < 50; i++) await settle();
  assert(sent < 40, `${sent} MiB went without anybody to take them`);
  for (const message of await take(other, 60)) assertEquals(message.length, 1 << 20);
  await sending;
  other.abort();
  assertEquals((await ws.closed).code, 1006);
});

// ── Deno.serve ──

/** A server of the runtime's. */
function denoServer(options: NativeUpgradeOptions = {}) {
  const sockets: WebSocketConn[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { socket, response } = upgradeWebSocket(request, options);
    sockets.push(socket);
    return response;
  });
  return {
    url: `ws://127.0.0.1:${server.addr.port}/`,
    sockets,
    async [Symbol.asyncDispose]() {
      await Promise.all(sockets.map((ws) => ws.closed));
      await server.shutdown();
    },
  };
}

Deno.test("upgradeWebSocket() on Deno.serve: messages, callbacks, subprotocol, endings", async () => {
  const log: string[] = [];
  await using server = denoServer({
    protocols: ["chat"],
    onOpen: (ws, request) => log.push(`open ${ws.protocol} ${new URL(request.url).pathname}`),
    onMessage: (message, ws) => ws.send(message),
    onClose: ({ code, reason }) => log.push(`close ${code} ${reason}`),
  });
  await using ws = await connectWebSocket(`${server.url}room`, { protocols: ["x", "chat"] });
  assertEquals(ws.protocol, "chat");
  for (const message of ["text", body(100_000)]) {
    await ws.send(message);
    assertEquals(await take(ws, 1), [message]);
  }
  const info = await ws.close(4_000, "bye");
  assertEquals([info.code, info.wasClean], [4_000, true]);
  const [native] = server.sockets;
  assertEquals((await native?.closed)?.initiator, "remote");
  await settle();
  assertEquals(log, ["open chat /room", "close 4000 bye"]);
});

Deno.test("upgradeWebSocket() on Deno.serve: a loop, and a close of its own", async () => {
  await using server = denoServer();
  const ws = await connectWebSocket(server.url);
  const [native] = server.sockets;
  assert(native !== undefined);
  await native.send("early or not");
  ws.send("one");
  ws.send("two");
  assertEquals(await take(native, 2), ["one", "two"]);
  const closed = native.close(4_001, "enough");
  await assertRejects(() => native.send("late"), ClosedError);
  assertEquals((await ws.closed).code, 4_001);
  assertEquals(await closed, {
    code: 4_001,
    reason: "enough",
    wasClean: true,
    initiator: "local",
  });
});

Deno.test("upgradeWebSocket() on Deno.serve lists what it cannot do, and says so when it is used", async () => {
  await using server = denoServer({ compression: true });
  await using ws = await connectWebSocket(server.url, { compression: true });
  const [native] = server.sockets;
  assert(native !== undefined);
  assertEquals(native.missing, [
    "ping",
    "fragments",
    "readBackpressure",
    "compression",
    "abort",
    "addresses",
  ]);
  const unable: (() => Promise<unknown>)[] = [
    () => native.ping(),
    () => native.pong(),
    () => native.write(body(1), 2, { fin: false }),
    () => native.write(body(1), 0),
    () => native.write(body(1), 9),
  ];
  for (const use of unable) {
    const error = await assertRejects(use, VnetError, "the platform's WebSocket is in use");
    assertInstanceOf(error, VnetError);
    assertEquals(error.code, "UNSUPPORTED");
  }
  await native.write(body(1), 2);
  await native.write(new TextEncoder().encode("text"), 1);
  assertEquals(await take(ws, 2), [body(1), "text"]);
  assertEquals(native.lastPongAt, undefined);
});

Deno.test("upgradeWebSocket() on Deno.serve: send() waits, and refuses beyond maxQueuedBytes", async () => {
  await using server = denoServer({ maxQueuedBytes: 8 << 20 });
  const ws = await connectWebSocket(server.url, { readAhead: 1 });
  const [native] = server.sockets;
  assert(native !== undefined);
  let accepted = 0;
  for (let i = 0; i < 30; i++) {
    native.send(MIB).catch((error) => assertInstanceOf(error, LimitError));
    if (native.queued.bytes < 8 << 20) accepted++;
  }
  assert(accepted < 25 && native.queued.bytes <= 9 << 20, `${accepted}`);
  await assertRejects(() => native.send("x"), LimitError);
  let taken = 0;
  const taking = (async () => {
    for await (const message of ws) taken += message.length;
  })();
  while (native.queued.bytes >= 8 << 20) await settle();
  await native.send(MIB);
  assert(native.queued.bytes < 65_536);
  native.close();
  await taking;
  assert(taken >= accepted << 20);
});

Deno.test("upgradeWebSocket() on Deno.serve: who sends faster than it is taken is closed with 1008", async () => {
  await using server = denoServer({ maxMessageLength: 100_000, readAhead: 1_000 });
  const ws = await connectWebSocket(server.url);
  for (let i = 0; i < 30; i++) ws.send(body(10_000));
  const info = await server.sockets[0]?.closed;
  assertEquals([info?.code, info?.initiator], [1008, "remote"]);
  // Whether the close frame gets through is the platform's affair: it leaves input unread.
  assert((await ws.closed).initiator !== "local");
});

Deno.test("upgradeWebSocket() on Deno.serve: limits of a message", async () => {
  const wrong: [NativeUpgradeOptions, string | Uint8Array, number][] = [
    [{ maxMessageLength: 10 }, body(11), 1009],
    [{ only: "binary" }, "text", 1003],
    [{ only: "text" }, body(1), 1003],
  ];
  for (const [options, message, code] of wrong) {
    await using server = denoServer(options);
    const ws = await connectWebSocket(server.url);
    ws.send(message);
    assertEquals((await ws.closed).code, code);
  }
});

Deno.test("upgradeWebSocket() on Deno.serve refuses pages of other hosts, and what is no upgrade", async () => {
  await using server = denoServer();
  const evil = { headers: { origin: "http://evil.example" } };
  await assertRejects(() => connectWebSocket(server.url, evil), ConnectError, "403");
  const [refused] = server.sockets;
  assert(refused !== undefined);
  assertEquals([(await refused.closed).code, await take(refused, 1)], [1006, []]);
  await assertRejects(() => refused.send("x"), ClosedError);
  const plain = await fetch(server.url.replace("ws", "http"));
  assertEquals([plain.status, plain.headers.get("upgrade")], [426, "websocket"]);
  await plain.body?.cancel();
  await using open = denoServer({ anyOrigin: true });
  await using _ws = await connectWebSocket(open.url, evil);
});

Deno.test("upgradeWebSocket() on Deno.serve: abort() is over at once", async () => {
  await using server = denoServer();
  const ws = await connectWebSocket(server.url);
  const [native] = server.sockets;
  native?.abort("enough");
  const info = await native?.closed;
  assertEquals([info?.code, info?.reason, info?.initiator], [1006, "enough", "local"]);
  await ws.closed;
});
