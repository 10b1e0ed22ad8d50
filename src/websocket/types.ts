/**
 * What a WebSocket is to its user: the connection, the server, and what both are made with.
 *
 * Owns no behaviour.
 */
import type { Addr } from "../base/addr.ts";
import type { VnetError } from "../base/errors.ts";
import type { Lifecycle } from "../base/lifecycle.ts";
import type { ClientTls, ServerTls } from "../base/tls.ts";
import type { Bytes, Initiator, Logger, Queued, WaitOptions } from "../base/types.ts";

/** How a WebSocket ended. */
export interface WebSocketCloseInfo {
  /**
   * The close code (RFC 6455, section 7.4): 1005 where the other end gave none, 1006 where the
   * connection ended without a close frame.
   */
  readonly code: number;
  /** In words. */
  readonly reason: string;
  /** Whether both ends said so. */
  readonly wasClean: boolean;
  /** By whose doing. */
  readonly initiator: Initiator;
  /** What lies beneath, if it was an error. */
  readonly error?: VnetError;
}

/** What an implementation of {@linkcode WebSocketConn} may be unable to do. */
export type WebSocketAbility =
  /** `ping`, `lastPongAt`, and a `pong` that was not asked for. */
  | "ping"
  /** `write` of single fragments. */
  | "fragments"
  /** To stop reading while nobody takes messages. */
  | "readBackpressure"
  /** Compression. */
  | "compression"
  /** To end the connection without the closing handshake. */
  | "abort"
  /** `localAddr` and `remoteAddr`. */
  | "addresses";

/**
 * An open WebSocket. Messages come by `for await` or, where it was given, by `onMessage`: a string is a
 * text message, bytes are a binary one. The loop ends quietly when the WebSocket does; `closed` tells
 * why. While nobody takes messages no more is read than a little ahead.
 */
export interface WebSocketConn extends AsyncIterable<string | Bytes>, AsyncDisposable {
  /** A fresh name for it, the key in `clients` of its server. */
  readonly id: string;
  /** Where it leads to, as the client named it. */
  readonly url: string;
  /** The subprotocol that both ends agreed on; "" for none. */
  readonly protocol: string;
  /** Address of this end. */
  readonly localAddr: Addr;
  /** Address of the other end. */
  readonly remoteAddr: Addr;
  /** What was accepted and is not yet written. */
  readonly queued: Queued;
  /** When the last pong came, in ms as `Date.now()` counts. */
  readonly lastPongAt: number | undefined;
  /** What it cannot do. What needs it rejects with a `VnetError` of code `"UNSUPPORTED"`. */
  readonly missing: readonly WebSocketAbility[];
  /** Resolves when it has ended, with why. Never rejects. */
  readonly closed: Promise<WebSocketCloseInfo>;
  /**
   * Sends a message, a string as text; it is accepted at once. Resolves when there is room for the next. Do
   * not change bytes afterwards.
   *
   * @throws {ClosedError} (as a rejection) where the WebSocket is closing, or ends meanwhile
   * @throws {LimitError} (as a rejection) where more than `maxQueuedBytes` wait: it was not accepted
   */
  send(message: string | Uint8Array): Promise<void>;
  /**
   * Sends one frame (RFC 6455, section 5.2): a message or, with `fin: false`, a fragment, whose
   * successors have opcode 0; or a ping or pong. Resolves as `send` does.
   *
   * @throws {TypeError | RangeError} (as a rejection) where such a frame must not be sent now
   */
  write(
    payload: Uint8Array,
    opcode: number,
    options?: {
      /** Whether the message ends with it. @default {true} */
      readonly fin?: boolean;
    },
  ): Promise<void>;
  /**
   * Sends a ping of at most 125 bytes and resolves with the time until its pong came, in ms. Waits for
   * `pingTimeout` at most unless told otherwise.
   *
   * @throws {TimeoutError} (as a rejection) where it did not come in time
   */
  ping(data?: Uint8Array, options?: WaitOptions): Promise<number>;
  /** Sends a pong that was not asked for. Pings are answered without it. */
  pong(data?: Uint8Array): Promise<void>;
  /**
   * Ends the WebSocket when what was accepted is written: sends the code, 1000 unless given, and waits
   * for the other end's for `closeTimeout` at most. Messages that nobody has taken are dropped.
   *
   * @throws {RangeError} where the code must not be sent (RFC 6455, section 7.4), or the reason is
   *   longer than 123 bytes
   */
  close(code?: number, reason?: string): Promise<WebSocketCloseInfo>;
  /** Ends it now. What waits is lost, and the other end is not told why. */
  abort(reason?: unknown): void;
}

/** Options of every WebSocket. Times in ms, sizes in bytes; an absent field has its default. */
export interface WebSocketOptions {
  /** The subprotocols that this end speaks; a client names the best first. @default {[]} */
  readonly protocols?: readonly string[];
  /** Longest message that is taken, put together and decompressed. @default {16_777_216} */
  readonly maxMessageLength?: number;
  /** Longest payload of one frame that is taken. @default {maxMessageLength} */
  readonly maxFrameLength?: number;
  /** Most frames of one message. @default {131_072} */
  readonly maxFragments?: number;
  /** Takes only messages of this kind: another ends the WebSocket with 1003. @default {both} */
  readonly only?: "text" | "binary";
  /** So much of messages that nobody has taken is read ahead, beside the last read. @default {65_536} */
  readonly readAhead?: number;
  /** Compresses messages, where the other end does as well (RFC 7692). @default {false} */
  readonly compression?: boolean;
  /** How often a ping is sent; `false`: never. @default {30_000} */
  readonly pingInterval?: number | false;
  /**
   * How long the other end may be silent after a ping: then it is taken for dead, and the WebSocket
   * ends with 1006. @default {15_000}
   */
  readonly pingTimeout?: number;
  /** From so many bytes that wait to be written on, `send` waits. @default {65_536} */
  readonly highWaterMark?: number;
  /** From so many on, it rejects. @default {16_777_216} */
  readonly maxQueuedBytes?: number;
  /** How long a write may go without progress: then the WebSocket ends with 1006. @default {15_000} */
  readonly writeTimeout?: number;
  /** How long the other end may take to answer a close frame. @default {10_000} */
  readonly closeTimeout?: number;
  /** Where log lines go. @default {nowhere} */
  readonly logger?: Logger;
  /** Called once, before the first message. `request` is what the client has asked. */
  readonly onOpen?: (ws: WebSocketConn, request: Request) => unknown;
  /**
   * Takes each message, one at a time: the next waits for a returned promise. If it throws or rejects
   * the WebSocket is closed with 1011.
   */
  readonly onMessage?: (message: string | Bytes, ws: WebSocketConn) => unknown;
  /** Called once, after the last message. */
  readonly onClose?: (info: WebSocketCloseInfo, ws: WebSocketConn) => unknown;
  /** Is told of what another callback threw, and of the error that ended the WebSocket, if it was one. */
  readonly onError?: (error: unknown, ws: WebSocketConn) => unknown;
}

/**
 * Options of `connectWebSocket`. `timeout` is for the connection and the opening handshake together and
 * 10,000 ms unless given; `signal` ends these, not the open WebSocket.
 */
export interface ConnectWebSocketOptions extends WebSocketOptions, WaitOptions {
  /** Header fields to add to the request. */
  readonly headers?: HeadersInit;
  /** TLS, for `wss`. */
  readonly tls?: ClientTls;
}

/**
 * Whether a client may come in: as it is, refused with 403, refused with a response of your own, or
 * with a subprotocol and header fields of your choice.
 */
export type Acceptance =
  | boolean
  | Response
  | {
    /** One of those that the client offered. @default {the client's first of `protocols`} */
    readonly protocol?: string;
    /** Header fields to add to the answer. */
    readonly headers?: HeadersInit;
  };

/** How clients are let in. */
export interface WebSocketUpgradeOptions extends WebSocketOptions {
  /**
   * Decides by the request whether a client may come in. Without it a page may if it comes from the very
   * host that it asks, and so may whoever names no origin: a browser lets every page open a WebSocket
   * to every host, with that host's cookies. @default {same host}
   */
  readonly accept?: (request: Request, remoteAddr: Addr) => Acceptance | Promise<Acceptance>;
  /** How long the opening handshake may take, `accept` included. @default {5_000} */
  readonly handshakeTimeout?: number;
}

/** Options of `serveWebSocket`. */
export interface WebSocketServeOptions extends WebSocketUpgradeOptions {
  /** The certificate and its key, for `wss`. */
  readonly tls?: ServerTls;
  /** Clients at a time; more are answered 503. @default {10_000} */
  readonly maxConnections?: number;
  /** Clients at a time whose opening handshake is under way; more are answered 503. @default {512} */
  readonly maxHandshakes?: number;
  /** Ends the server at once, as `abort(signal.reason)` does. */
  readonly signal?: AbortSignal;
}

/**
 * A server of WebSockets. `for await` gives those that are open and those to come, each once; without
 * it the callbacks see them all.
 *
 * `close` says 1001 to all clients and waits for their answers; `await using` does so too.
 */
export interface WebSocketServer extends AsyncIterable<WebSocketConn>, Lifecycle {
  /** Where it listens: the first address. Goes to `connectWebSocket` as it is. */
  readonly addr: Addr;
  /** Where it listens. */
  readonly addrs: readonly Addr[];
  /** Who is here, by id. */
  readonly clients: ReadonlyMap<string, WebSocketConn>;
  /**
   * Sends a message to all clients and tells to how many. It is encoded once, and waits for nobody:
   * who has more than `highWaterMark` waiting is left out.
   */
  broadcast(message: string | Uint8Array): number;
}
