/** What becomes of chunks that are given to a decoder, and of the errors in them. */
import type { Bytes } from "@vgo/vnet";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import type { ByteQueue } from "../../src/base/byte_queue.ts";
import { FrameError } from "../../src/base/errors.ts";
import type { Codec } from "../../src/codec/codec.ts";
import { line } from "../../src/codec/delimiter.ts";
import { FrameDecoder } from "../../src/codec/frame_decoder.ts";
import { lengthField } from "../../src/codec/length_field.ts";
import { body, join, sameFrames } from "../_support/feed.ts";
import { Rng } from "../_support/rng.ts";
import { type CodecCase, forEachCodec } from "./cases.ts";

const SEED = 20_261_121;

forEachCodec(suite);

function suite<I, O>({ name, codec, golden }: CodecCase<I, O>): void {
  const frames = golden.map(([frame]) => frame);
  const stream = join(...golden.map(([, bytes]) => bytes));

  Deno.test(`FrameDecoder of ${name} gives the golden frames at every cut`, () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      // A frame that began in the last chunk but one, ...
      const decoder = new FrameDecoder(codec);
      const given: O[] = [];
      for (const chunk of [stream.subarray(0, cut), stream.subarray(cut), stream]) {
        decoder.push(chunk.slice());
        takeAll(decoder, given);
      }
      assert(sameFrames(given, [...frames, ...frames]), `Frames differ when cut at ${cut}`);
    }
  });

  Deno.test(`FrameDecoder of ${name} F16 gives frames for ever, whatever chunks they come in`, () => {
    const rng = new Rng(SEED);
    for (let run = 0; run < 100; run++) {
      // One memory for all chunks: whatever is written to it that should not be is seen in the end.
      const whole = join(...Array.from({ length: 20 }, () => stream));
      const before = whole.slice();
      const decoder = new FrameDecoder(codec);
      const given: O[] = [];
      const longest = rng.pick([10, 300, 3_000]);
      for (let at = 0; at < whole.length;) {
        const chunk = whole.subarray(at, at + 1 + rng.int(longest));
        at += chunk.length;
        if (rng.int(4) > 0) decoder.push(chunk);
        else {
          for (let from = 0; from < chunk.length;) {
            const space = decoder.space();
            const part = chunk.subarray(from, from + space.length);
            space.set(part);
            decoder.fill(part.length);
            from += part.length;
          }
        }
        // Not each time: several chunks may come before anybody asks.
        if (rng.int(3) > 0) takeAll(decoder, given);
        else if (rng.int(2) > 0) takeAll(decoder, given, 1);
      }
      decoder.end();
      takeAll(decoder, given);
      const expected = Array.from({ length: 20 }, () => frames).flat();
      assert(sameFrames(given, expected), `Frames differ in run ${run} of seed ${SEED}`);
      assertEquals(whole, before);
    }
  });
}

Deno.test("FrameDecoder.push() copies no more of a chunk than the frame that it completes", () => {
  const codec = lengthField({ width: 2 });
  const one = join(Uint8Array.of(0, 98), body(98));
  const stream = join(...Array.from({ length: 50 }, () => one));
  const chunks = [0, 1_001, 2_050, 3_199, 4_101, 5_000]
    .map((end, i, ends) => stream.slice(ends[i - 1] ?? 0, end)).slice(1);
  const decoder = new FrameDecoder(codec);
  const given: Bytes[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    takeAll(decoder, given);
  }
  assert(sameFrames(given, Array.from({ length: 50 }, () => body(98))));
  const copies = given.filter(({ buffer }) => !chunks.some((chunk) => chunk.buffer === buffer));
  assertEquals(copies.length, chunks.length - 1);
  for (const { buffer } of copies) assert(buffer.byteLength <= 512);
});

Deno.test("FrameDecoder.push() copies a frame of many chunks a few times at most", () => {
  const size = 1 << 18;
  const chunk = 1_460;
  for (const wanted of ["known", "unknown", "one more"]) {
    let copied = 0;
    let memory: ArrayBufferLike | undefined;
    const codec: Pick<Codec<never, number>, "decode"> = {
      decode(input) {
        if (input.buffer.buffer !== memory) copied += input.length;
        memory = input.buffer.buffer;
        if (input.length >= size) return input.take(size).length;
        input.wanted = { known: size, unknown: 0, "one more": input.length + 1 }[wanted] ?? 0;
        return undefined;
      },
    };
    const decoder = new FrameDecoder(codec);
    let frames = 0;
    for (let at = 0; at < 3 * size; at += chunk) {
      decoder.push(new Uint8Array(Math.min(chunk, 3 * size - at)));
      while (decoder.next() !== undefined) frames++;
    }
    assertEquals(frames, 3);
    assert(copied <= 2 * 3 * size, `${wanted}: ${copied} copied`);
  }
});

Deno.test("FrameDecoder.next() throws the error of a bad frame after the good ones, and again", () => {
  const lines = "one\ntwo\n".repeat(50);
  for (const size of [3, 200, 1_000]) {
    const decoder = new FrameDecoder(line());
    const stream = join(lines, Uint8Array.of(0x80), "\n", lines);
    const given: string[] = [];
    let error: unknown;
    for (let at = 0; at < stream.length; at += size) {
      decoder.push(stream.slice(at, at + size));
      const failed = error === undefined ? undefined : assertThrows(() => decoder.next());
      assertStrictEquals(failed, error);
      try {
        takeAll(decoder, given);
      } catch (thrown) {
        error = thrown;
      }
    }
    assertEquals(given.join("\n") + "\n", lines);
    assertInstanceOf(error, FrameError);
    assertEquals(error.code, "BAD_FRAME");
    decoder.space().fill(10);
    decoder.fill(5);
    assertStrictEquals(assertThrows(() => decoder.next()), error);
  }
});

Deno.test("FrameDecoder.next() makes a FrameError of whatever else a codec throws", () => {
  const cause = new RangeError("peeked too far");
  const broken: [Codec<string>["decode"], unknown][] = [
    [() => {
      throw cause;
    }, RangeError],
    [() => "takes nothing", TypeError],
  ];
  for (const [decode, kind] of broken) {
    for (const atEnd of [false, true]) {
      const decoder = new FrameDecoder(
        atEnd ? { decode: () => undefined, decodeEof: decode } : { decode },
      );
      decoder.push(join("bytes"));
      decoder.end();
      const error = assertThrows(() => decoder.next());
      assertInstanceOf(error, FrameError);
      assertEquals(error.cause instanceof Error && error.cause.constructor, kind);
    }
  }
});

Deno.test("FrameDecoder.end() F7 makes what is left an error, unless the codec takes it", () => {
  const rest = (input: ByteQueue) => new TextDecoder().decode(input.take(input.length));
  for (const size of [3, 200]) {
    const text = "l".repeat(size);
    const plain = new FrameDecoder(line());
    const lenient = new FrameDecoder({ ...line(), decodeEof: rest });
    for (const decoder of [plain, lenient]) {
      decoder.push(join(text, "\n", text));
      assertEquals([decoder.next(), decoder.next()], [text, undefined]);
      decoder.end();
    }
    const error = assertThrows(() => plain.next());
    assertInstanceOf(error, FrameError);
    assertEquals(error.code, "TRUNCATED");
    assertEquals([lenient.next(), lenient.next()], [text, undefined]);
  }
});

function takeAll<O>(decoder: FrameDecoder<O>, to: O[], most = Infinity): void {
  for (let count = 0; count < most; count++) {
    const frame = decoder.next();
    if (frame === undefined) return;
    to.push(frame);
  }
}
