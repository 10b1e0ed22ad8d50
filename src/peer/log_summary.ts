/**
 * Log lines of which there may be many: the first few of a kind are written as they come, then ever
 * fewer, with the count of those in between.
 *
 * Owns that a flood of events is no flood of lines. Has no timer: what was left out is told by the next
 * line of its kind that is due, by any line that comes a while after the last, or by `flush`.
 *
 * 1. Of n lines of a kind about log2(n) are written, and one an hour.
 * 2. There is a bounded number of kinds; what is beyond it shares one.
 */
import type { Clock, Logger } from "../base/types.ts";

type Level = keyof Logger;
type Fields = Record<string, unknown>;

/** So many of a kind are written as they come. */
const FIRST = 3;
/** The longest time that nothing is said of what goes on, in ms. */
const LONGEST = 3_600_000;
const MAX_KINDS = 64;
const OTHERS = "others";

/** What is known of a kind. */
interface Kind {
  /** How many there were. */
  count: number;
  /** How many were left out since the last line. */
  left: number;
  /** When the last line was written. */
  writtenAt: number;
  /** When the last one came. */
  cameAt: number;
  last: Line;
}

interface Line {
  readonly level: Level;
  readonly message: string;
  readonly fields: Fields | undefined;
}

/** How a log forgets. */
export interface LogOptions {
  /** After so many ms without another of its kind a line is a first one again. @default {60000} */
  readonly quiet?: number;
}

/** A log of one client or server. */
export class LogSummary {
  readonly #logger: Logger | undefined;
  readonly #clock: Clock;
  readonly #quiet: number;
  readonly #kinds = new Map<string, Kind>();

  /** `logger` cannot fail; without one nothing is done. */
  constructor(logger: Logger | undefined, clock: Clock, { quiet = 60_000 }: LogOptions = {}) {
    this.#logger = logger;
    this.#clock = clock;
    this.#quiet = quiet;
  }

  /** Whether lines of this level go anywhere. */
  has(level: Level): boolean {
    return this.#logger?.[level] !== undefined;
  }

  /** Writes a line of which there cannot be many. */
  state(message: string): void {
    if (!this.has("info")) return;
    this.#sweep(this.#clock.now());
    this.#write({ level: "info", message, fields: undefined });
  }

  /** Writes a line, or counts it. */
  info(kind: string, message: string): void {
    this.#add(kind, { level: "info", message, fields: undefined });
  }

  /** As `info`. */
  warn(kind: string, message: string): void {
    this.#add(kind, { level: "warn", message, fields: undefined });
  }

  /** As `info`. */
  error(kind: string, message: string, fields: Fields): void {
    this.#add(kind, { level: "error", message, fields });
  }

  /** What lines of this kind tell of has come to an end: the next one is a first one. */
  settled(kind: string): void {
    const known = this.#kinds.get(kind);
    if (known === undefined) return;
    this.#kinds.delete(kind);
    this.#tellLeft(known, this.#clock.now());
  }

  /** Tells what was left out so far. */
  flush(): void {
    for (const known of this.#kinds.values()) this.#tellLeft(known, this.#clock.now());
  }

  #add(name: string, line: Line): void {
    if (!this.has(line.level)) return;
    const now = this.#clock.now();
    this.#sweep(now);
    const kinds = this.#kinds;
    const kind = kinds.has(name) || kinds.size < MAX_KINDS ? name : OTHERS;
    let known = kinds.get(kind);
    if (known === undefined) {
      known = { count: 0, left: 0, writtenAt: now, cameAt: now, last: line };
      kinds.set(kind, known);
    }
    known.last = line;
    known.cameAt = now;
    if (!isDue(++known.count) && now - known.writtenAt < LONGEST) known.left++;
    else this.#writeWith(known, now);
  }

  /** A few comparisons: whatever is logged is rare, or is about to be made rare. */
  #sweep(now: number): void {
    for (const [name, known] of this.#kinds) {
      if (now - known.cameAt < this.#quiet) continue;
      this.#kinds.delete(name);
      this.#tellLeft(known, now);
    }
  }

  /** The last one of those that were left out stands for them. */
  #tellLeft(known: Kind, now: number): void {
    if (known.left === 0) return;
    known.left--;
    this.#writeWith(known, now);
  }

  #writeWith(known: Kind, now: number): void {
    const { last, left, writtenAt } = known;
    known.left = 0;
    known.writtenAt = now;
    if (left === 0) return this.#write(last);
    const seconds = Math.max(1, Math.round((now - writtenAt) / 1_000));
    this.#write({ ...last, message: `${last.message} (${left} more like this in ${seconds} s)` });
  }

  #write({ level, message, fields }: Line): void {
    if (fields === undefined) this.#logger?.[level]?.(message);
    else this.#logger?.[level]?.(message, fields);
  }
}

/** The first few, and then each power of two. */
function isDue(count: number): boolean {
  return count <= FIRST || (count & (count - 1)) === 0;
}
