/** `varint()`, `fixed()` and `mapCodec()`. */
import { assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import { FrameError, LimitError } from "../../src/base/errors.ts";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { Codec } from "../../src/codec/codec.ts";
import { fixed } from "../../src/codec/fixed.ts";
import { mapCodec } from "../../src/codec/map_codec.ts";
import { varint } from "../../src/codec/varint.ts";
import { body, feed, hex, join } from "../_support/feed.ts";

Deno.test("varint() F13 reads and writes lengths at the edges of each size", () => {
  const table: [length: number, header: string][] = [
    [0, "00"],
    [1, "01"],
    [127, "7f"],
    [128, "8001"],
    [300, "ac02"],
    [16_383, "ff7f"],
    [16_384, "808001"],
    [2_097_151, "ffff7f"],
    [2_097_152, "80808001"],
    [268_435_455, "ffffff7f"],
    [268_435_456, "8080808001"],
    [2_147_483_647, "ffffffff07"],
  ];
  const codec = varint({ maxFrameLength: 2_147_483_647 });
  for (const [length, header] of table) {
    const queue = new ByteQueue(hex(header));
    const frame = codec.decode(queue);
    assertEquals(frame === undefined ? queue.wanted : 0, length && header.length / 2 + length);
    if (length > 20_000) continue;
    const output = new OutBuffer();
    codec.encode(body(length), output);
    assertEquals(output.toBytes(), join(hex(header), body(length)));
  }
});

Deno.test("varint() F13 refuses a length over the limit at the byte that goes over it", () => {
  const codec = varint({ maxFrameLength: 300 });
  assertEquals(feed(codec, hex("ac02")).error, undefined);
  for (const bytes of ["ad02", "ffff", "ac82 01"]) {
    const { error } = feed(codec, hex(bytes));
    assertInstanceOf(error, FrameError);
    assertEquals(error.code, "FRAME_TOO_LARGE");
  }
  assertThrows(() => codec.encode(body(301), new OutBuffer()), LimitError);
});

Deno.test("fixed() refuses a length that is none, and to encode another", () => {
  for (const length of [0, -1, 1.5, NaN, Infinity, 2 ** 31]) {
    assertThrows(() => fixed(length), RangeError);
  }
  const output = new OutBuffer();
  const error = assertThrows(() => fixed(3).encode(body(4), output), RangeError);
  assertEquals(error.message, "Cannot encode frame as its length must be 3: current value is 4");
  assertEquals(output.length, 0);
});

Deno.test("fixed() says how much it waits for", () => {
  const queue = new ByteQueue(body(3));
  assertEquals(fixed(100_000).decode(queue), undefined);
  assertEquals(queue.wanted, 100_000);
});

Deno.test("mapCodec() turns what its function throws into a FrameError with the cause", () => {
  const cause = new SyntaxError("no");
  const codec = mapCodec(fixed(1), (frame) => {
    if (frame[0] === 1) throw cause;
    if (frame[0] === 2) throw new FrameError("mine");
    return frame[0] === 3 ? undefined : frame[0];
  }, (value: number) => Uint8Array.of(value));
  assertEquals(feed(codec, Uint8Array.of(7, 8)).frames, [7, 8]);
  const thrown = feed(codec, Uint8Array.of(1)).error;
  assertInstanceOf(thrown, FrameError);
  assertStrictEquals(thrown.cause, cause);
  const own = feed(codec, Uint8Array.of(2)).error;
  assertInstanceOf(own, FrameError);
  assertEquals(own.message, "mine");
  const nothing = feed(codec, Uint8Array.of(3)).error;
  assertInstanceOf(nothing, FrameError);
  assertEquals(nothing.code, "BAD_FRAME");
});

Deno.test("mapCodec() maps what comes at the end as well, if its codec gives anything there", () => {
  const greedy: Codec<Uint8Array> = {
    ...fixed(2),
    decodeEof: (input) => input.take(input.length),
  };
  const codec = mapCodec(greedy, (frame) => frame.length, (length: number) => body(length));
  assertEquals(codec.decodeEof?.(new ByteQueue(body(1))), 1);
  assertEquals(mapCodec(fixed(2), (frame) => frame, (frame) => frame).decodeEof, undefined);
});
