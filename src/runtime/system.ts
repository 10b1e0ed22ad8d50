/**
 * The system's runtime: real time, real chance, real sockets.
 */
import type {
  Clock,
  ListenOptions,
  Runtime,
  Transport,
  TransportListener,
  WaitOptions,
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

  async dial(addr: Addr, options: WaitOptions): Promise<Transport> {
    demandSockets("dial", addr);
    return await dialTransport(addr, options);
  }

  async listen(addr: Addr, options: ListenOptions): Promise<TransportListener> {
    demandSockets("listen on", addr);
    return await listenTransport(addr, options);
  }
}

let system: Runtime | undefined;

/** The runtime of whoever brings none. It is made when first asked for, and holds timers only. */
export function systemRuntime(): Runtime {
  return system ??= new SystemRuntime();
}

function demandSockets(what: string, addr: Addr): void {
  if (addr.transport === "tcp" || addr.transport === "unix") return;
  throw new TypeError(
    `Cannot ${what} ${addr} as this version of vnet has the transports tcp and unix: current value is ${addr.transport}`,
  );
}
