/**
 * The errors of vnet, all of them.
 *
 * The class says what kind of operation failed, `code` what happened, `initiator` whose doing it was,
 * and `cause` chains what lies beneath. Misuse is a `TypeError` or a `RangeError` instead. A wait
 * that was aborted rejects with `signal.reason` itself.
 */
import type { Initiator } from "./types.ts";
import type { CloseInfo } from "./lifecycle.ts";

/** Why a session or a link ended. The last three never travel on the wire. */
export type CloseCode =
  | "NORMAL"
  | "DRAINING"
  | "PROTOCOL"
  | "BAD_FRAME"
  | "FRAME_TOO_LARGE"
  | "UNKNOWN_CRITICAL"
  | "FLOW_CONTROL"
  | "FLOOD"
  | "HANDSHAKE_TIMEOUT"
  | "BAD_VERSION"
  | "BAD_LIMITS"
  | "AUTH_FAILED"
  | "CLIENT_ID_IN_USE"
  | "CLIENT_ID_INVALID"
  | "TOO_MANY_CONNECTIONS"
  | "SESSION_UNKNOWN"
  | "SESSION_EXPIRED"
  | "SESSION_EVICTED"
  | "SESSION_CORRUPT"
  | "STALE_ATTACH"
  | "TAKEN_OVER"
  | "CONFIG_CHANGED"
  | "HEARTBEAT_TIMEOUT"
  | "SLOW_CONSUMER"
  | "SERVER_RESTART"
  | "INTERNAL"
  | "UNSUPPORTED"
  | "WRITE_TIMEOUT"
  | "LINK_LOST"
  | "ABORTED";

/** Why no connection could be opened, or no address bound. */
export type DialCode =
  | "REFUSED"
  | "UNREACHABLE"
  | "NAME_NOT_FOUND"
  | "TIMEOUT"
  | "NOT_PERMITTED"
  | "WRONG_PROTOCOL"
  | "ADDRESS_IN_USE"
  | "CERT_UNTRUSTED"
  | "CERT_EXPIRED"
  | "CERT_WRONG_NAME"
  | "CERT_REQUIRED"
  | "NO_ALPN";

/** How a call can fail: gRPC's sixteen status codes other than OK. */
export type RpcCode =
  | "CANCELLED"
  | "UNKNOWN"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNAUTHENTICATED";

/** The name of a limit, of a connection or of a server. */
export type LimitName =
  | "maxFrameLength"
  | "maxMessageLength"
  | "maxMetadataLength"
  | "maxQueuedBytes"
  | "maxInFlight"
  | "maxStreams"
  | "maxConnections"
  | "maxConnectionsPerHost"
  | "maxUnregistered"
  | "maxGroups"
  | "maxQueuedBytesTotal"
  | "messagesPerSecond"
  | "bytesPerSecond";

/** What an error of vnet is made with. */
export interface VnetErrorOptions extends ErrorOptions {
  /** Whose doing it was. */
  readonly initiator?: Initiator;
}

/** What every error of vnet is: an `Error` with a stable `code`. */
export class VnetError extends Error {
  /** The name of the class. */
  override readonly name: string = "VnetError";
  /** What happened: stable, for programs. */
  readonly code: string;
  /** Whose doing it was, where that is known. */
  readonly initiator: Initiator | undefined;

  /** Makes an error of the given code. */
  constructor(code: string, message: string, options: VnetErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.initiator = options.initiator;
  }
}

/** A connection could not be opened, a session not begun, or an address not bound. */
export class ConnectError extends VnetError {
  /** The name of the class. */
  override readonly name: string = "ConnectError";
  /** What happened. */
  declare readonly code: DialCode | CloseCode;
  /** How many dials were tried. */
  readonly attempts: number;
  /** How long the other end asks to wait before the next try, in ms; 0 when it did not say. */
  readonly retryAfter: number;

  /** Makes an error of the given code. */
  constructor(
    code: DialCode | CloseCode,
    message: string,
    options: VnetErrorOptions & { readonly attempts?: number; readonly retryAfter?: number } = {},
  ) {
    super(code, message, options);
    this.attempts = options.attempts ?? 1;
    this.retryAfter = options.retryAfter ?? 0;
  }
}

/** Something was used that has ended, or it ended meanwhile. */
export class ClosedError extends VnetError {
  /** The name of the class. */
  override readonly name: string = "ClosedError";
  /** Why it ended. */
  declare readonly code: CloseCode;
  /** The whole story of its end. */
  readonly info: CloseInfo;

  /** Makes an error that tells how the thing ended. */
  constructor(message: string, info: CloseInfo) {
    super(info.code, message, {
      initiator: info.initiator,
      ...(info.error === undefined ? {} : { cause: info.error }),
    });
    this.info = info;
  }
}

/** A wait took longer than it was allowed to. */
export class TimeoutError extends VnetError {
  /** The name of the class. */
  override readonly name: string = "TimeoutError";
  /** Always `"TIMEOUT"`. */
  declare readonly code: "TIMEOUT";
  /** How much of a write was surely handed over, in bytes; `undefined` where nothing was written. */
  readonly bytesWritten: number | undefined;

  /** Makes the error. */
  constructor(
    message: string,
    options: VnetErrorOptions & { readonly bytesWritten?: number } = {},
  ) {
    super("TIMEOUT", message, options);
    this.bytesWritten = options.bytesWritten;
  }
}

/** Something was larger, or more, than a limit allows. */
export class LimitError extends VnetError {
  /** The name of the class. */
  override readonly name: string = "LimitError";
  /** Too large by itself, no room for it now, made way for others later, or one more than may be. */
  declare readonly code: "TOO_LARGE" | "QUEUE_FULL" | "DROPPED" | "TOO_MANY";
  /** The name of the limit in `limits`. */
  readonly limit: string;

  /** Makes an error that names the limit. */
  constructor(
    code: "TOO_LARGE" | "QUEUE_FULL" | "DROPPED" | "TOO_MANY",
    limit: string,
    message: string,
    options: VnetErrorOptions = {},
  ) {
    super(code, message, options);
    this.limit = limit;
  }
}

/** What {@linkcode FrameError} can say. */
export type FrameErrorCode = "BAD_FRAME" | "FRAME_TOO_LARGE" | "TRUNCATED";

/** Bytes that are no frame. Codecs throw it; the stream that it came from has ended. */
export class FrameError extends VnetError {
  /** The name of the class. */
  override readonly name: string = "FrameError";
  /** What was wrong with the bytes. @default {"BAD_FRAME"} */
  declare readonly code: FrameErrorCode;

  /** Makes the error; a codec of your own gives just the message. */
  constructor(
    message: string,
    options: VnetErrorOptions & { readonly code?: FrameErrorCode } = {},
  ) {
    super(options.code ?? "BAD_FRAME", message, { initiator: "remote", ...options });
  }
}

/** The other end broke the protocol. */
export class ProtocolError extends VnetError {
  /** The name of the class. */
  override readonly name: string = "ProtocolError";
  /** Which rule it broke, as the code that the link is closed with. */
  declare readonly code: CloseCode;
  /** Which limit of this end it went beyond; `undefined` where it was none. */
  readonly limit: LimitName | undefined;

  /** Makes the error. */
  constructor(
    code: CloseCode,
    message: string,
    options: VnetErrorOptions & { readonly limit?: LimitName } = {},
  ) {
    super(code, message, { initiator: "remote", ...options });
    this.limit = options.limit;
  }
}

/** One thing that is wrong with a value. */
export interface Issue {
  /** In words. */
  readonly message: string;
  /** Where in the value. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Whether a handler ran for a call that failed. `"no"`: it surely did not, so a retry is safe. */
export type Executed = "no" | "maybe" | "yes";

/** What an {@linkcode RpcError} is made with. */
export interface RpcErrorOptions extends VnetErrorOptions {
  /** Goes along to the caller, through the serializer. @default {`{ issues }`, where there are some} */
  readonly data?: unknown;
  /** What is wrong with the input, of an INVALID_ARGUMENT. */
  readonly issues?: readonly Issue[];
  /** Whether the same call may go well later. @default {false, but true for UNAVAILABLE} */
  readonly retryable?: boolean;
  /** Whether the handler ran. @default {"yes"} */
  readonly executed?: Executed;
}

const NO_ISSUES: readonly Issue[] = Object.freeze([]);

/**
 * All that a call rejects with, and what a handler throws to be understood: its code, message and data
 * reach the caller. Whatever else a handler throws arrives as INTERNAL, without its text.
 *
 * @example
 * ```ts
 * import { RpcError } from "@vgo/vnet";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new RpcError("NOT_FOUND", "No such order", { data: { order: 7 } });
 * assertEquals([error.code, error.executed], ["NOT_FOUND", "yes"]);
 * ```
 */
export class RpcError extends VnetError {
  /** The name of the class. */
  override readonly name: string = "RpcError";
  /** How it failed. */
  declare readonly code: RpcCode;
  /** What the handler gave along; `undefined` when it gave nothing. */
  readonly data: unknown;
  /** What is wrong with the input and where, of an INVALID_ARGUMENT; else empty. */
  readonly issues: readonly Issue[];
  /** Whether the same call may go well later. */
  readonly retryable: boolean;
  /** Whether the handler ran. */
  readonly executed: Executed;

  /** Makes the error. */
  constructor(code: RpcCode, message: string = code, options: RpcErrorOptions = {}) {
    super(code, message, options);
    const { issues } = options;
    this.data = options.data ?? (issues === undefined ? undefined : { issues });
    this.issues = issues ?? NO_ISSUES;
    this.retryable = options.retryable ?? code === "UNAVAILABLE";
    this.executed = options.executed ?? "yes";
  }
}
