/**
 * Deadlines on a clock: one timer for all of them.
 */
import type { Clock } from "../base/types.ts";
import { Deadlines, type Timed } from "../base/deadlines.ts";

/** Things with deadlines, and what is done with those that are due. */
export class DeadlineTimer<T extends Timed> {
  readonly #clock: Clock;
  readonly #due: (item: T) => void;
  readonly #items = new Deadlines<T>();
  #timer: Disposable | undefined;
  #timerAt = Infinity;

  /** `due` is called for each thing at its deadline or soon after it, never before. */
  constructor(clock: Clock, due: (item: T) => void) {
    this.#clock = clock;
    this.#due = due;
  }

  /** How many there are. */
  get size(): number {
    return this.#items.size;
  }

  /** Adds a thing, or moves it to its new deadline. */
  add(item: T): void {
    this.#items.delete(item);
    this.#items.add(item);
    this.#arm();
  }

  /** Removes a thing; nothing happens when it is not there. */
  delete(item: T): void {
    this.#items.delete(item);
  }

  /** Takes all off, and stops. */
  clear(): T[] {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#timerAt = Infinity;
    return this.#items.clear();
  }

  /** A timer that is too early only looks again, so one that is armed is moved forward only. */
  #arm(): void {
    const at = this.#items.nextAt;
    if (at >= this.#timerAt) return;
    this.#timer?.[Symbol.dispose]();
    this.#timerAt = at;
    this.#timer = this.#clock.setTimer(at, () => this.#expire(), true);
  }

  #expire(): void {
    this.#timer = undefined;
    this.#timerAt = Infinity;
    for (const item of this.#items.takeDue(this.#clock.now())) this.#due(item);
    this.#arm();
  }
}
