/** What every codec has to pass, whatever its format. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import { FrameError } from "../../src/base/errors.ts";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { Codec } from "../../src/codec/codec.ts";
import { line } from "../../src/codec/delimiter.ts";
import { fixed } from "../../src/codec/fixed.ts";
import { lengthField } from "../../src/codec/length_field.ts";
import { varint } from "../../src/codec/varint.ts";
import {
  everyByte,
  feed,
  feedReads,
  join,
  randomCuts,
  sameFrame,
  sameFrames,
} from "../_support/feed.ts";
import { Rng } from "../_support/rng.ts";
import { type CodecCase, forEachCodec } from "./cases.ts";

const SEED = 20_260_801;
const ROUND_TRIPS = 4_000;

forEachCodec(suite);

function suite<I, O>(codecCase: CodecCase<I, O>): void {
  const { name, codec, golden, fuzzRuns, hostile, random } = codecCase;
  const frames = golden.map(([frame]) => frame);
  const stream = join(...golden.map(([, bytes]) => bytes));

  Deno.test(`${name} F3 gives the golden frames: whole, byte by byte, at random cuts`, () => {
    assert(stream.length >= 600, `The golden stream has only ${stream.length} bytes`);
    const rng = new Rng(SEED);
    const ways = [[], everyByte(stream.length)];
    for (let i = 0; i < 200; i++) ways.push(randomCuts(rng, stream.length, 30));
    for (const cuts of ways) {
      assertEquals(feed(codec, stream, cuts), { frames, error: undefined, rest: 0 });
      assertEquals(feedReads(codec, stream, cuts), { frames, error: undefined, rest: 0 });
    }
  });

  Deno.test(`${name} F3 gives the golden frames at every cut and every pair of cuts`, () => {
    const queue = new ByteQueue();
    for (let i = 0; i <= stream.length; i++) {
      for (let k = i; k <= stream.length; k++) {
        const fed = feed(codec, stream, [i, k], queue);
        if (!sameFrames(fed.frames, frames)) {
          throw new Error(`Frames differ when cut at ${i} and ${k}: ${Deno.inspect(fed)}`);
        }
      }
    }
  });

  Deno.test(`${name} F7 gives no partial frame, wherever the stream ends`, () => {
    const ends = [0];
    for (const [, bytes] of golden) ends.push((ends.at(-1) ?? 0) + bytes.length);
    for (let length = 0; length <= stream.length; length++) {
      const fed = feed(codec, stream.subarray(0, length));
      const whole = ends.filter((end) => end <= length);
      assert(sameFrames(fed.frames, frames.slice(0, whole.length - 1)), `Wrong at ${length}`);
      assertEquals(fed.rest, length - (whole.at(-1) ?? 0));
    }
  });

  Deno.test(`${name} encodes the golden frames, in a form that it decodes`, () => {
    for (const [frame, bytes] of golden) {
      const written = encode(codec, [frame]);
      // A line may end with CR LF, but is not written so.
      if (typeof frame !== "string") assertEquals(written, bytes);
      assertEquals(feed(codec, written), { frames: [frame], error: undefined, rest: 0 });
    }
  });

  Deno.test(`${name} F16 leaves frames alone that were given long before`, () => {
    const queue = new ByteQueue();
    const held: O[] = [];
    const expected: unknown[] = [];
    while (held.length < 10_000) {
      queue.push(stream);
      for (let f = codec.decode(queue); f !== undefined; f = codec.decode(queue)) held.push(f);
      expected.push(...frames);
    }
    assert(sameFrames(held, expected));
  });

  for (const { name: what, bytes, code } of hostile) {
    Deno.test(`${name} F1 F2 F13 refuses ${what}, once and before it is buffered`, () => {
      for (const cuts of [[], everyByte(bytes.length)]) {
        for (const junk of ["", "\0\0\0\0", "junk behind it"]) {
          const fed = feed(
            codec,
            join(stream, bytes, junk),
            cuts.map((cut) => cut + stream.length),
          );
          assertInstanceOf(fed.error, FrameError);
          assertEquals(fed.error.code, code);
          assertEquals(fed.error.initiator, "remote");
          assert(sameFrames(fed.frames, frames), "The frames before it must all be there");
        }
      }
    });
  }

  Deno.test(`${name} F10 turns any bytes into frames or a FrameError, however they are cut`, () => {
    const rng = new Rng(SEED);
    const models = [stream, ...hostile.map(({ bytes }) => bytes.subarray(0, 64))];
    const [queue, other] = [new ByteQueue(), new ByteQueue()];
    withoutStacks(() => {
      for (let run = 0; run < fuzzRuns; run++) {
        const input = rng.int(4) === 0 ? mutated(rng, rng.pick(models)) : rng.bytes(rng.int(24));
        const whole = feed(codec, input, [], queue);
        const cut = feed(codec, input, randomCuts(rng, input.length), other);
        const fine = (whole.error === undefined || whole.error instanceof FrameError) &&
          codeOf(whole.error) === codeOf(cut.error) && sameFrames(whole.frames, cut.frames) &&
          (whole.error !== undefined || whole.rest === cut.rest);
        if (!fine) {
          throw new Error(
            `Wrong in run ${run} of seed ${SEED}, input ${input}: ${Deno.inspect([whole, cut])}`,
          );
        }
      }
    });
  });

  Deno.test(`${name} decodes what it encodes, under random splits`, () => {
    const rng = new Rng(SEED);
    for (let run = 0; run < ROUND_TRIPS; run++) {
      const sent = Array.from({ length: 1 + rng.int(4) }, () => random(rng));
      const bytes = encode(codec, sent);
      const fed = feed(codec, bytes, randomCuts(rng, bytes.length));
      if (fed.rest !== 0 || !sameFrames(fed.frames, sent)) {
        throw new Error(`Differs in run ${run} of seed ${SEED}: ${Deno.inspect([sent, fed])}`);
      }
    }
  });
}

Deno.test("lengthField() varint() fixed() line() F4 take 1 MiB byte by byte in linear time", () => {
  const size = 1 << 20;
  const text = "x".repeat(size);
  const bytes = new Uint8Array(size).fill(7);
  byteByByte(lengthField({ width: 4 }), bytes);
  byteByByte(varint(), bytes);
  byteByByte(fixed(size), bytes);
  byteByByte(line(), text);
});

function byteByByte<T>(codec: Codec<T, unknown>, frame: T): void {
  const stream = encode(codec, [frame]);
  const queue = new ByteQueue();
  const start = performance.now();
  for (let at = 0; at < stream.length - 1; at++) {
    queue.space()[0] = stream[at] ?? 0;
    queue.fill(1);
    assert(codec.decode(queue) === undefined);
  }
  // A tenth of a second here; the slightest copy per byte would make it a minute.
  assert(performance.now() - start < 10_000);
  queue.push(stream.subarray(-1));
  assert(sameFrame(codec.decode(queue), frame));
}

function encode<I>(codec: Codec<I, unknown>, frames: readonly I[]): Uint8Array {
  const output = new OutBuffer();
  for (const frame of frames) codec.encode(frame, output);
  return output.toBytes();
}

/** A part of `bytes` with a few of them changed: more often almost right than chance would be. */
function mutated(rng: Rng, bytes: Uint8Array): Uint8Array {
  const from = rng.int(bytes.length);
  const copy = bytes.slice(from, from + 1 + rng.int(60));
  for (let i = rng.int(3); i > 0; i--) copy[rng.int(copy.length)] = rng.int(256);
  return copy;
}

function codeOf(error: unknown): unknown {
  return error instanceof FrameError ? error.code : error;
}

/** Most of the time of many failures goes into their stacks. */
function withoutStacks(run: () => void): void {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    run();
  } finally {
    Error.stackTraceLimit = limit;
  }
}
