/**
 * WebSockets on a server that exists: of `node:http`, whose connection is taken over, or of `Deno.serve`,
 * which keeps its connection and has a WebSocket of its own.
 */
import { ByteQueue } from "../base/byte_queue.ts";
import type { ByteTransport } from "../base/types.ts";
import { admit } from "./admission.ts";
import { Callbacks } from "./callbacks.ts";
import { systemEnv } from "./deno_env.ts";
import { NodeTransport, type NodeUpgradeRequest, type NodeUpgradeSocket } from "./deno_node.ts";
import { agreeOn } from "./handshake.ts";
import { HeaderFields, HttpError, type HttpHead } from "./http_head.ts";
import { NativeWebSocket, type PlatformSocket } from "./native.ts";
import { isSameHost, readUpgrade, type UpgradeRequest } from "./server_handshake.ts";
import { resolveServe, resolveSettings } from "./settings.ts";
import type { WebSocketConn, WebSocketOptions, WebSocketUpgradeOptions } from "./types.ts";

/** What a handler of `Deno.serve` goes on with. */
export interface UpgradedRequest {
  /** The WebSocket. It opens once the response was returned. */
  readonly socket: WebSocketConn;
  /** What the handler must return. */
  readonly response: Response;
}

/** Options of `upgradeWebSocket` for `Deno.serve`. */
export interface NativeUpgradeOptions extends WebSocketOptions {
  /** Also lets pages of other hosts in: for a handler that has looked at the origin itself. @default {false} */
  readonly anyOrigin?: boolean;
}

/** What is behind a request that was refused. */
const NO_SOCKET: PlatformSocket = {
  binaryType: "arraybuffer",
  bufferedAmount: 0,
  protocol: "",
  readyState: WebSocket.CLOSED,
  send() {},
  close() {},
  addEventListener() {},
};

/**
 * Takes over the connection of an `upgrade` event of `node:http`. Resolves when the WebSocket is open.
 *
 * @throws {ProtocolError} (as a rejection) where the client was refused; it has been told why
 *
 * @example
 * ```ts
 * import { connectWebSocket, upgradeWebSocket } from "@vgo/vnet/websocket";
 * import { assertEquals } from "@std/assert";
 * import { createServer } from "node:http";
 *
 * const http = createServer((_request, response) => void response.end("plain HTTP"));
 * http.on("upgrade", (request, socket, head) => {
 *   upgradeWebSocket(request, socket, head, { onMessage: (message, ws) => ws.send(message) });
 * });
 * const { promise, resolve } = Promise.withResolvers<number>();
 * http.listen(0, "127.0.0.1", () => {
 *   const address = http.address();
 *   if (address !== null && typeof address === "object") resolve(address.port);
 * });
 *
 * const ws = await connectWebSocket(`ws://127.0.0.1:${await promise}`);
 * await ws.send("hello");
 * for await (const message of ws) {
 *   assertEquals(message, "hello");
 *   break;
 * }
 * await ws.close();
 * http.close();
 * ```
 */
export function upgradeWebSocket(
  request: NodeUpgradeRequest,
  socket: NodeUpgradeSocket,
  head: Uint8Array,
  options?: WebSocketUpgradeOptions,
): Promise<WebSocketConn>;
/**
 * Answers a request in a handler of `Deno.serve`. The WebSocket is the runtime's own: what it cannot do is
 * in `missing`. A request that must be refused gives the response that says so, and a socket that has
 * ended.
 *
 * @example
 * ```ts
 * import { connectWebSocket, upgradeWebSocket } from "@vgo/vnet/websocket";
 * import { assertEquals } from "@std/assert";
 *
 * const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
 *   const { socket, response } = upgradeWebSocket(request, {
 *     onMessage: (message, ws) => ws.send(message),
 *   });
 *   assertEquals(socket.missing.includes("ping"), true);
 *   return response;
 * });
 *
 * const ws = await connectWebSocket(`ws://127.0.0.1:${server.addr.port}`);
 * await ws.send("hello");
 * for await (const message of ws) {
 *   assertEquals(message, "hello");
 *   break;
 * }
 * await ws.close();
 * await server.shutdown();
 * ```
 */
export function upgradeWebSocket(request: Request, options?: NativeUpgradeOptions): UpgradedRequest;
export function upgradeWebSocket(
  request: Request | NodeUpgradeRequest,
  second?: NodeUpgradeSocket | NativeUpgradeOptions,
  head?: Uint8Array,
  options: WebSocketUpgradeOptions = {},
): Promise<WebSocketConn> | UpgradedRequest {
  if (request instanceof Request) {
    return upgradeNative(request, isSocket(second) ? {} : second ?? {});
  }
  if (!isSocket(second)) {
    throw new TypeError("Cannot upgrade as the socket of the 'upgrade' event must be given");
  }
  return upgradeNode(request, second, head ?? new Uint8Array(0), options);
}

async function upgradeNode(
  { method = "", url = "", httpVersion, rawHeaders }: NodeUpgradeRequest,
  socket: NodeUpgradeSocket,
  head: Uint8Array,
  options: WebSocketUpgradeOptions,
): Promise<WebSocketConn> {
  const transport: ByteTransport = new NodeTransport(socket, head);
  const fields = new HeaderFields();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) fields.add(rawHeaders[i]!, rawHeaders[i + 1]!);
  const request: HttpHead = { line: [method, url, `HTTP/${httpVersion}`], fields };
  const gate = {
    settings: resolveSettings(options),
    options,
    env: systemEnv,
    callbacks: new Callbacks(options.logger, undefined),
    secure: "encrypted" in socket && socket.encrypted === true,
    hasRoute: () => true,
    handshakeTimeout: resolveServe(options).handshakeTimeout,
  };
  const opened = await admit(transport, new ByteQueue(), gate, request);
  opened.start();
  return opened;
}

function upgradeNative(request: Request, options: NativeUpgradeOptions): UpgradedRequest {
  const settings = resolveSettings(options);
  const { env, asked, refusal } = judge(request, options);
  const url = request.url.replace(/^http/, "ws");
  const common = { id: env.newId(), url, settings, options, clock: env.clock, request };
  if (refusal !== undefined) {
    const { status, message, headers } = refusal;
    // It was never open, so there is nothing that the callbacks could be told.
    const socket = new NativeWebSocket({ ...common, options: {}, socket: NO_SOCKET });
    socket.abort(refusal);
    return { socket, response: new Response(`${message}\n`, { status, headers: { ...headers } }) };
  }
  const { pingInterval } = settings;
  const protocol = agreeOn(asked?.protocols ?? [], settings.protocols);
  const { socket, response } = Deno.upgradeWebSocket(request, {
    protocol,
    // The runtime pings at half of this time, in seconds, and gives up when it is over.
    idleTimeout: pingInterval === Infinity ? 0 : Math.max(1, Math.ceil(pingInterval / 500)),
  });
  return { socket: new NativeWebSocket({ ...common, protocol, socket }), response };
}

function judge(
  request: Request,
  { anyOrigin = false }: NativeUpgradeOptions,
): {
  readonly env: typeof systemEnv;
  readonly asked?: UpgradeRequest;
  readonly refusal?: HttpError;
} {
  const fields = new HeaderFields();
  for (const [name, value] of request.headers) fields.add(name, value);
  const { pathname, search } = new URL(request.url);
  try {
    const asked = readUpgrade({ line: [request.method, pathname + search, "HTTP/1.1"], fields });
    if (anyOrigin || isSameHost(asked)) return { env: systemEnv, asked };
    const refusal = new HttpError(403, "Cannot accept request as its origin must be this host");
    return { env: systemEnv, refusal };
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    return { env: systemEnv, refusal: error };
  }
}

function isSocket(value: unknown): value is NodeUpgradeSocket {
  return typeof value === "object" && value !== null && "destroy" in value && "unshift" in value;
}
