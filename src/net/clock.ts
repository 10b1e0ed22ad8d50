/**
 * The system's time: one timer of the runtime, however many instants are waited for.
 */
import type { Clock } from "../base/types.ts";
import { TimerQueue } from "../base/timer_queue.ts";

/** The runtime takes no longer delay: it would fire at once. */
const MAX_DELAY = 2 ** 31 - 1;

/** Monotonic time, and timers on it. */
export class SystemClock implements Clock {
  readonly #timers: TimerQueue = new TimerQueue(() => this.#arm());
  #timeout: ReturnType<typeof setTimeout> | undefined;
  #armedAt = Infinity;
  #running = false;

  now(): number {
    return performance.now();
  }

  setTimer(at: number, run: () => void, background = false): Disposable {
    return this.#timers.add(at, run, background);
  }

  #arm(): void {
    if (this.#running) return;
    const { nextAt, foreground } = this.#timers;
    if (nextAt !== this.#armedAt) {
      clearTimeout(this.#timeout);
      this.#timeout = undefined;
      this.#armedAt = nextAt;
      if (nextAt === Infinity) return;
      // Rounded up: never early.
      const delay = Math.min(MAX_DELAY, Math.max(0, Math.ceil(nextAt - this.now())));
      this.#timeout = setTimeout(() => this.#run(), delay);
    }
    const timeout: unknown = this.#timeout;
    // A page has no process to keep alive, and numbers for timers.
    if (!keepsAlive(timeout)) return;
    // A background timer alone must not keep the process alive.
    if (foreground > 0) timeout.ref();
    else timeout.unref();
  }

  #run(): void {
    this.#timeout = undefined;
    this.#armedAt = Infinity;
    this.#running = true;
    try {
      this.#timers.runDue(this.now());
    } finally {
      this.#running = false;
      this.#arm();
    }
  }
}

/** Shared by all that has no clock of its own: one timer of the runtime for all of it. */
export const systemClock: Clock = new SystemClock();

/** Numbers in [0, 1) that nobody can foretell: ids are made of them. */
export class SystemRandom {
  readonly #pool = new Uint32Array(512);
  #used = this.#pool.length;

  next(): number {
    if (this.#used === this.#pool.length) {
      crypto.getRandomValues(this.#pool);
      this.#used = 0;
    }
    const high = this.#pool[this.#used++] ?? 0;
    const low = this.#pool[this.#used++] ?? 0;
    return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
  }
}

/** Whether the process waits for a timer, unless told not to. */
function keepsAlive(timeout: unknown): timeout is { ref(): void; unref(): void } {
  return typeof timeout === "object";
}
