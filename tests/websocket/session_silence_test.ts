/** The silent and the slow at a port for sessions over WebSocket, on a clock that the test drives. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ConnectError } from "@vgo/vnet";
import { connectWebSocket } from "@vgo/vnet/websocket";
import { join } from "../_support/feed.ts";
import { answerOf, listening, request, UPGRADE } from "./_port.ts";
import { soon, until, VNET } from "./_session.ts";
import { settle, writeAll } from "./_support.ts";

Deno.test("H2 a port for WebSocket drops who is silent or slow, at 5 s in all", async () => {
  const { clock, told, dial, close } = await listening(100);
  const conns = await Promise.all(Array.from({ length: 6 }, dial));
  const [silent, drip, bare, page] = conns;
  assert(silent !== undefined && drip !== undefined && bare !== undefined && page !== undefined);
  await settle(10);
  const text = request(UPGRADE);
  for (let second = 0; second < 5; second++) {
    for (const conn of [drip, page]) await writeAll(conn, join(text.slice(second, second + 1)));
    await settle(5);
    assertEquals(told, []);
    await clock.advance(1_000);
  }
  await until(() => told.length === conns.length);
  assertEquals(told.map(({ code, initiator }) => `${code} ${initiator}`), [
    ...Array(6).fill("TIMEOUT remote"),
  ]);
  for (const conn of conns) {
    assertEquals(await answerOf(conn).catch(() => ""), "");
    conn.close();
  }
  assertEquals(clock.pending, 0);
  await close();
});

Deno.test("H2 a port for WebSocket that is full of the silent and the slow lets a good client in", async () => {
  const { addr, clock, told, given, dial, close } = await listening(8);
  const silent = await Promise.all(Array.from({ length: 8 }, dial));
  await Promise.all(silent.slice(0, 4).map((conn) => writeAll(conn, join("GET /chat HT"))));
  const opening = connectWebSocket(addr, { protocols: [VNET] });
  await settle(20);
  assertEquals([given.length, told.length], [0, 0]);
  await clock.advance(1_000);
  const ws = await soon(opening);
  await until(() => given.length === 1);
  // The oldest made way, and one more for whoever comes next.
  assert(told.length <= 2 && told.every(({ code }) => code === "TIMEOUT"), `${told}`);
  assertStringIncludes(told[0]?.message ?? "", "others wait for its place");
  await close();
  await ws.closed;
  for (const conn of silent) conn.close();
});

Deno.test("H2 hooks of a port for WebSocket that never end are not waited for", async () => {
  for (const hook of ["respond", "accept"] as const) {
    const stuck = Promise.withResolvers<never>();
    const { clock, told, dial, close } = await listening(8, { [hook]: () => stuck.promise });
    const conn = await dial();
    await writeAll(conn, join(request(hook === "accept" ? UPGRADE : {})));
    await settle(10);
    await clock.advance(5_000);
    assertEquals(await answerOf(conn).catch(() => ""), "");
    await until(() => told.length === 1);
    assertEquals(told[0]?.code, "TIMEOUT");
    conn.close();
    // Another one is there when the port is closed.
    const last = await dial();
    await writeAll(last, join(request(hook === "accept" ? UPGRADE : {})));
    await settle(10);
    await soon(close());
    assertEquals(await answerOf(last).catch(() => ""), "");
    last.close();
    assertEquals([told.length, clock.pending], [1, 0]);
  }
});

Deno.test("H2 a page is cut off after a minute, or when others wait for its place", async () => {
  const pull = (controller: ReadableStreamDefaultController) =>
    controller.enqueue(new Uint8Array(65_536));
  let ended = 0;
  const respond = () => new Response(new ReadableStream({ pull, cancel: () => void ended++ }));
  const full = await listening(2, { respond });
  const readers = [await full.dial(), await full.dial()];
  for (const conn of readers) await writeAll(conn, join(request()));
  for (const conn of readers) await conn.read(new Uint8Array(100));
  const opening = connectWebSocket(full.addr, { protocols: [VNET] });
  await settle(20);
  assertEquals([ended, full.given.length], [0, 0]);
  await full.clock.advance(1_000);
  const ws = await soon(opening);
  await until(() => ended > 0 && full.given.length === 1);
  await full.close();
  await ws.closed;
  assertEquals([ended, full.told], [2, []]);

  const quiet = await listening(2, { respond });
  const reader = await quiet.dial();
  await writeAll(reader, join(request()));
  await reader.read(new Uint8Array(100));
  await quiet.clock.advance(59_999);
  await settle(5);
  assertEquals(ended, 2);
  await quiet.clock.advance(1);
  await until(() => ended === 3);
  await quiet.close();
  for (const conn of [...readers, reader]) conn.close();
});

Deno.test("a port for WebSocket that is closed lets go of all who are no sessions yet", async () => {
  const { addr, clock, told, dial, close } = await listening(100);
  const text = request(UPGRADE);
  const begun = ["", "G", text.slice(0, 60), "\x16\x03", "GET / HTTP/1.1\r\n\r\n"];
  const conns = await Promise.all(begun.map(async (start) => {
    const conn = await dial();
    await writeAll(conn, Uint8Array.from(start, (char) => char.charCodeAt(0)));
    return conn;
  }));
  await settle(20);
  await soon(close());
  for (const conn of conns) {
    await answerOf(conn).catch(() => "");
    conn.close();
  }
  // Those who are being told that they are wrong are no news of the port's end.
  assert(told.every(({ code }) => code === "WRONG_PROTOCOL") && told.length <= 2, `${told}`);
  assertEquals(clock.pending, 0);
  await assertRejects(() => connectWebSocket(addr), ConnectError);
});
