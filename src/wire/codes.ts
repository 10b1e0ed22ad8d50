/**
 * The numbers that codes travel as. The rest of vnet knows only their names.
 *
 * 1. A number that this code does not know reads as INTERNAL, never as an error.
 * 2. Three names never travel by themselves: ABORTED and LINK_LOST tell of an end that no frame
 *    announced (NORMAL stands in), WRITE_TIMEOUT is what the other end knows as SLOW_CONSUMER.
 */
import type { CloseCode, DialCode, RpcCode } from "../base/errors.ts";

const CLOSE_NUMBERS: Readonly<Record<CloseCode, number>> = {
  NORMAL: 0x0001,
  DRAINING: 0x0002,
  PROTOCOL: 0x0003,
  BAD_FRAME: 0x0004,
  FRAME_TOO_LARGE: 0x0005,
  UNKNOWN_CRITICAL: 0x0006,
  FLOW_CONTROL: 0x0007,
  FLOOD: 0x0008,
  HANDSHAKE_TIMEOUT: 0x0009,
  BAD_VERSION: 0x000a,
  BAD_LIMITS: 0x000b,
  AUTH_FAILED: 0x000c,
  CLIENT_ID_IN_USE: 0x000d,
  CLIENT_ID_INVALID: 0x000e,
  TOO_MANY_CONNECTIONS: 0x000f,
  SESSION_UNKNOWN: 0x0010,
  SESSION_EXPIRED: 0x0011,
  SESSION_EVICTED: 0x0012,
  SESSION_CORRUPT: 0x0013,
  STALE_ATTACH: 0x0014,
  TAKEN_OVER: 0x0015,
  CONFIG_CHANGED: 0x0016,
  HEARTBEAT_TIMEOUT: 0x0017,
  SLOW_CONSUMER: 0x0018,
  SERVER_RESTART: 0x0019,
  INTERNAL: 0x001a,
  UNSUPPORTED: 0x001b,
  WRITE_TIMEOUT: 0x0018,
  LINK_LOST: 0x0001,
  ABORTED: 0x0001,
};

const RPC_NUMBERS: Readonly<Record<RpcCode, number>> = {
  CANCELLED: 0x0101,
  UNKNOWN: 0x0102,
  INVALID_ARGUMENT: 0x0103,
  DEADLINE_EXCEEDED: 0x0104,
  NOT_FOUND: 0x0105,
  ALREADY_EXISTS: 0x0106,
  PERMISSION_DENIED: 0x0107,
  RESOURCE_EXHAUSTED: 0x0108,
  FAILED_PRECONDITION: 0x0109,
  ABORTED: 0x010a,
  OUT_OF_RANGE: 0x010b,
  UNIMPLEMENTED: 0x010c,
  INTERNAL: 0x010d,
  UNAVAILABLE: 0x010e,
  DATA_LOSS: 0x010f,
  UNAUTHENTICATED: 0x0110,
};

/** From here on codes belong to the application. */
const APPLICATION = 0x8000;

const CLOSE_CODES = byNumber(CLOSE_NUMBERS);
const RPC_CODES = byNumber(RPC_NUMBERS);

/** The codes after which a client stops reconnecting: the next try would end in the same way. */
const FINAL: ReadonlySet<string> = new Set<CloseCode | DialCode>([
  "AUTH_FAILED",
  "BAD_VERSION",
  "CLIENT_ID_INVALID",
  "TAKEN_OVER",
  "UNSUPPORTED",
  "CERT_UNTRUSTED",
  "CERT_EXPIRED",
  "CERT_WRONG_NAME",
  "CERT_REQUIRED",
  "NO_ALPN",
]);

/** The number that a close code travels as. */
export function closeCodeNumber(code: CloseCode): number {
  return CLOSE_NUMBERS[code];
}

/** The close code of a number; `"INTERNAL"` for one that this code does not know. */
export function closeCodeOf(n: number): CloseCode {
  return CLOSE_CODES.get(n) ?? "INTERNAL";
}

/** The number that a call's code travels as. */
export function rpcCodeNumber(code: RpcCode): number {
  return RPC_NUMBERS[code];
}

/** The call code of a number: `"UNKNOWN"` for the application's, `"INTERNAL"` for other strangers. */
export function rpcCodeOf(n: number): RpcCode {
  return RPC_CODES.get(n) ?? (n >= APPLICATION ? "UNKNOWN" : "INTERNAL");
}

/** Whether a client that was sent away with this code, or met it at the door, must not come back by itself. */
export function isFinal(code: CloseCode | DialCode): boolean {
  return FINAL.has(code);
}

/** The first name of a number wins, so that the stand-ins of invariant 2 are never read. */
function byNumber<C extends string>(numbers: Readonly<Record<C, number>>): Map<number, C> {
  const codes = new Map<number, C>();
  for (const code in numbers) {
    const n = numbers[code];
    if (!codes.has(n)) codes.set(n, code);
  }
  return codes;
}

/** The code of a session that stands for what kept a connection from being one. */
export function closeCodeOfDial(code: DialCode | CloseCode): CloseCode {
  if (isCloseCode(code)) return code;
  if (code === "TIMEOUT") return "HANDSHAKE_TIMEOUT";
  if (code === "UNREACHABLE") return "LINK_LOST";
  return code.startsWith("CERT_") ? "AUTH_FAILED" : "PROTOCOL";
}

function isCloseCode(code: DialCode | CloseCode): code is CloseCode {
  return Object.hasOwn(CLOSE_NUMBERS, code);
}
