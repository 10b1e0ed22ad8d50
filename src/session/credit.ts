/**
 * Flow control of messages: absolute credit in bytes, as in QUIC, so that nothing makes it drift.
 *
 * Owns both halves. What a frame costs is its length field and a share for keeping it.
 *
 * 1. A grant never falls.
 * 2. What the application has not consumed is not granted again, so the receiver's queue is bounded
 *    by its window (and by one message more, when that is larger than the window).
 */

/** What keeping a frame costs beyond its bytes. */
const OVERHEAD = 64;

/** What a frame with this length field costs. */
export function frameCost(lengthField: number): number {
  return lengthField + OVERHEAD;
}

/** What we may send. */
export class SendCredit {
  #spent = 0;
  #limit: number;

  /** Starts with the window that the other end's limits name. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How much may be spent now. */
  get available(): number {
    return this.#limit - this.#spent;
  }

  /** Spends. The caller has looked at `available`. */
  spend(cost: number): void {
    this.#spent += cost;
  }

  /** Takes a grant; a smaller one than before says nothing. Tells whether it brought anything. */
  grant(limit: number): boolean {
    if (limit <= this.#limit) return false;
    this.#limit = limit;
    return true;
  }
}

/** What the other end may send. */
export class ReceiveCredit {
  readonly #window: number;
  #received = 0;
  #held = 0;
  #advertised: number;

  /** `window`: bytes that may be on their way and unconsumed together. */
  constructor(window: number) {
    this.#window = window;
    this.#advertised = window;
  }

  /** Cost of whole messages that the application has not consumed. */
  get held(): number {
    return this.#held;
  }

  /** Counts a frame; `false` when the other end had no credit for it. */
  receive(cost: number): boolean {
    this.#received += cost;
    return this.#received <= this.#advertised;
  }

  /** A message is whole and waits for the application. */
  hold(cost: number): void {
    this.#held += cost;
  }

  /** The application has consumed it. */
  release(cost: number): void {
    this.#held -= cost;
  }

  /** Whether the grant has grown so much that it should be told now. */
  get due(): boolean {
    return this.#grant() - this.#advertised >= this.#window / 4;
  }

  /** The grant to tell, which then counts as told. */
  advertise(): number {
    this.#advertised = this.#grant();
    return this.#advertised;
  }

  #grant(): number {
    return Math.max(this.#advertised, this.#received - this.#held + this.#window);
  }
}
