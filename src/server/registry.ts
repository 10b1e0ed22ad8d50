/**
 * Who is here: the registered clients of a server, by id.
 *
 * An id may have several owners only where the server allows it; then they are kept in the order in
 * which they came, and the newest is the one that `get` gives.
 */

/** The registered clients. */
export interface Registry<P> extends Iterable<P> {
  /** How many there are. */
  readonly size: number;
  /** Whether somebody has this id. */
  has(id: string): boolean;
  /** Who has this id; the newest, where several do. */
  get(id: string): P | undefined;
  /** All who have this id. */
  getAll(id: string): P[];
}

/** The registry that a server keeps. */
export class PeerRegistry<P extends { readonly id: string }> implements Registry<P> {
  /** The newest owner of each id. A Map, and not an object: an id may be `__proto__`. */
  readonly #newest = new Map<string, P>();
  /** Those before it, in the order in which they came; few ids have any. */
  readonly #older = new Map<string, P[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(id: string): boolean {
    return this.#newest.has(id);
  }

  get(id: string): P | undefined {
    return this.#newest.get(id);
  }

  getAll(id: string): P[] {
    const newest = this.#newest.get(id);
    return newest === undefined ? [] : [...this.#older.get(id) ?? [], newest];
  }

  *[Symbol.iterator](): Generator<P, void> {
    for (const [id, newest] of this.#newest) {
      if (this.#older.size > 0) yield* this.#older.get(id) ?? [];
      yield newest;
    }
  }

  /** Adds a peer. */
  add(peer: P): void {
    const { id } = peer;
    const newest = this.#newest.get(id);
    if (newest !== undefined) {
      const older = this.#older.get(id);
      if (older === undefined) this.#older.set(id, [newest]);
      else older.push(newest);
    }
    this.#newest.set(id, peer);
    this.#size++;
  }

  /** Removes a peer; tells whether it was there. */
  delete(peer: P): boolean {
    const { id } = peer;
    const older = this.#older.get(id) ?? [];
    if (this.#newest.get(id) === peer) {
      const next = older.pop();
      if (next === undefined) this.#newest.delete(id);
      else this.#newest.set(id, next);
    } else {
      const index = older.indexOf(peer);
      if (index < 0) return false;
      older.splice(index, 1);
    }
    if (older.length === 0) this.#older.delete(id);
    this.#size--;
    return true;
  }
}
