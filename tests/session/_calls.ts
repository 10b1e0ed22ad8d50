/**
 * Two call machines and what is on its way between them, driven by hand: no session, no link, no promise.
 *
 * Owns the instant and the bytes. What a machine tells is written down.
 */
import type { LimitName, RpcCode } from "../../src/base/errors.ts";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { Bytes, Initiator, Side } from "../../src/base/types.ts";
import { CallMachine } from "../../src/session/call_machine.ts";
import {
  type CallEvents,
  type PendingCall,
  problem,
  RequestLane,
  type RunningCall,
} from "../../src/session/calls.ts";
import type { ReceiveFlow, SendFlow } from "../../src/session/flows.ts";
import { SendCount } from "../../src/session/numbering.ts";
import type { ErrorHead } from "../../src/wire/call.ts";
import { FrameReader } from "../../src/wire/frame.ts";
import type { WireLimits } from "../../src/wire/handshake.ts";
import type { Metadata } from "../../src/wire/metadata.ts";
import { type NewCall, TestRunning } from "../_support/running_call.ts";

/** Limits as they are by default. */
export const LIMITS: WireLimits = {
  maxFrame: 262_144,
  maxMessage: 16_777_216,
  recvBytes: 1_048_576,
  maxCalls: 1_024,
  maxStreams: 64,
  streamBytes: 262_144,
  maxMetadata: 16_384,
  heartbeatMs: 0,
  ttlMs: 0,
  features: 0,
};

/** What a call is made with; all that is left out has a value of its own. */
export interface CallInit {
  readonly method?: string;
  readonly payload?: Uint8Array;
  readonly metadata?: Metadata;
  readonly upload?: boolean;
  readonly deadline?: number;
}

/** A call that writes down what it is told. */
export class TestCall implements PendingCall {
  id = 0;
  count = 0;
  state: PendingCall["state"] = "waiting";
  sending: SendFlow | undefined;
  receiving: ReceiveFlow | undefined;
  readonly order = 0;
  readonly method: string;
  readonly payload: Uint8Array;
  readonly metadata: Metadata | undefined;
  readonly deadline: number;
  /** What it was told, in order. */
  readonly log: string[] = [];
  readonly answers: Bytes[] = [];
  readonly errors: ErrorHead[] = [];
  readonly details: Bytes[] = [];

  readonly upload: boolean;

  constructor(
    { method = "m", payload = new Uint8Array(0), metadata, upload = false, deadline = Infinity }:
      CallInit = {},
  ) {
    this.method = method;
    this.payload = payload;
    this.metadata = metadata;
    this.deadline = deadline;
    this.upload = upload;
  }

  responded(payload: Bytes): void {
    this.log.push("responded");
    this.answers.push(payload);
  }

  streaming(_flow: ReceiveFlow): void {
    this.log.push("streaming");
  }

  uploading(_flow: SendFlow): void {
    this.log.push("uploading");
  }

  failed(error: ErrorHead, detail: Bytes): void {
    this.log.push(`failed ${error.code}${error.notExecuted ? " not executed" : ""}`);
    this.errors.push(error);
    this.details.push(detail);
  }

  lost(): void {
    this.log.push("lost");
  }
}

/** A frame that was written. */
export interface Written {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly seq: number;
  readonly size: number;
}

/** What an end is made with. */
export interface EndOptions {
  readonly side: Side;
  /** What this end accepts. */
  readonly limits?: Partial<WireLimits>;
  /** What the other end accepts. */
  readonly remote?: Partial<WireLimits>;
  readonly firstId?: number;
  readonly lastId?: number;
}

/** One machine. */
export class CallEnd implements CallEvents {
  readonly lane = new RequestLane();
  readonly machine: CallMachine;
  readonly side: Side;
  /** Requests that came and were not answered. */
  readonly requests: RunningCall[] = [];
  /** Ids that were asked for, and then what was cancelled. */
  readonly log: string[] = [];
  /** Limits that were met, and by whose doing. */
  readonly limits: string[] = [];
  readonly #out = new OutBuffer();

  constructor({ side, limits = {}, remote = {}, ...ids }: EndOptions) {
    this.side = side;
    const local = { ...LIMITS, ...limits };
    this.machine = new CallMachine(
      { side, local, remote: { ...LIMITS, ...remote }, lane: this.lane, ...ids },
      new SendCount(),
      this,
    );
  }

  /** Makes a call; it is written with the next output. */
  call(init: CallInit = {}): TestCall {
    const call = new TestCall(init);
    this.lane.push(call);
    return call;
  }

  /** The request that came first and was not answered. */
  next(): RunningCall {
    const call = this.requests.shift();
    if (call === undefined) throw new Error(`The ${this.side} must have been called: ${this.log}`);
    return call;
  }

  /** Answers the next request; tells which it was. */
  answer(payload: Uint8Array = new Uint8Array(0)): RunningCall {
    const call = this.next();
    this.machine.callee.respond(call, payload);
    return call;
  }

  /** Fails the next request. */
  refuse(code: RpcCode = "ABORTED", detail: Uint8Array = new Uint8Array(0)): RunningCall {
    const call = this.next();
    this.machine.callee.fail(call, problem(code, "No"), detail);
    return call;
  }

  /** What one turn writes: small frames, calls, pieces of what is large, as a session does it. */
  output(now = 0, size = 65_536): Bytes {
    const out = this.#out;
    this.machine.writeSmall(out, size);
    this.machine.caller.write(out, size, now);
    while (this.machine.output.writeBulk(out) && out.length < size);
    const bytes = out.toBytes();
    out.reset();
    return bytes;
  }

  newCall(...call: NewCall): RunningCall {
    const events = {
      begin: (call: RunningCall) => {
        this.log.push(`request ${call.id}`);
        this.requests.push(call);
      },
      cancel: (call: RunningCall, code: RpcCode) => {
        this.log.push(`cancel ${call.id} ${code}`);
      },
    };
    return new TestRunning(events, call);
  }

  onLimit(limit: LimitName, whose: Initiator): void {
    this.limits.push(`${limit} ${whose}`);
  }
}

/** Two ends. */
export class CallPair {
  readonly client: CallEnd;
  readonly server: CallEnd;
  now = 0;

  /** What each end accepts; where ids begin. */
  constructor(
    options: {
      readonly client?: Partial<WireLimits>;
      readonly server?: Partial<WireLimits>;
      readonly firstId?: number;
      readonly lastId?: number;
    } = {},
  ) {
    const { client = {}, server = {}, ...ids } = options;
    this.client = new CallEnd({ side: "client", limits: client, remote: server, ...ids });
    this.server = new CallEnd({ side: "server", limits: server, remote: client, ...ids });
  }

  /** Carries what one end writes in one turn to the other; tells the frames. */
  carry(from: CallEnd): Written[] {
    const to = from === this.client ? this.server : this.client;
    return feed(to, from.output(this.now), this.now);
  }

  /** Carries until neither end writes anything. */
  settle(): void {
    while (this.carry(this.client).length + this.carry(this.server).length > 0);
  }
}

/** Hands frames to an end; tells which they were. */
export function feed(to: CallEnd, bytes: Bytes, now = 0): Written[] {
  const frames = cut(bytes, to.side === "client" ? "server" : "client");
  const reader = new FrameReader(
    {
      onFrame: (type, flags, aux, id, _seq, buffer, start, end) =>
        to.machine.frame(type, flags, aux, id, buffer, start, end, now),
    },
    to.side === "client" ? "server" : "client",
    LIMITS.maxFrame,
  );
  reader.read(bytes, 0, bytes.length);
  return frames;
}

/** The frames in what an end of this side wrote. */
export function cut(bytes: Bytes, from: Side): Written[] {
  const frames: Written[] = [];
  const reader = new FrameReader(
    {
      onFrame: (type, flags, _aux, id, seq, _buffer, start, end) =>
        frames.push({ type, flags, id, seq, size: end - start }),
    },
    from,
    LIMITS.maxFrame,
  );
  reader.read(bytes, 0, bytes.length);
  return frames;
}

/** What an encoder writes, with rising numbers. */
export function encoded(write: (out: OutBuffer) => void): Bytes {
  const out = new OutBuffer();
  write(out);
  return out.toBytes();
}
