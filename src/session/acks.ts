/**
 * What was received, and when the other end is told of it.
 *
 * Nobody waits for an ACK that was not asked for: it only bounds what the other end has to remember. So
 * it rides with what is written anyway, and a link on which nothing is written sends one by itself only
 * after many frames or a long time. Each would else cost as much as the message that it is for.
 *
 * 1. What was asked for goes out at once, and so does a grant.
 * 2. One ACK tells of all; so does whatever else carries the count.
 */
import { ProtocolError } from "../base/errors.ts";
import { ReceiveCount } from "./numbering.ts";

/** So many frames, or the first of them so many ms ago, are worth the bytes of an ACK beside others. */
const RIDES = 32;
const RIDES_AFTER = 50;
/** So many are worth a write of its own, or the first of them after so many ms. */
const ALONE = 4_096;
export const ACK_TIMEOUT = 10_000;

/** The acknowledgements that one link owes. */
export class Acks extends ReceiveCount {
  #unacked = 0;
  #asked = false;
  /** When the first frame came that is not acknowledged; `Infinity`: none is. */
  #since = Infinity;

  /** Whether an ACK is to go out, if need be by itself. */
  get due(): boolean {
    return this.#asked || this.#unacked >= ALONE;
  }

  /** When one will be due that is not yet; `Infinity`: never. */
  get dueAt(): number {
    return this.due ? Infinity : this.#since + ACK_TIMEOUT;
  }

  /** Counts a tracked frame; `false` for one that was counted before. @throws {ProtocolError} */
  accept(seq: number, now: number): boolean {
    const arrival = this.judge(seq);
    if (arrival === "gap") {
      const next = `its number must be the next: current value is ${seq}`;
      throw new ProtocolError("PROTOCOL", `Cannot take frame as ${next}`);
    }
    if (arrival === "repeat") return false;
    if (this.#unacked++ === 0) this.#since = now;
    return true;
  }

  /** Counts tracked frames that came one after the other with the numbers from `next` on. */
  accepted(count: number, now: number): void {
    if (count === 0) return;
    this.count += count;
    if (this.#unacked === 0) this.#since = now;
    this.#unacked += count;
  }

  /** Wants an ACK with what is written next. */
  request(): void {
    this.#asked = true;
  }

  /** Time has passed. */
  tick(now: number): void {
    if (now >= this.dueAt) this.#asked = true;
  }

  /** Something else is written that carries the count. */
  told(): void {
    this.#unacked = 0;
    this.#since = Infinity;
  }

  /** Takes the duty to write an ACK beside what is written now, if there is one. */
  take(now: number): boolean {
    if (!this.due && this.#unacked < RIDES && now < this.#since + RIDES_AFTER) return false;
    this.#asked = false;
    this.told();
    return true;
  }
}
