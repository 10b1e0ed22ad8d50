/**
 * Messages that were written and whose senders wait to hear that the other end has them.
 *
 * 1. The other end accepts in the order in which frames were numbered, so what waits is a queue.
 * 2. Each is told one outcome: accepted, or why that will not be known or will not happen.
 * 3. An end that never says a word keeps no more than twice as many as there are who still wait.
 */
import { Fifo } from "../base/fifo.ts";

/** From so many on it is seen to it that nobody is kept who has given up. */
const MANY = 1_024;

/** Who waits for one message. */
export interface Receipt {
  /** Whether nobody waits any more: it need not be told. */
  readonly over: boolean;
  /** The other end has it. */
  accepted(): void;
  /**
   * `"lost"`: whether the other end has it will not be known, as the session is over; `"unsent"`: it was
   * not written when the peer ended; `"dropped"`: it made way for others; `"too-large"`: the other end
   * takes none so long.
   */
  failed(why: ReceiptFailure): void;
}

/** Why a message will not be known to have been accepted. */
export type ReceiptFailure = "lost" | "unsent" | "dropped" | "too-large";

/** What one session waits for. */
export class Receipts {
  readonly #waiting = new Fifo<{ readonly count: number; readonly receipt: Receipt }>();
  #sweepAt = MANY;

  /** How many are kept. */
  get size(): number {
    return this.#waiting.size;
  }

  /** A message was written; its last frame is tracked frame number `count`. */
  wrote(count: number, receipt: Receipt): void {
    this.#waiting.push({ count, receipt });
    if (this.#waiting.size >= this.#sweepAt) this.#sweep();
  }

  /** The other end has accepted so many tracked frames. */
  acked(count: number): void {
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      if (next.count > count) return;
      this.#waiting.shift();
      next.receipt.accepted();
    }
  }

  /** The session is over. */
  end(): void {
    for (const { receipt } of this.#waiting.clear()) receipt.failed("lost");
  }

  #sweep(): void {
    for (const entry of this.#waiting.clear()) {
      if (!entry.receipt.over) this.#waiting.push(entry);
    }
    this.#sweepAt = Math.max(MANY, 2 * this.#waiting.size);
  }
}
