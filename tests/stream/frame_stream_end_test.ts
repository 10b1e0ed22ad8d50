/** How frame streams end: failures, `close`, `abort`. */
import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { mock } from "node:test";
import { ClosedError } from "../../src/base/errors.ts";
import type { ByteTransport } from "../../src/base/types.ts";
import { line } from "../../src/codec/delimiter.ts";
import { FrameStream } from "../../src/stream/frame_stream.ts";
import { collect, FakeConn, firstOf, settle } from "./fake_conn.ts";

Deno.test("FrameStream ends when a codec fails within a frame", async () => {
  const conn = new FakeConn();
  const cause = new Error("in the middle");
  const stream = new FrameStream<string>(conn, {
    ...line(),
    encode(_, output) {
      output.uint8(1);
      throw cause;
    },
  });
  assertStrictEquals(await assertRejects(() => stream.send("x")), cause);
  const info = await stream.closed;
  assertEquals([info.code, info.initiator], ["INTERNAL", "local"]);
  assertStrictEquals(info.error?.cause, cause);
  assertEquals(conn.log, ["close"]);
  const error = await assertRejects(() => firstOf(stream), ClosedError);
  assertEquals(error.code, "INTERNAL");
});

Deno.test("FrameStream ends everything when a write fails", async () => {
  const conn = new FakeConn();
  const stream = new FrameStream(conn, line(), { highWaterMark: 1 });
  const next = firstOf(stream);
  const failed = assertRejects(() => next, Deno.errors.BrokenPipe);
  conn.block();
  const waiting = assertRejects(() => stream.send("lost"), ClosedError);
  stream.send("nobody awaits this one");
  await settle();
  conn.unblock(new Deno.errors.BrokenPipe("Broken pipe (os error 32)"));
  assertEquals((await waiting).code, "LINK_LOST");
  await failed;
  const info = await stream.closed;
  assertEquals([info.code, info.initiator], ["LINK_LOST", "network"]);
  assertEquals(conn.log, ["close"]);
  stream.send("nor this one");
  await settle();
});

Deno.test("FrameStream.close() writes all, ends its direction, waits for the other, closes", async () => {
  const conn = new FakeConn();
  const stream = new FrameStream(conn, line());
  const next = firstOf(stream);
  conn.block();
  stream.send("last words");
  const closing = stream.close({ reason: "done" });
  assertStrictEquals(stream.close(), stream.closed);
  assertEquals(await next, { done: true, value: undefined }, "loops end at once");
  const refused = await assertRejects(() => stream.send("late"), ClosedError);
  assertEquals(refused.code, "NORMAL");
  assertThrows(() => stream.trySend("late"), ClosedError);
  assertEquals(conn.log, []);
  conn.unblock();
  conn.arrive("dropped\n".repeat(20_000));
  await settle();
  assertEquals(conn.log, ["write", "closeWrite"]);
  conn.arrive(null);
  const info = await closing;
  assertEquals(info, { code: "NORMAL", reason: "done", initiator: "local" });
  assertEquals(conn.log, ["write", "closeWrite", "close"]);
  assertEquals(await collect(stream), []);
  assertStrictEquals(await stream.close(), info);
});

Deno.test("FrameStream.close() gives the other end a second to end its direction", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const conn = new FakeConn();
    const stream = new FrameStream(conn, line());
    stream.close();
    await settle();
    mock.timers.tick(999);
    await settle();
    assertEquals(conn.log, ["closeWrite"]);
    mock.timers.tick(1);
    assertEquals((await stream.closed).code, "NORMAL");
    assertEquals(conn.log, ["closeWrite", "close"]);
  } finally {
    mock.timers.reset();
  }
});

Deno.test("FrameStream.close() cuts what is not written within the grace", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const conn = new FakeConn();
    const stream = new FrameStream(conn, line());
    conn.block();
    stream.send("1234");
    const closing = stream.close({ grace: 300 });
    await settle();
    mock.timers.tick(299);
    await settle();
    assertEquals(conn.log, []);
    mock.timers.tick(1);
    const info = await closing;
    assertEquals(info.code, "WRITE_TIMEOUT");
    assertEquals(info.reason, "5 bytes could not be written within the grace");
    assertEquals([conn.log, conn.written], [["close"], []]);
  } finally {
    mock.timers.reset();
  }
});

Deno.test("FrameStream.close() takes an end of the grace from its signal or a second close", async () => {
  for (const how of ["signal", "aborted signal", "second close", "abort"]) {
    const conn = new FakeConn();
    const stream = new FrameStream(conn, line());
    conn.block();
    stream.send("stuck");
    const controller = new AbortController();
    if (how === "aborted signal") controller.abort();
    const closing = stream.close({ grace: Infinity, signal: controller.signal });
    await settle();
    if (how === "signal") controller.abort();
    if (how === "second close") stream.close({ grace: 0 });
    if (how === "abort") stream.abort();
    assertEquals((await closing).code, how === "abort" ? "ABORTED" : "WRITE_TIMEOUT");
    assertEquals(conn.log, ["close"]);
  }
  const stream = new FrameStream(new FakeConn(), line());
  for (const grace of [-1, NaN]) assertThrows(() => stream.close({ grace }), RangeError);
  stream.abort();
});

Deno.test("FrameStream.close() needs no closeWrite, and forgives a link that breaks at the end", async () => {
  const conn = new FakeConn();
  const bare: ByteTransport = {
    read: (buf) => conn.read(buf),
    write: (data) => conn.write(data),
    close: () => conn.close(),
  };
  const stream = new FrameStream(bare, line());
  stream.send("x");
  assertEquals((await stream.close()).code, "NORMAL");
  assertEquals(conn.log, ["write", "close"]);

  const broken = new FakeConn();
  const other = new FrameStream(broken, line());
  other.send("x");
  const closing = other.close();
  await settle();
  broken.arrive(new Deno.errors.ConnectionReset("reset"));
  assertEquals((await closing).code, "NORMAL");
});

Deno.test("FrameStream.abort() ends at once and drops what waits, in both directions", async () => {
  const conn = new FakeConn();
  const stream = new FrameStream(conn, line(), { highWaterMark: 1 });
  conn.arrive("1\n2\n");
  assertEquals((await firstOf(stream)).value, "1");
  conn.block();
  const sending = assertRejects(() => stream.send("unsent"), ClosedError);
  const reason = new Error("enough");
  stream.abort(reason);
  stream.abort("again");
  const error = await assertRejects(() => firstOf(stream), ClosedError);
  assertEquals([error.code, error.info.reason], ["ABORTED", "enough"]);
  await sending;
  const info = await stream.closed;
  assertEquals([info.code, info.initiator], ["ABORTED", "local"]);
  assertStrictEquals(info.error?.cause, reason);
  assertEquals([conn.log, conn.written], [["close"], []]);
});

Deno.test("FrameStream.abort() wakes a loop that waits for a frame", async () => {
  const stream = new FrameStream(new FakeConn(), line());
  const failed = assertRejects(() => firstOf(stream), ClosedError);
  await settle();
  stream.abort();
  assertEquals((await failed).code, "ABORTED");
  assertEquals((await stream.closed).error, undefined);
});

Deno.test("FrameStream ends with its signal", async () => {
  const controller = new AbortController();
  const stream = new FrameStream(new FakeConn(), line(), { signal: controller.signal });
  controller.abort(new Error("shutting down"));
  const info = await stream.closed;
  assertEquals([info.code, info.reason], ["ABORTED", "shutting down"]);
  const conn = new FakeConn();
  const late = new FrameStream(conn, line(), { signal: controller.signal });
  assertEquals([(await late.closed).code, conn.log], ["ABORTED", ["close"]]);
});

Deno.test("FrameStream closes with `await using`", async () => {
  const conn = new FakeConn();
  {
    await using stream = new FrameStream(conn, line());
    assertEquals([stream.localAddr, stream.remoteAddr], ["here", "there"]);
    stream.send("bye");
    conn.arrive(null);
  }
  assertEquals(conn.written, ["bye\n"]);
  assertEquals(conn.log, ["write", "closeWrite", "close"]);
});
