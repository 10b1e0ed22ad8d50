/**
 * PINGs that are on their way, and the PONG that we owe.
 *
 * 1. One PONG waits at most: the newest PING's. A PONG answers every older PING as well.
 * 2. We send at most 500 PINGs a second; more than 1000 from the other end is a flood.
 */

/** How long after a PING the next one is sent at the earliest, in ms. */
const SPACING = 2;
/** How many PINGs of the other end are honest, in one second. */
const MAX_PER_SECOND = 1_000;
/** PINGs that are remembered; an end that answers none is given up long before. */
const MAX_REMEMBERED = 64;

/** The PINGs of one link. */
export class Pings {
  #next = 1;
  #due = false;
  // In whole ms, as below: the engine keeps an object for each fraction.
  #sentAt = -SPACING;
  /** When those were sent that were not answered; the last of them is the one before `#next`. */
  #sent: number[] | undefined;
  #pong: number | undefined;
  #windowStart = 0;
  #windowCount = 0;

  /** Wants a PING to be sent; gives the number that its PONG will have, or a later one. */
  request(): number {
    this.#due = true;
    return this.#next;
  }

  /** Wants one if it may be sent at once. */
  requestNow(now: number): void {
    if (now >= this.#sentAt + SPACING) this.#due = true;
  }

  /** When the PING that is wanted may go out; `Infinity` when none is wanted. */
  get dueAt(): number {
    return this.#due ? this.#sentAt + SPACING : Infinity;
  }

  /** The number of the PING to write at `now`, which then counts as sent. */
  takePing(now: number): number | undefined {
    if (now < this.dueAt) return undefined;
    this.#due = false;
    this.#sentAt = Math.ceil(now);
    const opaque = this.#next++;
    if (this.#sent === undefined) this.#sent = [now];
    else if (this.#sent.push(now) > MAX_REMEMBERED) this.#sent.shift();
    return opaque;
  }

  /** The round trip that a PONG shows, in ms; `undefined` for one that answers nothing. */
  pong(opaque: number, now: number): number | undefined {
    const sent = this.#sent;
    if (sent === undefined) return undefined;
    const index = sent.length - (this.#next - opaque);
    const at = sent[index];
    if (at === undefined) return undefined;
    this.#sent = opaque === this.#next - 1 ? undefined : sent.slice(index + 1);
    return now - at;
  }

  /** A PING came; `false` when it is one too many. */
  ping(opaque: number, now: number): boolean {
    this.#pong = opaque;
    if (now - this.#windowStart >= 1_000) {
      this.#windowStart = Math.floor(now);
      this.#windowCount = 0;
    }
    return ++this.#windowCount <= MAX_PER_SECOND;
  }

  /** Whether a PONG is owed. */
  get pongDue(): boolean {
    return this.#pong !== undefined;
  }

  /** What the PONG echoes, which then counts as sent. */
  takePong(): number | undefined {
    const opaque = this.#pong;
    this.#pong = undefined;
    return opaque;
  }
}
