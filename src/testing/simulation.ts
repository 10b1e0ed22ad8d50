/**
 * A whole world for a test: time, chance and network, all from one seed.
 *
 * Owns the driving of time and the account of what was left behind at the end. The network is in
 * `network.ts`.
 *
 * 1. One seed, one course of events: nothing here reads real time or real chance.
 * 2. After disposal nothing of it is set or open, or disposal has thrown and named what is.
 */
import { Addr, type Address } from "../base/addr.ts";
import type {
  Adoptable,
  ByteTransport,
  Runtime,
  TransportListener,
  WaitOptions,
} from "../base/types.ts";
import { ManualClock, settle } from "./clock.ts";
import type { Faults, Link } from "./faults.ts";
import { type DialMode, VirtualNetwork } from "./network.ts";
import { Random } from "./random.ts";
import { Trace } from "./trace.ts";

/** What a simulation is made with. */
export interface SimulationOptions {
  /** A safe integer; each gives another course of events. @default {1} */
  readonly seed?: number;
  /** What each connection starts with; also how long a dial takes. @default {{}} */
  readonly faults?: Faults;
}

/** A link of a simulation: it knows the addresses of its two ends. */
export interface SimulatedLink extends Link {
  /** Address of the end that dialled: no other connection has it at the same time. */
  readonly localAddr: Addr;
  /** Address that it dialled. */
  readonly remoteAddr: Addr;
}

/** What has the addresses of a connection: a peer, or the connection itself. */
export interface Located {
  /** Address of this end. */
  readonly localAddr?: unknown;
  /** Address of the other end. */
  readonly remoteAddr?: unknown;
}

/** How long a disposal lets what was aborted come to its end, in virtual ms. */
const LAST_WAIT = 20_000;
const HOUR = 3_600_000;

/**
 * A seeded world: give it to both ends as `runtime`, and keep their real addresses. Time stands still
 * until `run` or `advance` lets it pass, and then takes no real time.
 *
 * Dials are matched to listeners by port, whatever the hostname, or by the path of a Unix socket.
 * Every transport is carried as plain bytes. `reusePort` is not simulated. What waits for real
 * time, files or sockets cannot be driven.
 *
 * `await using` ends it: clients and servers that are still there are aborted, and if a timer, a
 * connection or a dial is left after that, the disposal throws.
 *
 * @example
 * ```ts
 * import { Addr } from "@vgo/vnet";
 * import { Simulation } from "@vgo/vnet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * await using sim = new Simulation({ seed: 7, faults: { delay: 20 } });
 * const server = await sim.listen(Addr.parse("tcp://0.0.0.0:9966"));
 * const conn = await sim.run(sim.dial(Addr.parse("tcp://server:9966")));
 * assertEquals(sim.clock.now(), 20);
 *
 * for await (const accepted of server) {
 *   accepted.close();
 *   break;
 * }
 * assertEquals(await sim.run(conn.read(new Uint8Array(8))), null);
 * conn.close();
 * ```
 */
export class Simulation implements Runtime, AsyncDisposable {
  /** The seed, to be told when a test fails. */
  readonly seed: number;
  /** The world's time. */
  readonly clock: ManualClock = new ManualClock();
  readonly #random: Random;
  readonly #trace = new Trace();
  readonly #network: VirtualNetwork;
  readonly #adopted = new Set<Adoptable>();
  readonly #sleeps = new Set<Disposable>();

  /** Makes a world in which nobody listens. */
  constructor(options: SimulationOptions = {}) {
    const { seed = 1, faults = {} } = options;
    this.seed = seed;
    this.#random = new Random(seed);
    this.#network = new VirtualNetwork({
      clock: this.clock,
      seed,
      faults,
      trace: this.#trace,
    });
  }

  /** What each connection to come starts with, and how long a dial takes. */
  get faults(): Faults {
    return this.#network.faults;
  }

  set faults(faults: Faults) {
    this.#network.faults = faults;
  }

  /** The connections that are not closed at both ends, oldest first. */
  get links(): readonly SimulatedLink[] {
    return [...this.#network.links.values()];
  }

  /**
   * What has happened on the network so far, with its instants and bytes, as one number: the same
   * program with the same seed always comes to the same.
   */
  get traceHash(): number {
    return this.#trace.hash;
  }

  /** A number in [0, 1), drawn from the seed. */
  random(): number {
    return this.#random.next();
  }

  /**
   * Opens a connection. It takes the present `delay` and `jitter`; with 512 connections waiting to
   * be accepted, it waits.
   *
   * @throws {ConnectError} `REFUSED` where nobody listens, `TIMEOUT` where nobody answers in time
   */
  dial(addr: Addr, options: WaitOptions = {}): Promise<ByteTransport> {
    return this.#network.dial(addr, options);
  }

  /**
   * Starts to listen; port 0 stands for a free one.
   *
   * @throws {ConnectError} `ADDRESS_IN_USE`
   */
  listen(addr: Addr): Promise<TransportListener> {
    return this.#network.listen(addr);
  }

  /** Takes charge of a client or server: disposal aborts it if it has not ended by then. */
  adopt(resource: Adoptable): void {
    this.#adopted.add(resource);
    resource.closed.then(() => this.#adopted.delete(resource));
  }

  /**
   * The link that a peer is connected by at present; either end's peer will do.
   *
   * @throws {Error} where it has none
   */
  link(peer: Located): SimulatedLink {
    const { links } = this.#network;
    const link = links.get(`${peer.localAddr}`) ?? links.get(`${peer.remoteAddr}`);
    if (link !== undefined) return link;
    throw new Error(
      `Cannot find link as the peer must be connected: current addresses are ${peer.localAddr} and ${peer.remoteAddr}`,
    );
  }

  /**
   * Says what becomes of dials to an address from now on, and of those that wait: `"refuse"`, `"hang"`
   * as if it were behind a black hole, or `"answer"` as at first. Connections are not touched.
   */
  setDialMode(address: Address, mode: DialMode): void {
    this.#network.setDialMode(Addr.parse(address), mode);
  }

  /**
   * Lets time pass until `work` settles, and gives its result.
   *
   * @throws {Error} where `work` can never settle since nothing is set, or has not within `timeout`
   *   ms of virtual time, an hour by default
   * @throws what `work` rejects with, or what a timer throws
   */
  async run<T>(work: Promise<T>, options: { readonly timeout?: number } = {}): Promise<T> {
    const { timeout = HOUR } = options;
    const limit = this.clock.now() + timeout;
    let settled = false;
    const onSettled = () => {
      settled = true;
    };
    work.then(onSettled, onSettled);
    await settle();
    while (!settled) {
      if (await this.clock.step(limit)) continue;
      const why = this.clock.pending === 0
        ? "no timer is set that could lead to it"
        : `it must settle within ${timeout} ms of virtual time`;
      throw new Error(`Cannot run work to its end as ${why} (seed ${this.seed})`);
    }
    return work;
  }

  /** Lets `ms` of virtual time pass, as {@linkcode ManualClock.advance} does. */
  advance(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  /** Resolves when `ms` of virtual time have passed; never, if the simulation ends before. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.clock.setTimer(this.clock.now() + ms, () => {
        this.#sleeps.delete(timer);
        resolve();
      });
      this.#sleeps.add(timer);
    });
  }

  /**
   * Aborts what has not ended, gives it up to 20 s of virtual time, and cancels sleeps.
   *
   * @throws {Error} which names what is left: timers, connections, dials, clients or servers
   */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const resource of [...this.#adopted]) resource.abort(new Error("Simulation has ended"));
    await this.#quieten(this.clock.now() + LAST_WAIT);
    this.#network.close();
    await this.#quieten(this.clock.now());
    for (const sleep of this.#sleeps) sleep[Symbol.dispose]();
    this.#sleeps.clear();
    const leaks = this.#leaks();
    if (leaks.length === 0) return;
    throw new Error(
      `Cannot end simulation as nothing may be left of it (seed ${this.seed}): current leaks are ${
        leaks.join("; ")
      }`,
    );
  }

  async #quieten(limit: number): Promise<void> {
    await settle();
    while (!this.#quiet && await this.clock.step(limit));
  }

  get #quiet(): boolean {
    const { links, dials } = this.#network;
    return this.clock.pending === this.#sleeps.size && links.size + dials.size === 0 &&
      this.#adopted.size === 0;
  }

  #leaks(): string[] {
    const leaks: string[] = [];
    const timers = this.clock.pending - this.#sleeps.size;
    if (timers > 0) leaks.push(`${timers} timer${timers === 1 ? "" : "s"}`);
    for (const { near, far } of this.#network.links.values()) {
      const open = near.closed ? "accepting" : far.closed ? "dialling" : "dialling and accepting";
      leaks.push(`connection ${near.localAddr} to ${near.remoteAddr}, open at the ${open} end`);
    }
    for (const { addr } of this.#network.dials) leaks.push(`dial to ${addr}`);
    if (this.#adopted.size > 0) leaks.push(`${this.#adopted.size} aborted but not closed`);
    return leaks;
  }
}
