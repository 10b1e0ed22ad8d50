/** Codes: their numbers, and what strangers read as. */
import { assert, assertEquals } from "@std/assert";
import type { CloseCode, RpcCode } from "../../src/base/errors.ts";
import {
  closeCodeNumber,
  closeCodeOf,
  isFinal,
  rpcCodeNumber,
  rpcCodeOf,
} from "../../src/wire/codes.ts";

/** In the order of their numbers, from 1 on. */
const CLOSE_CODES: readonly CloseCode[] = [
  "NORMAL",
  "DRAINING",
  "PROTOCOL",
  "BAD_FRAME",
  "FRAME_TOO_LARGE",
  "UNKNOWN_CRITICAL",
  "FLOW_CONTROL",
  "FLOOD",
  "HANDSHAKE_TIMEOUT",
  "BAD_VERSION",
  "BAD_LIMITS",
  "AUTH_FAILED",
  "CLIENT_ID_IN_USE",
  "CLIENT_ID_INVALID",
  "TOO_MANY_CONNECTIONS",
  "SESSION_UNKNOWN",
  "SESSION_EXPIRED",
  "SESSION_EVICTED",
  "SESSION_CORRUPT",
  "STALE_ATTACH",
  "TAKEN_OVER",
  "CONFIG_CHANGED",
  "HEARTBEAT_TIMEOUT",
  "SLOW_CONSUMER",
  "SERVER_RESTART",
  "INTERNAL",
  "UNSUPPORTED",
];
/** In the order of their numbers, from 0x101 on: gRPC's. */
const RPC_CODES: readonly RpcCode[] = [
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
];

Deno.test("closeCodeNumber() and closeCodeOf() map each code there and back", () => {
  CLOSE_CODES.forEach((code, i) => {
    assertEquals(closeCodeNumber(code), i + 1);
    assertEquals(closeCodeOf(i + 1), code);
  });
});

Deno.test("rpcCodeNumber() and rpcCodeOf() map each code there and back", () => {
  RPC_CODES.forEach((code, i) => {
    assertEquals(rpcCodeNumber(code), 0x101 + i);
    assertEquals(rpcCodeOf(0x101 + i), code);
  });
});

Deno.test("closeCodeNumber() has a stand-in for codes that never travel", () => {
  const stands = (code: CloseCode) => closeCodeOf(closeCodeNumber(code));
  assertEquals(stands("ABORTED"), "NORMAL");
  assertEquals(stands("LINK_LOST"), "NORMAL");
  assertEquals(stands("WRITE_TIMEOUT"), "SLOW_CONSUMER");
});

Deno.test("closeCodeOf() and rpcCodeOf() read strangers as INTERNAL", () => {
  for (let n = 0; n <= 0xffff; n++) {
    if (n < 1 || n > CLOSE_CODES.length) assertEquals(closeCodeOf(n), "INTERNAL");
    if (n >= 0x101 && n <= 0x110) continue;
    assertEquals(rpcCodeOf(n), n < 0x8000 ? "INTERNAL" : "UNKNOWN");
  }
});

Deno.test("isFinal() says which codes a client does not come back after", () => {
  const final = CLOSE_CODES.filter(isFinal);
  assertEquals(final, [
    "BAD_VERSION",
    "AUTH_FAILED",
    "CLIENT_ID_INVALID",
    "TAKEN_OVER",
    "UNSUPPORTED",
  ]);
  for (const code of ["ABORTED", "LINK_LOST", "WRITE_TIMEOUT"] as const) assert(!isFinal(code));
});
