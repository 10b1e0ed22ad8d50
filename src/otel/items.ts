/**
 * Items on their way, watched until there are no more: the call that they belong to ends with them.
 *
 * 1. What is watched behaves as it did before: it is asked for the same, when it was asked, and a loop
 *    that leaves reaches it at once, in the middle of a step as well.
 */
import type { CallStream } from "../peer/call_options.ts";

/** Who watches items. Of several calls only the first counts. */
export interface ItemWatch {
  /** They came to their end. */
  ended(): void;
  /** They failed. */
  failed(error: unknown): void;
  /** Nobody wants more of them. */
  left(): void;
}

/** Runs one step of the source. */
export type Step = <T>(step: () => T) => T;

/** The same items. */
export function watchItems(
  items: AsyncIterable<unknown>,
  watch: ItemWatch,
  run: Step = (step) => step(),
): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]: () => new WatchedItems(items[Symbol.asyncIterator](), watch, run),
  };
}

/** The same stream of a call. */
export class WatchedStream implements CallStream<unknown> {
  readonly #stream: CallStream<unknown>;
  readonly #watch: ItemWatch;

  constructor(stream: CallStream<unknown>, watch: ItemWatch) {
    this.#stream = stream;
    this.#watch = watch;
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    return watchItems(this.#stream, this.#watch)[Symbol.asyncIterator]();
  }

  cancel(reason?: unknown): void {
    this.#watch.left();
    this.#stream.cancel(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch.left();
    await this.#stream[Symbol.asyncDispose]();
  }
}

class WatchedItems implements AsyncIterator<unknown> {
  readonly #items: AsyncIterator<unknown>;
  readonly #watch: ItemWatch;
  readonly #run: Step;

  constructor(items: AsyncIterator<unknown>, watch: ItemWatch, run: Step) {
    this.#items = items;
    this.#watch = watch;
    this.#run = run;
  }

  async next(): Promise<IteratorResult<unknown>> {
    try {
      const result = await this.#run(() => this.#items.next());
      if (result.done) this.#watch.ended();
      return result;
    } catch (error) {
      this.#watch.failed(error);
      throw error;
    }
  }

  async return(value?: unknown): Promise<IteratorResult<unknown>> {
    this.#watch.left();
    return await this.#run(() => this.#items.return?.(value)) ?? { done: true, value };
  }
}
