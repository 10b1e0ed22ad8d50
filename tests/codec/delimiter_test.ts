import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import { FrameError, LimitError } from "../../src/base/errors.ts";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import { delimiter, line } from "../../src/codec/delimiter.ts";
import { everyByte, feed, hex, join } from "../_support/feed.ts";

Deno.test("delimiter() finds the first of several overlapping marks", () => {
  const codec = delimiter(join("aa"));
  assertEquals(feed(codec, join("baaaab")).frames, [join("b"), join("")]);
  assertEquals(feed(delimiter(join("aab")), join("aaab")).frames, [join("a")]);
});

Deno.test("delimiter() refuses to encode a frame that would end early", () => {
  const output = new OutBuffer();
  const table: [mark: string, frame: string][] = [
    ["\n", "a\nb"],
    ["\r\n", "\r\n"],
    ["aa", "a"],
    ["aba", "ab"],
    ["abab", "cab"],
  ];
  for (const [mark, frame] of table) {
    assertThrows(() => delimiter(join(mark)).encode(join(frame), output), RangeError);
  }
  assertEquals(output.length, 0);
  const fine: [mark: string, frame: string][] = [["aab", "aa"], ["\r\n", "\n\r"], ["ab", "ba"]];
  for (const [mark, frame] of fine) {
    const codec = delimiter(join(mark));
    const written = new OutBuffer();
    codec.encode(join(frame), written);
    assertEquals(feed(codec, written.toBytes()).frames, [join(frame)]);
  }
});

Deno.test("delimiter() keeps its own copy of the mark", () => {
  const mark = join("--");
  const codec = delimiter(mark);
  mark.fill(0);
  assertEquals(feed(codec, join("a--")).frames, [join("a")]);
});

Deno.test("delimiter() refuses an empty mark and a limit that is none", () => {
  assertThrows(() => delimiter(new Uint8Array(0)), RangeError);
  for (const maxFrameLength of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(() => delimiter(join("x"), { maxFrameLength }), RangeError);
    assertThrows(() => line({ maxFrameLength }), RangeError);
  }
});

Deno.test("delimiter() F14 caps a frame at its limit, to the byte", () => {
  const codec = delimiter(join("||"), { maxFrameLength: 4 });
  for (const cuts of [[], everyByte(8)]) {
    assertEquals(feed(codec, join("abcd||"), cuts.slice(0, 5)).frames, [join("abcd")]);
    assertEquals(codeOf(feed(codec, join("abcde||"), cuts.slice(0, 6)).error), "FRAME_TOO_LARGE");
    assertEquals(feed(codec, join("abcd|")).error, undefined);
    assertEquals(codeOf(feed(codec, join("abcd|x")).error), "FRAME_TOO_LARGE");
  }
});

Deno.test("delimiter() F14 looks at each byte once while no mark comes", () => {
  const size = 1 << 20;
  const codec = delimiter(join("||"), { maxFrameLength: size });
  const queue = new ByteQueue();
  const byte = join("|x".repeat(2048));
  const start = performance.now();
  for (let i = 0; i < size; i++) {
    queue.push(byte.subarray(i & 4095, (i & 4095) + 1));
    assertEquals(codec.decode(queue) === undefined, true);
  }
  // It takes a quarter of a second here; were it quadratic, it would be minutes.
  assert(performance.now() - start < 10_000);
  queue.push(join("||"));
  assertEquals(codec.decode(queue)?.length, size);
});

Deno.test("line() F14 finds CR and LF that came in separate reads", () => {
  const codec = line();
  const stream = join("one\r\ntwo\nthree\r\r\n\r\n");
  for (const cuts of [[], everyByte(stream.length)]) {
    assertEquals(feed(codec, stream, cuts).frames, ["one", "two", "three\r", ""]);
  }
});

Deno.test("line() F14 caps a line at its limit, whatever ends it", () => {
  const codec = line({ maxFrameLength: 4 });
  for (const text of ["abcd\n", "abcd\r\n", "€a\n"]) {
    assertEquals(feed(codec, join(text), everyByte(text.length)).error, undefined);
  }
  for (const text of ["abcde", "abcde\n", "abcd\rx", "abcd\r\r", "€€\n"]) {
    for (const cuts of [[], everyByte(join(text).length)]) {
      assertEquals(codeOf(feed(codec, join(text), cuts).error), "FRAME_TOO_LARGE", text);
    }
  }
  assertEquals(feed(codec, join("abcd\r")).error, undefined);
});

Deno.test("line() keeps a byte order mark and a replacement character that were sent", () => {
  assertEquals(feed(line(), join("\ufeffa\n\ufffd\n")).frames, ["\ufeffa", "\ufffd"]);
});

Deno.test("line() says what was wrong with a line that is no UTF-8", () => {
  const { error } = feed(line(), hex("61 ff 0a"));
  assertInstanceOf(error, FrameError);
  assertEquals(error.message, "Cannot decode frame as a line must be valid UTF-8");
  assertInstanceOf(error.cause, TypeError);
});

Deno.test("line() refuses to encode an end of line, and what is too long, before it writes", () => {
  const output = new OutBuffer();
  const codec = line({ maxFrameLength: 6 });
  for (const text of ["a\nb", "\n", "a\r", "a\r\n"]) {
    assertThrows(() => codec.encode(text, output), RangeError, "must not contain an end of line");
  }
  for (const text of ["1234567", "€€€", "ééé1"]) {
    assertThrows(() => codec.encode(text, output), LimitError);
  }
  assertEquals(output.length, 0);
  for (const text of ["123456", "€€", "ééé"]) codec.encode(text, output);
  assertEquals(output.toBytes(), join("123456\n€€\nééé\n"));
});

function codeOf(error: unknown): unknown {
  return error instanceof FrameError ? error.code : error;
}
