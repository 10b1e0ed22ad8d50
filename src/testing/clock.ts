/**
 * Time that passes when the test says so.
 *
 * Owns an instant and a table of timers. Nothing here waits for real time.
 */
import { TimerQueue } from "../base/timer_queue.ts";
import type { Clock } from "../base/types.ts";

/** So many timers at one instant mean that some timer sets itself again without end. */
const MOST_AT_ONCE = 1_000_000;

/**
 * A clock that stands still until it is advanced. It starts at 0.
 *
 * @example
 * ```ts
 * import { ManualClock } from "@vgo/vnet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const clock = new ManualClock();
 * const seen: number[] = [];
 * clock.setTimer(250, () => seen.push(clock.now()));
 *
 * await clock.advance(1_000);
 * assertEquals(seen, [250]);
 * assertEquals(clock.now(), 1_000);
 * ```
 */
export class ManualClock implements Clock {
  readonly #timers = new TimerQueue();
  #now = 0;
  #atOnce = 0;

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** The instant of the next timer; `Infinity` if none is set. */
  get nextAt(): number {
    return this.#timers.nextAt;
  }

  /** The present instant, in ms. */
  now(): number {
    return this.#now;
  }

  /**
   * Calls `run` when the clock reaches `at`; disposing cancels. Timers of the same instant run in
   * the order in which they were set.
   */
  setTimer(at: number, run: () => void, background?: boolean): Disposable {
    return this.#timers.add(at, run, background);
  }

  /**
   * Lets `ms` pass: runs each timer at its instant, and after each one lets every promise settle
   * that can, so that what one timer sets off is done before the next timer runs.
   *
   * @throws {RangeError} where `ms` is not a number from 0
   * @throws what a timer throws; time then stands at its instant
   */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0 && ms < Infinity)) {
      throw new RangeError(
        `Cannot advance clock as 'ms' must be a number from 0: current value is ${ms}`,
      );
    }
    const end = this.#now + ms;
    await settle();
    while (await this.step(end));
    this.#now = Math.max(this.#now, end);
  }

  /**
   * Lets time pass up to the next timer, runs it, and lets what it set off settle. Tells whether
   * there was a timer up to the instant `limit`; otherwise no time passes.
   */
  async step(limit = Infinity): Promise<boolean> {
    const at = this.#timers.nextAt;
    if (at > limit || at === Infinity) return false;
    if (at > this.#now) {
      this.#now = at;
      this.#atOnce = 0;
    } else if (++this.#atOnce > MOST_AT_ONCE) {
      throw new Error(
        `Cannot advance clock as a timer sets itself again without end: current instant is ${this.#now}`,
      );
    }
    this.#timers.runNext(this.#now);
    await settle();
    return true;
  }
}

/**
 * Resolves when every promise has settled that needs neither time nor input. All microtasks run
 * before the next macrotask does; an immediate is the cheapest of those (1 us; a timeout takes 1 ms).
 */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
