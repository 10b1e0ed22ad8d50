/** A WebSocket over a byte connection: messages, pings, endings, waits. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { ClosedError, LimitError, TimeoutError } from "../../src/base/errors.ts";
import type { WebSocketCloseInfo } from "../../src/websocket/types.ts";
import { body, sameFrames } from "../_support/feed.ts";
import { Rng } from "../_support/rng.ts";
import { CLOSE, close, frame, PING, PONG, TEXT } from "./_frames.ts";
import { openOne, openPair, settle, take } from "./_support.ts";

Deno.test("send() brings text and bytes to the other end, in order", async () => {
  for (const deflate of [undefined, { windowBits: 15 }]) {
    const { client, server } = openPair(deflate === undefined ? {} : { deflate });
    const sent = ["a", body(3), "", "ü".repeat(5_000), new Uint8Array(0), body(200_000)];
    for (const [from, to] of [[client, server], [server, client]] as const) {
      const taken = take(to, sent.length);
      for (const message of sent) await from.send(message);
      assert(sameFrames(await taken, sent));
    }
    const info = await client.close(3_000, "bye");
    assertEquals(info, { code: 3_000, reason: "bye", wasClean: true, initiator: "local" });
    assertEquals(await server.closed, { ...info, initiator: "remote" });
  }
});

Deno.test("send() of one turn goes out in one write", async () => {
  const { ws, other } = openOne("client");
  for (let i = 0; i < 100; i++) ws.send("x");
  assertEquals(ws.queued, { bytes: 700, frames: 100 });
  const buffer = new Uint8Array(10_000);
  assertEquals(await other.transport.read(buffer), 700);
  await settle();
  assertEquals(ws.queued, { bytes: 0, frames: 0 });
  ws.abort();
});

Deno.test("the loop ends quietly, after all that came before the end", async () => {
  const { client, server } = openPair();
  server.send("one");
  server.send("two");
  server.close();
  const all: unknown[] = [];
  for await (const message of client) all.push(message);
  assertEquals(all, ["one", "two"]);
  for await (const message of client) all.push(message);
  assertEquals(all.length, 2);
  await client.closed;
});

Deno.test("leaving the loop closes nothing", async () => {
  const { client, server } = openPair();
  for (const text of ["one", "two", "three"]) server.send(text);
  assertEquals(await take(client, 1), ["one"]);
  assertEquals(await take(client, 2), ["two", "three"]);
  await client.close();
});

Deno.test("onMessage gets one message at a time: the next waits for a returned promise", async () => {
  const log: string[] = [];
  const gates: PromiseWithResolvers<void>[] = [];
  const { client, server } = openPair({
    server: {
      async onMessage(message) {
        log.push(`begin ${message}`);
        const gate = Promise.withResolvers<void>();
        gates.push(gate);
        await gate.promise;
        log.push(`end ${message}`);
      },
      onClose: () => log.push("close"),
    },
  });
  client.send("1");
  client.send("2");
  await settle();
  assertEquals(log, ["begin 1"]);
  const closed = client.close();
  await server.closed;
  gates[0]?.resolve();
  await settle();
  assertEquals(log, ["begin 1", "end 1", "begin 2"]);
  gates[1]?.resolve();
  await settle();
  assertEquals(log, ["begin 1", "end 1", "begin 2", "end 2", "close"]);
  await closed;
});

Deno.test("onOpen comes before the first message, onClose after the last, each once", async () => {
  const log: string[] = [];
  const { client, server } = openPair({
    client: {
      onOpen: (ws, request) => log.push(`open ${ws.url} ${request.url}`),
      onMessage: (message) => log.push(`message ${message}`),
      onClose: ({ code }, ws) => log.push(`close ${code} ${ws.protocol}`),
    },
  });
  server.send("hello");
  await server.close(4_000);
  await client.close();
  await settle();
  assertEquals(log, ["open ws://test/ http://test/", "message hello", "close 4000 "]);
});

Deno.test("a callback that fails ends the WebSocket with 1011, without its words", async () => {
  const failures: [string, object][] = [
    ["throws", { onMessage: () => fail() }],
    ["rejects", { onMessage: () => Promise.reject(new Error("secret")) }],
    ["fails to open", { onOpen: () => Promise.reject(new Error("secret")) }],
  ];
  for (const [name, callbacks] of failures) {
    const errors: unknown[] = [];
    const { client, server } = openPair({
      server: { ...callbacks, onError: (error) => errors.push(error) },
    });
    if (name !== "fails to open") await client.send("x");
    assertEquals(await client.closed, {
      code: 1011,
      reason: "",
      wasClean: true,
      initiator: "remote",
    }, name);
    assertEquals((await server.closed).initiator, "local", name);
    assertEquals(errors.map((error) => error instanceof Error && error.message), ["secret"], name);
  }
});

Deno.test("a callback that fails without onError is told to the logger; onError that fails as well", async () => {
  for (const onError of [undefined, () => fail()]) {
    const logged: string[] = [];
    const { client, server } = openPair({
      server: {
        onMessage: () => fail(),
        logger: { error: (message, fields) => logged.push(`${message}: ${fields?.error}`) },
        ...(onError === undefined ? {} : { onError }),
      },
    });
    client.send("x");
    await server.closed;
    assertEquals(logged, ["A callback of a WebSocket failed: Error: secret"]);
    await client.closed;
  }
});

Deno.test("iterating with onMessage throws", async () => {
  const { client, server } = openPair({ client: { onMessage() {} } });
  assertThrows(() => client[Symbol.asyncIterator](), TypeError, "as 'onMessage' takes them");
  client.abort();
  await server.closed;
});

Deno.test("ping() resolves with the round trip, and lastPongAt tells when", async () => {
  const { ws, clock, other } = openOne("client");
  assertEquals(ws.lastPongAt, undefined);
  const before = Date.now();
  const ping = ws.ping(body(5));
  assertEquals((await other.frames(1)).map(({ opcode, payload }) => [opcode, payload]), [
    [PING, body(5)],
  ]);
  await clock.advance(70);
  await other.send(frame(PONG, body(5)));
  assertEquals(await ping, 70);
  assert((ws.lastPongAt ?? 0) >= before && (ws.lastPongAt ?? 0) <= Date.now());
  ws.abort();
});

Deno.test("B7 a pong that is wrong, stale or not asked for settles nothing; a late one all before it", async () => {
  const { ws, clock, other } = openOne("server");
  const pings = [ws.ping(), ws.ping(), ws.ping()];
  const [one, two] = await other.frames(3);
  await other.send(frame(PONG, "unasked"));
  await clock.advance(10);
  await other.send(frame(PONG, two?.payload));
  assertEquals(await Promise.all(pings.slice(0, 2)), [10, 10]);
  await other.send(frame(PONG, one?.payload), frame(TEXT, "still here"));
  assertEquals(await take(ws, 1), ["still here"]);
  ws.abort();
  await assertRejects(() => pings[2] ?? Promise.resolve(), ClosedError);
});

Deno.test("ping() gives up after its timeout, and rejects with the reason of its signal", async () => {
  const { ws, clock } = openOne("client", { pingTimeout: 500 });
  const rejected = [
    assertRejects(() => ws.ping(), TimeoutError),
    assertRejects(() => ws.ping(body(1), { timeout: 20 }), TimeoutError),
  ];
  const stop = new AbortController();
  const aborted = ws.ping(undefined, { signal: stop.signal }).catch((reason) => reason);
  stop.abort("enough");
  assertEquals(await aborted, "enough");
  assertEquals(
    await ws.ping(undefined, { signal: stop.signal }).catch((reason) => reason),
    "enough",
  );
  await clock.advance(500);
  await Promise.all(rejected);
  await assertRejects(() => ws.ping(body(126)), RangeError, "at most 125 bytes");
  ws.abort();
  await assertRejects(() => ws.ping(), ClosedError);
});

Deno.test("pong() sends one that was not asked for", async () => {
  const { ws, other } = openOne("server");
  ws.pong(body(3));
  ws.pong();
  assertEquals((await other.frames(2)).map(({ opcode, payload }) => [opcode, payload.length]), [
    [PONG, 3],
    [PONG, 0],
  ]);
  ws.abort();
});

Deno.test("write() sends single frames; a message in between is refused", async () => {
  const { client, server } = openPair();
  client.write(body(3), 2, { fin: false });
  await assertRejects(() => client.send("x"), TypeError, "must end first");
  const ping = client.ping();
  client.write(body(3), 0);
  client.write(new TextEncoder().encode("text"), 1);
  assertEquals(await take(server, 2), [new Uint8Array([0, 1, 2, 0, 1, 2]), "text"]);
  await ping;
  await assertRejects(() => client.write(body(1), 0), TypeError, "none was begun");
  await client.close();
  await assertRejects(() => client.write(body(1), 2), ClosedError);
});

Deno.test("close() is idempotent, checks what it is given, and refuses what comes after", async () => {
  const { client, server } = openPair();
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 2000, 5000, 1000.5]) {
    assertThrows(() => void client.close(code), RangeError, `current value is ${code}`);
  }
  assertThrows(() => void client.close(1000, "ü".repeat(62)), RangeError, "current value is 124");
  const first = client.close(4_000, "x".repeat(123));
  assert(first === client.close(4_001));
  await assertRejects(() => client.send("late"), ClosedError, "it is closing");
  assertEquals((await first).code, 4_000);
  assert(first === client.close());
  await assertRejects(() => client.send("late"), ClosedError, "it has ended with 4000");
  assertEquals((await server.closed).reason, "x".repeat(123));
  await server.close();
  server.abort();
  await server[Symbol.asyncDispose]();
});

Deno.test("close() writes first what was accepted, and drops what nobody has taken", async () => {
  const { client, server } = openPair();
  server.send("never taken");
  await settle();
  for (let i = 0; i < 100; i++) client.send(body(10_000));
  const closed = client.close();
  assertEquals((await take(server, 200)).length, 100);
  await closed;
  assertEquals(await take(client, 1), []);
});

Deno.test("close() on both ends at once", async () => {
  const { client, server } = openPair();
  const [one, two] = await Promise.all([client.close(4_001, "a"), server.close(4_002, "b")]);
  assertEquals([one.code, one.wasClean, two.code, two.wasClean], [4_002, true, 4_001, true]);
});

Deno.test("close() waits closeTimeout for the answer, then ends with 1006", async () => {
  const { ws, clock, other } = openOne("client", { closeTimeout: 300 });
  const closed = ws.close();
  assertEquals((await other.frames(1))[0]?.opcode, CLOSE);
  await clock.advance(299);
  assertEquals(await stateOf(closed), "pending");
  await clock.advance(1);
  const info = await closed;
  assertEquals([info.code, info.wasClean, info.initiator], [1006, false, "network"]);
  assertEquals(await other.transport.read(new Uint8Array(1)), null);
});

Deno.test("after the closing handshake the server ends the connection, the client waits for it", async () => {
  const server = openOne("server");
  await server.other.send(close(1000));
  assertEquals((await server.other.frames()).map(({ opcode }) => opcode), [CLOSE]);
  assertEquals(await stateOf(server.ws.closed), "pending");
  server.other.transport.close();
  assertEquals((await server.ws.closed).code, 1000);

  const client = openOne("client");
  client.ws.close();
  await client.other.frames(1);
  await client.other.send(close(1000));
  await settle();
  assertEquals(await stateOf(client.ws.closed), "pending");
  await client.clock.advance(1_000);
  assertEquals((await client.ws.closed).wasClean, true);
  assertEquals(await client.other.transport.read(new Uint8Array(1)), null);
});

Deno.test("abort() ends at once; the other end sees 1006", async () => {
  const { client, server } = openPair();
  const reason = new Error("enough");
  client.send("lost, or not");
  client.abort(reason);
  client.abort();
  const info = await client.closed;
  assertEquals([info.code, info.reason, info.initiator], [1006, "enough", "local"]);
  assertEquals(info.error?.cause, reason);
  assertEquals((await server.closed).code, 1006);
  await assertRejects(() => client.send("x"), ClosedError);
});

Deno.test("abort() cuts the closing handshake short", async () => {
  const { ws, other } = openOne("client");
  ws.close();
  await other.frames(1);
  await other.send(close(1000));
  await settle();
  ws.abort();
  assertEquals((await ws.closed).code, 1000);
});

Deno.test("a lost connection ends with 1006, and onError is told why", async () => {
  const errors: unknown[] = [];
  const { ws, other } = openOne("server", { onError: (error) => errors.push(error) });
  await other.send(frame(TEXT, "whole"), frame(TEXT, "half", { fin: false }));
  await settle();
  other.transport.close();
  const info = await ws.closed;
  assertEquals([info.code, info.initiator, info.wasClean], [1006, "network", false]);
  await settle();
  assertEquals(errors, [info.error]);
  assertEquals(await take(ws, 2), ["whole"]);
});

Deno.test("what the other end said last is heard even where writing to it fails", async () => {
  const { ws, other, near } = openOne("client");
  Object.defineProperty(near, "write", { value: () => Promise.reject(new Error("broken")) });
  ws.send("x");
  await settle();
  await other.send(frame(TEXT, "last words"), close(4_000, "because"));
  assertEquals(await take(ws, 1), ["last words"]);
  other.transport.close();
  assertEquals((await ws.closed).reason, "because");
});

Deno.test("a write that fails ends the WebSocket, if nothing more is heard", async () => {
  const { ws, clock, near } = openOne("client");
  Object.defineProperty(near, "write", { value: () => Promise.reject(new Error("broken")) });
  ws.send("x");
  await settle();
  await clock.advance(1_000);
  assertEquals((await ws.closed).reason, "The connection was lost: broken");
});

Deno.test("send() beyond maxQueuedBytes rejects, and nothing is accepted", async () => {
  const { ws, other } = openOne("client", { maxQueuedBytes: 1_000, highWaterMark: 500 });
  const waiting = ws.send(body(2_000));
  const refused = await assertRejects(() => ws.send("x"), LimitError);
  assertInstanceOf(refused, LimitError);
  assertEquals([refused.code, refused.limit], ["QUEUE_FULL", "maxQueuedBytes"]);
  await other.frames(1);
  await waiting;
  assertEquals(ws.queued.bytes, 0);
  ws.abort();
});

Deno.test("options out of range are refused", () => {
  const bad: [object, string][] = [
    [{ maxMessageLength: 0 }, "'maxMessageLength' must be an integer from 1"],
    [{ maxMessageLength: Infinity }, "'maxMessageLength' must be an integer from 1"],
    [{ maxFrameLength: 1.5 }, "'maxFrameLength' must be an integer from 1"],
    [{ pingInterval: 0 }, "'pingInterval' must be 1 or more"],
    [{ pingTimeout: NaN }, "'pingTimeout' must be 1 or more"],
    [{ writeTimeout: -1 }, "'writeTimeout' must be 1 or more"],
    [{ highWaterMark: 0 }, "'highWaterMark' must be 1 or more"],
    [{ only: "both" }, `'only' must be "text" or "binary"`],
    [{ protocols: ["a b"] }, "must be a token"],
  ];
  for (const [options, words] of bad) {
    const error = assertThrows(() => openOne("client", options), Error, words);
    assert(error instanceof RangeError || error instanceof TypeError);
  }
});

Deno.test("many messages both ways at once, over a connection that takes and gives them in pieces", async () => {
  const rng = new Rng(42);
  const lists = [0, 1].map(() =>
    Array.from(
      { length: 500 },
      () => rng.int(2) === 0 ? rng.bytes(rng.int(3_000)) : "é".repeat(rng.int(900)),
    )
  );
  const [up = [], down = []] = lists;
  const { client, server } = openPair({ deflate: { windowBits: 12 } });
  const taken = [take(server, up.length), take(client, down.length)];
  const sending = [[client, up], [server, down]] as const;
  await Promise.all(sending.map(async ([ws, list]) => {
    for (const message of list) await ws.send(message);
  }));
  const [gotUp = [], gotDown = []] = await Promise.all(taken);
  assert(sameFrames(gotUp, up) && sameFrames(gotDown, down), "seed 42");
  await client.close();
});

function fail(): never {
  throw new Error("secret");
}

async function stateOf(promise: Promise<WebSocketCloseInfo>): Promise<string> {
  await settle();
  return await Promise.race([promise.then(() => "settled"), Promise.resolve("pending")]);
}
