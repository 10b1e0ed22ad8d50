/**
 * DEFLATE by the runtime's zlib.
 *
 * A message is compressed and decompressed at once, on this thread: in order, and bounded by the
 * longest message. zlib itself stops at the first byte that is too many.
 */
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import type { Bytes } from "../base/types.ts";
import type { Deflate } from "./compression.ts";

const FLUSH = constants.Z_SYNC_FLUSH;

/** Compresses and decompresses whole messages. */
export const zlibDeflate: Deflate = {
  deflate: (data, windowBits) => owned(deflateRawSync(data, { finishFlush: FLUSH, windowBits })),
  inflate(data, maxLength) {
    try {
      return owned(inflateRawSync(data, { finishFlush: FLUSH, maxOutputLength: maxLength }));
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  },
};

/** zlib gives views of large chunks: what is small is copied, so that it does not keep one alive. */
function owned(chunk: Uint8Array): Bytes {
  const { buffer, byteOffset, length } = chunk;
  if (!(buffer instanceof ArrayBuffer) || length * 2 < buffer.byteLength) {
    return new Uint8Array(chunk);
  }
  return new Uint8Array(buffer, byteOffset, length);
}
