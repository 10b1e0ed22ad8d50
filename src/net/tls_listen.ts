/**
 * Listening for TLS: connections come out when their handshake is done.
 *
 * Owns the handshakes that are under way. Accepting is TCP's.
 *
 * 1. Handshakes run beside each other and beside accepting: a client that is silent or sends garbage
 *    keeps nobody waiting.
 * 2. Handshakes, and connections that nobody has taken yet, are at most `maxPending` together. The next
 *    client then waits in the system's queue; but a handshake older than `PATIENCE` makes room for it.
 * 3. Nothing is accepted before somebody iterates. What accepting throws is thrown there, and to iterate
 *    anew is to go on.
 */
import { Addr } from "../base/addr.ts";
import { ConnectError } from "../base/errors.ts";
import { Fifo } from "../base/fifo.ts";
import type { ByteTransport } from "../base/types.ts";
import { type BindOptions, type ConnSource, listenTcpConns } from "./tcp.ts";
import { type Attempt, checkServerTls } from "./tls_errors.ts";
import { ServerHandshakes } from "./tls_handshake.ts";
import type { ServerTls, TlsTransport } from "./tls_types.ts";

/** For how long a handshake may keep others waiting when there is no room, in ms. */
const PATIENCE = 1_000;

/** What there is to say of a TLS listener beside its address. */
export interface TlsListenOptions extends BindOptions {
  /** What to show to clients, and whether to ask them. */
  readonly tls: ServerTls;
  /** How long a handshake may take, in ms. @default {10000} */
  readonly handshakeTimeout?: number;
  /** How many connections may be under way at once. @default {512} */
  readonly maxPending?: number;
  /** Is told of each client whose handshake failed. */
  readonly onHandshakeError?: (error: ConnectError, remoteAddr: Addr) => void;
}

interface Pending {
  readonly attempt: Attempt;
  readonly since: number;
  readonly stop: AbortController;
}

/**
 * Listens for TLS on a TCP address.
 *
 * @throws {ConnectError} when the address cannot be bound
 * @throws {TypeError} where a certificate or key of `tls` is none, or they do not belong together
 * @throws {RangeError} where an option is out of range
 */
export function listenTlsTransport(
  addr: Addr,
  options: TlsListenOptions,
): Promise<ConnSource<TlsTransport>> {
  return new Promise((resolve) => {
    const checked = checkTlsListen(`Cannot listen on ${addr}`, options);
    resolve(new TlsListener(listenTcpConns(addr, options), checked));
  });
}

/** Options that make sense, and what they come to. */
export interface CheckedTlsListen
  extends Required<Pick<TlsListenOptions, "handshakeTimeout" | "maxPending">> {
  readonly handshakes: ServerHandshakes;
  readonly onHandshakeError: TlsListenOptions["onHandshakeError"];
}

/** Fills in the defaults. Throws as {@linkcode listenTlsTransport} does. */
export function checkTlsListen(attempt: Attempt, options: TlsListenOptions): CheckedTlsListen {
  const { tls, onHandshakeError, handshakeTimeout = 10_000, maxPending = 512 } = options;
  for (const [name, value] of Object.entries({ handshakeTimeout, maxPending })) {
    if (value >= 1) continue;
    throw new RangeError(`${attempt} as '${name}' must be 1 or more: current value is ${value}`);
  }
  checkServerTls(attempt, tls);
  try {
    const handshakes = new ServerHandshakes(tls);
    return { handshakes, onHandshakeError, handshakeTimeout, maxPending };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`${attempt} as 'tls' cannot be used: ${why}`, { cause });
  }
}

/** Makes the handshakes on what another listener gives. */
export class TlsListener implements ConnSource<TlsTransport> {
  readonly addr: Addr;
  readonly #inner: ConnSource<ByteTransport>;
  readonly #options: CheckedTlsListen;
  /** Oldest first. */
  readonly #pending = new Set<Pending>();
  readonly #ready = new Fifo<TlsTransport>();
  readonly #waiters = new Set<() => void>();
  #accepting = false;
  #failure: { readonly error: unknown } | undefined;
  #over = false;
  #closed: Promise<void> | undefined;

  constructor(inner: ConnSource<ByteTransport>, options: CheckedTlsListen) {
    this.#inner = inner;
    this.#options = options;
    this.addr = Addr.parse({ ...inner.addr, transport: "tls" });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TlsTransport, void> {
    while (true) {
      const transport = this.#ready.shift();
      if (transport !== undefined) {
        this.#changed();
        yield transport;
        continue;
      }
      if (this.#over) return;
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure !== undefined) throw failure.error;
      if (!this.#accepting) this.#accept();
      await this.#change();
    }
  }

  /** What nobody has taken yet is closed, as the system does with what nobody has accepted. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#over = true;
    for (const { stop } of this.#pending) stop.abort();
    for (const transport of this.#ready.clear()) transport.close();
    this.#changed();
    await this.#inner.close();
  }

  /** Never rejects. */
  async #accept(): Promise<void> {
    this.#accepting = true;
    try {
      for await (const conn of this.#inner) {
        this.#handshake(conn);
        await this.#room();
        if (this.#over) break;
      }
      this.#over = true;
    } catch (error) {
      this.#failure = { error };
    }
    this.#accepting = false;
    this.#changed();
  }

  /** Never rejects. */
  async #handshake(conn: ByteTransport): Promise<void> {
    const remoteAddr = Addr.parse({ ...Addr.of(conn.remoteAddr), transport: "tls" });
    const attempt = `Cannot accept connection from ${remoteAddr}` as const;
    const pending = { attempt, since: performance.now(), stop: new AbortController() };
    this.#pending.add(pending);
    if (this.#over) pending.stop.abort();
    const { stop: { signal } } = pending;
    const { handshakes, handshakeTimeout: timeout } = this.#options;
    const { stream, gone } = handshakes.begin(conn, { attempt, timeout, signal });
    try {
      const transport = await stream;
      if (this.#over) transport.close();
      else this.#ready.push(transport);
    } catch (error) {
      // Anything else is our own `close`.
      if (error instanceof ConnectError) this.#tell(error, remoteAddr);
      await gone;
    }
    this.#pending.delete(pending);
    this.#changed();
  }

  /** Resolves when there is room for another handshake. */
  async #room(): Promise<void> {
    const { maxPending } = this.#options;
    while (!this.#over && this.#pending.size + this.#ready.size >= maxPending) {
      const [oldest] = this.#pending;
      const left = oldest === undefined ? Infinity : oldest.since + PATIENCE - performance.now();
      if (left <= 0) oldest?.stop.abort(crowdedOut(oldest.attempt));
      const timer = left > 0 && left < Infinity
        ? setTimeout(() => this.#changed(), left)
        : undefined;
      await this.#change();
      clearTimeout(timer);
    }
  }

  #tell(error: ConnectError, remoteAddr: Addr): void {
    try {
      this.#options.onHandshakeError?.(error, remoteAddr);
    } catch (thrown) {
      // It must not end the listener.
      reportError(thrown);
    }
  }

  /** Resolves with the next `#changed`. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve));
  }

  #changed(): void {
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
  }
}

function crowdedOut(attempt: Attempt): ConnectError {
  return new ConnectError(
    "TIMEOUT",
    `${attempt} as others wait for its place: its TLS handshake took longer than ${PATIENCE} ms`,
    { initiator: "remote" },
  );
}
