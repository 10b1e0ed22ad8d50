/**
 * Ways to split a byte stream into frames, each one pass over the same stream.
 *
 * The least that any splitter does is to find each frame and make a view of it; that copies nothing.
 * `callback` is given views of the stream as its chunks, and copies no more of them than it must. All
 * others read: a connection copies what comes into the reader's memory, as a socket would.
 */
import {
  ByteQueue,
  type Bytes,
  type ByteTransport,
  type Codec,
  FrameDecoder,
  FrameStream,
} from "../src/frames.ts";
import { OutBuffer } from "../src/base/out_buffer.ts";

/** So that the compiler cannot leave anything out. */
export let sink = 0;

/** About `length` bytes of one frame again and again; `count`: exactly so many. */
export function streamOf<I, O>(
  codec: Codec<I, O>,
  frame: I,
  length: number,
  count?: number,
): Bytes {
  const output = new OutBuffer();
  codec.encode(frame, output);
  const one = output.toBytes();
  const stream = new Uint8Array(one.length * (count ?? Math.ceil(length / one.length)));
  for (let at = 0; at < stream.length; at += one.length) stream.set(one, at);
  return stream;
}

/** Views of frames behind four bytes of length. */
export function walkLengths(stream: Bytes): void {
  for (let at = 0; at < stream.length;) {
    const length = byte(stream, at) << 24 | byte(stream, at + 1) << 16 |
      byte(stream, at + 2) << 8 | byte(stream, at + 3);
    sink += stream.subarray(at + 4, at + 4 + length).length;
    at += 4 + length;
  }
}

/** Views of frames behind a varint. */
export function walkVarints(stream: Bytes): void {
  for (let at = 0; at < stream.length;) {
    let length = 0;
    for (let shift = 0;; shift += 7) {
      const next = byte(stream, at++);
      length |= (next & 0x7f) << shift;
      if (next < 0x80) break;
    }
    sink += stream.subarray(at, at + length).length;
    at += length;
  }
}

/** Views of frames of one length. */
export function walkFixed(length: number): (stream: Bytes) => void {
  return (stream) => {
    for (let at = 0; at < stream.length; at += length) {
      sink += stream.subarray(at, at + length).length;
    }
  };
}

/** Views of frames that end with a byte. */
export function walkDelimiters(last: number): (stream: Bytes) => void {
  return (stream) => {
    for (let at = 0; at < stream.length;) {
      const end = stream.indexOf(last, at);
      sink += stream.subarray(at, end).length;
      at = end + 1;
    }
  };
}

/** The text of frames that end with a byte. */
export function walkLines(last: number): (stream: Bytes) => void {
  const decoder = new TextDecoder();
  return (stream) => {
    for (let at = 0; at < stream.length;) {
      const end = stream.indexOf(last, at);
      sink += decoder.decode(stream.subarray(at, end)).length;
      at = end + 1;
    }
  };
}

/** Chunks that somebody else has read, given away: nothing is copied but frames that they cut. */
export function callback<I, O>(stream: Bytes, chunk: number, codec: Codec<I, O>): void {
  const decoder = new FrameDecoder(codec);
  for (let at = 0; at < stream.length; at += chunk) {
    decoder.push(stream.subarray(at, at + chunk));
    while (decoder.next() !== undefined) sink++;
  }
}

/** The codec alone, in the loop of whoever reads into its memory. */
export function reads<I, O>(stream: Bytes, chunk: number, codec: Codec<I, O>): void {
  const queue = new ByteQueue();
  for (let at = 0; at < stream.length;) {
    const space = queue.space();
    const count = Math.min(chunk, space.length, stream.length - at);
    space.set(stream.subarray(at, at + count));
    queue.fill(count);
    at += count;
    while (codec.decode(queue) !== undefined) sink++;
  }
}

/** The frames of each read together. */
export async function batches<I, O>(
  stream: Bytes,
  chunk: number,
  codec: Codec<I, O>,
): Promise<void> {
  for await (const batch of new FrameStream(source(stream, chunk), codec).batches()) {
    for (let i = 0; i < batch.length; i++) sink++;
  }
}

/** One frame at a time. */
export async function forAwait<I, O>(
  stream: Bytes,
  chunk: number,
  codec: Codec<I, O>,
): Promise<void> {
  for await (const _ of new FrameStream(source(stream, chunk), codec)) sink++;
}

function byte(stream: Bytes, at: number): number {
  return stream[at] ?? 0;
}

function source(stream: Bytes, chunk: number): ByteTransport {
  let at = 0;
  return {
    read(buffer) {
      const count = Math.min(chunk, buffer.length, stream.length - at);
      if (count === 0) return Promise.resolve(null);
      buffer.set(stream.subarray(at, at + count));
      at += count;
      return Promise.resolve(count);
    },
    write: (data) => Promise.resolve(data.length),
    close() {},
  };
}
