/**
 * Serving WebSockets on the system's network.
 *
 * Owns what an address means: where to listen, and at which path a WebSocket is.
 */
import { Addr, type Address } from "../base/addr.ts";
import type { TransportListener } from "../base/types.ts";
import { listenTransport } from "../net/tcp.ts";
import { Callbacks } from "./callbacks.ts";
import { systemEnv } from "./deno_env.ts";
import { type Door, SocketServer } from "./server.ts";
import { resolveServe, resolveSettings } from "./settings.ts";
import type { WebSocketServeOptions, WebSocketServer } from "./types.ts";

/** One listener, and the paths that are served there. */
interface Binding {
  readonly addr: Addr;
  readonly paths: string[];
}

/**
 * Serves WebSockets. The path of an address is the route: `"ws://127.0.0.1:8080/chat"` answers requests
 * for other paths with 404, an address without a path serves all of them. Addresses of one host and
 * port share a listener. `wss` needs `tls`.
 *
 * @throws {ConnectError} where an address cannot be bound; none of the others is then
 * @throws {TypeError | RangeError} where an address or an option makes no sense
 *
 * @example
 * ```ts
 * import { connectWebSocket, serveWebSocket } from "@vgo/vnet/websocket";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await serveWebSocket("ws://127.0.0.1:0/chat", {
 *   protocols: ["chat"],
 *   accept: (request) => request.headers.get("authorization") === "Bearer s3cret",
 *   onOpen: (ws) => ws.send("welcome"),
 * });
 * await using ws = await connectWebSocket(server.addr, {
 *   protocols: ["chat"],
 *   headers: { authorization: "Bearer s3cret" },
 * });
 * assertEquals(ws.protocol, "chat");
 * for await (const message of ws) {
 *   assertEquals(message, "welcome");
 *   break;
 * }
 * assertEquals(server.broadcast("to all"), 1);
 * ```
 */
export async function serveWebSocket(
  address: Address | readonly Address[],
  options: WebSocketServeOptions = {},
): Promise<WebSocketServer> {
  const settings = resolveSettings(options);
  const serving = resolveServe(options);
  const bindings = bindingsOf(isList(address) ? address : [address]);
  options.signal?.throwIfAborted();
  const callbacks = new Callbacks(options.logger, undefined);
  const doors: Door[] = [];
  const addrs: Addr[] = [];
  try {
    for (const { addr, paths } of bindings) {
      const secure = addr.transport === "wss";
      const listener = await listen(addr, secure, options);
      const { handshakeTimeout } = serving;
      const hasRoute = (path: string) => paths.includes("") || paths.includes(path);
      const gate = {
        settings,
        options,
        env: systemEnv,
        callbacks,
        secure,
        hasRoute,
        handshakeTimeout,
      };
      doors.push({ listener, gate });
      const { port } = Addr.of(listener.addr);
      for (const path of paths) addrs.push(Addr.parse({ ...addr, port, path }));
    }
  } catch (error) {
    await Promise.all(doors.map(({ listener }) => listener.close()));
    throw error;
  }
  return new SocketServer({ env: systemEnv, doors, addrs, serving, options });
}

function bindingsOf(addresses: readonly Address[]): Binding[] {
  if (addresses.length === 0) {
    throw new TypeError("Cannot serve WebSockets as there must be an address: current value is []");
  }
  const bindings: Binding[] = [];
  for (const address of addresses) {
    const { transport, hostname, port, path } = Addr.parse(address);
    const scheme = transport === "tcp" ? "ws" : transport === "tls" ? "wss" : transport;
    if (scheme !== "ws" && scheme !== "wss") {
      throw new TypeError(
        `Cannot serve WebSockets as the address must be one of ws or wss: current value is ${transport}`,
      );
    }
    const route = path.replace(/[?#].*$/, "");
    const addr = Addr.parse({ transport: scheme, hostname, port });
    // Port 0 is another one each time.
    const known = bindings.find((binding) => port !== 0 && binding.addr.toString() === `${addr}`);
    if (known === undefined) bindings.push({ addr, paths: [route] });
    else if (!known.paths.includes(route)) known.paths.push(route);
  }
  return bindings;
}

async function listen(
  addr: Addr,
  secure: boolean,
  { tls, handshakeTimeout = 5_000, maxHandshakes = 512 }: WebSocketServeOptions,
): Promise<TransportListener> {
  const { hostname, port } = addr;
  if (!secure) return await listenTransport(Addr.parse({ hostname, port }));
  if (tls === undefined) {
    throw new TypeError(`Cannot listen on ${addr} as 'tls' must give a certificate and its key`);
  }
  const { listenTlsTransport } = await import("../net/tls_listen.ts");
  const options = { tls, handshakeTimeout, maxPending: maxHandshakes };
  return await listenTlsTransport(Addr.parse({ transport: "tls", hostname, port }), options);
}

function isList(address: Address | readonly Address[]): address is readonly Address[] {
  return Array.isArray(address);
}
