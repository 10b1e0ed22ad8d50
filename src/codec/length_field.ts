/**
 * Frames with their length in the header: any width, any place, either byte order.
 *
 * Owns the arithmetic between the length field and the frame. Keeps no state.
 *
 * ```text
 *  |<- offset ->|<- width ->|<- value + adjust ->|      the value counts what follows the field,
 *  +------------+-----------+--------------------+      or all of it with `includesHeader`
 *  |            |  value    |                    |
 *  +------------+-----------+--------------------+
 *  |<-- strip -->|<------ what decode gives ---->|
 * ```
 */
import type { ByteQueue } from "../base/byte_queue.ts";
import type { ByteWriter } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import {
  badFrame,
  checkEncodable,
  checkInteger,
  type Codec,
  type FrameLimit,
  maxFrameLengthOf,
  tooLarge,
} from "./codec.ts";

/** Options of {@linkcode lengthField}. */
export interface LengthFieldOptions extends FrameLimit {
  /** Size of the length field, in bytes. */
  readonly width: 1 | 2 | 3 | 4 | 8;
  /** Whether its least significant byte comes first. @default {false} */
  readonly littleEndian?: boolean;
  /** Bytes in front of the length field, 0 to 65,535. @default {0} */
  readonly offset?: number;
  /** Added to the value to give the number of bytes that follow the field. @default {0} */
  readonly adjust?: number;
  /**
   * Bytes that `decode` takes off the front, 0 to 65,535. `encode` puts them back: the length field
   * with its value, all others as zeros.
   *
   * @default `width` where `offset` is 0: the length field; else 0
   */
  readonly strip?: number;
  /** Whether the value counts the field and what is in front of it as well. @default {false} */
  readonly includesHeader?: boolean;
}

const WIDTHS: readonly number[] = [1, 2, 3, 4, 8];
const MAX_HEADER = 65_535;
const MAX_ADJUST = 0x7fff_ffff;
const TWO_32 = 0x1_0000_0000;
/** High word of the largest safe integer. */
const MAX_HIGH = 0x1f_ffff;

/**
 * Frames with a length field, as most binary protocols have. Its eight options are those of Netty's
 * `LengthFieldBasedFrameDecoder`. What `strip` leaves of the header is part of the frame; in what is
 * encoded, `encode` fills in the length field.
 *
 * @throws {RangeError} where an option is out of range, or no frame could fit them all
 *
 * @example
 * ```ts
 * import { ByteQueue, lengthField } from "@vgo/vnet/frames";
 * import { assertEquals } from "@std/assert";
 *
 * const codec = lengthField({ width: 2 });
 * const input = new ByteQueue(new Uint8Array([0, 3, 1, 2, 3, 0]));
 * assertEquals(codec.decode(input), new Uint8Array([1, 2, 3]));
 * assertEquals(codec.decode(input), undefined); // the next length is not whole yet
 * ```
 */
export function lengthField(options: LengthFieldOptions): Codec<Uint8Array, Bytes> {
  return new LengthFieldCodec(options);
}

class LengthFieldCodec implements Codec<Uint8Array, Bytes> {
  readonly #width: number;
  readonly #littleEndian: boolean;
  readonly #offset: number;
  /** Where the length field ends. */
  readonly #header: number;
  /** Added to the value, it gives the length of the whole frame. */
  readonly #base: number;
  readonly #strip: number;
  readonly #max: number;

  constructor(options: LengthFieldOptions) {
    const { width, littleEndian = false, offset = 0, adjust = 0, includesHeader = false } = options;
    const { strip = offset === 0 ? width : 0 } = options;
    if (!WIDTHS.includes(width)) {
      throw new RangeError(
        `Cannot create codec as 'width' must be 1, 2, 3, 4 or 8: current value is ${width}`,
      );
    }
    checkInteger("offset", offset, 0, MAX_HEADER);
    checkInteger("strip", strip, 0, MAX_HEADER);
    checkInteger("adjust", adjust, -MAX_ADJUST, MAX_ADJUST);
    this.#width = width;
    this.#littleEndian = littleEndian;
    this.#offset = offset;
    this.#header = offset + width;
    this.#base = adjust + (includesHeader ? 0 : this.#header);
    this.#strip = strip;
    this.#max = maxFrameLengthOf(options);
    this.#checkPossible();
  }

  decode(input: ByteQueue): Bytes | undefined {
    const available = input.end - input.start;
    if (available < this.#header) {
      input.wanted = this.#header;
      return undefined;
    }
    const total = this.#value(input.buffer, input.start + this.#offset) + this.#base;
    const length = total - this.#strip;
    if (length > this.#max) throw tooLarge(this.#max, length);
    if (length < 0 || total < this.#header) throw this.#tooShort(total);
    if (available < total) {
      input.wanted = total;
      return undefined;
    }
    input.start += this.#strip;
    return input.take(length);
  }

  encode(frame: Uint8Array, output: ByteWriter): void {
    checkEncodable(frame.length, this.#max);
    const strip = this.#strip;
    const total = frame.length + strip;
    const value = total - this.#base;
    if (total < this.#header || value < 0 || value >= 2 ** (8 * this.#width)) {
      throw this.#notEncodable(frame.length);
    }
    if (strip === this.#header && this.#offset === 0) {
      this.#writeValue(value, output);
      output.bytes(frame);
      return;
    }
    this.#writeZerosAndBytes(frame, 0, this.#offset, output);
    this.#writeValue(value, output);
    this.#writeZerosAndBytes(frame, this.#header, total, output);
  }

  /** Of a value that is no safe integer: `Infinity`, which is beyond every limit. */
  #value(buffer: Bytes, at: number): number {
    const le = this.#littleEndian;
    switch (this.#width) {
      case 4:
        return uint32(buffer, at, le);
      case 2:
        return le ? buffer[at]! | buffer[at + 1]! << 8 : buffer[at]! << 8 | buffer[at + 1]!;
      case 1:
        return buffer[at]!;
      case 3:
        return le
          ? buffer[at]! | buffer[at + 1]! << 8 | buffer[at + 2]! << 16
          : buffer[at]! << 16 | buffer[at + 1]! << 8 | buffer[at + 2]!;
      default: {
        const high = uint32(buffer, le ? at + 4 : at, le);
        if (high > MAX_HIGH) return Infinity;
        return high * TWO_32 + uint32(buffer, le ? at : at + 4, le);
      }
    }
  }

  #writeValue(value: number, output: ByteWriter): void {
    const le = this.#littleEndian;
    switch (this.#width) {
      case 4:
        return output.uint32(value, le);
      case 2:
        return output.uint16(value, le);
      case 1:
        return output.uint8(value);
      case 3:
        if (le) output.uint16(value & 0xffff, true);
        output.uint8(value >>> 16);
        if (!le) output.uint16(value & 0xffff);
        return;
      default: {
        const high = Math.floor(value / TWO_32);
        output.uint32(le ? value >>> 0 : high, le);
        output.uint32(le ? high : value >>> 0, le);
      }
    }
  }

  /** Writes bytes `from` to `to` of the whole frame: zeros for what was stripped. */
  #writeZerosAndBytes(frame: Uint8Array, from: number, to: number, output: ByteWriter): void {
    const cut = Math.min(Math.max(this.#strip, from), to);
    if (cut > from) output.bytes(new Uint8Array(cut - from));
    if (to > cut) output.bytes(frame.subarray(cut - this.#strip, to - this.#strip));
  }

  #checkPossible(): void {
    const largestValue = this.#width === 8 ? Number.MAX_SAFE_INTEGER : 2 ** (8 * this.#width) - 1;
    const shortest = Math.max(this.#header, this.#base);
    const longest = largestValue + this.#base;
    if (longest < Math.max(this.#header, this.#strip)) {
      throw new RangeError(
        `Cannot create codec as a frame must be able to hold the ${
          Math.max(this.#header, this.#strip)
        } bytes of its header and 'strip': current longest is ${longest}`,
      );
    }
    if (shortest - this.#strip > this.#max) {
      throw new RangeError(
        `Cannot create codec as 'maxFrameLength' must allow the shortest frame, ${
          shortest - this.#strip
        }: current value is ${this.#max}`,
      );
    }
  }

  #tooShort(total: number): Error {
    return badFrame(
      `it must be at least ${
        Math.max(this.#header, this.#strip)
      } bytes long, header included: current value is ${total}`,
    );
  }

  #notEncodable(length: number): RangeError {
    const strip = this.#strip;
    const min = Math.max(0, this.#header - strip, this.#base - strip);
    const max = Math.min(this.#max, 2 ** (8 * this.#width) - 1 + this.#base - strip);
    return new RangeError(
      `Cannot encode frame as its length must be from ${min} to ${max}: current value is ${length}`,
    );
  }
}

function uint32(buffer: Bytes, at: number, littleEndian: boolean): number {
  const value = littleEndian
    ? buffer[at]! | buffer[at + 1]! << 8 | buffer[at + 2]! << 16 | buffer[at + 3]! << 24
    : buffer[at]! << 24 | buffer[at + 1]! << 16 | buffer[at + 2]! << 8 | buffer[at + 3]!;
  return value >>> 0;
}
