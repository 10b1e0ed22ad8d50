/**
 * Calls over one session, both ways, as a machine.
 *
 * Owns what a frame's id says: whose call it is. The two halves are `Caller` and `Callee`; what waits
 * to be written is in `CallOutput`.
 *
 * What is for no live call is dropped; a flood of it ends the link. What a caller may have sent before it
 * knew that its call was over does not count: a thousand calls may be cancelled at once while their
 * answers are on their way, and many small items be sent to a handler that wants no more.
 */
import { gaveAway } from "../base/collector_pace.ts";
import { ProtocolError } from "../base/errors.ts";
import type { OutBuffer } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import * as wire from "../wire/call.ts";
import { Flag, FrameType, HEADER_SIZE } from "../wire/constants.ts";
import { Callee } from "./callee.ts";
import { Caller, type CallerOptions } from "./caller.ts";
import { CallOutput } from "./call_output.ts";
import type { CallEvents, RequestLane } from "./calls.ts";
import type { ReceiveFlow, SendFlow } from "./flows.ts";
import { type MessageWriter, WRITE_SIZE } from "./message_writer.ts";
import type { SendCount } from "./numbering.ts";
import { MIN_PIECE } from "./reassembly.ts";

/**
 * Where there is nothing but calls, of which the other end allows no more than it can take: a write costs
 * half as much for each byte then.
 */
const CALLS_SIZE = 262_144;
/** A piece longer than this would delay small frames too much. */
const MAX_PIECE = 32_768;
/** Answers to nothing that are honest, in one second. */
const MAX_STRAYS = 1_000;
/**
 * Bodies of so many bytes are copied, of so many frames after a fragment: a view would take memory that
 * the next fragments can use again.
 */
const COPIED = 1_024;
const COPIES = 16;
/** The longest method, metadata aside, before a payload. */
const PREFIX = 512;

/** The calls of one session. */
export class CallMachine {
  /** The calls that we make. */
  readonly caller: Caller;
  /** The calls that the other end makes. */
  readonly callee: Callee;
  /** What waits to be written. */
  readonly output: CallOutput;
  readonly #lane: RequestLane;
  readonly #ownParity: number;
  #straysSince = -Infinity;
  #strays = 0;
  /** Small frames that are still to be copied. */
  #copies = 0;

  constructor(options: CallerOptions, count: SendCount, events: CallEvents) {
    const { side, local, remote, lane } = options;
    this.#lane = lane;
    const room = remote.maxFrame - HEADER_SIZE - PREFIX -
      Math.min(remote.maxMetadata, remote.maxFrame / 2);
    this.output = new CallOutput(count, Math.max(MIN_PIECE, Math.min(room, MAX_PIECE)));
    this.caller = new Caller(options, events, this.output);
    this.callee = new Callee(this, local, remote, events, this.output);
    this.#ownParity = side === "client" ? 1 : 0;
  }

  /** Whether something may be written. */
  get hasOutput(): boolean {
    return this.output.waiting || this.callee.ready || this.caller.ready;
  }

  /** Writes what is small and in one piece, until `out` holds `size` bytes. */
  writeSmall(out: OutBuffer, size: number): void {
    this.output.writeSmall(out, size);
    this.callee.writeAnswers(out, size);
  }

  /** Calls whose callers wait, and calls whose answers were not written. */
  get open(): number {
    return this.caller.written.length + this.callee.size;
  }

  /** Items were added to a flow, or its end. */
  pushed(flow: SendFlow): void {
    if (flow.begun && !flow.over) this.output.rotate(flow);
  }

  /** The application is through with items that cost so much. */
  consumed(flow: ReceiveFlow, cost: number): void {
    flow.consumed(cost);
    this.output.grant(flow);
  }

  /**
   * Writes calls and messages in the order in which they were accepted, and pieces of what is large; what
   * cannot go lets others pass.
   */
  fill(out: OutBuffer, now: number, messages: MessageWriter): void {
    const { caller, output } = this;
    // What is large should not wait for so long.
    const most = output.hasBulk ? WRITE_SIZE : CALLS_SIZE;
    this.writeSmall(out, most);
    while (true) {
      const before = this.#lane.peek()?.order ?? Infinity;
      const { order } = messages;
      const messageFirst = order < before;
      if (out.length >= (messageFirst ? WRITE_SIZE : most)) break;
      const wrote = messageFirst
        ? messages.write(out, WRITE_SIZE, before) || caller.write(out, WRITE_SIZE, now)
        : caller.write(out, most, now, order) || messages.write(out, WRITE_SIZE);
      if (!wrote) break;
      output.wroteSmall();
    }
    // At least one piece, so that a stream of small frames does not starve what is large.
    while (output.writeBulk(out, now) && out.length < WRITE_SIZE);
  }

  /** The session is over: every call learns it. The other end took no more than so many of our frames. */
  end(accepted = Infinity): void {
    this.caller.end(accepted);
    this.callee.end();
    this.output.clear();
  }

  /** Takes a frame of a call; tells whether a view of its body may have been given away. */
  frame(
    type: number,
    flags: number,
    aux: number,
    id: number,
    buffer: Bytes,
    start: number,
    end: number,
    now: number,
  ): boolean {
    if (this.#copies > 0 && end - start <= COPIED && type !== FrameType.CREDIT) {
      this.#copies--;
      const body = buffer.slice(start, end);
      this.#take(type, flags, aux, id, body, 0, body.length, now);
      return false;
    }
    const shared = this.#take(type, flags, aux, id, buffer, start, end, now);
    if (shared) gaveAway(end - start);
    return shared;
  }

  #take(
    type: number,
    flags: number,
    aux: number,
    id: number,
    buffer: Bytes,
    start: number,
    end: number,
    now: number,
  ): boolean {
    // Of a payload in fragments all are copied, but the last cannot be told from a whole one.
    const whole = (flags & Flag.MORE) === 0;
    switch (type) {
      case FrameType.REQUEST:
        this.callee.request(flags, id, buffer, start, end, now);
        return whole;
      case FrameType.RESPONSE: {
        const call = this.caller.get(id);
        if (call === undefined) this.#stray(now);
        else this.caller.response(call, flags, buffer, start, end);
        return whole;
      }
      case FrameType.ERROR: {
        const call = this.caller.get(id);
        if (call === undefined) this.#stray(now);
        else this.caller.error(call, aux, flags, buffer, start, end);
        return whole;
      }
      case FrameType.CANCEL:
        if (!this.callee.cancel(id, wire.decodeCancel(aux, start, end))) this.#late(id, now);
        return false;
      case FrameType.CHUNK: {
        const shared = this.#chunk(flags, id, buffer, start, end, now);
        if (!shared && end - start >= MIN_PIECE) this.#copies = COPIES;
        return shared;
      }
      case FrameType.CREDIT:
        this.#credit(id, wire.decodeCredit(buffer, start, end), now);
        return false;
    }
    return false;
  }

  #chunk(
    flags: number,
    id: number,
    buffer: Bytes,
    start: number,
    end: number,
    now: number,
  ): boolean {
    if (id % 2 === this.#ownParity) {
      const call = this.caller.get(id);
      if (call !== undefined) return this.caller.chunk(call, flags, buffer, start, end);
      this.#stray(now);
    } else {
      const call = this.callee.get(id);
      if (call !== undefined) return this.callee.chunk(call, flags, buffer, start, end);
      this.#late(id, now);
    }
    return false;
  }

  #credit(id: number, limit: number, now: number): void {
    const ours = id % 2 === this.#ownParity;
    const call = ours ? this.caller.get(id) : this.callee.get(id);
    if (call === undefined) return ours ? this.#stray(now) : this.#late(id, now);
    const flow = call.sending;
    if (flow !== undefined && flow.grant(limit, now)) this.pushed(flow);
  }

  /** Came for a call of the other end that is not live. */
  #late(id: number, now: number): void {
    if (!this.callee.endedLately(id)) this.#stray(now);
  }

  #stray(now: number): void {
    if (now - this.#straysSince >= 1_000) {
      this.#straysSince = now;
      this.#strays = 0;
    }
    if (++this.#strays <= MAX_STRAYS) return;
    throw new ProtocolError(
      "FLOOD",
      `Cannot go on as there were more than ${MAX_STRAYS} answers to no call in a second`,
    );
  }
}
