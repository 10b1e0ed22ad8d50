/**
 * What goes wrong with a client's links, in the words of its errors.
 */
import type { Addr } from "../base/addr.ts";
import { ClosedError, ConnectError, type VnetError } from "../base/errors.ts";
import type { CloseInfo } from "../base/lifecycle.ts";
import { printable } from "../peer/hooks.ts";
import type { SessionEnd } from "../session/events.ts";

/** How one link ended, whether a session was open on it, and for how many ms. */
export interface LinkEnd {
  readonly end: SessionEnd;
  readonly opened: boolean;
  readonly lasted: number;
}

/** The part of an end that applications see. */
export function infoOf({ code, reason, initiator, error }: CloseInfo): CloseInfo {
  return { code, reason, initiator, ...(error === undefined ? {} : { error }) };
}

/** An end, in words. */
export function describe({ code, reason }: CloseInfo): string {
  return reason === "" ? code : `${printable(reason)} (${code})`;
}

/** What the program got wrong it gets wrong with every dial. */
export function misused(cause: unknown): never {
  if (!(cause instanceof TypeError)) throw cause;
  throw new ConnectError("UNSUPPORTED", cause.message, { cause, initiator: "local" });
}

/** Whatever was thrown, as what `connect` rejects with. */
export function asConnectError(error: unknown, what: string): ConnectError {
  if (error instanceof ConnectError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new ConnectError("INTERNAL", `${what}: ${reason}`, { cause: error, initiator: "local" });
}

/** What the end of a link was, as an error. */
export function failureOf({ end, opened }: LinkEnd, remoteAddr: Addr): VnetError {
  const how = describe(end);
  if (opened) return new ClosedError(`The connection to ${remoteAddr} ended: ${how}`, infoOf(end));
  // What the transport says of itself: a server may tell only after the TLS handshake why it refused.
  if (end.error instanceof ConnectError) return end.error;
  return new ConnectError(
    end.wrongProtocol ? "WRONG_PROTOCOL" : end.code,
    `Cannot open session with ${remoteAddr} as it was refused: ${how}`,
    { initiator: end.initiator, cause: end.error, retryAfter: end.retryAfter },
  );
}

/** The same error, with how often was dialled. */
export function withAttempts(error: ConnectError, attempts: number): ConnectError {
  const { code, message, initiator, cause, retryAfter } = error;
  return new ConnectError(code, message, {
    attempts,
    retryAfter,
    ...(cause === undefined ? {} : { cause }),
    ...(initiator === undefined ? {} : { initiator }),
  });
}

/** The client was closed while it was still trying. */
export function closedBefore(info: CloseInfo, cause: VnetError, attempts: number): ConnectError {
  const message = "Cannot connect as the client was closed before a session was open";
  return new ConnectError(info.code, message, { attempts, cause, initiator: info.initiator });
}
