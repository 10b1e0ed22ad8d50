/**
 * Feeds byte streams to codecs in pieces, the way a connection does.
 *
 * Owns the ways to cut a stream. Frames are kept and compared after the whole stream was fed, so a
 * frame that is a view into memory which is written to again does not go unnoticed.
 */
import { ByteQueue } from "../../src/base/byte_queue.ts";
import type { Codec } from "../../src/codec/codec.ts";
import type { Rng } from "./rng.ts";

/** What can decode. */
export type Decoder<O> = Pick<Codec<never, O>, "decode" | "decodeEof">;

/** What came of a stream. */
export interface Fed<O> {
  readonly frames: O[];
  /** What `decode` threw; nothing was fed after it. */
  readonly error: unknown;
  /** Bytes that were left over. */
  readonly rest: number;
}

/**
 * Feeds a stream that is cut at the given offsets, which rise. Where there are very many, one queue
 * may serve them all: its memory is used again, and what frames were given of it before is void.
 */
export function feed<O>(
  decoder: Decoder<O>,
  stream: Uint8Array,
  cuts: readonly number[] = [],
  queue: ByteQueue = new ByteQueue(),
): Fed<O> {
  const frames: O[] = [];
  queue.skip(queue.length);
  queue.rewind();
  let from = 0;
  for (let i = 0; i <= cuts.length; i++) {
    const to = cuts[i] ?? stream.length;
    queue.push(stream.subarray(from, to));
    from = to;
    try {
      decodeAll(decoder, queue, frames);
    } catch (error) {
      return { frames, error, rest: queue.length };
    }
  }
  return { frames, error: undefined, rest: queue.length };
}

/** As `feed`, but puts the bytes where a connection reads them to, which may cut them further. */
export function feedReads<O>(
  decoder: Decoder<O>,
  stream: Uint8Array,
  cuts: readonly number[] = [],
): Fed<O> {
  const queue = new ByteQueue();
  const frames: O[] = [];
  const ends = [...cuts, stream.length];
  let at = 0;
  for (const end of ends) {
    while (at < end) {
      const space = queue.space();
      const count = Math.min(space.length, end - at);
      space.set(stream.subarray(at, at + count));
      queue.fill(count);
      at += count;
      try {
        decodeAll(decoder, queue, frames);
      } catch (error) {
        return { frames, error, rest: queue.length };
      }
    }
  }
  return { frames, error: undefined, rest: queue.length };
}

/** Cuts behind every byte. */
export function everyByte(length: number): number[] {
  const cuts: number[] = [];
  for (let at = 1; at < length; at++) cuts.push(at);
  return cuts;
}

/** Up to `max` cuts at random, rising; several may be in one place. */
export function randomCuts(rng: Rng, length: number, max = 4): number[] {
  const cuts: number[] = [];
  for (let count = rng.int(max + 1); count > 0; count--) cuts.push(rng.int(length + 1));
  return cuts.length < 2 ? cuts : cuts.sort((a, b) => a - b);
}

/** Pieces in one. */
export function join(...pieces: readonly (Uint8Array | string)[]): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const parts = pieces.map((piece) => typeof piece === "string" ? encoder.encode(piece) : piece);
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Bytes from hexadecimal digits; blanks do not count. */
export function hex(digits: string): Uint8Array<ArrayBuffer> {
  const pairs = digits.replaceAll(/\s/g, "").match(/../g) ?? [];
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}

/** Bytes that count up from `first`: a body that shows where it was cut. */
export function body(length: number, first = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = first + i;
  return bytes;
}

/** Whether two frames are equal: bytes by their content, others as JSON would show them. */
export function sameFrame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    if (a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) {
      if (a[i] !== b[i]) return false;
    }
    return true;
  }
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const keys = Object.keys(a);
  const others: object = b;
  return keys.length === Object.keys(b).length &&
    keys.every((key) => sameFrame(Reflect.get(a, key), Reflect.get(others, key)));
}

/** Whether two lists of frames are equal. */
export function sameFrames(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (!sameFrame(a[i], b[i])) return false;
  }
  return true;
}

function decodeAll<O>(decoder: Decoder<O>, queue: ByteQueue, frames: O[]): void {
  for (let frame = decoder.decode(queue); frame !== undefined; frame = decoder.decode(queue)) {
    frames.push(frame);
  }
}
