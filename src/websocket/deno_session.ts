/**
 * Sessions over WebSocket on the system's network: dialling, and listening with a port for all.
 *
 * Owns what a port does with whoever comes: vnet/1 by itself (its first byte is F9, which begins no text), a
 * WebSocket of the subprotocol `vnet.1` at the address's path, or one plain HTTP request.
 */
import { Addr } from "../base/addr.ts";
import { ByteQueue } from "../base/byte_queue.ts";
import { ConnectError } from "../base/errors.ts";
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
import { MAGIC } from "../wire/preface.ts";
import { admit, type Gate, requestOf } from "./admission.ts";
import { Callbacks } from "./callbacks.ts";
import { connectWebSocket } from "./deno_client.ts";
import { systemEnv } from "./deno_env.ts";
import { hasToken, tokensOf } from "./header_values.ts";
import { HttpError, type HttpHead } from "./http_head.ts";
import { withinTime } from "./opening.ts";
import { SESSION_OPTIONS, SessionSocket, SUBPROTOCOL } from "./session_socket.ts";
import { resolveSettings } from "./settings.ts";

/** How long the first bytes and the opening handshake may take together, in ms. */
const HANDSHAKE_TIMEOUT = 5_000;
/** Connections whose opening handshake is under way. */
const MAX_PENDING = 512;

/**
 * Opens a WebSocket for a session.
 *
 * @throws {ConnectError} where there is none to be had within `timeout` ms
 */
export async function dialWebSocketTransport(
  addr: Addr,
  options: DialOptions,
): Promise<MessageTransport> {
  const socket = await connectWebSocket(addr, { ...SESSION_OPTIONS, ...options });
  if (socket.protocol === SUBPROTOCOL) {
    const { transport, path } = addr;
    const remoteAddr = Addr.parse({ ...socket.remoteAddr, transport, path });
    return new SessionSocket(socket, { localAddr: socket.localAddr, remoteAddr, tls: undefined });
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
): Promise<TransportListener> {
  const secure = addr.transport === "wss";
  const inner = await listen(addr, secure, options);
  const bound = Addr.of(inner.addr);
  const route = addr.path.replace(/[?#].*$/, "");
  const gate: Gate = {
    settings: resolveSettings(SESSION_OPTIONS),
    options: {
      ...SESSION_OPTIONS,
      ...(options.http?.accept === undefined ? {} : { accept: options.http.accept }),
    },
    env: systemEnv,
    callbacks: new Callbacks(undefined, undefined),
    secure,
    hasRoute: (path) => route === "" || path === route,
    handshakeTimeout: HANDSHAKE_TIMEOUT,
  };
  const { transport, path } = addr;
  return new PreparingListener(inner, {
    addr: Addr.parse({ hostname: bound.hostname, port: bound.port, transport, path }),
    clock: systemEnv.clock,
    maxPending: MAX_PENDING,
    prepare: (conn, signal) => prepare(conn, signal, gate, options),
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

/** Gives what a session can run on; `undefined`: it was no such thing, and has had its answer. */
async function prepare(
  conn: Transport,
  signal: AbortSignal,
  gate: Gate,
  options: ListenOptions,
): Promise<Transport | undefined> {
  if (!("read" in conn)) return conn;
  const remoteAddr = Addr.of(conn.remoteAddr);
  try {
    const queue = new ByteQueue();
    const first = await withinTime(
      conn,
      gate.env.clock,
      { timeout: HANDSHAKE_TIMEOUT, signal },
      () => firstByte(conn, queue),
    );
    if (first === undefined) return cut(conn);
    if (first === MAGIC[0]) return new Begun(conn, queue);
    return await open(conn, queue, remoteAddr, {
      ...gate,
      instead: answerer(gate, options, remoteAddr),
    });
  } catch (error) {
    cut(conn);
    if (!signal.aborted && !isAnswered(error)) tell(error, remoteAddr, options);
    return undefined;
  }
}

async function open(
  conn: ByteTransport,
  queue: ByteQueue,
  peerAddr: Addr,
  gate: Gate,
): Promise<Transport> {
  const socket = await admit(conn, queue, gate);
  const transport = gate.secure ? "wss" : "ws";
  const localAddr = Addr.parse({ ...Addr.of(conn.localAddr), transport });
  const remoteAddr = Addr.parse({ ...peerAddr, transport });
  const session = new SessionSocket(socket, { localAddr, remoteAddr, tls: conn.tls });
  socket.start();
  return session;
}

/** What a request gets that asks for no session. */
function answerer(
  { secure }: Gate,
  { http }: ListenOptions,
  remoteAddr: Addr,
): (head: HttpHead) => Promise<Response | undefined> {
  return async ({ line: [method, target], fields }) => {
    if (hasToken(fields.list("upgrade"), "websocket")) {
      if (tokensOf(fields.list("sec-websocket-protocol"))?.includes(SUBPROTOCOL)) return undefined;
      return new Response(`The subprotocol must be ${SUBPROTOCOL}\n`, { status: 400 });
    }
    if (http?.respond === undefined) return undefined;
    if (method !== "GET" && method !== "HEAD") {
      return new Response(null, { status: 405, headers: { allow: "GET, HEAD" } });
    }
    const request = requestOf({ host: fields.list("host"), target, fields }, secure);
    const response = await http.respond(request, remoteAddr);
    return method === "GET" ? response : new Response(null, response);
  };
}

async function firstByte(conn: ByteTransport, queue: ByteQueue): Promise<number | undefined> {
  const count = await conn.read(queue.space());
  if (count === null) return undefined;
  queue.fill(count);
  return queue.peekUint8(0);
}

function cut(conn: Transport): undefined {
  cutTransport(conn);
  return undefined;
}

/** Whoever asked for a page and got it did nothing wrong. */
function isAnswered(error: unknown): boolean {
  return error instanceof HttpError && error.status < 400;
}

function tell(error: unknown, remoteAddr: Addr, { onHandshakeError }: ListenOptions): void {
  const message = error instanceof Error ? error.message : String(error);
  onHandshakeError?.(
    new ConnectError("WRONG_PROTOCOL", message, { cause: error, initiator: "remote" }),
    remoteAddr,
  );
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
