/**
 * The calls that the other end makes: finds the handler, runs it, and sends what it gives.
 *
 * 1. A handler is tried synchronously; only one that returns a promise or items costs more.
 * 2. What a handler throws reaches the caller only if it is an `RpcError`: other errors may say what
 *    is none of the caller's business. They go to the one who watches the server.
 * 3. A handler's signal fires once, when its answer is of no use any more.
 * 4. No handler gets an input that does not fit the contract, and no caller an answer that does not:
 *    what is wrong with the one is told the caller, what is wrong with the other only those who watch.
 */
import type { Clock } from "../base/types.ts";
import { type RpcCode, RpcError } from "../base/errors.ts";
import { isPromiseLike } from "../base/resolved.ts";
import { type Body, isPending, type Misfit, type Verdict } from "../contract/bodies.ts";
import { problem } from "../session/calls.ts";
import type { CallMachine } from "../session/call_machine.ts";
import { encodeChecked, type Encoded, misfitError, ownMistake, Unfit } from "./bodies.ts";
import type { AnyHandler } from "./call_options.ts";
import { DeadlineSweep } from "./deadline_sweep.ts";
import { type ContextHost, HandlerContext, type HandlerHost } from "./handler_context.ts";
import type { Interception } from "./interceptors.ts";
import type { AnySerializer } from "./owner.ts";
import type { AnyPeer } from "./peer.ts";
import { type Outcome, whenSettled } from "./promised.ts";
import { leave, pump } from "./pump.ts";

/** What the answering half of a peer needs of it. */
export interface IncomingHost extends ContextHost {
  readonly clock: Clock;
  readonly serializer: AnySerializer;
  /** What stands between a call and its handler. */
  readonly interception: Interception;
  /** Whether a call is still taken. */
  taken(): boolean;
  /** The calls of the session that a call came on. */
  machine(): CallMachine | undefined;
  /** A call has ended. */
  settled(): void;
}

/** Who knows the handlers. */
export interface Handlers {
  /** The handler of a method. */
  handler(method: string): AnyHandler | undefined;
}

/** The clock is read for every so manieth call: reading it costs a tenth of a call. */
const CLOCK_EVERY = 16;
const NOTHING = new Uint8Array(0);
const TOO_LATE = "The caller's time is over";

/** The answering half of a peer. */
export class IncomingCalls implements HandlerHost, Outcome {
  readonly #host: IncomingHost;
  readonly #handlers: Handlers;
  readonly #deadlines: DeadlineSweep;
  #begun = 0;
  #now = -Infinity;

  constructor(host: IncomingHost, handlers: Handlers) {
    this.#host = host;
    this.#handlers = handlers;
    this.#deadlines = new DeadlineSweep(host.clock, (now) => this.#sweep(now));
  }

  /** The peer is over. */
  end(): void {
    this.#deadlines.clear();
  }

  // ── HandlerHost ──

  begin(context: HandlerContext): void {
    const host = this.#host;
    const { method } = context;
    if (!host.taken()) return refuse(context, "UNAVAILABLE", "The peer is closing");
    const bodies = host.serializer.local.method(method);
    const handler = bodies && this.#handlers.handler(method);
    if (bodies === undefined || handler === undefined) {
      return refuse(context, "UNIMPLEMENTED", `There is no method '${method}'`);
    }
    if (context.receiving !== undefined && bodies.stream === undefined) {
      return refuse(context, "INVALID_ARGUMENT", `The method '${method}' takes no stream`);
    }
    // What has waited behind slow handlers may be too late to begin.
    if (++this.#begun % CLOCK_EVERY === 0) this.#now = host.clock.now();
    if (context.deadlineAt <= this.#now) {
      return refuse(context, "DEADLINE_EXCEEDED", "There was no time to begin");
    }
    context.bodies = bodies;
    const verdict = bodies.input.read(context.payload);
    if (isPending(verdict)) {
      return this.#later(context, verdict, (verdict) => this.#judged(handler, context, verdict));
    }
    // Not by `#judged`: so the compiler can leave the verdict out.
    if (verdict.issues !== undefined) return this.#refuse(context, verdict);
    context.input = verdict.value;
    this.#run(handler, context);
  }

  cancel(context: HandlerContext, code: RpcCode): void {
    if (!context.running) return;
    const lost = code === "UNAVAILABLE";
    context.abort(
      new RpcError(code, lost ? "The session ended" : "The caller cancelled", {
        initiator: "remote",
      }),
    );
  }

  peer(): AnyPeer {
    return this.#host.peer();
  }

  wake(): void {
    this.#host.wake();
  }

  report(error: unknown): void {
    this.#host.report(error);
  }

  // ── Outcome ──

  kept(context: HandlerContext, value: unknown): void {
    this.#answer(context, value);
    this.#host.wake();
  }

  broken(context: HandlerContext, error: unknown): void {
    this.#threw(context, error);
    this.#host.wake();
  }

  // ── private ──

  /** The check of an input took time. */
  #judged(handler: AnyHandler, context: HandlerContext, verdict: Verdict): void {
    if (verdict.issues !== undefined) return this.#refuse(context, verdict);
    if (context.aborted) {
      // Nobody waits for it any more.
      const { calls } = context;
      calls.callee.fail(context, problem("CANCELLED", "The caller cancelled", true), NOTHING);
      return this.#done(context);
    }
    context.input = verdict.value;
    this.#run(handler, context);
  }

  #run(handler: AnyHandler, context: HandlerContext): void {
    const { handle } = this.#host.interception;
    try {
      const result = handle === undefined
        ? context.start(handler)
        : handle(context, async () => await context.start(handler));
      if (isPromiseLike(result)) {
        this.#keep(context);
        whenSettled(result, context, this);
      } else {
        this.#answer(context, result);
      }
    } catch (error) {
      this.#threw(context, error);
    }
  }

  /** Goes on with what takes time. */
  #later<T>(context: HandlerContext, work: PromiseLike<T>, next: (value: T) => void): void {
    this.#keep(context);
    Promise.resolve(work).then(
      (value) => {
        next(value);
        this.#host.wake();
      },
      (error) => {
        this.#threw(context, error);
        this.#host.wake();
      },
    );
  }

  #answer(context: HandlerContext, value: unknown): void {
    const { method, bodies } = context;
    let payload: Encoded;
    try {
      if (bodies?.yields !== undefined && isAsyncIterable(value)) {
        return this.#stream(context, bodies.yields, value);
      }
      if (bodies?.output === undefined) {
        throw new TypeError(`Cannot answer '${method}' as its handler must give items`);
      }
      payload = encodeChecked(bodies.output, value);
    } catch (error) {
      return this.#threw(context, error);
    }
    if (payload instanceof Uint8Array) this.#respond(context, payload);
    else this.#later(context, payload, (payload) => this.#respond(context, payload));
  }

  #respond(context: HandlerContext, payload: Uint8Array): void {
    context.calls.callee.respond(context, payload);
    this.#done(context);
  }

  #stream(context: HandlerContext, body: Body, items: AsyncIterable<unknown>): void {
    const { calls } = context;
    const flow = calls.callee.stream(context);
    if (flow === undefined) {
      leave(items);
      return this.#done(context);
    }
    this.#keep(context);
    const host = this.#host;
    const pushed = () => {
      calls.pushed(flow);
      host.wake();
    };
    context.onAbort(() => {
      flow.stop();
      host.wake();
    });
    pump(items, flow, (item) => encodeChecked(body, item), pushed).then(
      () => {
        if (context.aborted) this.#threw(context, context.reason);
        else this.#done(context);
        host.wake();
      },
      (error) => {
        this.#threw(context, error);
        host.wake();
      },
    );
    host.wake();
  }

  /** The input is none: the handler is not called. */
  #refuse(context: HandlerContext, misfit: Misfit): void {
    const { code, message, data } = misfitError("INVALID_ARGUMENT", "The input", misfit, {});
    let detail: Uint8Array = NOTHING;
    try {
      if (data !== undefined) detail = this.#host.serializer.serialize(data);
    } catch {
      // Not every serializer can hold issues; the message names the first.
    }
    if (misfit.fault === "validator") this.#host.report(misfit.cause);
    context.calls.callee.fail(context, problem(code, message, true), detail);
    this.#done(context);
  }

  #threw(context: HandlerContext, error: unknown): void {
    const { calls } = context;
    try {
      if (error instanceof RpcError && (error.code !== "CANCELLED" || error !== context.reason)) {
        this.#failWith(context, error);
      } else if (context.aborted || context.cancelled) {
        calls.callee.fail(context, problem("CANCELLED", "The caller cancelled"), NOTHING);
      } else if (error instanceof Unfit) {
        this.#failed(context, ownMistake(`answer of '${context.method}'`, error.misfit));
      } else {
        this.#failed(context, error);
      }
    } catch (cause) {
      // What was thrown throws itself when it is looked at.
      this.#failed(context, cause);
    }
    this.#done(context);
  }

  #failed(context: HandlerContext, error: unknown): void {
    context.calls.callee.fail(context, problem("INTERNAL", "The handler failed"), NOTHING);
    this.#host.report(error);
  }

  #failWith(context: HandlerContext, error: RpcError): void {
    const { code, message, retryable, data } = error;
    let detail: Uint8Array = NOTHING;
    try {
      if (data !== undefined) detail = this.#host.serializer.serialize(data);
    } catch (cause) {
      this.#host.report(cause);
    }
    const head = { ...problem(code, message, !context.started), retryable };
    context.calls.callee.fail(context, head, detail);
  }

  #keep(context: HandlerContext): void {
    if (context.running) return;
    context.running = true;
    if (!context.cancelled) this.#deadlines.heed(context.deadlineAt);
  }

  #done(context: HandlerContext): void {
    context.running = false;
    context.finished();
    this.#host.settled();
  }

  /** Tells handlers whose callers have given up; tells when the next one does. */
  #sweep(now: number): number {
    let next = Infinity;
    for (const call of this.#host.machine()?.callee.calls ?? []) {
      if (!(call instanceof HandlerContext) || !call.running) continue;
      if (call.deadlineAt > now) next = Math.min(next, call.deadlineAt);
      else call.abort(new RpcError("DEADLINE_EXCEEDED", TOO_LATE, { initiator: "remote" }));
    }
    return next;
  }
}

function refuse(context: HandlerContext, code: RpcCode, message: string): void {
  context.calls.callee.fail(context, problem(code, message, true), NOTHING);
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
