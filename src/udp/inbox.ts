/**
 * Datagrams between the network, which does not wait, and readers, who may be slow.
 *
 * Owns the bound: what does not fit is dropped, the newest first, and counted. Knows no socket.
 */
import { Fifo } from "../base/fifo.ts";
import type { Datagram } from "./types.ts";
import type { WaitLine } from "./wait_line.ts";

/** A number of bytes that several queues share. */
export class ByteBudget {
  readonly #most: number;
  #used = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Whether so many more would fit. */
  fits(bytes: number): boolean {
    return this.#used + bytes <= this.#most;
  }

  /** Takes so many, or gives them back where `bytes` is negative. */
  take(bytes: number): void {
    this.#used += bytes;
  }
}

/** A bounded queue, and the line of those who wait at its end. */
export class Inbox {
  /** How many were let in. */
  received = 0;
  /** How many found no room. */
  dropped = 0;
  readonly #queue = new Fifo<Datagram>();
  readonly #maxQueued: number;
  readonly #budget: ByteBudget;
  readonly #readers: WaitLine<Datagram>;

  constructor(readers: WaitLine<Datagram>, maxQueued: number, budget: ByteBudget) {
    this.#readers = readers;
    this.#maxQueued = maxQueued;
    this.#budget = budget;
  }

  /** How many wait to be read. */
  get size(): number {
    return this.#queue.size;
  }

  /** Whether one more may come in; counts it as dropped if not. To be asked before it is copied. */
  admits(length: number): boolean {
    if (this.#readers.size > 0) return true;
    if (this.#queue.size < this.#maxQueued && this.#budget.fits(length)) return true;
    this.dropped++;
    return false;
  }

  /** Lets one in, to the reader that has waited longest or to the queue. */
  put(datagram: Datagram): void {
    this.received++;
    const reader = this.#readers.first();
    if (reader !== undefined) return reader.resolve(datagram);
    this.#budget.take(datagram.data.length);
    this.#queue.push(datagram);
  }

  /** Takes the oldest out. */
  take(): Datagram | undefined {
    const datagram = this.#queue.shift();
    if (datagram !== undefined) this.#budget.take(-datagram.data.length);
    return datagram;
  }

  /** Throws away what waits. */
  clear(): void {
    for (const { data } of this.#queue.clear()) this.#budget.take(-data.length);
  }
}
