/** Backpressure in both directions, signs of life, writes that do not go on. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { body } from "../_support/feed.ts";
import { StallClock } from "../_support/stall_clock.ts";
import { ClosedError } from "../../src/base/errors.ts";
import { frame, PING, PONG, TEXT } from "./_frames.ts";
import { openOn, openOne, openPair, settle, take } from "./_support.ts";

const MIB = 1 << 20;

Deno.test("M4 send() to a slow end of 100 MB waits, and what waits is bounded", async () => {
  const { client, server } = openPair();
  const message = body(MIB);
  let most = 0;
  let sent = 0;
  const sending = (async () => {
    for (; sent < 100; sent++) {
      await server.send(message);
      most = Math.max(most, server.queued.bytes);
    }
  })();
  await settle();
  assert(sent <= 2, `${sent} messages went without anybody to take them`);
  let taken = 0;
  for await (const one of client) {
    taken += one.length;
    if (taken === 100 * MIB) break;
  }
  await sending;
  assert(most <= MIB + 65_536, `${most} bytes waited`);
  await client.close();
});

Deno.test("M3 a slow handler stops the reading: little is held, nothing is lost", async () => {
  const gate = Promise.withResolvers<void>();
  let handled = 0;
  const { client, server } = openPair({
    server: {
      readAhead: 10_000,
      onMessage() {
        handled++;
        return gate.promise;
      },
    },
  });
  let sent = 0;
  const sending = (async () => {
    for (; sent < 5_000; sent++) await client.send(body(1_000));
  })();
  await settle(100);
  assertEquals(handled, 1);
  // What was read ahead, one read, the connection's own buffer, and the mark of the sender.
  assert(sent < 500, `${sent} messages of 1,000 bytes are somewhere`);
  gate.resolve();
  await sending;
  await client.close();
  await server.closed;
  assertEquals(handled, 5_000);
});

Deno.test("empty messages that nobody takes stop the reading as well", async () => {
  const { client } = openPair({ server: { readAhead: 6_400 } });
  let sent = 0;
  const flood = (async () => {
    try {
      for (; sent < 1_000_000; sent++) {
        const room = client.send("");
        if (client.queued.bytes >= 65_536) await room;
      }
    } catch (error) {
      assert(error instanceof ClosedError);
    }
  })();
  await settle(100);
  // 256 KiB in the connection, 64 KiB in the slab and at the sender each, six bytes a message.
  assert(sent > 10_000 && sent < 100_000, `${sent}`);
  client.abort();
  await flood;
});

Deno.test("control frames are answered while nobody takes messages", async () => {
  const { ws, other } = openOne("server");
  await other.send(frame(TEXT, "unread"), frame(PING, "1"));
  await other.send(frame(TEXT, "unread"), frame(PING, "2"));
  assertEquals((await other.frames(2)).map(({ opcode }) => opcode), [PONG, PONG]);
  assertEquals((await take(ws, 2)).length, 2);
  ws.abort();
});

Deno.test("close() gets through to an end that is full", async () => {
  const { client, server } = openPair({ client: { readAhead: 1_000 } });
  for (let i = 0; i < 100; i++) server.send(body(10_000));
  await settle();
  assertEquals((await client.close(4_000)).code, 4_000);
  assertEquals((await server.closed).code, 4_000);
});

Deno.test("B1 an end that is silent after a ping is taken for dead", async () => {
  for (const role of ["server", "client"] as const) {
    const { ws, clock, other } = openOne(role, { pingInterval: 1_000, pingTimeout: 400 });
    await clock.advance(999);
    assertEquals(ws.queued.frames, 0);
    await clock.advance(1);
    const [ping] = await other.frames(1);
    await clock.advance(399);
    await other.send(frame(PONG, ping?.payload));
    await settle();
    assert(ws.lastPongAt !== undefined);
    await clock.advance(601);
    await other.frames(1);
    await clock.advance(399);
    assert(
      ws.queued.frames === 0 && await Promise.race([ws.closed, Promise.resolve("open")]) === "open",
    );
    await clock.advance(1);
    const info = await ws.closed;
    assertEquals([info.code, info.initiator], [1006, "network"]);
    assertEquals(info.reason, "There was no sign of life within 400 ms after a ping");
    await assertRejects(() => ws.send("x"), ClosedError);
  }
});

Deno.test("any byte is a sign of life", async () => {
  const { ws, clock, other } = openOne("server", { pingInterval: 1_000, pingTimeout: 400 });
  for (let i = 0; i < 5; i++) {
    await clock.advance(1_000);
    await other.frames(1);
    await other.send(
      new Uint8Array(i === 0 ? [0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4] : [7]),
    );
    await settle();
  }
  await clock.advance(100);
  assertEquals(ws.queued.frames, 0);
  ws.abort();
  assertEquals((await ws.closed).initiator, "local");
});

Deno.test("silence does not count while this end itself does not read", async () => {
  const { ws, clock, other } = openOne("server", {
    pingInterval: 1_000,
    pingTimeout: 400,
    readAhead: 1_000,
  });
  await other.send(frame(TEXT, "x".repeat(2_000)));
  await settle();
  await clock.advance(20_000);
  assertEquals(await take(ws, 1), ["x".repeat(2_000)]);
  await clock.advance(400);
  await other.send(frame(TEXT, "still here"));
  assertEquals(await take(ws, 1), ["still here"]);
  await clock.advance(20_000);
  assertEquals((await ws.closed).initiator, "network");
});

Deno.test("B8 an end that was late itself asks once more", async () => {
  const clock = new StallClock();
  const { ws, other } = openOn(clock, "server", { pingInterval: 1_000, pingTimeout: 400 });
  clock.jump(1_000);
  await other.frames(1);
  clock.jump(700);
  await other.send(frame(TEXT, "I was there"));
  assertEquals(await take(ws, 1), ["I was there"]);
  clock.jump(400);
  await settle();
  assertEquals(await Promise.race([ws.closed, Promise.resolve("open")]), "open");
  // Asked in time, and in time it says nothing.
  clock.jump(1_000);
  await other.frames(1);
  clock.jump(400);
  assertEquals((await ws.closed).initiator, "network");
});

Deno.test("pingInterval: false sends none", async () => {
  const { ws, clock } = openOne("client", { pingInterval: false });
  await clock.advance(10 * 86_400_000);
  assertEquals([ws.queued.frames, clock.pending], [0, 0]);
  ws.abort();
});

Deno.test("M1 a write that does not go on for writeTimeout ends the WebSocket", async () => {
  const { ws, clock, other } = openOne("server", { writeTimeout: 500 });
  const sending = assertRejects(() => ws.send(body(MIB)), ClosedError);
  await settle();
  await clock.advance(499);
  const buffer = new Uint8Array(100_000);
  await other.transport.read(buffer);
  await settle();
  await clock.advance(499);
  await other.transport.read(buffer);
  await settle();
  await clock.advance(500);
  const info = await ws.closed;
  assertEquals([info.code, info.reason], [1006, "Nothing could be written for 500 ms"]);
  await sending;
  assertEquals(clock.pending, 0);
});

Deno.test("writeTimeout counts from the first byte that waits, not from the last write", async () => {
  const { ws, clock, other } = openOne("server", { writeTimeout: 500 });
  await ws.send("early");
  await settle();
  await clock.advance(499);
  ws.send(body(MIB));
  await settle();
  await clock.advance(499);
  const buffer = new Uint8Array(2 * MIB);
  for (let got = 0; got < MIB;) got += await other.transport.read(buffer) ?? 0;
  await settle();
  await clock.advance(10_000);
  assertEquals(ws.queued.bytes, 0);
  ws.abort();
  await ws.closed;
  assertEquals(clock.pending, 0);
});

Deno.test("writeTimeout holds for the close frame too", async () => {
  const { ws, clock } = openOne("client", { writeTimeout: 500, closeTimeout: 60_000 });
  ws.send(body(MIB));
  await settle();
  ws.close();
  await clock.advance(500);
  assertEquals((await ws.closed).code, 1006);
});

Deno.test("nothing is left when closed has resolved", async () => {
  const { client, server, clock } = openPair({
    client: { pingInterval: 1_000 },
    server: { pingInterval: 1_000 },
  });
  const pings = [client.ping(), server.ping()];
  await Promise.all(pings);
  await client.close();
  await server.closed;
  assertEquals(clock.pending, 0);
});
