/**
 * MSG frames, and how a payload is cut into fragments, for calls as well.
 *
 * Owns the layout u16 topic length, topic, [metadata block], [u32 total], payload. Knows nothing
 * of the order of frames: which one continues a payload is the session's to remember.
 */
import type { OutBuffer } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import { readUint32 } from "./body.ts";
import { Flag, FrameType, HEADER_SIZE, LENGTH_BASE, MAX_NAME } from "./constants.ts";
import { writeHeader } from "./frame.ts";
import {
  type Metadata,
  metadataEnd,
  metadataSize,
  readEntries,
  writeMetadata,
} from "./metadata.ts";
import { badFrame, fieldSize, readName, writeText } from "./text.ts";

/** What all frames with a payload have. */
export interface Payload {
  /** Short texts beside the payload; `undefined`: the frame has none. */
  readonly metadata: Metadata | undefined;
  /** The size of the whole payload when this is the first of several fragments, else -1. */
  readonly total: number;
  /** Where the payload, or the first piece of it, begins in the buffer. */
  readonly start: number;
  /** Where it ends. */
  readonly end: number;
}

/** What MSG carries. */
export interface Message extends Payload {
  /** The label of the message; empty for none. */
  readonly topic: string;
}

/**
 * The bytes between the header of a MSG and its payload, when it is sent whole. The first of
 * several fragments has 4 more.
 *
 * @throws {TypeError} if a metadata name is not allowed
 * @throws {RangeError} if the topic, or something in the metadata, is too long
 */
export function messagePrefixSize(topic: string, metadata?: Metadata): number {
  const block = metadataSize(metadata);
  return 2 + fieldSize(topic, MAX_NAME, "message", "topic") + (block === 0 ? 0 : 4 + block);
}

/** What a message with nothing but a payload has before that: the size of no topic. */
export const PLAIN_PREFIX = 2;
/** How long its frame is beside the payload. */
export const PLAIN_SIZE: number = HEADER_SIZE + PLAIN_PREFIX;
/** The type, flags and aux of one without flags. */
const PLAIN_START = FrameType.MSG << 24;

/** Writes a whole message with nothing but a payload; `seq` 0: volatile. `flags`: ACKREQ or none. */
export function encodePlainMessage(
  out: OutBuffer,
  seq: number,
  payload: Uint8Array,
  flags = 0,
): void {
  const at = out.reserveBefore(PLAIN_SIZE, payload);
  const { numbers } = out;
  numbers.setUint32(at, LENGTH_BASE + PLAIN_PREFIX + payload.length);
  numbers.setUint32(at + 4, PLAIN_START | flags << 16);
  numbers.setUint32(at + 8, 0);
  numbers.setUint32(at + 12, seq);
  numbers.setUint16(at + HEADER_SIZE, 0);
}

/** Whether it is whole and has nothing but a payload, which begins `PLAIN_PREFIX` bytes further. */
export function isPlainMessage(flags: number, buffer: Bytes, start: number, end: number): boolean {
  return (flags & (Flag.META | Flag.MORE)) === 0 && end - start >= PLAIN_PREFIX &&
    buffer[start] === 0 && buffer[start + 1] === 0;
}

/**
 * Where the MSG ends that begins at `at`, when it is one of those, without any flag, with the number `seq`,
 * and ends no later than `end`; else -1.
 */
export function plainMessageEnd(view: DataView, at: number, end: number, seq: number): number {
  if (end - at < PLAIN_SIZE) return -1;
  const next = at + 4 + view.getUint32(at);
  const plain = view.getUint32(at + 4) === PLAIN_START && view.getUint32(at + 8) === 0 &&
    view.getUint32(at + 12) === seq && view.getUint16(at + HEADER_SIZE) === 0;
  return plain && next >= at + PLAIN_SIZE && next <= end ? next : -1;
}

/**
 * Writes a whole message; `seq` 0: volatile. `flags`: ACKREQ or none.
 *
 * @throws {TypeError} if a metadata name is not allowed
 * @throws {RangeError} if the topic, or something in the metadata, is too long
 */
export function encodeMessage(
  out: OutBuffer,
  seq: number,
  topic: string,
  payload: Uint8Array,
  metadata?: Metadata,
  flags = 0,
): void {
  if (topic === "" && metadata === undefined) {
    return encodePlainMessage(out, seq, payload, flags);
  }
  writeMessage(out, seq, topic, payload, metadata, -1, flags);
}

/**
 * Writes the first fragment of a message of `total` payload bytes; `encodePiece` writes the others.
 *
 * @throws {TypeError} if a metadata name is not allowed
 * @throws {RangeError} if the topic, or something in the metadata, is too long
 */
export function encodeMessageStart(
  out: OutBuffer,
  seq: number,
  topic: string,
  total: number,
  firstPiece: Uint8Array,
  metadata?: Metadata,
): void {
  writeMessage(out, seq, topic, firstPiece, metadata, total, 0);
}

/**
 * Writes a fragment that is not the first, of any type; `more`: it is not the last either. `flags`:
 * ACKREQ or none.
 */
export function encodePiece(
  out: OutBuffer,
  type: number,
  id: number,
  seq: number,
  more: boolean,
  piece: Uint8Array,
  flags = 0,
): void {
  writeHeader(out, piece.length, type, more ? flags | Flag.MORE : flags, 0, id, seq);
  out.bytes(piece);
}

/**
 * Reads a MSG that is whole or the first of several fragments.
 *
 * @throws {ProtocolError} BAD_FRAME; FRAME_TOO_LARGE when the metadata is over `maxMetadata` bytes
 */
export function decodeMessage(
  flags: number,
  buffer: Bytes,
  start: number,
  end: number,
  maxMetadata: number = Infinity,
): Message {
  if (end - start < 2) throw badFrame("MSG", "its topic must end within the body");
  let at = start + 2 + ((buffer[start]! << 8) | buffer[start + 1]!);
  let topic = "";
  if (at !== start + 2) {
    checkName("MSG", "topic", at - start - 2, at, end);
    topic = readName(buffer, start + 2, at, "MSG", "topic");
  }
  let metadata: Metadata | undefined;
  let total = -1;
  if ((flags & Flag.META) !== 0) {
    const next = metadataEnd(buffer, at, end, maxMetadata, "MSG");
    metadata = readEntries(buffer, at + 4, next, "MSG");
    at = next;
  }
  if ((flags & Flag.MORE) !== 0) {
    total = readTotal("MSG", buffer, at, end);
    at += 4;
  }
  return { topic, metadata, total, start: at, end };
}

/** Judges a name whose length says that it ends at `at`, in a body that ends at `end`. */
export function checkName(
  frame: string,
  field: string,
  size: number,
  at: number,
  end: number,
  max: number = MAX_NAME,
): void {
  if (at > end) throw badFrame(frame, `its ${field} must end within the body`);
  if (size > max) {
    throw badFrame(frame, `its ${field} must be at most ${max} bytes: current value is ${size}`);
  }
}

/** Reads the total of a first fragment. Whether the pieces add up is the session's to judge. */
export function readTotal(frame: string, buffer: Bytes, at: number, end: number): number {
  if (end - at < 4) throw badFrame(frame, "its total must end within the body");
  return readUint32(buffer, at);
}

function writeMessage(
  out: OutBuffer,
  seq: number,
  topic: string,
  payload: Uint8Array,
  metadata: Metadata | undefined,
  total: number,
  flags: number,
): void {
  const size = fieldSize(topic, MAX_NAME, "message", "topic");
  const block = metadataSize(metadata);
  const head = 2 + size + (block === 0 ? 0 : 4 + block) + (total < 0 ? 0 : 4);
  const all = flags | (block === 0 ? 0 : Flag.META) | (total < 0 ? 0 : Flag.MORE);
  writeHeader(out, head + payload.length, FrameType.MSG, all, 0, 0, seq);
  writeText(out, topic, size);
  writeMetadata(out, metadata, block);
  if (total >= 0) out.uint32(total);
  out.bytes(payload);
}
