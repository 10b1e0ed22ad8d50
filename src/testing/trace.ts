/**
 * What happened in a simulated world, as one number: two runs that differ anywhere differ here.
 *
 * Owns the hash (two 32-bit lanes, after FNV-1a). Not for secrets.
 */

/** A running hash of events. */
export class Trace {
  #a = 0x811c9dc5;
  #b = 0x2f0b4a27;
  readonly #float = new Float64Array(1);
  readonly #words = new Uint32Array(this.#float.buffer);

  /** The hash of all that was added, up to 2^53. */
  get hash(): number {
    return (this.#b & 0x1fffff) * 2 ** 32 + (this.#a >>> 0);
  }

  /** Adds numbers. */
  add(...values: readonly number[]): void {
    const words = this.#words;
    for (const value of values) {
      this.#float[0] = value;
      this.#mix(words[0] ?? 0);
      this.#mix(words[1] ?? 0);
    }
  }

  /** Adds bytes and how many they are. */
  bytes(data: Uint8Array): void {
    let hash = 0x811c9dc5;
    // By index: an iterator takes several times as long, and all that is sent goes through here.
    for (let i = 0; i < data.length; i++) hash = Math.imul(hash ^ (data[i] ?? 0), 0x01000193);
    this.#mix(data.length);
    this.#mix(hash);
  }

  /** Adds text. */
  text(text: string): void {
    for (let at = 0; at < text.length; at++) this.#mix(text.charCodeAt(at));
  }

  #mix(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x01000193) ^ (this.#a >>> 15);
    this.#b = Math.imul(this.#b ^ word, 0x85ebca6b) ^ (this.#b >>> 13);
  }
}
