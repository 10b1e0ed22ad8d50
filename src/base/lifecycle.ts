/**
 * How things end: the same three endings everywhere, each idempotent.
 *
 * `close` finishes what was accepted, `abort` ends now, `closed` always resolves.
 */
import type { Initiator, Queued } from "./types.ts";
import type { CloseCode, VnetError } from "./errors.ts";

/** Options of `close()`. */
export interface CloseOptions {
  /** How long what was accepted may take to finish, in ms. @default {10000} */
  readonly grace?: number;
  /** Said to the other end. @default {""} */
  readonly reason?: string;
  /** Ends the grace early. */
  readonly signal?: AbortSignal;
}

/** Why something ended, and by whose doing. */
export interface CloseInfo {
  /** Why. */
  readonly code: CloseCode;
  /** In words. */
  readonly reason: string;
  /** By whose doing. */
  readonly initiator: Initiator;
  /** What lies beneath, if it was an error. */
  readonly error?: VnetError;
}

/** How a drain ended. */
export interface DrainInfo extends CloseInfo {
  /** Calls that were open when it began to close and have ended. */
  readonly finished: number;
  /** Calls that were cut. */
  readonly cut: number;
  /** Messages that were accepted by `send` and never handed to the network. */
  readonly unsent: Queued;
}

/** Something that lives until it is closed. `await using` closes it. */
export interface Lifecycle<I = CloseInfo> extends AsyncDisposable {
  /** Resolves when it has ended, with why. Never rejects. */
  readonly closed: Promise<I>;
  /** Finishes what was accepted, within `grace` ms, and ends. */
  close(options?: CloseOptions): Promise<I>;
  /** Ends now. What waits is lost. */
  abort(reason?: unknown): void;
}
