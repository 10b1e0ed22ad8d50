/**
 * Dialling: from an address to a byte connection.
 */
import { Addr, type Address, type TransportName } from "../base/addr.ts";
import type { WaitOptions } from "../base/types.ts";
import type { ClientTls } from "../base/tls.ts";
import { cutTransport } from "../stream/cut.ts";
import type { Conn, TcpConn, TlsConn } from "./conn.ts";
import { Connection } from "./connection.ts";
import { TcpConnection, TlsConnection } from "./kinds.ts";
import { checkOptions, type DialOptions } from "./options.ts";
import { dialTcpConn, dialUnixConn } from "./tcp.ts";
import { dialTlsTransport, startTlsTransport } from "./tls_dial.ts";

/**
 * Opens a connection of the kind that the address names: `tcp`, `tls` or `unix`.
 *
 * @example
 * ```ts
 * import { dial, listen } from "@vgo/vnet/net";
 * import { assertEquals } from "@std/assert";
 *
 * await using listener = await listen("tcp://127.0.0.1:0");
 * await using client = await dial(listener.addr);
 * await using server = await listener.accept();
 * await client.write("hello\n");
 * assertEquals(await server.readLine({ timeout: 1_000 }), "hello");
 * ```
 *
 * @throws {ConnectError} when there is none to be had within `timeout` ms (default 5,000)
 * @throws {TypeError} where the address is of another kind, or an option has the wrong form
 */
export async function dial(
  address: Address,
  options: DialOptions & { readonly tls?: ClientTls } = {},
): Promise<Conn> {
  checkOptions("dial", options);
  const addr = Addr.parse(address);
  if (addr.transport === "tls") return await dialTls(addr, options);
  if (options.tls !== undefined) {
    throw new TypeError(
      `Cannot dial ${addr} with 'tls' as its transport must be tls: it is ${addr.transport}`,
    );
  }
  if (addr.transport === "unix") return new Connection(await dialUnixConn(addr, options), options);
  if (addr.transport === "tcp") return await dialTcp(addr, options);
  throw wrongTransport("dial", addr, "tcp, tls or unix");
}

/**
 * Opens a TCP connection.
 *
 * @example HTTP/1.0
 * ```ts
 * import { dialTcp, listenTcp } from "@vgo/vnet/net";
 * import { assertEquals } from "@std/assert";
 *
 * await using listener = await listenTcp("127.0.0.1:0");
 * const serving = (async () => {
 *   await using conn = await listener.accept();
 *   while (await conn.readLine() !== ""); // the headers end with an empty line
 *   await conn.write("HTTP/1.0 200 OK\r\n\r\nhello");
 * })();
 *
 * await using conn = await dialTcp(listener.addr, { readTimeout: 5_000 });
 * await conn.write("GET / HTTP/1.0\r\n\r\n");
 * assertEquals(await conn.readText(), "HTTP/1.0 200 OK\r\n\r\nhello");
 * await serving;
 * ```
 *
 * @throws {ConnectError} when there is none to be had within `timeout` ms (default 5,000)
 * @throws {TypeError} where the address is of another kind, or an option has the wrong form
 */
export async function dialTcp(address: Address, options: DialOptions = {}): Promise<TcpConn> {
  checkOptions("dial", options);
  const addr = Addr.parse(address);
  if (addr.transport !== "tcp") throw wrongTransport("dial", addr, "tcp");
  return new TcpConnection(await dialTcpConn(addr, options), options, addr.hostname);
}

/**
 * Opens a TLS connection; its handshake is done when it is given. `"host:443"` means TLS here.
 *
 * @throws {ConnectError} when there is none to be had within `timeout` ms (default 5,000), or the other
 *   end's certificate is not good: the code says why
 * @throws {TypeError} where the address is of another kind, or an option has the wrong form
 */
export async function dialTls(
  address: Address,
  options: DialOptions & { readonly tls?: ClientTls } = {},
): Promise<TlsConn> {
  checkOptions("dial", options);
  return new TlsConnection(await dialTlsTransport(asTls("dial", address), options), options);
}

/**
 * Goes on over TLS on a TCP connection (STARTTLS, RFC 3207 and others). Nothing must be pending on it.
 * `conn` has ended from then on; its timeouts go over. The other end must prove the name that was
 * dialled, or `tls.serverName`.
 *
 * @throws {ConnectError} when the handshake fails, or takes longer than `timeout` ms (default 5,000)
 * @throws {TypeError} where something is pending, or the other end has sent bytes that nobody read: they
 *   came in the clear, and must not pass for what comes over TLS
 * @throws {ClosedError} where `conn` has ended
 */
export async function startTls(
  conn: TcpConn,
  options: WaitOptions & { readonly tls?: ClientTls } = {},
): Promise<TlsConn> {
  if (!(conn instanceof TcpConnection)) {
    throw new TypeError("Cannot start TLS as the connection must come from dialTcp or dial");
  }
  checkOptions("start TLS", options);
  options.signal?.throwIfAborted();
  const { dialled, readTimeout, writeTimeout } = conn;
  const hostname = options.tls?.serverName ?? dialled;
  const bare = conn.bare();
  try {
    const transport = await startTlsTransport(bare, hostname, options);
    return new TlsConnection(transport, { readTimeout, writeTimeout });
  } catch (error) {
    cutTransport(bare);
    throw error;
  }
}

/** The address, over TLS where it names nothing else. */
export function asTls(action: string, address: Address): Addr {
  const addr = Addr.parse(address);
  const { transport, hostname, port } = addr;
  if (transport === "tls") return addr;
  if (transport !== "tcp") throw wrongTransport(action, addr, "tls");
  return Addr.parse({ transport: "tls", hostname, port });
}

/** Misuse: this function is not for that kind of address. */
export function wrongTransport(action: string, addr: Addr, wanted: string): TypeError {
  const { transport }: { transport: TransportName } = addr;
  return new TypeError(
    `Cannot ${action} ${addr} as its transport must be ${wanted}: current value is ${transport}`,
  );
}
