/**
 * Deadlines on a clock: one timer for all of them, and nothing for each. Almost all is done in time, so
 * whoever has things with deadlines looks through them only when the earliest comes, which is rare.
 */
import type { Clock } from "../base/types.ts";

/** When to look for what is due. */
export class DeadlineSweep {
  readonly #clock: Clock;
  readonly #sweep: (now: number) => number;
  #timer: Disposable | undefined;
  #at = Infinity;

  /**
   * `sweep` does what is due at `now`, and tells the earliest deadline of what is left. It is called at
   * that instant or soon after it, never before.
   */
  constructor(clock: Clock, sweep: (now: number) => number) {
    this.#clock = clock;
    this.#sweep = sweep;
  }

  /** Something has this deadline. That it is done need not be told: a sweep finds nothing then. */
  heed(at: number): void {
    if (at >= this.#at) return;
    this.#timer?.[Symbol.dispose]();
    this.#at = at;
    this.#timer = this.#clock.setTimer(at, () => this.#ring(), true);
  }

  /** Nothing has a deadline any more. */
  clear(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#at = Infinity;
  }

  #ring(): void {
    this.#timer = undefined;
    this.#at = Infinity;
    this.heed(this.#sweep(this.#clock.now()));
  }
}
