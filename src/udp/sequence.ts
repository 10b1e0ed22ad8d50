/**
 * What became of numbered datagrams: UDP loses, duplicates and reorders them without saying so.
 *
 * Owns the arithmetic of numbers that wrap (RFC 1982) and a window like IPsec's (RFC 4303, section
 * 3.4.3). Sends and receives nothing; where the number lies in a datagram is the program's matter.
 *
 * 1. Memory and time per number are bounded by the window.
 * 2. A number is lost when the window has moved past it; until then it may still come.
 */

/** Options of {@linkcode SequenceTracker}. */
export interface SequenceOptions {
  /** Width of the numbers: after 2^bits - 1 comes 0. From 8 to 32. @default {16} */
  readonly bits?: number;
  /** So many numbers, the newest included, are remembered. Less than a half of all. @default {64} */
  readonly window?: number;
}

/**
 * What a number is: the newest so far, one that comes after a later one, one that came before, or one
 * older than the window, of which nobody knows.
 */
export type SequenceVerdict = "new" | "reordered" | "duplicate" | "late";

/**
 * Reports loss, duplicates and reordering of numbered datagrams, one tracker per sender.
 *
 * @example
 * ```ts
 * import { SequenceTracker } from "@vgo/vnet/udp";
 * import { assertEquals } from "@std/assert";
 *
 * const tracker = new SequenceTracker({ bits: 16 });
 * const verdicts = [65_534, 65_535, 1, 0, 0].map((number) => tracker.observe(number));
 * assertEquals(verdicts, ["new", "new", "new", "reordered", "duplicate"]);
 * assertEquals([tracker.missing, tracker.lost], [0, 0]);
 * ```
 */
export class SequenceTracker {
  /** Numbers that came for the first time. */
  received = 0;
  /** Numbers that the window has moved past without having seen them. */
  lost = 0;
  /** Numbers that came again. */
  duplicates = 0;
  /** Numbers that came for the first time, but after a later one. */
  reordered = 0;
  /** Numbers older than the window: lost ones that came after all, or duplicates. */
  late = 0;
  readonly #modulus: number;
  readonly #seen: Uint8Array;
  /** Both as if numbers did not wrap. */
  #first = NaN;
  #newest = NaN;

  /**
   * Makes a tracker that has seen nothing.
   *
   * @throws {RangeError} where an option is out of its range
   */
  constructor(options: SequenceOptions = {}) {
    const { bits = 16, window = 64 } = options;
    if (!Number.isInteger(bits) || bits < 8 || bits > 32) {
      throw new RangeError(
        `Cannot track sequence as 'bits' must be an integer from 8 to 32: current value is ${bits}`,
      );
    }
    const most = Math.min(2 ** (bits - 1) - 1, 65_536);
    if (!Number.isInteger(window) || window < 1 || window > most) {
      throw new RangeError(
        `Cannot track sequence as 'window' must be an integer from 1 to ${most}: current value is ${window}`,
      );
    }
    this.#modulus = 2 ** bits;
    this.#seen = new Uint8Array(window);
  }

  /** Numbers within the window that have not come yet. */
  get missing(): number {
    if (Number.isNaN(this.#newest)) return 0;
    let count = 0;
    for (let at = this.#oldest(); at < this.#newest; at++) if (!this.#isSeen(at)) count++;
    return count;
  }

  /**
   * Takes note of a number, and tells what it is.
   *
   * @throws {RangeError} where it is no integer of so many bits
   */
  observe(number: number): SequenceVerdict {
    if (!Number.isInteger(number) || number < 0 || number >= this.#modulus) {
      throw new RangeError(
        `Cannot observe number as it must be an integer from 0 to ${
          this.#modulus - 1
        }: current value is ${number}`,
      );
    }
    if (Number.isNaN(this.#newest)) return this.#begin(number);
    const position = this.#newest + this.#distance(number);
    if (position > this.#newest) return this.#advance(position);
    if (position <= this.#newest - this.#seen.length) {
      this.late++;
      return "late";
    }
    if (this.#isSeen(position)) {
      this.duplicates++;
      return "duplicate";
    }
    this.#first = Math.min(this.#first, position);
    this.#mark(position);
    this.reordered++;
    return "reordered";
  }

  #begin(number: number): SequenceVerdict {
    // One turn ahead, so that earlier numbers have positions from 0 on.
    this.#first = this.#newest = this.#modulus + number;
    this.#mark(this.#newest);
    return "new";
  }

  #advance(position: number): SequenceVerdict {
    const window = this.#seen.length;
    const steps = Math.min(position - this.#newest, window);
    for (let step = 1; step <= steps; step++) {
      const left = this.#newest + step - window;
      if (left >= this.#first && !this.#isSeen(left)) this.lost++;
      this.#seen[left % window] = 0;
    }
    this.lost += position - this.#newest - steps;
    this.#newest = position;
    this.#mark(position);
    return "new";
  }

  /** How far a number lies ahead of the newest, or behind it: whichever is nearer (RFC 1982). */
  #distance(number: number): number {
    const ahead = (number - this.#newest % this.#modulus + this.#modulus) % this.#modulus;
    return ahead < this.#modulus / 2 ? ahead : ahead - this.#modulus;
  }

  #oldest(): number {
    return Math.max(this.#first, this.#newest - this.#seen.length + 1);
  }

  #isSeen(position: number): boolean {
    return this.#seen[position % this.#seen.length] === 1;
  }

  #mark(position: number): void {
    this.#seen[position % this.#seen.length] = 1;
    this.received++;
  }
}
