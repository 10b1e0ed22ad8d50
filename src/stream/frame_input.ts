/**
 * The reading half of a frame stream: bytes come in when frames are asked for.
 *
 * Owns the queue and the one read in flight. Knows neither output nor how the stream ends: it tells
 * its owner what went wrong, once per failure, and goes on only if it is asked to.
 *
 * 1. A read is made only while somebody waits for a frame. So no more than one read's worth of bytes
 *    waits here, and what is not asked for stays with the sender.
 * 2. Frames are decoded when they are taken: all that came before a bad one is given first.
 */
import { ByteQueue } from "../base/byte_queue.ts";
import { FrameError } from "../base/errors.ts";
import type { ByteTransport } from "../base/types.ts";
import type { Codec } from "../codec/codec.ts";

/** Is told what ends the input. */
export interface InputOwner {
  /** Bytes that are no frame came; the rest of the input was dropped. */
  badFrame(error: FrameError): void;
  /** The transport failed. */
  readFailed(error: unknown): void;
}

/** Reads bytes and gives frames. */
export class FrameInput<O> {
  readonly #transport: Pick<ByteTransport, "read">;
  readonly #codec: Pick<Codec<never, O>, "decode" | "decodeEof">;
  readonly #owner: InputOwner;
  readonly #queue = new ByteQueue();
  #reading = false;
  #dropping = false;
  #eof = false;
  #waiters: (() => void)[] = [];

  constructor(
    transport: Pick<ByteTransport, "read">,
    codec: Pick<Codec<never, O>, "decode" | "decodeEof">,
    owner: InputOwner,
  ) {
    this.#transport = transport;
    this.#codec = codec;
    this.#owner = owner;
  }

  /** Whether the other end has ended its direction. */
  get eof(): boolean {
    return this.#eof;
  }

  /** The next frame of what has been read. */
  take(): O | undefined {
    const queue = this.#queue;
    const length = queue.length;
    if (length === 0) return undefined;
    try {
      let frame = this.#codec.decode(queue);
      if (frame === undefined && this.#eof) frame = this.#codec.decodeEof?.(queue);
      if (frame === undefined) {
        if (this.#eof && queue.length > 0) throw truncated(queue.length);
      } else if (queue.length >= length) {
        // Such a codec would give frames for ever.
        throw new TypeError("Cannot decode frame as its codec must take at least one byte for it");
      }
      return frame;
    } catch (cause) {
      queue.start = queue.end;
      this.#owner.badFrame(
        cause instanceof FrameError
          ? cause
          : new FrameError("Cannot decode frame as its codec failed", { cause }),
      );
      return undefined;
    }
  }

  /** All frames of what has been read, or `undefined` where there is none. */
  takeAll(): O[] | undefined {
    let frame = this.take();
    if (frame === undefined) return undefined;
    const frames: O[] = [];
    for (; frame !== undefined; frame = this.take()) frames.push(frame);
    return frames;
  }

  /** Resolves after the read in flight; begins one if there is none. */
  more(): Promise<void> {
    if (!this.#reading) this.#read();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Drops what waits and what is still to come. */
  drop(): void {
    this.#dropping = true;
    this.#queue.start = this.#queue.end;
  }

  /** Ends every wait for `more`, whatever the read does. */
  wake(): void {
    const waiters = this.#waiters;
    if (waiters.length === 0) return;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }

  /** Never rejects: its end is told to the owner. */
  async #read(): Promise<void> {
    this.#reading = true;
    try {
      const queue = this.#queue;
      const count = await this.#transport.read(queue.space());
      if (count === null) this.#eof = true;
      else queue.fill(count);
      if (this.#dropping) queue.start = queue.end;
    } catch (error) {
      this.#owner.readFailed(error);
    }
    this.#reading = false;
    this.wake();
  }
}

function truncated(length: number): FrameError {
  return new FrameError(
    `Cannot decode frame as the stream must not end within one: current length is ${length}`,
    { code: "TRUNCATED" },
  );
}
