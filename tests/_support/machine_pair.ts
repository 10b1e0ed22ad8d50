/**
 * Two session machines and a byte pipe between them, driven by hand: no clock, no socket, no promise.
 *
 * Owns the instant and the bytes on their way. Everything that a machine tells is written down, so
 * that the order of things can be compared.
 */
import { assert, assertEquals } from "@std/assert";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { LimitName } from "../../src/base/errors.ts";
import type { Bytes, Initiator, Side } from "../../src/base/types.ts";
import type {
  Backlog,
  FlowEvents,
  LifeEvents,
  MachineSettings,
  SessionEnd,
} from "../../src/session/events.ts";
import { SessionMachine } from "../../src/session/machine.ts";
import { Outbox } from "../../src/session/outbox.ts";
import type { Hello, Welcome, WireLimits } from "../../src/wire/handshake.ts";
import { RequestLane, type RunningCall } from "../../src/session/calls.ts";
import { type NewCall, TestRunning } from "./running_call.ts";
import { HELLO, LIMITS, WELCOME } from "./wire_client.ts";

/** A message that arrived. */
export interface Arrived {
  readonly topic: string;
  readonly payload: Bytes;
  readonly cost: number;
}

/** What one end is made with. */
export type EndOptions =
  & Partial<MachineSettings>
  & { readonly side: Side; readonly preface?: boolean };

/** One machine, and what it has told. */
export class MachineEnd implements FlowEvents, LifeEvents, Backlog {
  readonly machine: SessionMachine;
  readonly outbox = new Outbox(1 << 26);
  readonly lane = new RequestLane();
  readonly side: Side;
  /** Calls of the other end that came. */
  readonly calls: RunningCall[] = [];
  /** What was told, in order, by name. */
  readonly log: string[] = [];
  readonly got: Arrived[] = [];
  readonly ends: SessionEnd[] = [];
  hello: Hello | undefined;
  welcome: Welcome | undefined;
  readonly #limits: WireLimits;
  readonly #input = new ByteQueue();
  readonly #out = new OutBuffer();

  constructor(options: EndOptions, now = 0) {
    this.side = options.side;
    this.#limits = options.limits ?? LIMITS;
    this.machine = new SessionMachine(
      {
        limits: LIMITS,
        serializer: "raw",
        heartbeat: false,
        handshakeTimeout: 5_000,
        frameTimeout: 30_000,
        writeTimeout: 15_000,
        ...options,
      },
      options.preface ?? true,
      this,
      this,
      now,
    );
  }

  get messages(): number {
    return this.outbox.frames;
  }

  get requests(): number {
    return this.lane.size;
  }

  /** How it ended; fails where it has not. */
  get end(): SessionEnd {
    const [end] = this.ends;
    assert(end !== undefined, `The ${this.side} must have ended: ${this.log}`);
    return end;
  }

  /** Says hello, as a client does. */
  greet(hello: Partial<Hello> = {}): void {
    this.machine.hello({ ...HELLO, limits: this.#limits, ...hello });
  }

  /** Lets the client in that has asked. */
  admit(welcome: Partial<Welcome> = {}): void {
    assert(this.hello !== undefined, "Somebody must have asked");
    this.machine.welcome({ ...WELCOME, limits: this.#limits, ...welcome }, this.hello);
  }

  /** What it writes now; empty when it has nothing to write. */
  output(now: number): Bytes {
    this.machine.fill(this.#out, now);
    const bytes = this.#out.toBytes();
    this.#out.reset();
    return bytes;
  }

  /** Feeds bytes as one read; what is not consumed waits for the next. */
  input(bytes: Uint8Array, now: number): void {
    const queue = this.#input;
    queue.push(bytes);
    queue.start = this.machine.receive(queue.buffer, queue.start, queue.end, now);
  }

  /** The link ends here. */
  cut(error?: Error): void {
    this.machine.linkEnded(error, this.#input.length > 0);
  }

  newCall(...call: NewCall): RunningCall {
    const events = {
      begin: (call: RunningCall) => {
        this.calls.push(call);
        this.log.push("request");
      },
      cancel: () => this.log.push("cancel"),
    };
    return new TestRunning(events, call);
  }

  onLimit(limit: LimitName, whose: Initiator): void {
    this.#tell(`limit ${limit} ${whose}`);
  }

  onHello(hello: Hello): void {
    this.#tell("hello");
    this.hello = hello;
  }

  onOpen(_limits: WireLimits, welcome: Welcome | undefined): void {
    this.#tell("open");
    this.welcome = welcome;
  }

  onMessage(topic: string, payload: Bytes, cost: number): boolean {
    this.#tell("message");
    this.got.push({ topic, payload, cost });
    return false;
  }

  onDropped(): void {
    this.#tell("dropped");
  }

  onWritten(count: number): void {
    for (; count > 0; count--) this.#tell("written");
  }

  onUnsendable(): void {
    this.#tell("unsendable");
  }

  onPong(_opaque: number, roundTrip: number): void {
    this.#tell(`pong ${roundTrip}`);
  }

  onGoaway(retryAfter: number): void {
    this.#tell(`goaway ${retryAfter}`);
  }

  onEnd(end: SessionEnd): void {
    this.#tell(`end ${end.code}`);
    this.ends.push(end);
  }

  #tell(what: string): void {
    assertEquals(this.ends.length, 0, `The ${this.side} told ${what} after its end`);
    this.log.push(what);
  }
}

/** Two ends. Bytes wait in the pipe until they are delivered. */
export class MachinePair {
  readonly client: MachineEnd;
  readonly server: MachineEnd;
  now = 0;
  readonly #pipes: Record<Side, Bytes[]> = { client: [], server: [] };

  constructor(options: Partial<Omit<EndOptions, "side">> = {}) {
    this.client = new MachineEnd({ ...options, side: "client" });
    this.server = new MachineEnd({ ...options, side: "server" });
  }

  /** A pair whose session is open. */
  static open(options: Partial<Omit<EndOptions, "side">> = {}): MachinePair {
    const pair = new MachinePair(options);
    pair.client.greet();
    pair.settle();
    pair.server.admit();
    pair.settle();
    assertEquals([pair.client.machine.open, pair.server.machine.open], [true, true]);
    return pair;
  }

  /** Bytes on their way to an end. */
  waiting(to: Side): number {
    return this.#pipes[to].reduce((sum, { length }) => sum + length, 0);
  }

  /** Takes what an end has to write into the pipe; tells how much it was. */
  flush(from: MachineEnd): number {
    const bytes = from.output(this.now);
    if (bytes.length === 0) return 0;
    this.#pipes[from.side === "client" ? "server" : "client"].push(bytes);
    from.machine.wrote(this.now);
    return bytes.length;
  }

  /** Delivers up to so many bytes to an end, as one read. */
  deliver(to: MachineEnd, most = Infinity): void {
    const pipe = this.#pipes[to.side];
    const [first] = pipe;
    if (first === undefined) return;
    const count = Math.min(most, first.length);
    if (count === first.length) pipe.shift();
    else pipe[0] = first.subarray(count);
    to.input(first.subarray(0, count), this.now);
  }

  /** Writes and delivers until nothing is left to do at this instant. */
  settle(): void {
    let turns = 0;
    for (let busy = true; busy;) {
      assert(++turns < 10_000, "The two ends must come to rest");
      busy = false;
      for (const [from, to] of [[this.client, this.server], [this.server, this.client]] as const) {
        if (this.flush(from) > 0 || this.waiting(to.side) > 0) busy = true;
        while (this.waiting(to.side) > 0) this.deliver(to);
      }
    }
  }

  /** Lets time pass to the next wake-up of either end, `most` ms at most, and wakes them. */
  tick(most: number): void {
    const ends = [this.client, this.server];
    const next = Math.min(...ends.map(({ machine }) => machine.nextTimeout()));
    this.now = Math.max(this.now, Math.min(this.now + most, next));
    for (const { machine, side } of ends) {
      if (machine.nextTimeout() > this.now) continue;
      machine.handleTimeout(this.now);
      const again = machine.nextTimeout();
      assert(again > this.now, `The ${side} would spin: at ${this.now} it is due at ${again}`);
    }
  }

  /** Lets time pass, writing and delivering at once whatever there is. */
  advance(ms: number): void {
    const end = this.now + ms;
    while (this.now < end) {
      this.tick(end - this.now);
      this.settle();
    }
  }
}
