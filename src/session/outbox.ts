/**
 * Messages that were accepted and not yet handed to the network.
 *
 * Owns their order and their size, and which may make way for others. It outlives links and sessions:
 * what was not handed over, or only in part, goes out on the next link as a whole.
 *
 * 1. Only messages that were sent as droppable are ever dropped, and none of which a part was written.
 * 2. What was dropped leaves a gap in the queue; there are never more gaps than messages, and a few.
 * 3. A plain message, one with nothing but a body, takes a place and no record of its own: most are, and
 *    a record each would be most of what they cost.
 */
import type { Queued } from "../base/types.ts";
import { Fifo } from "../base/fifo.ts";
import type { Receipt } from "./receipts.ts";

/** What a waiting message counts beyond its body, in bytes. */
const OVERHEAD = 64;
/** So many gaps are not worth closing. */
const FEW_GAPS = 64;
/** So many places that are free at the front are not worth closing. */
const FEW_PLACES = 64;
const NOTHING = new Uint8Array(0);

/** One message that waits. */
export interface Outgoing {
  topic: string;
  payload: Uint8Array;
  /** Its place among everything that was accepted, calls included. */
  readonly order: number;
  /** Bytes of `payload` that were handed over, in fragments. */
  offset: number;
  /** Only the newest with this key waits. */
  readonly key: string | undefined;
  /** Who waits to hear that it was accepted. */
  receipt: Receipt | undefined;
  /** Whether it may be dropped to make room. */
  droppable: boolean;
  /** Whether it was dropped or taken off: only its place is left, if anything. */
  gone: boolean;
}

/** How a message waits. */
export interface OutgoingOptions {
  /** Takes the place of the one with the same key. */
  readonly key?: string | undefined;
  /** Whether it may be dropped to make room. @default {false} */
  readonly droppable?: boolean;
  /** Who waits to hear that it was accepted. */
  readonly receipt?: Receipt | undefined;
}

/** A limit that one message more would break. */
export type BrokenLimit = "maxQueuedBytes" | "maxQueuedBytesTotal";

/** Bytes that several outboxes may hold together. */
export class ByteBudget {
  /** What they hold. */
  used = 0;
  /** What they may hold. */
  readonly max: number;

  constructor(max: number) {
    this.max = max;
  }
}

/** A bounded queue of messages. */
export class Outbox implements Queued {
  readonly #maxBytes: number;
  readonly #budget: ByteBudget | undefined;
  /** The places: bodies of plain messages, records of others; from `#head` to `#tail`. */
  #places: (Uint8Array | Outgoing | undefined)[] = [];
  /** The orders of what is there. */
  #orders: number[] = [];
  #head = 0;
  #tail = 0;
  readonly #droppable = new Fifo<Outgoing>();
  readonly #keyed = new Map<string, Outgoing>();
  /** The one of which a part was written. */
  #begun: Outgoing | undefined;
  #bytes = 0;
  #droppableBytes = 0;
  #gaps = 0;

  /** `maxBytes`: how much may wait here; `budget`: how much here and elsewhere. */
  constructor(maxBytes: number, budget?: ByteBudget) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Messages that wait. */
  get frames(): number {
    return this.#tail - this.#head - this.#gaps + (this.#begun === undefined ? 0 : 1);
  }

  /** Whether nothing waits. */
  get empty(): boolean {
    // Each message counts, also one without a body.
    return this.#bytes === 0;
  }

  /** Places that are kept: those of messages, and gaps. */
  get places(): number {
    return this.frames + this.#gaps;
  }

  /**
   * Which limit a body of so many bytes would break: one more, or in the place of the one with its key.
   * One by itself breaks only the budget. `dropping`: were all gone that may be dropped.
   */
  limit(length: number, key?: string, dropping = false): BrokenLimit | undefined {
    const old = key === undefined ? undefined : this.#keyed.get(key);
    const counted = dropping && old?.droppable;
    const replaced = old === undefined || counted ? 0 : old.payload.length + OVERHEAD;
    const freed = replaced + (dropping ? this.#droppableBytes : 0);
    const others = this.#bytes - freed;
    const size = length + OVERHEAD;
    if (others > 0 && others + size > this.#maxBytes) return "maxQueuedBytes";
    if (this.#budget !== undefined && this.#budget.used - freed + size > this.#budget.max) {
      return "maxQueuedBytesTotal";
    }
    return undefined;
  }

  /** Adds a message; `false` when there is no room. `order` rises. */
  push(topic: string, payload: Uint8Array, order = 0, options?: OutgoingOptions): boolean {
    if (topic === "" && options === undefined) return this.pushPlain(payload, order);
    if (this.limit(payload.length) !== undefined) return false;
    this.#count(payload.length + OVERHEAD);
    const { key, receipt, droppable = false } = options ?? {};
    const message = recordOf(topic, payload, order, key, receipt);
    this.#add(message, order);
    if (key !== undefined) this.#keyed.set(key, message);
    if (droppable) this.#addDroppable(message);
    return true;
  }

  /** As `push`, of a message with nothing but a body. */
  pushPlain(payload: Uint8Array, order: number): boolean {
    const size = payload.length + OVERHEAD;
    const budget = this.#budget;
    if (this.#bytes > 0 && this.#bytes + size > this.#maxBytes) return false;
    if (budget !== undefined && budget.used + size > budget.max) return false;
    this.#count(size);
    this.#add(payload, order);
    return true;
  }

  /**
   * Puts a message in the place of the one that waits with its key. Gives the size of that one's body;
   * `undefined` when none waits, or the difference has no room. It may be dropped only if both may.
   */
  replace(
    key: string,
    topic: string,
    payload: Uint8Array,
    { receipt, droppable = false }: OutgoingOptions = {},
  ): number | undefined {
    const message = this.#keyed.get(key);
    if (message === undefined) return undefined;
    const dropped = message.payload.length;
    if (this.limit(payload.length, key) !== undefined) return undefined;
    const bothDroppable = message.droppable && droppable;
    this.#keep(message);
    this.#count(payload.length - dropped);
    message.receipt?.failed("dropped");
    message.topic = topic;
    message.payload = payload;
    message.receipt = receipt;
    if (bothDroppable) this.#mayDrop(message);
    return dropped;
  }

  /** Drops the oldest message that may be dropped; gives the size of its body, if there is one. */
  dropOldest(): number | undefined {
    for (
      let message = this.#droppable.shift();
      message !== undefined;
      message = this.#droppable.shift()
    ) {
      if (!message.droppable) continue;
      const dropped = message.payload.length;
      this.#count(-dropped - OVERHEAD);
      message.receipt?.failed("dropped");
      this.#forget(message);
      this.#gaps++;
      this.#close();
      return dropped;
    }
    return undefined;
  }

  /** The order of the message that is next; `Infinity` when there is none. */
  get order(): number {
    if (this.#begun !== undefined) return this.#begun.order;
    this.#passGaps();
    return this.#head === this.#tail ? Infinity : this.#orders[this.#head] ?? Infinity;
  }

  /** The body of the message behind `index` others, if that is a plain one and was accepted before `order`. */
  plainAt(index: number, order: number): Uint8Array | undefined {
    const at = this.#head + index;
    if (at >= this.#tail || this.#begun !== undefined) return undefined;
    const body = this.#places[at];
    return ArrayBuffer.isView(body) && (this.#orders[at] ?? 0) < order ? body : undefined;
  }

  /** Takes the messages off that are next: so many plain ones, whose bodies have so many bytes. */
  shiftPlains(count: number, bytes: number): void {
    const head = this.#head + count;
    this.#places.fill(undefined, this.#head, head);
    this.#head = head;
    if (head === this.#tail) this.#head = this.#tail = 0;
    this.#count(-bytes - count * OVERHEAD);
    if (this.#gaps > 0) this.#close();
  }

  /** The message that is next. */
  peek(): Outgoing | undefined {
    if (this.#begun !== undefined) return this.#begun;
    this.#passGaps();
    const next = this.#places[this.#head];
    if (!ArrayBuffer.isView(next)) return next;
    const message = recordOf("", next, this.#orders[this.#head] ?? 0);
    this.#places[this.#head] = message;
    return message;
  }

  /** The first so many bytes of the message that is next were written; the rest is next. */
  begin(written: number): void {
    const message = this.peek();
    if (message === undefined) return;
    message.offset = written;
    // After `rewind` it has left the queue already.
    if (message === this.#begun) return;
    this.#pass();
    this.#begun = message;
    this.#keep(message);
    this.#close();
    if (message.key !== undefined) this.#keyed.delete(message.key);
  }

  /** Takes the message off that is next. */
  shift(): void {
    const message = this.peek();
    if (message === undefined) return;
    if (message === this.#begun) this.#begun = undefined;
    else this.#pass();
    this.#count(-message.payload.length - OVERHEAD);
    this.#forget(message);
    this.#close();
  }

  /** The link broke: what was handed over in part is none to the other end, and goes out again. */
  rewind(): void {
    if (this.#begun !== undefined) this.#begun.offset = 0;
  }

  /** Forgets all; tells what it was. */
  clear(): Queued {
    const { bytes, frames } = this;
    for (let message = this.peek(); message !== undefined; message = this.peek()) {
      this.shift();
      message.receipt?.failed("unsent");
    }
    this.#droppable.clear();
    return { bytes, frames };
  }

  /** Gives memory back that a burst has needed: for a link that has gone quiet. */
  release(): void {
    if (this.#tail === 0) this.#keepPlaces(0);
  }

  #add(place: Uint8Array | Outgoing, order: number): void {
    if (this.#tail === this.#places.length && this.#head >= FEW_PLACES) {
      // What is moved is no more than what has left since: the cost of each is bounded.
      if (this.#head * 2 >= this.#tail) this.#keepPlaces(this.#head);
    }
    this.#places[this.#tail] = place;
    this.#orders[this.#tail++] = order;
  }

  /** The first place is free. */
  #pass(): void {
    this.#places[this.#head++] = undefined;
    if (this.#head === this.#tail) this.#head = this.#tail = 0;
  }

  #passGaps(): void {
    if (this.#gaps === 0) return;
    for (let at = this.#head; at < this.#tail; at++) {
      const next = this.#places[at];
      if (next === undefined || ArrayBuffer.isView(next) || !next.gone) return;
      this.#gaps--;
      this.#pass();
    }
  }

  #keepPlaces(from: number): void {
    this.#places = this.#places.slice(from, this.#tail);
    this.#orders = this.#orders.slice(from, this.#tail);
    this.#head -= from;
    this.#tail -= from;
  }

  #addDroppable(message: Outgoing): void {
    this.#mayDrop(message);
    this.#droppable.push(message);
    // Those that were sent meanwhile are at its head, and would stay for as long as nothing is dropped.
    for (let first = this.#droppable.peek(); !first?.droppable; first = this.#droppable.peek()) {
      this.#droppable.shift();
    }
  }

  #mayDrop(message: Outgoing): void {
    message.droppable = true;
    this.#droppableBytes += message.payload.length + OVERHEAD;
  }

  /** From now on it stays; it is passed over where it still stands among the droppable. */
  #keep(message: Outgoing): void {
    if (!message.droppable) return;
    message.droppable = false;
    this.#droppableBytes -= message.payload.length + OVERHEAD;
  }

  #forget(message: Outgoing): void {
    this.#keep(message);
    message.gone = true;
    // It may stand among the droppable for a while.
    message.payload = NOTHING;
    if (message.key !== undefined && this.#keyed.get(message.key) === message) {
      this.#keyed.delete(message.key);
    }
  }

  /** One that does not move must not be followed by ever more gaps. */
  #close(): void {
    const places = this.#tail - this.#head;
    if (this.#gaps <= places - this.#gaps + FEW_GAPS) return;
    const gone = (at: number) => {
      const place = this.#places[at];
      return !ArrayBuffer.isView(place) && place?.gone !== false;
    };
    const kept = (_: unknown, at: number) => at >= this.#head && at < this.#tail && !gone(at);
    const orders = this.#orders.filter(kept);
    this.#places = this.#places.filter(kept);
    this.#orders = orders;
    this.#head = 0;
    this.#tail = orders.length;
    this.#gaps = 0;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#budget !== undefined) this.#budget.used += bytes;
  }
}

function recordOf(
  topic: string,
  payload: Uint8Array,
  order: number,
  key?: string,
  receipt?: Receipt,
): Outgoing {
  return { topic, payload, order, offset: 0, key, receipt, droppable: false, gone: false };
}
