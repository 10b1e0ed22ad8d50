/**
 * A byte connection and a codec: frames go in and come out.
 *
 * Owns the connection from its construction on: one reader, one writer, one end. Knows no format.
 *
 * 1. The first error ends the stream, in both directions. Frames that came before it are still given;
 *    then every loop throws it, and later ones throw it again.
 * 2. A frame that was accepted is written whole and in order, or the stream ends.
 * 3. All that was armed (timers, listeners) is gone when `closed` resolves.
 */
import { type CloseCode, ClosedError, type FrameError, VnetError } from "../base/errors.ts";
import type { CloseInfo, CloseOptions, Lifecycle } from "../base/lifecycle.ts";
import { OutBuffer } from "../base/out_buffer.ts";
import type { ByteTransport, Initiator, Queued } from "../base/types.ts";
import type { Codec } from "../codec/codec.ts";
import { cutTransport } from "./cut.ts";
import { FrameInput } from "./frame_input.ts";
import { WriteLoop } from "./write_loop.ts";

/** Options of {@linkcode FrameStream}. */
export interface FrameStreamOptions {
  /** With so many bytes waiting to be written, `send` waits. At least 1. @default {65_536} */
  readonly highWaterMark?: number;
  /** Calls `abort` with its reason. */
  readonly signal?: AbortSignal;
}

/** How long, in ms, the other end may take to end its direction after this end has. */
const LINGER = 1_000;
const LONGEST_TIMER = 0x7fff_ffff;
const READY: Promise<void> = Promise.resolve();

/**
 * Frames over a byte connection, such as any `Deno.Conn`.
 *
 * `for await` gives the frames; it ends when the other end does, throws the `FrameError` of a bad
 * frame and the error of a broken connection. Leaving the loop closes nothing: `close` does, and
 * `await using`. Frames that are sent in one turn go out in one write. (Nagle's algorithm is on in a
 * bare `Deno.TcpConn`; turn it off with `setNoDelay` where latency matters.)
 *
 * @example
 * ```ts
 * import { FrameStream, lengthField } from "@vgo/vnet/frames";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const { port } = listener.addr;
 * const [a, b] = await Promise.all([listener.accept(), Deno.connect({ port })]);
 *
 * await using server = new FrameStream(a, lengthField({ width: 4 }));
 * await using client = new FrameStream(b, lengthField({ width: 4 }));
 * await client.send(new Uint8Array([1, 2, 3]));
 * for await (const frame of server) {
 *   assertEquals(frame, new Uint8Array([1, 2, 3]));
 *   break;
 * }
 * await Promise.all([client.close(), server.close()]);
 * ```
 */
export class FrameStream<I, O = I> implements AsyncIterable<O>, Lifecycle {
  /** Resolves when the stream has ended, with why. Never rejects. */
  readonly closed: Promise<CloseInfo>;
  readonly #conn: ByteTransport;
  readonly #codec: Codec<I, O>;
  readonly #highWaterMark: number;
  readonly #resolveClosed: (info: CloseInfo) => void;

  readonly #input: FrameInput<O>;
  readonly #loop: WriteLoop;
  /** Where frames are encoded to, and what the loop writes from meanwhile. */
  #output = new OutBuffer();
  #spare = new OutBuffer();
  #waitingFrames = 0;
  #writingFrames = 0;
  #room: PromiseWithResolvers<void> | undefined;

  /** Set from `close` on: nothing more is accepted. */
  #info: CloseInfo | undefined;
  #ended = false;
  /** What loops throw from the end on. */
  #failure: { readonly error: unknown } | undefined;
  readonly #cleanUps: (() => void)[] = [];

  /**
   * Takes over `conn`. Nothing is read before the first frame is asked for.
   *
   * @throws {RangeError} where `highWaterMark` is less than 1
   */
  constructor(conn: ByteTransport, codec: Codec<I, O>, options: FrameStreamOptions = {}) {
    const { highWaterMark = 65_536, signal } = options;
    if (!(highWaterMark >= 1)) {
      throw new RangeError(
        `Cannot create stream as 'highWaterMark' must be at least 1: current value is ${highWaterMark}`,
      );
    }
    const { promise, resolve } = Promise.withResolvers<CloseInfo>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#conn = conn;
    this.#codec = codec;
    this.#highWaterMark = highWaterMark;
    this.#input = new FrameInput(conn, codec, {
      badFrame: (error) => this.#badFrame(error),
      readFailed: (error) => this.#readFailed(error),
    });
    this.#loop = new WriteLoop(conn, {
      nextOutput: () => this.#nextOutput(),
      wrote: () => this.#wrote(),
      writeFailed: (error) => this.#linkLost(error),
    });
    if (signal !== undefined) this.#onAbort(signal, () => this.abort(signal.reason));
  }

  /** Address of this end, as the connection tells it. */
  get localAddr(): unknown {
    return this.#conn.localAddr;
  }

  /** Address of the other end, as the connection tells it. */
  get remoteAddr(): unknown {
    return this.#conn.remoteAddr;
  }

  /** What was accepted and is not yet written. */
  get queued(): Queued {
    return { bytes: this.#queuedBytes(), frames: this.#waitingFrames + this.#writingFrames };
  }

  /**
   * Resolves when less than the high-water mark waits to be written.
   *
   * @throws {ClosedError} (as a rejection) where the stream has ended or ends meanwhile
   */
  get ready(): Promise<void> {
    if (this.#info !== undefined) {
      const refusal = Promise.reject(closedError("send", this.#info));
      refusal.catch(ignore);
      return refusal;
    }
    if (this.#queuedBytes() < this.#highWaterMark) return READY;
    if (this.#room === undefined) {
      this.#room = Promise.withResolvers<void>();
      // A send that nobody awaits must not end the process; awaiting it still throws.
      this.#room.promise.catch(ignore);
    }
    return this.#room.promise;
  }

  /**
   * Sends a frame, and resolves when there is room for the next. The frame is accepted at once, also
   * where the returned promise is not awaited.
   *
   * @throws {ClosedError} (as a rejection) where the stream has ended or ends meanwhile; what the
   *   codec throws is a rejection too
   */
  send(frame: I): Promise<void> {
    try {
      if (this.#info === undefined) this.#encode(frame);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.ready;
  }

  /**
   * Sends a frame if there is room, and never waits. `"sent"`: it goes out at the end of this turn;
   * `"queued"`: after what is being written; `"full"`: it was not accepted.
   *
   * @throws {ClosedError} where the stream has ended; and what the codec throws
   */
  trySend(frame: I): "sent" | "queued" | "full" {
    if (this.#info !== undefined) throw closedError("send", this.#info);
    if (this.#queuedBytes() >= this.#highWaterMark) return "full";
    this.#encode(frame);
    return this.#loop.writing ? "queued" : "sent";
  }

  /** Gives the frames one by one. All loops over a stream share its frames. */
  [Symbol.asyncIterator](): AsyncIterableIterator<O> {
    const take = () => this.#input.take();
    return iterator(() => {
      const frame = take();
      return frame === undefined ? this.#later(take) : settled(frame);
    });
  }

  /** Gives the frames of each read together: one `await` per read instead of one per frame. */
  batches(): AsyncIterable<O[]> {
    const take = () => this.#input.takeAll();
    return iterator(() => {
      const batch = take();
      return batch === undefined ? this.#later(take) : settled(batch);
    });
  }

  /**
   * Ends the stream when what was accepted is written: loops end at once, then this end's direction
   * is ended, then the other end gets a moment (1 s, within the grace) to end its own. What it sends
   * meanwhile is dropped. When the grace is over before all is written, the code is `WRITE_TIMEOUT`.
   *
   * @throws {RangeError} where the grace is negative or no number
   */
  close(options: CloseOptions = {}): Promise<CloseInfo> {
    const { grace = 10_000, reason = "", signal } = options;
    if (!(grace >= 0)) {
      throw new RangeError(
        `Cannot close stream as 'grace' must be at least 0: current value is ${grace}`,
      );
    }
    if (this.#ended) return this.closed;
    const first = this.#info === undefined;
    const info = this.#info ??= {
      code: "NORMAL",
      reason,
      initiator: this.#input.eof ? "remote" : "local",
    };
    if (first) this.#shutDown(info);
    this.#after(grace, () => this.#cutShort(info));
    if (signal !== undefined) this.#onAbort(signal, () => this.#cutShort(info));
    return this.closed;
  }

  /** Ends the stream now. What waits is lost, in both directions. */
  abort(reason?: unknown): void {
    if (this.#ended) return;
    const info = infoOf("ABORTED", "local", reason);
    this.#input.drop();
    this.#end(info, { error: closedError("read", info) });
  }

  /** As `close()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Reads until `take` gives something, or nothing more can come. */
  async #later<T>(take: () => T | undefined): Promise<IteratorResult<T, undefined>> {
    while (true) {
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#input.eof || this.#info !== undefined) return { done: true, value: undefined };
      await this.#input.more();
      const value = take();
      if (value !== undefined) return { done: false, value };
    }
  }

  #encode(frame: I): void {
    const output = this.#output;
    const before = output.length;
    try {
      this.#codec.encode(frame, output);
    } catch (error) {
      // Part of a frame cannot be taken back, and nothing that follows it would be understood.
      if (output.length !== before) {
        const info = infoOf("INTERNAL", "local", error);
        this.#end(info, { error: closedError("read", info) });
      }
      throw error;
    }
    this.#waitingFrames++;
    this.#loop.wake();
  }

  #nextOutput(): OutBuffer | undefined {
    const output = this.#output;
    if (output.length === 0) return undefined;
    this.#output = this.#spare;
    this.#spare = output;
    this.#writingFrames = this.#waitingFrames;
    this.#waitingFrames = 0;
    return output;
  }

  #wrote(): void {
    if (this.#loop.inFlight === 0) this.#writingFrames = 0;
    if (this.#room !== undefined && this.#queuedBytes() < this.#highWaterMark) {
      this.#room.resolve();
      this.#room = undefined;
    }
  }

  #queuedBytes(): number {
    return this.#output.length + this.#loop.inFlight;
  }

  async #shutDown(info: CloseInfo): Promise<void> {
    this.#input.drop();
    this.#input.wake();
    // Input is dropped from now on: were it left to lie, closing would reset the connection, and the
    // other end might lose what was written to it, or never get round to reading it.
    const dropped = this.#dropInput();
    await this.#loop.idle();
    if (this.#ended || this.#conn.closeWrite === undefined) return this.#end(info);
    try {
      await this.#conn.closeWrite();
    } catch {
      return this.#end(info);
    }
    if (this.#ended) return;
    this.#after(LINGER, () => this.#end(info));
    await dropped;
    this.#end(info);
  }

  async #dropInput(): Promise<void> {
    while (!this.#input.eof && !this.#ended) await this.#input.more();
  }

  #cutShort(info: CloseInfo): void {
    const bytes = this.#queuedBytes();
    if (bytes === 0) return this.#end(info);
    const reason = `${bytes} bytes could not be written within the grace`;
    this.#end({ code: "WRITE_TIMEOUT", reason, initiator: "local" });
  }

  #badFrame(error: FrameError): void {
    const code = error.code === "FRAME_TOO_LARGE" ? "FRAME_TOO_LARGE" : "BAD_FRAME";
    this.#end({ code, reason: error.message, initiator: "remote", error }, { error });
  }

  #readFailed(error: unknown): void {
    // Once everything is written, how the other end went away does not matter any more.
    if (this.#info !== undefined && this.#queuedBytes() === 0) this.#end(this.#info);
    else this.#linkLost(error);
  }

  #linkLost(error: unknown): void {
    this.#end(infoOf("LINK_LOST", "network", error), { error });
  }

  /** With a failure, loops throw it from now on. */
  #end(info: CloseInfo, failure?: { readonly error: unknown }): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#info = info;
    this.#failure = failure;
    for (const cleanUp of this.#cleanUps) cleanUp();
    this.#loop.stop();
    cutTransport(this.#conn);
    this.#room?.reject(closedError("send", info));
    this.#input.wake();
    this.#resolveClosed(info);
  }

  #after(ms: number, run: () => void): void {
    if (ms === Infinity) return;
    const timer = setTimeout(run, Math.min(ms, LONGEST_TIMER));
    this.#cleanUps.push(() => clearTimeout(timer));
  }

  #onAbort(signal: AbortSignal, run: () => void): void {
    if (signal.aborted) return run();
    signal.addEventListener("abort", run, { once: true });
    this.#cleanUps.push(() => signal.removeEventListener("abort", run));
  }
}

function iterator<T>(
  next: () => Promise<IteratorResult<T, undefined>>,
): AsyncIterableIterator<T, undefined> {
  return {
    next,
    return: () => Promise.resolve({ done: true, value: undefined }),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function settled<T>(value: T): Promise<IteratorResult<T, undefined>> {
  return Promise.resolve({ done: false, value });
}

function closedError(action: string, info: CloseInfo): ClosedError {
  return new ClosedError(
    `Cannot ${action} as the stream must be open: it has ended with ${info.code}`,
    info,
  );
}

function infoOf(code: CloseCode, initiator: Initiator, cause: unknown): CloseInfo {
  const reason = describe(cause);
  if (cause === undefined) return { code, reason, initiator };
  const error = cause instanceof VnetError
    ? cause
    : new VnetError(code, reason, { cause, initiator });
  return { code, reason, initiator, error };
}

function describe(reason: unknown): string {
  if (reason === undefined) return "";
  return reason instanceof Error ? reason.message : String(reason);
}

function ignore(): void {}
