/**
 * A proxy on real sockets that does to each connection what a bad network would.
 *
 * Owns a listening socket and two sockets for each connection; between them lies a virtual link,
 * which does the damage. Works on `node:net`, the only way to send a real reset.
 */
import type { Server, Socket } from "node:net";
import { Addr, type Address } from "../base/addr.ts";
import { Bridge } from "./bridge.ts";
import { type Faults, type Link, resolveFaults } from "./faults.ts";
import { NodeSocket } from "./node_socket.ts";
import { checkSeed } from "./random.ts";
import { realClock } from "./real_clock.ts";
import { VirtualLink } from "./virtual_link.ts";

/** Options of {@linkcode faultProxy}. */
export interface FaultProxyOptions {
  /** A safe integer; each gives other jitter, slices and flips. @default {1} */
  readonly seed?: number;
  /** What each connection starts with. @default {{}} */
  readonly faults?: Faults;
}

/** A running proxy. Disposal closes it with all its connections. */
export interface FaultProxy extends AsyncDisposable {
  /** Where to dial instead of the target: 127.0.0.1 and a free port. */
  readonly addr: Addr;
  /**
   * The connections that live, oldest first. Up is towards the target. One that was just dialled is
   * surely there once a byte has come through.
   */
  readonly links: readonly Link[];
}

/**
 * Starts a TCP proxy on 127.0.0.1 in front of `target`, a `tcp` address or a `unix` one. It knows no
 * protocol, so TLS and WebSocket pass through it.
 *
 * A reset is a real one, at both ends: after `cut("reset")`, when either end resets its side, or when
 * the target refuses.
 *
 * @throws {TypeError} where `target` is no address
 * @throws {RangeError} where a fault or the seed is out of range
 *
 * @example
 * ```ts
 * import { faultProxy } from "@vgo/vnet/testing";
 * import { assertRejects } from "@std/assert";
 *
 * using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * await using proxy = await faultProxy(`tcp://127.0.0.1:${server.addr.port}`);
 *
 * using client = await Deno.connect({ hostname: "127.0.0.1", port: proxy.addr.port });
 * using accepted = await server.accept();
 * await client.write(new Uint8Array([1]));
 * await accepted.read(new Uint8Array(1));
 *
 * proxy.links[0]?.cut("reset");
 * await assertRejects(() => accepted.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
 * ```
 */
export async function faultProxy(
  target: Address,
  options: FaultProxyOptions = {},
): Promise<FaultProxy> {
  const { createServer, connect } = await import("node:net");
  const { seed = 1, faults = {} } = options;
  checkSeed(seed);
  const to = Addr.parse(target);
  const where = to.transport === "unix" ? { path: to.path } : { host: to.hostname, port: to.port };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  const proxy = new RunningProxy(server, { seed, faults: resolveFaults(faults) }, () => {
    return connect({ ...where, allowHalfOpen: true });
  });
  await proxy.start();
  return proxy;
}

class RunningProxy implements FaultProxy {
  readonly #server: Server;
  readonly #options: Required<FaultProxyOptions>;
  readonly #dial: () => Socket;
  readonly #links = new Map<VirtualLink, readonly Bridge[]>();
  readonly #dialling = new Set<Socket>();
  #count = 0;

  constructor(server: Server, options: Required<FaultProxyOptions>, dial: () => Socket) {
    this.#server = server;
    this.#options = options;
    this.#dial = dial;
    server.on("connection", (socket: Socket) => this.#accept(socket));
  }

  get addr(): Addr {
    const bound = this.#server.address();
    if (bound === null || typeof bound === "string") {
      throw new Error("Cannot tell address as the proxy must be open: current state is closed");
    }
    return Addr.parse({ hostname: bound.address, port: bound.port });
  }

  get links(): readonly Link[] {
    return [...this.#links.keys()];
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(0, "127.0.0.1", () => resolve());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stopped = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#dialling) socket.destroy();
    await Promise.all([...this.#links.values()].flat().map((bridge) => bridge.close()));
    await stopped;
  }

  #accept(client: Socket): void {
    const target = this.#dial();
    this.#dialling.add(client).add(target);
    const giveUp = () => {
      this.#dialling.delete(client);
      this.#dialling.delete(target);
      client.resetAndDestroy();
      target.destroy();
    };
    client.on("error", giveUp);
    target.on("error", giveUp);
    target.once("connect", () => {
      client.off("error", giveUp);
      target.off("error", giveUp);
      this.#dialling.delete(client);
      this.#dialling.delete(target);
      this.#join(new NodeSocket(client), new NodeSocket(target));
    });
  }

  #join(client: NodeSocket, target: NodeSocket): void {
    const link = new VirtualLink({
      ...this.#options,
      clock: realClock,
      id: this.#count++,
      nearAddr: Addr.of(undefined),
      farAddr: Addr.of(undefined),
      observe: (event) => {
        if (event === "over") this.#links.delete(link);
      },
    });
    this.#links.set(link, [
      new Bridge(client, link.near, link, () => client.reset()),
      new Bridge(target, link.far, link, () => target.reset()),
    ]);
  }
}
