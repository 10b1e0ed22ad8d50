/**
 * How fast the other end may send: two token buckets, of messages and of bytes, a second's worth each.
 *
 * Knows no clock: `now` is an argument, in ms. What is taken beyond a bucket is a debt, and while there
 * is one nothing more should be read, so that the transport holds the sender back and nothing is lost.
 *
 * A bucket whose rate is infinite is none, and without any there is no `RateLimit`: that costs nothing.
 */
import { ProtocolError } from "../base/errors.ts";

/** How much may come in a second; `Infinity`: no limit. */
export interface Rates {
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
}

/** For how long nothing should be read. */
export interface Holdup {
  /** Which rate was too high. */
  readonly limit: keyof Rates;
  /** Until when, in ms. */
  readonly until: number;
}

/** Who owes so many seconds' worth of messages has not waited for an answer to any. */
const FLOOD = 10;

/** The rates of one connection. */
export class RateLimit {
  readonly #messages: Bucket | undefined;
  readonly #bytes: Bucket | undefined;

  constructor({ messagesPerSecond, bytesPerSecond }: Rates, now: number) {
    this.#messages = bucketOf(messagesPerSecond, now);
    this.#bytes = bucketOf(bytesPerSecond, now);
  }

  /** The limit for these rates; `undefined` where there is none. */
  static of(rates: Rates | undefined, now: number): RateLimit | undefined {
    if (rates === undefined) return undefined;
    const { messagesPerSecond, bytesPerSecond } = rates;
    const none = messagesPerSecond === Infinity && bytesPerSecond === Infinity;
    return none ? undefined : new RateLimit(rates, now);
  }

  /** Counts what came. @throws {ProtocolError} FLOOD when far too many messages came at once */
  take(messages: number, bytes: number, now: number): void {
    this.#bytes?.take(bytes, now);
    const bucket = this.#messages;
    if (bucket === undefined) return;
    bucket.take(messages, now);
    if (bucket.debt <= FLOOD * bucket.rate) return;
    throw new ProtocolError(
      "FLOOD",
      `Cannot go on as at most ${bucket.rate} messages may come in a second: ${
        Math.floor(bucket.debt)
      } more are here`,
      { limit: "messagesPerSecond" },
    );
  }

  /** For how long nothing should be read, after what was taken last; `undefined`: read on. */
  get holdup(): Holdup | undefined {
    const messages = this.#messages?.paidAt ?? -Infinity;
    const bytes = this.#bytes?.paidAt ?? -Infinity;
    if (messages === -Infinity && bytes === -Infinity) return undefined;
    return messages >= bytes
      ? { limit: "messagesPerSecond", until: messages }
      : { limit: "bytesPerSecond", until: bytes };
  }
}

/** What may be taken now. Below 0 it is a debt. */
class Bucket {
  readonly rate: number;
  #level: number;
  #at: number;

  constructor(rate: number, now: number) {
    this.rate = rate;
    this.#level = rate;
    this.#at = now;
  }

  /** How much was taken that was not there. */
  get debt(): number {
    return -this.#level;
  }

  /** When the debt is paid; `-Infinity` where there is none. */
  get paidAt(): number {
    return this.#level >= 0 ? -Infinity : this.#at + this.debt / this.rate * 1_000;
  }

  take(amount: number, now: number): void {
    const gained = Math.max(0, now - this.#at) * this.rate / 1_000;
    this.#level = Math.min(this.rate, this.#level + gained) - amount;
    this.#at = now;
  }
}

function bucketOf(rate: number, now: number): Bucket | undefined {
  return rate === Infinity ? undefined : new Bucket(rate, now);
}
