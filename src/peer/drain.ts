/**
 * The time between the decision to close and the end: what was accepted is finished.
 *
 * 1. Until the other end is known to know, what it begins was begun in good faith and is taken.
 * 2. It ends when nothing is left, when the grace is over, or when whoever asked for it has had enough.
 */
import type { Clock } from "../base/types.ts";
import type { DrainInfo } from "../base/lifecycle.ts";
import { startWait } from "../base/wait.ts";

/** How long what was accepted may take to finish unless the options say, in ms. */
export const GRACE = 10_000;
/** How long the other end may take to say that it knows, in ms. */
export const AWARE_TIMEOUT = 1_000;

/** One drain. */
export class Drain {
  readonly #idle: () => boolean;
  readonly #done = Promise.withResolvers<void>();
  #aware: boolean;

  /** `idle`: whether nothing is left. `aware`: whether the other end need not be told. */
  constructor(idle: () => boolean, aware: boolean) {
    this.#idle = idle;
    this.#aware = aware;
  }

  /** Whether what the other end begins now was begun after it knew. */
  get aware(): boolean {
    return this.#aware;
  }

  /** The other end knows, or will not say so. */
  told(): void {
    this.#aware = true;
    this.check();
  }

  /** Something has ended. */
  check(): void {
    if (this.#aware && this.#idle()) this.#done.resolve();
  }

  /** There is nothing to wait for any more. */
  end(): void {
    this.#done.resolve();
  }

  /** Resolves when it is over, for which the first grace that is over is enough. */
  async wait(clock: Clock, grace: number, signal: AbortSignal | undefined): Promise<void> {
    this.check();
    const options = signal === undefined ? { timeout: grace } : { timeout: grace, signal };
    const wait = startWait<void>(clock, options, "drain");
    this.#done.promise.then(wait.resolve);
    try {
      await wait.promise;
    } catch {
      // The grace is over, or was cut short: what is left counts as unsent, or as cut.
      this.end();
    }
  }
}

/** What became of what was accepted, in words. */
export function inCounts({ finished, cut, unsent }: DrainInfo): string {
  return `Calls finished: ${finished}, cut: ${cut}; messages unsent: ${unsent.frames}`;
}
