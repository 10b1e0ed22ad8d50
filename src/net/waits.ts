/**
 * Waits of one kind (reads, writes, accepts), and what ends them early: a timeout, a deadline, a signal.
 *
 * Owns their limits and one lazy timer. Knows nothing of what is waited for.
 *
 * 1. A timeout is in ms and counts from the call. A deadline is an instant as `Date.now()` counts; it
 *    holds for every wait, begun before or after it was set, until it is set anew.
 * 2. A wait without a limit costs no look at the clock, and no limit costs a timer of its own.
 * 3. After `clear` nothing is armed.
 */
import type { Timed } from "../base/deadlines.ts";
import type { Clock, WaitOptions } from "../base/types.ts";
import { DeadlineTimer } from "./deadline_timer.ts";
import { systemClock } from "./clock.ts";

/** Where time comes from. */
export interface Timing {
  /** For waiting. */
  readonly clock: Clock;
  /** For deadlines: the instant that `Date.now()` gives. */
  readonly wallNow: () => number;
}

/** The time of this machine. */
export const systemTiming: Timing = { clock: systemClock, wallNow: () => Date.now() };

/** Something that waits. */
export abstract class Wait implements Timed {
  deadlineAt = Infinity;
  place = -1;
  /** Its own limit, in ms, and when that is over. */
  timeout = Infinity;
  timeoutAt = Infinity;
  over = false;
  /** What takes the listener off its signal. */
  unlisten: (() => void) | undefined;

  /** Ends the wait without what was waited for. */
  abstract reject(reason: unknown): void;
}

/** Whose waits they are. */
export interface WaitOwner<W extends Wait> {
  /** What is done while waiting, as in "Cannot read as …". */
  readonly what: string;
  /** The wait has taken too long. */
  late(wait: W): void;
  /** The signal of the wait was aborted. */
  aborted(wait: W, reason: unknown): void;
}

/** The limits of all waits of one kind. */
export class Waits<W extends Wait> {
  readonly #owner: WaitOwner<W>;
  readonly #timing: Timing;
  readonly #timer: DeadlineTimer<W>;
  #timeout = Infinity;
  /** On the clock's scale, which does not jump. */
  #deadlineAt = Infinity;
  /** When the deadline was looked at last: a look at the clock is dear. */
  #lookedAt = 0;

  constructor(owner: WaitOwner<W>, timing: Timing) {
    this.#owner = owner;
    this.#timing = timing;
    this.#timer = new DeadlineTimer(timing.clock, (wait) => this.#late(wait));
  }

  /** The timeout of waits that name none, in ms. */
  get timeout(): number {
    return this.#timeout;
  }

  set timeout(ms: number) {
    this.#timeout = checkTimeout(this.#owner.what, ms);
  }

  /** Moves the deadline, for `begun` waits as well. */
  setDeadline(at: number | Date, begun: Iterable<W>): void {
    const { clock, wallNow } = this.#timing;
    const wall = checkInstant(this.#owner.what, at);
    this.#deadlineAt = wall === Infinity ? Infinity : clock.now() + (wall - wallNow());
    for (const wait of begun) this.#limit(wait);
  }

  /** Throws where no wait can begin with these options. */
  check({ timeout, signal }: WaitOptions): void {
    if (timeout !== undefined) checkTimeout(this.#owner.what, timeout);
    signal?.throwIfAborted();
  }

  /** What to say when the deadline has passed already. */
  expired(): string | undefined {
    if (this.#deadlineAt === Infinity) return undefined;
    this.#lookedAt = this.#timing.clock.now();
    return this.#deadlineAt > this.#lookedAt ? undefined : this.#passed();
  }

  /** Sets the limits of a wait that begins, right after `expired`. Who calls it calls `end` as well. */
  begin(wait: W, { timeout = this.#timeout, signal }: WaitOptions): void {
    const limited = this.#deadlineAt !== Infinity;
    if (timeout !== Infinity) {
      wait.timeout = timeout;
      wait.timeoutAt = timeout + (limited ? this.#lookedAt : this.#timing.clock.now());
    }
    if (limited || timeout !== Infinity) this.#limit(wait);
    if (signal === undefined) return;
    const abort = () => {
      this.end(wait);
      this.#owner.aborted(wait, signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    wait.unlisten = () => signal.removeEventListener("abort", abort);
  }

  /** The wait is over. */
  end(wait: W): void {
    wait.over = true;
    this.#timer.delete(wait);
    wait.unlisten?.();
    wait.unlisten = undefined;
  }

  /** What to say of a wait that took too long. */
  lateness({ timeout, timeoutAt }: W): string {
    return timeoutAt <= this.#deadlineAt
      ? `Cannot ${this.#owner.what} as it took longer than ${timeout} ms`
      : this.#passed();
  }

  /** All waits are over, for ever. */
  clear(): void {
    this.#timer.clear();
  }

  #limit(wait: W): void {
    wait.deadlineAt = Math.min(wait.timeoutAt, this.#deadlineAt);
    if (wait.deadlineAt === Infinity) this.#timer.delete(wait);
    else this.#timer.add(wait);
  }

  #late(wait: W): void {
    // One that was late at the same time may have ended this one.
    if (wait.over) return;
    this.end(wait);
    this.#owner.late(wait);
  }

  #passed(): string {
    return `Cannot ${this.#owner.what} as the deadline has passed`;
  }
}

/** Gives `ms` if it can be a timeout. */
export function checkTimeout(what: string, ms: number): number {
  if (typeof ms !== "number") {
    throw new TypeError(
      `Cannot ${what} as a timeout must be a number of ms: current value is ${String(ms)}`,
    );
  }
  if (!(ms >= 0)) {
    throw new RangeError(
      `Cannot ${what} as a timeout must be at least 0 ms: current value is ${ms}`,
    );
  }
  return ms;
}

function checkInstant(what: string, at: number | Date): number {
  const instant = at instanceof Date ? at.getTime() : at;
  if (typeof instant !== "number") {
    throw new TypeError(
      `Cannot ${what} as a deadline must be a Date or a number: current value is ${String(at)}`,
    );
  }
  if (Number.isNaN(instant)) {
    throw new RangeError(`Cannot ${what} as a deadline must be an instant: current value is NaN`);
  }
  return instant;
}
