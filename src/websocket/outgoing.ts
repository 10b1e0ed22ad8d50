/**
 * What a WebSocket writes: how much waits, whether there is room for more, whether it goes on.
 *
 * Owns the one writer and the time that a write may go without progress. What is written is a
 * `WebSocketProtocol`'s; after a failure its owner is told, once.
 */
import { LimitError } from "../base/errors.ts";
import type { OutBuffer } from "../base/out_buffer.ts";
import { RESOLVED } from "../base/resolved.ts";
import type { ByteTransport, Clock, Queued } from "../base/types.ts";
import { WriteLoop } from "../stream/write_loop.ts";
import type { WebSocketProtocol } from "./protocol.ts";

/** What it is made with. */
export interface OutgoingOptions {
  readonly transport: Pick<ByteTransport, "write">;
  readonly protocol: WebSocketProtocol;
  readonly clock: Clock;
  readonly highWaterMark: number;
  readonly maxQueuedBytes: number;
  readonly writeTimeout: number;
  /** A write failed; there will be no other. */
  readonly failed: (error: unknown) => void;
  /** A write did not go on for `writeTimeout`. */
  readonly stalled: () => void;
}

/** The output of one WebSocket. */
export class Outgoing {
  readonly #options: OutgoingOptions;
  readonly #loop: WriteLoop;
  #writingFrames = 0;
  #room: PromiseWithResolvers<void> | undefined;
  /** When a write last went on, and the timer that looks whether the present one does. */
  #progressAt = 0;
  #watch: Disposable | undefined;
  #stopped = false;

  constructor(options: OutgoingOptions) {
    this.#options = options;
    this.#loop = new WriteLoop(options.transport, {
      nextOutput: () => this.#next(),
      wrote: () => this.#wrote(),
      writeFailed: options.failed,
    });
  }

  /** What waits, or is being written. */
  get queued(): Queued {
    return {
      bytes: this.bytes,
      frames: this.#options.protocol.waitingFrames + this.#writingFrames,
    };
  }

  /** The bytes of that. */
  get bytes(): number {
    return this.#options.protocol.waitingBytes + this.#loop.inFlight;
  }

  /** Whether less than the high-water mark waits. */
  get hasRoom(): boolean {
    return this.bytes < this.#options.highWaterMark;
  }

  /** Is called before something is added: the time without progress counts from the first byte. */
  begin(): void {
    if (this.bytes > 0) return;
    this.#progressAt = this.#options.clock.now();
    if (this.#watch === undefined) this.#watchProgress();
  }

  /** Something was added, or may have been: it goes out at the end of this turn. */
  wake(): void {
    this.#loop.wake();
  }

  /** Resolves when less than the high-water mark waits. */
  ready(): Promise<void> {
    if (this.hasRoom) return RESOLVED;
    if (this.#room === undefined) {
      this.#room = Promise.withResolvers<void>();
      // A send that nobody awaits must not end the process; awaiting it still throws.
      this.#room.promise.catch(() => {});
    }
    return this.#room.promise;
  }

  /** Why nothing more is accepted now. */
  full(): LimitError | undefined {
    const { maxQueuedBytes } = this.#options;
    const { bytes } = this;
    return bytes < maxQueuedBytes ? undefined : queueFull(maxQueuedBytes, bytes);
  }

  /** Resolves when nothing waits, or nothing can be written any more. */
  async flushed(): Promise<void> {
    await this.#loop.idle();
  }

  /** Gives the memory of a busy connection back, where it has gone quiet. */
  rest(): void {
    if (this.bytes === 0 && !this.#loop.writing) this.#options.protocol.release();
  }

  /** Nobody will be told any more that there is room. */
  end(error: Error): void {
    this.#room?.reject(error);
    this.#room = undefined;
  }

  /** Writes nothing more. */
  stop(): void {
    this.#stopped = true;
    this.#watch?.[Symbol.dispose]();
    this.#loop.stop();
    this.#options.protocol.release();
  }

  #next(): OutBuffer | undefined {
    const { protocol } = this.#options;
    const output = protocol.takeOutput();
    if (output !== undefined) this.#writingFrames = protocol.takenFrames;
    return output;
  }

  #wrote(): void {
    this.#progressAt = this.#options.clock.now();
    if (this.#loop.inFlight === 0) this.#writingFrames = 0;
    if (this.#room === undefined || !this.hasRoom) return;
    this.#room.resolve();
    this.#room = undefined;
  }

  #watchProgress(): void {
    const { clock, writeTimeout, stalled } = this.#options;
    if (writeTimeout === Infinity) return;
    this.#watch = clock.setTimer(this.#progressAt + writeTimeout, () => {
      this.#watch = undefined;
      if (this.#stopped || this.bytes === 0) return;
      if (clock.now() - this.#progressAt < writeTimeout) return this.#watchProgress();
      stalled();
    }, true);
  }
}

/** The error for what was not accepted. */
export function queueFull(maxQueuedBytes: number, bytes: number): LimitError {
  return new LimitError(
    "QUEUE_FULL",
    "maxQueuedBytes",
    `Cannot send as fewer than ${maxQueuedBytes} bytes may wait: current value is ${bytes}`,
    { initiator: "local" },
  );
}

/** A send that nobody awaits must not end the process; awaiting it still throws. */
export function rejected(error: Error): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(() => {});
  return promise;
}
