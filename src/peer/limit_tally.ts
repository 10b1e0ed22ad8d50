/**
 * The limits that one peer has met: each time is counted, and told and logged unless it is one of many.
 */
import type { LimitName } from "../base/errors.ts";
import type { CoreOptions, CoreOwner } from "./owner.ts";
import type { PeerLog } from "./peer_log.ts";
import type { Counters } from "./stats.ts";

/** For so long, in ms, a limit must not have been met before it is told again. */
const QUIET = 1_000;

/** The limits of one peer. */
export class LimitTally {
  readonly #options: Pick<CoreOptions, "clock" | "settings" | "machine">;
  readonly #counters: Counters;
  readonly #owner: Pick<CoreOwner, "limitMet">;
  readonly #log: PeerLog;
  readonly #news = new News<LimitName>();

  constructor(
    options: Pick<CoreOptions, "clock" | "settings" | "machine">,
    counters: Counters,
    owner: Pick<CoreOwner, "limitMet">,
    log: PeerLog,
  ) {
    this.#log = log;
    this.#options = options;
    this.#counters = counters;
    this.#owner = owner;
  }

  /** A limit was met, and goes on being met until then. `value`: of one that the settings do not have. */
  met(limit: LimitName, value?: number, until?: number): void {
    const { clock, settings, machine } = this.#options;
    this.#counters.limit(limit);
    if (!this.#news.begins(limit, clock.now(), until)) return;
    const values: Partial<Record<LimitName, number>> = { ...settings.limits, ...machine.rates };
    const max = value ?? values[limit] ?? Infinity;
    this.#log.limit(limit, max);
    this.#owner.limitMet(limit, max);
  }
}

/** Tells which of many things is new, and which only goes on. */
export class News<K> {
  readonly #until = new Map<K, number>();

  /** Whether it begins now. `until`: how long it goes on at least. */
  begins(what: K, now: number, until = now): boolean {
    const before = this.#until.get(what) ?? -Infinity;
    this.#until.set(what, Math.max(before, until));
    return now - before >= QUIET;
  }
}
