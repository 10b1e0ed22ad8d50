/**
 * The fields that handshake frames have in common: credentials, fixed ids, optional values (TLVs).
 *
 * A TLV is a u16 type, whose top bit says "critical", a u16 length and the value. What a frame does
 * not know, or has no place for, is skipped unless it is critical.
 */
import { ProtocolError } from "../base/errors.ts";
import { giveOutBuffer, type OutBuffer } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import type { BodyReader } from "./body.ts";
import {
  frameName,
  HEADER_SIZE,
  MAX_NAME,
  PRE_WELCOME_MAX,
  Tlv,
  TLV_CRITICAL,
} from "./constants.ts";
import { writeHeader } from "./frame.ts";
import { type Metadata, metadataSize, writeEntries } from "./metadata.ts";
import { badFrame, fieldSize, writeText } from "./text.ts";

/** Bytes of a session id. */
export const SESSION_ID_SIZE = 16;
/** Bytes of a session's secret. */
export const SECRET_SIZE = 32;
/** Bytes of a server's epoch. */
export const EPOCH_SIZE = 8;
/** Bytes of a client object's mark. */
export const INSTANCE_SIZE = 16;
/** No bytes. */
export const EMPTY: Bytes = new Uint8Array(0);

/** Who the client says it is. */
export interface Credential {
  readonly authScheme: string;
  readonly auth: Bytes;
}

/** The optional values that several frames have. */
export interface Options {
  agent: string;
  serializer: string;
  instance: Bytes;
}

/** Writes a whole frame. @throws {RangeError} if no peer would take it before WELCOME */
export function writeHandshake(out: OutBuffer, type: number, aux: number, body: OutBuffer): void {
  if (HEADER_SIZE + body.length > PRE_WELCOME_MAX) {
    throw new RangeError(
      `Cannot encode ${
        frameName(type)
      } as it must be at most ${PRE_WELCOME_MAX} bytes: current value is ${
        HEADER_SIZE + body.length
      }`,
    );
  }
  writeHeader(out, body.length, type, 0, aux, 0, 0);
  for (const piece of body.pieces()) out.bytes(piece);
  giveOutBuffer(body);
}

/** Writes a u16 length and a text of at most 255 bytes. */
export function writeName(out: OutBuffer, text: string, frame: string, field: string): void {
  writeText(out, text, fieldSize(text, MAX_NAME, frame, field));
}

/** Writes bytes whose number is fixed. */
export function writeFixed(
  out: OutBuffer,
  bytes: Bytes,
  size: number,
  frame: string,
  field: string,
): void {
  if (bytes.length !== size) {
    throw new RangeError(
      `Cannot encode ${frame} as '${field}' must have ${size} bytes: current value has ${bytes.length}`,
    );
  }
  out.bytes(bytes);
}

/** Writes the scheme and the credential. */
export function writeCredential(out: OutBuffer, credential: Credential, frame: string): void {
  writeName(out, credential.authScheme, frame, "authScheme");
  out.uint32(credential.auth.length);
  out.bytes(credential.auth);
}

/** Reads the scheme and the credential. */
export function readCredential(body: BodyReader): Credential {
  const authScheme = body.text(MAX_NAME, "auth scheme");
  const auth = body.bytes(body.uint32("auth"), "auth");
  return { authScheme, auth };
}

/** Writes the TLVs that several frames have. */
export function writeOptions(out: OutBuffer, options: Readonly<Options>, frame: string): void {
  writeTextTlv(out, Tlv.AGENT, options.agent, MAX_NAME, frame, "agent");
  // Critical: two ends with different serializers must not find out later.
  const serializer = Tlv.SERIALIZER | TLV_CRITICAL;
  writeTextTlv(out, serializer, options.serializer, MAX_NAME, frame, "serializer");
  if (options.instance.length > 0) {
    out.uint16(Tlv.INSTANCE);
    out.uint16(INSTANCE_SIZE);
    writeFixed(out, options.instance, INSTANCE_SIZE, frame, "instance");
  }
}

/** Writes a TLV of text, unless it is empty. */
export function writeTextTlv(
  out: OutBuffer,
  type: number,
  text: string,
  max: number,
  frame: string,
  field: string,
): void {
  if (text === "") return;
  const size = fieldSize(text, max, frame, field);
  out.uint16(type);
  writeText(out, text, size);
}

/** Writes the TLV of metadata, if there is any. */
export function writeMetadataTlv(out: OutBuffer, metadata: Metadata, frame: string): void {
  const size = metadataSize(metadata);
  if (size === 0) return;
  if (size > 0xffff) {
    throw new RangeError(
      `Cannot encode ${frame} as 'metadata' must be at most 65535 bytes: current value is ${size}`,
    );
  }
  out.uint16(Tlv.METADATA);
  out.uint16(size);
  writeEntries(out, metadata);
}

/** Reads TLVs to the end of the body; `take` reads a value, or says that it does not know it. */
export function readTlvs(
  frame: string,
  body: BodyReader,
  take: (type: number, size: number) => boolean,
): void {
  const seen = new Set<number>();
  while (body.left > 0) {
    const raw = body.uint16("TLV type");
    const size = body.uint16("TLV length");
    const type = raw & ~TLV_CRITICAL;
    if (take(type, size)) {
      if (seen.has(type)) throw badFrame(frame, `the TLV ${type} must not come twice`);
      seen.add(type);
      continue;
    }
    if ((raw & TLV_CRITICAL) !== 0) {
      throw new ProtocolError(
        "UNKNOWN_CRITICAL",
        `Cannot decode ${frame} as the critical TLV ${type} is unknown`,
      );
    }
    body.part(size, "TLV");
  }
}

/** Reads one of the TLVs that several frames have; false: it is none of them. */
export function readOption(
  frame: string,
  body: BodyReader,
  type: number,
  size: number,
  options: Options,
): boolean {
  switch (type) {
    case Tlv.AGENT:
      options.agent = body.textOf(size, MAX_NAME, "agent");
      return true;
    case Tlv.SERIALIZER:
      options.serializer = body.textOf(size, MAX_NAME, "serializer");
      return true;
    case Tlv.INSTANCE:
      if (size !== INSTANCE_SIZE) {
        throw badFrame(
          frame,
          `its instance must have ${INSTANCE_SIZE} bytes: current value is ${size}`,
        );
      }
      options.instance = body.bytes(size, "instance");
      return true;
    default:
      return false;
  }
}
