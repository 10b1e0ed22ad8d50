/**
 * Frames in a stream of bytes: where each one begins and ends, and whether its header may be.
 *
 * Owns the 16 bytes of the header and the rules of it that need no memory of earlier frames.
 * Knows nothing of bodies, sessions or the order of `seq`. This is the hot path: byte math, and
 * nothing is allocated per frame.
 *
 * 1. Checks come in this order: length, type, flags, id, seq. The first that fails is the error.
 * 2. The length is judged as soon as its four bytes are there, the rest when the frame is whole.
 * 3. How the stream was cut into reads changes neither the frames nor the error.
 */
import { ProtocolError } from "../base/errors.ts";
import type { OutBuffer } from "../base/out_buffer.ts";
import type { Bytes, Side } from "../base/types.ts";
import { Flag, frameName, FrameType, HEADER_SIZE, LENGTH_BASE } from "./constants.ts";

/** Takes frames from a {@linkcode FrameReader}. */
export interface FrameHandler {
  /** One whole frame; its body is `buffer[start, end)`. */
  onFrame(
    type: number,
    flags: number,
    aux: number,
    id: number,
    seq: number,
    buffer: Bytes,
    start: number,
    end: number,
  ): void;
  /**
   * Messages, of which the first is whole, in `buffer[start, end)`. It may take some of them at once, the
   * frames' checks included, and gives where the first frame begins that it has not taken.
   */
  onMessages?(buffer: Bytes, start: number, end: number): number;
}

// What a type demands of the rest of its header. The low eight bits are the flags it cannot have.
const KNOWN = 0x100;
const ALLOWED = 0x200;
const ID_ZERO = 0x400;
const ID_ODD = 0x800;
const ID_EVEN = 0x1000;
const ID_SOME = 0x2000;
const SEQ_ZERO = 0x4000;
const SEQ_SOME = 0x8000;

const SESSION = ID_ZERO | SEQ_ZERO;
const NO_FLAGS = Flag.END | Flag.META | Flag.MORE | Flag.RESERVED;
const RULES: Readonly<Record<Side, Uint16Array>> = { client: rules(true), server: rules(false) };

/** Cuts a stream into frames and refuses the first that is wrong. */
export class FrameReader {
  /** The largest whole frame, header included, in bytes. May be changed at any time. */
  maxFrame: number;
  /**
   * After `read`: how many bytes, from the first that was not consumed, the next frame needs as far
   * as is known: all of it once its length is there, else the 16 of a header; 0 when nothing waits
   * and after `stop`.
   */
  wanted = 0;
  readonly #handler: FrameHandler;
  readonly #rules: Uint16Array;
  #stopped = false;

  /** `remote` is the side that the bytes come from. */
  constructor(handler: FrameHandler, remote: Side, maxFrame: number) {
    this.#handler = handler;
    this.#rules = RULES[remote];
    this.maxFrame = maxFrame;
  }

  /**
   * Hands every whole frame in `buffer[start, end)` to the handler; returns where the rest begins.
   *
   * @throws {ProtocolError} at the first bad frame; what the handler throws passes through
   */
  read(buffer: Bytes, start: number, end: number): number {
    this.#stopped = false;
    this.wanted = 0;
    let at = start;
    while (at < end) {
      const available = end - at;
      if (available < 4) {
        this.wanted = HEADER_SIZE;
        break;
      }
      const length = ((buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) |
        buffer[at + 3]!) >>> 0;
      if (length < LENGTH_BASE || length > this.maxFrame - 4) throw this.#badLength(length);
      if (available < length + 4) {
        this.wanted = length + 4;
        break;
      }
      const type = buffer[at + 4]!;
      const flags = buffer[at + 5]!;
      const aux = (buffer[at + 6]! << 8) | buffer[at + 7]!;
      // Signed on purpose: an id with the top bit set comes out negative.
      const id = (buffer[at + 8]! << 24) | (buffer[at + 9]! << 16) | (buffer[at + 10]! << 8) |
        buffer[at + 11]!;
      const seq = ((buffer[at + 12]! << 24) | (buffer[at + 13]! << 16) | (buffer[at + 14]! << 8) |
        buffer[at + 15]!) >>> 0;
      const rule = this.#rules[type]!;
      if (!isFine(rule, flags, id, seq)) throw refusal(rule, type, flags, id, seq);
      const next = at + 4 + length;
      // It takes more than one of them to be faster.
      if (type === FrameType.MSG && flags === 0 && end - next > HEADER_SIZE) {
        const after = this.#handler.onMessages?.(buffer, at, end) ?? at;
        if (this.#stopped) return after;
        if (after > at) {
          at = after;
          continue;
        }
      }
      this.#handler.onFrame(type, flags, aux, id, seq, buffer, at + HEADER_SIZE, next);
      at = next;
      if (this.#stopped) break;
    }
    return at;
  }

  /** Called by the handler: `read` returns after the present frame. */
  stop(): void {
    this.#stopped = true;
  }

  #badLength(length: number): ProtocolError {
    return length < LENGTH_BASE
      ? new ProtocolError(
        "BAD_FRAME",
        `Cannot read frame as its length must be at least ${LENGTH_BASE}: current value is ${length}`,
      )
      : new ProtocolError(
        "FRAME_TOO_LARGE",
        `Cannot read frame as it must be at most ${this.maxFrame} bytes: current value is ${
          length + 4
        }`,
        { limit: "maxFrameLength" },
      );
  }
}

/**
 * Writes a header; `bodyLength` bytes have to follow it. Returns where in `out.buffer` the first `more` of
 * them go, which are in one piece with it and count as written.
 */
export function writeHeader(
  out: OutBuffer,
  bodyLength: number,
  type: number,
  flags: number,
  aux: number,
  id: number,
  seq: number,
  more = 0,
): number {
  const at = out.reserve(HEADER_SIZE + more);
  const buffer = out.buffer;
  const length = bodyLength + LENGTH_BASE;
  buffer[at] = length >>> 24;
  buffer[at + 1] = length >>> 16;
  buffer[at + 2] = length >>> 8;
  buffer[at + 3] = length;
  buffer[at + 4] = type;
  buffer[at + 5] = flags;
  buffer[at + 6] = aux >>> 8;
  buffer[at + 7] = aux;
  buffer[at + 8] = id >>> 24;
  buffer[at + 9] = id >>> 16;
  buffer[at + 10] = id >>> 8;
  buffer[at + 11] = id;
  buffer[at + 12] = seq >>> 24;
  buffer[at + 13] = seq >>> 16;
  buffer[at + 14] = seq >>> 8;
  buffer[at + 15] = seq;
  return at + HEADER_SIZE;
}

/** Numbers a frame that was written with another number, or with none. */
export function renumber(frame: Bytes, seq: number): void {
  frame[12] = seq >>> 24;
  frame[13] = seq >>> 16;
  frame[14] = seq >>> 8;
  frame[15] = seq;
}

function isFine(rule: number, flags: number, id: number, seq: number): boolean {
  return (rule & ALLOWED) !== 0 && (rule & flags) === 0 && isIdFine(rule, id) &&
    isSeqFine(rule, seq);
}

function isIdFine(rule: number, id: number): boolean {
  // 0 is even, but nobody's.
  if (id === 0) return (rule & (ID_ODD | ID_EVEN | ID_SOME)) === 0;
  return id > 0 && (rule & (ID_ZERO | ((id & 1) === 0 ? ID_ODD : ID_EVEN))) === 0;
}

function isSeqFine(rule: number, seq: number): boolean {
  return (rule & (seq === 0 ? SEQ_SOME : SEQ_ZERO)) === 0;
}

/** Says in words which check it was; not on the hot path. */
function refusal(
  rule: number,
  type: number,
  flags: number,
  id: number,
  seq: number,
): ProtocolError {
  const name = frameName(type);
  if ((rule & KNOWN) === 0) {
    return new ProtocolError(
      "UNKNOWN_CRITICAL",
      `Cannot read frame as its type ${name} is unknown`,
    );
  }
  if ((rule & ALLOWED) === 0) {
    return new ProtocolError("PROTOCOL", `Cannot read frame as ${name} never comes from this side`);
  }
  if ((flags & Flag.RESERVED) !== 0) {
    return new ProtocolError(
      "UNKNOWN_CRITICAL",
      `Cannot read ${name} as its flags 0x${flags.toString(16)} are unknown`,
    );
  }
  if ((rule & flags) !== 0) {
    return new ProtocolError(
      "BAD_FRAME",
      `Cannot read ${name} as it cannot have the flags 0x${(rule & flags & 0xff).toString(16)}`,
    );
  }
  if (!isIdFine(rule, id)) {
    return new ProtocolError("BAD_FRAME", `Cannot read ${name} as its id cannot be ${id >>> 0}`);
  }
  return new ProtocolError("BAD_FRAME", `Cannot read ${name} as its seq cannot be ${seq}`);
}

/** The table of what may come from one side. A client's ids are odd, a server's even. */
function rules(fromClient: boolean): Uint16Array {
  const table = new Uint16Array(256);
  const own = fromClient ? ID_ODD : ID_EVEN;
  const other = fromClient ? ID_EVEN : ID_ODD;
  const caller = own | SEQ_SOME;
  const callee = other | SEQ_SOME;
  const set = (type: number, rule: number, flags = 0, allowed = true): void => {
    table[type] = KNOWN | (allowed ? ALLOWED : 0) | rule | (NO_FLAGS & ~flags);
  };
  for (let type = 0x80; type <= 0xff; type++) set(type, 0, Flag.END | Flag.META | Flag.MORE);
  set(FrameType.HELLO, SESSION, 0, fromClient);
  set(FrameType.WELCOME, SESSION, 0, !fromClient);
  set(FrameType.RESUME, SESSION, 0, fromClient);
  set(FrameType.RESUMED, SESSION, 0, !fromClient);
  set(FrameType.REJECT, SESSION, 0, !fromClient);
  set(FrameType.PING, SESSION);
  set(FrameType.PONG, SESSION);
  set(FrameType.ACK, SESSION);
  set(FrameType.GOAWAY, SESSION);
  set(FrameType.CLOSE, SESSION);
  set(FrameType.MSG, ID_ZERO, Flag.META | Flag.MORE);
  set(FrameType.REQUEST, caller, Flag.END | Flag.META | Flag.MORE);
  set(FrameType.RESPONSE, callee, Flag.END | Flag.META | Flag.MORE);
  set(FrameType.ERROR, callee, Flag.META | Flag.MORE);
  set(FrameType.CANCEL, caller);
  set(FrameType.CHUNK, ID_SOME | SEQ_SOME, Flag.END | Flag.MORE);
  set(FrameType.CREDIT, ID_SOME | SEQ_SOME);
  set(FrameType.SKIP, SEQ_SOME);
  return table;
}
