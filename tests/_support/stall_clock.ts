/**
 * Time that can jump, as it does for a program whose event loop was blocked.
 *
 * Owns an instant and its timers. After a jump every timer that became due meanwhile runs late and in
 * one go, before anything that arrived meanwhile is looked at: so does a real event loop.
 */
import { TimerQueue } from "../../src/base/timer_queue.ts";
import type { Addr, Clock, Runtime } from "@vgo/vnet";

/** A clock that stands still until it is told to jump. */
export class StallClock implements Clock {
  readonly #timers = new TimerQueue();
  #now = 0;

  now(): number {
    return this.#now;
  }

  setTimer(at: number, run: () => void): Disposable {
    return this.#timers.add(at, run);
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets `ms` pass in which the program did nothing. No promise settles before its timers have run. */
  jump(ms: number): void {
    this.#now += ms;
    this.#timers.runDue(this.#now);
  }
}

/** A runtime without a network, for connections that are made elsewhere. */
export function offline(clock: Clock): Runtime {
  const refuse = (addr: Addr) => Promise.reject(new Error(`There is no network for ${addr}`));
  let drawn = 0;
  return {
    clock,
    random: () => (drawn = (drawn * 16_807 + 7) % 65_521) / 65_521,
    dial: refuse,
    listen: refuse,
  };
}

/** Resolves when everything has settled that needs no time. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
