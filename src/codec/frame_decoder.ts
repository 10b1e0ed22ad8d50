/**
 * Bytes in, frames out: what runs a codec over a stream that somebody else reads.
 *
 * Owns the bytes that wait, and which of them are copied: no more than it takes to have each frame in
 * one piece. Knows no format, and neither where bytes come from nor when.
 *
 * 1. A frame that lies in one chunk is a view of that chunk. Of one that lies in several, the part that
 *    waits and the part that completes it are copied; the rest of the chunk is not.
 * 2. A codec sees bytes in the order in which they came, each once, as a connection would give them.
 * 3. The first error is the end: what waits and what still comes is dropped.
 */
import { ByteQueue } from "../base/byte_queue.ts";
import { FrameError } from "../base/errors.ts";
import type { Bytes } from "../base/types.ts";
import type { Codec } from "./codec.ts";

/** A chunk of at most so many bytes is copied: views of it would cost more. */
const SMALL_CHUNK = 128;
/** So many bytes a frame of unknown length is given first, then as many as it has. */
const FIRST_PIECE = 64;

/**
 * Takes a byte stream in chunks, gives frames: for what is no connection, as the chunks of a file or
 * of a `ReadableStream`. {@linkcode FrameStream} is for connections.
 *
 * `next` gives frames until there is no whole one left. It throws the `FrameError` of a bad frame, after
 * all the frames before it, and then again.
 *
 * @example
 * ```ts
 * import { FrameDecoder, line } from "@vgo/vnet/frames";
 * import { assertEquals } from "@std/assert";
 *
 * const lines: string[] = [];
 * const decoder = new FrameDecoder(line());
 * for await (const chunk of new Blob(["one\ntw", "o\nthree\n"]).stream()) {
 *   decoder.push(chunk);
 *   for (let text = decoder.next(); text !== undefined; text = decoder.next()) lines.push(text);
 * }
 * decoder.end();
 * decoder.next(); // throws where the stream ended within a frame
 * assertEquals(lines, ["one", "two", "three"]);
 * ```
 */
export class FrameDecoder<O> {
  readonly #codec: Pick<Codec<never, O>, "decode" | "decodeEof">;
  readonly #input = new ByteQueue();
  /** What follows the bytes in `#input`, which has the first `#copied` bytes of it already. */
  #rest: Bytes | undefined;
  #copied = 0;
  #ended = false;
  #failure: FrameError | undefined;

  /** Makes a decoder with nothing in it. */
  constructor(codec: Pick<Codec<never, O>, "decode" | "decodeEof">) {
    this.#codec = codec;
  }

  /**
   * Takes the chunk that comes next. It is given away: frames are views of its memory, which nobody must
   * write to any more.
   */
  push(chunk: Bytes): void {
    if (this.#failure !== undefined) return;
    const input = this.#input;
    this.#copyRest();
    if (chunk.length <= SMALL_CHUNK) input.push(chunk);
    else if (input.end === input.start) input.adopt(chunk);
    else {
      this.#rest = chunk;
      this.#copied = 0;
    }
  }

  /**
   * Memory to read what comes next into, for whoever has no chunk of his own; tell `fill` how much of
   * it was used. It is valid until the decoder is used again.
   */
  space(): Bytes {
    this.#copyRest();
    return this.#input.space();
  }

  /**
   * Takes the first `count` bytes of what `space` gave.
   *
   * @throws {RangeError} where it did not give that many
   */
  fill(count: number): void {
    if (this.#failure === undefined) this.#input.fill(count);
  }

  /** Says that nothing more will come. */
  end(): void {
    this.#ended = true;
  }

  /**
   * The next frame; `undefined` where there is no whole one.
   *
   * @throws {FrameError} where bytes are no frame, and where the stream has ended within one
   */
  next(): O | undefined {
    const input = this.#input;
    try {
      while (true) {
        const waiting = input.end - input.start;
        if (waiting === 0) break;
        const frame = this.#codec.decode(input);
        if (frame !== undefined) {
          if (input.end - input.start >= waiting) throw takesNothing();
          if (this.#rest !== undefined) this.#leaveCopy(this.#rest);
          return frame;
        }
        if (this.#rest === undefined) return this.#ended ? this.#nextAtEnd(waiting) : undefined;
        this.#copyMore(this.#rest);
      }
    } catch (cause) {
      this.#fail(cause);
    }
    if (this.#failure !== undefined) throw this.#failure;
    return undefined;
  }

  #nextAtEnd(waiting: number): O | undefined {
    const frame = this.#codec.decodeEof?.(this.#input);
    const { length } = this.#input;
    if (frame === undefined && length > 0) throw truncated(length);
    if (frame !== undefined && length >= waiting) throw takesNothing();
    return frame;
  }

  /** Puts more of the next chunk behind a frame that is not whole: what it needs, where that is known. */
  #copyMore(rest: Bytes): void {
    const { length, wanted } = this.#input;
    const missing = wanted > length ? wanted - length : Math.max(length, FIRST_PIECE);
    const end = Math.min(this.#copied + missing, rest.length);
    this.#input.push(rest.subarray(this.#copied, end));
    this.#copied = end;
    if (end === rest.length) this.#rest = undefined;
  }

  /** Goes on in the chunk itself, once all that waited before it is taken. */
  #leaveCopy(rest: Bytes): void {
    const taken = this.#copied - this.#input.length;
    if (taken < 0) return;
    this.#rest = undefined;
    this.#input.skip(this.#input.length);
    this.#input.adopt(rest.subarray(taken));
  }

  #copyRest(): void {
    if (this.#rest === undefined) return;
    this.#input.push(this.#rest.subarray(this.#copied));
    this.#rest = undefined;
  }

  #fail(cause: unknown): void {
    this.#failure = cause instanceof FrameError
      ? cause
      : new FrameError("Cannot decode frame as its codec failed", { cause });
    this.#rest = undefined;
    this.#input.skip(this.#input.length);
  }
}

/** Such a codec would give frames for ever. */
function takesNothing(): TypeError {
  return new TypeError("Cannot decode frame as its codec must take at least one byte for it");
}

function truncated(length: number): FrameError {
  return new FrameError(
    `Cannot decode frame as the stream must not end within one: current length is ${length}`,
    { code: "TRUNCATED" },
  );
}
