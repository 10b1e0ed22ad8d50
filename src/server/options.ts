/**
 * What a server is made with, and what it tells.
 */
import type { Bytes, HttpOptions, Initiator, TransportListener } from "../base/types.ts";
import type { Addr, Address } from "../base/addr.ts";
import type { CloseCode } from "../base/errors.ts";
import type { CloseInfo, DrainInfo } from "../base/lifecycle.ts";
import type { ServerTls, TlsInfo } from "../base/tls.ts";
import type { AnyContract, Untyped } from "../contract/types.ts";
import {
  DEFAULT_LIMITS,
  type LimitName,
  type Limits,
  type SessionOptions,
} from "../peer/options.ts";
import type { DropPolicy } from "../peer/owner.ts";
import type { ServerPeer } from "./server.ts";

/** Where to listen: an address, or a listener that exists. */
export type ListenAddress = Address | TransportListener;

/** What a server and each of its connections may use. */
export interface ServerLimits extends Limits {
  /** Connections at a time; more are refused. @default {10000} */
  readonly maxConnections: number;
  /** Connections at a time from one host; more are refused. @default {Infinity} */
  readonly maxConnectionsPerHost: number;
  /**
   * Connections at a time that have not registered. One more takes the place of the oldest that has said
   * nothing yet, or is refused where all have. @default {512}
   */
  readonly maxUnregistered: number;
  /** Groups that one client may be in. @default {1000} */
  readonly maxGroups: number;
  /** How much may wait to be sent to all clients together, in bytes. @default {134217728} */
  readonly maxQueuedBytesTotal: number;
  /**
   * Messages, calls and stream items that one client may send in a second. After a burst of a second's
   * worth it is read no faster; one who sends ten seconds' worth at once is ended with `FLOOD`.
   * @default {Infinity}
   */
  readonly messagesPerSecond: number;
  /** Bytes that one client may send in a second; after a burst it is read no faster. @default {Infinity} */
  readonly bytesPerSecond: number;
}

/** What a client asks for at the door. */
export interface Registration {
  /** The id it asks for, or a fresh one if it asks for none. */
  readonly id: string;
  /** What it shows, as text. */
  readonly auth: string;
  /** What it shows, as bytes. */
  readonly authBytes: Bytes;
  /**
   * Whether what it shows is this secret: compared in a time that does not tell how much of it was
   * right.
   */
  readonly authEquals: (secret: string | Uint8Array) => boolean;
  /** What it says of itself. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Where it comes from. */
  readonly remoteAddr: Addr;
  /** What the TLS handshake has established, its certificate included; `undefined` without TLS. */
  readonly tls: TlsInfo | undefined;
  /** Aborted when the client leaves, or the handshake takes too long. */
  readonly signal: AbortSignal;
}

/** Whether a client may come in, under which id, and what its `peer.data` is. `true`: as asked. */
export type Decision<D> =
  | boolean
  | { readonly id?: string; readonly data: D }
  | { readonly id: string; readonly data?: never }
  | {
    /** Why not. */
    readonly reject: CloseCode;
    /** Said to the client. */
    readonly reason?: string;
    /** How long it should wait before it tries again, in ms. */
    readonly retryAfter?: number;
  };

/** What happens when a client registers an id that is in use. */
export type DuplicateId = "probe" | "replace" | "reject" | "allow";

/** Options of `serve`. Times in ms, sizes in bytes. */
export interface ServeOptions<C extends AnyContract = Untyped, D = undefined>
  extends SessionOptions<C, C["server"], ServerPeer<C, D>> {
  /** Decides who may come in, before any traffic. Write it first: its answer types `peer.data`. */
  readonly register?: (request: Registration) => Decision<D> | Promise<Decision<D>>;
  /**
   * An id that is in use: ask its owner for a sign of life and refuse the newcomer if it answers
   * within 1 s (`"probe"`), end the owner, refuse the newcomer, or let both in.
   * The same client object coming back always replaces its old link. @default {"probe"}
   */
  readonly duplicateId?: DuplicateId;
  /** What to show to clients, and whether to ask them, on addresses that run over TLS. */
  readonly tls?: ServerTls;
  /** What ports for WebSockets do with HTTP requests. */
  readonly http?: HttpOptions;
  /** What the server and each of its connections may use. */
  readonly limits?: Partial<ServerLimits>;
  /** Lets several processes listen on one port. Needs `--unstable-net`. @default {false} */
  readonly reusePort?: boolean;
  /** Is told what happens to the server's connections. */
  readonly onEvent?: (event: ServerEvent<ServerPeer<C, D>>) => unknown;
}

/** What happens to a server. */
export type ServerEvent<P> =
  | {
    /** A client has registered. */
    readonly type: "connect";
    /** The client. */
    readonly peer: P;
  }
  | {
    /** A client is gone. */
    readonly type: "disconnect";
    /** The client. */
    readonly peer: P;
    /** Why. */
    readonly info: CloseInfo;
  }
  | {
    /** A connection was refused, or ended before it had registered. */
    readonly type: "reject";
    /** Where it came from. */
    readonly remoteAddr: Addr;
    /** Why. */
    readonly code: CloseCode;
    /** In words. */
    readonly reason: string;
  }
  | {
    /** Accepting failed; it goes on after a pause. */
    readonly type: "accept-error";
    /** Why. */
    readonly error: unknown;
    /** The pause, in ms. */
    readonly delay: number;
  }
  | {
    /** The server stops. */
    readonly type: "drain";
    /** By whose doing. */
    readonly initiator: Initiator;
  }
  | {
    /** A limit was met; one that goes on being met is told once, and counted in the statistics. */
    readonly type: "limit";
    /** Which. */
    readonly limit: LimitName;
    /** Its value. */
    readonly value: number;
    /** Who met it. */
    readonly remoteAddr: Addr;
    /** The client, if it has registered. */
    readonly peer?: P;
  }
  | {
    /** Messages for a client were dropped, as the policy says; told once a turn. */
    readonly type: "drop";
    /** The client. */
    readonly peer: P;
    /** How many messages. */
    readonly frames: number;
    /** How many bytes of bodies. */
    readonly bytes: number;
    /** By which policy; `"key"`: a newer message took the place of one that waited. */
    readonly policy: DropPolicy;
  }
  | {
    /** A hook of the application threw, or a message could not be decoded or sent. */
    readonly type: "error";
    /** What was thrown. */
    readonly error: unknown;
    /** For which client. */
    readonly peer?: P;
  }
  | {
    /** The server is over. */
    readonly type: "close";
    /** Why. */
    readonly info: DrainInfo;
  };

/** {@linkcode ServerLimits} when none are given. */
export const DEFAULT_SERVER_LIMITS: ServerLimits = Object.freeze({
  ...DEFAULT_LIMITS,
  maxConnections: 10_000,
  maxConnectionsPerHost: Infinity,
  maxUnregistered: 512,
  maxGroups: 1_000,
  maxQueuedBytesTotal: 134_217_728,
  messagesPerSecond: Infinity,
  bytesPerSecond: Infinity,
});

/** The limits of a server that are none of a connection. */
export const SERVER_LIMITS = [
  "maxConnections",
  "maxConnectionsPerHost",
  "maxUnregistered",
  "maxGroups",
  "maxQueuedBytesTotal",
  "messagesPerSecond",
  "bytesPerSecond",
] as const;

/** Fills in the defaults. @throws {RangeError} where a field makes no sense */
export function resolveServerLimits(options: Partial<ServerLimits> = {}): ServerLimits {
  const limits = { ...DEFAULT_SERVER_LIMITS, ...options };
  for (const name of SERVER_LIMITS) {
    if (limits[name] >= 1) continue;
    throw new RangeError(
      `Cannot use options as 'limits.${name}' must be 1 or more: current value is ${limits[name]}`,
    );
  }
  return limits;
}

/** Whether a thing to listen on is a listener already. */
export function isListener(given: ListenAddress): given is TransportListener {
  return typeof given === "object" && given !== null && Symbol.asyncIterator in given;
}

/** Decides, without types. */
export type Register = (request: Registration) => Decision<unknown> | Promise<Decision<unknown>>;
