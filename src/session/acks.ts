/**
 * What was received, and when the other end is told of it.
 *
 * An ACK goes out after so many frames, so many ms after the first of them, when the other end asks
 * for it, or when there is a grant to tell; whichever comes first. One ACK tells of all.
 */
import { ProtocolError } from "../base/errors.ts";
import { ReceiveCount } from "./numbering.ts";

const EVERY = 32;
const DELAY = 50;

/** The acknowledgements that one link owes. */
export class Acks {
  readonly #received = new ReceiveCount();
  #unacked = 0;
  #due = false;
  #at = Infinity;

  /** Tracked frames that were received. */
  get count(): number {
    return this.#received.count;
  }

  /** Whether an ACK is to go out with what is written next. */
  get due(): boolean {
    return this.#due;
  }

  /** When one will be due that is not yet; `Infinity`: never. */
  get dueAt(): number {
    return this.#due ? Infinity : this.#at;
  }

  /** Counts a tracked frame; `false` for one that was counted before. @throws {ProtocolError} */
  accept(seq: number, now: number): boolean {
    const arrival = this.#received.accept(seq);
    if (arrival === "gap") {
      const next = `its number must be the next: current value is ${seq}`;
      throw new ProtocolError("PROTOCOL", `Cannot take frame as ${next}`);
    }
    if (arrival === "repeat") return false;
    if (++this.#unacked >= EVERY) this.#due = true;
    if (this.#at === Infinity) this.#at = now + DELAY;
    return true;
  }

  /** Wants an ACK with what is written next. */
  request(): void {
    this.#due = true;
  }

  /** Time has passed. */
  tick(now: number): void {
    if (now >= this.#at) this.#due = true;
  }

  /** Takes the duty to write an ACK now, if there is one. */
  take(): boolean {
    if (!this.#due) return false;
    this.#due = false;
    this.#unacked = 0;
    this.#at = Infinity;
    return true;
  }
}
