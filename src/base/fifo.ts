/**
 * A first-in, first-out queue with a cost that does not grow with its length.
 */

/** Memory for so many items is kept when the queue is empty: it is mostly filled again soon. */
const KEPT = 128;
/** So many places that are free at the front are not worth closing. */
const FEW_PLACES = 64;

/** The queue. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;
  #tail = 0;

  /** How many items there are. */
  get size(): number {
    return this.#tail - this.#head;
  }

  /** Adds an item at the end. */
  push(item: T): void {
    this.#items[this.#tail++] = item;
  }

  /** The first item, which stays. */
  peek(): T | undefined {
    return this.#head === this.#tail ? undefined : this.#items[this.#head];
  }

  /** Takes the first item off. */
  shift(): T | undefined {
    if (this.#head === this.#tail) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#tail) {
      if (this.#tail > KEPT) this.#items = [];
      this.#head = this.#tail = 0;
    } else if (this.#head >= FEW_PLACES && this.#head * 2 >= this.#tail) {
      this.#items = this.#items.slice(this.#head, this.#tail);
      this.#tail -= this.#head;
      this.#head = 0;
    }
    return item;
  }

  /** Takes all items off, in order. */
  clear(): T[] {
    const rest: T[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) rest.push(item);
    return rest;
  }

  /** The items in order; they stay. */
  *[Symbol.iterator](): Generator<T> {
    for (let at = this.#head; at < this.#tail; at++) {
      const item = this.#items[at];
      if (item !== undefined) yield item;
    }
  }
}
