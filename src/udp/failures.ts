/**
 * The system's failures in the words of vnet.
 *
 * Owns the translation of errors, and the check of the flag without which there is no UDP.
 */
import type { Addr } from "../base/addr.ts";
import {
  type CloseCode,
  ClosedError,
  ConnectError,
  type DialCode,
  LimitError,
  VnetError,
} from "../base/errors.ts";
import type { CloseInfo, CloseOptions } from "../base/lifecycle.ts";
import type { Initiator } from "../base/types.ts";
import { inWords } from "../peer/abort_with.ts";

/** Type checks pass without the flag, but then there is no such function. */
export function requireUnstableNet(): void {
  if (typeof Deno.listenDatagram === "function") return;
  throw new TypeError(
    `Cannot open UDP socket as it needs the flag --unstable-net (or "unstable": ["net"] in deno.json)`,
  );
}

/** Why no address could be bound, no name be found, or no group be joined. */
export function openError(action: string, cause: unknown): ConnectError {
  const [code, words] = describe(cause);
  const initiator = code === "NAME_NOT_FOUND" ? "network" : "local";
  return new ConnectError(code, `Cannot ${action} as ${words}`, { cause, initiator });
}

/** Why a datagram was not sent; `undefined` where the peer refused an earlier one. */
export function sendError(target: Addr, length: number, cause: unknown): VnetError | undefined {
  if (isRefusal(cause)) return undefined;
  if (codeOf(cause) === "EMSGSIZE") return tooLarge(length, "what the network takes", cause);
  const [code, words] = describe(cause);
  return new VnetError(code, `Cannot send to ${target} as ${words}`, {
    cause,
    initiator: code === "NOT_PERMITTED" ? "local" : "network",
  });
}

/** A datagram is larger than it can be. */
export function tooLarge(length: number, most: number | string, cause?: unknown): LimitError {
  return new LimitError(
    "TOO_LARGE",
    "maxDatagramLength",
    `Cannot send datagram as its length must be at most ${most}: current value is ${length}`,
    { initiator: "local", ...(cause === undefined ? {} : { cause }) },
  );
}

/** An ICMP message said that nobody listens. It belongs to a datagram that is long gone. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.ConnectionReset;
}

/** Something was asked of what has ended. */
export function closedError(action: string, thing: string, info: CloseInfo): ClosedError {
  return new ClosedError(
    `Cannot ${action} as the ${thing} must be open: it has ended with ${info.code}`,
    info,
  );
}

/** How long what was accepted may take to finish, in ms. */
export function checkedGrace({ grace = 10_000 }: CloseOptions): number {
  if (grace >= 0) return grace;
  throw new RangeError(
    `Cannot close socket as 'grace' must be at least 0: current value is ${grace}`,
  );
}

/** The end that an error or the reason of an abort makes. */
export function infoOf(code: CloseCode, initiator: Initiator, cause: unknown): CloseInfo {
  if (cause === undefined) return { code, reason: "", initiator };
  const reason = inWords(cause);
  const error = cause instanceof VnetError
    ? cause
    : new VnetError(code, reason, { cause, initiator });
  return { code, reason, initiator, error };
}

function describe(error: unknown): [DialCode, string] {
  const { errors } = Deno;
  if (error instanceof errors.AddrInUse) return ["ADDRESS_IN_USE", "it is in use"];
  const code = codeOf(error);
  if (
    error instanceof errors.NotCapable || error instanceof errors.PermissionDenied ||
    code === "EPERM"
  ) {
    return ["NOT_PERMITTED", "this program has no permission for it"];
  }
  const text = error instanceof Error ? error.message : String(error);
  if (code === "ENOTFOUND" || code === "EAI_AGAIN" || text.includes("lookup address")) {
    return ["NAME_NOT_FOUND", "its name cannot be resolved"];
  }
  return ["UNREACHABLE", text];
}

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}
