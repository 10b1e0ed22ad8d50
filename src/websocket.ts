/**
 * WebSocket by itself (RFC 6455): clients and servers with pings that can be awaited, close codes that
 * are true, backpressure in both directions, limits, and compression (RFC 7692) where it is asked for.
 *
 * - {@linkcode connectWebSocket}: the client, `ws` and `wss`.
 * - {@linkcode serveWebSocket}: the server, with routes, a table of clients and `broadcast`.
 * - {@linkcode upgradeWebSocket}: WebSockets on a server that exists, of `node:http` or `Deno.serve`.
 *
 * @example Echo
 * ```ts
 * import { connectWebSocket, serveWebSocket } from "@vgo/vnet/websocket";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using server = await serveWebSocket("ws://127.0.0.1:0/", {
 *   onMessage: (message, ws) => ws.send(message),
 * });
 *
 * await using ws = await connectWebSocket(server.addr);
 * assert(await ws.ping() >= 0); // the round trip, in ms
 * await ws.send("text");
 * await ws.send(new Uint8Array([1, 2, 3]));
 * for await (const message of ws) {
 *   if (typeof message === "string") {
 *     assertEquals(message, "text");
 *   } else {
 *     assertEquals(message, new Uint8Array([1, 2, 3]));
 *     await ws.close(1000, "done"); // ends the loop
 *   }
 * }
 * const { code, reason, wasClean } = await ws.closed;
 * assertEquals([code, reason, wasClean], [1000, "done", true]);
 * ```
 *
 * @module
 */
export { Addr, type Address, type AddrInit, type TransportName } from "./base/addr.ts";
export {
  type CloseCode,
  ClosedError,
  ConnectError,
  type DialCode,
  LimitError,
  type LimitName,
  ProtocolError,
  TimeoutError,
  VnetError,
  type VnetErrorOptions,
} from "./base/errors.ts";
export type { CloseInfo, CloseOptions, Lifecycle } from "./base/lifecycle.ts";
export type { ClientTls, ServerTls } from "./base/tls.ts";
export type { Bytes, Initiator, Logger, Queued, WaitOptions } from "./base/types.ts";
export { connectWebSocket } from "./websocket/deno_client.ts";
export type { NodeUpgradeRequest, NodeUpgradeSocket } from "./websocket/deno_node.ts";
export { serveWebSocket } from "./websocket/deno_server.ts";
export {
  type NativeUpgradeOptions,
  type UpgradedRequest,
  upgradeWebSocket,
} from "./websocket/deno_upgrade.ts";
export { Opcode } from "./websocket/rfc6455.ts";
export type {
  Acceptance,
  ConnectWebSocketOptions,
  WebSocketAbility,
  WebSocketCloseInfo,
  WebSocketConn,
  WebSocketOptions,
  WebSocketServeOptions,
  WebSocketServer,
  WebSocketUpgradeOptions,
} from "./websocket/types.ts";
