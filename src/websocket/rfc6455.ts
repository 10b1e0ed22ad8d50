/**
 * The numbers of RFC 6455, and the error for an end that breaks its rules.
 *
 * Owns what a close code may be. Knows no bytes and no connection.
 */
import { type CloseCode, ProtocolError } from "../base/errors.ts";

/**
 * What a frame is (RFC 6455, section 5.2).
 *
 * @example
 * ```ts
 * import { Opcode } from "@vgo/vnet/websocket";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([Opcode.text, Opcode.binary, Opcode.ping], [1, 2, 9]);
 * ```
 */
export const Opcode: {
  /** A further fragment of a message. */
  readonly continuation: 0;
  /** A text message, or its first fragment. */
  readonly text: 1;
  /** A binary message, or its first fragment. */
  readonly binary: 2;
  /** The beginning of the end, and its answer. */
  readonly close: 8;
  /** A question for a sign of life. */
  readonly ping: 9;
  /** The sign. */
  readonly pong: 10;
} = Object.freeze({ continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 });

/** A frame of these opcodes and above controls the connection. It is short and never fragmented. */
export const FIRST_CONTROL = Opcode.close;
/** Longest payload of a control frame. */
export const MAX_CONTROL = 125;
/** Longest reason of a close frame: two bytes are the code. */
export const MAX_REASON = MAX_CONTROL - 2;

/** Close codes (RFC 6455, section 7.4.1) that this implementation says itself. */
export const Status = Object.freeze({
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  /** Never on the wire: the other end gave none. */
  none: 1005,
  /** Never on the wire: the connection ended without a close frame. */
  abnormal: 1006,
  invalidData: 1007,
  policyViolation: 1008,
  tooBig: 1009,
  internalError: 1011,
});

const CODES: Readonly<Record<number, CloseCode>> = {
  [Status.protocolError]: "PROTOCOL",
  [Status.unsupportedData]: "UNSUPPORTED",
  [Status.invalidData]: "BAD_FRAME",
  [Status.policyViolation]: "FLOOD",
  [Status.tooBig]: "FRAME_TOO_LARGE",
};

/** The other end broke RFC 6455. `status` is the code that the connection is closed with. */
export class Violation extends ProtocolError {
  /** The close code. */
  readonly status: number;

  constructor(status: number, message: string, options: ErrorOptions = {}) {
    super(CODES[status] ?? "PROTOCOL", message, options);
    this.status = status;
  }
}

/** A breach of the framing rules. */
export function brokenFrame(why: string): Violation {
  return new Violation(Status.protocolError, `Cannot decode frame as ${why}`);
}

/** Text that is not UTF-8. */
export function brokenText(what: string): Violation {
  return new Violation(Status.invalidData, `Cannot decode ${what} as it must be UTF-8`);
}

/** A frame or message beyond a limit. */
export function tooBig(what: string, limit: number, length: number | string): Violation {
  return new Violation(
    Status.tooBig,
    `Cannot take ${what} as its length must be at most ${limit}: current value is ${length}`,
  );
}

/**
 * Whether a close frame may carry this code: those of the RFC and of its registry that are not
 * reserved, those for libraries (3000 to 3999) and for applications (4000 to 4999).
 */
export function isCloseCode(code: number): boolean {
  if (!Number.isInteger(code)) return false;
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== Status.none &&
    code !== Status.abnormal;
}
