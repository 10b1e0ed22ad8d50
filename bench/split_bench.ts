/**
 * Splitting a byte stream into frames: CPU only, no socket.
 *
 * In each group the baseline walks the headers and makes a view per frame, which is the least that
 * any splitter does; it copies nothing. For the others a fake connection copies chunks into the
 * reader's memory, as a socket would. One turn is one pass over the same stream, so only ratios
 * within a group mean anything.
 */
import {
  ByteQueue,
  type Bytes,
  type ByteTransport,
  type Codec,
  delimiter,
  fixed,
  FrameStream,
  lengthField,
  line,
  varint,
} from "../src/frames.ts";
import { OutBuffer } from "../src/base/out_buffer.ts";
import { scaled, turns } from "./_settings.ts";

const PASS = scaled(1 << 20, 1 << 17);
const CHUNKS: readonly [name: string, size: number][] = [
  ["64 KiB chunks", 65_536],
  ["1460 B chunks", 1_460],
  ["7 B chunks", 7],
];
const BODIES: readonly [name: string, size: number][] = [
  ["16 B", 16],
  ["64 B", 64],
  ["1 KiB", 1_024],
];

let sink = 0;

const codec = lengthField({ width: 4 });
for (const [name, size] of BODIES) {
  const group = `lengthField, ${name} bodies`;
  const stream = streamOf(codec, new Uint8Array(size));
  Deno.bench("walk + subarray", { group, baseline: true, ...turns }, () => walk(stream));
  for (const [chunkName, chunk] of CHUNKS) {
    Deno.bench(`callback, ${chunkName}`, { group, ...turns }, () => callback(stream, chunk, codec));
    Deno.bench(
      `batches, ${chunkName}`,
      { group, ...turns },
      async () => await batches(stream, chunk, codec),
    );
    Deno.bench(
      `for await, ${chunkName}`,
      { group, ...turns },
      async () => await forAwait(stream, chunk, codec),
    );
  }
}

{
  // Such a frame is memory of its own, so the least that can be done is a copy to new memory.
  const group = "lengthField, 1 MiB bodies";
  const size = scaled(1 << 20, 1 << 17);
  const stream = streamOf(codec, new Uint8Array(size).fill(1), 8);
  Deno.bench("memcpy to new memory", { group, baseline: true, ...turns }, () => {
    for (let at = 4; at < stream.length; at += size + 4) sink += stream.slice(at, at + size).length;
  });
  const standing = new Uint8Array(size);
  Deno.bench("memcpy to the same memory", { group, ...turns }, () => {
    for (let at = 4; at < stream.length; at += size + 4) {
      standing.set(stream.subarray(at, at + size));
    }
  });
  Deno.bench(
    "batches, 64 KiB chunks",
    { group, ...turns },
    async () => await batches(stream, 65_536, codec),
  );
}

others("varint", varint(), new Uint8Array(64));
others("fixed", fixed(64), new Uint8Array(64));
others("delimiter", delimiter(new Uint8Array([13, 10])), new Uint8Array(64));
others("line", line(), "x".repeat(64));

function others<I, O>(name: string, codec: Codec<I, O>, frame: I): void {
  const group = "other codecs, 64 B bodies, 64 KiB chunks";
  const baseline = name === "varint";
  if (baseline) {
    const stream = streamOf(lengthField({ width: 4 }), new Uint8Array(64));
    Deno.bench("walk + subarray", { group, baseline, ...turns }, () => walk(stream));
  }
  const stream = streamOf(codec, frame);
  Deno.bench(`${name}, callback`, { group, ...turns }, () => callback(stream, 65_536, codec));
}

/** About a pass of one frame again and again. */
function streamOf<I, O>(codec: Codec<I, O>, frame: I, count?: number): Bytes {
  const output = new OutBuffer();
  codec.encode(frame, output);
  const one = output.toBytes();
  const stream = new Uint8Array(one.length * (count ?? Math.ceil(PASS / one.length)));
  for (let at = 0; at < stream.length; at += one.length) stream.set(one, at);
  return stream;
}

function walk(stream: Bytes): void {
  for (let at = 0; at < stream.length;) {
    const length = byte(stream, at) << 24 | byte(stream, at + 1) << 16 |
      byte(stream, at + 2) << 8 | byte(stream, at + 3);
    sink += stream.subarray(at + 4, at + 4 + length).length;
    at += 4 + length;
  }
}

function byte(stream: Bytes, at: number): number {
  return stream[at] ?? 0;
}

function callback<I, O>(stream: Bytes, chunk: number, codec: Codec<I, O>): void {
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

async function batches<I, O>(stream: Bytes, chunk: number, codec: Codec<I, O>): Promise<void> {
  for await (const batch of new FrameStream(source(stream, chunk), codec).batches()) {
    for (let i = 0; i < batch.length; i++) sink++;
  }
}

async function forAwait<I, O>(stream: Bytes, chunk: number, codec: Codec<I, O>): Promise<void> {
  for await (const _ of new FrameStream(source(stream, chunk), codec)) sink++;
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
