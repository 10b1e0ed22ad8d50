/**
 * Pings that wait for their pongs.
 *
 * Owns the table. Knows no connection and no timer: who sends a ping and who waits for it is told.
 *
 * A pong may answer only the newest of several pings (RFC 6455, section 5.5.3): it settles those before
 * it as well.
 */
import { ClosedError, LimitError } from "../base/errors.ts";
import type { CloseInfo } from "../base/lifecycle.ts";
import type { Bytes, Clock, WaitOptions } from "../base/types.ts";
import { startWait, type Wait } from "../base/wait.ts";

interface Ping {
  readonly data: Uint8Array;
  readonly sentAt: number;
  readonly wait: Wait<number>;
}

/** So many may wait at once. */
const MOST = 1_024;

/** The pings of one WebSocket. */
export class Pings {
  readonly #clock: Clock;
  readonly #waiting: Ping[] = [];
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A payload that no other ping of this connection has. */
  fresh(): Bytes {
    const count = ++this.#count;
    return Uint8Array.of(count >>> 24, count >>> 16, count >>> 8, count);
  }

  /** Waits for the pong of what is being sent; resolves with the time until then. */
  expect(data: Uint8Array, options: WaitOptions): Promise<number> {
    if (this.#waiting.length >= MOST) {
      return Promise.reject(
        new LimitError("QUEUE_FULL", "pings", `Cannot ping as at most ${MOST} pings may wait`),
      );
    }
    const wait = startWait<number>(this.#clock, options, "get a pong", () => {
      const at = this.#waiting.indexOf(ping);
      if (at >= 0) this.#waiting.splice(at, 1);
    });
    const ping = { data: data.slice(), sentAt: this.#clock.now(), wait };
    if (!options.signal?.aborted) this.#waiting.push(ping);
    return wait.promise;
  }

  /** A pong came. */
  settle(data: Bytes): void {
    const at = this.#waiting.findIndex((ping) => same(ping.data, data));
    const now = this.#clock.now();
    for (const { sentAt, wait } of this.#waiting.splice(0, at + 1)) wait.resolve(now - sentAt);
  }

  /** None will come any more. */
  end(info: CloseInfo): void {
    for (const { wait } of this.#waiting.splice(0)) {
      wait.reject(new ClosedError("Cannot get a pong as the WebSocket must be open", info));
    }
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
