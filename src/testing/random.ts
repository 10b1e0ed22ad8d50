/**
 * Seeded chance: the same seed gives the same numbers on every machine.
 *
 * Owns a small fast generator (sfc32: 128 bits of state, period above 2^64 for any seed). Not for
 * secrets.
 */

/** A stream of numbers. Streams of one seed do not resemble each other. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** Starts the given stream of a seed. */
  constructor(seed: number, stream = 0) {
    checkSeed(seed);
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = stream | 0;
    // Small seeds differ in a few bits only; these rounds spread them over the whole state.
    for (let round = 0; round < 15; round++) this.next();
  }

  /** The next number in [0, 1). */
  next(): number {
    const sum = ((this.#a + this.#b) | 0) + this.#counter | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  }

  /** The next integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }
}

/** Throws a `RangeError` where the seed is not one. */
export function checkSeed(seed: number): void {
  if (Number.isSafeInteger(seed)) return;
  throw new RangeError(`Cannot use seed as it must be a safe integer: current value is ${seed}`);
}
