/**
 * Messages that were written and whose senders wait to hear that the other end has them.
 *
 * 1. The other end accepts in the order in which frames were numbered, so what waits is a queue.
 * 2. Each is told one outcome: accepted, or why that will not be known or will not happen.
 */
import { Fifo } from "../base/fifo.ts";

/** Who waits for one message. */
export interface Receipt {
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

  /** A message was written; its last frame is tracked frame number `count`. */
  wrote(count: number, receipt: Receipt): void {
    this.#waiting.push({ count, receipt });
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
}
