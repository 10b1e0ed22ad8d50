/**
 * Frames by hand: what RFC 6455 says they are, without the code under test.
 */
import { assert } from "@std/assert";
import { join } from "../_support/feed.ts";

/** A frame as it is written or was read. */
export interface Frame {
  readonly opcode: number;
  readonly payload: Uint8Array;
  /** @default {true} */
  readonly fin?: boolean;
  /** Three bits. @default {0} */
  readonly rsv?: number;
}

export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

const NOTHING = new Uint8Array(0);

/** A frame; text is its payload as UTF-8. */
export function frame(
  opcode: number,
  payload: Uint8Array | string = NOTHING,
  more: { readonly fin?: boolean; readonly rsv?: number } = {},
): Frame {
  return { opcode, payload: typeof payload === "string" ? join(payload) : payload, ...more };
}

/** A close frame. */
export function close(code: number, reason: string | Uint8Array = ""): Frame {
  return frame(CLOSE, join(new Uint8Array([code >> 8, code]), reason));
}

/** A message in fragments. */
export function fragments(opcode: number, ...parts: readonly (Uint8Array | string)[]): Frame[] {
  return parts.map((part, i) =>
    frame(i === 0 ? opcode : CONTINUATION, part, { fin: i === parts.length - 1 })
  );
}

/** A frame as bytes; with a key it is masked. */
export function encode(
  { opcode, payload, fin = true, rsv = 0 }: Frame,
  key?: Uint8Array,
): Uint8Array {
  const flag = key === undefined ? 0 : 0x80;
  const { length } = payload;
  const head = [(fin ? 0x80 : 0) | rsv << 4 | opcode];
  if (length < 126) head.push(flag | length);
  else if (length < 65_536) head.push(flag | 126, length >> 8, length & 0xff);
  else head.push(flag | 127, 0, 0, 0, 0, length >>> 24, length >>> 16, length >>> 8, length);
  return join(
    Uint8Array.from(head),
    key ?? NOTHING,
    key === undefined ? payload : masked(payload, key),
  );
}

/** All frames of a stream, which must end with one. */
export function decode(bytes: Uint8Array, isMasked: boolean): Frame[] {
  const found: Frame[] = [];
  let at = 0;
  const next = () => {
    const byte = bytes[at++];
    assert(byte !== undefined, `The output ends within a frame, after ${found.length} whole ones`);
    return byte;
  };
  while (at < bytes.length) {
    const first = next();
    const second = next();
    assert((second & 0x80) !== 0 === isMasked, `A frame is ${isMasked ? "not " : ""}masked`);
    let length = second & 0x7f;
    const wide = length === 126 ? 2 : length === 127 ? 8 : 0;
    if (wide > 0) length = 0;
    for (let i = 0; i < wide; i++) length = length * 256 + next();
    const key = isMasked ? Uint8Array.from([next(), next(), next(), next()]) : undefined;
    assert(at + length <= bytes.length, "The output ends within a payload");
    const payload = bytes.slice(at, at + length);
    at += length;
    found.push({
      opcode: first & 0x0f,
      payload: key === undefined ? payload : masked(payload, key),
      fin: (first & 0x80) !== 0,
      rsv: first >> 4 & 7,
    });
  }
  return found;
}

function masked(payload: Uint8Array, key: Uint8Array): Uint8Array {
  return payload.map((byte, i) => byte ^ (key[i % 4] ?? 0));
}
