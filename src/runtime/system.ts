/**
 * The system's runtime: real time, real chance, real sockets. The code for TLS and WebSocket is loaded
 * when it is first used: most programs never need it.
 */
import type {
  Clock,
  DialOptions,
  ListenOptions,
  Runtime,
  Transport,
  TransportListener,
} from "../base/types.ts";
import type { Addr } from "../base/addr.ts";
import { SystemClock, SystemRandom } from "../net/clock.ts";
import { dialTransport, listenTransport } from "../net/tcp.ts";

class SystemRuntime implements Runtime {
  readonly clock: Clock = new SystemClock();
  readonly #random = new SystemRandom();

  random(): number {
    return this.#random.next();
  }

  async dial(addr: Addr, options: DialOptions): Promise<Transport> {
    demandSockets("dial", addr);
    if (addr.transport === "tls") {
      const { dialTlsTransport } = await import("../net/tls_dial.ts");
      return await dialTlsTransport(addr, options);
    }
    if (addr.transport === "ws" || addr.transport === "wss") {
      const { dialWebSocketTransport } = await import("../websocket/deno_session.ts");
      return await dialWebSocketTransport(addr, options);
    }
    return await dialTransport(addr, options);
  }

  async listen(addr: Addr, options: ListenOptions): Promise<TransportListener> {
    demandSockets("listen on", addr);
    const { tls } = options;
    if (addr.transport === "tls") {
      if (tls === undefined) {
        throw new TypeError(
          `Cannot listen on ${addr} as 'tls' must give a certificate and its key`,
        );
      }
      const { listenTlsTransport } = await import("../net/tls_listen.ts");
      return await listenTlsTransport(addr, { ...options, tls });
    }
    if (addr.transport === "ws" || addr.transport === "wss") {
      const { listenWebSocketTransport } = await import("../websocket/deno_session.ts");
      return await listenWebSocketTransport(addr, options);
    }
    return await listenTransport(addr, options);
  }
}

let system: Runtime | undefined;

/** The runtime of whoever brings none. It is made when first asked for, and holds timers only. */
export function systemRuntime(): Runtime {
  return system ??= new SystemRuntime();
}

function demandSockets(what: string, addr: Addr): void {
  if (["tcp", "tls", "unix", "ws", "wss"].includes(addr.transport)) return;
  throw new TypeError(
    `Cannot ${what} ${addr} as sessions have the transports tcp, tls, unix, ws and wss: current value is ${addr.transport}`,
  );
}
