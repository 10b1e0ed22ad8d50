/**
 * Sessions over WebSocket on the system's network: dialling, and listening with a port for all.
 *
 * Owns what a port does with whoever comes: vnet/1 by itself (its first byte is F9, which begins no text), a
 * WebSocket of the subprotocol `vnet.1` at the address's path, or one plain HTTP request.
 *
 * 1. Whoever comes to nothing is told of, but for those who got the page that they asked for.
 * 2. Until a client is known to speak vnet it may send a head of 16 KiB, and after that a message of 16 KiB.
 */
import { Addr } from "../base/addr.ts";
import { ByteQueue } from "../base/byte_queue.ts";
import { ConnectError, TimeoutError } from "../base/errors.ts";
import type {
  ByteTransport,
  DialOptions,
  ListenOptions,
  MessageTransport,
  Transport,
  TransportListener,
} from "../base/types.ts";
import { listenTransport } from "../net/tcp.ts";
import { cutTransport } from "../stream/cut.ts";
import { PreparingListener } from "../stream/preparing_listener.ts";
import { PRE_WELCOME_MAX } from "../wire/constants.ts";
import { MAGIC } from "../wire/preface.ts";
import { admit, type Gate, requestOf } from "./admission.ts";
import { Callbacks } from "./callbacks.ts";
import { prepare } from "./client.ts";
import { openWebSocket } from "./deno_client.ts";
import { systemEnv } from "./deno_env.ts";
import type { WebSocketEnv } from "./env.ts";
import { hasToken, tokensOf } from "./header_values.ts";
import { HttpError, type HttpHead } from "./http_head.ts";
import { withinTime } from "./opening.ts";
import { readResource } from "./server_handshake.ts";
import {
  MessageLimit,
  SESSION_OPTIONS,
  SessionSocket,
  SUBPROTOCOL,
  WatchedTransport,
} from "./session_socket.ts";
import { resolveSettings, type Settings } from "./settings.ts";

/** How long the first bytes and the opening handshake may take together, in ms. */
const HANDSHAKE_TIMEOUT = 5_000;
/** How long it may take to give a page away, in ms; where others wait, not even that. */
const PAGE_TIMEOUT = 60_000;

/** Where connections become sessions. */
export interface Place {
  readonly env: WebSocketEnv;
  /** Connections that are no sessions yet: so many at once. */
  readonly maxPending: number;
}

const HERE: Place = { env: systemEnv, maxPending: 512 };

/**
 * Opens a WebSocket for a session.
 *
 * @throws {ConnectError} where there is none to be had within `timeout` ms
 */
export async function dialWebSocketTransport(
  addr: Addr,
  options: DialOptions,
): Promise<MessageTransport> {
  const given = { ...SESSION_OPTIONS, ...options };
  const prepared = prepare(addr, given, systemEnv);
  const limit = new MessageLimit(prepared.settings);
  const watched: WatchedTransport[] = [];
  const socket = await openWebSocket({ ...prepared, settings: limit.settings }, given, (conn) => {
    const below = new WatchedTransport(conn, systemEnv.clock);
    watched.push(below);
    return below;
  });
  const [below] = watched;
  if (socket.protocol === SUBPROTOCOL && below !== undefined) {
    const { transport, path } = addr;
    const localAddr = Addr.parse({ ...socket.localAddr, transport });
    const remoteAddr = Addr.parse({ ...socket.remoteAddr, transport, path });
    return new SessionSocket(socket, { localAddr, remoteAddr, tls: undefined, below, limit });
  }
  socket.abort();
  throw new ConnectError(
    "WRONG_PROTOCOL",
    `Cannot dial ${addr} as what answers must speak ${SUBPROTOCOL}: it has chosen ${
      JSON.stringify(socket.protocol)
    }`,
    { initiator: "remote" },
  );
}

/**
 * Listens for sessions over WebSocket, and over the bare connection, on one port.
 *
 * @throws {ConnectError} where the address cannot be bound
 * @throws {TypeError} where `wss` has no certificate
 */
export async function listenWebSocketTransport(
  addr: Addr,
  options: ListenOptions,
  place: Place = HERE,
): Promise<TransportListener> {
  const { env, maxPending } = place;
  const secure = addr.transport === "wss";
  const inner = await listen(addr, secure, options);
  const bound = Addr.of(inner.addr);
  const { transport, path } = addr;
  const route = path.replace(/[?#].*$/, "");
  const hasRoute = (path: string) => route === "" || path === route;
  return new PreparingListener(inner, {
    addr: Addr.parse({ hostname: bound.hostname, port: bound.port, transport, path }),
    clock: env.clock,
    maxPending,
    prepare: (conn, signal) =>
      new Stranger(conn, signal, { env, secure, hasRoute, options }).enter(),
  });
}

async function listen(
  { hostname, port }: Addr,
  secure: boolean,
  { tls, reusePort = false, onHandshakeError }: ListenOptions,
): Promise<TransportListener> {
  if (!secure) return await listenTransport(Addr.parse({ hostname, port }), { reusePort });
  const addr = Addr.parse({ transport: "tls", hostname, port });
  if (tls === undefined) {
    throw new TypeError(`Cannot listen on ${addr} as 'tls' must give a certificate and its key`);
  }
  const { listenTlsTransport } = await import("../net/tls_listen.ts");
  const told = onHandshakeError === undefined ? {} : { onHandshakeError };
  return await listenTlsTransport(addr, { tls, reusePort, ...told });
}

/** What a port is. */
interface Port extends Pick<Gate, "env" | "secure" | "hasRoute"> {
  readonly options: ListenOptions;
}

/** Whoever has come, until it is known what for. */
class Stranger {
  readonly #conn: Transport;
  readonly #signal: AbortSignal;
  readonly #port: Port;
  readonly #remoteAddr: Addr;
  /** What the application's part in it failed with. */
  #failure: { readonly cause: unknown } | undefined;
  /** Whether the application has answered it. */
  #answered = false;

  constructor(conn: Transport, signal: AbortSignal, port: Port) {
    this.#conn = conn;
    this.#signal = signal;
    this.#port = port;
    this.#remoteAddr = Addr.of(conn.remoteAddr);
  }

  /** Gives what a session can run on; `undefined`: it was no such thing, and has had its answer. */
  async enter(): Promise<Transport | undefined> {
    const conn = this.#conn;
    if (!("read" in conn)) return conn;
    const cut = () => cutTransport(conn);
    this.#signal.addEventListener("abort", cut);
    try {
      return await this.#enter(conn);
    } catch (error) {
      cut();
      this.#tell(error);
      return undefined;
    } finally {
      this.#signal.removeEventListener("abort", cut);
    }
  }

  async #enter(conn: ByteTransport): Promise<Transport> {
    const { clock } = this.#port.env;
    const since = clock.now();
    const queue = new ByteQueue();
    const wait = { timeout: HANDSHAKE_TIMEOUT, signal: this.#signal };
    const first = await withinTime(conn, clock, wait, () => firstByte(conn, queue));
    if (first === MAGIC[0]) return new Begun(conn, queue);
    const below = new WatchedTransport(conn, clock);
    const left = HANDSHAKE_TIMEOUT - (clock.now() - since);
    const limit = new MessageLimit(resolveSettings(SESSION_OPTIONS));
    limit.length = PRE_WELCOME_MAX;
    const gate = this.#gate(limit.settings, Math.max(1, left));
    const socket = await admit(below, queue, gate);
    const transport = this.#port.secure ? "wss" : "ws";
    const localAddr = Addr.parse({ ...Addr.of(conn.localAddr), transport });
    const remoteAddr = Addr.parse({ ...this.#remoteAddr, transport });
    const { tls } = conn;
    const session = new SessionSocket(socket, { localAddr, remoteAddr, tls, below, limit });
    socket.start();
    return session;
  }

  #gate(settings: Settings, handshakeTimeout: number): Gate {
    const { env, secure, hasRoute, options: { http } } = this.#port;
    const accept = http?.accept;
    return {
      settings,
      options: accept === undefined ? SESSION_OPTIONS : { ...SESSION_OPTIONS, accept },
      env,
      callbacks: new Callbacks(undefined, (cause) => this.#failure ??= { cause }),
      secure,
      hasRoute,
      handshakeTimeout,
      answerTimeout: PAGE_TIMEOUT,
      signal: this.#signal,
      instead: (head) => this.#respond(head),
    };
  }

  /** What a request gets that asks for no session. */
  async #respond(head: HttpHead): Promise<Response | undefined> {
    const { line: [method, , version], fields } = head;
    if (hasToken(fields.list("upgrade"), "websocket")) {
      if (tokensOf(fields.list("sec-websocket-protocol"))?.includes(SUBPROTOCOL)) return undefined;
      throw new HttpError(400, `Cannot accept request as its subprotocol must be ${SUBPROTOCOL}`);
    }
    const respond = this.#port.options.http?.respond;
    if (!/^HTTP\/1\.[01]$/.test(version) || (respond === undefined && method !== "HEAD")) {
      return undefined;
    }
    if (respond === undefined) {
      const upgrade = { upgrade: "websocket", connection: "Upgrade" };
      throw new HttpError(426, "Cannot accept request as it must ask for an upgrade", upgrade);
    }
    if (method !== "GET" && method !== "HEAD") {
      const allow = { allow: "GET, HEAD" };
      throw new HttpError(405, "Cannot accept request as its method must be GET or HEAD", allow);
    }
    const request = requestOf(readResource(head), this.#port.secure, method);
    try {
      const response = await respond(request, this.#remoteAddr);
      this.#answered = true;
      return response;
    } catch (cause) {
      this.#failure ??= { cause };
      throw new HttpError(500, "Cannot answer request as the application failed");
    }
  }

  #tell(error: unknown): void {
    const failure = this.#failure;
    const isClosing = this.#signal.aborted && !(this.#signal.reason instanceof TimeoutError);
    if (failure === undefined && (this.#answered || isClosing)) return;
    const remoteAddr = this.#remoteAddr;
    const attempt = `Cannot accept connection from ${remoteAddr}`;
    try {
      const told = failure === undefined ? refused(attempt, error) : failed(attempt, failure);
      this.#port.options.onHandshakeError?.(told, remoteAddr);
    } catch (thrown) {
      // It must not end the listener.
      reportError(thrown);
    }
  }
}

function failed(attempt: string, { cause }: { readonly cause: unknown }): ConnectError {
  const message = `${attempt} as the application failed`;
  return new ConnectError("INTERNAL", message, { cause, initiator: "local" });
}

function refused(attempt: string, cause: unknown): ConnectError {
  const message = `${attempt}: ${cause instanceof Error ? cause.message : cause}`;
  if (cause instanceof TimeoutError) {
    return new ConnectError("TIMEOUT", message, { cause, initiator: "remote" });
  }
  if (!(cause instanceof HttpError)) {
    return new ConnectError("UNREACHABLE", message, { cause, initiator: "network" });
  }
  const code = cause.status === 403 ? "AUTH_FAILED" : "WRONG_PROTOCOL";
  return new ConnectError(code, message, { cause, initiator: "remote" });
}

async function firstByte(conn: ByteTransport, queue: ByteQueue): Promise<number> {
  const count = await conn.read(queue.space());
  if (count === null) throw new Error("The connection ended before its first byte");
  queue.fill(count);
  return queue.peekUint8(0);
}

/** A connection of which something was read already. */
class Begun implements ByteTransport {
  readonly localAddr: unknown;
  readonly remoteAddr: unknown;
  readonly #conn: ByteTransport;
  #queue: ByteQueue | undefined;

  constructor(conn: ByteTransport, queue: ByteQueue) {
    this.#conn = conn;
    this.#queue = queue;
    this.localAddr = conn.localAddr;
    this.remoteAddr = conn.remoteAddr;
  }

  get tls(): ByteTransport["tls"] {
    return this.#conn.tls;
  }

  read(buf: Uint8Array): Promise<number | null> {
    const queue = this.#queue;
    if (queue === undefined) return this.#conn.read(buf);
    const count = Math.min(queue.length, buf.length);
    buf.set(queue.take(count));
    if (queue.length === 0) this.#queue = undefined;
    return Promise.resolve(count);
  }

  write(data: Uint8Array): Promise<number> {
    return this.#conn.write(data);
  }

  close(): unknown {
    return this.#conn.close();
  }

  abort(): void {
    if (this.#conn.abort === undefined) this.#conn.close();
    else this.#conn.abort();
  }

  async closeWrite(): Promise<void> {
    await this.#conn.closeWrite?.();
  }
}
