/** A server on a listener that gives connections, and fails, as the test says. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Addr } from "../../src/base/addr.ts";
import { ConnectError } from "../../src/base/errors.ts";
import type { Transport, TransportListener } from "../../src/base/types.ts";
import { ManualClock } from "../../src/testing/clock.ts";
import { memoryPair } from "../../src/testing/memory_pair.ts";
import { Callbacks } from "../../src/websocket/callbacks.ts";
import { connectOver, prepare } from "../../src/websocket/client.ts";
import { SocketServer } from "../../src/websocket/server.ts";
import { resolveServe, resolveSettings } from "../../src/websocket/settings.ts";
import type { WebSocketConn, WebSocketServeOptions } from "../../src/websocket/types.ts";
import { settle, worldOf } from "./_support.ts";

/** Gives connections, or fails, as the test says. */
class HandListener implements TransportListener {
  #waiting: ((result: Transport | Error | undefined) => void) | undefined;
  closed = false;

  give(result: Transport | Error): void {
    this.#waiting?.(result);
  }

  close(): void {
    this.closed = true;
    this.#waiting?.(undefined);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Transport, void> {
    while (!this.closed) {
      const { promise, resolve } = Promise.withResolvers<Transport | Error | undefined>();
      this.#waiting = resolve;
      const result = await promise;
      if (result === undefined) return;
      if (result instanceof Error) throw result;
      yield result;
    }
  }
}

function byHand(options: WebSocketServeOptions = {}) {
  const clock = new ManualClock();
  const env = worldOf(clock);
  const listener = new HandListener();
  const serving = resolveServe(options);
  const gate = {
    settings: resolveSettings(options),
    options,
    env,
    callbacks: new Callbacks(options.logger, undefined),
    secure: false,
    hasRoute: () => true,
    handshakeTimeout: serving.handshakeTimeout,
  };
  const addrs = [Addr.parse("ws://127.0.0.1:0/")];
  const server = new SocketServer({ env, doors: [{ listener, gate }], addrs, serving, options });
  const connect = async (): Promise<WebSocketConn> => {
    const [near, far] = memoryPair();
    listener.give(far);
    const wanted = { pingInterval: false } as const;
    return await connectOver(near, prepare("ws://127.0.0.1/", wanted, env), wanted, env);
  };
  return { server, listener, clock, connect };
}

Deno.test("L3 accepting goes on after it failed, each time after a longer pause", async () => {
  const warnings: string[] = [];
  const { server, listener, clock, connect } = byHand({
    logger: { warn: (message) => warnings.push(message) },
    pingInterval: false,
  });
  for (const pause of [10, 20, 40]) {
    await settle();
    listener.give(new Error("Too many open files"));
    await settle();
    await clock.advance(pause);
  }
  assertEquals(warnings.map((text) => text.split(". ")[1]), [
    "Next try in 10 ms",
    "Next try in 20 ms",
    "Next try in 40 ms",
  ]);
  const ws = await connect();
  await settle();
  assertEquals(server.clients.size, 1);
  listener.give(new Error("again"));
  await settle();
  assert(warnings.at(-1)?.endsWith("Next try in 10 ms"));
  const closing = server.close();
  await settle();
  await clock.advance(1_000);
  assertEquals((await ws.closed).code, 1001);
  await closing;
  assertEquals(clock.pending, 0);
});

Deno.test("a hook that hangs is given up with the handshake", async () => {
  const gate = Promise.withResolvers<boolean>();
  const { server, clock, connect } = byHand({ accept: () => gate.promise, handshakeTimeout: 500 });
  await settle();
  const opening = assertRejects(connect, ConnectError);
  await settle();
  await clock.advance(500);
  await opening;
  gate.resolve(true);
  await settle();
  assertEquals(server.clients.size, 0);
  await server.close();
  assertEquals(clock.pending, 0);
});

Deno.test("a client whose handshake ends while the server does is sent away", async () => {
  for (const way of ["close", "abort"] as const) {
    const gate = Promise.withResolvers<boolean>();
    const { server, clock, connect } = byHand({ accept: () => gate.promise, pingInterval: false });
    await settle();
    const opening = connect().catch((error) => error);
    await settle();
    gate.resolve(true);
    if (way === "close") server.close();
    else server.abort();
    assert(await opening instanceof ConnectError);
    await settle();
    await clock.advance(20_000);
    await server.closed;
    assertEquals([server.clients.size, clock.pending], [0, 0]);
  }
});

Deno.test("who comes beyond maxHandshakes is answered 503, and beyond twice of it just closed", async () => {
  const gate = Promise.withResolvers<boolean>();
  const options = { accept: () => gate.promise, maxHandshakes: 1, pingInterval: false } as const;
  const { server, listener, clock, connect } = byHand(options);
  await settle();
  const first = connect();
  await settle();
  const buffer = new Uint8Array(1_000);
  const [second, third] = [memoryPair(), memoryPair()];
  listener.give(second[1]);
  const count = await second[0].read(buffer) ?? 0;
  assert(new TextDecoder().decode(buffer.subarray(0, count)).startsWith("HTTP/1.1 503 "));
  // It does not hang up, and so keeps its place for a moment.
  listener.give(third[1]);
  assertEquals(await third[0].read(buffer), null);
  second[0].close();
  gate.resolve(true);
  const ws = await first;
  await settle();
  assertEquals(server.clients.size, 1);
  ws.abort();
  await server.close();
  await clock.advance(20_000);
  assertEquals(clock.pending, 0);
});

Deno.test("a transport of messages is closed: there is nothing to make a handshake on", async () => {
  const { server, listener } = byHand();
  await settle();
  let closed = false;
  const transport = {
    send() {},
    close: () => closed = true,
    async *[Symbol.asyncIterator]() {},
  };
  listener.give(transport);
  await settle();
  assert(closed);
  await server.close();
});
