/**
 * The frames of calls and their streams: REQUEST, RESPONSE, ERROR, CANCEL, CHUNK, CREDIT, SKIP.
 *
 * Owns their layout only. An encoder that takes a `total` writes the first of several fragments
 * when it is given, and `encodePiece` the others; END and metadata stand on the first.
 */
import type { RpcCode } from "../base/errors.ts";
import type { OutBuffer } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import { readUint32, readUint64, writeUint64 } from "./body.ts";
import { rpcCodeNumber, rpcCodeOf } from "./codes.ts";
import { Flag, FrameType, MAX_ERROR_MESSAGE, MAX_NAME } from "./constants.ts";
import { writeHeader } from "./frame.ts";
import { checkName, type Payload, readTotal } from "./message.ts";
import {
  type Metadata,
  metadataEnd,
  metadataSize,
  readEntries,
  writeMetadata,
} from "./metadata.ts";
import {
  badFrame,
  nameBytes,
  readName,
  readText,
  truncateText,
  utf8Length,
  writeText,
} from "./text.ts";

/** What REQUEST carries. */
export interface Request extends Payload {
  /** The time that is left for the call, in ms; 0: no limit. */
  readonly deadline: number;
  /** What is called. */
  readonly method: string;
}

/** How a call failed: the fixed part of an ERROR. */
export interface ErrorHead {
  /** Why. */
  readonly code: RpcCode;
  /** Whether it is certain that the handler was not started. */
  readonly notExecuted: boolean;
  /** Whether the same call may go well later. */
  readonly retryable: boolean;
  /** How long to wait before that, in ms; 0: not said. */
  readonly retryAfter: number;
  /** In words. */
  readonly message: string;
}

/** What ERROR carries; its payload is the detail. */
export interface ErrorFrame extends ErrorHead, Payload {}

const NOT_EXECUTED = 1;
const RETRYABLE = 2;

/**
 * Writes a REQUEST; `end`: no CHUNKs follow.
 *
 * @throws {TypeError} if a metadata name is not allowed
 * @throws {RangeError} if the method, or something in the metadata, is too long
 */
export function encodeRequest(
  out: OutBuffer,
  id: number,
  seq: number,
  deadline: number,
  method: string,
  end: boolean,
  payload: Uint8Array,
  metadata?: Metadata,
  total = -1,
): void {
  const name = nameBytes(method, MAX_NAME, "REQUEST", "method");
  const block = metadataSize(metadata);
  const head = 6 + name.length;
  const size = head + tailSize(block, total) + payload.length;
  const flags = (end ? Flag.END : 0) | tailFlags(block, total);
  const at = writeHeader(out, size, FrameType.REQUEST, flags, 0, id, seq, head);
  const { buffer } = out;
  buffer[at] = deadline >>> 24;
  buffer[at + 1] = deadline >>> 16;
  buffer[at + 2] = deadline >>> 8;
  buffer[at + 3] = deadline;
  buffer[at + 4] = name.length >>> 8;
  buffer[at + 5] = name.length;
  for (let i = 0; i < name.length; i++) buffer[at + 6 + i] = name[i]!;
  writeTail(out, metadata, block, total, payload);
}

/**
 * Writes a RESPONSE. `end`: it is the whole answer; else CHUNKs follow and the payload is empty.
 *
 * @throws {TypeError} if a metadata name is not allowed
 * @throws {RangeError} if something in the metadata is too long, or a payload comes without `end`
 */
export function encodeResponse(
  out: OutBuffer,
  id: number,
  seq: number,
  end: boolean,
  payload: Uint8Array,
  metadata?: Metadata,
  total = -1,
): void {
  if (!end && payload.length > 0) {
    throw new RangeError(
      `Cannot encode RESPONSE as 'payload' must be empty when items follow: current value has ${payload.length} bytes`,
    );
  }
  const block = metadataSize(metadata);
  const flags = (end ? Flag.END : 0) | tailFlags(block, total);
  const size = tailSize(block, total) + payload.length;
  writeHeader(out, size, FrameType.RESPONSE, flags, 0, id, seq);
  writeTail(out, metadata, block, total, payload);
}

/**
 * Writes an ERROR; its message is cut to 4,096 bytes.
 *
 * @throws {TypeError} if a metadata name is not allowed
 * @throws {RangeError} if something in the metadata is too long
 */
export function encodeError(
  out: OutBuffer,
  id: number,
  seq: number,
  error: ErrorHead,
  detail: Uint8Array,
  metadata?: Metadata,
  total = -1,
): void {
  const message = truncateText(error.message, MAX_ERROR_MESSAGE);
  const size = utf8Length(message);
  const block = metadataSize(metadata);
  const length = 7 + size + tailSize(block, total) + detail.length;
  const code = rpcCodeNumber(error.code);
  writeHeader(out, length, FrameType.ERROR, tailFlags(block, total), code, id, seq);
  out.uint8((error.notExecuted ? NOT_EXECUTED : 0) | (error.retryable ? RETRYABLE : 0));
  out.uint32(error.retryAfter);
  writeText(out, message, size);
  writeTail(out, metadata, block, total, detail);
}

/** Writes a CANCEL. */
export function encodeCancel(out: OutBuffer, id: number, seq: number, code: RpcCode): void {
  writeHeader(out, 0, FrameType.CANCEL, 0, rpcCodeNumber(code), id, seq);
}

/** Writes a CHUNK: one item; `end`: the last in this direction. */
export function encodeChunk(
  out: OutBuffer,
  id: number,
  seq: number,
  end: boolean,
  payload: Uint8Array,
  total = -1,
): void {
  const flags = (end ? Flag.END : 0) | tailFlags(0, total);
  writeHeader(out, tailSize(0, total) + payload.length, FrameType.CHUNK, flags, 0, id, seq);
  writeTail(out, undefined, 0, total, payload);
}

/** Writes a CREDIT: how much may be sent on the stream since it began, in bytes of cost. */
export function encodeCredit(out: OutBuffer, id: number, seq: number, limitBytes: number): void {
  writeHeader(out, 8, FrameType.CREDIT, 0, 0, id, seq);
  writeUint64(out, limitBytes);
}

/** Writes a SKIP, in the place of a frame that must not run any more. */
export function encodeSkip(out: OutBuffer, id: number, seq: number): void {
  writeHeader(out, 0, FrameType.SKIP, 0, 0, id, seq);
}

/** What a decoder writes to. One that is used again costs nothing per frame. */
export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** For `decodeRequest`. */
export function emptyRequest(): Mutable<Request> {
  return { deadline: 0, method: "", metadata: undefined, total: -1, start: 0, end: 0 };
}

/** For `decodeResponse`. */
export function emptyPayload(): Mutable<Payload> {
  return { metadata: undefined, total: -1, start: 0, end: 0 };
}

/** Reads a REQUEST. @throws {ProtocolError} BAD_FRAME, FRAME_TOO_LARGE (as `decodeMessage`) */
export function decodeRequest(
  flags: number,
  buffer: Bytes,
  start: number,
  end: number,
  maxMetadata: number = Infinity,
  request: Mutable<Request> = emptyRequest(),
): Request {
  if (end - start < 6) throw badFrame("REQUEST", "its method must end within the body");
  request.deadline = readUint32(buffer, start);
  const size = (buffer[start + 4]! << 8) | buffer[start + 5]!;
  const at = start + 6 + size;
  checkName("REQUEST", "method", size, at, end);
  request.method = readName(buffer, start + 6, at, "REQUEST", "method");
  readTail("REQUEST", flags, buffer, at, end, maxMetadata, request);
  return request;
}

/** Reads a RESPONSE. @throws {ProtocolError} BAD_FRAME, FRAME_TOO_LARGE (as `decodeMessage`) */
export function decodeResponse(
  flags: number,
  buffer: Bytes,
  start: number,
  end: number,
  maxMetadata: number = Infinity,
  tail: Mutable<Payload> = emptyPayload(),
): Payload {
  readTail("RESPONSE", flags, buffer, start, end, maxMetadata, tail);
  if ((flags & Flag.END) === 0 && (tail.start !== end || tail.total >= 0)) {
    throw badFrame("RESPONSE", "its payload must be empty when items follow");
  }
  return tail;
}

/** Reads an ERROR. @throws {ProtocolError} BAD_FRAME, FRAME_TOO_LARGE (as `decodeMessage`) */
export function decodeError(
  aux: number,
  flags: number,
  buffer: Bytes,
  start: number,
  end: number,
  maxMetadata: number = Infinity,
): ErrorFrame {
  if (end - start < 7) throw badFrame("ERROR", "its message must end within the body");
  const bits = buffer[start]!;
  const retryAfter = readUint32(buffer, start + 1);
  const size = (buffer[start + 5]! << 8) | buffer[start + 6]!;
  const at = start + 7 + size;
  checkName("ERROR", "message", size, at, end, MAX_ERROR_MESSAGE);
  const message = readText(buffer, start + 7, at, "ERROR", "message");
  const tail = emptyPayload();
  readTail("ERROR", flags, buffer, at, end, maxMetadata, tail);
  return {
    code: rpcCodeOf(aux),
    notExecuted: (bits & NOT_EXECUTED) !== 0,
    retryable: (bits & RETRYABLE) !== 0,
    retryAfter,
    message,
    metadata: tail.metadata,
    total: tail.total,
    start: tail.start,
    end,
  };
}

/** Reads a CANCEL: why. @throws {ProtocolError} BAD_FRAME */
export function decodeCancel(aux: number, start: number, end: number): RpcCode {
  if (start !== end) throw badFrame("CANCEL", "its body must be empty");
  return rpcCodeOf(aux);
}

/** Reads a CHUNK. @throws {ProtocolError} BAD_FRAME, FRAME_TOO_LARGE (as `decodeMessage`) */
export function decodeChunk(flags: number, buffer: Bytes, start: number, end: number): Payload {
  const tail = emptyPayload();
  readTail("CHUNK", flags, buffer, start, end, Infinity, tail);
  return tail;
}

/** Reads a CREDIT: how much may be sent on the stream since it began. @throws {ProtocolError} */
export function decodeCredit(buffer: Bytes, start: number, end: number): number {
  if (end - start !== 8) throw badFrame("CREDIT", "its body must have 8 bytes");
  return readUint64(buffer, start, "CREDIT", "limit");
}

/** Judges a SKIP. @throws {ProtocolError} BAD_FRAME */
export function decodeSkip(start: number, end: number): void {
  if (start !== end) throw badFrame("SKIP", "its body must be empty");
}

function tailSize(block: number, total: number): number {
  return (block === 0 ? 0 : 4 + block) + (total < 0 ? 0 : 4);
}

function tailFlags(block: number, total: number): number {
  return (block === 0 ? 0 : Flag.META) | (total < 0 ? 0 : Flag.MORE);
}

function writeTail(
  out: OutBuffer,
  metadata: Metadata | undefined,
  block: number,
  total: number,
  payload: Uint8Array,
): void {
  writeMetadata(out, metadata, block);
  if (total >= 0) out.uint32(total);
  out.bytes(payload);
}

function readTail(
  frame: string,
  flags: number,
  buffer: Bytes,
  start: number,
  end: number,
  maxMetadata: number,
  tail: Mutable<Payload>,
): void {
  let at = start;
  tail.metadata = undefined;
  tail.total = -1;
  if ((flags & Flag.META) !== 0) {
    const next = metadataEnd(buffer, at, end, maxMetadata, frame);
    tail.metadata = readEntries(buffer, at + 4, next, frame);
    at = next;
  }
  if ((flags & Flag.MORE) !== 0) {
    tail.total = readTotal(frame, buffer, at, end);
    at += 4;
  }
  tail.start = at;
  tail.end = end;
}
