/**
 * What a codec is: frames to bytes, and bytes to frames.
 *
 * Owns the contract, and the checks that the built-in codecs share. Knows no format and no stream.
 *
 * 1. A codec keeps nothing between calls, so one value serves every connection. What must be
 *    remembered is in the queue.
 * 2. A length is judged as soon as it is there, before anything of its frame is waited for.
 * 3. How the stream was cut into reads changes neither the frames nor the error.
 * 4. What `encode` writes, `decode` of the same codec accepts. What it would refuse is refused before
 *    anything is written.
 */
import type { ByteQueue } from "../base/byte_queue.ts";
import { FrameError, LimitError } from "../base/errors.ts";
import type { ByteWriter } from "../base/out_buffer.ts";

/**
 * Frames to bytes and back. Takes frames of type `I`, gives frames of type `O`.
 *
 * @example A type byte, a 16-bit length, a body
 * ```ts
 * import { ByteQueue, type Codec } from "@vgo/vnet/frames";
 * import { assertEquals } from "@std/assert";
 *
 * const tlv: Codec<{ type: number; body: Uint8Array }> = {
 *   decode(input) {
 *     if (input.length < 3) return undefined;
 *     const length = input.peekUint16(1);
 *     if (input.length < 3 + length) return undefined;
 *     const type = input.takeUint8();
 *     input.skip(2);
 *     return { type, body: input.take(length) };
 *   },
 *   encode({ type, body }, output) {
 *     output.uint8(type);
 *     output.uint16(body.length);
 *     output.bytes(body);
 *   },
 * };
 *
 * const input = new ByteQueue(new Uint8Array([7, 0, 1, 42]));
 * assertEquals(tlv.decode(input), { type: 7, body: new Uint8Array([42]) });
 * ```
 */
export interface Codec<I, O = I> {
  /** Writes one frame. A throw before the first byte leaves the stream as it was. */
  encode(frame: I, output: ByteWriter): void;
  /**
   * Takes one frame off `input`, or answers `undefined` and takes nothing: not yet. Each frame is at
   * least one byte. A throw ends the stream; throw a `FrameError` for bytes that are no frame.
   */
  decode(input: ByteQueue): O | undefined;
  /**
   * As `decode`, once no more bytes will come. Bytes that are left over in the end are a `FrameError`
   * of code `"TRUNCATED"`, so a codec that tolerates them skips them here.
   */
  decodeEof?(input: ByteQueue): O | undefined;
}

/** What every codec with a limit takes. */
export interface FrameLimit {
  /**
   * Longest frame in either direction, in bytes, as `decode` gives it: without what the codec takes
   * off. 1 to 2,147,483,647.
   *
   * @default {1_048_576}
   */
  readonly maxFrameLength?: number;
}

const DEFAULT_MAX = 1_048_576;
const LARGEST_MAX = 0x7fff_ffff;

/**
 * The limit that `options` ask for.
 *
 * @throws {RangeError} where it is none
 */
export function maxFrameLengthOf(options: FrameLimit): number {
  const { maxFrameLength = DEFAULT_MAX } = options;
  checkInteger("maxFrameLength", maxFrameLength, 1, LARGEST_MAX);
  return maxFrameLength;
}

/**
 * Checks an option of a codec.
 *
 * @throws {RangeError} where it is not an integer from `min` to `max`
 */
export function checkInteger(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new RangeError(
    `Cannot create codec as '${name}' must be an integer from ${min} to ${max}: current value is ${value}`,
  );
}

/** The error for bytes that are no frame. */
export function badFrame(problem: string, options: ErrorOptions = {}): FrameError {
  return new FrameError(`Cannot decode frame as ${problem}`, options);
}

/** The error for a frame that the other end made too large. */
export function tooLarge(max: number, length: number | string): FrameError {
  return new FrameError(
    `Cannot decode frame as its length must be at most ${max}: current value is ${length}`,
    { code: "FRAME_TOO_LARGE" },
  );
}

/**
 * Checks a frame before it is written.
 *
 * @throws {LimitError} where it is longer than the codec allows
 */
export function checkEncodable(length: number, max: number): void {
  if (length <= max) return;
  throw new LimitError(
    "TOO_LARGE",
    "maxFrameLength",
    `Cannot encode frame as its length must be at most ${max}: current value is ${length}`,
  );
}
