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
  if (error instanceof RpcError) return failed(error.code, true, error);
  if (signal?.aborted && error === signal.reason) return failed("CANCELLED", true, error);
  const errorType = error instanceof TypeError || error instanceof RangeError
    ? error.name
    : "_OTHER";
  return { code: undefined, errorType, fault: true, error };
}

/** How a call ended whose handler threw this; the caller is told the same. */
export function handlerOutcome(error: unknown, call: IncomingCall): Outcome {
  const { signal } = call;
  const code = error instanceof RpcError ? error.code : signal.aborted ? "CANCELLED" : "INTERNAL";
  return failed(code, FAULTS.has(code), error);
}

/** How a call ended whose items nobody takes any more. */
export function leftOutcome({ signal }: IncomingCall): Outcome {
  return signal.aborted && signal.reason instanceof RpcError
    ? failed(signal.reason.code, FAULTS.has(signal.reason.code), signal.reason)
    : LEFT;
}

function failed(code: RpcCode, fault: boolean, error: unknown): Outcome {
  return { code, errorType: code, fault, error };
}
