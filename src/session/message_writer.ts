/**
 * Writes messages of the outbox as frames: numbered, within credit, large ones in fragments.
 *
 * 1. A frame is numbered when it is written, nowhere else.
 * 2. A message waits here for credit; nothing else ever does.
 */
import type { Bytes } from "../base/types.ts";
import type { Cast } from "./cast.ts";
import type { SendCount } from "./numbering.ts";
import { frameCost, SendCredit } from "./credit.ts";
import { MIN_PIECE } from "./reassembly.ts";
import type { Outbox, Outgoing } from "./outbox.ts";
import { Receipts } from "./receipts.ts";
import type { Backlog } from "./events.ts";
import type { OutBuffer } from "../base/out_buffer.ts";
import type { WireLimits } from "../wire/handshake.ts";
import { Flag, FrameType, HEADER_SIZE, LENGTH_BASE } from "../wire/constants.ts";
import {
  encodeMessage,
  encodeMessageStart,
  encodePiece,
  encodePlainMessage,
  messagePrefixSize,
  PLAIN_PREFIX,
  PLAIN_SIZE,
} from "../wire/message.ts";

/** Bytes that go into one write, about. */
export const WRITE_SIZE = 65_536;
/** A fragment longer than this would delay control frames too much. */
const MAX_PIECE = 131_072;

/** What is told of messages. */
export interface WrittenEvents {
  /** So many were handed over. */
  onWritten(count: number): void;
  /** One could not be, being too large for the other end. */
  onUnsendable(): void;
}

/** Whom a writer tells, and whose messages it writes. */
export type WriterHost = WrittenEvents & Pick<Backlog, "messages" | "outbox">;

/** The sending half of message flow: the credit that the other end gives, and what is done with it. */
export class MessageWriter extends SendCredit {
  readonly #host: WriterHost;
  #outbox: Outbox | undefined;
  readonly #maxMessage: number;
  readonly #maxPiece: number;
  /** The longest body that goes out whole. */
  readonly #maxWhole: number;
  readonly #count: SendCount;
  /** Who waits to hear that a message was accepted. */
  #receipts: Receipts | undefined;

  /** `remote`: what the other end accepts. `count`: numbers the frames. */
  constructor(host: WriterHost, remote: WireLimits, count: SendCount) {
    super(remote.recvBytes);
    this.#host = host;
    this.#count = count;
    this.#maxMessage = remote.maxMessage;
    const most = Math.min(remote.maxFrame, Math.floor(remote.recvBytes / 4), MAX_PIECE);
    // Room for the header, the longest topic and the total length.
    this.#maxPiece = Math.max(MIN_PIECE, most - HEADER_SIZE - 512);
    this.#maxWhole = Math.min(this.#maxPiece, this.#maxMessage);
  }

  /** The order of the message that is next; `Infinity` when there is none. */
  get order(): number {
    return this.#host.messages > 0 ? this.#messages.order : Infinity;
  }

  /** The other end has accepted so many tracked frames. */
  accepted(count: number): void {
    this.#receipts?.acked(count);
  }

  /** The session is over. */
  end(): void {
    this.#receipts?.end();
  }

  /** The frame of a message for many, past the outbox; `undefined`: it has to wait there. */
  cast(cast: Cast): Bytes | undefined {
    const { length, size, cost } = cast;
    if (this.#host.messages > 0 || length > this.#maxMessage || size > this.#maxPiece) {
      return undefined;
    }
    if (cost > this.available) return undefined;
    this.spend(cost);
    return cast.numbered(this.#count.next());
  }

  /**
   * Writes messages that were accepted before `order`, until `out` holds `size` bytes; `false` when there
   * is none, or no credit.
   */
  write(out: OutBuffer, size: number, order = Infinity): boolean {
    if (this.#host.messages === 0) return false;
    const outbox = this.#messages;
    let wrote = false;
    while (out.length < size && outbox.order < order) {
      if (!this.#writePlain(out, size, order)) {
        const message = outbox.peek();
        if (message === undefined || !this.#write(out, message)) break;
      }
      wrote = true;
    }
    return wrote;
  }

  /** Writes the plain messages that are next, as `write` does; `false` where the first is none. */
  #writePlain(out: OutBuffer, size: number, order: number): boolean {
    const outbox = this.#messages;
    const { available } = this;
    let count = 0;
    let bytes = 0;
    let spent = 0;
    for (let left = size - out.length; left > 0;) {
      const body = outbox.plainAt(count, order);
      if (body === undefined) break;
      const { length } = body;
      const cost = frameCost(LENGTH_BASE + PLAIN_PREFIX + length);
      if (length > this.#maxWhole || cost > available - spent) break;
      encodePlainMessage(out, this.#count.next(), body);
      left -= PLAIN_SIZE + length;
      spent += cost;
      bytes += length;
      count++;
    }
    if (count === 0) return false;
    this.spend(spent);
    outbox.shiftPlains(count, bytes);
    this.#host.onWritten(count);
    return true;
  }

  /** Who only ever gets messages for many needs no outbox. */
  get #messages(): Outbox {
    return this.#outbox ??= this.#host.outbox;
  }

  #write(out: OutBuffer, message: Outgoing): boolean {
    const { payload, topic, offset } = message;
    if (offset > 0) return this.#writePiece(out, message);
    if (payload.length > this.#maxMessage) {
      this.#messages.shift();
      message.receipt?.failed("too-large");
      this.#host.onUnsendable();
      return true;
    }
    const prefix = messagePrefixSize(topic);
    if (payload.length > this.#maxPiece) {
      // The total length goes before the first piece.
      if (!this.#pay(prefix + 4 + this.#maxPiece)) return false;
      const piece = payload.subarray(0, this.#maxPiece);
      encodeMessageStart(out, this.#count.next(), topic, payload.length, piece);
      this.#messages.begin(piece.length);
      return true;
    }
    if (!this.#pay(prefix + payload.length)) return false;
    encodeMessage(out, this.#count.next(), topic, payload, undefined, flagsOf(message));
    this.#written(message);
    return true;
  }

  #writePiece(out: OutBuffer, message: Outgoing): boolean {
    const end = Math.min(message.payload.length, message.offset + this.#maxPiece);
    if (!this.#pay(end - message.offset)) return false;
    const more = end < message.payload.length;
    const piece = message.payload.subarray(message.offset, end);
    const flags = more ? 0 : flagsOf(message);
    encodePiece(out, FrameType.MSG, 0, this.#count.next(), more, piece, flags);
    message.offset = end;
    if (!more) this.#written(message);
    return true;
  }

  #written({ receipt }: Outgoing): void {
    this.#messages.shift();
    if (receipt !== undefined) {
      this.#receipts ??= new Receipts();
      this.#receipts.wrote(this.#count.count, receipt);
    }
    this.#host.onWritten(1);
  }

  #pay(bodyLength: number): boolean {
    const cost = frameCost(LENGTH_BASE + bodyLength);
    if (cost > this.available) return false;
    this.spend(cost);
    return true;
  }
}

/** Who waits for the other end's word should not wait for the end of a batch. */
function flagsOf({ receipt }: Outgoing): number {
  return receipt === undefined ? 0 : Flag.ACKREQ;
}
