/**
 * What a seed decides before anything happens: how both ends are set up, and how much they say.
 *
 * Owns the ranges. They are narrow in time, so that a minute sees many links come and go, and small
 * in bytes, so that queues fill and messages are cut into fragments.
 */
import type { DuplicateId, HeartbeatOptions, Reconnect } from "@vgo/vnet";
import { Rng } from "../_support/rng.ts";

/** How one end takes its messages: at once, one promise at a time, or by a loop. */
export type Reading = "at once" | "slowly" | "by loop";

/** The set-up of one world. */
export interface Plan {
  readonly clients: number;
  readonly heartbeat: Required<HeartbeatOptions>;
  readonly reconnect: Reconnect;
  readonly duplicateId: DuplicateId;
  readonly offline: "keep" | "reject";
  readonly serverReading: Reading;
  readonly clientReading: Reading;
  readonly highWaterMark: number;
  readonly maxQueuedBytes: number;
  /** Mean ms between two things that one client, or the server, does. */
  readonly pace: number;
  /** Mean ms between two faults. */
  readonly faultPace: number;
  /** Longest time in ms that `register` thinks. */
  readonly registerTime: number;
  /** How long in ms the server waits for a HELLO: longer than clients wait for an answer, or not. */
  readonly patience: number;
  /** What each link starts with. */
  readonly delay: number;
  readonly jitter: number;
  /** At the end the server goes first. */
  readonly serverEndsFirst: boolean;
}

/** Limits in ms that hold for the clients of every world. */
export const DIAL_TIMEOUT = 2_000;
export const HANDSHAKE_TIMEOUT = 2_000;
export const MAX_BACKOFF = 2_000;
export const RETRY_AFTER = 500;

/** The plan of a seed. */
export function planOf(seed: number): Plan {
  const rng = new Rng(seed * 2 + 1);
  const readings: readonly Reading[] = ["at once", "at once", "slowly", "by loop"];
  const quiet = rng.int(4) === 0;
  return {
    clients: 1 + rng.int(4),
    heartbeat: { interval: 500 + rng.int(2_500), timeout: 300 + rng.int(1_200) },
    reconnect: rng.int(4) === 0
      ? { delay: 100 + rng.int(MAX_BACKOFF - 100) }
      : { initialDelay: 50 + rng.int(300), maxDelay: MAX_BACKOFF, stableAfter: rng.int(3_000) },
    duplicateId: rng.pick(["probe", "probe", "replace", "reject", "allow"]),
    offline: rng.int(4) === 0 ? "reject" : "keep",
    serverReading: rng.pick(readings),
    clientReading: rng.pick(readings),
    highWaterMark: 512 + rng.int(8_192),
    maxQueuedBytes: 8_192 + rng.int(65_536),
    pace: 150 + rng.int(600),
    faultPace: 500 + rng.int(2_500),
    registerTime: rng.pick([0, 0, 5, 300]),
    patience: HANDSHAKE_TIMEOUT + rng.pick([0, 4_000]),
    delay: quiet ? 0 : rng.int(40),
    jitter: quiet ? 0 : rng.int(30),
    serverEndsFirst: rng.int(2) === 0,
  };
}

/** How long after the last fault every client must be open again, in ms. */
export function recoveryTime({ heartbeat }: Plan): number {
  // An old half-open link may have to be found out first, by both ends in turn; a refusal may ask
  // for RETRY_AFTER and up to as much again.
  const detection = heartbeat.interval + heartbeat.timeout + 250;
  return detection + Math.max(MAX_BACKOFF, 2 * RETRY_AFTER) + DIAL_TIMEOUT + HANDSHAKE_TIMEOUT +
    MAX_BACKOFF;
}
