/**
 * The calls that the application makes: their promises, deadlines and signals.
 *
 * Owns what a caller knows of its call. What the other end knows is the session's business.
 *
 * 1. Each call settles exactly once, whatever comes first: answer, deadline, signal, the session's end.
 * 2. `executed` is never wrong: "no" only for what was not written, or what the other end says so of.
 * 3. A call that was never written outlives its session, within its deadline.
 */
import type { Clock } from "../base/types.ts";
import { type Executed, RpcError, type RpcErrorOptions } from "../base/errors.ts";
import { type CallInit, type PendingCall, RequestLane } from "../session/calls.ts";
import type { CallMachine } from "../session/call_machine.ts";
import type { RpcCode } from "../base/errors.ts";
import { metadataSize } from "../wire/metadata.ts";
import type { CallOptions, CallStream } from "./call_options.ts";
import type { AnySerializer } from "./owner.ts";
import { DeadlineTimer } from "./deadline_timer.ts";
import { checkName } from "./names.ts";
import { type CallHost, StreamCall, UnaryCall } from "./pending.ts";

/** What the calls of a peer need of it. */
export interface OutgoingOptions {
  readonly clock: Clock;
  readonly serializer: AnySerializer;
  /** How long a call may take that does not say, in ms. */
  readonly callTimeout: number;
  /** Calls that may wait, and bytes. */
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
  /** The calls of the open session. */
  readonly machine: () => CallMachine | undefined;
  /** Sends what the machine has to say. */
  readonly wake: () => void;
  /** The next place in the order of everything that is sent. */
  readonly nextOrder: () => number;
  /** Why no call can be made now. `nested`: it is made for one that is being answered. */
  readonly refusal: (nested: boolean) => string | undefined;
  /** A call was made. */
  readonly counted: () => void;
  /** A call has ended. */
  readonly settled: () => void;
}

/** Longer than this no call waits, in ms: what travels is a u32, and 24 days are for ever. */
const LONGEST = 2 ** 31 - 1;
const IDLE_TIMEOUT = 30_000;
const PARENT_ENDED = "The call that this one was made for has ended";

/** The calls of one peer. */
export class OutgoingCalls implements CallHost {
  /** Calls that wait to be written. */
  readonly lane = new RequestLane();
  readonly #options: OutgoingOptions;
  readonly #deadlines: DeadlineTimer<PendingCall>;
  #now: number | undefined;

  constructor(options: OutgoingOptions) {
    this.#options = options;
    this.#deadlines = new DeadlineTimer(options.clock, (call) => this.#expire(call));
  }

  /** Calls whose callers wait. */
  get size(): number {
    return this.#deadlines.size;
  }

  call(method: string, input: unknown, options: CallOptions & Upload = {}): Promise<unknown> {
    const { timeout = this.#options.callTimeout } = options;
    let init: CallInit;
    try {
      init = this.#init(method, input, options, timeout);
    } catch (error) {
      return Promise.reject(error);
    }
    const refusal = this.#refusal(init, options);
    if (refusal !== undefined) return Promise.reject(refusal.reason);
    return new Promise((resolve, reject) => {
      this.#start(new UnaryCall(init, this, resolve, reject, options.stream), options);
    });
  }

  stream(method: string, input: unknown, options: CallOptions & Upload = {}): CallStream<unknown> {
    const { timeout = Infinity, idleTimeout = IDLE_TIMEOUT } = options;
    if (!(idleTimeout > 0)) {
      throw new RangeError(
        `Cannot call '${method}' as 'idleTimeout' must be more than 0 ms: current value is ${idleTimeout}`,
      );
    }
    const init = this.#init(method, input, options, timeout);
    const call = new StreamCall(init, this, idleTimeout, options.stream);
    const refusal = this.#refusal(init, options);
    if (refusal === undefined) this.#start(call, options);
    else call.giveUp(refusal.reason);
    return call;
  }

  /** The peer is over: what was never written will not be. */
  end(reason: string): void {
    for (const call of this.#deadlines.clear()) {
      const executed = call.state === "waiting" ? "no" : "maybe";
      this.lane.giveUp(call);
      this.settle(call, rpcError("UNAVAILABLE", reason, executed));
    }
  }

  // ── CallHost ──

  get serializer(): AnySerializer {
    return this.#options.serializer;
  }

  /** The present instant, read once for what happens in one turn. */
  now(): number {
    if (this.#now === undefined) {
      this.#now = this.#options.clock.now();
      queueMicrotask(() => this.#now = undefined);
    }
    return this.#now;
  }

  machine(): CallMachine | undefined {
    return this.#options.machine();
  }

  wake(): void {
    this.#options.wake();
  }

  /** The caller knows the fate of its call. */
  forget(call: PendingCall): void {
    this.#deadlines.delete(call);
    this.#options.settled();
  }

  /** A call's deadline has come nearer. */
  hurry(call: PendingCall): void {
    if (call.place < 0) return;
    this.#deadlines.add(call);
  }

  /** The caller gives up: the other end is told, if it knows of the call. */
  abandon(call: PendingCall, code: RpcCode): Executed {
    this.forget(call);
    if (call.state === "waiting") {
      this.lane.giveUp(call);
      return "no";
    }
    this.#options.machine()?.caller.cancel(call, code);
    this.#options.wake();
    return "maybe";
  }

  // ── private ──

  #init(method: string, input: unknown, options: CallOptions & Upload, timeout: number): CallInit {
    checkName("method", method);
    // Throws where a name or a value may not travel.
    metadataSize(options.metadata);
    const { deadline = Infinity, parent } = options;
    if (Number.isNaN(timeout) || Number.isNaN(deadline)) {
      throw new RangeError(
        `Cannot call '${method}' as 'timeout' and 'deadline' must be numbers of ms: current values are ${timeout} and ${deadline}`,
      );
    }
    const limit = timeout === Infinity ? Infinity : this.now() + Math.min(timeout, LONGEST);
    return {
      method,
      payload: input === undefined ? new Uint8Array(0) : this.serializer.serialize(input),
      metadata: options.metadata,
      upload: options.stream !== undefined,
      order: this.#options.nextOrder(),
      deadline: Math.min(limit, deadline, parent?.deadline ?? Infinity),
    };
  }

  /** Why the call is not even begun. */
  #refusal(
    { deadline, payload, method }: CallInit,
    { signal, parent }: CallOptions,
  ): { readonly reason: unknown } | undefined {
    const refused = (code: RpcCode, why: string) => ({ reason: rpcError(code, why, "no") });
    const { refusal, maxWaiting, maxWaitingBytes, machine } = this.#options;
    if (signal?.aborted) return { reason: signal.reason };
    if (parent?.signal.aborted) return refused("CANCELLED", PARENT_ENDED);
    const closed = refusal(parent !== undefined);
    if (closed !== undefined) return refused("UNAVAILABLE", closed);
    if (deadline <= this.now()) {
      return refused("DEADLINE_EXCEEDED", `Cannot call '${method}' as its time is over already`);
    }
    const { lane } = this;
    const calls = machine();
    // What can be written as soon as this turn ends does not wait.
    const waiting = lane.size - (calls?.caller.room ?? 0);
    // A call on behalf of another must not wait for a place: two ends that wait for each other would.
    const crowded = parent !== undefined && calls !== undefined && waiting >= 0;
    const full = waiting >= maxWaiting ||
      (lane.bytes > 0 && lane.bytes + payload.length > maxWaitingBytes);
    if (!crowded && !full) return undefined;
    return refused("RESOURCE_EXHAUSTED", `Cannot call '${method}' as too many calls wait already`);
  }

  #start(call: UnaryCall | StreamCall, { signal, parent }: CallOptions): void {
    if (signal !== undefined) call.endWith(signal, () => signal.reason);
    if (parent !== undefined) {
      const { signal } = parent;
      call.endWith(signal, (executed) => rpcError("CANCELLED", PARENT_ENDED, executed));
    }
    this.#options.counted();
    this.#deadlines.add(call);
    this.lane.push(call);
    this.#options.wake();
  }

  settle(call: PendingCall, error: RpcError): void {
    if (call instanceof UnaryCall || call instanceof StreamCall) call.giveUp(error);
  }

  #expire(call: PendingCall): void {
    const executed = this.abandon(call, "DEADLINE_EXCEEDED");
    const message = `The call of '${call.method}' took too long`;
    this.settle(call, rpcError("DEADLINE_EXCEEDED", message, executed));
  }
}

/** What a caller may send along. */
export interface Upload {
  readonly stream?: AsyncIterable<unknown> | Iterable<unknown> | ReadableStream<unknown>;
}

/** An error that this end gives a caller. */
export function rpcError(
  code: RpcCode,
  message: string,
  executed: Executed,
  more: RpcErrorOptions = {},
): RpcError {
  return new RpcError(code, message, { initiator: "local", ...more, executed });
}
