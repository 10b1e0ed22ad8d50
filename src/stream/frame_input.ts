/**
 * The reading half of a frame stream: bytes come in when frames are asked for.
 *
 * Owns the decoder and the one read in flight. Knows neither output nor how the stream ends: it tells
 * its owner what went wrong. After a bad frame it gives nothing more.
 *
 * 1. A read is made only while somebody waits for a frame. So no more than one read's worth of bytes
 *    waits here, and what is not asked for stays with the sender.
 * 2. Frames are decoded when they are taken: all that came before a bad one is given first.
 */
import { FrameError } from "../base/errors.ts";
import type { ByteTransport } from "../base/types.ts";
import type { Codec } from "../codec/codec.ts";
import { FrameDecoder } from "../codec/frame_decoder.ts";

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
  readonly #owner: InputOwner;
  readonly #decoder: FrameDecoder<O>;
  #reading = false;
  #dropping = false;
  #eof = false;
  /** How many frames were last taken together. */
  #batch = 0;
  #waiters: (() => void)[] = [];

  constructor(
    transport: Pick<ByteTransport, "read">,
    codec: Pick<Codec<never, O>, "decode" | "decodeEof">,
    owner: InputOwner,
  ) {
    this.#transport = transport;
    this.#decoder = new FrameDecoder(codec);
    this.#owner = owner;
  }

  /** Whether the other end has ended its direction. */
  get eof(): boolean {
    return this.#eof;
  }

  /** The next frame of what has been read. */
  take(): O | undefined {
    if (this.#dropping) return undefined;
    try {
      return this.#decoder.next();
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#dropping = true;
      this.#owner.badFrame(error);
      return undefined;
    }
  }

  /** All frames of what has been read, or `undefined` where there is none. */
  takeAll(): O[] | undefined {
    let frame = this.take();
    if (frame === undefined) return undefined;
    // An array that grows would cost a quarter of what a frame does; this is as long as the last one.
    const frames = new Array<O>(this.#batch);
    let count = 0;
    for (; frame !== undefined; frame = this.take()) frames[count++] = frame;
    frames.length = count;
    this.#batch = count;
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
      const decoder = this.#decoder;
      const count = await this.#transport.read(decoder.space());
      if (count === null) {
        this.#eof = true;
        decoder.end();
      } else if (!this.#dropping) decoder.fill(count);
    } catch (error) {
      this.#owner.readFailed(error);
    }
    this.#reading = false;
    this.wake();
  }
}
