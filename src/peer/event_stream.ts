/**
 * Events for a callback and for any number of loops, none of which can hold up the others.
 */

/** Events that a loop may be behind; the oldest are dropped then. */
const MAX_BEHIND = 1_024;

/** Hands out events. */
export class EventStream<E> {
  readonly #onEvent: ((event: E) => unknown) | undefined;
  readonly #failed: (error: unknown) => void;
  readonly #loops = new Set<Loop<E>>();
  #closed = false;

  /** `failed` takes what the callback throws. */
  constructor(onEvent: ((event: E) => unknown) | undefined, failed: (error: unknown) => void) {
    this.#onEvent = onEvent;
    this.#failed = failed;
  }

  /** Whether anybody is told. */
  get watched(): boolean {
    return this.#onEvent !== undefined || this.#loops.size > 0;
  }

  /** Tells all. */
  emit(event: E): void {
    for (const loop of this.#loops) loop.push(event);
    if (this.#onEvent === undefined) return;
    try {
      const result = this.#onEvent(event);
      if (result instanceof Promise) result.catch(this.#failed);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Events from now on, for one loop. */
  iterate(): AsyncIterable<E> {
    return {
      [Symbol.asyncIterator]: () => {
        const loop = new Loop<E>(() => this.#loops.delete(loop));
        if (this.#closed) loop.close();
        else this.#loops.add(loop);
        return loop;
      },
    };
  }

  /** Ends the loops once they have had what waits. */
  close(): void {
    this.#closed = true;
    for (const loop of this.#loops) loop.close();
    this.#loops.clear();
  }
}

class Loop<E> implements AsyncIterator<E, undefined> {
  readonly #left: () => void;
  readonly #events: E[] = [];
  #waiting: ((result: IteratorResult<E, undefined>) => void)[] = [];
  #closed = false;

  constructor(left: () => void) {
    this.#left = left;
  }

  push(event: E): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) return waiting({ done: false, value: event });
    if (this.#events.length === MAX_BEHIND) this.#events.shift();
    this.#events.push(event);
  }

  close(): void {
    this.#closed = true;
    for (const waiting of this.#waiting) waiting({ done: true, value: undefined });
    this.#waiting = [];
  }

  next(): Promise<IteratorResult<E, undefined>> {
    const [event] = this.#events.splice(0, 1);
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    if (this.#closed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<E, undefined>> {
    this.#events.length = 0;
    this.#left();
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }
}
