/**
 * Where received bytes wait until they make a frame: one slab with two offsets.
 *
 * Owns the memory that a connection reads into, and how large it is. Knows no frame format and
 * reads nothing itself: a read loop asks for `space`, fills it, and lets a decoder take from the
 * front. Whoever has memory to give away may put it in the slab's place.
 *
 * 1. Unconsumed bytes are `buffer[start, end)`, always in one piece. `buffer` begins where its memory
 *    does, so an index in it is an offset for views.
 * 2. Only memory behind `end` is ever written to, so a view that was taken stays as it is for ever.
 *    A slab is not used again, unless its owner knows that there is no view; when its tail is short,
 *    a new one takes over and the partial frame at its end, if there is one, is copied once.
 * 3. No length that a header claims is allocated: memory grows with the bytes that really came.
 * 4. Work is linear in the bytes, however they are cut into reads.
 */
import type { Bytes } from "./types.ts";

/** Of a quiet connection: 10,000 of them wait in 5 MB. */
const IDLE_SLAB = 512;
/** Of one that gets more than signs of life, if little at a time: else each second frame would need a new one. */
const LIVELY_SLAB = 4_096;
/** Of a busy one. A new slab costs about as much as five reads, so it should take many. */
const SLAB = 65_536;
/** The longest frame that the next ones are taken to be as long as. */
const LONGEST_ALIKE = 131_072;
/** With less than this left, starting a new slab is cheaper than a read that is cut short. */
const SHORT_TAIL = 8_192;
const SHORT_IDLE_TAIL = 256;
/** A connection is quiet again after so many reads in a row of at most so many bytes. */
const QUIET_READS = 8;
const QUIET_SIZE = 64;
/** So many bytes are copied faster one by one. */
const FEW_BYTES = 32;
/** Needles whose search is remembered, so that a codec may look for several in turn. */
const MAX_SEARCHES = 4;

const EMPTY: Bytes = new Uint8Array(0);

/** How far a needle was looked for: no match begins before `at`. */
interface Search {
  readonly needle: number | Uint8Array;
  at: number;
}

/**
 * Bytes that were received and not yet decoded.
 *
 * A codec uses the methods that `peek`, `take`, `skip` and look for bytes. The rest is for what
 * reads into the queue, and for decoders that work in place.
 *
 * @example
 * ```ts
 * import { ByteQueue } from "@vgo/vnet/frames";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new ByteQueue(new Uint8Array([0, 2, 7, 8, 9]));
 * const length = queue.peekUint16(0);
 * queue.skip(2);
 * assertEquals(queue.take(length), new Uint8Array([7, 8]));
 * assertEquals(queue.length, 1);
 * ```
 */
export class ByteQueue {
  /** The present slab. Changes when `space` or `push` needs a new one, and with `adopt`. */
  buffer: Bytes = EMPTY;
  /** Where in `buffer` the unconsumed bytes begin. May be moved forward, up to `end`. */
  start = 0;
  /** Where in `buffer` they end. */
  end = 0;
  /**
   * How many bytes, counted from `start`, the next frame is made of. A decoder that knows may set it
   * when it has to wait: it saves copies of a large frame. New bytes set it back to 0.
   */
  wanted = 0;
  /** What `buffer` is made of: to ask it each time would cost a quarter of a view. */
  #memory: ArrayBuffer = EMPTY.buffer;
  /** Where in `buffer` the memory of this queue begins. */
  #front = 0;
  #busy = false;
  #lively = false;
  #quietReads = 0;
  /** The most bytes that ever waited at once: so much of a header's claim is believed. */
  #proven = 0;
  /**
   * How long the last frame was that had a slab of its own, or 0. As long as a stream has such frames each
   * slab holds one: a read ends where a frame does, and no part of the next one has to be copied.
   */
  #alike = 0;
  #searches: Search[] | undefined;

  /** Makes a queue that holds a copy of `initial`. */
  constructor(initial?: Uint8Array) {
    if (initial !== undefined) this.push(initial);
  }

  /** Unconsumed bytes. */
  get length(): number {
    return this.end - this.start;
  }

  /**
   * Takes bytes off the front. They share the slab, which is not written to again.
   *
   * @throws {RangeError} where there are fewer
   */
  take(length: number): Bytes {
    const from = this.start;
    this.skip(length);
    return new Uint8Array(this.#memory, from, length);
  }

  /**
   * Takes one byte off the front.
   *
   * @throws {RangeError} where there is none
   */
  takeUint8(): number {
    const value = this.peekUint8(0);
    this.start++;
    return value;
  }

  /**
   * Drops bytes off the front.
   *
   * @throws {RangeError} where there are fewer
   */
  skip(length: number): void {
    // Also false for what is negative, broken or no number.
    if ((length >>> 0) !== length || length > this.end - this.start) {
      throw outOfRange(`take ${length} bytes`, this.length);
    }
    this.start += length;
  }

  /**
   * Reads the byte at index `at`, and leaves it there.
   *
   * @throws {RangeError} where there is none
   */
  peekUint8(at: number): number {
    return byte(this.buffer, this.#index(at, 1));
  }

  /**
   * Reads two bytes from index `at`, big-endian unless told otherwise, and leaves them there.
   *
   * @throws {RangeError} where there are fewer
   */
  peekUint16(at: number, littleEndian = false): number {
    const buffer = this.buffer;
    const i = this.#index(at, 2);
    return littleEndian
      ? byte(buffer, i) | byte(buffer, i + 1) << 8
      : byte(buffer, i) << 8 | byte(buffer, i + 1);
  }

  /**
   * Reads four bytes from index `at`, big-endian unless told otherwise, and leaves them there.
   *
   * @throws {RangeError} where there are fewer
   */
  peekUint32(at: number, littleEndian = false): number {
    const buffer = this.buffer;
    const i = this.#index(at, 4);
    const a = byte(buffer, i);
    const b = byte(buffer, i + 1);
    const c = byte(buffer, i + 2);
    const d = byte(buffer, i + 3);
    return (littleEndian ? a | b << 8 | c << 16 | d << 24 : a << 24 | b << 16 | c << 8 | d) >>> 0;
  }

  /**
   * Where the first `needle` begins, a byte or a sequence, or -1. The queue remembers how far it has
   * looked, so asking after each read costs no more than asking once.
   *
   * @throws {RangeError} where the needle is no byte, or empty
   */
  indexOf(needle: number | Uint8Array): number {
    const search = this.#searchFor(needle);
    const from = Math.max(search.at, this.start);
    const at = typeof needle === "number"
      ? indexOfByte(this.buffer, needle, from, this.end)
      : indexOfBytes(this.buffer, needle, from, this.end);
    const length = typeof needle === "number" ? 1 : needle.length;
    search.at = at >= 0 ? at : Math.max(from, this.end - length + 1);
    return at < 0 ? -1 : at - this.start;
  }

  /**
   * Memory to read into, right behind `end`; tell `fill` how much of it was used. It is valid until
   * the queue is asked for memory again.
   */
  space(wanted: number = this.wanted): Bytes {
    const have = this.end - this.start;
    const { length } = this.buffer;
    const room = length - this.start;
    const tail = length - this.end;
    const short = tail < (length < SLAB ? SHORT_IDLE_TAIL : SHORT_TAIL);
    // Used up, and not by signs of life alone.
    if (short && length > 0 && this.#quietReads === 0) this.#lively = true;
    const size = this.#sizeFor(have, wanted);
    if (wanted <= have || wanted > room) {
      // The sooner a large frame gets its own slab, the less of it is copied.
      const ownSlab = wanted > SLAB && size === wanted;
      // One that is used again and again has no short tail, and would stay what it was at first.
      const unfit = have === 0 &&
        (this.#busy ? length < SLAB : length > this.#quietSlab());
      if (short || ownSlab || unfit) {
        if (ownSlab) this.#alike = wanted <= LONGEST_ALIKE ? wanted : 0;
        // It was a small frame that the slab's end has cut.
        else if (have > 0) this.#alike = 0;
        this.#move(size);
      }
    }
    // Many quiet connections wait with one view less.
    return this.end === 0 ? this.buffer : this.buffer.subarray(this.end);
  }

  /**
   * Appends the first `count` bytes of what `space` gave.
   *
   * @throws {RangeError} where it did not give that many
   */
  fill(count: number): void {
    const tail = this.buffer.length - this.end;
    if ((count >>> 0) !== count || count > tail) throw outOfRange(`fill ${count} bytes`, tail);
    this.end += count;
    this.wanted = 0;
    const waiting = this.end - this.start;
    if (waiting > this.#proven) this.#proven = waiting;
    if (count === tail) {
      this.#busy = true;
      this.#quietReads = 0;
    } else if (count > QUIET_SIZE) {
      this.#quietReads = 0;
    } else if (++this.#quietReads === QUIET_READS) {
      this.#busy = false;
      this.#lively = false;
      this.#proven = 0;
      this.#alike = 0;
    }
  }

  /** Uses the memory of what was consumed again. Only for an owner who knows that nobody has a view. */
  rewind(): void {
    const { buffer, start, end } = this;
    const free = start - this.#front;
    // Copying no more than was consumed keeps the work linear.
    if (free === 0 || end - start > free) return;
    if (end > start) buffer.copyWithin(this.#front, start, end);
    this.#shift(this.#front);
  }

  /** Appends a copy of `data`. */
  push(data: Uint8Array): void {
    const count = data.length;
    const have = this.end - this.start;
    if (this.buffer.length - this.end < count) {
      this.#move(Math.max(have + count, this.#sizeFor(have, this.wanted)));
    }
    const { buffer, end } = this;
    if (count > FEW_BYTES) buffer.set(data, end);
    else for (let i = 0; i < count; i++) buffer[end + i] = byte(data, i);
    this.end = end + count;
    this.wanted = 0;
    if (have + count > this.#proven) this.#proven = have + count;
  }

  /**
   * Appends `data` itself where nothing waits, else a copy. Its memory is the queue's from then on:
   * nobody must write to it any more, as views of it may have been taken.
   */
  adopt(data: Bytes): void {
    if (this.end > this.start) return this.push(data);
    const { buffer, byteOffset: start, length } = data;
    // There is no space behind `end`, whatever follows it in memory.
    this.buffer = new Uint8Array(buffer, 0, start + length);
    this.#memory = buffer;
    this.end = start + length;
    this.start = start;
    this.#front = start;
    this.wanted = 0;
    if (length > this.#proven) this.#proven = length;
    if (this.#searches !== undefined) { for (const search of this.#searches) search.at = start; }
  }

  #index(at: number, count: number): number {
    if ((at >>> 0) !== at || at + count > this.end - this.start) {
      throw outOfRange(`peek ${count} bytes at index ${at}`, this.length);
    }
    return this.start + at;
  }

  #quietSlab(): number {
    return this.#lively ? LIVELY_SLAB : IDLE_SLAB;
  }

  /** How large the next slab is. Each copy at least doubles what fits, hence linear work. */
  #sizeFor(have: number, wanted: number): number {
    const base = this.#busy ? Math.max(SLAB, this.#alike) : this.#quietSlab();
    // A hint that is hardly ahead may be followed by one that is hardly further.
    if (wanted <= have * 1.5) return Math.max(base, have * 2);
    if (wanted <= base) return base;
    return Math.min(wanted, Math.max(base, have * 4, this.#proven));
  }

  #move(size: number): void {
    const slab = new Uint8Array(size);
    const { buffer, start, end } = this;
    if (end > start) slab.set(buffer.subarray(start, end));
    this.buffer = slab;
    this.#memory = slab.buffer;
    this.#front = 0;
    this.#shift(0);
  }

  /** The unconsumed bytes have been moved so that they begin at `start`. */
  #shift(start: number): void {
    const by = this.start - start;
    if (this.#searches !== undefined) {
      for (const search of this.#searches) search.at = Math.max(start, search.at - by);
    }
    this.start = start;
    this.end -= by;
  }

  #searchFor(needle: number | Uint8Array): Search {
    const searches = this.#searches ??= [];
    for (const search of searches) {
      if (sameNeedle(search.needle, needle)) return search;
    }
    if (typeof needle === "number" ? (needle & 0xff) !== needle : needle.length === 0) {
      throw new RangeError(
        `Cannot look for needle as it must be a byte or at least one byte long: current value is ${
          typeof needle === "number" ? needle : "empty"
        }`,
      );
    }
    if (searches.length === MAX_SEARCHES) searches.shift();
    const search = { needle: typeof needle === "number" ? needle : needle.slice(), at: this.start };
    searches.push(search);
    return search;
  }
}

/** What is there: its callers have checked that the index is within. */
function byte(buffer: Uint8Array, at: number): number {
  return buffer[at] ?? 0;
}

function indexOfByte(buffer: Bytes, wanted: number, from: number, end: number): number {
  // A call into the engine only pays off for more than a few bytes.
  const near = Math.min(end, from + 32);
  for (let i = from; i < near; i++) {
    if (buffer[i] === wanted) return i;
  }
  if (near === end) return -1;
  const at = buffer.subarray(near, end).indexOf(wanted);
  return at < 0 ? -1 : near + at;
}

function indexOfBytes(buffer: Bytes, needle: Uint8Array, from: number, end: number): number {
  const first = byte(needle, 0);
  const last = end - needle.length + 1;
  for (let at = from; at < last; at++) {
    at = indexOfByte(buffer, first, at, last);
    if (at < 0) return -1;
    let same = 1;
    while (same < needle.length && buffer[at + same] === needle[same]) same++;
    if (same === needle.length) return at;
  }
  return -1;
}

function sameNeedle(a: number | Uint8Array, b: number | Uint8Array): boolean {
  if (typeof a === "number" || typeof b === "number") return a === b;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return false;
  }
  return true;
}

function outOfRange(action: string, available: number): RangeError {
  return new RangeError(
    `Cannot ${action} as they must lie within the queue: current length is ${available}`,
  );
}
