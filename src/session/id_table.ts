/**
 * Live calls by id.
 *
 * An array by the low bits of the id, since a Map costs twice as much per call; a Map takes those
 * whose place is taken, since a sender may choose its ids as it likes.
 */
export class IdTable<T extends { readonly id: number }> {
  readonly #places: (T | undefined)[] = [];
  readonly #mask: number;
  readonly #others = new Map<number, T>();
  #size = 0;

  /** `capacity`: about how many there are at once. */
  constructor(capacity: number) {
    this.#mask = placeMask(capacity);
  }

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** The one with this id. */
  get(id: number): T | undefined {
    const item = this.#places[(id >>> 1) & this.#mask];
    if (item !== undefined && item.id === id) return item;
    return this.#others.size === 0 ? undefined : this.#others.get(id);
  }

  /** Adds one whose id is not there. */
  add(item: T): void {
    this.#size++;
    const place = (item.id >>> 1) & this.#mask;
    if (this.#places[place] === undefined) this.#places[place] = item;
    else this.#others.set(item.id, item);
  }

  /** Removes one; tells whether it was there. */
  delete(item: T): boolean {
    const place = (item.id >>> 1) & this.#mask;
    if (this.#places[place] === item) this.#places[place] = undefined;
    else if (this.#others.get(item.id) === item) this.#others.delete(item.id);
    else return false;
    this.#size--;
    return true;
  }

  /** All of them. */
  values(): T[] {
    return [...this.#places.filter((item) => item !== undefined), ...this.#others.values()];
  }
}

/** The bits of `id >>> 1` that say where about so many ids go; each end gives every second id. */
export function placeMask(capacity: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(16, Math.min(capacity, 65_536)))) - 1;
}
