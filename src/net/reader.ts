/**
 * The reading side of a byte connection: an own buffer, and reads that wait for it to fill.
 *
 * Owns the one read that is outstanding at the transport. That read goes into the buffer, never into
 * memory of the caller: a wait for it may be given up, and the next wait gets what it brings.
 *
 * 1. Bytes are given in the order of their arrival, each once, whatever is given up or fails meanwhile.
 * 2. Reads are served in the order of their calls.
 * 3. The transport is read only while somebody waits: else it holds the other end back.
 * 4. What had arrived before the connection broke is given before the error is.
 * 5. Memory of which somebody has a view is not written to again.
 */
import { ByteQueue } from "../base/byte_queue.ts";
import { FrameError, LimitError, TimeoutError } from "../base/errors.ts";
import type { Bytes, ByteTransport, WaitOptions } from "../base/types.ts";
import { type Timing, Wait, type WaitOwner, Waits } from "./waits.ts";

/** What a reader tells its connection. */
export interface ReaderHost {
  /** The other end has ended its direction. */
  readEnded(): void;
  /** The connection is broken. */
  readFailed(error: unknown): void;
}

/** Gives what was asked for, or `undefined` while that has not arrived; throws if it never will. */
type Take<T> = () => T | undefined;

const LF = 0x0a;
const CR = 0x0d;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Reads that wait. */
export class Reader implements WaitOwner<ReadWait> {
  readonly what = "read";
  readonly #transport: ByteTransport;
  readonly #host: ReaderHost;
  readonly #limits: Waits<ReadWait>;
  readonly #input = new ByteQueue();
  readonly #waits: ReadWait[] = [];
  /** The slab of which somebody may have a view. */
  #viewed: Bytes | undefined;
  #reading = false;
  #eof = false;
  /** Whether what arrives is for somebody. */
  #keep = true;
  /** Makes what reads are refused with, from the end on. */
  #refusal: (() => unknown) | undefined;
  /** Takes the place of those who wait, once nobody will any more. */
  #discarded: ((bytes: number | null) => void) | undefined;

  constructor(transport: ByteTransport, host: ReaderHost, timing: Timing) {
    this.#transport = transport;
    this.#host = host;
    this.#limits = new Waits(this, timing);
  }

  /** The timeout of reads that name none, in ms. */
  get timeout(): number {
    return this.#limits.timeout;
  }

  set timeout(ms: number) {
    this.#limits.timeout = ms;
  }

  /** Whether the other end has ended its direction. */
  get eof(): boolean {
    return this.#eof;
  }

  /** Whether bytes have arrived that nobody took. */
  get unread(): boolean {
    return this.#input.length > 0;
  }

  /** Whether a read of the transport is outstanding: nothing more has arrived, then. */
  get reading(): boolean {
    return this.#reading;
  }

  /** Moves the deadline of all reads. */
  setDeadline(at: number | Date): void {
    this.#limits.setDeadline(at, this.#waits);
  }

  /** Some bytes, into `buf`; `null` at the end. */
  into(buf: Uint8Array, options: WaitOptions): Promise<number | null> {
    return this.#read(() => this.#copy(buf), 0, options);
  }

  /** Waits for bytes, and takes none; `false` at the end. */
  async arrival(options: WaitOptions): Promise<boolean> {
    const arrived = await this.#read(
      () => this.#input.length > 0 ? true : this.#atEnd(),
      0,
      options,
    );
    return arrived !== null;
  }

  /** What is there, as a view. */
  takeAll(): Bytes {
    return this.#view(this.#input.length);
  }

  /** So many bytes. */
  exactly(length: number, options: WaitOptions): Promise<Bytes> {
    return this.#read(() => this.#exactly(length), length, options);
  }

  /** A line without its end; `null` at the end. */
  line(maxLength: number, options: WaitOptions): Promise<string | null> {
    return this.#read(() => this.#line(maxLength), 0, options);
  }

  /** All up to the end. */
  all(maxLength: number, options: WaitOptions): Promise<Bytes> {
    return this.#read(() => this.#all(maxLength), 0, options);
  }

  late(wait: ReadWait): void {
    this.#leave(wait, new TimeoutError(this.#limits.lateness(wait)));
  }

  aborted(wait: ReadWait, reason: unknown): void {
    this.#leave(wait, reason);
  }

  /** The connection has ended: reads are refused from now on; with `keep`, once the buffer is empty. */
  end(refusal: (() => unknown) | undefined, keep: boolean): void {
    this.#refusal ??= refusal;
    this.#discarded = undefined;
    if (!keep) {
      this.#keep = false;
      this.#input.skip(this.#input.length);
    }
    this.#serve();
    this.#limits.clear();
  }

  /** From now on what arrives is dropped: `each` is told how much, and with `null` of the end. */
  discard(refusal: () => unknown, each: (bytes: number | null) => void): void {
    this.end(refusal, false);
    if (this.#eof) return each(null);
    this.#discarded = each;
    this.#fill(0);
  }

  #read<T>(take: Take<T>, wanted: number, options: WaitOptions): Promise<T> {
    try {
      this.#limits.check(options);
      const expired = this.#limits.expired();
      if (expired !== undefined) throw new TimeoutError(expired);
      if (this.#waits.length === 0) {
        const value = take();
        if (value !== undefined) return Promise.resolve(value);
      }
    } catch (error) {
      return Promise.reject(error);
    }
    const wait = new Demand(take, wanted);
    this.#waits.push(wait);
    this.#limits.begin(wait, options);
    this.#fill(wanted);
    return wait.promise;
  }

  /** Whether there is nothing more to come; throws if that is not how it should have ended. */
  #over(): boolean {
    if (this.#refusal !== undefined) throw this.#refusal();
    return this.#eof;
  }

  #atEnd(): null | undefined {
    return this.#over() ? null : undefined;
  }

  #copy(buf: Uint8Array): number | null | undefined {
    const { buffer, start, length } = this.#input;
    if (length === 0) {
      // Nothing fits, so nothing is to be waited for.
      return buf.length === 0 && !this.#over() ? 0 : this.#atEnd();
    }
    const count = Math.min(length, buf.length);
    buf.set(buffer.subarray(start, start + count));
    this.#input.start += count;
    return count;
  }

  #exactly(length: number): Bytes | undefined {
    const have = this.#input.length;
    if (have >= length) return this.#view(length);
    if (!this.#over()) return undefined;
    throw new FrameError(
      `Cannot read ${length} bytes as the other end must send them: it has ended after ${have}`,
      { code: "TRUNCATED" },
    );
  }

  #line(maxLength: number): string | null | undefined {
    const input = this.#input;
    const found = input.indexOf(LF);
    const end = found < 0 ? input.length : found;
    // With no LF yet, a CR in the last place may still turn out to be part of the end.
    const length = end > 0 && input.peekUint8(end - 1) === CR ? end - 1 : end;
    if (length > maxLength) throw tooLong("line", maxLength);
    if (found >= 0) {
      const text = this.#text(length);
      input.skip(found + 1 - length);
      return text;
    }
    if (!this.#over()) return undefined;
    return end === 0 ? null : this.#text(end);
  }

  #all(maxLength: number): Bytes | undefined {
    const { length } = this.#input;
    if (length > maxLength) throw tooLong("all", maxLength);
    return this.#over() ? this.#view(length) : undefined;
  }

  #text(length: number): string {
    const { buffer, start } = this.#input;
    this.#input.skip(length);
    return decoder.decode(buffer.subarray(start, start + length));
  }

  #view(length: number): Bytes {
    this.#viewed = this.#input.buffer;
    return this.#input.take(length);
  }

  /** Reads on, unless a read is outstanding. */
  #fill(wanted: number): void {
    if (this.#reading) return;
    this.#reading = true;
    const input = this.#input;
    if (input.buffer !== this.#viewed) input.rewind();
    this.#transport.read(input.space(wanted)).then(this.#got, this.#failed);
  }

  readonly #got = (count: number | null): void => {
    this.#reading = false;
    if (count !== null) this.#input.fill(count);
    else {
      this.#eof = true;
      this.#host.readEnded();
    }
    if (this.#keep) return this.#serve();
    this.#input.skip(this.#input.length);
    this.#discarded?.(count);
    if (count !== null && this.#discarded !== undefined) this.#fill(0);
  };

  readonly #failed = (error: unknown): void => {
    this.#reading = false;
    this.#host.readFailed(error);
  };

  /** Serves those who wait, in order, as far as what is there goes. */
  #serve(): void {
    for (let wait = this.#waits[0]; wait !== undefined; wait = this.#waits[0]) {
      if (!wait.attempt()) return this.#fill(wait.wanted);
      this.#waits.shift();
      this.#limits.end(wait);
    }
  }

  /** Who comes after one that asked for much may be content with what is there. */
  #leave(wait: ReadWait, reason: unknown): void {
    this.#waits.splice(this.#waits.indexOf(wait), 1);
    wait.reject(reason);
    this.#serve();
  }
}

/** A read that waits. */
abstract class ReadWait extends Wait {
  /** How many bytes it takes, where that is known. */
  abstract readonly wanted: number;
  /** Settles it, if that can be done now. */
  abstract attempt(): boolean;
}

class Demand<T> extends ReadWait {
  readonly promise: Promise<T>;
  readonly wanted: number;
  readonly reject: (reason: unknown) => void;
  readonly #resolve: (value: T) => void;
  readonly #take: Take<T>;

  constructor(take: Take<T>, wanted: number) {
    super();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.promise = promise;
    this.#resolve = resolve;
    this.reject = reject;
    this.#take = take;
    this.wanted = wanted;
  }

  attempt(): boolean {
    try {
      const value = this.#take();
      if (value === undefined) return false;
      this.#resolve(value);
    } catch (error) {
      this.reject(error);
    }
    return true;
  }
}

function tooLong(what: string, maxLength: number): LimitError {
  return new LimitError(
    "TOO_LARGE",
    "maxLength",
    `Cannot read ${what} as it must be at most ${maxLength} bytes: more have arrived`,
    { initiator: "remote" },
  );
}
