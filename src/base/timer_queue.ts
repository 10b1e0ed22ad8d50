/**
 * Timers as a table: a binary heap of instants, and nothing that ticks.
 *
 * Owns the order in which timers are due. Knows no clock: whoever drives it says what time it is.
 * Both the system clock and the manual clock of the tests are a driver around one of these.
 *
 * 1. Timers run in order of their instant, then in order of creation.
 * 2. A timer never runs before its instant, and never after its disposal.
 * 3. Adding and cancelling cost O(log n); a cancelled timer leaves nothing behind.
 */

import { Heap, type Placed } from "./heap.ts";

/** One entry; disposing cancels it. */
class Timer implements Disposable, Placed {
  place = -1;
  readonly #queue: TimerQueue;
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  readonly background: boolean;

  constructor(
    queue: TimerQueue,
    at: number,
    order: number,
    run: () => void,
    background: boolean,
  ) {
    this.#queue = queue;
    this.at = at;
    this.order = order;
    this.run = run;
    this.background = background;
  }

  [Symbol.dispose](): void {
    this.#queue.cancel(this);
  }
}

/** A heap of timers. */
export class TimerQueue {
  readonly #heap = new Heap(before);
  #order = 0;
  #foreground = 0;
  readonly #changed: (() => void) | undefined;

  /** `changed` is called when the earliest instant or the number of foreground timers may differ. */
  constructor(changed?: () => void) {
    this.#changed = changed;
  }

  /** How many timers wait. */
  get size(): number {
    return this.#heap.size;
  }

  /** How many of them keep the process alive. */
  get foreground(): number {
    return this.#foreground;
  }

  /** The earliest instant, or `Infinity`. */
  get nextAt(): number {
    return this.#heap.first?.at ?? Infinity;
  }

  /** Adds a timer. */
  add(at: number, run: () => void, background = false): Disposable {
    if (Number.isNaN(at)) {
      throw new RangeError(
        "Cannot set a timer as its instant must be a number: current value is NaN",
      );
    }
    const timer = new Timer(this, at, this.#order++, run, background);
    this.#heap.add(timer);
    if (!background) this.#foreground++;
    if (timer.place === 0 || (!background && this.#foreground === 1)) this.#changed?.();
    return timer;
  }

  /** Removes a timer; nothing happens if it has run or was removed before. */
  cancel(timer: Timer): void {
    const first = timer.place === 0;
    if (!this.#remove(timer)) return;
    if (first || this.#foreground === 0) this.#changed?.();
  }

  /** Runs what is due at `now`, including what that adds; returns how many ran. */
  runDue(now: number): number {
    let count = 0;
    for (let timer = this.#heap.first; timer !== undefined && timer.at <= now;) {
      this.#remove(timer);
      count++;
      timer.run();
      timer = this.#heap.first;
    }
    return count;
  }

  /** Runs the earliest timer if it is due at `now`. */
  runNext(now: number): boolean {
    const timer = this.#heap.first;
    if (timer === undefined || timer.at > now) return false;
    this.#remove(timer);
    timer.run();
    return true;
  }

  /** Removes all. */
  clear(): void {
    this.#heap.clear();
    this.#foreground = 0;
    this.#changed?.();
  }

  #remove(timer: Timer): boolean {
    if (!this.#heap.remove(timer)) return false;
    if (!timer.background) this.#foreground--;
    return true;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
