/**
 * Reads messages out of frames: within credit, fragments put together.
 *
 * Owns what was received and not consumed. Tracked and volatile messages are gathered apart, since
 * only tracked ones are charged.
 */
import { gaveAway } from "../base/collector_pace.ts";
import type { Bytes } from "../base/types.ts";
import { ProtocolError } from "../base/errors.ts";
import { viewOf } from "../base/views.ts";
import { Flag, HEADER_SIZE, LENGTH_BASE } from "../wire/constants.ts";
import type { WireLimits } from "../wire/handshake.ts";
import {
  decodeMessage,
  isPlainMessage,
  PLAIN_PREFIX,
  PLAIN_SIZE,
  plainMessageEnd,
} from "../wire/message.ts";
import type { Acks } from "./acks.ts";
import { demandPlain } from "./calls.ts";
import { frameCost, ReceiveCredit } from "./credit.ts";
import { Reassembly } from "./reassembly.ts";

/** What is told of each message. */
export interface MessageEvents {
  /**
   * A whole message; tells whether the application is through with it already. Else give `cost` back by
   * `consumed`, as it is, once it is. A volatile message has a negative one: it takes up the queue, but
   * no credit.
   */
  onMessage(topic: string, payload: Bytes, cost: number): boolean;
  /** A volatile message was dropped since the application has fallen behind. */
  onDropped(bytes: number): void;
}

/** The receiving half of message flow: the credit of what the other end sends, and what becomes of it. */
export class MessageReader extends ReceiveCredit {
  readonly #events: MessageEvents;
  readonly #window: number;
  readonly #maxFrame: number;
  readonly #maxMessage: number;
  readonly #maxMetadata: number;
  #tracked: Reassembly | undefined;
  #volatile: Reassembly | undefined;
  #volatileHeld = 0;
  #over = false;

  /** `limits`: what we accept. */
  constructor(events: MessageEvents, limits: WireLimits) {
    // To tell of it costs both ends as much as twenty messages. A piece is at most a quarter of the window,
    // so what has not been told never keeps the next one waiting.
    super(limits.recvBytes, limits.recvBytes / 2);
    this.#events = events;
    this.#window = limits.recvBytes;
    this.#maxFrame = limits.maxFrame;
    this.#maxMessage = limits.maxMessage;
    this.#maxMetadata = limits.maxMetadata;
  }

  /** The application is through with messages that cost so much. */
  consumed(cost: number): void {
    if (cost < 0) this.#volatileHeld += cost;
    else this.release(cost);
  }

  /** Takes a SKIP in the place of a fragment: what was begun will not be finished. */
  skip(): void {
    this.#tracked = undefined;
  }

  /** The session is over: nothing more is told. */
  end(): void {
    this.#over = true;
  }

  /**
   * Takes the plain messages that are next in `buffer[start, end)`, and looks only once at what is the same
   * for all of them. Gives where the first frame begins that is not whole, none of these, or wrong.
   */
  run(buffer: Bytes, start: number, end: number, acks: Acks, now: number): number {
    if (this.#tracked !== undefined || !isPlainMessage(0, buffer, start + HEADER_SIZE, end)) {
      return start;
    }
    const memory = buffer.buffer;
    const { byteOffset } = buffer;
    const view = new DataView(memory, byteOffset, end);
    const first = acks.next;
    let { room } = this;
    let seq = first;
    let at = start;
    while (!this.#over) {
      const next = plainMessageEnd(view, at, end, seq);
      if (next < 0 || next - at > this.#maxFrame) break;
      const length = next - at - PLAIN_SIZE;
      const cost = frameCost(LENGTH_BASE + PLAIN_PREFIX + length);
      if (cost > room) break;
      room -= cost;
      seq++;
      gaveAway(length);
      const payload = new Uint8Array(memory, byteOffset + at + PLAIN_SIZE, length);
      if (!this.#events.onMessage("", payload, cost)) this.hold(cost);
      at = next;
    }
    this.receive(this.room - room);
    acks.accepted(seq - first, now);
    return at;
  }

  /**
   * Takes a MSG frame; its body is `buffer[start, end)`. Tells whether a view of that was given away,
   * and not a copy.
   */
  frame(flags: number, seq: number, buffer: Bytes, start: number, end: number): boolean {
    const tracked = seq !== 0;
    const cost = frameCost(LENGTH_BASE + end - start);
    if (tracked && !this.receive(cost)) {
      throw new ProtocolError("FLOW_CONTROL", "Cannot take message as there was no credit for it");
    }
    const more = (flags & Flag.MORE) !== 0;
    const begun = tracked ? this.#tracked : this.#volatile;
    if (begun !== undefined) {
      demandPlain(flags);
      const whole = begun.add(buffer.subarray(start, end), more, cost);
      if (whole === undefined) return false;
      this.#keep(tracked, undefined);
      this.#deliver(begun.topic, whole, begun.cost, tracked);
      return false;
    }
    if (isPlainMessage(flags, buffer, start, end)) {
      this.#deliver("", viewOf(buffer, start + PLAIN_PREFIX, end), cost, tracked);
      return true;
    }
    const message = decodeMessage(flags, buffer, start, end, this.#maxMetadata);
    const piece = buffer.subarray(message.start, message.end);
    if (!more) {
      this.#deliver(message.topic, piece, cost, tracked);
      return true;
    }
    const reassembly = new Reassembly(message.topic, message.total, this.#maxMessage);
    reassembly.add(piece, more, cost);
    this.#keep(tracked, reassembly);
    return false;
  }

  #keep(tracked: boolean, reassembly: Reassembly | undefined): void {
    if (tracked) this.#tracked = reassembly;
    else this.#volatile = reassembly;
  }

  #deliver(topic: string, payload: Bytes, cost: number, tracked: boolean): void {
    gaveAway(payload.length);
    if (tracked) {
      if (!this.#events.onMessage(topic, payload, cost)) this.hold(cost);
      return;
    }
    // Nothing but this bounds what a sender of volatile messages makes us keep.
    if (this.held + this.#volatileHeld >= this.#window) {
      return this.#events.onDropped(payload.length);
    }
    if (!this.#events.onMessage(topic, payload, -cost)) this.#volatileHeld += cost;
  }
}
