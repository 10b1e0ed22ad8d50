/**
 * The one writer of a connection: pulls output, writes it, and pulls again.
 *
 * Owns the order of writes. Knows nothing of frames: a source gives it whole buffers.
 *
 * 1. At most one write is in flight (a write may be partial: two at once would interleave frames).
 * 2. Output is pulled at the end of the turn that woke the loop, so that one write carries what the
 *    whole turn produced; what comes while a write is in flight goes out together after it.
 * 3. After the first failure nothing is written any more, and the failure is told once.
 */
import type { ByteTransport } from "../base/types.ts";
import type { OutBuffer } from "../base/out_buffer.ts";

/** Where output comes from. */
export interface OutputSource {
  /** What to write next, or `undefined` when there is nothing. The loop resets it once written. */
  nextOutput(): OutBuffer | undefined;
  /** That many bytes have just been written. */
  wrote?(bytes: number): void;
  /** A write failed; there will be no other. */
  writeFailed(error: unknown): void;
}

/** Pumps an {@linkcode OutputSource} into a transport. */
export class WriteLoop {
  readonly #transport: Pick<ByteTransport, "write">;
  readonly #source: OutputSource;
  #state: "idle" | "scheduled" | "writing" | "stopped" = "idle";
  #inFlight = 0;
  #idleWaiters: (() => void)[] = [];

  constructor(transport: Pick<ByteTransport, "write">, source: OutputSource) {
    this.#transport = transport;
    this.#source = source;
  }

  /** Whether a write has been handed to the transport and has not ended. */
  get writing(): boolean {
    return this.#state === "writing";
  }

  /** Bytes handed to the pending write and not yet taken by it. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Says that there is output: it goes out at the end of this turn, or after the present write. */
  wake(): void {
    if (this.#state !== "idle") return;
    this.#state = "scheduled";
    queueMicrotask(() => this.#begin());
  }

  /** Resolves when nothing is being written and nothing waits to be, or when no more can be. */
  idle(): Promise<void> {
    if (this.#state === "idle") this.wake();
    if (this.#state === "stopped") return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Ends the loop: output that was not pulled stays where it is. */
  stop(): void {
    this.#state = "stopped";
    this.#inFlight = 0;
    this.#settle();
  }

  #begin(): void {
    if (this.#state !== "scheduled") return;
    const output = this.#source.nextOutput();
    if (output === undefined) {
      this.#state = "idle";
      this.#settle();
      return;
    }
    this.#state = "writing";
    this.#run(output);
  }

  /** Never rejects: its end is told to the source. */
  async #run(first: OutBuffer): Promise<void> {
    try {
      let output: OutBuffer | undefined = first;
      while (output !== undefined) {
        this.#inFlight = output.length;
        for (let piece of output.pieces()) {
          while (piece.length > 0) {
            const count = await this.#transport.write(piece);
            if (this.#state === "stopped") return;
            this.#inFlight -= count;
            this.#source.wrote?.(count);
            piece = piece.subarray(count);
          }
        }
        output.reset();
        output = this.#source.nextOutput();
        // A source may end the loop while it is asked for more.
        if (this.#stopped()) return;
      }
      this.#state = "idle";
      this.#settle();
    } catch (error) {
      if (this.#stopped()) return;
      this.stop();
      this.#source.writeFailed(error);
    }
  }

  #stopped(): boolean {
    return this.#state === "stopped";
  }

  #settle(): void {
    const waiters = this.#idleWaiters;
    if (waiters.length === 0) return;
    this.#idleWaiters = [];
    for (const resolve of waiters) resolve();
  }
}
