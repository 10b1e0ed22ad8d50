/**
 * How long to wait before the next dial.
 *
 * Owns the growth, the cap and the jitter. Knows no timer; randomness comes in as an argument.
 * Full jitter is the default because a herd that was cut at once must not come back at once.
 */
import type { VnetError } from "../base/errors.ts";

/** How a client comes back after its link broke. */
export interface Reconnect {
  /** The first wait, in ms, before jitter. @default {1000} */
  readonly initialDelay?: number;
  /** The longest wait, in ms, before jitter. @default {10000} */
  readonly maxDelay?: number;
  /** By how much the wait grows with each failure. @default {2} */
  readonly multiplier?: number;
  /** Which part of the wait is random, from 0 to 1. @default {1} */
  readonly jitter?: number;
  /** Instead of all that: always this wait, in ms, or what a function of the failure says. */
  readonly delay?:
    | number
    | ((state: { readonly attempt: number; readonly error: VnetError }) => number);
  /** Failed dials in a row after which the client gives up. @default {Infinity} */
  readonly maxAttempts?: number;
  /** A link that was open this long, in ms, starts the count anew. @default {5000} */
  readonly stableAfter?: number;
}

/** Below this no wait goes, in ms: a failure that is instant must not become a busy loop. */
export const MIN_DELAY = 50;

/** {@linkcode Reconnect} with every field given. */
export type ReconnectPolicy =
  & Required<Omit<Reconnect, "delay">>
  & Pick<Reconnect, "delay">;

/** Fills in the defaults. @throws {RangeError} where a field makes no sense */
export function resolveReconnect(options: Reconnect = {}): ReconnectPolicy {
  const {
    initialDelay = 1_000,
    maxDelay = 10_000,
    multiplier = 2,
    jitter = 1,
    maxAttempts = Infinity,
    stableAfter = 5_000,
    delay,
  } = options;
  require("initialDelay", initialDelay, initialDelay >= 0, "a number of ms, 0 or more");
  require("maxDelay", maxDelay, maxDelay >= initialDelay, "at least 'initialDelay'");
  require("multiplier", multiplier, multiplier >= 1, "1 or more");
  require("jitter", jitter, jitter >= 0 && jitter <= 1, "from 0 to 1");
  require("maxAttempts", maxAttempts, maxAttempts >= 1, "1 or more");
  require("stableAfter", stableAfter, stableAfter >= 0, "a number of ms, 0 or more");
  if (typeof delay === "number") require("delay", delay, delay >= 0, "a number of ms, 0 or more");
  return {
    initialDelay,
    maxDelay,
    multiplier,
    jitter,
    maxAttempts,
    stableAfter,
    ...(delay === undefined ? {} : { delay }),
  };
}

/**
 * The wait before dial number `attempt` (the first failure is 1), in ms.
 *
 * `retryAfter` is what the other end asked for; spread over as much again, it wins over the growth.
 */
export function backoffDelay(
  policy: ReconnectPolicy,
  state: { readonly attempt: number; readonly error: VnetError },
  random: () => number,
  retryAfter = 0,
): number {
  if (retryAfter > 0) return retryAfter * (1 + random());
  const { delay } = policy;
  if (delay !== undefined) {
    const fixed = typeof delay === "number" ? delay : delay(state);
    return Number.isFinite(fixed) ? Math.max(MIN_DELAY, fixed) : policy.maxDelay;
  }
  const grown = policy.initialDelay * policy.multiplier ** Math.max(0, state.attempt - 1);
  const full = Math.min(policy.maxDelay, grown);
  return Math.max(MIN_DELAY, full * (1 - policy.jitter * random()));
}

function require(name: string, value: number, holds: boolean, expected: string): void {
  if (holds) return;
  throw new RangeError(
    `Cannot use reconnect options as '${name}' must be ${expected}: current value is ${value}`,
  );
}
