/**
 * The words for the end of a WebSocket, in the terms of everything else that ends.
 */
import { type CloseCode, ClosedError } from "../base/errors.ts";
import type { CloseInfo } from "../base/lifecycle.ts";
import { utf8Length } from "../wire/text.ts";
import { isCloseCode, MAX_REASON, Status } from "./rfc6455.ts";
import type { WebSocketCloseInfo } from "./types.ts";

const CODES: Readonly<Record<number, CloseCode>> = {
  [Status.goingAway]: "DRAINING",
  [Status.protocolError]: "PROTOCOL",
  [Status.unsupportedData]: "UNSUPPORTED",
  [Status.abnormal]: "LINK_LOST",
  [Status.invalidData]: "BAD_FRAME",
  [Status.policyViolation]: "FLOOD",
  [Status.tooBig]: "FRAME_TOO_LARGE",
  [Status.internalError]: "INTERNAL",
};

/** The error for using a WebSocket that has ended or is about to. */
export function closedError(action: string, info: WebSocketCloseInfo | undefined): ClosedError {
  const words = info === undefined ? "it is closing" : `it has ended with ${info.code}`;
  return new ClosedError(
    `Cannot ${action} as the WebSocket must be open: ${words}`,
    closeInfoOf(info ?? { code: Status.normal, reason: "", wasClean: true, initiator: "local" }),
  );
}

/** How a WebSocket ended, as other things end. */
export function closeInfoOf(info: WebSocketCloseInfo): CloseInfo {
  const { code, reason, initiator, error } = info;
  const aborted = code === Status.abnormal && initiator === "local";
  return {
    code: aborted ? "ABORTED" : CODES[code] ?? "NORMAL",
    reason,
    initiator,
    ...(error === undefined ? {} : { error }),
  };
}

/** Checks what `close` is given. @throws {RangeError} */
export function checkClose(code: number, reason: string): void {
  if (!isCloseCode(code)) {
    throw new RangeError(
      `Cannot close WebSocket as the code must be one that may be sent, such as 1000 or 3000 to 4999: current value is ${code}`,
    );
  }
  const length = utf8Length(reason);
  if (length > MAX_REASON) {
    throw new RangeError(
      `Cannot close WebSocket as the reason must have at most ${MAX_REASON} bytes: current value is ${length}`,
    );
  }
}

/** Why something was aborted, in words. */
export function wordsOf(reason: unknown): string {
  if (reason === undefined) return "";
  return reason instanceof Error ? reason.message : String(reason);
}
