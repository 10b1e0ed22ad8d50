/**
 * Where frames are written to: one growing buffer that is used again and again.
 *
 * Owns the bytes until they are handed to the network. Small pieces are copied together so that
 * one write carries many frames; a large payload is not copied but takes its place in the order.
 */
import type { Bytes } from "./types.ts";

/** What an encoder writes with. */
export interface ByteWriter {
  /** Writes one byte. */
  uint8(value: number): void;
  /** Writes two bytes, big-endian unless told otherwise. */
  uint16(value: number, littleEndian?: boolean): void;
  /** Writes four bytes, big-endian unless told otherwise. */
  uint32(value: number, littleEndian?: boolean): void;
  /** Writes bytes. Do not change `data` afterwards: a large one is not copied. */
  bytes(data: Uint8Array): void;
  /** Writes text as UTF-8. */
  text(value: string): void;
}

/** From this size on a payload is written by itself: copying it would cost more than a second write. */
const NO_COPY = 131_072;
/** So few are copied one by one: to ask the engine would take longer. */
const FEW_BYTES = 32;
const FIRST_SIZE = 1_024;
/** Twice what goes into one write: the frame that goes beyond it needs no buffer of its own. */
const MAX_SIZE = 524_288;
/** So many at most are kept for those that write next. */
const MAX_SPARE = 1_024;
const EMPTY: Bytes = new Uint8Array(0);
const encoder = new TextEncoder();

/** A buffer that encoders write to and one writer empties. */
export class OutBuffer implements ByteWriter {
  /** The current piece. Valid up to the next call that writes. */
  buffer: Bytes = EMPTY;
  #numbers: DataView | undefined;
  #start = 0;
  #position = 0;
  #doneBytes = 0;
  readonly #done: Uint8Array[] = [];
  /** The view that was needed last, of the front of `buffer`: a heartbeat is as long as the one before. */
  #front: Bytes = EMPTY;

  /** Bytes written since the last `reset`. */
  get length(): number {
    return this.#doneBytes + this.#position - this.#start;
  }

  /** The current piece as well, to write numbers into: for who writes many, as it has to be made first. */
  get numbers(): DataView {
    return this.#numbers ??= new DataView(this.buffer.buffer);
  }

  /** Makes room for `count` bytes in one piece and returns where in `buffer` they go. */
  reserve(count: number): number {
    if (this.buffer.length - this.#position < count) this.#grow(count);
    const at = this.#position;
    this.#position += count;
    return at;
  }

  /**
   * As `reserve(count)` and `bytes(data)` in one, and in one piece where `data` is copied. Returns where in
   * `buffer` the `count` bytes go.
   */
  reserveBefore(count: number, data: Uint8Array): number {
    const { length } = data;
    if (length >= NO_COPY) {
      const at = this.reserve(count);
      this.bytes(data);
      return at;
    }
    const at = this.reserve(count + length);
    this.buffer.set(data, at + count);
    return at;
  }

  uint8(value: number): void {
    const at = this.reserve(1);
    this.buffer[at] = value;
  }

  uint16(value: number, littleEndian = false): void {
    const at = this.reserve(2);
    const buffer = this.buffer;
    if (littleEndian) {
      buffer[at] = value;
      buffer[at + 1] = value >>> 8;
    } else {
      buffer[at] = value >>> 8;
      buffer[at + 1] = value;
    }
  }

  uint32(value: number, littleEndian = false): void {
    const at = this.reserve(4);
    const buffer = this.buffer;
    if (littleEndian) {
      buffer[at] = value;
      buffer[at + 1] = value >>> 8;
      buffer[at + 2] = value >>> 16;
      buffer[at + 3] = value >>> 24;
    } else {
      buffer[at] = value >>> 24;
      buffer[at + 1] = value >>> 16;
      buffer[at + 2] = value >>> 8;
      buffer[at + 3] = value;
    }
  }

  bytes(data: Uint8Array): void {
    if (data.length >= NO_COPY) {
      this.#finishPiece();
      this.#done.push(data);
      this.#doneBytes += data.length;
      return;
    }
    const at = this.reserve(data.length);
    const { buffer } = this;
    if (data.length > FEW_BYTES) buffer.set(data, at);
    else for (let i = 0; i < data.length; i++) buffer[at + i] = data[i] ?? 0;
  }

  text(value: string): void {
    // An ASCII string of this many characters, or a longest UTF-8 one, fits what is reserved.
    const at = this.reserve(value.length * 3);
    const { written } = encoder.encodeInto(value, this.buffer.subarray(at));
    this.#position = at + written;
  }

  /** The pieces in order. Valid up to the next `reset`; writing may go on after them. */
  pieces(): readonly Uint8Array[] {
    this.#finishPiece();
    return this.#done;
  }

  /** All bytes in one piece, which is no copy where they are few. Valid as `pieces` are. */
  inOnePiece(): Bytes {
    return this.#doneBytes === 0 && this.#start === 0
      ? this.#frontOf(this.#position)
      : this.toBytes();
  }

  /** A copy of all bytes in one piece: for tests, and for transports that carry messages. */
  toBytes(): Bytes {
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const piece of this.pieces()) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  /** Forgets what was written; the buffer is used again. */
  reset(): void {
    this.#done.length = 0;
    this.#doneBytes = 0;
    this.#start = 0;
    this.#position = 0;
  }

  /** As `reset`, and gives the memory back as well: for a connection that has gone quiet. */
  release(): void {
    this.reset();
    this.buffer = EMPTY;
    this.#front = EMPTY;
    this.#numbers = undefined;
  }

  #finishPiece(): void {
    if (this.#position === this.#start) return;
    this.#done.push(this.#start === 0 ? this.#frontOf(this.#position) : this.#view());
    this.#doneBytes += this.#position - this.#start;
    this.#start = this.#position;
  }

  #view(): Bytes {
    return this.buffer.subarray(this.#start, this.#position);
  }

  #frontOf(length: number): Bytes {
    if (this.#front.length !== length) this.#front = this.buffer.subarray(0, length);
    return this.#front;
  }

  /** What is written stays where it is, since pieces may already point to it. */
  #grow(count: number): void {
    this.#finishPiece();
    const next = Math.min(MAX_SIZE, Math.max(FIRST_SIZE, this.buffer.length * 2));
    this.buffer = new Uint8Array(Math.max(next, count));
    this.#front = EMPTY;
    this.#numbers = undefined;
    this.#start = 0;
    this.#position = 0;
  }
}

/** Buffers of the first size that nobody uses: of thousands of connections few write at a time. */
const spare: OutBuffer[] = [];

/** A buffer of the first size. */
export function takeOutBuffer(): OutBuffer {
  const buffer = spare.pop() ?? new OutBuffer();
  if (buffer.buffer === EMPTY) buffer.buffer = new Uint8Array(FIRST_SIZE);
  return buffer;
}

/**
 * Gives it back, once nothing of it is being written; tells whether it was taken. One that has grown is
 * not: it belongs to one that writes much, and what the others write must not depend on what that was.
 */
export function giveOutBuffer(buffer: OutBuffer): boolean {
  if (buffer.buffer.length !== FIRST_SIZE) return false;
  buffer.reset();
  if (spare.length < MAX_SPARE) spare.push(buffer);
  return true;
}
