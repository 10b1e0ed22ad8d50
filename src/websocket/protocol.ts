/**
 * One end of an open WebSocket, without a connection: bytes in, messages and bytes out.
 *
 * Owns what may be sent when, the answers to control frames, and the closing handshake (RFC 6455,
 * sections 5.5 and 7). Knows no time: how long the other end may take is for its driver to say.
 *
 *     open ── close() ──────────▶ closing ── close frame or end of the link ──▶ closed
 *       ├──── close frame ─────▶ (answered) ───────────────────────────────────▶ closed
 *       └──── violation ───────▶ (close frame with its code) ──────────────────▶ closed
 *
 * 1. `onEnd` is told once, when nothing more will be told. What there is to write is written first.
 * 2. Of pings that come faster than answers go out, the first few and the newest are answered: that is
 *    allowed, and bounds what a flood of them costs.
 * 3. A close frame is the last thing that is sent.
 */
import type { ByteQueue } from "../base/byte_queue.ts";
import { VnetError } from "../base/errors.ts";
import { OutBuffer } from "../base/out_buffer.ts";
import type { Bytes, Initiator } from "../base/types.ts";
import { truncateText } from "../wire/text.ts";
import type { MessageDeflate } from "./compression.ts";
import { type FrameLimits, FrameReader, type FrameSink } from "./frame_reader.ts";
import { FrameWriter } from "./frame_writer.ts";
import { FIRST_CONTROL, MAX_CONTROL, MAX_REASON, Opcode, Status, Violation } from "./rfc6455.ts";
import { Utf8Validator } from "./utf8.ts";

/** How a WebSocket ended. */
export interface ProtocolEnd {
  readonly code: number;
  readonly reason: string;
  /** Whether both ends said so. */
  readonly wasClean: boolean;
  readonly initiator: Initiator;
  readonly error?: VnetError;
}

/** Is told what happens. It must not throw. */
export interface ProtocolSink {
  onText(text: string): void;
  onBinary(data: Bytes): void;
  onPong(data: Bytes): void;
  /** It is over; what there is to write is still to be written. */
  onEnd(end: ProtocolEnd): void;
}

/** What an end is made with. */
export interface ProtocolOptions {
  /** Gives keys for masks; given where this end is the client. */
  readonly nextKey?: (() => number) | undefined;
  readonly limits: FrameLimits;
  /** Given where both ends have agreed on compression. */
  readonly deflate?: MessageDeflate | undefined;
}

/** So many pongs go into one output, and then one more. */
const MAX_PONGS = 16;

/** One end. */
export class WebSocketProtocol implements FrameSink {
  readonly #sink: ProtocolSink;
  readonly #reader: FrameReader;
  readonly #writer: FrameWriter;
  /** Pongs in the output, and the newest that is not. */
  #pongs = 0;
  #latePong: Bytes | undefined;
  #state: "open" | "closing" | "closed" = "open";
  /** What was said first, by this end. */
  #closing: ProtocolEnd | undefined;
  #output = new OutBuffer();
  #spare = new OutBuffer();
  /** Frames in the output, and in the one that was taken last. */
  #frames = 0;
  #taken = 0;
  /** The message that is sent in fragments: 0, or the opcode of its first frame. */
  #fragmented = 0;
  #utf8 = new Utf8Validator();

  constructor(sink: ProtocolSink, options: ProtocolOptions) {
    const { nextKey, limits, deflate } = options;
    this.#sink = sink;
    this.#reader = new FrameReader(this, { masked: nextKey === undefined, limits, deflate });
    this.#writer = new FrameWriter({ nextKey, deflate });
  }

  /** Whether messages can be sent. */
  get open(): boolean {
    return this.#state === "open";
  }

  /** Whether it is over. */
  get closed(): boolean {
    return this.#state === "closed";
  }

  /** Whether it can be sent a whole message now: not within one that is sent in fragments. */
  get betweenMessages(): boolean {
    return this.#state === "open" && this.#fragmented === 0;
  }

  /** Bytes that wait to be taken. */
  get waitingBytes(): number {
    return this.#output.length;
  }

  /** Frames that wait to be taken. */
  get waitingFrames(): number {
    return this.#frames;
  }

  /** Frames in the output that was taken last. */
  get takenFrames(): number {
    return this.#taken;
  }

  /** Whether what was read has been handed out as a view since the last `receive` began. */
  get shared(): boolean {
    return this.#reader.shared;
  }

  // ── input ──

  /** Takes what came. Never throws: a violation ends it. */
  receive(queue: ByteQueue): void {
    this.#reader.shared = false;
    if (this.#state === "closed") {
      queue.start = queue.end;
      return;
    }
    try {
      this.#reader.receive(queue);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.#violated(error);
    }
  }

  /** The link ended: cleanly, or by an error. */
  linkEnded(error?: unknown): void {
    if (this.#state === "closed") return;
    const why = error === undefined
      ? "The connection ended without a close frame"
      : `The connection was lost: ${error instanceof Error ? error.message : error}`;
    this.fail("network", why, error);
  }

  /** Ends it at once, without a close frame: 1006. */
  fail(initiator: Initiator, reason: string, cause?: unknown): void {
    if (this.#state === "closed") return;
    const code = initiator === "local" ? "ABORTED" : "LINK_LOST";
    const error = cause instanceof VnetError
      ? cause
      : new VnetError(code, reason, { cause, initiator });
    this.#end({ code: Status.abnormal, reason, wasClean: false, initiator, error });
  }

  onText(text: string): void {
    if (this.#state === "open") this.#sink.onText(text);
  }

  onBinary(data: Bytes): void {
    if (this.#state === "open") this.#sink.onBinary(data);
  }

  onPing(data: Bytes): void {
    if (this.#state !== "open") return;
    if (this.#pongs === MAX_PONGS) this.#latePong = data;
    else this.#writePong(data);
  }

  onPong(data: Bytes): void {
    this.#sink.onPong(data);
  }

  onClose(code: number, reason: string): void {
    const mine = this.#closing;
    if (mine === undefined) {
      this.#writeClose(code === Status.none ? undefined : code, reason);
      this.#end({ code, reason, wasClean: true, initiator: "remote" });
    } else {
      // Where both began at once, what the other end says is what this end could not know before.
      const crossed = mine.code === code || code === Status.none;
      this.#end(crossed ? mine : { code, reason, wasClean: true, initiator: "local" });
    }
  }

  // ── output ──

  /** Sends a message. The caller has seen that it may. */
  send(message: string | Uint8Array): void {
    if (typeof message === "string") this.#writer.text(this.#output, message);
    else this.#writer.binary(this.#output, message);
    this.#frames++;
  }

  /** Sends a frame that `encodeMessage` made. The caller has seen that it may. */
  sendEncoded(frame: Uint8Array): void {
    this.#output.bytes(frame);
    this.#frames++;
  }

  /**
   * Sends one frame.
   *
   * @throws {TypeError | RangeError} where such a frame must not be sent now
   */
  sendFrame(opcode: number, data: Uint8Array, fin: boolean): void {
    if (opcode >= FIRST_CONTROL) checkControl(opcode, data, fin);
    else this.#checkFragment(opcode, data, fin);
    this.#writer.frame(this.#output, opcode, data, fin);
    this.#frames++;
  }

  /** Begins to close. Nothing happens when that has begun. */
  close(code: number | undefined, reason: string): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#closing = { code: code ?? Status.none, reason, wasClean: true, initiator: "local" };
    this.#writeClose(code, reason);
  }

  /** What is to be written next. Whoever took the one before has reset it. */
  takeOutput(): OutBuffer | undefined {
    this.#writeLatePong();
    const output = this.#output;
    if (output.length === 0) return undefined;
    this.#pongs = 0;
    this.#output = this.#spare;
    this.#spare = output;
    this.#taken = this.#frames;
    this.#frames = 0;
    return output;
  }

  /** Gives the memory of its buffers back, if nothing waits in them. */
  release(): void {
    if (this.#output.length > 0) return;
    this.#output.release();
    this.#spare.release();
  }

  #checkFragment(opcode: number, data: Uint8Array, fin: boolean): void {
    const begun = this.#fragmented !== 0;
    if (opcode === Opcode.continuation ? !begun : begun) {
      throw new TypeError(
        begun
          ? "Cannot write frame as a message was begun: its next fragments have opcode 0"
          : "Cannot write frame as opcode 0 continues a message: none was begun",
      );
    }
    if (opcode !== Opcode.continuation && opcode !== Opcode.text && opcode !== Opcode.binary) {
      throw badOpcode(opcode);
    }
    const message = begun ? this.#fragmented : opcode;
    if (message === Opcode.text) {
      const judged = this.#utf8.copy();
      const bytes = new Uint8Array(data);
      if (!judged.push(bytes, 0, bytes.length) || (fin && !judged.complete)) {
        throw new TypeError("Cannot write frame as the payload of a text must be UTF-8");
      }
      this.#utf8 = judged;
    }
    this.#fragmented = fin ? 0 : message;
  }

  #writePong(data: Bytes): void {
    this.#writer.frame(this.#output, Opcode.pong, data, true);
    this.#frames++;
    this.#pongs++;
  }

  #writeLatePong(): void {
    if (this.#latePong !== undefined) this.#writePong(this.#latePong);
    this.#latePong = undefined;
  }

  #writeClose(code: number | undefined, reason: string): void {
    this.#writeLatePong();
    this.#writer.close(this.#output, code, reason);
    this.#frames++;
  }

  #violated(error: Violation): void {
    const reason = truncateText(error.message, MAX_REASON);
    if (this.#closing === undefined) this.#writeClose(error.status, reason);
    this.#end({ code: error.status, reason, wasClean: false, initiator: "remote", error });
  }

  #end(end: ProtocolEnd): void {
    this.#state = "closed";
    this.#sink.onEnd(end);
  }
}

function checkControl(opcode: number, data: Uint8Array, fin: boolean): void {
  if (opcode === Opcode.close) {
    throw new TypeError("Cannot write frame as a close frame is sent by close()");
  }
  if (opcode !== Opcode.ping && opcode !== Opcode.pong) throw badOpcode(opcode);
  if (!fin) throw new TypeError("Cannot write frame as a control frame must not be fragmented");
  if (data.length > MAX_CONTROL) {
    throw new RangeError(
      `Cannot write frame as a control frame has at most ${MAX_CONTROL} bytes: current value is ${data.length}`,
    );
  }
}

function badOpcode(opcode: number): RangeError {
  return new RangeError(
    `Cannot write frame as its opcode must be 0, 1, 2, 9 or 10: current value is ${opcode}`,
  );
}
