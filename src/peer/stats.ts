/**
 * Counts that are cheap enough to leave on.
 */
import type { Queued } from "../base/types.ts";
import type { LimitName } from "./options.ts";

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
  /** Calls that are open now, of both ends. */
  readonly inFlight: number;
  /** Messages that were dropped on this end. */
  readonly dropped: number;
}

/** How often each limit was met; those that never were are left out. */
export type LimitCounts = Readonly<Partial<Record<LimitName, number>>>;

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
  /** What waits to be sent. */
  readonly queued: Queued;
  /** How often each limit was met. */
  readonly limits: LimitCounts;
}

/** What a server adds up, which costs no percentile. */
export type Load = Omit<PeerStats, "rtt">;

/** Of so many round trips the 99th percentile is taken. */
const WINDOW = 128;
const NO_TRIPS: RoundTrips = Object.freeze({ last: 0, min: 0, mean: 0, p99: 0 });

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
  #limits: Map<LimitName, number> | undefined;
  #trips: RoundTripTimes | undefined;

  constructor(since: number) {
    this.#since = since;
  }

  /** Takes a round trip, in ms. */
  roundTrip(ms: number): void {
    if (this.#trips === undefined) this.#trips = new RoundTripTimes(ms);
    else this.#trips.add(ms);
  }

  /** A limit was met. */
  limit(name: LimitName): void {
    this.#limits ??= new Map();
    this.#limits.set(name, (this.#limits.get(name) ?? 0) + 1);
  }

  /** How often each limit was met. */
  get limits(): LimitCounts {
    return Object.fromEntries(this.#limits ?? []);
  }

  /** The counts as they are now, without round trips. */
  load(inFlight: number, queued: Queued): Load {
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
      inFlight,
      queued,
      limits: this.limits,
      since: this.#since,
    };
  }

  /** The counts as they are now. */
  snapshot(inFlight: number, queued: Queued): PeerStats {
    return { ...this.load(inFlight, queued), rtt: this.#trips?.summary() ?? NO_TRIPS };
  }
}

/** Round trips, once there is one. */
class RoundTripTimes {
  /** The newest, in a ring. */
  readonly #times: number[];
  #count = 1;
  #min: number;
  #mean: number;

  constructor(first: number) {
    this.#times = [first];
    this.#min = first;
    this.#mean = first;
  }

  add(ms: number): void {
    this.#mean += (ms - this.#mean) / 8;
    this.#times[this.#count++ % WINDOW] = ms;
    this.#min = Math.min(this.#min, ms);
  }

  summary(): RoundTrips {
    const sorted = this.#times.toSorted((a, b) => a - b);
    return {
      last: this.#times[(this.#count - 1) % WINDOW] ?? 0,
      min: this.#min,
      mean: this.#mean,
      p99: sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0,
    };
  }
}
