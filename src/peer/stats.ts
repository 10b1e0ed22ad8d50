/**
 * Counts that are cheap enough to leave on.
 */

/** What has flowed. */
export interface Traffic {
  /** Bytes received, framing included. */
  readonly bytesIn: number;
  /** Bytes sent, framing included. */
  readonly bytesOut: number;
  /** Messages received. */
  readonly messagesIn: number;
  /** Messages sent: handed to the network. */
  readonly messagesOut: number;
  /** Calls received. */
  readonly callsIn: number;
  /** Calls made. */
  readonly callsOut: number;
  /** Messages that were dropped on this end. */
  readonly dropped: number;
}

/** Round-trip times in ms; 0 before the first. */
export interface RoundTrips {
  /** The newest. */
  readonly last: number;
  /** The shortest. */
  readonly min: number;
  /** Smoothed, as TCP does it (RFC 6298: an eighth of each new one). */
  readonly mean: number;
  /** 99 of 100 of the newest were at most this. */
  readonly p99: number;
}

/** What has flowed between two ends. */
export interface PeerStats extends Traffic {
  /** When it began, as `Date.now()` counts. */
  readonly since: number;
  /** Links that were open so far. */
  readonly links: number;
  /** Round-trip times. */
  readonly rtt: RoundTrips;
}

/** Of so many round trips the 99th percentile is taken. */
const WINDOW = 128;

/** The counters behind {@linkcode PeerStats}. */
export class Counters {
  bytesIn = 0;
  bytesOut = 0;
  messagesIn = 0;
  messagesOut = 0;
  callsIn = 0;
  callsOut = 0;
  dropped = 0;
  links = 0;
  readonly #since: number;
  readonly #times: number[] = [];
  #count = 0;
  #last = 0;
  #min = Infinity;
  #mean = 0;

  constructor(since: number) {
    this.#since = since;
  }

  /** Takes a round trip, in ms. */
  roundTrip(ms: number): void {
    this.#mean = this.#count === 0 ? ms : this.#mean + (ms - this.#mean) / 8;
    this.#times[this.#count++ % WINDOW] = ms;
    this.#last = ms;
    this.#min = Math.min(this.#min, ms);
  }

  /** The counts as they are now. */
  snapshot(): PeerStats {
    const sorted = this.#times.toSorted((a, b) => a - b);
    const { bytesIn, bytesOut, messagesIn, messagesOut, callsIn, callsOut, dropped, links } = this;
    return {
      bytesIn,
      bytesOut,
      messagesIn,
      messagesOut,
      callsIn,
      callsOut,
      dropped,
      links,
      since: this.#since,
      rtt: {
        last: this.#last,
        min: this.#count === 0 ? 0 : this.#min,
        mean: this.#mean,
        p99: sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0,
      },
    };
  }
}
