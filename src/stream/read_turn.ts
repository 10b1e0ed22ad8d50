/**
 * Reads of many links that end in one turn: they are looked at several at a time, and then handled.
 *
 * Where a thousand links get a message each, nothing that one of them needs is in the processor's caches.
 * A look at what a link will need fetches the memory of several links at once; handling them one by one
 * would wait for each piece of it.
 *
 * Knows no link: each looks and handles by itself.
 *
 * 1. Reads are handled in the order in which they ended, before anything else comes from outside.
 * 2. What one link throws keeps no other from being handled.
 * 3. Where few links are read none waits for another.
 */
import { RESOLVED } from "../base/resolved.ts";

/** So many links are few: what they need may well be in the caches. */
const FEW = 64;
/** So many are looked at before they are handled; much more would drive each other out again. */
const BLOCK = 32;

/** A link of which a read has ended. */
export interface EndedRead {
  /** Looks at what `handle` will need. Changes nothing; what it gives means nothing. */
  look(): number;
  /** Takes what was read. The link may have been closed meanwhile. */
  handle(): void;
}

/** What the links of a process share. */
export class ReadTurn {
  #links = 0;
  #ended: EndedRead[] = [];
  /** What was looked at: else the compiler would leave the looks out. */
  #seen = 0;

  /** A link begins to be read. */
  join(): void {
    this.#links++;
  }

  /** No more will be read of it. */
  leave(): void {
    this.#links--;
  }

  /** Handles a read that has ended, at once or later in this turn. */
  add(read: EndedRead): void {
    if (this.#links <= FEW && this.#ended.length === 0) return read.handle();
    const count = this.#ended.push(read);
    if (count === BLOCK) this.#handleAll();
    else if (count === 1) RESOLVED.then(this.#handleAll);
  }

  readonly #handleAll = (): void => {
    const ended = this.#ended;
    if (ended.length === 0) return;
    this.#ended = [];
    for (const read of ended) this.#seen ^= read.look();
    for (const read of ended) {
      try {
        read.handle();
      } catch (error) {
        // Nobody's to handle, as it would be were each read handled by itself.
        Promise.reject(error);
      }
    }
  };
}
