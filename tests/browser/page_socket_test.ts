/**
 * A page's WebSocket against real servers on loopback. Deno has the same class as a browser, so what a session
 * gets of it can be seen here.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Addr, type Clock, ConnectError, LimitError, type MessageTransport } from "@vgo/vnet";
import { faultProxy, ManualClock } from "@vgo/vnet/testing";
import { serveWebSocket, type WebSocketServeOptions } from "@vgo/vnet/websocket";
import { systemClock } from "../../src/net/clock.ts";
import { openPageSocket } from "../../src/runtime/page_socket.ts";
import { settle, take } from "../websocket/_support.ts";

const LIMITS: WebSocketServeOptions = { protocols: ["vnet.1"], pingInterval: false };

/** Dials, in real time unless the test says so. */
function dial(addr: Addr, signal?: AbortSignal, clock: Clock = systemClock) {
  return openPageSocket(addr, signal === undefined ? {} : { signal }, clock);
}

/** A server that accepts connections, and says nothing. */
function serveSilence() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conns: Deno.Conn[] = [];
  const done = (async () => {
    for await (const conn of listener) conns.push(conn);
  })();
  return {
    addr: Addr.parse(`ws://127.0.0.1:${listener.addr.port}/`),
    conns,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const conn of conns) conn.close();
      await done;
    },
  };
}

/** Resolves when a server has no client any more, which is when none of its sockets is open. */
async function gone(server: { readonly clients: { readonly size: number } }): Promise<void> {
  while (server.clients.size > 0) await settle();
}

Deno.test("openPageSocket() carries messages both ways, in order, and ends with close()", async () => {
  await using server = await serveWebSocket("ws://127.0.0.1:0/chat", {
    ...LIMITS,
    onMessage: (message, ws) => ws.send(message),
  });
  const socket = await dial(server.addr);
  assertEquals(`${socket.remoteAddr}`, `${server.addr}`);
  for (let n = 0; n < 100; n++) await socket.send(new Uint8Array([n]));
  await socket.send(new Uint8Array(1_000_000).fill(7));
  const echoes = await take(socket, 101);
  assertEquals(echoes.slice(0, 100), Array.from({ length: 100 }, (_, n) => new Uint8Array([n])));
  assertEquals(echoes[100], new Uint8Array(1_000_000).fill(7));
  await socket.close();
  assertEquals(await Array.fromAsync(socket), []);
  await assertRejects(async () => await socket.send(new Uint8Array(1)), Error, "not open any more");
  await gone(server);
});

Deno.test("openPageSocket() gives what came with the opening, text as text, and then the end", async () => {
  await using server = await serveWebSocket("ws://127.0.0.1:0/", {
    ...LIMITS,
    onOpen(ws) {
      ws.send("text");
      ws.send(new Uint8Array([1]));
      ws.close(1001, "no more");
    },
  });
  const socket = await dial(server.addr);
  await settle(5);
  assertEquals(await Array.fromAsync(socket), ["text", new Uint8Array([1])]);
  await socket.close();
});

Deno.test("openPageSocket() refuses another subprotocol", async () => {
  await using server = await serveWebSocket("ws://127.0.0.1:0/", { protocols: ["other"] });
  const error = await assertRejects(() => dial(server.addr), ConnectError);
  assertEquals([error.code, error.initiator], ["WRONG_PROTOCOL", "remote"]);
  await gone(server);
});

Deno.test("openPageSocket() rejects with UNREACHABLE when it is refused, or nobody listens", async () => {
  const server = await serveWebSocket("ws://127.0.0.1:0/", { ...LIMITS, accept: () => false });
  const refused = await assertRejects(() => dial(server.addr), ConnectError);
  await server.close();
  const nobody = await assertRejects(() => dial(server.addr), ConnectError);
  for (const error of [refused, nobody]) {
    assertEquals([error.code, error.initiator], ["UNREACHABLE", "network"]);
  }
});

Deno.test("openPageSocket() rejects with TIMEOUT when there is no answer in time", async () => {
  await using server = serveSilence();
  const clock = new ManualClock();
  const opening = openPageSocket(server.addr, { timeout: 2_000 }, clock);
  await Promise.all([
    assertRejects(() => opening, ConnectError, "no answer in 2000 ms"),
    clock.advance(2_000),
  ]);
  assertEquals(clock.pending, 0);
});

Deno.test("openPageSocket() rejects with the signal's own reason, and leaves nothing behind", async () => {
  await using server = serveSilence();
  const clock = new ManualClock();
  const stop = new AbortController();
  const opening = dial(server.addr, stop.signal, clock);
  while (server.conns.length === 0) await settle();
  stop.abort("enough");
  assertEquals(await opening.catch((reason) => reason), "enough");
  assertEquals(clock.pending, 0);
  assertEquals(await dial(server.addr, stop.signal).catch((reason) => reason), "enough");
  await settle(5);
  assertEquals(server.conns.length, 1, "The second dial has dialled");
});

Deno.test("openPageSocket() aborted at any moment leaves nothing behind", async () => {
  await using server = await serveWebSocket("ws://127.0.0.1:0/", LIMITS);
  let opened = 0;
  for (let turns = 0; turns < 30; turns++) {
    const stop = new AbortController();
    const opening = dial(server.addr, stop.signal);
    await settle(turns);
    stop.abort("enough");
    try {
      await (await opening).close();
      opened++;
    } catch (reason) {
      assertEquals(reason, "enough");
    }
  }
  assert(opened < 30, "None was aborted before it was open");
  await gone(server);
});

Deno.test("openPageSocket() takes what a browser refuses for a mistake of the program", async () => {
  const addr = Addr.parse({ transport: "ws", hostname: "no host", port: 1 });
  await assertRejects(() => dial(addr), TypeError, "as the browser refuses to");
});

Deno.test("M4 send() waits while the page's socket is full: 100 MB never pile up in it", async () => {
  await using server = await serveWebSocket("ws://127.0.0.1:0/", { ...LIMITS, onMessage() {} });
  await using proxy = await faultProxy(`127.0.0.1:${server.addr.port}`);
  const clock = new ManualClock();
  const socket = await dial(Addr.parse(`ws://${proxy.addr.host}/`), undefined, clock);
  proxy.links[0]?.blackhole("up");
  const chunk = new Uint8Array(65_536);
  let accepted = 0;
  let pending: unknown;
  // Only a send that waits has set a timer, and nothing else advances the clock.
  while (accepted < 100_000_000) {
    pending = socket.send(chunk);
    await settle(2);
    if (clock.pending > 0 && !await drains(clock)) break;
    accepted += chunk.length;
  }
  assert(accepted < 50_000_000, `${accepted} bytes were accepted`);
  proxy.links[0]?.heal();
  while (clock.pending > 0) {
    await settle();
    await clock.advance(10);
  }
  await pending;
  await socket.close();
  await gone(server);
});

/** Whether what a send waits for happens when it is looked at a hundred times more. */
async function drains(clock: ManualClock): Promise<boolean> {
  for (let looks = 0; looks < 100 && clock.pending > 0; looks++) {
    await settle();
    await clock.advance(10);
  }
  return clock.pending === 0;
}

Deno.test("abort() wakes a send that waits for room", async () => {
  await using server = await serveWebSocket("ws://127.0.0.1:0/", { ...LIMITS, onMessage() {} });
  await using proxy = await faultProxy(`127.0.0.1:${server.addr.port}`);
  const clock = new ManualClock();
  const socket = await dial(Addr.parse(`ws://${proxy.addr.host}/`), undefined, clock);
  proxy.links[0]?.blackhole("both");
  let pending: unknown;
  for (let n = 0; clock.pending === 0; n++) {
    assert(n < 100, "100 MB were taken at once");
    pending = socket.send(new Uint8Array(1_000_000));
    await settle(2);
  }
  abort(socket);
  await pending;
  assertEquals([clock.pending, await Array.fromAsync(socket)], [0, []]);
  for (const link of proxy.links) link.cut();
  await gone(server);
});

Deno.test("abort() is deaf to what still comes", async () => {
  await using server = await serveWebSocket("ws://127.0.0.1:0/", LIMITS);
  const socket = await dial(server.addr);
  for (const ws of server.clients.values()) for (let n = 0; n < 10; n++) ws.send("late");
  abort(socket);
  await gone(server);
  assertEquals(await Array.fromAsync(socket), []);
});

Deno.test("a page's socket that nobody reads does not fill the memory", async () => {
  await using server = await serveWebSocket("ws://127.0.0.1:0/", {
    ...LIMITS,
    maxQueuedBytes: 1 << 26,
  });
  const socket = await dial(server.addr);
  const [ws] = server.clients.values();
  for (let n = 0; n < 40; n++) ws?.send(new Uint8Array(1 << 20));
  await ws?.closed;
  let read = 0;
  const error = await assertRejects(async () => {
    for await (const message of socket) read += message.length;
  }, LimitError);
  assertEquals([error.code, error.initiator], ["QUEUE_FULL", "remote"]);
  assert(read > 1 << 24 && read <= (1 << 24) + (1 << 20), `${read} bytes were kept`);
});

function abort(socket: MessageTransport): void {
  assert(socket.abort !== undefined);
  socket.abort();
}
