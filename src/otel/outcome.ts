/**
 * How a call ended, in the words of OpenTelemetry's conventions for remote procedure calls.
 *
 * Owns the judgement. Everything here is one of few words, so that it may label a metric.
 */
import { type RpcCode, RpcError } from "../base/errors.ts";
import type { IncomingCall } from "../peer/interceptors.ts";

/** How a call ended. */
export interface Outcome {
  /** Its status; `undefined`: it never became a call. */
  readonly code: RpcCode | "OK" | undefined;
  /** What kind of error it was; `undefined`: none. */
  readonly errorType: string | undefined;
  /** Whether it is a fault of the end that looks at it, or one that it suffers. */
  readonly fault: boolean;
  /** What was thrown. */
  readonly error?: unknown;
}

/** It went well. */
export const OK: Outcome = { code: "OK", errorType: undefined, fault: false };
/** Nobody wanted more of it, which is no fault. */
export const LEFT: Outcome = { code: "CANCELLED", errorType: "CANCELLED", fault: false };

/** Codes that say that the answering end is at fault; of the others the caller is. */
const FAULTS: ReadonlySet<RpcCode> = new Set([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

/** How a call ended for its caller, which got this error. */
export function callerOutcome(error: unknown, signal: AbortSignal | undefined): Outcome {
  const code = codeOf(error);
  if (code !== undefined) return failed(code, true, error);
  if (signal?.aborted && error === signal.reason) return failed("CANCELLED", true, error);
  const errorType = isA(error, TypeError)
    ? "TypeError"
    : isA(error, RangeError)
    ? "RangeError"
    : "_OTHER";
  return { code: undefined, errorType, fault: true, error };
}

/** How a call ended whose handler threw this; the caller is told the same. */
export function handlerOutcome(error: unknown, call: IncomingCall): Outcome {
  const { signal } = call;
  const code = codeOf(error) ?? (signal.aborted ? "CANCELLED" : "INTERNAL");
  return failed(code, FAULTS.has(code), error);
}

/** How a call ended whose items nobody takes any more. */
export function leftOutcome(call: IncomingCall): Outcome {
  const { aborted, reason } = call.signal;
  return aborted ? handlerOutcome(reason, call) : LEFT;
}

function codeOf(error: unknown): RpcCode | undefined {
  return isA(error, RpcError) ? error.code : undefined;
}

/** What was thrown may throw when it is looked at. */
function isA<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
  try {
    return value instanceof type;
  } catch {
    return false;
  }
}

function failed(code: RpcCode, fault: boolean, error: unknown): Outcome {
  return { code, errorType: code, fault, error };
}
