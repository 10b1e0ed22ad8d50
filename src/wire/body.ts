/**
 * Reads the fields of a body one after another, never past its end.
 *
 * Owns the rule that every inner length is judged before it is used. For frames that are rare;
 * messages and calls have their own byte math.
 */
import type { Bytes } from "../base/types.ts";
import { badFrame, readText } from "./text.ts";

/** The largest high word of a 64-bit field: the whole is then a safe integer. */
export const MAX_HIGH_WORD = 0x1f_ffff;
const TWO_32 = 0x1_0000_0000;

/** A place in a body that moves on with each field. */
export class BodyReader {
  readonly #buffer: Bytes;
  readonly #end: number;
  readonly #frame: string;
  #at: number;

  /** `frame` names the frame in errors. */
  constructor(frame: string, buffer: Bytes, start: number, end: number) {
    this.#frame = frame;
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
  }

  /** Bytes that are left. */
  get left(): number {
    return this.#end - this.#at;
  }

  uint8(field: string): number {
    return this.#buffer[this.#take(1, field)]!;
  }

  uint16(field: string): number {
    const at = this.#take(2, field);
    return (this.#buffer[at]! << 8) | this.#buffer[at + 1]!;
  }

  uint32(field: string): number {
    return readUint32(this.#buffer, this.#take(4, field));
  }

  uint64(field: string): number {
    return readUint64(this.#buffer, this.#take(8, field), this.#frame, field);
  }

  /** A copy: what a handshake brings is kept for long, and must not hold the read buffer. */
  bytes(count: number, field: string): Bytes {
    const at = this.#take(count, field);
    return this.#buffer.slice(at, at + count);
  }

  /** A u16 length and text of at most `max` bytes. */
  text(max: number, field: string): string {
    return this.textOf(this.uint16(field), max, field);
  }

  /** Text of `size` bytes, at most `max`. */
  textOf(size: number, max: number, field: string): string {
    if (size > max) {
      throw badFrame(
        this.#frame,
        `its ${field} must be at most ${max} bytes: current value is ${size}`,
      );
    }
    const at = this.#take(size, field);
    return readText(this.#buffer, at, at + size, this.#frame, field);
  }

  /** The next `size` bytes, as a body of their own. */
  part(size: number, field: string): { readonly start: number; readonly end: number } {
    const start = this.#take(size, field);
    return { start, end: start + size };
  }

  /** Demands that nothing is left. */
  finish(): void {
    if (this.left !== 0) throw badFrame(this.#frame, `it must end ${this.left} bytes earlier`);
  }

  #take(count: number, field: string): number {
    const at = this.#at;
    if (count > this.#end - at) {
      throw badFrame(this.#frame, `its ${field} must end within the body`);
    }
    this.#at = at + count;
    return at;
  }
}

/** Four bytes, big-endian. */
export function readUint32(buffer: Bytes, at: number): number {
  return ((buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) |
    buffer[at + 3]!) >>> 0;
}

/** Eight bytes, big-endian, that must be a safe integer. */
export function readUint64(buffer: Bytes, at: number, frame: string, field: string): number {
  const high = readUint32(buffer, at);
  // Mostly, and then it is no floating-point number that the engine has to allocate.
  if (high === 0) return readUint32(buffer, at + 4);
  if (high > MAX_HIGH_WORD) throw badFrame(frame, `its ${field} must be at most 2^53-1`);
  return high * TWO_32 + readUint32(buffer, at + 4);
}

/** Writes a safe integer as eight bytes. */
export function writeUint64(out: { uint32(value: number): void }, value: number): void {
  out.uint32(value < TWO_32 ? 0 : Math.floor(value / TWO_32));
  out.uint32(value >>> 0);
}
