/**
 * Views of a part of a buffer, for what reads thousands of frames out of one.
 */
import type { Bytes } from "./types.ts";

/** The buffer of the last view, and what it is made of: to ask that each time costs a third of a view. */
let last: Bytes = new Uint8Array(0);
let memory: ArrayBuffer = last.buffer;

/** As `buffer.subarray(start, end)`, which must lie within. */
export function viewOf(buffer: Bytes, start: number, end: number): Bytes {
  if (buffer !== last) {
    last = buffer;
    memory = buffer.buffer;
  }
  return new Uint8Array(memory, buffer.byteOffset + start, end - start);
}
