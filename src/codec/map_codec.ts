/**
 * A codec whose frames are turned into something else on the way.
 */
import type { ByteQueue } from "../base/byte_queue.ts";
import { FrameError } from "../base/errors.ts";
import type { ByteWriter } from "../base/out_buffer.ts";
import { badFrame, type Codec } from "./codec.ts";

/**
 * Puts two functions around a codec: `decode` turns what it gives into a value, `encode` a value into
 * what it takes. What `decode` throws ends the stream as a `FrameError`; `undefined` counts as such.
 *
 * @example
 * ```ts
 * import { ByteQueue, line, mapCodec } from "@vgo/vnet/frames";
 * import { assertEquals } from "@std/assert";
 *
 * const numbers = mapCodec(line(), Number, (value: number) => String(value));
 * const input = new ByteQueue(new TextEncoder().encode("1.5\n"));
 * assertEquals(numbers.decode(input), 1.5);
 * ```
 */
export function mapCodec<I, O, J, P>(
  codec: Codec<I, O>,
  decode: (frame: O) => P,
  encode: (value: J) => I,
): Codec<J, P> {
  const mapped: Codec<J, P> = {
    decode: (input: ByteQueue) => map(codec.decode(input)),
    encode: (value: J, output: ByteWriter) => codec.encode(encode(value), output),
  };
  if (codec.decodeEof === undefined) return mapped;
  return { ...mapped, decodeEof: (input: ByteQueue) => map(codec.decodeEof?.(input)) };

  function map(frame: O | undefined): P | undefined {
    if (frame === undefined) return undefined;
    let value: P;
    try {
      value = decode(frame);
    } catch (cause) {
      if (cause instanceof FrameError) throw cause;
      throw badFrame("its value must be valid", { cause });
    }
    if (value === undefined) throw badFrame("its value must not be undefined");
    return value;
  }
}
