/**
 * The calls that the application makes: their promises, deadlines and signals.
 *
 * Owns what a caller knows of its call. What the other end knows is the session's business.
 *
 * 1. Each call settles exactly once, whatever comes first: answer, deadline, signal, the session's end.
 * 2. `executed` is never wrong: "no" only for what was not written, or what the other end says so of.
 * 3. A call that was never written outlives its session, within its deadline.
 * 4. An input that does not fit the contract is never written. One whose check takes time keeps its
 *    call from being written for so long, and what it is then is what was given.
 */
import type { Clock } from "../base/types.ts";
import { type Executed, RpcError, type RpcErrorOptions } from "../base/errors.ts";
import {
  type Body,
  isPending,
  type MethodBodies,
  type Misfit,
  type Verdict,
} from "../contract/bodies.ts";
import { type PendingCall, RequestLane } from "../session/calls.ts";
import type { CallMachine } from "../session/call_machine.ts";
import type { RpcCode } from "../base/errors.ts";
import { metadataSize } from "../wire/metadata.ts";
import { misfitError } from "./bodies.ts";
import type { CallOptions, CallStream } from "./call_options.ts";
import type { Interception } from "./interceptors.ts";
import type { AnySerializer } from "./owner.ts";
import type { AnyPeer } from "./peer.ts";
import { DeadlineSweep } from "./deadline_sweep.ts";
import { checkName } from "./names.ts";
import type { Counters } from "./stats.ts";
import { type Along, type CallHost, OutgoingCall } from "./pending.ts";
import { StreamCall } from "./stream_call.ts";

/** What the calls of a peer need of it. */
export interface OutgoingHost {
  readonly clock: Clock;
  readonly serializer: AnySerializer;
  /** What stands between the application and its calls. */
  readonly interception: Interception;
  /** The peer as the application knows it. */
  peer(): AnyPeer;
  readonly counters: Pick<Counters, "callsOut" | "limit">;
  /** How long a call may take that does not say, in ms. */
  readonly callTimeout: number;
  /** Calls that may wait, and bytes. */
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
  /** The calls of the open session. */
  machine(): CallMachine | undefined;
  /** Sends what the machine has to say. */
  wake(): void;
  /** The next place in the order of everything that is sent. */
  nextOrder(): number;
  /** Why no call can be made now. `nested`: it is made for one that is being answered. */
  callRefusal(nested: boolean): string | undefined;
  /** A call has ended. */
  settled(): void;
}

/** Longer than this no call waits, in ms: what travels is a u32, and 24 days are for ever. */
const LONGEST = 2 ** 31 - 1;
const IDLE_TIMEOUT = 30_000;
const NOTHING = new Uint8Array(0);
const NONE: CallOptions & Upload = {};
/** Whether a call ran that is given up now. A settled one was answered, and its answer is being checked. */
const FATES = { waiting: "no", written: "maybe", settled: "yes" } as const;
const PARENT_ENDED = "The call that this one was made for has ended";

/** The calls of one peer. */
export class OutgoingCalls implements CallHost {
  /** Calls that wait to be written. */
  readonly lane = new RequestLane();
  readonly #host: OutgoingHost;
  readonly #deadlines: DeadlineSweep;
  /** How many there are whose callers wait. */
  #size = 0;
  /** Calls whose input is still being checked. They are not in the lane. */
  readonly #unchecked = new Set<OutgoingCall>();
  #uncheckedBytes = 0;
  /** Calls whose answer is still being checked. The session has forgotten them. */
  #answered: Set<OutgoingCall> | undefined;
  #now: number | undefined;
  readonly #forgetNow = () => {
    this.#now = undefined;
  };

  constructor(host: OutgoingHost) {
    this.#host = host;
    this.#deadlines = new DeadlineSweep(host.clock, (now) => this.#sweep(now));
  }

  /** Calls whose callers wait. */
  get size(): number {
    return this.#size;
  }

  call(method: string, input: unknown, options: CallOptions & Upload = NONE): Promise<unknown> {
    const { interception } = this.#host;
    if (interception.call === undefined) return this.#call(method, input, options);
    try {
      const call = { ...options, method, input, peer: this.#host.peer() };
      return interception.call(call, (call) => this.#call(call.method, call.input, call));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  stream(method: string, input: unknown, options: CallOptions & Upload = {}): CallStream<unknown> {
    const { interception } = this.#host;
    if (interception.stream === undefined) return this.#stream(method, input, options);
    const call = { ...options, method, input, peer: this.#host.peer() };
    return interception.stream(call, (call) => this.#stream(call.method, call.input, call));
  }

  #call(method: string, input: unknown, options: CallOptions & Upload): Promise<unknown> {
    const { timeout = this.#host.callTimeout, metadata } = options;
    try {
      const bodies = this.#bodies(method, options, timeout);
      const answer = answerOf(method, bodies, "output", options);
      const verdict = bodies.input.check?.(input);
      const payload = fits(verdict) ? bodies.input.encode(input) : NOTHING;
      const deadline = this.#deadline(options, timeout);
      const along = alongOf(bodies, options);
      const call = new OutgoingCall(this, method, payload, metadata, deadline, answer, along);
      const refusal = this.#refusal(call, options, verdict);
      if (refusal !== undefined) return Promise.reject(refusal.reason);
      const promise = call.promise();
      this.#start(call, options, verdict);
      return promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #stream(method: string, input: unknown, options: CallOptions & Upload): CallStream<unknown> {
    const { timeout = Infinity, idleTimeout = IDLE_TIMEOUT, metadata } = options;
    if (!(idleTimeout > 0)) {
      throw new RangeError(
        `Cannot call '${method}' as 'idleTimeout' must be more than 0 ms: current value is ${idleTimeout}`,
      );
    }
    const bodies = this.#bodies(method, options, timeout);
    const item = answerOf(method, bodies, "yields", options);
    const verdict = bodies.input.check?.(input);
    const payload = fits(verdict) ? bodies.input.encode(input) : NOTHING;
    const deadline = this.#deadline(options, timeout);
    const along = alongOf(bodies, options);
    const stream = new StreamCall(
      this,
      method,
      payload,
      metadata,
      deadline,
      item,
      along,
      idleTimeout,
    );
    const { call } = stream;
    const refusal = this.#refusal(call, options, verdict);
    if (refusal === undefined) this.#start(call, options, verdict);
    else call.refused(refusal.reason);
    return stream;
  }

  /** The peer is over: what was never written will not be. */
  end(reason: string): void {
    this.#deadlines.clear();
    for (const call of this.#open()) {
      const executed = FATES[call.state];
      this.#drop(call);
      call.giveUp(rpcError("UNAVAILABLE", reason, executed));
    }
  }

  // ── CallHost ──

  get serializer(): AnySerializer {
    return this.#host.serializer;
  }

  /** The present instant, read once for what happens in one turn. */
  now(): number {
    if (this.#now === undefined) {
      this.#now = this.#host.clock.now();
      queueMicrotask(this.#forgetNow);
    }
    return this.#now;
  }

  machine(): CallMachine | undefined {
    return this.#host.machine();
  }

  wake(): void {
    this.#host.wake();
  }

  nextOrder(): number {
    return this.#host.nextOrder();
  }

  /** The caller knows the fate of its call. */
  forget(call: OutgoingCall): void {
    this.#size--;
    this.#answered?.delete(call);
    this.#host.settled();
  }

  /** An answer has come, and its check takes time. */
  checking(call: OutgoingCall): void {
    (this.#answered ??= new Set()).add(call);
  }

  /** A call's deadline has come nearer. */
  hurry(call: OutgoingCall): void {
    if (!call.over) this.#deadlines.heed(call.deadlineAt);
  }

  /** The caller gives up: the other end is told, if it knows of the call. */
  abandon(call: OutgoingCall, code: RpcCode): Executed {
    const executed = FATES[call.state];
    if (call.state === "waiting") this.#drop(call);
    if (call.state !== "written") return executed;
    this.#host.machine()?.caller.cancel(call, code);
    this.#host.wake();
    return executed;
  }

  // ── private ──

  /** What the method takes and gives. @throws where the call cannot be one */
  #bodies(method: string, { metadata, deadline }: CallOptions, timeout: number): MethodBodies {
    checkName("method", method);
    // Throws where a name or a value may not travel.
    metadataSize(metadata);
    if (Number.isNaN(timeout) || Number.isNaN(deadline)) {
      throw new RangeError(
        `Cannot call '${method}' as 'timeout' and 'deadline' must be numbers of ms: current values are ${timeout} and ${deadline}`,
      );
    }
    const bodies = this.serializer.remote.method(method);
    if (bodies !== undefined) return bodies;
    throw new TypeError(`Cannot call '${method}' as the contract has no such method`);
  }

  /** When the caller gives up. */
  #deadline({ deadline = Infinity, parent }: CallOptions, timeout: number): number {
    // A whole number is no object of its own, and rounded up never early.
    const limit = timeout === Infinity
      ? Infinity
      : Math.ceil(this.now() + Math.min(timeout, LONGEST));
    return Math.min(limit, deadline, parent?.deadline ?? Infinity);
  }

  /** Why the call is not even begun. */
  #refusal(
    { deadline, payload, method }: PendingCall,
    { signal, parent }: CallOptions,
    verdict: Checked,
  ): { readonly reason: unknown } | undefined {
    const { maxWaiting, maxWaitingBytes, counters } = this.#host;
    if (signal?.aborted) return { reason: signal.reason };
    if (parent?.signal.aborted) return refused("CANCELLED", PARENT_ENDED);
    if (!fits(verdict)) return { reason: unfit(method, verdict) };
    const closed = this.#host.callRefusal(parent !== undefined);
    if (closed !== undefined) return refused("UNAVAILABLE", closed);
    if (deadline <= this.now()) {
      return refused("DEADLINE_EXCEEDED", `Cannot call '${method}' as its time is over already`);
    }
    const { lane } = this;
    const calls = this.machine();
    // What can be written as soon as this turn ends does not wait.
    const waiting = lane.size + this.#unchecked.size - (calls?.caller.room ?? 0);
    // A call on behalf of another must not wait for a place: two ends that wait for each other would.
    const crowded = parent !== undefined && calls !== undefined && waiting >= 0;
    const bytes = lane.bytes + this.#uncheckedBytes;
    const many = crowded || waiting >= maxWaiting;
    const full = bytes > 0 && bytes + payload.length > maxWaitingBytes;
    if (!many && !full) return undefined;
    counters.limit(many ? "maxInFlight" : "maxQueuedBytes");
    return refused("RESOURCE_EXHAUSTED", `Cannot call '${method}' as too many calls wait already`);
  }

  #start(
    call: OutgoingCall,
    { signal, parent }: CallOptions,
    verdict: Checked,
  ): void {
    if (signal !== undefined) call.endWith(signal, reasonOf);
    if (parent !== undefined) call.endWith(parent.signal, parentEnded);
    this.#host.counters.callsOut++;
    this.#size++;
    this.#deadlines.heed(call.deadlineAt);
    if (isPending(verdict)) return this.#hold(call, verdict);
    this.lane.push(call);
    this.#host.wake();
  }

  /** The call waits for the check of its input, within its own deadline. */
  #hold(call: OutgoingCall, verdict: Promise<Verdict>): void {
    this.#unchecked.add(call);
    this.#uncheckedBytes += call.payload.length;
    verdict.then((verdict) => {
      // It was given up meanwhile.
      if (!this.#release(call)) return;
      if (verdict.issues === undefined) {
        this.lane.push(call);
      } else {
        call.state = "settled";
        call.giveUp(unfit(call.method, verdict));
      }
      this.#host.wake();
    });
  }

  #release(call: OutgoingCall): boolean {
    if (!this.#unchecked.delete(call)) return false;
    this.#uncheckedBytes -= call.payload.length;
    return true;
  }

  /** A call that was not written never will be. */
  #drop(call: OutgoingCall): void {
    if (this.#release(call)) call.state = "settled";
    else this.lane.giveUp(call);
  }

  /** Those whose callers wait. */
  #open(): OutgoingCall[] {
    const calls = [
      ...this.lane.calls,
      ...this.#unchecked,
      ...this.machine()?.caller.written ?? [],
      ...this.#answered ?? [],
    ];
    return calls.filter((call) => call instanceof OutgoingCall).filter(({ over }) => !over);
  }

  /** Ends the calls that are due; tells when the next one is. */
  #sweep(now: number): number {
    let next = Infinity;
    for (const call of this.#open()) {
      if (call.deadlineAt <= now) this.#expire(call);
      else next = Math.min(next, call.deadlineAt);
    }
    return next;
  }

  #expire(call: OutgoingCall): void {
    const executed = this.abandon(call, "DEADLINE_EXCEEDED");
    const message = `The call of '${call.method}' took too long`;
    call.giveUp(rpcError("DEADLINE_EXCEEDED", message, executed));
  }
}

/** What the check of an input has found; `undefined`: there is none. */
type Checked = Verdict | Promise<Verdict> | undefined;

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

function unfit(method: string, misfit: Misfit): RpcError {
  const what = `The input of '${method}'`;
  return misfitError("INVALID_ARGUMENT", what, misfit, { initiator: "local", executed: "no" });
}

/** Whether an input may be sent, as far as is known. */
function fits(verdict: Checked): verdict is Exclude<Checked, Misfit> {
  return verdict === undefined || isPending(verdict) || verdict.issues === undefined;
}

function reasonOf(signal: AbortSignal): unknown {
  return signal.reason;
}

function parentEnded(_signal: AbortSignal, executed: Executed): RpcError {
  return rpcError("CANCELLED", PARENT_ENDED, executed);
}

function refused(code: RpcCode, why: string): { readonly reason: unknown } {
  return { reason: rpcError(code, why, "no") };
}

/** The body of what a method gives. @throws {TypeError} where it does not, or takes no stream */
function answerOf(
  method: string,
  bodies: MethodBodies,
  gives: "output" | "yields",
  { stream }: Upload,
): Body {
  const answer = bodies[gives];
  if (answer !== undefined && (stream === undefined || bodies.stream !== undefined)) return answer;
  if (answer !== undefined) {
    throw new TypeError(`Cannot call '${method}' as it takes no stream: one was given`);
  }
  const use = gives === "output" ? "gives items: use stream()" : "gives one value: use call()";
  throw new TypeError(`Cannot call '${method}' as it ${use}`);
}

function alongOf({ stream: body }: MethodBodies, { stream: source }: Upload): Along | undefined {
  return body === undefined || source === undefined ? undefined : { source, body };
}
