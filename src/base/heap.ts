/**
 * A binary heap whose items know their places, so that one can be removed or moved from anywhere.
 */

/** What can be in a heap, in one at a time. */
export interface Placed {
  /** Its place; -1 when it is in none. */
  place: number;
}

/** Items of which the first is at hand. Adding, moving and removing cost O(log n). */
export class Heap<T extends Placed> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  /** `before`: whether one comes before another. */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  /** How many there are. */
  get size(): number {
    return this.#items.length;
  }

  /** The first. */
  get first(): T | undefined {
    return this.#items[0];
  }

  /** Adds an item that is in no heap. */
  add(item: T): void {
    item.place = this.#items.length;
    this.#items.push(item);
    this.#up(item);
  }

  /** Puts an item where it belongs that has changed. */
  moved(item: T): void {
    this.#up(item);
    this.#down(item);
  }

  /** Removes an item; `false` where it is not there. */
  remove(item: T): boolean {
    const { place } = item;
    if (place < 0) return false;
    item.place = -1;
    const last = this.#items.pop();
    if (last !== undefined && last !== item) {
      last.place = place;
      this.#items[place] = last;
      this.moved(last);
    }
    return true;
  }

  /** Removes all. */
  clear(): void {
    for (const item of this.#items) item.place = -1;
    this.#items.length = 0;
  }

  #up(item: T): void {
    while (item.place > 0) {
      const parent = this.#items[(item.place - 1) >> 1];
      if (parent === undefined || !this.#before(item, parent)) return;
      this.#swap(item, parent);
    }
  }

  #down(item: T): void {
    while (true) {
      const left = this.#items[2 * item.place + 1];
      if (left === undefined) return;
      const right = this.#items[2 * item.place + 2];
      const child = right !== undefined && this.#before(right, left) ? right : left;
      if (!this.#before(child, item)) return;
      this.#swap(child, item);
    }
  }

  #swap(a: T, b: T): void {
    const { place } = a;
    a.place = b.place;
    b.place = place;
    this.#items[a.place] = a;
    this.#items[b.place] = b;
  }
}
