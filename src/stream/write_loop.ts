/**
 * The one writer of a connection: pulls output, writes it, and pulls again.
 *
 * Owns the order of writes. Knows nothing of frames: a source gives it whole buffers.
 *
 * 1. At most one write is in flight (a write may be partial: two at once would interleave frames).
 * 2. Output is pulled once nobody has added to it for a few microtasks, so that one write carries what
 *    a whole turn produced, promises included; what comes while a write is in flight goes out after it.
 * 3. Who has all of its output in hand may write it at once, where nothing is written or waits to be.
 * 4. After the first failure nothing is written any more, and the failure is told once.
 */
import type { ByteTransport } from "../base/types.ts";
import type { OutBuffer } from "../base/out_buffer.ts";
import { RESOLVED } from "../base/resolved.ts";

/** Where output comes from. */
export interface OutputSource {
  /**
   * What to write next, or `undefined` when there is nothing. The loop resets it once it is written, and
   * then says so.
   */
  nextOutput(): OutBuffer | undefined;
  /** That many bytes have just been written. */
  wrote?(bytes: number): void;
  /** A write failed; there will be no other. */
  writeFailed(error: unknown): void;
}

/**
 * So many microtasks without new output end a turn. Handlers that return promises answer one message in
 * every few of them, and a write may resolve within them too: without this each answer would be a write.
 */
const QUIET = 4;
/** After so many turns in a row to which nothing was added after their first microtask, one is enough. */
const OFTEN = 16;
/** So many at most: who never stops to produce must not keep the rest waiting. */
const LONGEST = 1_024;
const NOTHING = new Uint8Array(0);

/**
 * The loop itself, for whoever is a source and a transport in one: a thousand links that write once in a
 * turn are quicker as one object each than as three.
 */
export abstract class BaseWriteLoop {
  #state: "idle" | "scheduled" | "writing" | "stopped" = "idle";
  #inFlight = 0;
  #woken = false;
  /** Turns, one after the other, in which it was in vain to wait longer. */
  #vain = 0;
  #turnBegan = false;
  #idleWaiters: (() => void)[] | undefined;

  /** Whether a write has been handed to the transport and has not ended. */
  get writing(): boolean {
    return this.#state === "writing";
  }

  /** Bytes handed to the pending write and not yet taken by it. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether nothing is being written, and nobody has said that there is output. */
  get free(): boolean {
    return this.#state === "idle";
  }

  /** Keeps all else from being written until `write`, which has to follow in this turn. Only while `free`. */
  hold(): void {
    this.#state = "writing";
  }

  /** Writes this now, and then what there is. Only while `free`, or after `hold`. */
  write(bytes: Uint8Array): void {
    if (this.#stopped()) return;
    this.#state = "writing";
    this.#writeNow(bytes);
  }

  /** Says that something has come from outside, so that what is added now belongs to another turn. */
  beginTurn(): void {
    this.#turnBegan = true;
  }

  /**
   * Says that there is output: it goes out at the end of this turn, or after the present write. `alone`:
   * nothing will be added to it in this turn, so it may go at once.
   */
  wake(alone = false): void {
    this.#woken = true;
    if (this.#state !== "idle") return;
    this.#state = "scheduled";
    if (alone) this.#runNow();
    else this.#run();
  }

  /** Resolves when nothing is being written and nothing waits to be, or when no more can be. */
  idle(): Promise<void> {
    if (this.#state === "idle") this.wake();
    if (this.#state === "stopped") return Promise.resolve();
    return new Promise((resolve) => (this.#idleWaiters ??= []).push(resolve));
  }

  /** Ends the loop: output that was not pulled stays where it is. */
  stop(): void {
    this.#state = "stopped";
    this.#inFlight = 0;
    this.#settle();
  }

  /** Some of it, which goes out by one `write` of the transport. */
  protected abstract transmit(bytes: Uint8Array): Promise<number>;
  /** What to write next, or `undefined` when there is nothing. The loop resets it once it is written. */
  protected abstract nextOutput(): OutBuffer | undefined;
  /** That many bytes have just been written. */
  protected abstract wrote(bytes: number): void;
  /** A write failed; there will be no other. */
  protected abstract writeFailed(error: unknown): void;

  /** Writes what there is, without waiting for more. */
  #runNow(): void {
    const output = this.nextOutput();
    if (this.#stopped()) return;
    this.#woken = false;
    this.#turnBegan = false;
    if (output === undefined) {
      this.#state = "idle";
      return;
    }
    this.#state = "writing";
    this.#writeNow(output.inOnePiece(), output);
  }

  /** Without an async function, which costs as much memory for a moment as the write itself. */
  #writeNow(bytes: Uint8Array, output?: OutBuffer): void {
    this.#inFlight = bytes.length;
    try {
      this.transmit(bytes).then(
        (count) => this.#wroteNow(count, bytes, output),
        (error) => this.#fail(error),
      );
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Never throws: its failure is told to the source. */
  #wroteNow(count: number, bytes: Uint8Array, output: OutBuffer | undefined): void {
    if (this.#stopped()) return;
    try {
      this.#inFlight -= count;
      const rest = this.#inFlight;
      if (rest === 0) output?.reset();
      this.wrote(count);
      if (this.#stopped()) return;
      if (rest > 0) return this.#writeNow(bytes.subarray(count), output);
      this.#state = "idle";
      if (this.#woken || this.#idleWaiters !== undefined) this.wake();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Never rejects: its end is told to the source. */
  async #run(): Promise<void> {
    try {
      while (true) {
        // Ends at once after a write during which nothing was added.
        const enough = this.#vain < OFTEN ? QUIET : 1;
        let quiet = this.#woken ? 0 : enough;
        for (let hops = 0; quiet < enough && hops < LONGEST; hops++) {
          this.#woken = false;
          await RESOLVED;
          quiet = this.#woken ? 0 : quiet + 1;
          if (this.#woken && hops > 0) this.#vain = -1;
        }
        if (this.#stopped()) return;
        this.#woken = false;
        const output = this.nextOutput();
        // A source may end the loop while it is asked for more.
        if (this.#stopped()) return;
        if (output === undefined) break;
        // A second write in one turn: to wait for longer would have saved it.
        this.#vain = this.#turnBegan ? this.#vain + 1 : 0;
        this.#turnBegan = false;
        this.#state = "writing";
        this.#inFlight = output.length;
        const pieces = output.pieces();
        for (let i = 0; i < pieces.length; i++) {
          let piece = pieces[i] ?? NOTHING;
          while (piece.length > 0) {
            const count = await this.transmit(piece);
            if (this.#stopped()) return;
            this.#inFlight -= count;
            if (this.#inFlight === 0) output.reset();
            this.wrote(count);
            if (count === piece.length) break;
            piece = piece.subarray(count);
          }
        }
      }
      this.#state = "idle";
      this.#settle();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#stopped()) return;
    this.stop();
    this.writeFailed(error);
  }

  #stopped(): boolean {
    return this.#state === "stopped";
  }

  #settle(): void {
    const waiters = this.#idleWaiters;
    if (waiters === undefined) return;
    this.#idleWaiters = undefined;
    for (const resolve of waiters) resolve();
  }
}

/** Pumps an {@linkcode OutputSource} into a transport. */
export class WriteLoop extends BaseWriteLoop {
  readonly #transport: Pick<ByteTransport, "write">;
  readonly #source: OutputSource;

  constructor(transport: Pick<ByteTransport, "write">, source: OutputSource) {
    super();
    this.#transport = transport;
    this.#source = source;
  }

  protected transmit(bytes: Uint8Array): Promise<number> {
    return this.#transport.write(bytes);
  }

  protected nextOutput(): OutBuffer | undefined {
    return this.#source.nextOutput();
  }

  protected wrote(bytes: number): void {
    this.#source.wrote?.(bytes);
  }

  protected writeFailed(error: unknown): void {
    this.#source.writeFailed(error);
  }
}
