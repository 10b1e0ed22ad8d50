/**
 * Finds out whether the other end is still there: asks each so many ms, and gives up on one that is
 * silent afterwards.
 *
 * Owns one timer. Any byte is a sign of life. Silence does not count while this end does not read, nor
 * where this end was late itself: then it asks for the same time once more.
 */
import type { Clock } from "../base/types.ts";

/** What is asked, and who is told. */
export interface KeepaliveOptions {
  readonly clock: Clock;
  /** `Infinity`: never. */
  readonly interval: number;
  readonly timeout: number;
  /** Sends a ping. */
  readonly ask: () => void;
  /** Nothing has come for so long. */
  readonly silent: () => void;
}

/** Watches one connection. */
export class Keepalive {
  readonly #options: KeepaliveOptions;
  #timer: Disposable | undefined;
  #heardAt = 0;
  #reading = true;

  constructor(options: KeepaliveOptions) {
    this.#options = options;
  }

  /** Begins to watch. */
  start(): void {
    this.#askAt(this.#options.clock.now() + this.#options.interval);
  }

  /** Something came. */
  heard(): void {
    this.#heardAt = this.#options.clock.now();
  }

  /** This end reads, or it does not. */
  set reading(reading: boolean) {
    this.#reading = reading;
    if (reading) this.heard();
  }

  /** Watches no longer. */
  stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  #askAt(at: number): void {
    const { clock, interval, timeout } = this.#options;
    if (at === Infinity) return;
    this.#timer = clock.setTimer(at, () => {
      this.#options.ask();
      const now = clock.now();
      if (timeout === Infinity) this.#askAt(now + interval);
      else this.#checkAt(now + timeout, now);
    }, true);
  }

  #checkAt(at: number, askedAt: number): void {
    const { clock, interval, timeout } = this.#options;
    this.#timer = clock.setTimer(at, () => {
      const now = clock.now();
      if (!this.#reading || this.#heardAt >= askedAt) {
        this.#askAt(Math.max(now, askedAt + interval));
      } else if (now - at > timeout / 2) {
        this.#checkAt(now + timeout, askedAt);
      } else {
        this.#options.silent();
      }
    }, true);
  }
}
