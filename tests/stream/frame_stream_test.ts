import {
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { ClosedError, FrameError, LimitError } from "../../src/base/errors.ts";
import type { MessageTransport } from "../../src/base/types.ts";
import type { Codec } from "../../src/codec/codec.ts";
import { line } from "../../src/codec/delimiter.ts";
import { fixed } from "../../src/codec/fixed.ts";
import { lengthField } from "../../src/codec/length_field.ts";
import { mapCodec } from "../../src/codec/map_codec.ts";
import { FrameStream } from "../../src/stream/frame_stream.ts";
import { join } from "../_support/feed.ts";
import { collect, FakeConn, firstOf, settle } from "./fake_conn.ts";

Deno.test("FrameStream gives frames however they are cut, and ends with the other end", async () => {
  for (
    const pieces of [["one\ntwo\nthree\n"], ["on", "e\ntw", "o\nthree", "\n"], [
      ..."one\ntwo\nthree\n",
    ]]
  ) {
    const conn = new FakeConn();
    const stream = new FrameStream(conn, line());
    conn.arrive(...pieces, null);
    assertEquals(await collect(stream), ["one", "two", "three"]);
    assertEquals(await collect(stream), [], "it stays at its end");
    const info = await stream.close();
    assertEquals([info.code, info.initiator], ["NORMAL", "remote"]);
  }
});

Deno.test("FrameStream.batches() gives the frames of a read at once", async () => {
  const conn = new FakeConn();
  const stream = new FrameStream(conn, line());
  conn.arrive("1\n2\n3\n4", "5\n", "6", "\n7\n", null);
  assertEquals(await collect(stream.batches()), [["1", "2", "3"], ["45"], ["6", "7"]]);
  await stream.close();
});

Deno.test("FrameStream F7 throws TRUNCATED where the stream ends within a frame", async () => {
  for (const rest of ["x", "half a li"]) {
    const conn = new FakeConn();
    const stream = new FrameStream(conn, line());
    conn.arrive("whole\n", rest, null);
    const iterator = stream[Symbol.asyncIterator]();
    assertEquals((await iterator.next()).value, "whole");
    const error = await assertRejects(() => iterator.next(), FrameError);
    assertEquals(error.code, "TRUNCATED");
    const info = await stream.closed;
    assertEquals([info.code, info.initiator], ["BAD_FRAME", "remote"]);
    assertStrictEquals(info.error, error);
  }
});

Deno.test("FrameStream throws the FrameError of a bad frame, after the good ones, and again", async () => {
  const conn = new FakeConn();
  const stream = new FrameStream(conn, line({ maxFrameLength: 5 }));
  conn.arrive("good\ntoo long\nnever seen\n");
  const iterator = stream[Symbol.asyncIterator]();
  assertEquals((await iterator.next()).value, "good");
  const error = await assertRejects(() => iterator.next(), FrameError);
  assertEquals(error.code, "FRAME_TOO_LARGE");
  assertEquals(conn.log, ["close"]);
  assertStrictEquals(await assertRejects(() => iterator.next()), error);
  assertStrictEquals(await assertRejects(() => collect(stream.batches())), error);
  assertEquals((await stream.closed).code, "FRAME_TOO_LARGE");
  const refused = await assertRejects(() => stream.send("x"), ClosedError);
  assertEquals(refused.code, "FRAME_TOO_LARGE");
  assertStrictEquals(refused.cause, error);
});

Deno.test("FrameStream gives nothing that follows a bad frame, even if its codec could go on", async () => {
  const conn = new FakeConn();
  const numbers = mapCodec(line(), BigInt, String);
  const stream = new FrameStream(conn, numbers);
  conn.arrive("1\ntwo\n3\n4\n");
  const iterator = stream.batches()[Symbol.asyncIterator]();
  assertEquals((await iterator.next()).value, [1n]);
  for (let i = 0; i < 3; i++) await assertRejects(() => iterator.next(), FrameError);
  await assertRejects(() => firstOf(stream), FrameError);
});

Deno.test("FrameStream.batches() gives what came before a bad frame, then throws", async () => {
  const conn = new FakeConn();
  const stream = new FrameStream(conn, line({ maxFrameLength: 5 }));
  conn.arrive("a\nb\ntoo long\n");
  const iterator = stream.batches()[Symbol.asyncIterator]();
  assertEquals((await iterator.next()).value, ["a", "b"]);
  await assertRejects(() => iterator.next(), FrameError);
});

Deno.test("FrameStream throws the error of a broken link as it is", async () => {
  const conn = new FakeConn();
  const stream = new FrameStream(conn, line());
  const reset = new Deno.errors.ConnectionReset("Connection reset by peer");
  conn.arrive("a\n", reset);
  const iterator = stream[Symbol.asyncIterator]();
  assertEquals((await iterator.next()).value, "a");
  assertStrictEquals(await assertRejects(() => iterator.next()), reset);
  const info = await stream.closed;
  assertEquals([info.code, info.initiator, info.reason], ["LINK_LOST", "network", reset.message]);
  assertStrictEquals(info.error?.cause, reset);
  assertEquals(conn.log, ["close"]);
});

Deno.test("FrameStream makes a FrameError of whatever else a codec throws", async () => {
  const cause = new RangeError("peeked too far");
  const broken: [string, Codec<string>["decode"]][] = [
    ["throws", () => {
      throw cause;
    }],
    ["takes nothing", () => "frame"],
  ];
  for (const [what, decode] of broken) {
    const conn = new FakeConn();
    const stream = new FrameStream(conn, { ...line(), decode });
    conn.arrive("bytes");
    const error = await assertRejects(() => collect(stream), FrameError);
    assertEquals(error.code, "BAD_FRAME");
    assertInstanceOf(error.cause, what === "throws" ? RangeError : TypeError);
    await stream.closed;
  }
});

Deno.test("FrameStream asks a codec what the end of the stream means to it", async () => {
  const base = line();
  const greedy: Codec<string> = {
    ...base,
    decodeEof(input) {
      if (input.peekUint8(0) === 35) input.skip(input.length);
      return input.length === 0 ? undefined : new TextDecoder().decode(input.take(input.length));
    },
  };
  for (const [rest, frames] of [["b", ["a", "b"]], ["#b", ["a"]], ["", ["a"]]] as const) {
    const conn = new FakeConn();
    const stream = new FrameStream(conn, greedy);
    conn.arrive("a\n");
    if (rest !== "") conn.arrive(rest);
    conn.arrive(null);
    assertEquals(await collect(stream), [...frames]);
    await stream.close();
  }
  const conn = new FakeConn();
  const stream = new FrameStream(conn, { ...base, decodeEof: () => undefined });
  conn.arrive("left over", null);
  const error = await assertRejects(() => collect(stream), FrameError);
  assertEquals(error.code, "TRUNCATED");
});

Deno.test("FrameStream reads when asked, and no further than it must", async () => {
  const conn = new FakeConn();
  const stream = new FrameStream(conn, line());
  conn.arrive("1\n2\n", "3\n", null);
  await settle();
  assertEquals(conn.reads, 0);
  const iterator = stream[Symbol.asyncIterator]();
  assertEquals((await iterator.next()).value, "1");
  await settle();
  assertEquals((await iterator.next()).value, "2");
  assertEquals(conn.reads, 1);
  assertEquals((await iterator.next()).value, "3");
  assertEquals(conn.reads, 2);
  await stream.close();
});

Deno.test("FrameStream stays open when a loop is left, and loops share its frames", async () => {
  const conn = new FakeConn();
  const stream = new FrameStream(conn, line());
  conn.arrive("1\n2\n3\n");
  for await (const frame of stream) {
    assertEquals(frame, "1");
    break;
  }
  for await (const frame of stream) {
    assertEquals(frame, "2");
    break;
  }
  assertEquals(conn.log, []);
  const [a, b, c] = [firstOf(stream), firstOf(stream), firstOf(stream)];
  await settle();
  conn.arrive("4\n5\n", null);
  assertEquals((await Promise.all([a, b, c])).map(({ value }) => value), ["3", "4", "5"]);
  assertEquals((await firstOf(stream)).done, true);
  await stream.close();
});

Deno.test("FrameStream.send() puts the frames of a turn in one write, whole and in order", async () => {
  const conn = new FakeConn();
  const stream = new FrameStream(conn, line());
  await Promise.all(["a", "b", "c"].map((text) => stream.send(text)));
  assertEquals(stream.queued, { bytes: 6, frames: 3 });
  await settle();
  assertEquals(conn.written, ["a\nb\nc\n"]);
  assertEquals(stream.queued, { bytes: 0, frames: 0 });
  conn.writeLimit = 3;
  stream.send("defg");
  stream.send("hi");
  await settle();
  assertEquals(conn.written.slice(1), ["def", "g\nh", "i\n"]);
  conn.arrive(null);
  await stream.close();
});

Deno.test("FrameStream.send() resolves when less than the high-water mark waits", async () => {
  const conn = new FakeConn();
  const stream = new FrameStream(conn, line(), { highWaterMark: 10 });
  conn.block();
  conn.writeLimit = 4;
  assertEquals(stream.trySend("1234567"), "sent");
  await settle();
  await stream.send("");
  assertEquals(stream.trySend(""), "queued");
  assertEquals(stream.queued, { bytes: 10, frames: 3 });
  assertEquals(stream.trySend("full"), "full");
  let resolved = false;
  const sent = stream.send("over").then(() => resolved = true);
  const ready = stream.ready;
  await settle();
  assertEquals([resolved, stream.queued.bytes, stream.queued.frames], [false, 15, 4]);
  conn.unblock();
  await Promise.all([sent, ready]);
  await settle();
  assertEquals(conn.written.join(""), "1234567\n\n\nover\n");
  conn.block();
  stream.trySend("x");
  await settle();
  assertEquals(stream.trySend("y"), "queued");
  conn.unblock();
  conn.arrive(null);
  await stream.close();
});

Deno.test("FrameStream refuses a high-water mark that lets nothing through", () => {
  for (const highWaterMark of [0, -1, NaN]) {
    assertThrows(() => new FrameStream(new FakeConn(), line(), { highWaterMark }), RangeError);
  }
});

Deno.test("FrameStream.send() rejects what the codec refuses, and goes on", async () => {
  const conn = new FakeConn();
  const stream = new FrameStream(conn, line({ maxFrameLength: 5 }));
  await assertRejects(() => stream.send("too long"), LimitError);
  assertThrows(() => stream.trySend("too long"), LimitError);
  await stream.send("fine");
  await settle();
  assertEquals(conn.written, ["fine\n"]);
  conn.arrive(null);
  await stream.close();
});

Deno.test("FrameStream of bytes carries messages for a session", async () => {
  const conn = new FakeConn();
  const stream = new FrameStream(conn, fixed(3));
  const transport: MessageTransport = stream;
  conn.arrive("abcdef", null);
  assertEquals(await collect(transport), [join("abc"), join("def")]);
  transport.send(join("ghi"));
  await transport.close();
  assertEquals(conn.written, ["ghi"]);
});

Deno.test("FrameStream F1 ends with a huge length before its frame comes", async () => {
  const conn = new FakeConn();
  const stream = new FrameStream(conn, lengthField({ width: 4 }));
  conn.arrive("GET ");
  const error = await assertRejects(() => collect(stream), FrameError);
  assertEquals([error.code, conn.log], ["FRAME_TOO_LARGE", ["close"]]);
});
