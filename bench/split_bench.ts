/**
 * Splitting a byte stream into frames: CPU only, no socket. Every codec, each way to get the frames,
 * sizes of bodies, and ways in which a network cuts the stream.
 *
 * In each group the baseline finds the frames and makes a view of each (of lines: the text), which is
 * the least that any splitter does, in a stream that is there as a whole. One turn is one pass over the
 * same stream, so only ratios within a group mean anything.
 */
import {
  type Bytes,
  type Codec,
  delimiter,
  fixed,
  lengthField,
  line,
  varint,
} from "../src/frames.ts";
import { scaled, smoke, turns } from "./_settings.ts";
import * as split from "./_splitting.ts";

/** In small chunks there are many reads, so a short stream will do. */
const CHUNKS: readonly [name: string, size: number, pass: number][] = [
  ["64 KiB chunks", 65_536, scaled(1 << 20, 1 << 17)],
  ["7 B chunks", 7, scaled(1 << 18, 1 << 12)],
  ["1 B chunks", 1, scaled(1 << 16, 1 << 10)],
];
const BODIES: readonly [name: string, size: number][] = [
  ["16 B", 16],
  ["64 B", 64],
  ["256 B", 256],
  ["1 KiB", 1_024],
  ["64 KiB", 65_536],
];

for (const [name, size] of smoke ? BODIES.slice(1, 2) : BODIES) {
  const body = new Uint8Array(size);
  group("lengthField", name, lengthField({ width: 4 }), body, split.walkLengths);
  group("varint", name, varint(), body, split.walkVarints);
  group("fixed", name, fixed(size), body, split.walkFixed(size));
  group("delimiter", name, delimiter(new Uint8Array([10])), body, split.walkDelimiters(10));
  group("line", name, line(), "x".repeat(size), split.walkLines(10));
}

function group<I, O>(
  codecName: string,
  size: string,
  codec: Codec<I, O>,
  frame: I,
  walk: (stream: Bytes) => void,
): void {
  for (const [chunks, chunk, pass] of CHUNKS) {
    const stream = split.streamOf(codec, frame, pass);
    const group = `${codecName}, ${size}, ${chunks}`;
    const bench = (name: string, fn: () => void | Promise<void>) =>
      Deno.bench(name, { group, baseline: name === "walk", ...turns }, fn);
    bench("walk", () => walk(stream));
    bench("callback", () => split.callback(stream, chunk, codec));
    bench("reads", () => split.reads(stream, chunk, codec));
    // Only what is declared async is awaited by the runner.
    bench("batches", async () => await split.batches(stream, chunk, codec));
    bench("for await", async () => await split.forAwait(stream, chunk, codec));
  }
}
