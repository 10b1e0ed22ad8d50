/**
 * Deadlines of many things of which almost all are done in time: adding and removing cost nothing but
 * a place in a list, and only a sweep looks at them.
 *
 * Owns no timer. `nextAt` may be too early, since what it was computed for has been removed; a sweep
 * then finds nothing and computes it anew.
 */

/** Something with a deadline. */
export interface Timed {
  /** The instant. */
  deadlineAt: number;
  /** Its place in the list; -1 when it is in none. */
  place: number;
}

/** A list of them. */
export class Deadlines<T extends Timed> {
  readonly #items: T[] = [];
  #nextAt = Infinity;

  /** How many there are. */
  get size(): number {
    return this.#items.length;
  }

  /** No deadline is earlier than this. */
  get nextAt(): number {
    return this.#items.length === 0 ? Infinity : this.#nextAt;
  }

  /** Adds a thing. */
  add(item: T): void {
    item.place = this.#items.length;
    this.#items.push(item);
    if (this.#items.length === 1 || item.deadlineAt < this.#nextAt) this.#nextAt = item.deadlineAt;
  }

  /** Removes a thing; nothing happens when it is not there. */
  delete(item: T): void {
    const { place } = item;
    if (place < 0) return;
    item.place = -1;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    last.place = place;
    this.#items[place] = last;
  }

  /** Takes off what is due at `now`. */
  takeDue(now: number): T[] {
    const due = this.#items.filter((item) => item.deadlineAt <= now);
    for (const item of due) this.delete(item);
    this.#nextAt = this.#items.reduce((least, item) => Math.min(least, item.deadlineAt), Infinity);
    return due;
  }

  /** Takes all off. */
  clear(): T[] {
    const all = this.#items.splice(0);
    for (const item of all) item.place = -1;
    return all;
  }

  /** All of them, in no order. */
  [Symbol.iterator](): IterableIterator<T> {
    return this.#items.values();
  }
}
