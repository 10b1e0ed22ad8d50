/**
 * A network in memory: who listens where, who dials whom, and the connections between them.
 *
 * Owns ports, backlogs and dials that wait. Addresses are matched by port, whatever the hostname,
 * and by path for Unix sockets: a test keeps its real addresses.
 *
 * 1. Each connection has a client port of its own, so that the two ends can be told together.
 * 2. Every dial settles, or is in `dials`. Every connection with an end that its owner has not
 *    closed is in `links`.
 */
import { Addr } from "../base/addr.ts";
import { ConnectError } from "../base/errors.ts";
import type { ByteTransport, Clock, TransportListener, WaitOptions } from "../base/types.ts";
import { Dial } from "./dial.ts";
import { type Faults, type ResolvedFaults, resolveFaults } from "./faults.ts";
import { VirtualListener } from "./listener.ts";
import { Random } from "./random.ts";
import type { Trace } from "./trace.ts";
import { type LinkEvent, VirtualLink } from "./virtual_link.ts";

/**
 * What becomes of a dial: it is answered if somebody listens, it is refused at once, or nobody
 * answers for as long as this holds.
 */
export type DialMode = "answer" | "refuse" | "hang";

const FIRST_PORT = 32_768;
const LAST_PORT = 60_999;
const EVENTS: readonly LinkEvent[] = ["data", "end", "reset", "cut", "hold", "degrade", "over"];

/** The network. */
export class VirtualNetwork {
  /** Connections that are not over, by the address of the end that dialled. */
  readonly links = new Map<string, VirtualLink>();
  /** Dials that wait for an answer. */
  readonly dials = new Set<Dial>();
  readonly #clock: Clock;
  readonly #seed: number;
  readonly #random: Random;
  readonly #trace: Trace;
  readonly #listeners = new Map<string, VirtualListener>();
  readonly #modes = new Map<string, DialMode>();
  readonly #clientPorts = new Set<number>();
  #faults: ResolvedFaults;
  #nextPort = FIRST_PORT;
  #links = 0;

  constructor(
    options: { clock: Clock; seed: number; trace: Trace; faults: Faults },
  ) {
    this.#faults = resolveFaults(options.faults);
    this.#clock = options.clock;
    this.#seed = options.seed;
    this.#random = new Random(options.seed, -1);
    this.#trace = options.trace;
  }

  /** Faults of the connections to come. */
  get faults(): Faults {
    return this.#faults;
  }

  set faults(faults: Faults) {
    this.#faults = resolveFaults(faults);
  }

  /** Opens a connection. */
  dial(addr: Addr, options: WaitOptions): Promise<ByteTransport> {
    this.#record("dial", addr);
    const dial = new Dial(addr, options, this.#clock, () => this.dials.delete(dial));
    if (dial.settled) return dial.promise;
    this.dials.add(dial);
    const { delay, jitter } = this.#faults;
    dial.after(delay + jitter * this.#random.next(), () => this.#answer(dial));
    return dial.promise;
  }

  /** Starts to listen. */
  listen(addr: Addr): Promise<TransportListener> {
    const free = addr.transport !== "unix" && addr.port === 0;
    const bound = free ? Addr.parse({ ...addr, port: this.#freePort() }) : addr;
    if (this.#listeners.has(keyOf(bound)) || this.#clientPorts.has(bound.port)) {
      const message = `Cannot listen on ${addr} as its port must be free: current value is in use`;
      return Promise.reject(new ConnectError("ADDRESS_IN_USE", message));
    }
    const listener = new VirtualListener(bound, {
      roomy: () => this.#answerAll(keyOf(bound)),
      closed: () => this.#listeners.delete(keyOf(bound)),
    });
    this.#listeners.set(keyOf(bound), listener);
    this.#record("listen", bound);
    return Promise.resolve(listener);
  }

  /** Says what becomes of dials to `addr`, also of those that wait. */
  setDialMode(addr: Addr, mode: DialMode): void {
    this.#modes.set(keyOf(addr), mode);
    this.#answerAll(keyOf(addr));
  }

  /** Stops listening everywhere. */
  close(): void {
    for (const listener of [...this.#listeners.values()]) listener.close();
  }

  #answerAll(key: string): void {
    for (const dial of [...this.dials]) {
      if (dial.arrived && keyOf(dial.addr) === key) this.#answer(dial);
    }
  }

  /** Settles the dial, or leaves it waiting. */
  #answer(dial: Dial): void {
    const key = keyOf(dial.addr);
    const mode = this.#modes.get(key) ?? "answer";
    if (mode === "hang") return;
    const listener = this.#listeners.get(key);
    if (mode === "refuse" || listener === undefined) {
      this.#record("refuse", dial.addr);
      return dial.refuse();
    }
    if (listener.full) return;
    const link = this.#connect(dial.addr);
    listener.offer(link.far);
    dial.accept(link.near);
  }

  #connect(remote: Addr): VirtualLink {
    const id = this.#links++;
    const local = remote.transport === "unix"
      ? Addr.parse({ transport: "unix", path: `${remote.path}#${id + 1}` })
      : Addr.parse({ transport: remote.transport, port: this.#freePort() });
    this.#record("connect", local);
    const link = new VirtualLink({
      clock: this.#clock,
      seed: this.#seed,
      id: id + 1,
      faults: this.#faults,
      nearAddr: local,
      farAddr: remote,
      observe: (event, up, data) => {
        this.#trace.add(EVENTS.indexOf(event), this.#clock.now(), id, up ? 1 : 0);
        if (data !== undefined) this.#trace.bytes(data);
        if (event === "over") {
          this.links.delete(`${local}`);
          this.#clientPorts.delete(local.port);
        }
      },
    });
    this.links.set(`${local}`, link);
    this.#clientPorts.add(local.port);
    return link;
  }

  #freePort(): number {
    for (let tries = FIRST_PORT; tries <= LAST_PORT; tries++) {
      const port = this.#nextPort;
      this.#nextPort = port === LAST_PORT ? FIRST_PORT : port + 1;
      if (!this.#listeners.has(`${port}`) && !this.#clientPorts.has(port)) return port;
    }
    throw new ConnectError("ADDRESS_IN_USE", "Cannot find a free port as all of them are in use");
  }

  #record(event: string, addr: Addr): void {
    this.#trace.text(event);
    this.#trace.add(this.#clock.now());
    this.#trace.text(`${addr}`);
  }
}

function keyOf(addr: Addr): string {
  return addr.transport === "unix" ? addr.path : `${addr.port}`;
}
