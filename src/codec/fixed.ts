/**
 * Frames that are all of one length. Owns nothing but that length.
 */
import type { ByteQueue } from "../base/byte_queue.ts";
import type { ByteWriter } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import { checkInteger, type Codec } from "./codec.ts";

/**
 * Frames of `length` bytes each, 1 to 2,147,483,647.
 *
 * @throws {RangeError} where `length` is out of range; when encoding, where a frame has another
 *
 * @example
 * ```ts
 * import { ByteQueue, fixed } from "@vgo/vnet/frames";
 * import { assertEquals } from "@std/assert";
 *
 * const codec = fixed(2);
 * const input = new ByteQueue(new Uint8Array([1, 2, 3]));
 * assertEquals(codec.decode(input), new Uint8Array([1, 2]));
 * assertEquals(codec.decode(input), undefined);
 * ```
 */
export function fixed(length: number): Codec<Uint8Array, Bytes> {
  checkInteger("length", length, 1, 0x7fff_ffff);
  return {
    decode(input: ByteQueue): Bytes | undefined {
      if (input.length >= length) return input.take(length);
      input.wanted = length;
      return undefined;
    },
    encode(frame: Uint8Array, output: ByteWriter): void {
      if (frame.length !== length) {
        throw new RangeError(
          `Cannot encode frame as its length must be ${length}: current value is ${frame.length}`,
        );
      }
      output.bytes(frame);
    },
  };
}
