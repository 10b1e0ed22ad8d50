/**
 * How slowly and how fast bytes may come: the deadline of a frame that has begun, and the rates.
 *
 * A pause in reading is our own doing: neither the frame's deadline nor the other end's silence goes on
 * meanwhile.
 */
import { ProtocolError } from "../base/errors.ts";
import { Flag, FrameType } from "../wire/constants.ts";
import { type Holdup, RateLimit, type Rates } from "./rate.ts";

/** The incoming half of a link, as far as time goes. */
export class Intake {
  /** When the frame that has begun must be whole; `Infinity`: none has. */
  frameAt = Infinity;
  /** For how long nothing should be read. */
  holdup: Holdup | undefined;
  readonly #frameTimeout: number;
  readonly #rate: RateLimit | undefined;
  /** Bytes of a frame that is not whole, which were counted when they came. */
  #rest = 0;

  constructor(frameTimeout: number, rates: Rates | undefined, now: number) {
    this.#frameTimeout = frameTimeout;
    this.#rate = RateLimit.of(rates, now);
  }

  /** Whether there are rates. */
  get limited(): boolean {
    return this.#rate !== undefined;
  }

  /** The error of a frame that is not whole in time. */
  get late(): ProtocolError {
    const reason =
      `Cannot wait for the rest of a frame as it must come within ${this.#frameTimeout} ms`;
    return new ProtocolError("BAD_FRAME", reason);
  }

  /** Until when the other end cannot be heard, if that is later than now. */
  heardAt(now: number): number {
    return this.holdup === undefined ? now : Math.max(now, this.holdup.until);
  }

  /** So many bytes are there, those included of which a frame was not whole before. */
  received(bytes: number, now: number): void {
    this.#rate?.take(0, bytes - this.#rest, now);
  }

  /** A frame came: a message, call or item counts when the last piece of it is there. */
  frame(type: number, flags: number, now: number): void {
    if (this.#rate === undefined || (flags & Flag.MORE) !== 0) return;
    if (type !== FrameType.MSG && type !== FrameType.REQUEST && type !== FrameType.CHUNK) return;
    this.#rate.take(1, 0, now);
  }

  /** So many bytes are left over: the beginning of a frame. `moved`: what was before is whole. */
  left(bytes: number, moved: boolean, now: number): void {
    this.#rest = bytes;
    if (bytes === 0) this.frameAt = Infinity;
    else if (moved || this.frameAt === Infinity) this.frameAt = now + this.#frameTimeout;
    if (this.#rate === undefined) return;
    const { holdup } = this.#rate;
    // No timer could wait for less; what is owed is not forgotten.
    this.holdup = holdup !== undefined && holdup.until - now >= 1 ? holdup : undefined;
    if (bytes > 0) this.frameAt += this.heardAt(now) - now;
  }
}
