/**
 * Byte connections with deadlines that do no harm: dial and listen for TCP, TLS and Unix sockets.
 *
 * Timeouts are in ms and hold for one operation, deadlines are instants as `Date.now()` counts them,
 * `Infinity` is none. A read or an accept that took too long can be repeated, and nothing is lost; a
 * write that took too long says how much was handed over, and ends the connection.
 *
 * Any connection of this module fits wherever bytes are carried: a `FrameStream`, a session (`attach`).
 *
 * @example A deadline
 * ```ts
 * import { dialTcp, listenTcp, TimeoutError } from "@vgo/vnet/net";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * await using listener = await listenTcp("127.0.0.1:0");
 * await using client = await dialTcp(listener.addr);
 * await using server = await listener.accept();
 *
 * client.setReadDeadline(Date.now() + 20);
 * await assertRejects(() => client.readLine(), TimeoutError);
 * client.setReadDeadline(Infinity);
 * await server.write("better late than never\n");
 * assertEquals(await client.readLine(), "better late than never");
 * ```
 *
 * @module
 */
export { dial, dialTcp, dialTls, startTls } from "./net/dial.ts";
export { listen, listenTcp, listenTls } from "./net/listen.ts";
export { Addr } from "./base/addr.ts";
export {
  ClosedError,
  ConnectError,
  FrameError,
  LimitError,
  TimeoutError,
  VnetError,
} from "./base/errors.ts";

export type { Conn, TcpConn, TlsConn } from "./net/conn.ts";
export type { Listener } from "./net/listener.ts";
export type { ConnOptions, DialOptions, ListenOptions, ReadOptions } from "./net/options.ts";
export type { Address, AddrInit, TransportName } from "./base/addr.ts";
export type { CloseCode, DialCode, FrameErrorCode, VnetErrorOptions } from "./base/errors.ts";
export type { CloseInfo, CloseOptions, Lifecycle } from "./base/lifecycle.ts";
export type { ClientTls, ServerTls, TlsInfo } from "./base/tls.ts";
export type { Bytes, ByteTransport, Initiator, WaitOptions } from "./base/types.ts";
