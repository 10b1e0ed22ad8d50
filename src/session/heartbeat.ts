/**
 * Whether the other end is alive, and whether it can know that we are.
 *
 * Owns two rules that must not be mixed (RESUME.md R2 calls the mix the recurring bug):
 *
 * 1. What we owe: nothing sent for `interval` ms -> send a PING. Only outgoing bytes put it off.
 * 2. What we are owed: nothing received for `interval` ms -> send a PING; still nothing for
 *    `timeout` ms after it -> dead. Only incoming bytes put it off, and any byte does.
 * 3. Our own stall is not the other end's silence: a wake-up that comes late by more than half of
 *    `timeout` starts the wait anew, so that what has arrived meanwhile is read before we judge.
 *
 * 4. One PING does for both ends, as its PONG shows life both ways. So the client sends what it owes a
 *    little early: else both ends, which tend to have the same interval, would send one at once.
 * 5. Who has not measured the round trip for three intervals is earlier still, and does so with the PING
 *    that one of both has to send anyway.
 *
 * Knows no clock and no socket: `now` is an argument, and the driver asks when to wake it.
 */

import type { Side } from "../base/types.ts";

/** What is to be done. */
export type HeartbeatAction = "none" | "ping" | "dead";

/** So much of its interval a client is early, and so much who has to measure. */
const EARLY = 1 / 32;
const TO_MEASURE = 1 / 16;
/** After so many intervals a measurement is due. */
const MEASURED_FOR = 3;

/** After how much silence we ask, and how long we wait then, in ms. */
export interface HeartbeatTimes {
  readonly interval: number;
  readonly timeout: number;
}

/** The heartbeat of one link. */
export class Heartbeat {
  readonly #options: HeartbeatTimes;
  readonly #side: Side;
  // In whole ms: the engine keeps an object for each fraction.
  #lastSent: number;
  #lastReceived: number;
  /** When we asked for a sign of life; `undefined` while none is due. */
  #askedAt: number | undefined;

  constructor(now: number, options: HeartbeatTimes, side: Side = "server") {
    this.#options = options;
    this.#side = side;
    this.#lastSent = Math.floor(now);
    this.#lastReceived = Math.floor(now);
  }

  /** For how long the other end may be silent, in ms. */
  get most(): number {
    return this.#options.interval + this.#options.timeout;
  }

  /** Bytes went out, at `at` last. May be told late, and again. */
  sent(at: number): void {
    if (at > this.#lastSent) this.#lastSent = Math.floor(at);
  }

  /** Bytes came in, likewise. `at` may lie ahead: until then none are looked for. */
  received(at: number): void {
    if (at <= this.#lastReceived) return;
    this.#lastReceived = Math.floor(at);
    this.#askedAt = undefined;
  }

  /**
   * When `handleTimeout` wants to be called. Calling it early or twice does nothing. `measuredAt`: when
   * the last round trip was measured.
   */
  nextTimeout(measuredAt = Infinity): number {
    const { interval, timeout } = this.#options;
    const owed = this.#askedAt === undefined
      ? this.#lastReceived + interval
      : this.#askedAt + timeout;
    return Math.min(this.#showsAt(measuredAt), owed);
  }

  /** Says what to do at `now`. After "ping" the driver sends one. */
  handleTimeout(now: number, measuredAt = Infinity): HeartbeatAction {
    const { interval, timeout } = this.#options;
    const stalled = now - this.nextTimeout(measuredAt) > timeout / 2;
    if (this.#askedAt !== undefined && now >= this.#askedAt + timeout) {
      if (!stalled) return "dead";
      this.#askedAt = now;
      this.sent(now);
      return "ping";
    }
    const silent = this.#askedAt === undefined && now >= this.#lastReceived + interval;
    if (silent) this.#askedAt = now;
    if (!silent && now < this.#showsAt(measuredAt)) return "none";
    // The ping itself may be stuck behind a blocked write: it must not be asked for again each moment.
    this.sent(now);
    return "ping";
  }

  /** When we have to show life. */
  #showsAt(measuredAt: number): number {
    const { interval } = this.#options;
    const owed = this.#side === "client" ? Math.ceil(interval * (1 - EARLY)) : interval;
    const early = Math.max(
      measuredAt + MEASURED_FOR * interval,
      this.#lastSent + Math.ceil(interval * (1 - TO_MEASURE)),
    );
    return Math.min(this.#lastSent + owed, early);
  }
}
