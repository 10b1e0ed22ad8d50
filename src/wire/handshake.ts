/**
 * The frames that begin a session: HELLO, WELCOME, RESUME, RESUMED, REJECT.
 *
 * Owns their layout and the optional values (TLVs) behind it. Whether to accept one is the
 * server's to decide; nothing here compares a secret.
 *
 * 1. What comes out is copied: it is kept for long and must not hold the read buffer.
 * 2. A TLV that is unknown, or has no place in the frame, is skipped unless it is critical.
 */
import type { CloseCode } from "../base/errors.ts";
import { type OutBuffer, takeOutBuffer } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import { BodyReader, writeUint64 } from "./body.ts";
import { closeCodeNumber, closeCodeOf } from "./codes.ts";
import { FrameType, MAX_NAME, MAX_PATH, Tlv } from "./constants.ts";
import {
  EMPTY,
  EPOCH_SIZE,
  readCredential,
  readOption,
  readTlvs,
  SECRET_SIZE,
  SESSION_ID_SIZE,
  writeCredential,
  writeFixed,
  writeHandshake,
  writeMetadataTlv,
  writeName,
  writeOptions,
  writeTextTlv,
} from "./fields.ts";
import { writeHeader } from "./frame.ts";
import { readLimits, type WireLimits, writeLimits } from "./limits.ts";
import { type Metadata, readEntries } from "./metadata.ts";
import { badFrame, truncateText, utf8Length } from "./text.ts";

export { checkLimits, sameLimits, type WireLimits } from "./limits.ts";
export {
  type ClientPreface,
  decodeClientPreface,
  decodeServerPreface,
  encodeClientPreface,
  encodeServerPreface,
  negotiate,
  type ServerPreface,
} from "./preface.ts";

/** A client asks for a new session. */
export interface Hello {
  /** What it takes. */
  readonly limits: WireLimits;
  /** The id that it asks for; empty: any. */
  readonly clientId: string;
  /** The kind of credential; empty: none. */
  readonly authScheme: string;
  /** The credential. */
  readonly auth: Bytes;
  /** Its program, for logs. */
  readonly agent: string;
  /** The name of its serializer; empty: not said. */
  readonly serializer: string;
  /** 12 random bytes per client object and a u32 that rises with each HELLO; empty: not said. */
  readonly instance: Bytes;
  /** What it wants of a server that has several services; empty: not said. */
  readonly path: string;
  /** What else the application says. */
  readonly metadata: Metadata;
}

/** A server has begun a session. */
export interface Welcome {
  /** What it takes; `ttlMs` and `features` are what it grants. */
  readonly limits: WireLimits;
  /** 16 bytes that find the session again. */
  readonly sessionId: Bytes;
  /** 32 bytes that prove whose it is. */
  readonly secret: Bytes;
  /** 8 bytes that differ after each start of the server. */
  readonly epoch: Bytes;
  /** The id of the client from here on. */
  readonly id: string;
  /** Its program, for logs. */
  readonly agent: string;
  /** The name of its serializer; empty: not said. */
  readonly serializer: string;
}

/** A client asks to go on with a session. */
export interface Resume {
  /** As in its HELLO. */
  readonly limits: WireLimits;
  /** Of WELCOME. */
  readonly sessionId: Bytes;
  /** Rises with each attempt of this session. */
  readonly attach: number;
  /** How many tracked frames it has accepted. */
  readonly recvSeq: number;
  /** The credit that it has granted. */
  readonly limitBytes: number;
  /** The secret of WELCOME. */
  readonly proof: Bytes;
  /** The kind of credential; empty: none. */
  readonly authScheme: string;
  /** The credential. */
  readonly auth: Bytes;
  /** Its program, for logs. */
  readonly agent: string;
  /** The name of its serializer; empty: not said. */
  readonly serializer: string;
  /** As in its HELLO. */
  readonly instance: Bytes;
}

/** A server goes on with a session. */
export interface Resumed {
  /** How many tracked frames it has accepted. */
  readonly recvSeq: number;
  /** The credit that it has granted. */
  readonly limitBytes: number;
  /** How long the session outlives its link, in ms. */
  readonly ttlMs: number;
}

/** A server refuses, and closes. */
export interface Reject {
  /** Why. */
  readonly code: CloseCode;
  /** How long to wait before the next try, in ms; 0: not said. */
  readonly retryAfter: number;
  /** 8 bytes that differ after each start of the server. */
  readonly epoch: Bytes;
  /** How many frames of the session that is gone were accepted, if that is known. */
  readonly lastRecv: number | undefined;
  /** In words. */
  readonly reason: string;
}

/** Says why a server refuses this client id (CLIENT_ID_INVALID). Empty is fine: any will do. */
export function clientIdProblem(id: string): string | undefined {
  const size = utf8Length(id);
  if (size > MAX_NAME) {
    return `The client id must be at most ${MAX_NAME} bytes of UTF-8: current value is ${size}`;
  }
  if (/\p{Cc}/u.test(id)) return "The client id must not contain control characters";
  return undefined;
}

/** Writes a HELLO. @throws {RangeError} if a text or the instance has a wrong size */
export function encodeHello(out: OutBuffer, hello: Hello): void {
  const body = takeOutBuffer();
  writeLimits(body, hello.limits);
  writeName(body, hello.clientId, "HELLO", "clientId");
  writeCredential(body, hello, "HELLO");
  writeOptions(body, hello, "HELLO");
  writeTextTlv(body, Tlv.PATH, hello.path, MAX_PATH, "HELLO", "path");
  writeMetadataTlv(body, hello.metadata, "HELLO");
  writeHandshake(out, FrameType.HELLO, 0, body);
}

/** Writes a WELCOME. @throws {RangeError} if a text or an id has a wrong size */
export function encodeWelcome(out: OutBuffer, welcome: Welcome): void {
  const body = takeOutBuffer();
  writeLimits(body, welcome.limits);
  writeFixed(body, welcome.sessionId, SESSION_ID_SIZE, "WELCOME", "sessionId");
  writeFixed(body, welcome.secret, SECRET_SIZE, "WELCOME", "secret");
  writeFixed(body, welcome.epoch, EPOCH_SIZE, "WELCOME", "epoch");
  writeName(body, welcome.id, "WELCOME", "id");
  writeOptions(body, { ...welcome, instance: EMPTY }, "WELCOME");
  writeHandshake(out, FrameType.WELCOME, 0, body);
}

/** Writes a RESUME. @throws {RangeError} if a text or an id has a wrong size */
export function encodeResume(out: OutBuffer, resume: Resume): void {
  const body = takeOutBuffer();
  writeLimits(body, resume.limits);
  writeFixed(body, resume.sessionId, SESSION_ID_SIZE, "RESUME", "sessionId");
  body.uint32(resume.attach);
  writeUint64(body, resume.recvSeq);
  writeUint64(body, resume.limitBytes);
  writeFixed(body, resume.proof, SECRET_SIZE, "RESUME", "proof");
  writeCredential(body, resume, "RESUME");
  writeOptions(body, resume, "RESUME");
  writeHandshake(out, FrameType.RESUME, 0, body);
}

/** Writes a RESUMED. */
export function encodeResumed(out: OutBuffer, resumed: Resumed): void {
  writeHeader(out, 20, FrameType.RESUMED, 0, 0, 0, 0);
  writeUint64(out, resumed.recvSeq);
  writeUint64(out, resumed.limitBytes);
  out.uint32(resumed.ttlMs);
}

/** Writes a REJECT; the reason is cut to 255 bytes. @throws {RangeError} if the epoch is not 8 bytes */
export function encodeReject(out: OutBuffer, reject: Reject): void {
  const body = takeOutBuffer();
  body.uint32(reject.retryAfter);
  writeFixed(body, reject.epoch, EPOCH_SIZE, "REJECT", "epoch");
  body.uint8(reject.lastRecv === undefined ? 0 : 1);
  writeUint64(body, reject.lastRecv ?? 0);
  writeName(body, truncateText(reject.reason, MAX_NAME), "REJECT", "reason");
  writeHandshake(out, FrameType.REJECT, closeCodeNumber(reject.code), body);
}

/** Reads the body of a HELLO. @throws {ProtocolError} BAD_FRAME, UNKNOWN_CRITICAL */
export function decodeHello(buffer: Bytes, start: number, end: number): Hello {
  const body = new BodyReader("HELLO", buffer, start, end);
  const limits = readLimits(body);
  // Too long is CLIENT_ID_INVALID, which the server says in a REJECT that the client understands.
  const clientId = body.text(0xffff, "client id");
  const credential = readCredential(body);
  const options = { agent: "", serializer: "", instance: EMPTY, path: "" };
  let metadata: Metadata = Object.create(null);
  readTlvs("HELLO", body, (type, size) => {
    if (type === Tlv.PATH) {
      options.path = body.textOf(size, MAX_PATH, "path");
    } else if (type === Tlv.METADATA) {
      const part = body.part(size, "metadata");
      metadata = readEntries(buffer, part.start, part.end, "HELLO");
    } else return readOption("HELLO", body, type, size, options);
    return true;
  });
  return { limits, clientId, ...credential, ...options, metadata };
}

/** Reads the body of a WELCOME. @throws {ProtocolError} BAD_FRAME, UNKNOWN_CRITICAL */
export function decodeWelcome(buffer: Bytes, start: number, end: number): Welcome {
  const body = new BodyReader("WELCOME", buffer, start, end);
  const limits = readLimits(body);
  const sessionId = body.bytes(SESSION_ID_SIZE, "session id");
  const secret = body.bytes(SECRET_SIZE, "secret");
  const epoch = body.bytes(EPOCH_SIZE, "epoch");
  const id = body.text(MAX_NAME, "id");
  const options = { agent: "", serializer: "", instance: EMPTY };
  readTlvs("WELCOME", body, (type, size) => {
    if (type === Tlv.INSTANCE) return false;
    return readOption("WELCOME", body, type, size, options);
  });
  const { agent, serializer } = options;
  return { limits, sessionId, secret, epoch, id, agent, serializer };
}

/** Reads the body of a RESUME. @throws {ProtocolError} BAD_FRAME, UNKNOWN_CRITICAL */
export function decodeResume(buffer: Bytes, start: number, end: number): Resume {
  const body = new BodyReader("RESUME", buffer, start, end);
  const limits = readLimits(body);
  const sessionId = body.bytes(SESSION_ID_SIZE, "session id");
  const attach = body.uint32("attach");
  const recvSeq = body.uint64("recvSeq");
  const limitBytes = body.uint64("limitBytes");
  const proof = body.bytes(SECRET_SIZE, "proof");
  const credential = readCredential(body);
  const options = { agent: "", serializer: "", instance: EMPTY };
  readTlvs("RESUME", body, (type, size) => readOption("RESUME", body, type, size, options));
  return { limits, sessionId, attach, recvSeq, limitBytes, proof, ...credential, ...options };
}

/** Reads the body of a RESUMED. @throws {ProtocolError} BAD_FRAME */
export function decodeResumed(buffer: Bytes, start: number, end: number): Resumed {
  const body = new BodyReader("RESUMED", buffer, start, end);
  const recvSeq = body.uint64("recvSeq");
  const limitBytes = body.uint64("limitBytes");
  const ttlMs = body.uint32("ttl");
  body.finish();
  return { recvSeq, limitBytes, ttlMs };
}

/** Reads a REJECT. @throws {ProtocolError} BAD_FRAME */
export function decodeReject(aux: number, buffer: Bytes, start: number, end: number): Reject {
  const body = new BodyReader("REJECT", buffer, start, end);
  const retryAfter = body.uint32("retryAfter");
  const epoch = body.bytes(EPOCH_SIZE, "epoch");
  const hasLast = body.uint8("hasLast");
  if (hasLast > 1) throw badFrame("REJECT", `its hasLast must be 0 or 1: ${hasLast}`);
  const last = body.uint64("lastRecv");
  const reason = body.text(MAX_NAME, "reason");
  body.finish();
  const lastRecv = hasLast === 1 ? last : undefined;
  return { code: closeCodeOf(aux), retryAfter, epoch, lastRecv, reason };
}
