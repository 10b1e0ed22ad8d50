/**
 * The writing side of a byte connection: writes in a queue, one at a time at the transport.
 *
 * Owns the order of writes. A write that the transport has begun can only be given up together with
 * the connection, as nobody knows how much of it is on its way.
 *
 * 1. At most one write is at the transport (it may be partial: two at once would interleave).
 * 2. Writes go out whole and in the order of their calls, or the connection ends.
 * 3. After the first failure nothing is written any more.
 */
import { Fifo } from "../base/fifo.ts";
import { TimeoutError } from "../base/errors.ts";
import type { ByteTransport, WaitOptions } from "../base/types.ts";
import { type Timing, Wait, type WaitOwner, Waits } from "./waits.ts";

/** What a writer tells its connection. */
export interface WriterHost {
  /** This direction has ended, as was asked for. */
  writeEnded(): void;
  /** Nothing can be written any more. */
  writeFailed(error: unknown): void;
  /** A write took too long: the connection must end. */
  writeLate(error: TimeoutError): void;
  /** A write was given up of which a part may be on its way: the connection must end. */
  writeAborted(reason: unknown): void;
}

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

/** Writes that wait. */
export class Writer implements WaitOwner<WriteWait> {
  readonly what = "write";
  readonly #transport: ByteTransport;
  readonly #host: WriterHost;
  readonly #limits: Waits<WriteWait>;
  /** The first one is at the transport. */
  readonly #waits = new Fifo<WriteWait>();
  #written = 0;
  #ending: Promise<void> | undefined;
  /** Makes what writes are refused with. */
  #refusal: (() => unknown) | undefined;
  #idle: (() => void) | undefined;

  constructor(transport: ByteTransport, host: WriterHost, timing: Timing) {
    this.#transport = transport;
    this.#host = host;
    this.#limits = new Waits(this, timing);
  }

  /** The timeout of writes that name none, in ms. */
  get timeout(): number {
    return this.#limits.timeout;
  }

  set timeout(ms: number) {
    this.#limits.timeout = ms;
  }

  /** How many bytes were handed over. */
  get written(): number {
    return this.#written;
  }

  /** How many bytes wait to be. */
  get queued(): number {
    let sum = 0;
    for (const wait of this.#waits) if (!wait.givenUp) sum += wait.data.length - wait.written;
    return sum;
  }

  /** Whether nothing waits. */
  get idle(): boolean {
    return this.#waits.size === 0;
  }

  /** Moves the deadline of all writes. */
  setDeadline(at: number | Date): void {
    this.#limits.setDeadline(at, this.#waits);
  }

  /** Writes all of it. */
  write(data: Uint8Array | string, options: WaitOptions): Promise<number> {
    try {
      this.#limits.check(options);
      if (this.#refusal !== undefined) throw this.#refusal();
    } catch (error) {
      return Promise.reject(error);
    }
    const expired = this.#limits.expired();
    if (expired !== undefined) {
      const error = new TimeoutError(expired, { bytesWritten: 0 });
      this.#host.writeLate(error);
      return Promise.reject(error);
    }
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    if (bytes.length === 0) return Promise.resolve(0);
    const wait = new WriteWait(bytes);
    this.#limits.begin(wait, options);
    this.#push(wait);
    return wait.promise;
  }

  /** Ends this direction once all that was accepted is written; `refusal` makes what later writes get. */
  finish(refusal: () => unknown): Promise<void> {
    if (this.#ending === undefined) {
      if (this.#refusal !== undefined) return Promise.reject(this.#refusal());
      this.#refusal = refusal;
      const wait = new WriteWait(NOTHING);
      this.#ending = wait.promise.then(() => {});
      this.#push(wait);
    }
    return this.#ending;
  }

  /** Accepts nothing more; `flushed` is called once what was accepted is written, unless `end` comes first. */
  flush(refusal: () => unknown, flushed: () => void): void {
    this.#refusal = refusal;
    if (this.idle) flushed();
    else this.#idle = flushed;
  }

  /** Nothing is written any more: what waits is refused. */
  end(refusal: () => unknown): void {
    this.#refusal = refusal;
    this.#idle = undefined;
    for (const wait of this.#waits.clear()) {
      this.#limits.end(wait);
      wait.reject(refusal());
    }
    this.#limits.clear();
  }

  late({ deadlineAt }: WriteWait): void {
    let first: TimeoutError | undefined;
    // Others may be late as well, and each has its own to tell: the connection ends with the first.
    for (const wait of this.#waits) {
      if (wait.givenUp || wait.deadlineAt > deadlineAt) continue;
      const message = this.#limits.lateness(wait);
      const error = new TimeoutError(message, { bytesWritten: wait.written });
      wait.reject(error);
      first ??= error;
    }
    if (first !== undefined) this.#host.writeLate(first);
  }

  aborted(wait: WriteWait, reason: unknown): void {
    wait.reject(reason);
    if (wait === this.#waits.peek()) this.#host.writeAborted(reason);
    else wait.givenUp = true;
  }

  #push(wait: WriteWait): void {
    this.#waits.push(wait);
    if (this.#waits.size === 1) this.#next();
  }

  /** Hands the first one to the transport. */
  #next(): void {
    let wait = this.#waits.peek();
    while (wait?.givenUp) {
      this.#waits.shift();
      wait = this.#waits.peek();
    }
    if (wait === undefined) {
      const flushed = this.#idle;
      this.#idle = undefined;
      return flushed?.();
    }
    const { data, written } = wait;
    if (data.length === 0) this.#endDirection(wait);
    else {
      this.#transport.write(written === 0 ? data : data.subarray(written))
        .then(this.#wrote, this.#failed);
    }
  }

  readonly #wrote = (count: number): void => {
    const wait = this.#waits.peek();
    if (wait === undefined) return;
    this.#written += count;
    wait.written += count;
    if (wait.written >= wait.data.length) this.#done(wait);
    this.#next();
  };

  readonly #failed = (error: unknown): void => {
    if (this.#waits.size > 0) this.#host.writeFailed(error);
  };

  #done(wait: WriteWait): void {
    this.#waits.shift();
    this.#limits.end(wait);
    wait.resolve(wait.written);
  }

  async #endDirection(wait: WriteWait): Promise<void> {
    try {
      await this.#transport.closeWrite?.();
    } catch (error) {
      return this.#failed(error);
    }
    if (wait !== this.#waits.peek()) return;
    this.#done(wait);
    this.#next();
    this.#host.writeEnded();
  }
}

/** A write that waits; with nothing to write, the end of this direction. */
class WriteWait extends Wait {
  readonly promise: Promise<number>;
  readonly resolve: (count: number) => void;
  readonly reject: (reason: unknown) => void;
  readonly data: Uint8Array;
  written = 0;
  givenUp = false;

  constructor(data: Uint8Array) {
    super();
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.promise = promise;
    this.resolve = resolve;
    this.reject = reject;
    this.data = data;
  }
}
