/**
 * What a handler gets beside its input, and how it learns that nobody waits for it any more.
 *
 * 1. Its signal and its stream are made only if it asks for them: most calls need neither.
 * 2. An item that does not fit the contract reaches no loop: the loop throws what the caller is to be
 *    told, and the handler that lets it through has told it.
 */
import type { RpcCode, RpcError } from "../base/errors.ts";
import type { Bytes } from "../base/types.ts";
import type { MethodBodies, Misfit, Verdict } from "../contract/bodies.ts";
import type { CallMachine } from "../session/call_machine.ts";
import type { RunningCall } from "../session/calls.ts";
import type { ReceiveFlow, SendFlow } from "../session/flows.ts";
import type { Metadata } from "../wire/metadata.ts";
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

/** Who runs handlers. */
export interface HandlerHost extends ContextHost {
  /** The call came. */
  begin(context: HandlerContext): void;
  /** Its caller has no use for an answer any more. */
  cancel(context: HandlerContext, code: RpcCode): void;
}

const NOTHING = new Uint8Array(0);

/** What a handler gets, and all that is known of the call beside. */
export class HandlerContext implements IncomingCall, RunningCall {
  answered = false;
  cancelled = false;
  answer: Uint8Array = NOTHING;
  sending: SendFlow | undefined = undefined;
  /** What its handler gets beside it, once that is known to fit. */
  input: unknown = undefined;
  /** What the method takes and gives, once it is known to be there. */
  bodies: MethodBodies | undefined = undefined;
  /** Whether its handler was called: an interceptor may refuse before that. */
  started = false;
  /** Whether its handler has promised an answer, and not given it yet. */
  running = false;
  readonly calls: CallMachine;
  readonly id: number;
  readonly method: string;
  readonly payload: Bytes;
  readonly metadata: Metadata;
  readonly receiving: ReceiveFlow | undefined;
  readonly deadlineAt: number;
  readonly #host: HandlerHost;
  #controller: AbortController | undefined = undefined;
  #reason: { readonly error: unknown } | undefined = undefined;
  #items: ItemQueue | undefined = undefined;
  #onAbort: (() => void) | undefined = undefined;

  constructor(
    host: HandlerHost,
    calls: CallMachine,
    id: number,
    method: string,
    payload: Bytes,
    metadata: Metadata,
    receiving: ReceiveFlow | undefined,
    deadlineAt: number,
  ) {
    this.#host = host;
    this.calls = calls;
    this.id = id;
    this.method = method;
    this.payload = payload;
    this.metadata = metadata;
    this.receiving = receiving;
    this.deadlineAt = deadlineAt;
  }

  // ── RunningCall ──

  begin(): void {
    this.#host.begin(this);
  }

  cancel(code: RpcCode): void {
    this.#host.cancel(this, code);
  }

  // ── IncomingCall ──

  get peer(): AnyPeer {
    return this.#host.peer();
  }

  get deadline(): number {
    return this.deadlineAt;
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

  // ── for whoever runs it ──

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
    const flow = this.receiving;
    if (flow === undefined) return;
    if (this.#items === undefined) flow.discard();
    else this.#items.return();
  }

  #makeStream(): ItemQueue {
    const flow = this.receiving;
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
    return this.bodies?.stream?.read(payload) ?? { issues: [{ message: "Expected no stream" }] };
  }

  #misfit(misfit: Misfit): RpcError {
    if (misfit.fault === "validator") this.#host.report(misfit.cause);
    return misfitError("INVALID_ARGUMENT", "An item", misfit, { initiator: "remote" });
  }
}
