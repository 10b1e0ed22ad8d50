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
  /** A Map, and not an object: an id may be `__proto__`. */
  readonly #peers = new Map<string, P[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(id: string): boolean {
    return this.#peers.has(id);
  }

  get(id: string): P | undefined {
    return this.#peers.get(id)?.at(-1);
  }

  getAll(id: string): P[] {
    return [...this.#peers.get(id) ?? []];
  }

  *[Symbol.iterator](): Generator<P, void> {
    for (const peers of this.#peers.values()) yield* peers;
  }

  /** Adds a peer. */
  add(peer: P): void {
    const owners = this.#peers.get(peer.id);
    if (owners === undefined) this.#peers.set(peer.id, [peer]);
    else owners.push(peer);
    this.#size++;
  }

  /** Removes a peer; tells whether it was there. */
  delete(peer: P): boolean {
    const owners = this.#peers.get(peer.id);
    const index = owners?.indexOf(peer) ?? -1;
    if (owners === undefined || index < 0) return false;
    owners.splice(index, 1);
    if (owners.length === 0) this.#peers.delete(peer.id);
    this.#size--;
    return true;
  }
}
