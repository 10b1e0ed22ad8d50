/**
 * Drives one session machine over one link: the shell around the sans-IO core.
 *
 * Owns the link, the timers of the session and of a pause in reading, and the output buffer. Protocol
 * decisions are the machine's.
 */
import type { Bytes, Clock } from "../base/types.ts";
import type { ProtocolError } from "../base/errors.ts";
import { giveOutBuffer, type OutBuffer, takeOutBuffer } from "../base/out_buffer.ts";
import type { LifeEvents, MachineHost, MachineSettings, SessionEnd } from "../session/events.ts";
import { ACK_TIMEOUT } from "../session/acks.ts";
import type { Cast } from "../session/cast.ts";
import { SessionMachine } from "../session/machine.ts";
import type { Holdup } from "../session/rate.ts";
import type { Link, LinkSink } from "../stream/link.ts";
import type { Creditor } from "./inbox.ts";
import { Alarm, type Alarms } from "./alarms.ts";
import { PRE_WELCOME_MAX } from "../wire/constants.ts";
import type { Welcome, WireLimits } from "../wire/handshake.ts";

/** How long the other end may take to end its direction too, in ms (WIRE.md section 5). */
const LINGER = 1_000;
/** A link that has written no more than this at once since its last wake-up, in bytes, is quiet. */
const QUIET = 1_024;
/** So long a message of frames may always be, in bytes (PROTOCOL.md section 1). */
const LONG_MESSAGE = 1_048_576;
const NOTHING: Bytes = new Uint8Array(0);

/** Whom a driver tells, and whose backlog its machine writes. */
export interface DriverHost extends MachineHost, LifeEvents {
  /** Looks at what a message will need. Changes nothing; what it gives means nothing. */
  look(): number;
  /** So many bytes were received and understood as far as that goes. */
  onRead(bytes: number): void;
  /** So many bytes were written. */
  onWrote(bytes: number): void;
  /** The other end sends too fast: it is not read for a while. */
  onHeld(holdup: Holdup): void;
  /** Hardly anything was written for a while: memory that this needed may be given back. */
  onQuiet(): void;
  /** The link is closed. */
  onGone(): void;
}

/** One session over one link. */
export class SessionDriver extends Alarm implements LinkSink, LifeEvents, Creditor {
  /** The protocol. After telling it something, call `flush`. */
  readonly machine: SessionMachine;
  /** Whether the link is closed. */
  gone = false;
  /** When the session became open, by the clock; `undefined` until then. */
  openedAt: number | undefined;
  readonly link: Link;
  readonly #clock: Clock;
  /** What is being written. */
  #output: OutBuffer | undefined;
  readonly #host: DriverHost;
  readonly #settings: MachineSettings;
  /** What was just received or written makes nothing due earlier than after so many ms. */
  readonly #patience: number;
  /** When a whole message came last, and when bytes were found last in those that are not whole. */
  #wholeAt = 0;
  #readAt: number | undefined;
  readonly #alarms: Alarms;
  /** Until the session is open: what keeps the process alive for it. */
  #timer: Disposable | undefined;
  #busy = false;
  #over = false;
  #pause: { readonly promise: Promise<void>; readonly end: () => void } | undefined;

  /** `host.onEnd` is told when the protocol ends; the link is then closed by itself. */
  constructor(
    link: Link,
    settings: MachineSettings,
    clock: Clock,
    alarms: Alarms,
    host: DriverHost,
  ) {
    super();
    const now = clock.now();
    this.link = link;
    this.#settings = settings;
    this.#patience = patienceOf(settings);
    this.#clock = clock;
    this.#alarms = alarms;
    this.#host = host;
    this.#wholeAt = Math.floor(now);
    link.maxMessageLength = settings.side === "client" ? longest(settings) : PRE_WELCOME_MAX;
    this.machine = new SessionMachine(settings, link.bytes, host, this, now);
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

  /** The frame of a message for many, which has to be written in this turn; `undefined`: it must be queued. */
  cast(cast: Cast, now: number): Bytes | undefined {
    const { link } = this;
    if (!link.free) return undefined;
    const frame = this.machine.cast(cast, now);
    if (frame === undefined) return undefined;
    link.hold();
    this.#rearm(now);
    return frame;
  }

  /** The application is through with messages that cost so much. */
  consumed(cost: number): void {
    if (this.machine.consumed(cost)) this.flush();
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
    if (!this.link.bytes) this.#wholeAt = Math.floor(now);
    const rest = machine.receive(buffer, start, end, now);
    this.#host.onRead(rest - start);
    if (machine.holdup !== undefined) this.#hold(machine.holdup);
    // A sign of life is all that there is to say: it need not wait for more, and the next one is far.
    if (machine.answers) this.link.wake();
    const beats = machine.stirred && machine.beats;
    if (beats) this.link.wake(true);
    if (machine.stirred && !beats) this.flush();
    else this.#rearm(now);
    return rest;
  }

  look(): number {
    return this.machine.look() ^ this.#host.look() ^ this.at;
  }

  nextOutput(): OutBuffer | undefined {
    // A look at the clock costs as much as a frame.
    if (!this.machine.hasOutput) return undefined;
    const output = this.#output ??= takeOutBuffer();
    const now = this.#clock.now();
    this.machine.fill(output, now);
    if (output.length === 0) {
      this.#writtenAll();
      return undefined;
    }
    if (output.length > QUIET) this.#busy = true;
    this.#rearm(now);
    return output;
  }

  wrote(bytes: number): void {
    if (this.link.inFlight > 0) {
      this.machine.wrote(this.#clock.now());
    } else {
      this.machine.idle();
      this.#writtenAll();
    }
    this.#host.onWrote(bytes);
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

  // ── LifeEvents ──

  onOpen(limits: WireLimits, welcome: Welcome | undefined): void {
    this.openedAt = Math.floor(this.#clock.now());
    this.link.maxMessageLength = longest(this.#settings);
    this.#host.onOpen(limits, welcome);
  }

  onEnd(end: SessionEnd): void {
    this.#disarm();
    // What still arrives is to be read, and thrown away: else it would destroy the farewell.
    this.#pause?.end();
    if (!this.#over) this.#finish(end);
    this.#host.onEnd(end);
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
    this.#host.onHeld(holdup);
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

  /** Nothing is being written: others may have the memory for it. */
  #writtenAll(): void {
    if (this.#output !== undefined && giveOutBuffer(this.#output)) this.#output = undefined;
  }

  #finished(): void {
    if (this.gone) return;
    this.gone = true;
    this.#host.onGone();
  }

  /** As `#arm`, after what makes nothing due before so much time has passed. */
  #rearm(now: number): void {
    if (this.at > now + this.#patience) this.#arm();
  }

  /** A timer that is too early only asks again, so one that is armed is moved forward only. */
  #arm(): void {
    if (this.#over) return;
    const at = this.machine.nextTimeout();
    if (at >= this.at) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.machine.open) return this.#alarms.set(this, at);
    this.at = at;
    this.#timer = this.#clock.setTimer(at, () => this.ring());
  }

  ring(): void {
    this.#timer = undefined;
    this.at = Infinity;
    // Thousands of quiet links must not keep the memory that each of them once needed.
    if (!this.#busy && this.link.inFlight === 0) {
      this.#output = undefined;
      this.#host.onQuiet();
    }
    this.#busy = false;
    this.#lookAtParts();
    this.machine.handleTimeout(this.#clock.now());
    if (this.machine.hasOutput) this.link.wake(true);
    this.#arm();
  }

  /** Half a message is a sign of life and of progress as well; one that is never whole is none for long. */
  #lookAtParts(): void {
    if (this.link.bytes) return;
    const { readAt, wroteAt } = this.link;
    if (readAt > Math.max(this.#readAt ?? -Infinity, this.#wholeAt)) {
      this.#readAt = readAt;
      if (readAt < this.#wholeAt + this.#settings.frameTimeout) {
        this.machine.receive(NOTHING, 0, 0, readAt);
      }
    }
    this.machine.wrote(wroteAt);
  }

  #disarm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#alarms.set(this, Infinity);
  }
}

/** How long a message of frames may be once the session is open. */
function longest({ limits }: MachineSettings): number {
  return Math.max(LONG_MESSAGE, limits.recvBytes);
}

function patienceOf({ heartbeat, frameTimeout, writeTimeout }: MachineSettings): number {
  const interval = heartbeat === false ? Infinity : heartbeat.interval;
  return Math.min(frameTimeout, writeTimeout, interval, ACK_TIMEOUT);
}
