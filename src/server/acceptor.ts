/**
 * Accepts connections until it is told to stop.
 *
 * A failure to accept (too many open files, a client that hung up) is no reason to end: after a pause,
 * which grows while it lasts, it goes on.
 */
import type { Clock, Transport, TransportListener } from "../base/types.ts";

/** The first and the longest pause after a failure to accept, in ms. */
const PAUSE = 10;
const PAUSE_MAX = 1_000;

/** What an acceptor tells. */
export interface AcceptEvents {
  /** A connection came. */
  take(transport: Transport): void;
  /** Accepting failed; the next try is in so many ms. */
  acceptFailed(error: unknown, pause: number): void;
}

/** The accepting half of a server. */
export class Acceptor {
  readonly #listeners: readonly TransportListener[];
  readonly #clock: Clock;
  readonly #events: AcceptEvents;
  readonly #pauses = new Set<() => void>();
  #stopped = false;

  constructor(listeners: readonly TransportListener[], clock: Clock, events: AcceptEvents) {
    this.#listeners = listeners;
    this.#clock = clock;
    this.#events = events;
  }

  /** Begins. */
  start(): void {
    for (const listener of this.#listeners) this.#run(listener);
  }

  /** Closes the listeners; resolves when they have let go of their addresses. Never rejects. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const wake of this.#pauses) wake();
    await Promise.all(this.#listeners.map(close));
  }

  /** Never rejects. */
  async #run(listener: TransportListener): Promise<void> {
    let pause = PAUSE;
    while (!this.#stopped) {
      try {
        for await (const transport of listener) {
          pause = PAUSE;
          this.#events.take(transport);
          if (this.#stopped) break;
        }
        return;
      } catch (error) {
        if (this.#stopped) return;
        this.#events.acceptFailed(error, pause);
        await this.#sleep(pause);
        pause = Math.min(PAUSE_MAX, pause * 2);
      }
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(this.#clock.now() + ms, () => wake());
      const wake = () => {
        timer[Symbol.dispose]();
        this.#pauses.delete(wake);
        resolve();
      };
      this.#pauses.add(wake);
    });
  }
}

async function close(listener: TransportListener): Promise<void> {
  try {
    await listener.close();
  } catch {
    // Closed before by whoever gave it to us.
  }
}
