/** The adapter over a platform's WebSocket, with a platform that does what the test says. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClosedError } from "../../src/base/errors.ts";
import type { Bytes } from "../../src/base/types.ts";
import { ManualClock } from "../../src/testing/clock.ts";
import { NativeWebSocket, type PlatformSocket } from "../../src/websocket/native.ts";
import { resolveSettings } from "../../src/websocket/settings.ts";
import type { WebSocketOptions } from "../../src/websocket/types.ts";
import { body } from "../_support/feed.ts";
import { settle, take } from "./_support.ts";

type Listener<K extends keyof WebSocketEventMap> = (event: WebSocketEventMap[K]) => void;

/** A platform. */
class FakeSocket implements PlatformSocket {
  binaryType: BinaryType = "blob";
  bufferedAmount = 0;
  protocol = "agreed";
  readyState: number = WebSocket.CONNECTING;
  readonly sent: (string | Bytes)[] = [];
  readonly closes: (number | undefined)[] = [];
  readonly #listeners: { [K in keyof WebSocketEventMap]: Listener<K>[] } = {
    open: [],
    message: [],
    error: [],
    close: [],
  };

  addEventListener<K extends keyof WebSocketEventMap>(type: K, listener: Listener<K>): void {
    this.#listeners[type].push(listener);
  }

  send(message: string | Bytes): void {
    this.sent.push(message);
    this.bufferedAmount += message.length;
  }

  /** As browsers do: most codes are not for applications. */
  close(code?: number): void {
    this.closes.push(code);
    if (code !== undefined && code !== 1000 && code < 3_000) throw new DOMException("No such code");
    this.readyState = WebSocket.CLOSING;
  }

  open(): void {
    this.readyState = WebSocket.OPEN;
    this.#tell("open", new Event("open"));
  }

  message(data: unknown): void {
    this.#tell("message", new MessageEvent("message", { data }));
  }

  fail(message?: string): void {
    const event = message === undefined ? new Event("error") : new ErrorEvent("error", { message });
    this.#tell("error", event);
  }

  closed(code: number, reason = ""): void {
    this.readyState = WebSocket.CLOSED;
    this.#tell("close", new CloseEvent("close", { code, reason }));
  }

  #tell<K extends keyof WebSocketEventMap>(type: K, event: WebSocketEventMap[K]): void {
    for (const listener of this.#listeners[type]) listener(event);
  }
}

function adapt(options: WebSocketOptions = {}) {
  const clock = new ManualClock();
  const socket = new FakeSocket();
  const ws = new NativeWebSocket({
    socket,
    id: "1",
    url: "ws://test/",
    settings: resolveSettings(options),
    options,
    clock,
    request: new Request("http://test/"),
  });
  return { ws, socket, clock };
}

Deno.test("NativeWebSocket keeps what is sent before it is open", async () => {
  const { ws, socket } = adapt({ highWaterMark: 1_000 });
  await ws.send("early");
  ws.send(body(3));
  assertEquals([socket.sent, ws.queued], [[], { bytes: 8, frames: 2 }]);
  socket.open();
  assertEquals([socket.sent, ws.protocol], [["early", body(3)], "agreed"]);
  socket.closed(1000);
  await ws.closed;
});

Deno.test("NativeWebSocket asks the platform whether there is room again, and for no longer than needed", async () => {
  const { ws, socket, clock } = adapt({ highWaterMark: 10 });
  socket.open();
  let done = false;
  ws.send(body(20)).then(() => done = true);
  await clock.advance(100);
  assertEquals([done, clock.pending], [false, 1]);
  socket.bufferedAmount = 0;
  await clock.advance(5);
  assertEquals([done, clock.pending], [true, 0]);
  const waiting = ws.send(body(20));
  socket.closed(1000);
  await assertRejects(() => waiting, ClosedError);
  assertEquals(clock.pending, 0);
});

Deno.test("NativeWebSocket says 1006 where the platform says 0, and why", async () => {
  for (const words of ["Connection reset", undefined]) {
    const errors: unknown[] = [];
    const { ws, socket } = adapt({ onError: (error) => errors.push(error) });
    socket.open();
    socket.fail(words);
    socket.closed(0);
    const info = await ws.closed;
    await settle();
    assertEquals([info.code, info.wasClean, info.initiator], [1006, false, "network"]);
    assertEquals(info.reason, words ?? "The platform's WebSocket failed");
    assertEquals(errors, [info.error]);
  }
  const { ws, socket } = adapt();
  socket.closed(1006);
  assertEquals((await ws.closed).reason, "The connection ended without a close frame");
});

Deno.test("NativeWebSocket closes with the code that the platform lets it say", async () => {
  const { ws, socket, clock } = adapt({ only: "text", closeTimeout: 300 });
  socket.open();
  socket.message(new ArrayBuffer(1));
  assertEquals(socket.closes, [1003, undefined]);
  socket.message("late");
  socket.closed(1000);
  assertEquals(await ws.closed, {
    code: 1003,
    reason: "A message must be text",
    wasClean: false,
    initiator: "remote",
  });
  assertEquals([await take(ws, 1), clock.pending], [[], 0]);
});

Deno.test("NativeWebSocket gives up on a close frame that is not answered", async () => {
  const { ws, socket, clock } = adapt({ closeTimeout: 300 });
  socket.open();
  const closed = ws[Symbol.asyncDispose]();
  await clock.advance(300);
  await closed;
  assertEquals([(await ws.closed).code, clock.pending], [1006, 0]);
  socket.closed(1000);
  ws.abort();
  assertEquals((await ws.closed).code, 1006);
});

Deno.test("NativeWebSocket: a callback that fails closes with 1011", async () => {
  for (const callback of ["onOpen", "onMessage"] as const) {
    const errors: unknown[] = [];
    const { ws, socket } = adapt({
      [callback]: () => Promise.reject(new Error("secret")),
      onError: (error) => errors.push(error),
    });
    socket.open();
    if (callback === "onMessage") socket.message("x");
    await settle();
    assertEquals([socket.closes[0], errors.length], [1011, 1]);
    assert(!(await ws.send("x").catch((error) => error) === undefined));
    socket.closed(1011);
    assertEquals((await ws.closed).initiator, "local");
  }
});
