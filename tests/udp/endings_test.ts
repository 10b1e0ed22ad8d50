/** How sockets end: once, whatever was under way, and leaving nothing behind. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ClosedError, dialUdp, listenUdp } from "@vgo/vnet/udp";
import { bytes, FakeOutside } from "./_support.ts";
import { settle } from "../_support/stall_clock.ts";

Deno.test("close() ends loops quietly and refuses pending reads", async () => {
  const conn = await listenUdp("127.0.0.1:0");
  const loop = (async () => {
    for await (const _ of conn);
    return "over";
  })();
  const read = assertRejects(() => conn.receive(), ClosedError);
  const info = await conn.close({ reason: "done" });
  assertEquals(info, { code: "NORMAL", reason: "done", initiator: "local" });
  assertEquals(await loop, "over");
  assertEquals((await read).code, "NORMAL");
  assertEquals(await conn.closed, info);
  assertEquals(
    await (async () => {
      for await (const _ of conn);
      return "nothing more";
    })(),
    "nothing more",
  );
});

Deno.test("abort() makes loops throw, now and later", async () => {
  const conn = await listenUdp("127.0.0.1:0");
  const loop = () =>
    assertRejects(async () => {
      for await (const _ of conn);
    }, ClosedError);
  const pending = loop();
  const reason = new Error("burning");
  conn.abort(reason);
  const info = await conn.closed;
  assertEquals([info.code, info.reason, info.error?.cause], ["ABORTED", "burning", reason]);
  for (const error of [await pending, await loop()]) assertEquals(error.code, "ABORTED");
});

Deno.test("endings are idempotent, in any order", async () => {
  const outside = new FakeOutside();
  const conn = outside.listen();
  const [a, b] = [conn.close(), conn.close({ reason: "again" })];
  conn.abort();
  conn.abort();
  await conn[Symbol.asyncDispose]();
  assertEquals(await a, await b);
  assertEquals((await conn.closed).code, "NORMAL");
  assertEquals([outside.socket.closes, outside.clock.pending], [1, 0]);
});

Deno.test("close() gives an address back before it resolves", async () => {
  const first = await listenUdp("127.0.0.1:0");
  const address = first.localAddr;
  for (let i = 0; i < 20; i++) {
    await (i === 0 ? first : await listenUdp(address)).close();
    const aborted = await listenUdp(address);
    aborted.abort();
    await aborted.closed;
  }
});

Deno.test("close() lets pending sends finish", async () => {
  const outside = new FakeOutside();
  const conn = await outside.dial(5);
  const taken = Promise.withResolvers<number>();
  outside.socket.onSend = () => taken.promise;
  const sending = conn.send("last words");
  let closed = false;
  const closing = conn.close().then(() => closed = true);
  await assertRejects(() => conn.send("more"), ClosedError);
  await settle();
  assertEquals([closed, outside.socket.closes], [false, 0]);
  taken.resolve(10);
  await Promise.all([sending, closing]);
  assertEquals([closed, outside.clock.pending], [true, 0]);
});

Deno.test("close() cuts pending sends when the grace is over, or by its signal", async () => {
  for (const way of ["grace", "signal", "abort"] as const) {
    const outside = new FakeOutside();
    const conn = await outside.dial(5);
    outside.socket.onSend = () => new Promise(() => {});
    const cut = assertRejects(() => conn.send("x"), ClosedError);
    const controller = new AbortController();
    const closing = conn.close({ grace: 500, signal: controller.signal });
    await outside.clock.advance(499);
    assertEquals(outside.socket.closes, 0);
    if (way === "grace") await outside.clock.advance(1);
    if (way === "signal") controller.abort();
    if (way === "abort") conn.abort();
    assertEquals((await closing).code, way === "abort" ? "ABORTED" : "NORMAL");
    await cut;
    assertEquals(outside.clock.pending, 0);
  }
});

Deno.test("close() refuses a grace that is none", async () => {
  await using conn = await listenUdp("127.0.0.1:0");
  assertThrows(() => conn.close({ grace: -1 }), RangeError, "'grace' must be at least 0");
  assertThrows(() => conn.close({ grace: NaN }), RangeError);
});

Deno.test("a socket that vanishes ends what waits for it, with the reason", async () => {
  const outside = new FakeOutside();
  const conn = outside.listen();
  const read = assertRejects(() => conn.receive(), ClosedError);
  outside.socket.vanish();
  const info = await conn.closed;
  assertEquals([info.code, info.initiator], ["LINK_LOST", "local"]);
  assert(info.error?.cause instanceof Deno.errors.BadResource);
  assertEquals((await read).code, "LINK_LOST");
});

Deno.test("what waits unread is gone with the socket, and what comes while it closes too", async () => {
  const outside = new FakeOutside();
  const conn = outside.listen();
  outside.socket.arrive(bytes("unread"));
  await settle();
  assertEquals(conn.stats.queued, 1);
  outside.socket.arrive(bytes("too late"));
  await conn.close();
  assertEquals([conn.stats.queued, conn.stats.received], [0, 1]);
});

Deno.test("300 sockets are opened and ended at random moments, and nothing is left", async () => {
  await using server = await listenUdp("127.0.0.1:0");
  await Promise.all(Array.from({ length: 300 }, async (_, n) => {
    const conn = await dialUdp(server.localAddr, { readTimeout: 5_000 });
    const reading = conn.receive().catch(() => {});
    conn.send(`${n}`);
    if (n % 3 === 0) await settle();
    if (n % 2 === 0) conn.abort();
    else await conn.close();
    await Promise.all([conn.closed, reading]);
  }));
});
