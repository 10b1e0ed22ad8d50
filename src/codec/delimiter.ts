/**
 * Frames that end with a mark: a sequence of bytes, or the end of a line.
 *
 * Owns the search for the mark and what a frame may contain. The queue remembers how far it has
 * looked, so a mark that is long in coming is still found in linear time.
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

const LF = 0x0a;
const CR = 0x0d;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Frames that end with `bytes`, which are no part of them. A frame must not contain them.
 *
 * @throws {RangeError} where `bytes` is empty or the limit out of range; when encoding, where the
 *   frame would end too early
 *
 * @example
 * ```ts
 * import { ByteQueue, delimiter } from "@vgo/vnet/frames";
 * import { assertEquals } from "@std/assert";
 *
 * const codec = delimiter(new Uint8Array([0]));
 * const input = new ByteQueue(new Uint8Array([1, 2, 0, 3]));
 * assertEquals(codec.decode(input), new Uint8Array([1, 2]));
 * assertEquals(codec.decode(input), undefined);
 * ```
 */
export function delimiter(bytes: Uint8Array, options: FrameLimit = {}): Codec<Uint8Array, Bytes> {
  if (bytes.length === 0) {
    throw new RangeError(
      "Cannot create codec as its delimiter must be at least one byte long: current length is 0",
    );
  }
  const max = maxFrameLengthOf(options);
  const mark = bytes.slice();
  return {
    decode(input: ByteQueue): Bytes | undefined {
      const at = input.indexOf(mark.length === 1 ? mark[0]! : mark);
      if (at > max || (at < 0 && input.length >= max + mark.length)) {
        throw tooLarge(max, at < 0 ? `${input.length} without a delimiter` : at);
      }
      if (at < 0) return undefined;
      const frame = input.take(at);
      input.skip(mark.length);
      return frame;
    },
    encode(frame: Uint8Array, output: ByteWriter): void {
      checkEncodable(frame.length, max);
      if (endsEarly(frame, mark)) {
        throw new RangeError(
          "Cannot encode frame as it must not contain its delimiter, or begin one at its end",
        );
      }
      output.bytes(frame);
      output.bytes(mark);
    },
  };
}

/**
 * Lines of UTF-8 text. A line ends with LF; a CR before it is dropped. `maxFrameLength` counts bytes
 * of the line without its end.
 *
 * @throws {RangeError} where the limit is out of range; when encoding, where the text has an end of
 *   line in it
 *
 * @example
 * ```ts
 * import { ByteQueue, line } from "@vgo/vnet/frames";
 * import { assertEquals } from "@std/assert";
 *
 * const input = new ByteQueue(new TextEncoder().encode("one\r\ntwo\nthr"));
 * assertEquals(line().decode(input), "one");
 * assertEquals(line().decode(input), "two");
 * assertEquals(line().decode(input), undefined);
 * ```
 */
export function line(options: FrameLimit = {}): Codec<string> {
  const max = maxFrameLengthOf(options);
  return {
    decode(input: ByteQueue): string | undefined {
      const at = input.indexOf(LF);
      const end = at < 0 ? input.length : at;
      // With no LF yet, a CR in the last place may still turn out to be part of the end.
      const length = end > 0 && input.peekUint8(end - 1) === CR ? end - 1 : end;
      if (length > max) throw tooLarge(max, at < 0 ? `${length} without an end of line` : length);
      if (at < 0) return undefined;
      const bytes = input.take(length);
      input.skip(at + 1 - length);
      return decodeText(bytes);
    },
    encode(text: string, output: ByteWriter): void {
      if (text.includes("\n") || text.endsWith("\r")) {
        throw new RangeError("Cannot encode line as it must not contain an end of line");
      }
      // UTF-8 has at most three bytes for each unit of a string: most are short enough at a glance.
      if (text.length * 3 > max) checkEncodable(encoder.encode(text).length, max);
      output.text(text);
      output.uint8(LF);
    },
  };
}

function decodeText(bytes: Bytes): string {
  const text = decoder.decode(bytes);
  // A strict decoder takes twice as long, and what has no replacement character needs none.
  if (!text.includes("\ufffd")) return text;
  try {
    return strictDecoder.decode(bytes);
  } catch (cause) {
    throw badFrame("a line must be valid UTF-8", { cause });
  }
}

/** Whether `mark` begins anywhere before the end of `frame`, once `mark` itself follows it. */
function endsEarly(frame: Uint8Array, mark: Uint8Array): boolean {
  const first = mark[0]!;
  for (let at = frame.indexOf(first); at >= 0; at = frame.indexOf(first, at + 1)) {
    let same = 1;
    while (same < mark.length && byteAt(frame, mark, at + same) === mark[same]) same++;
    if (same === mark.length) return true;
  }
  return false;
}

function byteAt(frame: Uint8Array, mark: Uint8Array, at: number): number | undefined {
  return at < frame.length ? frame[at] : mark[at - frame.length];
}
