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

/** A stream whose grants take longer than this, in ms, so many times in a row, has a long way. */
const SLOW = 1;
const SLOW_GRANTS = 4;

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

/**
 * What we may send on a stream. What is on its way lies in front of every small frame, so beside small
 * frames only about a third of the window is used, which is enough where grants come quickly. Where they
 * do not it is the way that is long: all of the window is needed to fill it, and no queue is in front.
 */
export class StreamCredit extends SendCredit {
  /** What is not used beside small frames. */
  readonly #reserve: number;
  /** Since when more is waited for. */
  #since: number | undefined;
  #slowGrants = 0;

  constructor(window: number) {
    super(window);
    // The other end grants when a quarter is consumed: what is used must be more, by a piece.
    this.#reserve = Math.min(window * 2 / 3, window * 3 / 4 - 8_192);
  }

  /** How much may be spent now; `mixed`: small frames go along. */
  room(mixed: boolean): number {
    return mixed && this.#slowGrants < SLOW_GRANTS
      ? this.available - this.#reserve
      : this.available;
  }

  /** There is no room for what should be sent. */
  wait(now: number): void {
    this.#since ??= now;
  }

  /** As `grant`, at `now`. */
  grantAt(limit: number, now: number): boolean {
    if (!this.grant(limit)) return false;
    if (this.#since === undefined) return true;
    this.#slowGrants = now - this.#since > SLOW ? this.#slowGrants + 1 : 0;
    this.#since = undefined;
    return true;
  }
}

/** What the other end may send. */
export class ReceiveCredit {
  readonly #window: number;
  readonly #step: number;
  #received = 0;
  #held = 0;
  #advertised: number;

  /**
   * `window`: bytes that may be on their way and unconsumed together; `step`: by how much a grant grows
   * before it is told.
   */
  constructor(window: number, step = window / 4) {
    this.#window = window;
    this.#step = step;
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

  /** What the other end has credit for. */
  get room(): number {
    return this.#advertised - this.#received;
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
    return this.#grant() - this.#advertised >= this.#step;
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
