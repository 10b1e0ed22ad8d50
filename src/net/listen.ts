/**
 * Listening: from an address to a listener of byte connections.
 */
import { Addr, type Address } from "../base/addr.ts";
import type { ServerTls } from "../base/tls.ts";
import type { Conn, TcpConn, TlsConn } from "./conn.ts";
import { Connection } from "./connection.ts";
import { asTls, wrongTransport } from "./dial.ts";
import { TcpConnection, TlsConnection } from "./kinds.ts";
import { ConnListener, type Listener } from "./listener.ts";
import { checkOptions, type ListenOptions } from "./options.ts";
import { listenTcpConns, listenUnixConns } from "./tcp.ts";
import { listenTlsTransport } from "./tls_listen.ts";
import type { TlsTransport } from "./tls_types.ts";

/**
 * Listens for connections of the kind that the address names: `tcp`, `tls` or `unix`. A Unix socket's
 * file is made so that only its owner may connect; one that a crashed process left is replaced.
 *
 * @example
 * ```ts
 * import { dial, listen } from "@vgo/vnet/net";
 * import { assertEquals } from "@std/assert";
 *
 * await using listener = await listen("127.0.0.1:0", { readTimeout: 5_000 });
 * await using client = await dial(listener.addr);
 * await using server = await listener.accept({ timeout: 1_000 });
 * await server.write("welcome\n");
 * assertEquals(await client.readLine(), "welcome");
 * ```
 *
 * @throws {ConnectError} when the address cannot be bound
 * @throws {TypeError} where the address is of another kind, or an option has the wrong form
 */
export async function listen(
  address: Address,
  options: ListenOptions & { readonly tls?: ServerTls } = {},
): Promise<Listener<Conn>> {
  checkOptions("listen", options);
  const addr = Addr.parse(address);
  const { tls, ...rest } = options;
  if (addr.transport === "tls") {
    if (tls !== undefined) return await listenTls(addr, { ...rest, tls });
    throw new TypeError(`Cannot listen on ${addr} as 'tls' must be given: it is undefined`);
  }
  if (tls !== undefined) {
    throw new TypeError(
      `Cannot listen on ${addr} with 'tls' as its transport must be tls: it is ${addr.transport}`,
    );
  }
  if (addr.transport === "tcp") return await listenTcp(addr, rest);
  if (addr.transport !== "unix") throw wrongTransport("listen on", addr, "tcp, tls or unix");
  onlyTcp(addr, rest);
  const source = await listenUnixConns(addr);
  return new ConnListener(source, addr, (conn) => new Connection(conn, rest), rest);
}

/**
 * Listens for TCP connections. `":8080"` means all interfaces, as in Go, and port 0 a free one, which
 * `addr` then tells.
 *
 * @example
 * ```ts
 * import { dialTcp, listenTcp } from "@vgo/vnet/net";
 * import { assertEquals } from "@std/assert";
 *
 * await using listener = await listenTcp("127.0.0.1:0");
 * const [client, server] = await Promise.all([dialTcp(listener.addr), listener.accept()]);
 * assertEquals(client.localAddr.port, server.remoteAddr.port);
 * await Promise.all([client.close(), server.close()]);
 * ```
 *
 * @throws {ConnectError} when the address cannot be bound
 * @throws {TypeError} where the address is of another kind, an option has the wrong form, or
 *   `reusePort` is given without the flag that it needs
 */
export function listenTcp(
  address: Address,
  options: ListenOptions = {},
): Promise<Listener<TcpConn>> {
  // The system binds at once, but what goes wrong is a rejection, as with the others.
  return new Promise((resolve) => {
    checkOptions("listen", options);
    const addr = Addr.parse(address);
    if (addr.transport !== "tcp") throw wrongTransport("listen on", addr, "tcp");
    const source = listenTcpConns(addr, options);
    const wrap = (conn: Deno.TcpConn) => new TcpConnection(conn, options);
    resolve(new ConnListener(source, source.addr, wrap, options));
  });
}

/**
 * Listens for TLS connections; what it gives has its handshake done. `"host:443"` means TLS here. A
 * handshake that fails, or takes longer than 10 s, gives nothing and holds up nobody.
 *
 * @throws {ConnectError} when the address cannot be bound
 * @throws {TypeError} where the address is of another kind, an option has the wrong form, or the
 *   certificate and its key do not fit
 */
export async function listenTls(
  address: Address,
  options: ListenOptions & { readonly tls: ServerTls },
): Promise<Listener<TlsConn>> {
  checkOptions("listen", options);
  const addr = asTls("listen on", address);
  const source = await listenTlsTransport(addr, options);
  const wrap = (transport: TlsTransport) => new TlsConnection(transport, options);
  return new ConnListener(source, source.addr, wrap, options);
}

/** Misuse: options that would be without effect. */
function onlyTcp(addr: Addr, { reusePort, backlog }: ListenOptions): void {
  const name = reusePort ? "reusePort" : backlog === undefined ? undefined : "backlog";
  if (name === undefined) return;
  throw new TypeError(
    `Cannot listen on ${addr} with '${name}' as its transport must be tcp or tls: it is ${addr.transport}`,
  );
}
