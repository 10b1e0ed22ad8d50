/**
 * Where the fragments of a message are put together.
 *
 * Owns one piece of memory that grows with the bytes that really came, at most doubling: so a message
 * of many small fragments costs no more than its bytes, and no fragment keeps a slab alive.
 */
import type { Bytes } from "../base/types.ts";

const FIRST_SIZE = 1_024;
const EMPTY: Bytes = new Uint8Array(0);

/** Bytes that are appended and taken as a whole. */
export class MessageBuffer {
  #buffer: Bytes = EMPTY;
  #length = 0;

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** Appends a copy of bytes. */
  append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(FIRST_SIZE, length, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
  }

  /** Takes all of it; what comes next begins anew. */
  take(): Bytes {
    const whole = this.#buffer.subarray(0, this.#length);
    this.#buffer = EMPTY;
    this.#length = 0;
    return whole;
  }
}
