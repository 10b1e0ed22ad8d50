/**
 * The calls that the other end makes: finds the handler, runs it, and sends what it gives.
 *
 * 1. A handler is tried synchronously; only one that returns a promise or items costs more.
 * 2. What a handler throws reaches the caller only if it is an `RpcError`: other errors may say what
 *    is none of the caller's business. They go to the one who watches the server.
 * 3. A handler's signal fires once, when its answer is of no use any more.
 */
import type { Clock } from "../base/types.ts";
import { type RpcCode, RpcError } from "../base/errors.ts";
import { isPromiseLike } from "../base/resolved.ts";
import { problem, type RunningCall } from "../session/calls.ts";
import type { CallMachine } from "../session/call_machine.ts";
import { readBody } from "./bodies.ts";
import type { AnyHandler, CallContext } from "./call_options.ts";
import { DeadlineTimer } from "./deadline_timer.ts";
import { ItemQueue } from "./item_queue.ts";
import type { AnySerializer } from "./owner.ts";
import type { AnyPeer } from "./peer.ts";
import { leave, pump } from "./pump.ts";

/** What the answering half of a peer needs of it. */
export interface IncomingOptions {
  readonly clock: Clock;
  readonly serializer: AnySerializer;
  /** The handler of a method. */
  readonly handler: (method: string) => AnyHandler | undefined;
  /** The peer as the application knows it. */
  readonly peer: () => AnyPeer;
  /** Whether a call is still taken. */
  readonly taken: () => boolean;
  /** The calls of the session that a call came on. */
  readonly machine: () => CallMachine | undefined;
  readonly wake: () => void;
  readonly report: (error: unknown) => void;
  /** A call has ended. */
  readonly settled: () => void;
}

/** The clock is read for every so manieth call: reading it costs a tenth of a call. */
const CLOCK_EVERY = 16;
const NOTHING = new Uint8Array(0);
const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({});

/** The answering half of a peer. */
export class IncomingCalls {
  readonly #options: IncomingOptions;
  readonly #deadlines: DeadlineTimer<RunningCall>;
  #begun = 0;
  #now = -Infinity;

  constructor(options: IncomingOptions) {
    this.#options = options;
    this.#deadlines = new DeadlineTimer(options.clock, (call) => this.#expire(call));
  }

  /** A call came. */
  begin(call: RunningCall): void {
    const { handler: find, serializer, taken, machine, clock } = this.#options;
    const calls = machine();
    if (calls === undefined) return;
    const refuse = (code: RpcCode, message: string) =>
      calls.callee.fail(call, problem(code, message, true), NOTHING);
    if (!taken()) return refuse("UNAVAILABLE", "The peer is closing");
    const handler = find(call.method);
    if (handler === undefined) {
      return refuse("UNIMPLEMENTED", `There is no method '${call.method}'`);
    }
    // What has waited behind slow handlers may be too late to begin.
    if (++this.#begun % CLOCK_EVERY === 0) this.#now = clock.now();
    if (call.deadlineAt <= this.#now) {
      return refuse("DEADLINE_EXCEEDED", "There was no time to begin");
    }
    let input: unknown;
    try {
      input = readBody(serializer, call.payload);
    } catch {
      return refuse("INVALID_ARGUMENT", "The input cannot be read");
    }
    const context = new Context(call, calls, this.#options);
    try {
      const result = handler(input, context);
      if (isPromiseLike(result)) this.#wait(call, calls, context, result);
      else this.#answer(call, calls, context, result);
    } catch (error) {
      this.#threw(call, calls, error, context);
    }
  }

  /** The caller has no use for an answer any more. */
  cancel(call: RunningCall, code: RpcCode): void {
    this.#deadlines.delete(call);
    if (call.running === undefined) return;
    const lost = code === "UNAVAILABLE";
    call.running.abort(
      new RpcError(code, lost ? "The session ended" : "The caller cancelled", {
        initiator: "remote",
      }),
    );
  }

  /** The peer is over. */
  end(): void {
    this.#deadlines.clear();
  }

  #wait(
    call: RunningCall,
    calls: CallMachine,
    context: Context,
    result: PromiseLike<unknown>,
  ): void {
    this.#keep(call, context);
    Promise.resolve(result).then(
      (value) => {
        this.#answer(call, calls, context, value);
        this.#options.wake();
      },
      (error) => {
        this.#threw(call, calls, error, context);
        this.#options.wake();
      },
    );
  }

  #answer(call: RunningCall, calls: CallMachine, context: Context, value: unknown): void {
    let payload: Uint8Array;
    try {
      if (isAsyncIterable(value)) return this.#stream(call, calls, context, value);
      payload = value === undefined ? NOTHING : this.#options.serializer.serialize(value);
    } catch (error) {
      return this.#threw(call, calls, error, context);
    }
    calls.callee.respond(call, payload);
    this.#done(call, context);
  }

  #stream(
    call: RunningCall,
    calls: CallMachine,
    context: Context,
    items: AsyncIterable<unknown>,
  ): void {
    const flow = calls.callee.stream(call);
    if (flow === undefined) {
      leave(items);
      return this.#done(call, context);
    }
    this.#keep(call, context);
    const { serializer, wake } = this.#options;
    const pushed = () => {
      calls.pushed(flow);
      wake();
    };
    context.onAbort(() => {
      flow.stop();
      wake();
    });
    pump(items, flow, (item) => serializer.serialize(item), pushed).then(
      () => {
        if (context.aborted) this.#threw(call, calls, context.reason, context);
        else this.#done(call, context);
        wake();
      },
      (error) => {
        this.#threw(call, calls, error, context);
        wake();
      },
    );
    wake();
  }

  #threw(call: RunningCall, calls: CallMachine, error: unknown, context?: Context): void {
    try {
      if (error instanceof RpcError && (error.code !== "CANCELLED" || error !== context?.reason)) {
        this.#failWith(call, calls, error);
      } else if (context?.aborted || call.cancelled) {
        calls.callee.fail(call, problem("CANCELLED", "The caller cancelled"), NOTHING);
      } else {
        this.#failed(call, calls, error);
      }
    } catch (cause) {
      // What was thrown throws itself when it is looked at.
      this.#failed(call, calls, cause);
    }
    this.#done(call, context);
  }

  #failed(call: RunningCall, calls: CallMachine, error: unknown): void {
    calls.callee.fail(call, problem("INTERNAL", "The handler failed"), NOTHING);
    this.#options.report(error);
  }

  #failWith(call: RunningCall, calls: CallMachine, error: RpcError): void {
    const { code, message, retryable, data } = error;
    let detail: Uint8Array = NOTHING;
    try {
      if (data !== undefined) detail = this.#options.serializer.serialize(data);
    } catch (cause) {
      this.#options.report(cause);
    }
    const head = { ...problem(code, message), retryable };
    calls.callee.fail(call, head, detail);
  }

  #keep(call: RunningCall, context: Context): void {
    if (call.running !== undefined) return;
    call.running = context;
    if (call.cancelled || call.deadlineAt === Infinity) return;
    this.#deadlines.add(call);
  }

  #done(call: RunningCall, context: Context | undefined): void {
    this.#deadlines.delete(call);
    call.running = undefined;
    context?.finished();
    this.#options.settled();
  }

  #expire(call: RunningCall): void {
    const message = "The caller's time is over";
    call.running?.abort(new RpcError("DEADLINE_EXCEEDED", message, { initiator: "remote" }));
  }
}

/** What a handler gets. Its signal and its stream are made only if it asks for them. */
class Context implements CallContext<AnyPeer, unknown> {
  readonly #call: RunningCall;
  readonly #calls: CallMachine;
  readonly #options: IncomingOptions;
  #controller: AbortController | undefined;
  #reason: { readonly error: unknown } | undefined;
  #items: ItemQueue | undefined;
  #onAbort: (() => void) | undefined;

  constructor(call: RunningCall, calls: CallMachine, options: IncomingOptions) {
    this.#call = call;
    this.#calls = calls;
    this.#options = options;
  }

  get peer(): AnyPeer {
    return this.#options.peer();
  }

  get method(): string {
    return this.#call.method;
  }

  get deadline(): number {
    return this.#call.deadlineAt;
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.#call.metadata ?? NO_METADATA;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason.error);
    }
    return this.#controller.signal;
  }

  get stream(): AsyncIterable<unknown> {
    return this.#items ??= this.#makeStream();
  }

  /** Whether the signal has fired. */
  get aborted(): boolean {
    return this.#reason !== undefined;
  }

  /** Why. */
  get reason(): unknown {
    return this.#reason?.error;
  }

  /** The answer is of no use any more. */
  abort(error: unknown): void {
    if (this.#reason !== undefined) return;
    this.#reason = { error };
    this.#controller?.abort(error);
    this.#items?.fail(error);
    this.#onAbort?.();
  }

  /** Is called when the answer is of no use any more. */
  onAbort(run: () => void): void {
    this.#onAbort = run;
    if (this.#reason !== undefined) run();
  }

  /** The handler has ended: what still comes along is of no use. */
  finished(): void {
    const flow = this.#call.receiving;
    if (flow === undefined) return;
    if (this.#items === undefined) flow.discard();
    else this.#items.return();
  }

  #makeStream(): ItemQueue {
    const flow = this.#call.receiving;
    const queue = new ItemQueue({
      decode: (payload) => {
        try {
          return this.#options.serializer.deserialize(payload);
        } catch (cause) {
          throw new RpcError("INVALID_ARGUMENT", "An item cannot be read", { cause });
        }
      },
      consumed: (cost) => {
        if (flow === undefined) return;
        this.#calls.consumed(flow, cost);
        this.#options.wake();
      },
      waiting: () => {},
      left: () => {},
    });
    if (this.#reason !== undefined) queue.fail(this.#reason.error);
    else if (flow === undefined) queue.ended();
    else flow.to(queue);
    return queue;
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
