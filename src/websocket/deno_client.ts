/**
 * Dialling a WebSocket on the system's network.
 */
import { Addr } from "../base/addr.ts";
import type { ByteTransport } from "../base/types.ts";
import { dialTransport } from "../net/tcp.ts";
import { connectOver, prepare, type Prepared } from "./client.ts";
import { systemEnv } from "./deno_env.ts";
import type { ByteWebSocket } from "./socket.ts";
import type { ConnectWebSocketOptions, WebSocketConn } from "./types.ts";

/**
 * Opens a WebSocket to a URL of scheme `ws` or `wss`. User and password of the URL go into a header
 * Authorization. Redirects are not followed.
 *
 * @throws {ConnectError} where that is not done within `timeout` ms, or the server refuses: of code
 *   `"AUTH_FAILED"` for the statuses 401 and 403, `"TOO_MANY_CONNECTIONS"` for 429 and 503,
 *   `"WRONG_PROTOCOL"` for others and for what is no WebSocket
 * @throws {TypeError | RangeError} where the URL or an option makes no sense
 *
 * @example
 * ```ts
 * import { connectWebSocket, serveWebSocket } from "@vgo/vnet/websocket";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await serveWebSocket("ws://127.0.0.1:0/", {
 *   onMessage: (message, ws) => ws.send(message),
 * });
 * await using ws = await connectWebSocket(server.addr);
 * await ws.send("hello");
 * for await (const message of ws) {
 *   assertEquals(message, "hello");
 *   await ws.close(1000, "done");
 * }
 * assertEquals((await ws.closed).code, 1000);
 * ```
 */
export async function connectWebSocket(
  url: string | URL | Addr,
  options: ConnectWebSocketOptions = {},
): Promise<WebSocketConn> {
  return await openWebSocket(prepare(url, options, systemEnv), options);
}

/** As {@linkcode connectWebSocket}. `through` gets between the WebSocket and its connection. */
export async function openWebSocket(
  prepared: Prepared,
  options: ConnectWebSocketOptions,
  through: (transport: ByteTransport) => ByteTransport = (transport) => transport,
): Promise<ByteWebSocket> {
  options.signal?.throwIfAborted();
  const { timeout, request } = prepared;
  const since = systemEnv.clock.now();
  const transport = through(await dial(request.url, { ...options, timeout }));
  const left = Math.max(1, timeout - (systemEnv.clock.now() - since));
  return await connectOver(transport, { ...prepared, timeout: left }, options, systemEnv);
}

async function dial(
  url: URL,
  options: ConnectWebSocketOptions & { readonly timeout: number },
): Promise<ByteTransport> {
  const secure = url.protocol === "wss:";
  const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port);
  if (!secure) return await dialTransport(Addr.parse({ hostname, port }), options);
  const { dialTlsTransport } = await import("../net/tls_dial.ts");
  return await dialTlsTransport(Addr.parse({ transport: "tls", hostname, port }), options);
}
