/**
 * Reads frames (RFC 6455, section 5) and tells the messages and control frames that they make up.
 *
 * Owns the rules of framing, and what has come of the present message. Answers nothing, and does not
 * know whether the connection is closing.
 *
 * 1. A rule is checked as soon as the bytes are there that break it: a header before its payload, the
 *    bytes of a text before the frame is whole.
 * 2. No length that a header claims is allocated. Limits are checked on the header.
 * 3. Work is linear in the bytes, however they are cut into reads and fragments.
 * 4. After the first violation, and after a close frame, every further byte is dropped.
 */
import type { ByteQueue } from "../base/byte_queue.ts";
import type { Bytes } from "../base/types.ts";
import type { MessageDeflate } from "./compression.ts";
import { mask } from "./masking.ts";
import { MessageBuffer } from "./message_buffer.ts";
import {
  brokenFrame,
  brokenText,
  FIRST_CONTROL,
  isCloseCode,
  MAX_CONTROL,
  Opcode,
  Status,
  tooBig,
  Violation,
} from "./rfc6455.ts";
import { decodeText, Utf8Validator } from "./utf8.ts";

/** Is told what comes. It must not throw. */
export interface FrameSink {
  /** A text message. */
  onText(text: string): void;
  /** A binary message: a view into the memory that was read into, which is not written to again. */
  onBinary(data: Bytes): void;
  /** A ping; `data` is a copy. */
  onPing(data: Bytes): void;
  /** A pong; `data` is a copy. */
  onPong(data: Bytes): void;
  /** A close frame, the last thing that is told; 1005 when it has no code. */
  onClose(code: number, reason: string): void;
}

/** What a connection accepts. */
export interface FrameLimits {
  /** Longest payload of one frame, in bytes. */
  readonly maxFrameLength: number;
  /** Longest message, in bytes, once it is put together and decompressed. */
  readonly maxMessageLength: number;
  /** Most frames of one message. */
  readonly maxFragments: number;
  /** Takes only messages of this kind; `undefined`: of both. */
  readonly only?: "text" | "binary" | undefined;
}

/** What a reader is made with. */
export interface FrameReaderOptions {
  /** Whether the frames must be masked (a client sends them) or must not be (a server does). */
  readonly masked: boolean;
  readonly limits: FrameLimits;
  /** Given where both ends have agreed on compression. */
  readonly deflate?: MessageDeflate | undefined;
}

const FIN = 0x80;
const RSV1 = 0x40;
const RSV = 0x70;
const MASKED = 0x80;
const EMPTY: Bytes = new Uint8Array(0);
/** No frame is being read. */
const NONE = -1;

/** Reads the frames of one connection. */
export class FrameReader {
  /** Whether a view of what was read has been handed out since this was last set to false. */
  shared = false;
  readonly #sink: FrameSink;
  readonly #masked: boolean;
  readonly #limits: FrameLimits;
  readonly #deflate: MessageDeflate | undefined;
  #ended = false;

  /** The present frame: payload bytes, or NONE; how many of them are unmasked and judged. */
  #length = NONE;
  #done = 0;
  #opcode = 0;
  #final = false;
  #key = 0;

  /** The present message: 0 when there is none, else the opcode of its first frame. */
  #message = 0;
  #compressed = false;
  #fragments = 0;
  readonly #parts = new MessageBuffer();
  readonly #utf8 = new Utf8Validator();

  constructor(sink: FrameSink, options: FrameReaderOptions) {
    this.#sink = sink;
    this.#masked = options.masked;
    this.#limits = options.limits;
    this.#deflate = options.deflate;
  }

  /** Takes all that `queue` has, up to a frame that is not whole. @throws {Violation} once */
  receive(queue: ByteQueue): void {
    try {
      while (!this.#ended) {
        if (!(this.#length === NONE ? this.#readHeader(queue) : this.#readPayload(queue))) return;
      }
    } catch (error) {
      this.#ended = true;
      queue.start = queue.end;
      throw error;
    }
    queue.start = queue.end;
  }

  /** False: there is not all of it. */
  #readHeader(queue: ByteQueue): boolean {
    const { buffer, start, end } = queue;
    const have = end - start;
    if (have === 0) return false;
    const first = buffer[start]!;
    this.#checkFirst(first);
    if (have === 1) return false;
    const second = buffer[start + 1]!;
    const masked = (second & MASKED) !== 0;
    if (masked !== this.#masked) {
      throw brokenFrame(masked ? "a server must not mask it" : "a client must mask it");
    }
    const short = second & 0x7f;
    const extended = short < 126 ? 0 : short === 126 ? 2 : 8;
    if (extended > 0 && (first & 0x0f) >= FIRST_CONTROL) {
      throw brokenFrame(`a control frame must have at most ${MAX_CONTROL} bytes of payload`);
    }
    if (have < 2 + extended) return false;
    const length = extended === 0 ? short : this.#longLength(queue, extended);
    this.#checkLength(first & 0x0f, length);
    const size = 2 + extended + (masked ? 4 : 0);
    if (have < size) return false;
    if (masked) this.#key = queue.peekUint32(size - 4);
    queue.start = start + size;
    this.#begin(first, length);
    return true;
  }

  #checkFirst(first: number): void {
    const opcode = first & 0x0f;
    const reserved = first & RSV;
    const control = opcode >= FIRST_CONTROL;
    if (opcode > Opcode.pong || (opcode > Opcode.binary && !control)) {
      throw brokenFrame(`its opcode must be 0 to 2 or 8 to 10: current value is ${opcode}`);
    }
    const mayCompress = this.#deflate !== undefined && !control && opcode !== Opcode.continuation;
    if (reserved !== 0 && !(reserved === RSV1 && mayCompress)) {
      throw brokenFrame(`its reserved bits must be 0: current value is ${reserved >> 4}`);
    }
    if (control) {
      if ((first & FIN) === 0) throw brokenFrame("a control frame must not be fragmented");
    } else if (opcode === Opcode.continuation) {
      if (this.#message === 0) throw brokenFrame("there is no message that it could continue");
    } else if (this.#message !== 0) {
      throw brokenFrame("the message before it must end first");
    } else {
      this.#checkKind(opcode);
    }
  }

  #checkKind(opcode: number): void {
    const { only } = this.#limits;
    const kind = opcode === Opcode.text ? "text" : "binary";
    if (only === undefined || only === kind) return;
    throw new Violation(
      Status.unsupportedData,
      `Cannot take message as it must be ${only}: current value is ${kind}`,
    );
  }

  /** Lengths are written in the fewest bytes that hold them. */
  #longLength(queue: ByteQueue, bytes: number): number {
    if (bytes === 2) {
      const length = queue.peekUint16(2);
      if (length < 126) throw brokenFrame(`its length must take one byte: it is ${length}`);
      return length;
    }
    const high = queue.peekUint32(2);
    const low = queue.peekUint32(6);
    if (high === 0 && low < 0x1_0000) {
      throw brokenFrame(`its length must take fewer bytes: it is ${low}`);
    }
    // Also for the highest bit, which must be 0: any such length is beyond every limit.
    return high * 0x1_0000_0000 + low;
  }

  #checkLength(opcode: number, length: number): void {
    if (opcode >= FIRST_CONTROL) return;
    const { maxFrameLength, maxMessageLength, maxFragments } = this.#limits;
    if (length > maxFrameLength) throw tooBig("frame", maxFrameLength, length);
    const total = this.#parts.length + length;
    if (total > maxMessageLength) throw tooBig("message", maxMessageLength, total);
    if (opcode === Opcode.continuation && this.#fragments >= maxFragments) {
      throw new Violation(
        Status.policyViolation,
        `Cannot take message as it must have at most ${maxFragments} fragments`,
      );
    }
  }

  #begin(first: number, length: number): void {
    const opcode = first & 0x0f;
    this.#opcode = opcode;
    this.#final = (first & FIN) !== 0;
    this.#length = length;
    this.#done = 0;
    if (opcode >= FIRST_CONTROL) return;
    if (opcode === Opcode.continuation) {
      this.#fragments++;
      return;
    }
    this.#message = opcode;
    this.#compressed = (first & RSV1) !== 0;
    this.#fragments = 1;
  }

  /** False: there is not all of it. */
  #readPayload(queue: ByteQueue): boolean {
    const { start } = queue;
    const length = this.#length;
    const have = queue.end - start;
    if (have < length) {
      if (this.#opcode < FIRST_CONTROL) this.#advance(queue.buffer, start, have);
      queue.wanted = length;
      return false;
    }
    const end = start + length;
    queue.start = end;
    if (this.#opcode >= FIRST_CONTROL) this.#takeControl(queue.buffer, start, end);
    else this.#takeData(queue.buffer, start, end);
    this.#length = NONE;
    return true;
  }

  /** Unmasks and judges what is new of the payload, of which `have` bytes lie from `start` on. */
  #advance(buffer: Bytes, start: number, have: number): void {
    const from = start + this.#done;
    const to = start + have;
    if (this.#masked) mask(buffer, from, to, this.#key, this.#done);
    this.#done = have;
    const judged = this.#message === Opcode.text && !this.#compressed;
    if (judged && !this.#utf8.push(buffer, from, to)) throw brokenText("text message");
  }

  #takeData(buffer: Bytes, start: number, end: number): void {
    if (this.#final && this.#fragments === 1 && this.#done === 0) {
      // The common case: nothing of it has been looked at, so it is judged by being decoded.
      if (this.#masked) mask(buffer, start, end, this.#key);
      this.#finish(buffer, start, end);
      return;
    }
    this.#advance(buffer, start, end - start);
    if (this.#final && this.#fragments === 1) return this.#finish(buffer, start, end);
    this.#parts.append(buffer.subarray(start, end));
    if (!this.#final) return;
    const whole = this.#parts.take();
    this.#finish(whole, 0, whole.length);
  }

  #finish(buffer: Bytes, start: number, end: number): void {
    const text = this.#message === Opcode.text;
    this.#message = 0;
    if (this.#compressed) {
      const { maxMessageLength } = this.#limits;
      // Only a reader that was given it lets a compressed frame through.
      buffer = this.#deflate?.decompress(buffer.subarray(start, end), maxMessageLength) ?? EMPTY;
      start = 0;
      end = buffer.length;
    }
    if (text) {
      const decoded = decodeText(buffer, start, end);
      if (decoded === undefined) throw brokenText("text message");
      this.#sink.onText(decoded);
    } else {
      this.shared = true;
      this.#sink.onBinary(new Uint8Array(buffer.buffer, buffer.byteOffset + start, end - start));
    }
  }

  #takeControl(buffer: Bytes, start: number, end: number): void {
    if (this.#masked) mask(buffer, start, end, this.#key);
    if (this.#opcode === Opcode.close) return this.#takeClose(buffer, start, end);
    const data = start === end ? EMPTY : buffer.slice(start, end);
    if (this.#opcode === Opcode.ping) this.#sink.onPing(data);
    else this.#sink.onPong(data);
  }

  #takeClose(buffer: Bytes, start: number, end: number): void {
    this.#ended = true;
    if (start === end) return this.#sink.onClose(Status.none, "");
    if (end - start === 1) throw brokenFrame("a close code must have two bytes: there is one");
    const code = buffer[start]! << 8 | buffer[start + 1]!;
    if (!isCloseCode(code)) {
      throw brokenFrame(`its close code must be one that may be sent: current value is ${code}`);
    }
    const reason = decodeText(buffer, start + 2, end);
    if (reason === undefined) throw brokenText("reason of close frame");
    this.#sink.onClose(code, reason);
  }
}
