/**
 * Stands in for `jsr:@std/bytes` where JSR cannot be reached. Covers what vnet's tests use.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** Joins arrays into a new one. */
export function concat(buffers: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(buffers));
}

/** Whether both arrays hold the same bytes. */
export function equals(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Where `needle` is first found from `start` on, or -1. A negative `start` counts from the end. */
export function indexOfNeedle(source: Uint8Array, needle: Uint8Array, start = 0): number {
  // Node finds an empty needle everywhere, std nowhere.
  if (needle.length === 0) return -1;
  return Buffer.from(source.buffer, source.byteOffset, source.byteLength).indexOf(needle, start);
}

/** Whether `source` begins with `prefix`. */
export function startsWith(source: Uint8Array, prefix: Uint8Array): boolean {
  return equals(source.subarray(0, prefix.length), prefix);
}
