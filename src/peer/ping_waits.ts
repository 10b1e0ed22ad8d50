/**
 * Those who wait for a PONG.
 */
import type { Clock, WaitOptions } from "../base/types.ts";
import { startWait, type Wait } from "../base/wait.ts";

const TIMEOUT = 5_000;

/** The waits of one peer. */
export class PingWaits {
  readonly #clock: Clock;
  readonly #waits = new Set<{ readonly opaque: number; readonly wait: Wait<number> }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits for the PONG with this number or a later one; resolves with the round trip, in ms. */
  wait(opaque: number, options: WaitOptions): Promise<number> {
    const limits = { timeout: TIMEOUT, ...options };
    const wait = startWait<number>(this.#clock, limits, "ping", () => this.#waits.delete(entry));
    const entry = { opaque, wait };
    this.#waits.add(entry);
    return wait.promise;
  }

  /** A PONG came. It answers the PINGs before its own as well. */
  answered(opaque: number, roundTrip: number): void {
    for (const { opaque: own, wait } of this.#waits) if (own <= opaque) wait.resolve(roundTrip);
  }

  /** None will come any more. */
  reject(error: Error): void {
    for (const { wait } of this.#waits) wait.reject(error);
  }
}
