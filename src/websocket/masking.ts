/**
 * The mask of client frames (RFC 6455, section 5.3): XOR with a key of four bytes that repeats.
 *
 * Owns the speed of it: a word at a time, where there are enough bytes to make a view of words worth
 * its while. A key is a number whose highest byte is the first on the wire.
 */
import type { Bytes } from "../base/types.ts";

/** From so many bytes on. */
const WORTH_WORDS = 16;
const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Masks or unmasks `buffer[start, end)` in place, of a payload of which `before` bytes lie before. */
export function mask(buffer: Bytes, start: number, end: number, key: number, before = 0): void {
  let at = start;
  let turned = turn(key, before & 3);
  if (end - start >= WORTH_WORDS) {
    for (; ((buffer.byteOffset + at) & 3) !== 0; at++) {
      buffer[at]! ^= turned >>> 24;
      turned = turn(turned, 1);
    }
    const words = new Uint32Array(buffer.buffer, buffer.byteOffset + at, (end - at) >>> 2);
    const word = LITTLE_ENDIAN ? reversed(turned) : turned;
    for (let i = 0; i < words.length; i++) words[i]! ^= word;
    at += words.length * 4;
  }
  for (; at < end; at++) {
    buffer[at]! ^= turned >>> 24;
    turned = turn(turned, 1);
  }
}

/** The key as it begins `bytes` later. */
function turn(key: number, bytes: number): number {
  return bytes === 0 ? key : key << (8 * bytes) | key >>> (32 - 8 * bytes);
}

function reversed(word: number): number {
  return word << 24 | (word & 0xff00) << 8 | (word >>> 8 & 0xff00) | word >>> 24;
}
