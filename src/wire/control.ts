/**
 * Bodies of the frames that keep a session going: PING, PONG, ACK, GOAWAY, CLOSE.
 *
 * Owns their layout only; when to send one and what follows from it is the session's.
 */
import type { CloseCode } from "../base/errors.ts";
import type { OutBuffer } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import { BodyReader, readUint64, writeUint64 } from "./body.ts";
import { closeCodeNumber, closeCodeOf } from "./codes.ts";
import { FrameType, MAX_NAME } from "./constants.ts";
import { writeHeader } from "./frame.ts";
import { badFrame, truncateText, utf8Length, writeText } from "./text.ts";

/** What PING and PONG carry. */
export interface Ping {
  /** Comes back in the PONG as it was sent. */
  readonly opaque: number;
  /** How many tracked frames the sender has accepted. */
  readonly recvSeq: number;
}

/** What ACK carries. */
export interface Ack {
  /** How many tracked frames the sender has accepted. */
  readonly recvSeq: number;
  /** How much the receiver of this may send since the session began, in bytes of cost. */
  readonly limitBytes: number;
}

/** What GOAWAY carries. */
export interface Goaway {
  /** Why. */
  readonly code: CloseCode;
  /** How long to wait before coming back, in ms. */
  readonly retryAfter: number;
  /** In words. */
  readonly reason: string;
}

/** What CLOSE carries. */
export interface Close {
  /** Why. */
  readonly code: CloseCode;
  /** What ends: 0 the session, 1 only this link. */
  readonly scope: 0 | 1;
  /** How many tracked frames the sender has accepted. */
  readonly recvSeq: number;
  /** In words. */
  readonly reason: string;
}

/** Writes a PING. */
export function encodePing(out: OutBuffer, opaque: number, recvSeq: number): void {
  writePair(out, FrameType.PING, opaque, recvSeq);
}

/** Writes the PONG to a PING. */
export function encodePong(out: OutBuffer, opaque: number, recvSeq: number): void {
  writePair(out, FrameType.PONG, opaque, recvSeq);
}

/** Writes an ACK. */
export function encodeAck(out: OutBuffer, recvSeq: number, limitBytes: number): void {
  writePair(out, FrameType.ACK, recvSeq, limitBytes);
}

/** Writes a GOAWAY; the reason is cut to 255 bytes. */
export function encodeGoaway(
  out: OutBuffer,
  code: CloseCode,
  retryAfter: number,
  reason: string,
): void {
  const text = truncateText(reason, MAX_NAME);
  const size = utf8Length(text);
  writeHeader(out, 6 + size, FrameType.GOAWAY, 0, closeCodeNumber(code), 0, 0);
  out.uint32(retryAfter);
  writeText(out, text, size);
}

/** Writes a CLOSE; the reason is cut to 255 bytes. */
export function encodeClose(
  out: OutBuffer,
  code: CloseCode,
  scope: 0 | 1,
  recvSeq: number,
  reason: string,
): void {
  const text = truncateText(reason, MAX_NAME);
  const size = utf8Length(text);
  writeHeader(out, 11 + size, FrameType.CLOSE, 0, closeCodeNumber(code), 0, 0);
  out.uint8(scope);
  writeUint64(out, recvSeq);
  writeText(out, text, size);
}

/** Reads the body of a PING. @throws {ProtocolError} BAD_FRAME */
export function decodePing(buffer: Bytes, start: number, end: number): Ping {
  return readPing("PING", buffer, start, end);
}

/** Reads the body of a PONG. @throws {ProtocolError} BAD_FRAME */
export function decodePong(buffer: Bytes, start: number, end: number): Ping {
  return readPing("PONG", buffer, start, end);
}

/** Reads the body of an ACK. @throws {ProtocolError} BAD_FRAME */
export function decodeAck(buffer: Bytes, start: number, end: number): Ack {
  const body = new BodyReader("ACK", buffer, start, end);
  const recvSeq = body.uint64("recvSeq");
  const limitBytes = body.uint64("limitBytes");
  body.finish();
  return { recvSeq, limitBytes };
}

/** Reads a GOAWAY. @throws {ProtocolError} BAD_FRAME */
export function decodeGoaway(aux: number, buffer: Bytes, start: number, end: number): Goaway {
  const body = new BodyReader("GOAWAY", buffer, start, end);
  const retryAfter = body.uint32("retryAfter");
  const reason = body.text(MAX_NAME, "reason");
  body.finish();
  return { code: closeCodeOf(aux), retryAfter, reason };
}

/** Reads a CLOSE. @throws {ProtocolError} BAD_FRAME */
export function decodeClose(aux: number, buffer: Bytes, start: number, end: number): Close {
  const body = new BodyReader("CLOSE", buffer, start, end);
  const scope = body.uint8("scope");
  if (scope !== 0 && scope !== 1) throw badFrame("CLOSE", `its scope must be 0 or 1: ${scope}`);
  const recvSeq = body.uint64("recvSeq");
  const reason = body.text(MAX_NAME, "reason");
  body.finish();
  return { code: closeCodeOf(aux), scope, recvSeq, reason };
}

function writePair(out: OutBuffer, type: number, first: number, second: number): void {
  writeHeader(out, 16, type, 0, 0, 0, 0);
  writeUint64(out, first);
  writeUint64(out, second);
}

/** Thousands of quiet connections have nothing but these: no reader is made for one that is as it must be. */
function readPing(frame: string, buffer: Bytes, start: number, end: number): Ping {
  if (end - start !== 16) return readOddPing(frame, buffer, start, end);
  const opaque = readUint64(buffer, start, frame, "opaque");
  return { opaque, recvSeq: readUint64(buffer, start + 8, frame, "recvSeq") };
}

function readOddPing(frame: string, buffer: Bytes, start: number, end: number): Ping {
  const body = new BodyReader(frame, buffer, start, end);
  const opaque = body.uint64("opaque");
  const recvSeq = body.uint64("recvSeq");
  body.finish();
  return { opaque, recvSeq };
}
