/**
 * What waits to be written for calls: small frames in order, grants, and pieces of large things in turn.
 */
import type { OutBuffer } from "../base/out_buffer.ts";
import { Fifo } from "../base/fifo.ts";
import { encodeCredit } from "../wire/call.ts";
import type { Bulk, ReceiveFlow } from "./flows.ts";
import type { SendCount } from "./numbering.ts";

/** How long after a small frame a stream still goes as if another might come, in ms. */
const MIXED = 1_000;

/** The output of one call machine. */
export class CallOutput {
  /** Numbers the frames. */
  readonly count: SendCount;
  /** The longest piece of something large. */
  readonly maxPiece: number;
  /** Pieces of streams since the last small frame. */
  #pieces = 0;
  #mixed = false;
  #mixedAt = -Infinity;
  readonly #small = new Fifo<(out: OutBuffer) => void>();
  readonly #bulk = new Fifo<Bulk>();
  readonly #grants = new Set<ReceiveFlow>();

  constructor(count: SendCount, maxPiece: number) {
    this.count = count;
    this.maxPiece = maxPiece;
  }

  /** Whether something waits. */
  get waiting(): boolean {
    return this.#small.size > 0 || this.#bulk.size > 0 || this.#grants.size > 0;
  }

  /** Whether there is something large. */
  get hasBulk(): boolean {
    return this.#bulk.size > 0;
  }

  /** Adds a small frame. */
  push(write: (out: OutBuffer) => void): void {
    this.#small.push(write);
  }

  /** Adds something large to those that take turns; one that is among them stays where it is. */
  rotate(bulk: Bulk): void {
    if (bulk.rotating) return;
    bulk.rotating = true;
    this.#bulk.push(bulk);
  }

  /** Tells the grant of a flow, if it has grown enough. */
  grant(flow: ReceiveFlow): void {
    if (flow.grantDue) this.#grants.add(flow);
  }

  /** A flow needs no grant any more. */
  ungrant(flow: ReceiveFlow): void {
    this.#grants.delete(flow);
  }

  /** Writes small frames until `out` holds `size` bytes. */
  writeSmall(out: OutBuffer, size: number): void {
    if (this.#grants.size > 0) this.#writeGrants(out);
    while (out.length < size) {
      const write = this.#small.shift();
      if (write === undefined) return;
      write(out);
    }
  }

  /** A frame was written that somebody waits for. What comes before a stream is not beside it. */
  wroteSmall(): void {
    if (this.#pieces === 0) return;
    this.#pieces = 0;
    this.#mixed = true;
  }

  /** Writes one piece of what is large; `false` when there is none. */
  writeBulk(out: OutBuffer, now = 0): boolean {
    const bulk = this.#bulk.shift();
    if (bulk === undefined) return false;
    bulk.rotating = false;
    if (this.#mixed) this.#mixedAt = now;
    this.#mixed = false;
    const mixed = now - this.#mixedAt < MIXED;
    if (bulk.write(out, this.count, this.maxPiece, mixed, now) === "more") this.rotate(bulk);
    this.#pieces++;
    return true;
  }

  /** Forgets all. */
  clear(): void {
    this.#small.clear();
    this.#bulk.clear();
    this.#grants.clear();
  }

  #writeGrants(out: OutBuffer): void {
    for (const flow of this.#grants) {
      encodeCredit(out, flow.id, this.count.next(), flow.takeGrant());
    }
    this.#grants.clear();
  }
}
