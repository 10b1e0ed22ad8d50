/**
 * One message for many: a frame that is encoded once, and copied for each, as each has a number of its own.
 *
 * 1. A copy is not written to again once it was given out: it may be on its way for long.
 */
import { OutBuffer } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import { HEADER_SIZE, LENGTH_BASE } from "../wire/constants.ts";
import { renumber } from "../wire/frame.ts";
import { encodeMessage } from "../wire/message.ts";
import { frameCost } from "./credit.ts";

/** Copies share slabs. One that is on its way for long keeps no more than this from being freed. */
const SLAB = 16_384;

/** A whole message, ready to be sent. */
export class Cast {
  /** A body of so many bytes at most is worth copying. */
  static readonly MAX_LENGTH = 4_096;

  /** Bytes of the body. */
  readonly length: number;
  /** What it costs in credit. */
  readonly cost: number;
  readonly #frame: Bytes;
  #slab: Bytes;
  #at = 0;

  /** @throws {RangeError} if the topic is too long */
  constructor(topic: string, payload: Uint8Array) {
    const out = new OutBuffer();
    encodeMessage(out, 0, topic, payload);
    this.#frame = out.toBytes();
    this.#slab = this.#frame;
    this.#at = this.#frame.length;
    this.length = payload.length;
    this.cost = frameCost(LENGTH_BASE + this.#frame.length - HEADER_SIZE);
  }

  /** Bytes of the frame. */
  get size(): number {
    return this.#frame.length;
  }

  /** The frame with this number. */
  numbered(seq: number): Bytes {
    const { length } = this.#frame;
    let at = this.#at;
    if (at + length > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB);
      at = 0;
    }
    this.#at = at + length;
    const copy = this.#slab.subarray(at, at + length);
    copy.set(this.#frame);
    renumber(copy, seq);
    return copy;
  }
}
