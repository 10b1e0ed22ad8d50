/**
 * Who is in which group.
 *
 * Both directions are kept, so that leaving costs no more than what was joined. A group is there for as
 * long as it has a member. A Map and not an object: a group may be called `__proto__`.
 */

const NOBODY: ReadonlySet<never> = new Set();

/** The groups of one server. Which ones a peer is in is kept in a set that comes with it. */
export class Groups<P> {
  readonly #members = new Map<string, Set<P>>();

  /** Adds a peer to a group. */
  join(peer: P, joined: Set<string>, group: string): void {
    joined.add(group);
    const members = this.#members.get(group);
    if (members === undefined) this.#members.set(group, new Set([peer]));
    else members.add(peer);
  }

  /** Takes a peer out of a group. */
  leave(peer: P, joined: Set<string>, group: string): void {
    if (joined.delete(group)) this.#remove(peer, group);
  }

  /** A peer is gone: it is in no group any more, and its set says in which it was. */
  exit(peer: P, joined: Iterable<string>): void {
    for (const group of joined) this.#remove(peer, group);
  }

  /** Who is in a group. */
  members(group: string): ReadonlySet<P> {
    return this.#members.get(group) ?? NOBODY;
  }

  #remove(peer: P, group: string): void {
    const members = this.#members.get(group);
    members?.delete(peer);
    if (members?.size === 0) this.#members.delete(group);
  }
}
