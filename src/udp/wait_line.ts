/**
 * Operations that wait in line, each until it is served, its timeout, the deadline of all of them, or
 * its signal.
 *
 * Owns one timer of the clock, however many wait. Knows not what they wait for.
 *
 * 1. Who was given up is out of the line: nothing is served to it, so nothing is lost.
 * 2. A deadline that has passed refuses whoever comes, until it is set anew.
 */
import { TimeoutError } from "../base/errors.ts";
import type { Clock, WaitOptions } from "../base/types.ts";

/** What a line is made with. */
export interface WaitLineOptions {
  /** Measures timeouts. */
  readonly clock: Clock;
  /** The time that deadlines are told in, in ms. */
  readonly dateNow: () => number;
  /** What is being waited for, as in "receive datagram". */
  readonly action: string;
  /** How long each may wait unless it says otherwise, in ms. */
  readonly timeout: number;
  /** There is somebody now (`true`), or nobody any more. */
  readonly occupied?: (yes: boolean) => void;
}

/** One that waits. Settling it a second time does nothing. */
export class Waiter<T> {
  readonly promise: Promise<T>;
  /** How long it may wait, in ms, and until when that is. */
  readonly timeout: number;
  readonly expiresAt: number;
  readonly #leave: (waiter: Waiter<T>) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #settle: PromiseWithResolvers<T>;

  constructor(
    leave: (waiter: Waiter<T>) => void,
    timeout: number,
    expiresAt: number,
    signal: AbortSignal | undefined,
  ) {
    this.#settle = Promise.withResolvers<T>();
    this.promise = this.#settle.promise;
    this.timeout = timeout;
    this.expiresAt = expiresAt;
    this.#leave = leave;
    this.#signal = signal;
    signal?.addEventListener("abort", this);
  }

  resolve(value: T): void {
    this.#out();
    this.#settle.resolve(value);
  }

  reject(reason: unknown): void {
    this.#out();
    this.#settle.reject(reason);
  }

  /** Of the signal. */
  handleEvent(): void {
    this.reject(this.#signal?.reason);
  }

  #out(): void {
    this.#leave(this);
    this.#signal?.removeEventListener("abort", this);
  }
}

/** A line, first come, first served. */
export class WaitLine<T> {
  readonly #options: WaitLineOptions;
  readonly #waiters = new Set<Waiter<T>>();
  readonly #leave = (waiter: Waiter<T>): void => this.#left(waiter);
  #timeout = Infinity;
  #deadlineAt = Infinity;
  #timer: Disposable | undefined;
  #armedFor = Infinity;

  constructor(options: WaitLineOptions) {
    this.#options = options;
    this.timeout = options.timeout;
  }

  /** How many wait. */
  get size(): number {
    return this.#waiters.size;
  }

  /** How long each may wait unless it says otherwise, in ms. */
  get timeout(): number {
    return this.#timeout;
  }

  set timeout(ms: number) {
    this.#timeout = checkTimeout(ms);
  }

  /** The instant from which nobody waits any longer. */
  setDeadline(at: number | Date): void {
    const instant = typeof at === "number" ? at : at.getTime();
    if (Number.isNaN(instant)) {
      throw new RangeError(
        `Cannot set deadline as it must be an instant in ms or a valid Date: current value is ${at}`,
      );
    }
    const { clock, dateNow } = this.#options;
    this.#deadlineAt = clock.now() + (instant - dateNow());
    if (this.#waiters.size > 0) this.#arm(this.#deadlineAt);
  }

  /** Throws what a wait would reject with before it has begun. */
  check(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (this.#deadlineAt === Infinity) return;
    if (this.#deadlineAt <= this.#options.clock.now()) throw this.#deadlinePassed();
  }

  /** Waits. Call `check` first. */
  enter(options: WaitOptions = {}): Waiter<T> {
    const { signal } = options;
    const timeout = options.timeout === undefined ? this.#timeout : checkTimeout(options.timeout);
    const expiresAt = timeout === Infinity ? Infinity : this.#options.clock.now() + timeout;
    const waiter = new Waiter(this.#leave, timeout, expiresAt, signal);
    this.#waiters.add(waiter);
    if (this.#waiters.size === 1) this.#options.occupied?.(true);
    this.#arm(Math.min(expiresAt, this.#deadlineAt));
    return waiter;
  }

  /** Who is next. */
  first(): Waiter<T> | undefined {
    for (const waiter of this.#waiters) return waiter;
    return undefined;
  }

  /** Refuses all of them, and leaves no timer behind. */
  refuseAll(reason: unknown): void {
    for (const waiter of this.#waiters) waiter.reject(reason);
    this.#disarm();
  }

  #left(waiter: Waiter<T>): void {
    if (this.#waiters.delete(waiter) && this.#waiters.size === 0) this.#options.occupied?.(false);
  }

  /**
   * A timer is set only for an earlier instant than the present one's: who was served leaves it, and
   * it then finds nothing to do, which is cheaper than a timer for each wait.
   */
  #arm(at: number): void {
    if (at >= this.#armedFor) return;
    this.#disarm();
    this.#armedFor = at;
    // In the background, since who waits has an open socket that keeps the program alive.
    this.#timer = this.#options.clock.setTimer(at, () => this.#sweep(), true);
  }

  #disarm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#armedFor = Infinity;
  }

  #sweep(): void {
    this.#disarm();
    const now = this.#options.clock.now();
    let next = Infinity;
    for (const waiter of this.#waiters) {
      if (this.#deadlineAt <= now) waiter.reject(this.#deadlinePassed());
      else if (waiter.expiresAt <= now) waiter.reject(this.#tookTooLong(waiter.timeout));
      else next = Math.min(next, waiter.expiresAt, this.#deadlineAt);
    }
    if (next !== Infinity) this.#arm(next);
  }

  #deadlinePassed(): TimeoutError {
    return new TimeoutError(`Cannot ${this.#options.action} as its deadline has passed`);
  }

  #tookTooLong(ms: number): TimeoutError {
    return new TimeoutError(`Cannot ${this.#options.action} as it took longer than ${ms} ms`);
  }
}

function checkTimeout(ms: number): number {
  if (ms >= 0) return ms;
  throw new RangeError(
    `Cannot set timeout as it must be at least 0 (Infinity for none): current value is ${ms}`,
  );
}
