/**
 * Writes frames (RFC 6455, section 5) into an output buffer.
 *
 * Owns their layout. Knows no state of the connection: whether a frame may be sent now is for others
 * to say. Where the keys of masks come from is told by whoever makes it: they must not be foreseeable.
 */
import { OutBuffer } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import type { MessageDeflate } from "./compression.ts";
import { mask } from "./masking.ts";
import { Opcode } from "./rfc6455.ts";

/** What a writer is made with. */
export interface FrameWriterOptions {
  /** Gives a fresh key for each frame; given where this end is the client. */
  readonly nextKey?: (() => number) | undefined;
  /** Given where both ends have agreed on compression. */
  readonly deflate?: MessageDeflate | undefined;
}

const FIN = 0x80;
const RSV1 = 0x40;
const MASKED = 0x80;
/** From this size on the output buffer takes a payload without copying it. */
const NO_COPY = 65_536;
/** Up to so many characters a text is first tried as ASCII, which needs no encoder. */
const SHORT = 64;
const encoder = new TextEncoder();

/** Writes the frames of one connection. */
export class FrameWriter {
  readonly #nextKey: (() => number) | undefined;
  readonly #deflate: MessageDeflate | undefined;

  constructor({ nextKey, deflate }: FrameWriterOptions) {
    this.#nextKey = nextKey;
    this.#deflate = deflate;
  }

  /** Writes a text message. */
  text(out: OutBuffer, message: string): void {
    if (message.length <= SHORT && isAscii(message)) return this.#ascii(out, message);
    const data = encoder.encode(message);
    if (this.#packed(out, Opcode.text, data)) return;
    this.#own(out, FIN | Opcode.text, data);
  }

  /** Writes a binary message. A large one is not copied: do not change it afterwards. */
  binary(out: OutBuffer, data: Uint8Array): void {
    if (this.#packed(out, Opcode.binary, data)) return;
    this.#given(out, FIN | Opcode.binary, data);
  }

  /** Writes one frame as it is, uncompressed. */
  frame(out: OutBuffer, opcode: number, data: Uint8Array, fin: boolean): void {
    this.#given(out, fin ? FIN | opcode : opcode, data);
  }

  /** Writes a close frame; without a code it is empty. */
  close(out: OutBuffer, code: number | undefined, reason: string): void {
    if (code === undefined) return this.#own(out, FIN | Opcode.close, new Uint8Array(0));
    const text = encoder.encode(reason);
    const data = new Uint8Array(2 + text.length);
    data[0] = code >>> 8;
    data[1] = code;
    data.set(text, 2);
    this.#own(out, FIN | Opcode.close, data);
  }

  /** Writes the compressed form, if there is one and it is shorter. */
  #packed(out: OutBuffer, opcode: number, data: Uint8Array): boolean {
    const packed = this.#deflate?.compress(data);
    if (packed === undefined) return false;
    this.#own(out, FIN | RSV1 | opcode, packed);
    return true;
  }

  #ascii(out: OutBuffer, text: string): void {
    const { length } = text;
    const key = this.#header(out, FIN | Opcode.text, length);
    const at = out.reserve(length);
    const { buffer } = out;
    for (let i = 0; i < length; i++) buffer[at + i] = text.charCodeAt(i);
    if (key !== undefined) mask(buffer, at, at + length, key);
  }

  /** Writes a payload that somebody else may still look at. */
  #given(out: OutBuffer, first: number, data: Uint8Array): void {
    const { length } = data;
    if (this.#nextKey !== undefined && length >= NO_COPY) {
      return this.#own(out, first, new Uint8Array(data));
    }
    const key = this.#header(out, first, length);
    if (key === undefined) return out.bytes(data);
    const at = out.reserve(length);
    out.buffer.set(data, at);
    mask(out.buffer, at, at + length, key);
  }

  /** Writes a payload that is masked where it lies. */
  #own(out: OutBuffer, first: number, data: Bytes): void {
    const key = this.#header(out, first, data.length);
    if (key !== undefined) mask(data, 0, data.length, key);
    out.bytes(data);
  }

  /** Writes the header; gives the key if the payload is to be masked. */
  #header(out: OutBuffer, first: number, length: number): number | undefined {
    const key = this.#nextKey?.();
    const flag = key === undefined ? 0 : MASKED;
    if (length < 126) {
      const at = out.reserve(2);
      out.buffer[at] = first;
      out.buffer[at + 1] = flag | length;
    } else if (length < 0x1_0000) {
      const at = out.reserve(4);
      const { buffer } = out;
      buffer[at] = first;
      buffer[at + 1] = flag | 126;
      buffer[at + 2] = length >>> 8;
      buffer[at + 3] = length;
    } else {
      out.uint8(first);
      out.uint8(flag | 127);
      out.uint32(Math.floor(length / 0x1_0000_0000));
      out.uint32(length >>> 0);
    }
    if (key !== undefined) out.uint32(key);
    return key;
  }
}

/** A whole message as a server sends it, once for many connections. */
export function encodeMessage(message: string | Uint8Array, deflate?: MessageDeflate): Bytes {
  const out = new OutBuffer();
  const writer = new FrameWriter({ deflate });
  if (typeof message === "string") writer.text(out, message);
  else writer.binary(out, message);
  return out.toBytes();
}

function isAscii(text: string): boolean {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits |= text.charCodeAt(i);
  return bits < 0x80;
}
