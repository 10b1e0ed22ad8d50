/**
 * Text on the wire: UTF-8, strict when read.
 *
 * Owns the rule that bytes which are not UTF-8 are a bad frame. Knows no frame layout.
 */
import { ProtocolError } from "../base/errors.ts";
import type { OutBuffer } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";

/** Names up to this many bytes are looked up among the recent ones before they are decoded. */
const CACHED_LENGTH = 32;
/** A power of two. */
const CACHE_SIZE = 256;

// A byte order mark is part of the text: dropping it would make two different names equal.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** The name that was written last: the next is mostly the same. */
let lastName = "";
let lastBytes: Bytes = new Uint8Array(0);
const encoder = new TextEncoder();
/** Pure ASCII only: then characters and bytes correspond one to one. */
const recent = new Array<string>(CACHE_SIZE).fill("");

/** The error for a body that does not keep to its layout. */
export function badFrame(frame: string, why: string): ProtocolError {
  return new ProtocolError("BAD_FRAME", `Cannot decode ${frame} as ${why}`);
}

/** How many bytes of UTF-8 a string is. A lone surrogate counts, and is written, as U+FFFD. */
export function utf8Length(text: string): number {
  const units = text.length;
  let size = units;
  for (let i = 0; i < units; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      size += 1;
    } else {
      size += 2;
      // A pair is four bytes: three are counted here, and the other unit was counted as one.
      if (isHigh(unit) && isLow(text.charCodeAt(i + 1))) i++;
    }
  }
  return size;
}

/** As `utf8Length`, for a field of at most `max` bytes. @throws {RangeError} if it is longer */
export function fieldSize(text: string, max: number, frame: string, field: string): number {
  const size = utf8Length(text);
  if (size > max) {
    throw new RangeError(
      `Cannot encode ${frame} as '${field}' must be at most ${max} bytes of UTF-8: current value is ${size}`,
    );
  }
  return size;
}

/** The bytes of a name of at most `max` bytes. They are not to be changed. @throws {RangeError} */
export function nameBytes(name: string, max: number, frame: string, field: string): Bytes {
  if (name === lastName) return lastBytes;
  fieldSize(name, max, frame, field);
  lastBytes = encoder.encode(name);
  lastName = name;
  return lastBytes;
}

/** The longest beginning of a text that fits `max` bytes and cuts no character. */
export function truncateText(text: string, max: number): string {
  if (text.length * 3 <= max || utf8Length(text) <= max) return text;
  let size = 0;
  let end = 0;
  for (const character of text) {
    size += utf8Length(character);
    if (size > max) break;
    end += character.length;
  }
  return text.slice(0, end);
}

/** Writes a u16 length and the text, whose size is known. */
export function writeText(out: OutBuffer, text: string, size: number): void {
  const at = out.reserve(2);
  out.buffer[at] = size >>> 8;
  out.buffer[at + 1] = size;
  writeChars(out, text, size);
}

/** Writes the text alone. */
export function writeChars(out: OutBuffer, text: string, size: number): void {
  if (size !== text.length || size > CACHED_LENGTH) {
    out.text(text);
    return;
  }
  const at = out.reserve(size);
  const buffer = out.buffer;
  for (let i = 0; i < size; i++) buffer[at + i] = text.charCodeAt(i);
}

/**
 * Reads a name of the kind that comes again and again: a topic, a method. Not for anything that may
 * be a secret, since names are remembered.
 *
 * @throws {ProtocolError} BAD_FRAME if it is not UTF-8
 */
export function readName(
  buffer: Bytes,
  start: number,
  end: number,
  frame: string,
  field: string,
): string {
  const size = end - start;
  if (size > CACHED_LENGTH) return readText(buffer, start, end, frame, field);
  let hash = size;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + buffer[i]!) | 0;
  const slot = (hash ^ (hash >>> 8)) & (CACHE_SIZE - 1);
  const known = recent[slot]!;
  if (equals(known, buffer, start, size)) return known;
  const text = readText(buffer, start, end, frame, field);
  if (text.length === size) recent[slot] = text;
  return text;
}

/** Reads text. @throws {ProtocolError} BAD_FRAME if it is not UTF-8 */
export function readText(
  buffer: Bytes,
  start: number,
  end: number,
  frame: string,
  field: string,
): string {
  if (start === end) return "";
  try {
    return decoder.decode(buffer.subarray(start, end));
  } catch (cause) {
    throw new ProtocolError(
      "BAD_FRAME",
      `Cannot decode ${frame} as its ${field} must be UTF-8`,
      { cause },
    );
  }
}

function equals(text: string, buffer: Bytes, start: number, size: number): boolean {
  if (text.length !== size) return false;
  for (let i = 0; i < size; i++) {
    if (text.charCodeAt(i) !== buffer[start + i]) return false;
  }
  return true;
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
