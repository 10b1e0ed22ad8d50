/**
 * Dialling over TLS, and TLS on a connection that exists.
 */
import type { Addr } from "../base/addr.ts";
import type { ByteTransport, WaitOptions } from "../base/types.ts";
import { dialable, dialTcpConn } from "./tcp.ts";
import { checkClientTls } from "./tls_errors.ts";
import { clientHandshake } from "./tls_handshake.ts";
import type { ClientTls, TlsTransport } from "./tls_types.ts";

/** Limits of a dial over TLS, in ms. */
export interface TlsDialOptions extends WaitOptions {
  /** Whom to trust and what to show. */
  readonly tls?: ClientTls;
}

/** For the TCP connection and the handshake together, in ms. */
const DIAL_TIMEOUT = 5_000;

/**
 * Opens a TCP connection to `addr` and makes the TLS handshake on it.
 *
 * @throws {ConnectError} when that is not done within `timeout` ms, or one end refuses the other
 * @throws {TypeError} where the certificate or the key of `tls` is none
 */
export async function dialTlsTransport(
  addr: Addr,
  options: TlsDialOptions = {},
): Promise<TlsTransport> {
  const { timeout = DIAL_TIMEOUT, tls = {} } = options;
  const attempt = `Cannot dial ${addr}` as const;
  checkClientTls(attempt, tls);
  const since = performance.now();
  const conn = await dialTcpConn(addr, { ...options, timeout });
  const left = Math.max(1, timeout - (performance.now() - since));
  return await clientHandshake(conn, dialable(addr.hostname), tls, {
    ...options,
    timeout: left,
    attempt,
  });
}

/**
 * Makes the TLS handshake on a connection that exists, as the end that begins it. `hostname` is the
 * name that the other end's certificate must have, unless `tls.serverName` is given. Nobody else may
 * use the connection from then on; when the handshake fails it is closed.
 *
 * @throws {ConnectError} when it is not done within `timeout` ms, or one end refuses the other
 * @throws {TypeError} where the certificate or the key of `tls` is none; the connection stays as it was
 */
export async function startTlsTransport(
  conn: ByteTransport,
  hostname: string,
  options: TlsDialOptions = {},
): Promise<TlsTransport> {
  const { timeout = DIAL_TIMEOUT, tls = {} } = options;
  const attempt = `Cannot start TLS with ${hostname}` as const;
  checkClientTls(attempt, tls);
  return await clientHandshake(conn, hostname, tls, { ...options, timeout, attempt });
}
