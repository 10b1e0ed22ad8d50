/**
 * The interfaces that every room agrees on: what carries bytes, what carries
 * messages, and what the program takes from outside (time, chance, network).
 *
 * Owns no behaviour. Knows no socket, timer or source of randomness.
 */
import type { Addr } from "./addr.ts";
import type { ConnectError } from "./errors.ts";
import type { ClientTls, ServerTls, TlsInfo } from "./tls.ts";

/**
 * Bytes that vnet hands out. They are yours, to keep and to change.
 *
 * A small body shares its 64 KiB slab with its neighbours: `slice()` one that you store for long.
 */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Which end of a session: `"client"` dials, `"server"` accepts. */
export type Side = "client" | "server";

/** Who caused an end or an error: this end, the other end, or the network between them. */
export type Initiator = "local" | "remote" | "network";

/** What waits to be sent, in bytes and in frames. */
export interface Queued {
  /** Bytes that wait. */
  readonly bytes: number;
  /** Frames that wait. */
  readonly frames: number;
}

/** How long to wait, and what ends the wait early. */
export interface WaitOptions {
  /** Longest wait, in ms. `Infinity`: no limit. */
  readonly timeout?: number;
  /** Ends the wait; it then rejects with `signal.reason` itself. */
  readonly signal?: AbortSignal;
}

/** Carries bytes in order, like TCP. Any `Deno.Conn` fits. */
export interface ByteTransport {
  /** Address of this end. */
  readonly localAddr?: unknown;
  /** Address of the other end. */
  readonly remoteAddr?: unknown;
  /** Reads at least one byte into `buf`; `null` at the end of the stream. */
  read(buf: Uint8Array): Promise<number | null>;
  /** Writes some of `data`, and tells how many bytes. */
  write(data: Uint8Array): Promise<number>;
  /** Ends both directions. Wakes a pending read and a blocked write. */
  close(): unknown;
  /** Ends both directions now: for a transport whose `close` takes its time. */
  abort?(): void;
  /** Ends this end's direction only. */
  closeWrite?(): Promise<void>;
  /** What a TLS handshake has established, where there was one. */
  readonly tls?: TlsInfo | undefined;
}

/** Carries whole messages in order, like WebSocket. */
export interface MessageTransport extends AsyncIterable<Uint8Array | string> {
  /** Address of this end. */
  readonly localAddr?: unknown;
  /** Address of the other end. */
  readonly remoteAddr?: unknown;
  /** Sends one message; a returned promise resolves when there is room for the next. */
  send(message: Uint8Array): unknown;
  /** Ends both directions; a returned promise resolves when it is gone. */
  close(): unknown;
  /** Ends both directions now: for a transport whose `close` takes its time. */
  abort?(): void;
  /** What a TLS handshake has established, where there was one. */
  readonly tls?: TlsInfo | undefined;
}

/** What a session can run on. */
export type Transport = ByteTransport | MessageTransport;

/** Gives connections until it is closed. Any `Deno.Listener` fits. */
export interface TransportListener extends AsyncIterable<Transport> {
  /** Where it listens. */
  readonly addr?: unknown;
  /**
   * Stops listening. Connections that it gave stay open. A returned promise resolves when the address
   * is free again.
   */
  close(): unknown;
}

/** Time. Monotonic: it never jumps with the wall clock. */
export interface Clock {
  /** The present instant, in ms since a fixed but arbitrary one. */
  now(): number;
  /**
   * Calls `run` once, at the instant `at` or as soon after it as possible, never before.
   * Disposing cancels. A `background` timer alone does not keep the process alive.
   */
  setTimer(at: number, run: () => void, background?: boolean): Disposable;
}

/** Something that lives until it is ended, as a {@linkcode Runtime} sees it. */
export interface Adoptable {
  /** Resolves when it has ended. */
  readonly closed: Promise<unknown>;
  /** Ends it now. */
  abort(reason?: unknown): void;
}

/** All that is outside the program: time, chance, network. Tests pass a `Simulation`. */
export interface Runtime {
  /** The time source. */
  readonly clock: Clock;
  /** A number in [0, 1). */
  random(): number;
  /** Opens a connection to `addr`. Rejects with a `ConnectError`. */
  dial(addr: Addr, options: DialOptions): Promise<Transport>;
  /** Starts to listen on `addr`. Rejects with a `ConnectError`. */
  listen(addr: Addr, options: ListenOptions): Promise<TransportListener>;
  /** Is told of each client and server that starts, so that a test world can end them all. */
  adopt?(resource: Adoptable): void;
}

/** Options of {@linkcode Runtime.dial}. */
export interface DialOptions extends WaitOptions {
  /** For transports that run over TLS. */
  readonly tls?: ClientTls;
}

/** What a port for WebSockets does with HTTP requests. */
export interface HttpOptions {
  /**
   * Whether a page may have a session; without it only pages of this very host may. A client that is no
   * browser names no page.
   */
  readonly accept?: (request: Request, remoteAddr: Addr) => boolean | Promise<boolean>;
  /**
   * Answers GET and HEAD requests that ask for no session; the connection ends with the answer. For pages,
   * not for streams of events: a body is held until it ends or 64 KiB of it are there, and may take a minute.
   * @default {426 Upgrade Required}
   */
  readonly respond?: (request: Request, remoteAddr: Addr) => Response | Promise<Response>;
}

/** Options of {@linkcode Runtime.listen}. */
export interface ListenOptions {
  /** For transports that begin with an HTTP request. */
  readonly http?: HttpOptions;
  /** For transports that run over TLS. */
  readonly tls?: ServerTls;
  /** Is told of each connection that came to nothing before it could be given out. */
  readonly onHandshakeError?: (error: ConnectError, remoteAddr: Addr) => void;
  /** Lets several processes listen on one port. Needs `--unstable-net`. @default {false} */
  readonly reusePort?: boolean;
}

/**
 * Where log lines go; `console` fits. A line per change of state, never per message.
 * Payloads and secrets are never logged.
 */
export type Logger = {
  readonly [L in "debug" | "info" | "warn" | "error"]?: (
    message: string,
    fields?: Record<string, unknown>,
  ) => void;
};
