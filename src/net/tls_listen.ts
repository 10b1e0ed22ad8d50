/**
 * Listening for TLS: connections come out when their handshake is done.
 *
 * Owns what becomes of a handshake. Accepting is TCP's; how many handshakes are under way at once, and
 * for how long, is a `PreparingListener`'s.
 */
import { Addr } from "../base/addr.ts";
import { ConnectError, TimeoutError } from "../base/errors.ts";
import type { ByteTransport } from "../base/types.ts";
import { PreparingListener } from "../stream/preparing_listener.ts";
import { systemClock } from "./clock.ts";
import { type BindOptions, type ConnSource, listenTcpConns } from "./tcp.ts";
import { type Attempt, checkServerTls } from "./tls_errors.ts";
import { ServerHandshakes } from "./tls_handshake.ts";
import type { ServerTls, TlsTransport } from "./tls_types.ts";

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
export class TlsListener extends PreparingListener<ByteTransport, TlsTransport>
  implements ConnSource<TlsTransport> {
  constructor(inner: ConnSource<ByteTransport>, options: CheckedTlsListen) {
    super(inner, {
      addr: Addr.parse({ ...inner.addr, transport: "tls" }),
      clock: systemClock,
      maxPending: options.maxPending,
      prepare: (conn, signal) => handshake(conn, signal, options),
    });
  }
}

/** Never rejects. */
async function handshake(
  conn: ByteTransport,
  signal: AbortSignal,
  { handshakes, handshakeTimeout: timeout, onHandshakeError }: CheckedTlsListen,
): Promise<TlsTransport | undefined> {
  const remoteAddr = Addr.parse({ ...Addr.of(conn.remoteAddr), transport: "tls" });
  const attempt = `Cannot accept connection from ${remoteAddr}` as const;
  if (signal.aborted) {
    conn.close();
    return undefined;
  }
  const { stream, gone } = handshakes.begin(conn, { attempt, timeout, signal });
  try {
    return await stream;
  } catch (error) {
    const failure = error instanceof TimeoutError ? crowdedOut(attempt, error) : error;
    // Anything else is our own `close`.
    if (failure instanceof ConnectError) tell(failure, remoteAddr, onHandshakeError);
    await gone;
    return undefined;
  }
}

function tell(
  error: ConnectError,
  remoteAddr: Addr,
  onHandshakeError: TlsListenOptions["onHandshakeError"],
): void {
  try {
    onHandshakeError?.(error, remoteAddr);
  } catch (thrown) {
    // It must not end the listener.
    reportError(thrown);
  }
}

function crowdedOut(attempt: Attempt, cause: TimeoutError): ConnectError {
  return new ConnectError("TIMEOUT", `${attempt}: ${cause.message}`, {
    cause,
    initiator: "remote",
  });
}
