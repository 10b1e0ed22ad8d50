/**
 * One session over one link, as a machine: fed with bytes, events and `now`, it fills a buffer with
 * output, tells events, and names the instant at which it wants to be woken.
 *
 * Owns the order of the protocol (PROTOCOL.md). Knows no socket, timer or randomness.
 *
 *   handshake ──> open ──> closed        the handshake's own phases are in handshake.ts
 *
 * 1. The end is told once, by whichever comes first; after it no event is told and input is ignored.
 * 2. Every violation of the protocol ends the link with one code; nothing is guessed or repaired.
 * 3. Control frames go before messages.
 */
import type { Bytes, Initiator } from "../base/types.ts";
import { type CloseCode, ProtocolError, type VnetError } from "../base/errors.ts";
import type { OutBuffer } from "../base/out_buffer.ts";
import { type FrameHandler, FrameReader } from "../wire/frame.ts";
import { Flag, FrameType, PRE_WELCOME_MAX } from "../wire/constants.ts";
import { decodeSkip } from "../wire/call.ts";
import * as control from "../wire/control.ts";
import type { Hello, Welcome, WireLimits } from "../wire/handshake.ts";
import type { Acks } from "./acks.ts";
import type { Cast } from "./cast.ts";
import type { CallMachine } from "./call_machine.ts";
import { ControlFrames } from "./control_frames.ts";
import type { LifeEvents, MachineHost, MachineSettings } from "./events.ts";
import { Exchange } from "./exchange.ts";
import { Handshake } from "./handshake.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Intake } from "./intake.ts";
import type { MessageReader } from "./message_reader.ts";
import { endInWords, foreignError, linkError } from "./link_error.ts";
import type { Holdup } from "./rate.ts";

/** The machine. */
export class SessionMachine implements FrameHandler {
  /** Whether a view of what `receive` took last was given away, so that its memory is taken. */
  shared = false;
  /** Whether what `receive` took last may have given `fill` something to write; mostly it has not. */
  stirred = false;
  /** Whether there is something to write for calls of which `receive` took frames last. */
  answers = false;
  #receiving = false;
  readonly #settings: MachineSettings;
  readonly #host: MachineHost;
  readonly #life: LifeEvents;
  readonly #reader: FrameReader;
  /** Until the session is open, and this end's part in that is written. */
  #handshake: Handshake | undefined;
  readonly #heartbeat: Heartbeat | undefined;
  readonly #control: ControlFrames;
  readonly #acks: Acks;
  readonly #intake: Intake;
  /** The same where frames are to be counted: nothing else may cost anything per frame. */
  readonly #counted: Intake | undefined;
  /** What flows once the session is open. */
  readonly #exchange: Exchange;
  /** What takes its messages, once there are any. */
  #incoming: MessageReader | undefined;
  #phase: "handshake" | "open" | "closed" = "handshake";
  #farewell: ((out: OutBuffer) => void) | undefined;
  #now = NaN; // A field that begins as `undefined` would take an object for each fraction.
  /** When bytes came and went last, in whole ms, and whether some are still being written. */
  #heardAt = 0;
  #wroteAt = 0;
  #writing = false;

  /** `preface`: whether one travels first, as on byte transports. */
  constructor(
    settings: MachineSettings,
    preface: boolean,
    host: MachineHost,
    life: LifeEvents,
    now: number,
  ) {
    const { side, limits, heartbeat, handshakeTimeout, frameTimeout, serializer, rates } = settings;
    this.#settings = settings;
    this.#host = host;
    this.#life = life;
    this.#now = now;
    this.#heardAt = this.#wroteAt = Math.floor(now);
    this.#handshake = new Handshake(side, preface, serializer, now + handshakeTimeout);
    this.#intake = new Intake(frameTimeout, rates, now);
    this.#counted = this.#intake.limited ? this.#intake : undefined;
    const shortest = Math.min(PRE_WELCOME_MAX, limits.maxFrame);
    this.#reader = new FrameReader(this, side === "client" ? "server" : "client", shortest);
    this.#heartbeat = heartbeat === false ? undefined : new Heartbeat(now, heartbeat, side);
    this.#exchange = new Exchange(settings, host);
    const interval = heartbeat === false ? Infinity : heartbeat.interval;
    this.#control = new ControlFrames(host, this.#exchange, interval, now);
    this.#acks = this.#control.acks;
  }

  /** Bytes that the next frame needs in one piece, as far as is known. */
  get wanted(): number {
    return this.#reader.wanted;
  }

  /** For how long nothing should be read; `undefined`: read on. */
  get holdup(): Holdup | undefined {
    return this.#phase === "closed" ? undefined : this.#intake.holdup;
  }

  /** Whether messages may flow. */
  get open(): boolean {
    return this.#phase === "open";
  }

  /** The calls, while the session is open. */
  get calls(): CallMachine | undefined {
    return this.#phase === "open" ? this.#exchange.calls : undefined;
  }

  /** Calls of the other end whose answers were not written. */
  get answering(): number {
    return this.#phase === "open" ? this.#exchange.answering : 0;
  }

  /** Client: begins. @throws {TypeError | RangeError} where the HELLO cannot be encoded */
  hello(hello: Hello): void {
    this.#handshake?.hello(hello);
  }

  /** Server: lets the client in that has asked by HELLO. */
  welcome(welcome: Welcome, hello: Hello): void {
    if (this.#phase !== "handshake" || !this.#handshake?.deciding) return;
    this.#handshake.welcome(welcome);
    this.#begin(hello.limits, undefined);
  }

  /** Server: refuses the client that has asked, and ends. */
  reject(code: CloseCode, reason: string, retryAfter: number, epoch: Bytes): void {
    if (this.#phase !== "handshake" || !this.#handshake?.deciding) return;
    this.#handshake.refuse(code, reason, retryAfter, epoch);
    this.#end(code, reason, "local");
  }

  /** Looks at what `receive` will need. Changes nothing; what it gives means nothing. */
  look(): number {
    return this.wanted ^ this.#intake.frameAt ^ this.#acks.count ^ (this.#incoming?.room ?? 0);
  }

  /** Takes what arrived; returns where the first byte is that was not consumed. */
  receive(buffer: Bytes, start: number, end: number, now: number): number {
    this.#now = now;
    this.shared = false;
    this.stirred = false;
    this.answers = false;
    if (this.#phase === "closed") return end;
    this.#receiving = true;
    let at = start;
    this.#intake.received(end - start, now);
    try {
      if (this.#handshake?.unproven) at = this.#handshake.readPreface(buffer, start, end);
      if (!this.#handshake?.unproven) at = this.#reader.read(buffer, at, end);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.violated(error, buffer.subarray(start, end));
    }
    this.#receiving = false;
    if (this.#ended()) return end;
    // A message larger than the window goes on only if its pieces are granted again.
    if (this.#incoming?.due || this.#acks.due) this.#wantAck();
    this.#intake.left(end - at, at !== start, now);
    this.#heardAt = Math.floor(this.#intake.heardAt(now));
    if (this.answers) this.answers = this.#exchange.hasOutput;
    return at;
  }

  /** The link has ended: cleanly where there is no error. `partial`: in the middle of a frame. */
  linkEnded(error: unknown, partial: boolean): void {
    this.#end("LINK_LOST", endInWords(error, this.open), "network", linkError(error, partial));
  }

  /** Ends the session as the other end broke the protocol; `seen`: what came last. */
  violated(error: ProtocolError, seen: Uint8Array = new Uint8Array(0)): void {
    if (this.#phase === "closed") return;
    const foreign = this.#handshake?.unproven ? foreignError(error, seen) : undefined;
    if (foreign !== undefined) {
      return this.#end(foreign.code, foreign.message, "remote", foreign, { wrongProtocol: true });
    }
    this.#sayClose(error.code, error.message);
    this.#end(error.code, error.message, "remote", error);
  }

  /** Ends the session: what is in the outbox is not waited for, but the other end is told why. */
  close(code: CloseCode, reason: string, initiator: Initiator = "local"): void {
    if (this.#phase === "closed") return;
    this.#sayClose(code, reason);
    this.#end(code, reason, initiator);
  }

  /** The application is through with messages that cost so much; tells whether that is to be told. */
  consumed(cost: number): boolean {
    this.#incoming?.consumed(cost);
    // Of what is consumed while it is received the other end is told once.
    if (this.#receiving || !this.#incoming?.due) return false;
    this.#wantAck();
    return true;
  }

  /** Wants a PING; the PONG that answers it has this number or a later one. */
  ping(): number {
    return this.#control.ping();
  }

  /** Says that this end will close. The PONG that answers this number or a later one shows that it is known. */
  goaway(retryAfter: number, reason: string): number {
    return this.#control.goaway(retryAfter, reason);
  }

  /**
   * The frame of a message for many, to be written at once, where nothing waits to be written before it;
   * `undefined`: it has to wait. Only while nothing is being written.
   */
  cast(cast: Cast, now: number): Bytes | undefined {
    // It must not overtake the WELCOME.
    if (this.#phase !== "open" || this.#handshake !== undefined) return undefined;
    const frame = this.#exchange.cast(cast);
    if (frame === undefined) return undefined;
    this.#writing = true;
    this.#wroteAt = Math.floor(now);
    return frame;
  }

  /** Some of what `fill` or `cast` gave was written then. */
  wrote(at: number): void {
    if (at > this.#wroteAt) this.#wroteAt = Math.floor(at);
  }

  /** All of it has been written. */
  idle(): void {
    this.#writing = false;
  }

  /** Writes what should go out now. Call it only when `out` is handed over at once. */
  fill(out: OutBuffer, now: number): void {
    this.#now = now;
    this.#handshake?.write(out);
    if (this.#phase === "open") {
      this.#handshake = undefined;
      this.#control.write(out, now);
      this.#exchange.write(out, now);
    }
    this.#farewell?.(out);
    this.#farewell = undefined;
    this.#writing = out.length > 0;
    if (this.#writing) this.#wroteAt = Math.floor(now);
  }

  /** Whether `fill` may write something. */
  get hasOutput(): boolean {
    if (this.#handshake?.hasOutput || this.#farewell !== undefined) return true;
    return this.#phase === "open" &&
      (this.#control.hasOutput(this.#now) || this.#exchange.hasOutput);
  }

  /** Whether all that `fill` would write is the answer to a PING. */
  get beats(): boolean {
    return this.#phase === "open" && this.#control.beats && !this.#exchange.hasOutput;
  }

  /** When `handleTimeout` wants to be called. */
  nextTimeout(): number {
    if (this.#phase === "closed") return this.#writeAt;
    if (this.#phase === "handshake") {
      return Math.min(this.#handshake?.deadline ?? Infinity, this.#writeAt);
    }
    return Math.min(
      this.#control.nextTimeout(this.#now),
      this.#intake.frameAt,
      this.#writeAt,
      this.#informed?.nextTimeout(this.#control.measuredAt) ?? Infinity,
    );
  }

  /** Does what is due at `now`. Early or repeated calls do nothing. */
  handleTimeout(now: number): void {
    this.#now = now;
    const { writeTimeout, handshakeTimeout } = this.#settings;
    if (now >= this.#writeAt) {
      this.#writing = false;
      // Whoever takes no bytes would not take a farewell either.
      const reason = `A write has made no progress for ${writeTimeout} ms`;
      return this.#end("WRITE_TIMEOUT", reason, "network");
    }
    if (this.#phase === "closed") return;
    if (this.#phase === "handshake") {
      if (this.#handshake === undefined || now < this.#handshake.deadline) return;
      const reason = `The handshake took longer than ${handshakeTimeout} ms`;
      this.#handshake.refuse("HANDSHAKE_TIMEOUT", reason);
      return this.#end("HANDSHAKE_TIMEOUT", reason, "remote");
    }
    if (now >= this.#intake.frameAt) return this.violated(this.#intake.late);
    this.#control.tick(now);
    const beat = this.#informed;
    const action = beat?.handleTimeout(now, this.#control.measuredAt);
    if (action === "ping") this.#control.ping();
    if (action !== "dead") return;
    this.close("HEARTBEAT_TIMEOUT", `The other end was silent for ${beat?.most} ms`, "network");
  }

  onFrame(
    type: number,
    flags: number,
    aux: number,
    id: number,
    seq: number,
    buffer: Bytes,
    start: number,
    end: number,
  ): void {
    if (this.#phase === "handshake") return this.#handshakeFrame(type, aux, buffer, start, end);
    if (seq !== 0 && !this.#acks.accept(seq, this.#now)) return;
    if ((flags & Flag.ACKREQ) !== 0) this.#wantAck();
    this.#counted?.frame(type, flags, this.#now);
    switch (type) {
      case FrameType.MSG:
        this.#incoming ??= this.#exchange.incoming;
        if (this.#incoming.frame(flags, seq, buffer, start, end)) this.shared = true;
        return;
      case FrameType.SKIP:
        decodeSkip(start, end);
        if (id === 0) this.#incoming?.skip();
        return;
      case FrameType.CLOSE: {
        const { code, reason, recvSeq } = control.decodeClose(aux, buffer, start, end);
        this.#exchange.accepted(recvSeq);
        return this.#end(code, reason, "remote", undefined, { accepted: recvSeq });
      }
    }
    if (type < FrameType.MSG) return this.#controlFrame(type, aux, buffer, start, end);
    this.answers = true;
    // What is left is of a call, or may be ignored.
    const { calls } = this.#exchange;
    if (calls.frame(type, flags, aux, id, buffer, start, end, this.#now)) this.shared = true;
  }

  onMessages(buffer: Bytes, start: number, end: number): number {
    if (this.#phase !== "open" || this.#counted !== undefined) return start;
    this.#incoming ??= this.#exchange.incoming;
    const next = this.#incoming.run(buffer, start, end, this.#acks, this.#now);
    if (next > start) this.shared = true;
    return next;
  }

  #controlFrame(type: number, aux: number, buffer: Bytes, start: number, end: number): void {
    this.stirred = true;
    if (type <= FrameType.REJECT) {
      throw new ProtocolError("PROTOCOL", `Cannot take frame of type ${type} in an open session`);
    }
    this.#control.frame(type, aux, buffer, start, end, this.#now);
    if (this.#control.leaving) this.#exchange.calls.caller.hold();
  }

  #wantAck(): void {
    this.#acks.request();
    this.stirred = true;
  }

  #handshakeFrame(type: number, aux: number, buffer: Bytes, start: number, end: number): void {
    this.stirred = true;
    const frame = this.#handshake?.readFrame(type, aux, buffer, start, end);
    switch (frame?.type) {
      case "hello":
        return this.#host.onHello(frame.hello);
      case "welcome":
        this.#wantAck(); // At once, so that the server knows that the WELCOME arrived.
        return this.#begin(frame.welcome.limits, frame.welcome);
      case "reject": {
        const { code, reason, retryAfter } = frame.reject;
        return this.#end(code, reason, "remote", undefined, { retryAfter });
      }
    }
  }

  #begin(remote: WireLimits, welcome: Welcome | undefined): void {
    this.#phase = "open";
    this.#reader.maxFrame = this.#settings.limits.maxFrame;
    this.#exchange.begin(remote);
    this.#life.onOpen(remote, welcome);
  }

  /** The heartbeat, told of the last signs of life: only when it is asked, as they are so many. */
  get #informed(): Heartbeat | undefined {
    this.#heartbeat?.sent(this.#wroteAt);
    this.#heartbeat?.received(this.#heardAt);
    return this.#heartbeat;
  }

  /** When what is being written must have made progress. */
  get #writeAt(): number {
    return this.#writing ? this.#wroteAt + this.#settings.writeTimeout : Infinity;
  }

  #sayClose(code: CloseCode, reason: string): void {
    if (this.#phase === "handshake") return this.#handshake?.refuse(code, reason);
    this.#farewell = (out) => control.encodeClose(out, code, 0, this.#control.count, reason);
  }

  #ended(): boolean {
    return this.#phase === "closed";
  }

  #end(
    code: CloseCode,
    reason: string,
    initiator: Initiator,
    error?: VnetError,
    more: { retryAfter?: number; wrongProtocol?: boolean; accepted?: number } = {},
  ): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.stirred = true;
    this.#reader.stop();
    const { retryAfter = 0, wrongProtocol = false, accepted = Infinity } = more;
    const openCalls = this.#exchange.end(accepted);
    const end = { code, reason, initiator, retryAfter, wrongProtocol, openCalls };
    this.#life.onEnd(error === undefined ? end : { ...end, error });
  }
}
