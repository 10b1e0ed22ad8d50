/**
 * What a handler gets beside its input, and how it learns that nobody waits for it any more.
 *
 * 1. Its signal and its stream are made only if it asks for them: most calls need neither.
 * 2. An item that does not fit the contract reaches no loop: the loop throws what the caller is to be
 *    told, and the handler that lets it through has told it.
 */
import type { RpcError } from "../base/errors.ts";
import type { Bytes } from "../base/types.ts";
import type { MethodBodies, Misfit, Verdict } from "../contract/bodies.ts";
import type { CallMachine } from "../session/call_machine.ts";
import type { RunningCall } from "../session/calls.ts";
import { misfitError } from "./bodies.ts";
import type { AnyHandler } from "./call_options.ts";
import type { IncomingCall } from "./interceptors.ts";
import { ItemQueue } from "./item_queue.ts";
import type { AnyPeer } from "./peer.ts";

/** What a context needs of its peer. */
export interface ContextHost {
  /** The peer as the application knows it. */
  peer(): AnyPeer;
  wake(): void;
  report(error: unknown): void;
}

const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({});

/** What a handler gets. Its next three fields are for whoever runs it. */
export class HandlerContext implements IncomingCall {
  /** What its handler gets beside it, once that is known to fit. */
  input: unknown;
  /** Whether its handler was called: an interceptor may refuse before that. */
  started = false;
  readonly call: RunningCall;
  readonly calls: CallMachine;
  readonly bodies: MethodBodies;
  readonly #host: ContextHost;
  #controller: AbortController | undefined;
  #reason: { readonly error: unknown } | undefined;
  #items: ItemQueue | undefined;
  #onAbort: (() => void) | undefined;

  constructor(
    call: RunningCall,
    calls: CallMachine,
    bodies: MethodBodies,
    host: ContextHost,
  ) {
    this.call = call;
    this.calls = calls;
    this.bodies = bodies;
    this.#host = host;
  }

  get peer(): AnyPeer {
    return this.#host.peer();
  }

  get method(): string {
    return this.call.method;
  }

  get deadline(): number {
    return this.call.deadlineAt;
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.call.metadata ?? NO_METADATA;
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

  /** Calls the handler. */
  start(handler: AnyHandler): unknown {
    this.started = true;
    return handler(this.input, this);
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
    const flow = this.call.receiving;
    if (flow === undefined) return;
    if (this.#items === undefined) flow.discard();
    else this.#items.return();
  }

  #makeStream(): ItemQueue {
    const flow = this.call.receiving;
    const queue = new ItemQueue({
      read: (payload) => this.#read(payload),
      misfit: (misfit) => this.#misfit(misfit),
      consumed: (cost) => {
        if (flow === undefined) return;
        this.calls.consumed(flow, cost);
        this.#host.wake();
      },
      waiting: () => {},
      left: () => {},
    });
    if (this.#reason !== undefined) queue.fail(this.#reason.error);
    else if (flow === undefined) queue.ended();
    else flow.to(queue);
    return queue;
  }

  #read(payload: Bytes): Verdict | Promise<Verdict> {
    return this.bodies.stream?.read(payload) ?? { issues: [{ message: "Expected no stream" }] };
  }

  #misfit(misfit: Misfit): RpcError {
    if (misfit.fault === "validator") this.#host.report(misfit.cause);
    return misfitError("INVALID_ARGUMENT", "An item", misfit, { initiator: "remote" });
  }
}
