/**
 * Frames with their length in front, written as Protocol Buffers write it.
 *
 * Owns the varint: seven bits per byte, least significant first, the top bit says that more follow.
 *
 * 1. At most five bytes, and the shortest form only: one length has one spelling.
 * 2. Bytes are judged one by one, so a bad varint is the same error however it arrives.
 */
import type { ByteQueue } from "../base/byte_queue.ts";
import type { ByteWriter } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import {
  badFrame,
  checkEncodable,
  type Codec,
  type FrameLimit,
  maxFrameLengthOf,
  tooLarge,
} from "./codec.ts";

const MAX_VARINT = 5;

/**
 * Frames with their length in front as a varint (LEB128), as delimited Protocol Buffers messages
 * have it.
 *
 * @throws {RangeError} where the limit is out of range
 *
 * @example
 * ```ts
 * import { ByteQueue, varint } from "@vgo/vnet/frames";
 * import { assertEquals } from "@std/assert";
 *
 * const input = new ByteQueue(new Uint8Array([2, 104, 105]));
 * assertEquals(varint().decode(input), new Uint8Array([104, 105]));
 * ```
 */
export function varint(options: FrameLimit = {}): Codec<Uint8Array, Bytes> {
  return new VarintCodec(maxFrameLengthOf(options));
}

class VarintCodec implements Codec<Uint8Array, Bytes> {
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  decode(input: ByteQueue): Bytes | undefined {
    const { buffer, start, end } = input;
    let length = 0;
    let unit = 1;
    for (let at = start; at < end; at++) {
      const byte = buffer[at]!;
      length += (byte & 0x7f) * unit;
      if (length > this.#max) throw tooLarge(this.#max, length);
      if (byte < 0x80) {
        if (byte === 0 && at > start) throw badFrame("its varint must have the shortest form");
        return this.#body(input, at + 1, length);
      }
      if (at - start === MAX_VARINT - 1) {
        throw badFrame(`its varint must be at most ${MAX_VARINT} bytes long`);
      }
      unit *= 128;
    }
    return undefined;
  }

  encode(frame: Uint8Array, output: ByteWriter): void {
    checkEncodable(frame.length, this.#max);
    let rest = frame.length;
    for (; rest > 0x7f; rest >>>= 7) output.uint8(rest & 0x7f | 0x80);
    output.uint8(rest);
    output.bytes(frame);
  }

  #body(input: ByteQueue, at: number, length: number): Bytes | undefined {
    if (input.end - at < length) {
      input.wanted = at - input.start + length;
      return undefined;
    }
    input.start = at;
    return input.take(length);
  }
}
