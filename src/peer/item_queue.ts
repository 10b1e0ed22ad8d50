/**
 * Items of a stream between the session, which receives them, and one loop, which takes them.
 *
 * The credit of an item is given back when the loop asks for the next one: a slow loop slows the other
 * end down, and what waits here is bounded by the window of the stream.
 */
import type { Bytes } from "../base/types.ts";
import { Fifo } from "../base/fifo.ts";
import { isPending, type Misfit, type Verdict } from "../contract/bodies.ts";
import type { ItemSink } from "../session/flows.ts";

/** What a queue is made with. */
export interface ItemQueueOptions {
  /** Gives the value of an item, or why there is none. */
  readonly read: (payload: Bytes) => Verdict | Promise<Verdict>;
  /** What the loop throws for an item that does not fit. */
  readonly misfit: (misfit: Misfit) => unknown;
  /** The loop is through with items that cost so much. */
  readonly consumed: (cost: number) => void;
  /** The loop waits for an item (`true`), or has one (`false`). */
  readonly waiting: (waits: boolean) => void;
  /** The loop was left before the end. */
  readonly left: () => void;
}

type Result = IteratorResult<unknown, undefined>;

/** Items for one loop. */
export class ItemQueue implements ItemSink, AsyncIterableIterator<unknown, undefined> {
  readonly #options: ItemQueueOptions;
  readonly #items = new Fifo<{ readonly payload: Bytes; readonly cost: number }>();
  #unreturned = 0;
  #ended = false;
  #error: { readonly reason: unknown } | undefined;
  #waiter: PromiseWithResolvers<Result> | undefined;
  /** Who is to get the item that is being checked. */
  #checking: PromiseWithResolvers<Result> | undefined;
  #taken = false;

  constructor(options: ItemQueueOptions) {
    this.#options = options;
  }

  // ── what the session tells ──

  item(payload: Bytes, cost: number): void {
    if (this.#ended) return this.#options.consumed(cost);
    this.#items.push({ payload, cost });
    this.#serve();
  }

  ended(): void {
    this.#ended = true;
    this.#serve();
  }

  /** No more will come, and the loop is to throw once it has had what waits. */
  fail(reason: unknown): void {
    if (this.#ended) return;
    this.#error = { reason };
    this.ended();
  }

  // ── what the loop asks ──

  [Symbol.asyncIterator](): AsyncIterableIterator<unknown, undefined> {
    if (this.#taken) throw new TypeError("Cannot iterate stream as another loop has begun to");
    this.#taken = true;
    return this;
  }

  next(): Promise<Result> {
    if (this.#waiter !== undefined || this.#checking !== undefined) {
      return Promise.reject(new TypeError("Cannot read stream as another read is waiting for it"));
    }
    this.#giveBack();
    const waiter = Promise.withResolvers<Result>();
    this.#waiter = waiter;
    this.#serve();
    if (this.#waiter !== undefined) this.#options.waiting(true);
    return waiter.promise;
  }

  return(): Promise<Result> {
    this.#giveBack();
    const early = !this.#ended;
    this.#ended = true;
    this.#error = undefined;
    for (const { cost } of this.#items.clear()) this.#options.consumed(cost);
    this.#checking?.resolve({ done: true, value: undefined });
    this.#checking = undefined;
    this.#serve();
    if (early) this.#options.left();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** What the loop was given last is consumed when it asks for more. */
  #giveBack(): void {
    const cost = this.#unreturned;
    this.#unreturned = 0;
    if (cost > 0) this.#options.consumed(cost);
  }

  #serve(): void {
    const waiter = this.#waiter;
    if (waiter === undefined) return;
    const item = this.#items.shift();
    if (item === undefined && !this.#ended) return;
    this.#waiter = undefined;
    this.#options.waiting(false);
    if (item === undefined) {
      const error = this.#error;
      this.#error = undefined;
      if (error === undefined) waiter.resolve({ done: true, value: undefined });
      else waiter.reject(error.reason);
      return;
    }
    this.#unreturned = item.cost;
    this.#checking = waiter;
    const verdict = this.#options.read(item.payload);
    if (isPending(verdict)) verdict.then((verdict) => this.#judged(waiter, verdict));
    else this.#judged(waiter, verdict);
  }

  #judged(waiter: PromiseWithResolvers<Result>, verdict: Verdict): void {
    // The loop was left meanwhile.
    if (this.#checking !== waiter) return;
    this.#checking = undefined;
    if (verdict.issues === undefined) return waiter.resolve({ done: false, value: verdict.value });
    waiter.reject(this.#options.misfit(verdict));
    // A loop that throws does not say that it leaves.
    this.return();
  }
}
