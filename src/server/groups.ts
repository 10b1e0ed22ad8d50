/**
 * Who is in which group.
 *
 * Both directions are kept, so that leaving costs no more than what was joined. A group is there for as
 * long as it has a member. A Map and not an object: a group may be called `__proto__`.
 */

const NOBODY: ReadonlySet<never> = new Set();

/** The groups of one server. */
export class Groups<P> {
  readonly #members = new Map<string, Set<P>>();
  readonly #joined = new Map<P, Set<string>>();

  /** Takes a peer in; gives the set in which its groups are kept, also after it has gone. */
  enter(peer: P): ReadonlySet<string> {
    const groups = new Set<string>();
    this.#joined.set(peer, groups);
    return groups;
  }

  /** Adds a peer to a group; one that is gone joins nothing. */
  join(peer: P, group: string): void {
    const groups = this.#joined.get(peer);
    if (groups === undefined) return;
    groups.add(group);
    const members = this.#members.get(group);
    if (members === undefined) this.#members.set(group, new Set([peer]));
    else members.add(peer);
  }

  /** Takes a peer out of a group. */
  leave(peer: P, group: string): void {
    if (this.#joined.get(peer)?.delete(group)) this.#remove(peer, group);
  }

  /** A peer is gone: it is in no group any more, and its set says in which it was. */
  exit(peer: P): void {
    for (const group of this.#joined.get(peer) ?? []) this.#remove(peer, group);
    this.#joined.delete(peer);
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
