/**
 * What servers and peers count, as metrics.
 *
 * 1. It is read when a reader asks, so that nothing is on the path of a message, and no event can be
 *    missed.
 * 2. Sums never go back: what has ended leaves its counts behind.
 * 3. There is one table for each provider, since of two callbacks that observe the same attributes only
 *    one is heard.
 */
import type { BatchObservableResult, Meter, MeterProvider, Observable } from "@opentelemetry/api";
import type { Side } from "../base/types.ts";
import type { PeerState } from "../peer/owner.ts";
import { METER } from "./instruments.ts";

/** What has flowed through what is observed. */
export interface ObservedTraffic {
  /** Bytes received, framing included. */
  readonly bytesIn: number;
  /** Bytes sent, framing included. */
  readonly bytesOut: number;
  /** Messages received. */
  readonly messagesIn: number;
  /** Messages sent. */
  readonly messagesOut: number;
}

/** What `observe` needs of a server: any `Server` fits. */
export interface ObservedServer {
  /** Who is here. */
  readonly peers: { readonly size: number };
  /** What it has done so far. */
  stats(): ObservedTraffic;
  /** Settles when it has ended. */
  readonly closed: Promise<unknown>;
}

/** What `observe` needs of a peer: any `Client` fits, and what `attach` gives. */
export interface ObservedPeer {
  /** Which end it is. */
  readonly side: Side;
  /** Where it is in its life. */
  readonly state: PeerState;
  /** What has flowed so far. */
  readonly stats: ObservedTraffic;
  /** Settles when it has ended. */
  readonly closed: Promise<unknown>;
}

/** Where the counts of a meter provider are. */
export function trafficOf(provider: MeterProvider): Traffic {
  let traffic = known.get(provider);
  if (traffic === undefined) known.set(provider, traffic = new Traffic(provider.getMeter(METER)));
  return traffic;
}

const known = new WeakMap<MeterProvider, Traffic>();

/** All that one meter provider is told. */
class Traffic {
  readonly #sides = new Map<Side, Observed>();
  readonly #connections: Observable;
  readonly #io: Observable;
  readonly #messages: Observable;

  constructor(meter: Meter) {
    this.#connections = meter.createObservableUpDownCounter("vnet.connections", {
      description: "Connections that are open",
      unit: "{connection}",
    });
    this.#io = meter.createObservableCounter("vnet.network.io", {
      description: "Bytes received and sent, framing included",
      unit: "By",
    });
    this.#messages = meter.createObservableCounter("vnet.messages", {
      description: "Messages received and sent",
      unit: "{message}",
    });
    const all = [this.#connections, this.#io, this.#messages];
    meter.addBatchObservableCallback((result) => this.#tell(result), all);
  }

  /** Counts what flows through it, until it ends or is let go. */
  observe(target: ObservedServer | ObservedPeer): Disposable {
    const side = "side" in target ? target.side : "server";
    let observed = this.#sides.get(side);
    if (observed === undefined) this.#sides.set(side, observed = new Observed());
    return observed.add(target);
  }

  #tell(result: BatchObservableResult): void {
    for (const [side, observed] of this.#sides) {
      const { connections, bytesIn, bytesOut, messagesIn, messagesOut } = observed.sum();
      const received = { "vnet.side": side, "network.io.direction": "receive" };
      const sent = { "vnet.side": side, "network.io.direction": "transmit" };
      result.observe(this.#connections, connections, { "vnet.side": side });
      result.observe(this.#io, bytesIn, received);
      result.observe(this.#io, bytesOut, sent);
      result.observe(this.#messages, messagesIn, received);
      result.observe(this.#messages, messagesOut, sent);
    }
  }
}

/** All servers, or all clients, of one process. */
class Observed {
  readonly #here = new Set<ObservedServer | ObservedPeer>();
  readonly #gone = { bytesIn: 0, bytesOut: 0, messagesIn: 0, messagesOut: 0 };

  add(target: ObservedServer | ObservedPeer): Disposable {
    this.#here.add(target);
    const leave = () => {
      if (this.#here.delete(target)) addTraffic(this.#gone, trafficThrough(target));
    };
    target.closed.then(leave, leave);
    return { [Symbol.dispose]: leave };
  }

  sum(): ObservedTraffic & { readonly connections: number } {
    const sum = { ...this.#gone, connections: 0 };
    for (const target of this.#here) {
      addTraffic(sum, trafficThrough(target));
      sum.connections += connectionsOf(target);
    }
    return sum;
  }
}

function trafficThrough(target: ObservedServer | ObservedPeer): ObservedTraffic {
  return typeof target.stats === "function" ? target.stats() : target.stats;
}

function connectionsOf(target: ObservedServer | ObservedPeer): number {
  if ("peers" in target) return target.peers.size;
  return target.state === "open" || target.state === "draining" ? 1 : 0;
}

function addTraffic(
  sum: { bytesIn: number; bytesOut: number; messagesIn: number; messagesOut: number },
  { bytesIn, bytesOut, messagesIn, messagesOut }: ObservedTraffic,
): void {
  sum.bytesIn += bytesIn;
  sum.bytesOut += bytesOut;
  sum.messagesIn += messagesIn;
  sum.messagesOut += messagesOut;
}
