/**
 * A call as its caller sees it: a promise, or a stream.
 */
import { type Executed, type RpcCode, RpcError } from "../base/errors.ts";
import type { Bytes } from "../base/types.ts";
import { type Body, isPending, type Verdict } from "../contract/bodies.ts";
import { readIssues } from "../contract/issues.ts";
import type { CallMachine } from "../session/call_machine.ts";
import { PendingCall } from "../session/calls.ts";
import type { ReceiveFlow, SendFlow } from "../session/flows.ts";
import type { ErrorHead } from "../wire/call.ts";
import type { Metadata } from "../wire/metadata.ts";
import { encodeChecked, misfitError, Unfit } from "./bodies.ts";
import type { CallStream } from "./call_options.ts";
import { ItemQueue } from "./item_queue.ts";
import type { AnySerializer } from "./owner.ts";
import { pump } from "./pump.ts";

/** Who keeps the calls of a peer. */
export interface CallHost {
  readonly serializer: AnySerializer;
  now(): number;
  machine(): CallMachine | undefined;
  wake(): void;
  /** The next place in the order of everything that is sent. */
  nextOrder(): number;
  /** The caller knows the fate of its call. */
  forget(call: PendingCall): void;
  /** A call's deadline has come nearer. */
  hurry(call: PendingCall): void;
  /** The caller gives up. Tells whether the handler may have run. */
  abandon(call: PendingCall, code: RpcCode): Executed;
}

/** What is sent along, and the body of an item of it. */
export interface Along {
  readonly source: AsyncIterable<unknown> | Iterable<unknown> | ReadableStream<unknown>;
  readonly body: Body;
}

abstract class CallerCall extends PendingCall {
  protected readonly host: CallHost;
  /** The answer, or an item of it. */
  protected readonly answer: Body;
  readonly #along: Along | undefined;
  #over = false;
  #unlink: (() => void)[] | undefined;

  constructor(
    host: CallHost,
    method: string,
    payload: Uint8Array,
    metadata: Metadata | undefined,
    deadline: number,
    answer: Body,
    along: Along | undefined,
  ) {
    super(method, payload, metadata, host.nextOrder(), deadline);
    this.host = host;
    this.answer = answer;
    this.#along = along;
  }

  get upload(): boolean {
    return this.#along !== undefined;
  }

  /** Ends the call when a signal is aborted. */
  endWith(
    signal: AbortSignal,
    reason: (signal: AbortSignal, executed: Executed) => unknown,
  ): void {
    const abort = () => {
      if (!this.#over) this.giveUp(reason(signal, this.host.abandon(this, "CANCELLED")));
    };
    signal.addEventListener("abort", abort, { once: true });
    (this.#unlink ??= []).push(() => signal.removeEventListener("abort", abort));
  }

  /** Ends the call, and tells the other end. */
  cancelWith(reason: unknown): void {
    if (this.#over) return;
    this.host.abandon(this, "CANCELLED");
    this.giveUp(reason);
  }

  /** Settles with an error; later calls do nothing. */
  giveUp(reason: unknown): void {
    if (this.finished()) this.rejected(reason);
  }

  failed(error: ErrorHead, detail: Bytes): void {
    if (!this.finished()) return;
    const executed = error.notExecuted ? "no" : "yes";
    const data = detail.length === 0 ? undefined : this.#data(detail);
    const issues = error.code === "INVALID_ARGUMENT" ? readIssues(data) : undefined;
    this.rejected(
      new RpcError(error.code, error.message === "" ? error.code : error.message, {
        initiator: "remote",
        executed,
        retryable: error.retryable,
        ...(data === undefined ? {} : { data }),
        ...(issues === undefined ? {} : { issues }),
      }),
    );
  }

  lost(): void {
    this.giveUp(
      new RpcError("UNAVAILABLE", `The session ended while '${this.method}' was called`, {
        initiator: "network",
        executed: "maybe",
      }),
    );
  }

  uploading(flow: SendFlow): void {
    if (this.#along === undefined) return;
    const { source, body } = this.#along;
    const calls = this.host.machine();
    const pushed = () => {
      calls?.pushed(flow);
      this.host.wake();
    };
    const failed = (cause: unknown) => {
      if (this.#over) return;
      const executed = this.host.abandon(this, "CANCELLED");
      if (cause instanceof Unfit) {
        const what = `An item for '${this.method}'`;
        const options = { initiator: "local", executed } as const;
        return this.giveUp(misfitError("INVALID_ARGUMENT", what, cause.misfit, options));
      }
      const message = `What was sent along with '${this.method}' failed`;
      this.giveUp(new RpcError("CANCELLED", message, { initiator: "local", executed, cause }));
    };
    // Not now: this is told in the middle of a write, where the application's source must not run.
    queueMicrotask(() =>
      pump(source, flow, (item) => encodeChecked(body, item), pushed).catch(failed)
    );
  }

  /** Whether its caller knows its fate. */
  protected get over(): boolean {
    return this.#over;
  }

  /** Marks the call as settled; `false` when it was before. */
  protected finished(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.host.forget(this);
    if (this.#unlink !== undefined) { for (const unlink of this.#unlink) unlink(); }
    return true;
  }

  /** The caller gets an error. */
  protected abstract rejected(reason: unknown): void;

  /** What cannot be read is left out: the error itself is what matters. */
  #data(detail: Bytes): unknown {
    try {
      return this.host.serializer.deserialize(detail);
    } catch {
      return detail;
    }
  }
}

/** A call that gives one value. */
export class UnaryCall extends CallerCall {
  #resolve: (value: unknown) => void = ignore;
  #reject: (reason: unknown) => void = ignore;

  /** The promise that its caller gets. Asked for once, before anything can happen to the call. */
  promise(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  responded(payload: Bytes): void {
    if (this.over) return;
    const verdict = this.answer.read(payload);
    // Until then its deadline and its signal still count.
    if (isPending(verdict)) verdict.then((verdict) => this.#judged(verdict));
    else this.#judged(verdict);
  }

  #judged(verdict: Verdict): void {
    if (!this.finished()) return;
    if (verdict.issues === undefined) return this.#resolve(verdict.value);
    const what = `The answer of '${this.method}'`;
    this.#reject(misfitError("INTERNAL", what, verdict, { initiator: "remote" }));
  }

  streaming(_flow: ReceiveFlow): void {
    this.host.abandon(this, "CANCELLED");
    const message = `The method '${this.method}' answers with a stream: use stream()`;
    this.giveUp(new RpcError("FAILED_PRECONDITION", message, { initiator: "local" }));
  }

  protected rejected(reason: unknown): void {
    this.#reject(reason);
  }
}

/** A call that gives items. */
export class StreamCall extends CallerCall implements CallStream<unknown> {
  readonly #idleTimeout: number;
  readonly #queue: ItemQueue;
  #flow: ReceiveFlow | undefined;

  constructor(
    host: CallHost,
    method: string,
    payload: Uint8Array,
    metadata: Metadata | undefined,
    deadline: number,
    answer: Body,
    along: Along | undefined,
    idleTimeout: number,
  ) {
    super(host, method, payload, metadata, deadline, answer, along);
    this.#idleTimeout = idleTimeout;
    this.deadlineAt = Math.min(this.deadline, host.now() + idleTimeout);
    this.#queue = new ItemQueue({
      read: (payload) => answer.read(payload),
      misfit: (misfit) =>
        misfitError("INTERNAL", `An item of '${this.method}'`, misfit, { initiator: "remote" }),
      consumed: (cost) => this.#consumed(cost),
      waiting: (waits) => this.#waiting(waits),
      left: () => this.cancelWith(undefined),
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    return this.#queue[Symbol.asyncIterator]();
  }

  cancel(reason?: unknown): void {
    this.cancelWith(reason ?? new DOMException("The stream was cancelled", "AbortError"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.return();
  }

  /** A method that gives one value gives a stream of one item. */
  responded(payload: Bytes): void {
    if (!this.finished()) return;
    this.#queue.item(payload, 0);
    this.#queue.ended();
  }

  streaming(flow: ReceiveFlow): void {
    this.#flow = flow;
    flow.to({
      item: (payload, cost) => this.#queue.item(payload, cost),
      ended: () => {
        this.finished();
        this.#queue.ended();
      },
    });
  }

  protected rejected(reason: unknown): void {
    this.#queue.fail(reason);
  }

  #consumed(cost: number): void {
    const flow = this.#flow;
    if (flow === undefined || cost === 0) return;
    this.host.machine()?.consumed(flow, cost);
    this.host.wake();
  }

  /** Silence counts only while the loop waits: a slow loop is not the other end's fault. */
  #waiting(waits: boolean): void {
    if (!waits) {
      this.deadlineAt = this.deadline;
      return;
    }
    this.deadlineAt = Math.min(this.deadline, this.host.now() + this.#idleTimeout);
    this.host.hurry(this);
  }
}

function ignore(): void {}
