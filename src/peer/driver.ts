/**
 * Drives one session machine over one link: the shell around the sans-IO core.
 *
 * Owns the link, the timers of the session and of a pause in reading, and the output buffer. Protocol
 * decisions are the machine's.
 */
import type { Bytes, Clock } from "../base/types.ts";
import type { ProtocolError } from "../base/errors.ts";
import { OutBuffer } from "../base/out_buffer.ts";
import type { MachineEvents, MachineOptions, SessionEnd } from "../session/events.ts";
import { SessionMachine } from "../session/machine.ts";
import type { Holdup } from "../session/rate.ts";
import type { Link, LinkSink } from "../stream/link.ts";
import { PRE_WELCOME_MAX } from "../wire/constants.ts";

/** How long the other end may take to end its direction too, in ms (WIRE.md section 5). */
const LINGER = 1_000;
/** A link that has written no more than this at once since its last wake-up, in bytes, is quiet. */
const QUIET = 1_024;
/** So long a message of frames may always be, in bytes (PROTOCOL.md section 1). */
const LONG_MESSAGE = 1_048_576;
const NOTHING: Bytes = new Uint8Array(0);

/** What a driver tells, beside what its machine does. */
export interface DriverEvents extends MachineEvents {
  /** So many bytes were received and understood as far as that goes. */
  onRead(bytes: number): void;
  /** So many bytes were written. */
  onWrote(bytes: number): void;
  /** The other end sends too fast: it is not read for a while. */
  onHeld(holdup: Holdup): void;
}

/** What a driver is made with. */
export type DriverOptions = Omit<MachineOptions, "preface"> & {
  readonly clock: Clock;
};

/** One session over one link. */
export class SessionDriver implements LinkSink {
  /** The protocol. After telling it something, call `flush`. */
  readonly machine: SessionMachine;
  /** Resolves when the link is closed. */
  readonly done: Promise<void>;
  /** When the session became open, by the clock; `undefined` until then. */
  openedAt: number | undefined;
  readonly link: Link;
  readonly #clock: Clock;
  readonly #output = new OutBuffer();
  readonly #finished: () => void;
  readonly #events: DriverEvents;
  readonly #frameTimeout: number;
  /** When a whole message came last, and when bytes were looked for last in those that are not whole. */
  #wholeAt: number;
  #readAt = -Infinity;
  #wroteAt = -Infinity;
  #timer: Disposable | undefined;
  #timerAt = Infinity;
  #busy = false;
  #over = false;
  #pause: { readonly promise: Promise<void>; readonly end: () => void } | undefined;

  /** `events.onEnd` is told when the protocol ends; the link is then closed by itself. */
  constructor(link: Link, options: DriverOptions, events: DriverEvents) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.#finished = resolve;
    this.link = link;
    this.#clock = options.clock;
    this.#frameTimeout = options.frameTimeout;
    this.#wholeAt = options.clock.now();
    this.#events = events;
    const longest = Math.max(LONG_MESSAGE, options.limits.recvBytes);
    link.maxMessageLength = options.side === "client" ? longest : PRE_WELCOME_MAX;
    const told: MachineEvents = {
      onHello: (hello) => events.onHello(hello),
      onOpen: (limits, welcome) => {
        this.openedAt = this.#clock.now();
        link.maxMessageLength = longest;
        events.onOpen(limits, welcome);
      },
      onMessage: (topic, payload, cost) => events.onMessage(topic, payload, cost),
      onDropped: (bytes) => events.onDropped(bytes),
      onWritten: (sent) => events.onWritten(sent),
      onPong: (opaque, roundTrip) => events.onPong(opaque, roundTrip),
      onGoaway: (retryAfter) => events.onGoaway(retryAfter),
      onRequest: (call) => events.onRequest(call),
      onCancel: (call, code) => events.onCancel(call, code),
      onLimit: (limit, whose) => events.onLimit(limit, whose),
      onEnd: (end) => this.#ended(end, events),
    };
    const machineOptions = { ...options, preface: link.bytes };
    this.machine = new SessionMachine(machineOptions, told, options.clock.now());
  }

  /** Begins to read and to write. */
  start(): void {
    this.link.start(this);
    this.flush();
  }

  /** Sends what the machine has to say, and sees to its next wake-up. */
  flush(): void {
    if (this.machine.hasOutput) this.link.wake();
    this.#arm();
  }

  /** Ends the link now, without a word. */
  abort(): void {
    this.#over = true;
    this.#disarm();
    this.link.abort();
    this.#finished();
  }

  // ── LinkSink ──

  get wanted(): number {
    return this.machine.wanted;
  }

  get shared(): boolean {
    return this.machine.shared;
  }

  get held(): Promise<void> | undefined {
    return this.#pause?.promise;
  }

  received(buffer: Bytes, start: number, end: number): number {
    const { machine } = this;
    const now = this.#clock.now();
    this.#wholeAt = now;
    const rest = machine.receive(buffer, start, end, now);
    this.#events.onRead(rest - start);
    if (machine.holdup !== undefined) this.#hold(machine.holdup);
    this.flush();
    return rest;
  }

  nextOutput(): OutBuffer | undefined {
    // A look at the clock costs as much as a frame.
    if (!this.machine.hasOutput) {
      this.machine.idle();
      return undefined;
    }
    this.#wroteAt = this.#clock.now();
    this.machine.fill(this.#output, this.#wroteAt);
    if (this.#output.length === 0) return undefined;
    if (this.#output.length > QUIET) this.#busy = true;
    this.#arm();
    return this.#output;
  }

  wrote(bytes: number): void {
    if (this.link.inFlight > 0) this.machine.wrote(this.#clock.now());
    this.#events.onWrote(bytes);
  }

  violated(error: ProtocolError): void {
    this.machine.violated(error);
    this.flush();
  }

  ended(error: unknown, partial: boolean): void {
    this.machine.linkEnded(error, partial);
    if (this.#over) return;
    this.abort();
  }

  // ── private ──

  #hold(holdup: Holdup): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = () => {
      timer[Symbol.dispose]();
      this.#pause = undefined;
      resolve();
    };
    const timer = this.#clock.setTimer(holdup.until, end, this.machine.open);
    this.#pause = { promise, end };
    this.#events.onHeld(holdup);
  }

  #ended(end: SessionEnd, events: MachineEvents): void {
    this.#disarm();
    // What still arrives is to be read, and thrown away: else it would destroy the farewell.
    this.#pause?.end();
    if (!this.#over) this.#finish(end);
    events.onEnd(end);
  }

  #finish(end: SessionEnd): void {
    // Nothing can be said to an end that is gone.
    if (end.code === "LINK_LOST" || end.code === "WRITE_TIMEOUT") return this.abort();
    this.#over = true;
    const deadline = this.#clock.setTimer(this.#clock.now() + LINGER, () => this.link.abort());
    this.link.finish().finally(() => {
      deadline[Symbol.dispose]();
      this.link.abort();
      this.#finished();
    });
  }

  /** A timer that is too early only asks again, so one that is armed is moved forward only. */
  #arm(): void {
    if (this.#over) return;
    const at = this.machine.nextTimeout();
    if (at >= this.#timerAt) return;
    this.#disarm();
    if (at === Infinity) return;
    this.#timerAt = at;
    this.#timer = this.#clock.setTimer(at, () => this.#wake(), this.machine.open);
  }

  #wake(): void {
    this.#timer = undefined;
    this.#timerAt = Infinity;
    // Thousands of quiet links must not keep the memory that each of them once needed.
    if (!this.#busy && this.link.inFlight === 0) this.#output.release();
    this.#busy = false;
    this.#lookAtParts();
    this.machine.handleTimeout(this.#clock.now());
    this.flush();
  }

  /** Half a message is a sign of life and of progress as well; one that is never whole is none for long. */
  #lookAtParts(): void {
    const { readAt, wroteAt } = this.link;
    if (readAt > Math.max(this.#readAt, this.#wholeAt)) {
      this.#readAt = readAt;
      if (readAt < this.#wholeAt + this.#frameTimeout) this.machine.receive(NOTHING, 0, 0, readAt);
    }
    if (wroteAt > this.#wroteAt) {
      this.#wroteAt = wroteAt;
      this.machine.wrote(wroteAt);
    }
  }

  #disarm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }
}
