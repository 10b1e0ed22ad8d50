/**
 * UTF-8 that arrives in pieces: judged byte by byte, decoded when all of it is there.
 *
 * Owns the rule of what is UTF-8 (RFC 3629): no overlong form, no surrogate, nothing above U+10FFFF.
 */
import type { Bytes } from "../base/types.ts";

/** From so many bytes on a view of words pays off. */
const WORTH_WORDS = 64;
const NOT_ASCII = 0x80808080;
/** Up to so many ASCII characters are faster without the decoder. */
const SHORT = 64;

// A byte order mark is part of the message: it must come out as it went in.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Judges text as it comes: false at the first byte that no text could have there. */
export class Utf8Validator {
  /** Bytes of the present character that are still to come. */
  #missing = 0;
  /** What the next of them may be. */
  #low = 0x80;
  #high = 0xbf;

  /** Whether no character is cut. */
  get complete(): boolean {
    return this.#missing === 0;
  }

  /** Looks at the next bytes. After a `false` it is of no further use. */
  push(buffer: Bytes, start: number, end: number): boolean {
    const words = end - start < WORTH_WORDS ? undefined : wordsOf(buffer);
    let at = start;
    while (at < end) {
      const byte = buffer[at]!;
      if (this.#missing > 0) {
        if (byte < this.#low || byte > this.#high) return false;
        this.#missing--;
        this.#low = 0x80;
        this.#high = 0xbf;
        at++;
      } else if (byte >= 0x80) {
        if (!this.#lead(byte)) return false;
        at++;
      } else {
        at++;
        if (words !== undefined && ((buffer.byteOffset + at) & 3) === 0) {
          at = skipAscii(words, buffer.byteOffset + at, buffer.byteOffset + end) -
            buffer.byteOffset;
        }
      }
    }
    return true;
  }

  /** One that has seen the same. */
  copy(): Utf8Validator {
    const copy = new Utf8Validator();
    copy.#missing = this.#missing;
    copy.#low = this.#low;
    copy.#high = this.#high;
    return copy;
  }

  /** The second byte's range is what excludes overlong forms, surrogates and too large values. */
  #lead(byte: number): boolean {
    if (byte < 0xc2 || byte > 0xf4) return false;
    this.#missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    if (byte === 0xe0) this.#low = 0xa0;
    else if (byte === 0xed) this.#high = 0x9f;
    else if (byte === 0xf0) this.#low = 0x90;
    else if (byte === 0xf4) this.#high = 0x8f;
    return true;
  }
}

/** Decodes a whole text; `undefined` where it is not UTF-8. */
export function decodeText(buffer: Bytes, start: number, end: number): string | undefined {
  const bytes = buffer.subarray(start, end);
  if (end - start <= SHORT && isAscii(buffer, start, end)) {
    return Reflect.apply(String.fromCharCode, undefined, bytes);
  }
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function isAscii(buffer: Bytes, start: number, end: number): boolean {
  let all = 0;
  for (let i = start; i < end; i++) all |= buffer[i]!;
  return all < 0x80;
}

/** The words of the whole memory under a buffer: its bytes are found at offsets of that memory. */
function wordsOf(buffer: Bytes): Uint32Array {
  return new Uint32Array(buffer.buffer, 0, buffer.buffer.byteLength >>> 2);
}

/** From offset `at`, a multiple of 4, on: where the first word lies that is not all ASCII. */
function skipAscii(words: Uint32Array, at: number, end: number): number {
  let word = at >>> 2;
  const last = end >>> 2;
  while (word < last && (words[word]! & NOT_ASCII) === 0) word++;
  return word << 2;
}
