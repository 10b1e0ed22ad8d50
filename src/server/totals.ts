/**
 * What a server counts, beside what each of its peers counts.
 */
import type { Queued } from "../base/types.ts";
import type { CloseCode } from "../base/errors.ts";
import type { CloseInfo, DrainInfo } from "../base/lifecycle.ts";
import type { LimitName } from "../peer/options.ts";
import type { LimitCounts, Load, Traffic } from "../peer/stats.ts";
import { SERVER_LIMITS } from "./options.ts";

/** What a server has done so far. */
export interface ServerStats extends Traffic {
  /** Clients that are registered. */
  readonly peers: number;
  /** The most there ever were at once. */
  readonly peak: number;
  /** How many have registered so far. */
  readonly total: number;
  /** Connections that have not registered. */
  readonly unregistered: number;
  /** What waits to be sent, to all of them. */
  readonly queued: Queued;
  /** How many were refused, or left before they had registered, by code. */
  readonly rejected: Readonly<Partial<Record<CloseCode, number>>>;
  /** How often each limit was met, by the server and by all of its clients. */
  readonly limits: LimitCounts;
}

/** The counters behind {@linkcode ServerStats}. */
export class Totals {
  readonly #gone = noTraffic();
  readonly #rejected = new Map<CloseCode, number>();
  readonly #limits = new Map<LimitName, number>();
  #peak = 0;
  #total = 0;

  /** One more has registered; so many are here now. */
  entered(now: number): void {
    this.#total++;
    this.#peak = Math.max(this.#peak, now);
  }

  /** A connection is over: its counts are kept. */
  left(stats: Load): void {
    addTraffic(this.#gone, stats);
    this.#gone.inFlight = 0;
    addLimits(this.#limits, stats.limits);
  }

  /** One was refused, or left before it had registered. */
  rejected(code: CloseCode): void {
    this.#rejected.set(code, (this.#rejected.get(code) ?? 0) + 1);
  }

  /** A limit of the server was met. */
  limit(name: LimitName): void {
    addLimits(this.#limits, { [name]: 1 });
  }

  /** All counts, with those of the peers that are here. */
  snapshot(
    peers: Iterable<Load>,
    now: { readonly peers: number; readonly unregistered: number },
  ): ServerStats {
    const sum = { ...this.#gone };
    const queued = { bytes: 0, frames: 0 };
    const limits = new Map(this.#limits);
    for (const stats of peers) {
      addTraffic(sum, stats);
      addLimits(limits, stats.limits);
      queued.bytes += stats.queued.bytes;
      queued.frames += stats.queued.frames;
    }
    return {
      ...sum,
      ...now,
      queued,
      peak: this.#peak,
      total: this.#total,
      rejected: Object.fromEntries(this.#rejected),
      limits: Object.fromEntries(limits),
    };
  }
}

/** The ends of all peers as one. */
export class Total {
  readonly #unsent = { bytes: 0, frames: 0 };
  #finished = 0;
  #cut = 0;

  /** Adds the end of one. */
  add({ unsent, finished, cut }: DrainInfo): void {
    this.#unsent.bytes += unsent.bytes;
    this.#unsent.frames += unsent.frames;
    this.#finished += finished;
    this.#cut += cut;
  }

  /** The end of the server. */
  info(outcome: CloseInfo): DrainInfo {
    return { ...outcome, unsent: this.#unsent, finished: this.#finished, cut: this.#cut };
  }
}

function noTraffic(): Record<keyof Traffic, number> {
  return {
    bytesIn: 0,
    bytesOut: 0,
    messagesIn: 0,
    messagesOut: 0,
    callsIn: 0,
    callsOut: 0,
    inFlight: 0,
    dropped: 0,
  };
}

function addTraffic(sum: Record<keyof Traffic, number>, stats: Traffic): void {
  sum.bytesIn += stats.bytesIn;
  sum.bytesOut += stats.bytesOut;
  sum.messagesIn += stats.messagesIn;
  sum.messagesOut += stats.messagesOut;
  sum.callsIn += stats.callsIn;
  sum.callsOut += stats.callsOut;
  sum.inFlight += stats.inFlight;
  sum.dropped += stats.dropped;
}

function addLimits(sum: Map<LimitName, number>, limits: LimitCounts): void {
  for (const name of LIMIT_NAMES) {
    const count = limits[name];
    if (count !== undefined) sum.set(name, (sum.get(name) ?? 0) + count);
  }
}

const LIMIT_NAMES: readonly LimitName[] = [
  "maxFrameLength",
  "maxMessageLength",
  "maxMetadataLength",
  "maxQueuedBytes",
  "maxInFlight",
  "maxStreams",
  ...SERVER_LIMITS,
];
