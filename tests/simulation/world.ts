/**
 * One world of the simulation suite: a network, chance, and what was promised in it.
 *
 * Owns the seed's chance for what the actors do (what vnet itself draws comes from `sim`), the list of
 * promises that must settle, and the list of violations. A violation inside of a callback must not be
 * thrown there: vnet would take it for the application's error.
 */
import { type CloseCode, ClosedError, LimitError, TimeoutError } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { Rng } from "../_support/rng.ts";
import type { ClientLog, ServerSession } from "./ledger.ts";
import { type Plan, planOf } from "./plan.ts";

/** Where everybody dials to. */
export const ADDRESS = "tcp://server:9966";

/** What may happen to two ends that keep to the protocol, on a network that breaks but does not lie. */
const HONEST: ReadonlySet<CloseCode> = new Set<CloseCode>([
  "NORMAL",
  "DRAINING",
  "ABORTED",
  "LINK_LOST",
  "HEARTBEAT_TIMEOUT",
  "WRITE_TIMEOUT",
  "HANDSHAKE_TIMEOUT",
  "CLIENT_ID_IN_USE",
  "TAKEN_OVER",
  "STALE_ATTACH",
  "SERVER_RESTART",
]);

/** The world. */
export class World {
  readonly seed: number;
  readonly plan: Plan;
  readonly rng: Rng;
  readonly sim: Simulation;
  /** Whether faults may still happen. */
  healed = false;
  /** Whether nobody says anything new any more. */
  quiet = false;
  /** Every client object there was. */
  readonly clients: ClientLog[] = [];
  /** Every session that a server opened, by the address of the client's end. */
  readonly sessions = new Map<string, ServerSession>();
  readonly counts = { faults: 0, sessions: 0, registered: 0, messages: 0, pings: 0 };
  readonly #notes: string[] | undefined;
  readonly #promised = new Map<number, string>();
  readonly #violations: string[] = [];
  #nextPromise = 0;

  /** `notes`: where to write down what happens. */
  constructor(seed: number, notes?: string[]) {
    this.seed = seed;
    this.#notes = notes;
    this.plan = planOf(seed);
    this.rng = new Rng(seed * 2);
    const { delay, jitter } = this.plan;
    this.sim = new Simulation({ seed, faults: { delay, jitter } });
  }

  /** Something happened. */
  note(text: string): void {
    this.#notes?.push(`${this.sim.clock.now().toFixed(1).padStart(9)} ${text}`);
  }

  /** Something is wrong. */
  violated(problem: string | undefined): void {
    if (problem === undefined) return;
    this.note(`VIOLATED: ${problem}`);
    this.#violations.push(`after ${this.sim.clock.now().toFixed(1)} ms: ${problem}`);
  }

  /** Throws if anything is wrong. */
  check(): void {
    if (this.#violations.length > 0) throw new Error(this.#violations.slice(0, 3).join("; "));
  }

  /** A promise of vnet: it must settle, and may only be rejected by an error of vnet. */
  promised(what: string, promise: Promise<unknown>, within = Infinity): void {
    const number = this.#nextPromise++;
    const started = this.sim.clock.now();
    this.#promised.set(number, `${what} at ${started.toFixed(1)} ms`);
    const settled = () => {
      this.#promised.delete(number);
      const took = this.sim.clock.now() - started;
      if (took > within + 0.001) this.violated(`${what} took ${took} ms, not ${within} at most`);
    };
    promise.then(settled, (error) => {
      settled();
      const known = error instanceof ClosedError || error instanceof LimitError ||
        error instanceof TimeoutError;
      if (!known) this.violated(`${what} was rejected: ${error}`);
    });
  }

  /** How a link ended, by what one end was told. Both ends are honest, so neither may blame the other. */
  ended(
    who: string,
    { code, reason }: { readonly code: CloseCode; readonly reason: string },
  ): void {
    if (!HONEST.has(code)) this.violated(`${who} was told of ${code}: ${reason}`);
  }

  /** What has not settled. */
  get unsettled(): string[] {
    return [...this.#promised.values()];
  }

  /** A time in ms around a mean: short ones are frequent, none is longer than six times the mean. */
  around(mean: number): number {
    return Math.min(6 * mean, -mean * Math.log(1 - this.rng.next()));
  }

  /** Text with a number, mostly short, seldom of several frames, or larger than what a link holds. */
  text(number: number, size = this.#size()): string {
    this.counts.messages++;
    return `${number}#${"x".repeat(size)}`;
  }

  /** Waits. */
  sleep(ms: number): Promise<void> {
    return this.sim.sleep(ms);
  }

  #size(): number {
    const { rng } = this;
    const kind = rng.int(2_000);
    if (kind === 0) return 280_000 + rng.int(100_000);
    return kind < 10 ? 16_000 + rng.int(30_000) : rng.int(60);
  }
}
