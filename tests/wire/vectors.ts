/**
 * The golden vectors, and how to encode and decode the body of each.
 *
 * Owns the way from the data file to src/wire and back; what must be equal is the tests' to say.
 */
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { Bytes, Side } from "../../src/base/types.ts";
import * as call from "../../src/wire/call.ts";
import { closeCodeOf, rpcCodeOf } from "../../src/wire/codes.ts";
import { Flag, FrameType } from "../../src/wire/constants.ts";
import * as control from "../../src/wire/control.ts";
import * as handshake from "../../src/wire/handshake.ts";
import * as message from "../../src/wire/message.ts";
import golden from "./golden.json" with { type: "json" };

/** The header of a vector, without its length. */
export interface Header {
  readonly type: number;
  readonly flags: number;
  readonly aux: number;
  readonly id: number;
  readonly seq: number;
}

/** Fields by name, as in the data file. */
export type Fields = Readonly<Record<string, unknown>>;

/** A frame. */
export interface FrameVector {
  readonly name: string;
  readonly from: Side;
  readonly bytes: Bytes;
  readonly frame: Header;
  readonly body: Fields;
  /** Where in the body an inner length is, and of how many bytes. */
  readonly lengths: readonly { readonly at: number; readonly width: number }[];
  readonly continues: boolean;
  readonly decodeOnly: boolean;
}

/** A preface. */
export interface PrefaceVector {
  readonly name: string;
  readonly from: Side;
  readonly bytes: Bytes;
  readonly preface: Fields;
}

const records: readonly Fields[] = golden.vectors;

/** All prefaces. */
export const prefaces: readonly PrefaceVector[] = records.filter((it) => "preface" in it).map((
  it,
) => ({
  name: text(it, "name"),
  from: side(it),
  bytes: unhex(text(it, "hex")),
  preface: fields(it, "preface"),
}));

/** All frames. */
export const frames: readonly FrameVector[] = records.filter((it) => "frame" in it).map((it) => {
  const frame = fields(it, "frame");
  return {
    name: text(it, "name"),
    from: side(it),
    bytes: unhex(text(it, "hex")),
    frame: {
      type: num(frame, "type"),
      flags: num(frame, "flags"),
      aux: num(frame, "aux"),
      id: num(frame, "id"),
      seq: num(frame, "seq"),
    },
    body: fields(it, "body"),
    lengths: text(it, "lengths").split(" ").filter((pair) => pair !== "").map((pair) => {
      const [at = NaN, width = NaN] = pair.split("/").map(Number);
      return { at, width };
    }),
    continues: it.continues === true,
    decodeOnly: it.decodeOnly === true,
  };
});

/** The vector of this name. */
export function vector(name: string): FrameVector {
  const found = frames.find((it) => it.name === name);
  if (found === undefined) throw new RangeError(`There is no golden vector '${name}'`);
  return found;
}

/** Bytes of "0a ff 00*16". */
export function unhex(hex: string): Bytes {
  const bytes: number[] = [];
  for (const token of hex.split(" ").filter((it) => it !== "")) {
    const [byte = "", count = "1"] = token.split("*");
    for (let i = 0; i < Number(count); i++) bytes.push(parseInt(byte, 16));
  }
  return Uint8Array.from(bytes);
}

/** As `unhex`, backwards: 32 and more equal bytes are written as a run. */
export function hex(bytes: Uint8Array): string {
  const tokens: string[] = [];
  for (let i = 0; i < bytes.length;) {
    const byte = bytes[i] ?? 0;
    let end = i;
    while (end < bytes.length && bytes[end] === byte) end++;
    const token = byte.toString(16).padStart(2, "0");
    if (end - i >= 32) {
      tokens.push(`${token}*${end - i}`);
      i = end;
    } else {
      tokens.push(token);
      i++;
    }
  }
  return tokens.join(" ");
}

/** All bytes in one array. */
export function concat(parts: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A frame with any header, whether right or wrong. */
export function rawFrame(header: Partial<Header> & { readonly length?: number }, body: Uint8Array) {
  const frame = new Uint8Array(16 + body.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, header.length ?? 12 + body.length);
  view.setUint8(4, header.type ?? 0);
  view.setUint8(5, header.flags ?? 0);
  view.setUint16(6, header.aux ?? 0);
  view.setUint32(8, header.id ?? 0);
  view.setUint32(12, header.seq ?? 0);
  frame.set(body, 16);
  return frame;
}

/** What an encoder writes. */
export function encoded(write: (out: OutBuffer) => void): Bytes {
  const out = new OutBuffer();
  write(out);
  return out.toBytes();
}

/** Encodes a vector from its fields. */
export function encodeVector(out: OutBuffer, vector: FrameVector): void {
  const { body, frame: { type, flags, aux, id, seq } } = vector;
  const end = (flags & Flag.END) !== 0;
  const payload = bytes(body, "payload");
  const total = typeof body.total === "number" ? body.total : -1;
  const metadata = isMetadata(body.metadata) ? body.metadata : undefined;
  const options = {
    agent: text(body, "agent"),
    serializer: text(body, "serializer"),
    instance: bytes(body, "instance"),
    authScheme: text(body, "authScheme"),
    auth: bytes(body, "auth"),
  };
  if (vector.continues) {
    return message.encodePiece(out, type, id, seq, (flags & Flag.MORE) !== 0, payload);
  }
  switch (type) {
    case FrameType.HELLO:
      return handshake.encodeHello(out, {
        ...options,
        limits: limits(body),
        clientId: text(body, "clientId"),
        path: text(body, "path"),
        metadata: metadata ?? {},
      });
    case FrameType.WELCOME:
      return handshake.encodeWelcome(out, {
        ...options,
        limits: limits(body),
        sessionId: bytes(body, "sessionId"),
        secret: bytes(body, "secret"),
        epoch: bytes(body, "epoch"),
        id: text(body, "id"),
      });
    case FrameType.RESUME:
      return handshake.encodeResume(out, {
        ...options,
        limits: limits(body),
        sessionId: bytes(body, "sessionId"),
        attach: num(body, "attach"),
        recvSeq: num(body, "recvSeq"),
        limitBytes: num(body, "limitBytes"),
        proof: bytes(body, "proof"),
      });
    case FrameType.RESUMED:
      return handshake.encodeResumed(out, {
        recvSeq: num(body, "recvSeq"),
        limitBytes: num(body, "limitBytes"),
        ttlMs: num(body, "ttlMs"),
      });
    case FrameType.REJECT:
      return handshake.encodeReject(out, {
        code: closeCodeOf(aux),
        retryAfter: num(body, "retryAfter"),
        epoch: bytes(body, "epoch"),
        lastRecv: typeof body.lastRecv === "number" ? body.lastRecv : undefined,
        reason: text(body, "reason"),
      });
    case FrameType.PING:
      return control.encodePing(out, num(body, "opaque"), num(body, "recvSeq"));
    case FrameType.PONG:
      return control.encodePong(out, num(body, "opaque"), num(body, "recvSeq"));
    case FrameType.ACK:
      return control.encodeAck(out, num(body, "recvSeq"), num(body, "limitBytes"));
    case FrameType.GOAWAY:
      return control.encodeGoaway(
        out,
        closeCodeOf(aux),
        num(body, "retryAfter"),
        text(body, "reason"),
      );
    case FrameType.CLOSE:
      return control.encodeClose(
        out,
        closeCodeOf(aux),
        num(body, "scope") === 0 ? 0 : 1,
        num(body, "recvSeq"),
        text(body, "reason"),
      );
    case FrameType.MSG:
      return total < 0
        ? message.encodeMessage(out, seq, text(body, "topic"), payload, metadata)
        : message.encodeMessageStart(out, seq, text(body, "topic"), total, payload, metadata);
    case FrameType.REQUEST: {
      const [deadline, method] = [num(body, "deadline"), text(body, "method")];
      return call.encodeRequest(out, id, seq, deadline, method, end, payload, metadata, total);
    }
    case FrameType.RESPONSE:
      return call.encodeResponse(out, id, seq, end, payload, metadata, total);
    case FrameType.ERROR: {
      const error = {
        code: rpcCodeOf(aux),
        notExecuted: body.notExecuted === true,
        retryable: body.retryable === true,
        retryAfter: num(body, "retryAfter"),
        message: text(body, "message"),
      };
      return call.encodeError(out, id, seq, error, payload, metadata, total);
    }
    case FrameType.CANCEL:
      return call.encodeCancel(out, id, seq, rpcCodeOf(aux));
    case FrameType.CHUNK:
      return call.encodeChunk(out, id, seq, end, payload, total);
    case FrameType.CREDIT:
      return call.encodeCredit(out, id, seq, num(body, "limit"));
    case FrameType.SKIP:
      return call.encodeSkip(out, id, seq);
  }
  throw new RangeError(`There is no encoder for type ${type}`);
}

/** Decodes a body into fields as in the data file. */
export function decodeBody(
  { type, flags, aux }: Header,
  buffer: Bytes,
  start: number,
  end: number,
): Fields {
  const plain = (value: object): Fields =>
    Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plainField(field)]));
  const withPayload = ({ start, end, ...rest }: message.Payload): Fields => ({
    ...plain(rest),
    payload: hex(buffer.subarray(start, end)),
  });
  switch (type) {
    case FrameType.HELLO:
      return plain(handshake.decodeHello(buffer, start, end));
    case FrameType.WELCOME:
      return plain(handshake.decodeWelcome(buffer, start, end));
    case FrameType.RESUME:
      return plain(handshake.decodeResume(buffer, start, end));
    case FrameType.RESUMED:
      return plain(handshake.decodeResumed(buffer, start, end));
    case FrameType.REJECT:
      return plain(handshake.decodeReject(aux, buffer, start, end));
    case FrameType.PING:
      return plain(control.decodePing(buffer, start, end));
    case FrameType.PONG:
      return plain(control.decodePong(buffer, start, end));
    case FrameType.ACK:
      return plain(control.decodeAck(buffer, start, end));
    case FrameType.GOAWAY:
      return plain(control.decodeGoaway(aux, buffer, start, end));
    case FrameType.CLOSE:
      return plain(control.decodeClose(aux, buffer, start, end));
    case FrameType.MSG:
      return withPayload(message.decodeMessage(flags, buffer, start, end));
    case FrameType.REQUEST:
      return withPayload(call.decodeRequest(flags, buffer, start, end));
    case FrameType.RESPONSE:
      return withPayload(call.decodeResponse(flags, buffer, start, end));
    case FrameType.ERROR:
      return withPayload(call.decodeError(aux, flags, buffer, start, end));
    case FrameType.CANCEL:
      return { code: call.decodeCancel(aux, start, end) };
    case FrameType.CHUNK: {
      const { metadata: _, ...chunk } = withPayload(call.decodeChunk(flags, buffer, start, end));
      return chunk;
    }
    case FrameType.CREDIT:
      return { limit: call.decodeCredit(buffer, start, end) };
    case FrameType.SKIP:
      call.decodeSkip(start, end);
      return {};
  }
  return {};
}

function plainField(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  if (value === undefined) return null;
  // What was decoded has no prototype; that is not what is compared here.
  return typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value))
    : value;
}

function limits(from: Fields): handshake.WireLimits {
  const it = fields(from, "limits");
  return {
    maxFrame: num(it, "maxFrame"),
    maxMessage: num(it, "maxMessage"),
    recvBytes: num(it, "recvBytes"),
    maxCalls: num(it, "maxCalls"),
    maxStreams: num(it, "maxStreams"),
    streamBytes: num(it, "streamBytes"),
    maxMetadata: num(it, "maxMetadata"),
    heartbeatMs: num(it, "heartbeatMs"),
    ttlMs: num(it, "ttlMs"),
    features: num(it, "features"),
  };
}

function side(from: Fields): Side {
  return from.from === "client" ? "client" : "server";
}

function num(from: Fields, name: string): number {
  const value = from[name];
  if (typeof value !== "number") throw new TypeError(`'${name}' is not a number`);
  return value;
}

/** Absent is empty. */
function text(from: Fields, name: string): string {
  const value = from[name] ?? "";
  if (typeof value !== "string") throw new TypeError(`'${name}' is not a text`);
  return value;
}

function bytes(from: Fields, name: string): Bytes {
  return unhex(text(from, name));
}

function fields(from: Fields, name: string): Fields {
  const value = from[name];
  if (typeof value !== "object" || value === null) throw new TypeError(`'${name}' is no object`);
  return Object.fromEntries(Object.entries(value));
}

function isMetadata(value: unknown): value is Record<string, string> {
  return typeof value === "object" && value !== null &&
    Object.values(value).every((it) => typeof it === "string");
}
