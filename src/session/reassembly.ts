/**
 * Makes one message of its fragments.
 *
 * Owns the bytes received so far. Memory grows with what has really arrived, never with what a
 * header claims; the total is judged on the first fragment.
 */
import type { Bytes } from "../base/types.ts";
import { ProtocolError } from "../base/errors.ts";

/** A piece that is not the last one is at least this long; smaller ones would be all overhead. */
export const MIN_PIECE = 4_096;
/** Up to here the whole is allocated at once: less than the window that was granted anyway. */
const TRUSTED_SIZE = 262_144;

/** One message in the making. */
export class Reassembly {
  readonly topic: string;
  /** What its frames have cost. */
  cost = 0;
  readonly #total: number;
  #data: Bytes;
  #length = 0;

  /** @throws {ProtocolError} FRAME_TOO_LARGE when it will be longer than `maxMessage` bytes */
  constructor(topic: string, total: number, maxMessage: number) {
    demandSize(total, maxMessage);
    this.topic = topic;
    this.#total = total;
    this.#data = new Uint8Array(Math.min(total, TRUSTED_SIZE));
  }

  /** Adds a piece; gives the whole when it was the last. */
  add(piece: Uint8Array, more: boolean, cost: number): Bytes | undefined {
    this.cost += cost;
    const length = this.#length + piece.length;
    if (length > this.#total) {
      throw new ProtocolError(
        "FRAME_TOO_LARGE",
        `Cannot take message as its fragments must add up to ${this.#total} bytes: they are longer`,
      );
    }
    if (more && piece.length < MIN_PIECE) {
      throw new ProtocolError(
        "BAD_FRAME",
        `Cannot take fragment as all but the last must have ${MIN_PIECE} bytes: this one has ${piece.length}`,
      );
    }
    if (!more && length < this.#total) {
      throw new ProtocolError(
        "BAD_FRAME",
        `Cannot take message as its fragments must add up to ${this.#total} bytes: they end at ${length}`,
      );
    }
    if (length > this.#data.length) {
      const grown = new Uint8Array(Math.min(this.#total, Math.max(length, this.#data.length * 2)));
      grown.set(this.#data.subarray(0, this.#length));
      this.#data = grown;
    }
    this.#data.set(piece, this.#length);
    this.#length = length;
    return more ? undefined : this.#data;
  }
}

/** @throws {ProtocolError} FRAME_TOO_LARGE when a payload has, or claims, more than `maxMessage` bytes */
export function demandSize(size: number, maxMessage: number): void {
  if (size <= maxMessage) return;
  throw new ProtocolError(
    "FRAME_TOO_LARGE",
    `Cannot take payload as it must be at most ${maxMessage} bytes: current value is ${size}`,
    { limit: "maxMessageLength" },
  );
}
