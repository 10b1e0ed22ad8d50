/**
 * Wake-ups of many, each of which waits for one instant at a time: one timer of the clock for all of them.
 *
 * Owns which is next. One that is moved costs no timer and no memory, unlike one of the clock's own: ten
 * thousand quiet links are woken every few seconds, to be woken again. None of them keeps the process alive.
 *
 * 1. An alarm rings once, at its instant or soon after it, and never before.
 */
import { Heap, type Placed } from "../base/heap.ts";
import type { Clock } from "../base/types.ts";

/** Whoever is to be woken. */
export abstract class Alarm implements Placed {
  place = -1;
  /** When it rings; `Infinity`: never. */
  at = Infinity;

  /** Its instant has come. */
  abstract ring(): void;
}

/** The alarms on one clock. */
export class Alarms {
  readonly #clock: Clock;
  readonly #heap = new Heap<Alarm>((a, b) => a.at < b.at);
  #timer: Disposable | undefined;
  #timerAt = Infinity;
  #ringing = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sets an alarm, or sets it anew; `Infinity`: to none. */
  set(alarm: Alarm, at: number): void {
    alarm.at = at;
    if (at === Infinity) this.#heap.remove(alarm);
    else if (alarm.place < 0) this.#heap.add(alarm);
    else this.#heap.moved(alarm);
    if (!this.#ringing) this.#arm();
  }

  /** A timer that is too early only looks again, so one that is armed is moved forward only. */
  #arm(): void {
    const next = this.#heap.first;
    // With nobody to wake nothing should be left behind.
    const at = next === undefined ? Infinity : next.at;
    if (next !== undefined && at >= this.#timerAt) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#timerAt = at;
    if (next !== undefined) this.#timer = this.#clock.setTimer(at, () => this.#ring(), true);
  }

  #ring(): void {
    this.#timer = undefined;
    this.#timerAt = Infinity;
    this.#ringing = true;
    try {
      const now = this.#clock.now();
      for (let next = this.#heap.first; next !== undefined && next.at <= now;) {
        this.set(next, Infinity);
        next.ring();
        next = this.#heap.first;
      }
    } finally {
      this.#ringing = false;
      this.#arm();
    }
  }
}
