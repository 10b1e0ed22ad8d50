/**
 * One socket, one connection per sender: what `accept` is to TCP, without a handshake.
 *
 * Owns the table of senders. A source address can be forged, so each costs a bounded amount and is
 * forgotten when nothing has come from it or gone to it for a while.
 *
 * 1. At most `maxPeers` at once; datagrams of one more are dropped and counted.
 * 2. All queues together hold at most `maxQueuedBytes`.
 * 3. Connections end with the listener, since the socket does; a connection that ends leaves it open.
 */
import type { Addr, Address } from "../base/addr.ts";
import { ClosedError } from "../base/errors.ts";
import type { CloseInfo, CloseOptions } from "../base/lifecycle.ts";
import { RESOLVED } from "../base/resolved.ts";
import type { WaitOptions } from "../base/types.ts";
import { Endpoint } from "./endpoint.ts";
import { checkedGrace, closedError, infoOf, requireUnstableNet } from "./failures.ts";
import { udpAddr } from "./ip.ts";
import {
  bind,
  checkedSettings,
  demand,
  makeLoop,
  outletOf,
  type Outside,
  type Settings,
  system,
} from "./open.ts";
import type { SocketLoop } from "./socket_loop.ts";
import type { ListenUdpPeersOptions, UdpConn, UdpListener } from "./types.ts";
import { WaitLine } from "./wait_line.ts";

interface Entry {
  readonly endpoint: Endpoint;
  /** When it was last heard or spoken to. */
  activeAt: number;
}

/** See `../udp.ts`. */
export function openPeers(
  address: Address,
  options: ListenUdpPeersOptions,
  outside: Outside = system(),
): UdpListener {
  requireUnstableNet();
  const local = udpAddr(address);
  const { idleTimeout = 60_000, maxPeers = 1_024, acceptTimeout = Infinity } = options;
  const settings = checkedSettings(options, outside);
  demand("idleTimeout", idleTimeout, idleTimeout > 0, "above 0");
  demand("maxPeers", maxPeers, maxPeers >= 1 && maxPeers < Infinity, "a number from 1");
  demand("acceptTimeout", acceptTimeout, acceptTimeout >= 0, "at least 0");
  const loop = makeLoop(bind(local, options, outside), settings);
  return new PeerTable(loop, settings, idleTimeout, maxPeers, acceptTimeout);
}

class PeerTable implements UdpListener {
  readonly closed: Promise<CloseInfo>;
  readonly #loop: SocketLoop;
  readonly #settings: Settings;
  readonly #idleTimeout: number;
  readonly #maxPeers: number;
  readonly #entries = new Map<string, Entry>();
  /** Those that nobody has accepted. */
  readonly #arrivals = new Set<Endpoint>();
  readonly #acceptors: WaitLine<Endpoint>;
  readonly #resolveClosed: (info: CloseInfo) => void;
  #sweepTimer: Disposable | undefined;
  #dropped = 0;
  #info: CloseInfo | undefined;

  constructor(
    loop: SocketLoop,
    settings: Settings,
    idleTimeout: number,
    maxPeers: number,
    acceptTimeout: number,
  ) {
    const { promise, resolve } = Promise.withResolvers<CloseInfo>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#loop = loop;
    this.#settings = settings;
    this.#idleTimeout = idleTimeout;
    this.#maxPeers = maxPeers;
    const { clock, dateNow } = settings;
    this.#acceptors = new WaitLine({
      clock,
      dateNow,
      action: "accept",
      timeout: acceptTimeout,
      occupied: (yes) => loop.hold(yes),
    });
    loop.run({
      deliver: (data, from) => this.#deliver(data, from),
      lost: (error) => this.#fail(infoOf("LINK_LOST", "local", error)),
    });
  }

  get addr(): Addr {
    return this.#loop.localAddr;
  }

  get peers(): number {
    return this.#entries.size;
  }

  get dropped(): number {
    return this.#dropped;
  }

  get acceptTimeout(): number {
    return this.#acceptors.timeout;
  }

  set acceptTimeout(ms: number) {
    this.#acceptors.timeout = ms;
  }

  setAcceptDeadline(at: number | Date): void {
    this.#acceptors.setDeadline(at);
  }

  async accept(options: WaitOptions = {}): Promise<UdpConn> {
    if (this.#info !== undefined) throw closedError("accept", "listener", this.#info);
    this.#acceptors.check(options.signal);
    for (const endpoint of this.#arrivals) {
      this.#arrivals.delete(endpoint);
      return endpoint;
    }
    return await this.#acceptors.enter(options).promise;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<UdpConn, void> {
    while (true) {
      let conn: UdpConn;
      try {
        conn = await this.accept();
      } catch (error) {
        if (error instanceof ClosedError && error.code === "NORMAL") return;
        throw error;
      }
      yield conn;
    }
  }

  async close(options: CloseOptions = {}): Promise<CloseInfo> {
    if (this.#info !== undefined) return await this.closed;
    const { reason = "" } = options;
    checkedGrace(options);
    const info = this.#stop({ code: "NORMAL", reason, initiator: "local" });
    await Promise.all([...this.#entries.values()].map(({ endpoint }) => endpoint.close(options)));
    await this.#finish(info);
    return await this.closed;
  }

  abort(reason?: unknown): void {
    this.#fail(infoOf("ABORTED", "local", reason));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #deliver(data: Uint8Array, from: Addr): void {
    if (this.#info !== undefined) return;
    const entry = this.#entries.get(from.host) ?? this.#admit(from);
    if (entry === undefined) {
      this.#dropped++;
      return;
    }
    entry.activeAt = this.#settings.clock.now();
    const before = entry.endpoint.dropped;
    entry.endpoint.deliver(data, from);
    this.#dropped += entry.endpoint.dropped - before;
  }

  #admit(from: Addr): Entry | undefined {
    if (this.#entries.size >= this.#maxPeers) return undefined;
    const loop = this.#loop;
    const endpoint = new Endpoint({
      ...this.#settings,
      remoteAddr: from,
      outlet: {
        ...outletOf(loop),
        // What the network reports belongs to the socket, to no peer in particular.
        networkErrors: 0,
        send: (data, to) => {
          entry.activeAt = this.#settings.clock.now();
          return loop.socket.send(data, to);
        },
        end: () => {
          this.#entries.delete(from.host);
          this.#arrivals.delete(endpoint);
          return RESOLVED;
        },
      },
    });
    const entry: Entry = { endpoint, activeAt: this.#settings.clock.now() };
    this.#entries.set(from.host, entry);
    if (this.#entries.size === 1) this.#sweepLater();
    const acceptor = this.#acceptors.first();
    if (acceptor === undefined) this.#arrivals.add(endpoint);
    else acceptor.resolve(endpoint);
    return entry;
  }

  /** One timer for all: a peer may live a quarter longer than it must. */
  #sweepLater(): void {
    if (this.#idleTimeout === Infinity) return;
    const { clock } = this.#settings;
    this.#sweepTimer?.[Symbol.dispose]();
    this.#sweepTimer = clock.setTimer(
      clock.now() + this.#idleTimeout / 4,
      () => this.#sweep(),
      true,
    );
  }

  #sweep(): void {
    const since = this.#settings.clock.now() - this.#idleTimeout;
    for (const { endpoint, activeAt } of this.#entries.values()) {
      if (activeAt > since) continue;
      const reason = `Nothing came or went for ${this.#idleTimeout} ms`;
      endpoint.fail({ code: "NORMAL", reason, initiator: "network" });
    }
    if (this.#entries.size > 0) this.#sweepLater();
    else this.#sweepTimer = undefined;
  }

  #fail(info: CloseInfo): void {
    if (this.#info !== undefined && this.#entries.size === 0) return;
    this.#stop(info);
    for (const { endpoint } of this.#entries.values()) endpoint.fail(info);
    this.#finish(info);
  }

  /** No more come in. */
  #stop(info: CloseInfo): CloseInfo {
    this.#info = info;
    this.#sweepTimer?.[Symbol.dispose]();
    this.#arrivals.clear();
    this.#acceptors.refuseAll(closedError("accept", "listener", info));
    return info;
  }

  async #finish(info: CloseInfo): Promise<void> {
    await this.#loop.close();
    this.#resolveClosed(info);
  }
}
