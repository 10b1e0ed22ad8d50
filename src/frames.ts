/**
 * Frames over a byte connection: codecs, and the stream that runs one.
 *
 * @example Echo lines
 * ```ts
 * import { FrameStream, line } from "@vgo/vnet/frames";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const echo = (async () => {
 *   await using stream = new FrameStream(await listener.accept(), line());
 *   for await (const text of stream) await stream.send(text);
 * })();
 *
 * const { port } = listener.addr;
 * await using stream = new FrameStream(await Deno.connect({ port }), line());
 * await stream.send("hello");
 * for await (const text of stream) {
 *   assertEquals(text, "hello");
 *   break; // leaving the loop closes nothing
 * }
 * await stream.close();
 * await echo;
 * ```
 *
 * @module
 */
export { ByteQueue } from "./base/byte_queue.ts";
export type { CloseCode, VnetErrorOptions } from "./base/errors.ts";
export {
  ClosedError,
  FrameError,
  type FrameErrorCode,
  LimitError,
  VnetError,
} from "./base/errors.ts";
export type { CloseInfo, CloseOptions, Lifecycle } from "./base/lifecycle.ts";
export type { ByteWriter } from "./base/out_buffer.ts";
export type { Bytes, ByteTransport, Initiator, Queued } from "./base/types.ts";
export type { Codec, FrameLimit } from "./codec/codec.ts";
export { FrameDecoder } from "./codec/frame_decoder.ts";
export { delimiter, line } from "./codec/delimiter.ts";
export { fixed } from "./codec/fixed.ts";
export { lengthField, type LengthFieldOptions } from "./codec/length_field.ts";
export { mapCodec } from "./codec/map_codec.ts";
export { varint } from "./codec/varint.ts";
export { FrameStream, type FrameStreamOptions } from "./stream/frame_stream.ts";
