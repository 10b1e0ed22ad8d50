/**
 * Messages that were accepted and not yet handed to the network.
 *
 * Owns their order and their size. It outlives links and sessions: what was never handed over goes
 * out on the next link, what was begun does not.
 */
import type { Queued } from "../base/types.ts";
import { Fifo } from "../base/fifo.ts";

/** What a waiting message counts beyond its body, in bytes. */
const OVERHEAD = 64;

/** One message that waits. */
export interface Outgoing {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Its place among everything that was accepted, calls included. */
  readonly order: number;
  /** Bytes of `payload` that were handed over, in fragments. */
  offset: number;
}

/** A bounded queue of messages. */
export class Outbox implements Queued {
  readonly #messages = new Fifo<Outgoing>();
  readonly #maxBytes: number;
  #bytes = 0;

  /** `maxBytes`: how much may wait. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Messages that wait. */
  get frames(): number {
    return this.#messages.size;
  }

  /** Adds a message; `false` when there is no room. One by itself always has room. `order` rises. */
  push(topic: string, payload: Uint8Array, order = 0): boolean {
    const size = payload.length + OVERHEAD;
    if (this.#bytes > 0 && this.#bytes + size > this.#maxBytes) return false;
    this.#bytes += size;
    this.#messages.push({ topic, payload, order, offset: 0 });
    return true;
  }

  /** The message that is next. */
  peek(): Outgoing | undefined {
    return this.#messages.peek();
  }

  /** Takes the message off that is next. */
  shift(): void {
    const message = this.#messages.shift();
    if (message !== undefined) this.#bytes -= message.payload.length + OVERHEAD;
  }

  /** The link broke: a message of which a part was handed over cannot go out on another. */
  dropBegun(): boolean {
    const begun = this.#messages.peek();
    if (begun === undefined || begun.offset === 0) return false;
    this.shift();
    return true;
  }

  /** Forgets all; tells what it was. */
  clear(): Queued {
    const { bytes, frames } = this;
    this.#messages.clear();
    this.#bytes = 0;
    return { bytes, frames };
  }
}
