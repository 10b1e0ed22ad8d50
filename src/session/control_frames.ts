/**
 * The frames that keep a session going, both ways: PING, PONG, ACK, GOAWAY.
 *
 * Owns when each is due and what it says. What ends a session is the machine's.
 *
 * 1. What goes out says how many tracked frames were accepted; what comes in says how many of ours.
 * 2. GOAWAY goes out once, and a PING with it: whatever comes before its PONG was sent in ignorance.
 */
import { ProtocolError } from "../base/errors.ts";
import type { OutBuffer } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import { FrameType } from "../wire/constants.ts";
import * as control from "../wire/control.ts";
import { Acks } from "./acks.ts";
import type { FlowEvents } from "./events.ts";
import { Pings } from "./pings.ts";

/** Credit that is told to the other end, and credit that it tells. */
export interface CreditPorts {
  /** The grant to tell, which then counts as told. */
  takeGrant(): number;
  /** The other end grants so much. */
  grant(limitBytes: number): void;
  /** The other end has accepted so many of our tracked frames. */
  accepted(count: number): void;
}

/** The control frames of one session. */
export class ControlFrames {
  readonly #events: FlowEvents;
  readonly #credit: CreditPorts;
  /** What was received of tracked frames. */
  readonly acks = new Acks();
  readonly #pings = new Pings();
  /** How long without a round trip is too long, in ms. */
  readonly #measureEvery: number;
  /** When the round trip was measured last, or should have been. */
  measuredAt: number;
  #goaway: ((out: OutBuffer) => void) | undefined;
  #leaving = false;

  /** `interval`: that of the heartbeat, in ms; `Infinity` without one. */
  constructor(events: FlowEvents, credit: CreditPorts, interval: number, now: number) {
    this.#events = events;
    this.#credit = credit;
    this.#measureEvery = 3 * interval;
    this.measuredAt = Math.floor(now);
  }

  /** Tracked frames of the other end that were accepted. */
  get count(): number {
    return this.acks.count;
  }

  /** Whether the other end has said that it goes away. */
  get leaving(): boolean {
    return this.#leaving;
  }

  /** Wants a PING; the PONG that answers it has this number or a later one. */
  ping(): number {
    return this.#pings.request();
  }

  /** Says that this end will close; the number is that of the PING that goes with it. */
  goaway(retryAfter: number, reason: string): number {
    this.#goaway = (out) => control.encodeGoaway(out, "DRAINING", retryAfter, reason);
    return this.#pings.request();
  }

  /** Whether there is something to write. */
  hasOutput(now: number): boolean {
    return this.acks.due || this.#pings.pongDue || now >= this.#pings.dueAt ||
      this.#goaway !== undefined;
  }

  /** Whether a PONG is owed, and nothing beside it. */
  get beats(): boolean {
    return this.#pings.pongDue && this.#pings.dueAt === Infinity && !this.acks.due &&
      this.#goaway === undefined;
  }

  /** When there will be. What is due already waits for the present write: no timer would speed it up. */
  nextTimeout(now: number): number {
    const { dueAt } = this.#pings;
    return Math.min(this.acks.dueAt, dueAt > now ? dueAt : Infinity);
  }

  /** Time has passed. */
  tick(now: number): void {
    this.acks.tick(now);
  }

  /** Writes what is due. */
  write(out: OutBuffer, now: number): void {
    this.#goaway?.(out);
    this.#goaway = undefined;
    // A busy link never pings for its heartbeat; now and then it does to measure the round trip. A quiet
    // one has a PING of its heartbeat for that: with an answer to one it would cost a write and a read.
    if (now - this.measuredAt > this.#measureEvery && !this.#pings.pongDue) {
      this.measuredAt = Math.floor(now);
      this.#pings.requestNow(now);
    }
    const ping = this.#pings.takePing(now);
    if (ping !== undefined) control.encodePing(out, ping, this.count);
    const pong = this.#pings.takePong();
    if (pong !== undefined) control.encodePong(out, pong, this.count);
    // Both say how much was accepted.
    if (ping !== undefined || pong !== undefined) this.acks.told();
    if (this.acks.take(now)) control.encodeAck(out, this.count, this.#credit.takeGrant());
  }

  /** Takes a frame; `false` for one that is none of these. @throws {ProtocolError} */
  frame(
    type: number,
    aux: number,
    buffer: Bytes,
    start: number,
    end: number,
    now: number,
  ): boolean {
    switch (type) {
      case FrameType.PING: {
        const { opaque, recvSeq } = control.decodePing(buffer, start, end);
        this.#credit.accepted(recvSeq);
        if (this.#pings.ping(opaque, now)) return true;
        throw new ProtocolError(
          "FLOOD",
          "Cannot go on as there were more than 1000 PINGs in a second",
        );
      }
      case FrameType.PONG: {
        const { opaque, recvSeq } = control.decodePong(buffer, start, end);
        this.#credit.accepted(recvSeq);
        const roundTrip = this.#pings.pong(opaque, now);
        if (roundTrip === undefined) return true;
        this.measuredAt = Math.floor(now);
        this.#events.onPong(opaque, roundTrip);
        return true;
      }
      case FrameType.ACK: {
        const { recvSeq, limitBytes } = control.decodeAck(buffer, start, end);
        this.#credit.grant(limitBytes);
        this.#credit.accepted(recvSeq);
        return true;
      }
      case FrameType.GOAWAY:
        this.#leaving = true;
        this.#events.onGoaway(control.decodeGoaway(aux, buffer, start, end).retryAfter);
        return true;
    }
    return false;
  }
}
