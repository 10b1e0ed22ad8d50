/**
 * The eight bytes that each end sends first. Their layout is the same in all versions, so that
 * two ends without a common one can still tell each other what they speak.
 */
import { ProtocolError } from "../base/errors.ts";
import type { OutBuffer } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import { PREFACE_SIZE, VERSION } from "./constants.ts";

/** What a client offers. */
export interface ClientPreface {
  /** The newest version that it speaks. */
  readonly max: number;
  /** The oldest. */
  readonly min: number;
}

/** What a server answers. */
export interface ServerPreface {
  /** The version from here on; 0: none in common. */
  readonly chosen: number;
  /** The oldest version that it speaks. */
  readonly lowest: number;
  /** The newest. */
  readonly highest: number;
}

/** F9 starts no UTF-8 text and no first packet of the usual protocols. */
export const MAGIC = [0xf9, 0x56, 0x4e, 0x45, 0x54] as const;

/** Writes a client's preface. */
export function encodeClientPreface(out: OutBuffer): void {
  writePreface(out, VERSION, VERSION, 0);
}

/** Writes a server's preface; `chosen` 0: no version in common. */
export function encodeServerPreface(out: OutBuffer, chosen: number): void {
  writePreface(out, chosen, VERSION, VERSION);
}

/**
 * Reads a client's preface; `undefined`: not all of it is there yet.
 *
 * @throws {ProtocolError} PROTOCOL as soon as the bytes cannot be one
 */
export function decodeClientPreface(
  buffer: Bytes,
  start: number,
  end: number,
): ClientPreface | undefined {
  if (!isWhole(buffer, start, end)) return undefined;
  const max = buffer[start + 5]!;
  const min = buffer[start + 6]!;
  if (min === 0 || max < min) throw badRange(min, max);
  return { max, min };
}

/**
 * Reads a server's preface; `undefined`: not all of it is there yet.
 *
 * @throws {ProtocolError} PROTOCOL as soon as the bytes cannot be one
 */
export function decodeServerPreface(
  buffer: Bytes,
  start: number,
  end: number,
): ServerPreface | undefined {
  if (!isWhole(buffer, start, end)) return undefined;
  const chosen = buffer[start + 5]!;
  const lowest = buffer[start + 6]!;
  const highest = buffer[start + 7]!;
  if (lowest === 0 || highest < lowest) throw badRange(lowest, highest);
  if (chosen !== 0 && (chosen < lowest || chosen > highest)) {
    throw new ProtocolError(
      "PROTOCOL",
      `Cannot read preface as the chosen version must be ${lowest} to ${highest}: current value is ${chosen}`,
    );
  }
  return { chosen, lowest, highest };
}

/** The newest version in common with a client's offer; 0: none. */
export function negotiate(max: number, min: number): number {
  return min <= VERSION && VERSION <= max ? VERSION : 0;
}

function writePreface(out: OutBuffer, a: number, b: number, c: number): void {
  for (const byte of MAGIC) out.uint8(byte);
  out.uint8(a);
  out.uint8(b);
  out.uint8(c);
}

/** Judges what is there of the magic; true when the whole preface is. */
function isWhole(buffer: Bytes, start: number, end: number): boolean {
  const there = Math.min(end - start, MAGIC.length);
  for (let i = 0; i < there; i++) {
    if (buffer[start + i] === MAGIC[i]) continue;
    throw new ProtocolError("PROTOCOL", "Cannot read preface as the other end does not speak vnet");
  }
  return end - start >= PREFACE_SIZE;
}

function badRange(lowest: number, highest: number): ProtocolError {
  return new ProtocolError(
    "PROTOCOL",
    `Cannot read preface as its versions must be a range above 0: current value is ${lowest} to ${highest}`,
  );
}
