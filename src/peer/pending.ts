/**
 * A call as its caller sees it: it owns when and how that learns the call's fate.
 *
 * One class without a base for both kinds: to make an object of three classes takes the engine longer than
 * all else that is done for a call.
 */
import { type Executed, type RpcCode, RpcError } from "../base/errors.ts";
import type { Bytes } from "../base/types.ts";
import { type Body, isPending, type Verdict } from "../contract/bodies.ts";
import { readIssues } from "../contract/issues.ts";
import type { CallMachine } from "../session/call_machine.ts";
import type { PendingCall } from "../session/calls.ts";
import type { ReceiveFlow, SendFlow } from "../session/flows.ts";
import type { ErrorHead } from "../wire/call.ts";
import type { Metadata } from "../wire/metadata.ts";
import { encodeChecked, misfitError, Unfit } from "./bodies.ts";
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
  forget(call: OutgoingCall): void;
  /** An answer has come, and its check takes time: until then its deadline still counts. */
  checking(call: OutgoingCall): void;
  /** A call's deadline has come nearer. */
  hurry(call: OutgoingCall): void;
  /** The caller gives up. Tells whether the handler may have run. */
  abandon(call: OutgoingCall, code: RpcCode): Executed;
}

/** Who gets items, and not one value. */
export interface ItemTaker {
  /** When the caller gives up: at the deadline, or before when nothing comes. */
  readonly deadlineAt: number;
  /** There is one value, of a method that gives no items. */
  one(payload: Bytes): void;
  /** Items will come. */
  streaming(flow: ReceiveFlow): void;
  /** It failed. */
  rejected(reason: unknown): void;
}

/** What is sent along, and the body of an item of it. */
export interface Along {
  readonly source: AsyncIterable<unknown> | Iterable<unknown> | ReadableStream<unknown>;
  readonly body: Body;
}

/** A call that this end makes. */
export class OutgoingCall implements PendingCall {
  id = 0;
  count = 0;
  state: PendingCall["state"] = "waiting";
  sending: SendFlow | undefined = undefined;
  receiving: ReceiveFlow | undefined = undefined;
  /** Whether its caller knows its fate. */
  over = false;
  readonly method: string;
  readonly payload: Uint8Array;
  readonly metadata: Metadata | undefined;
  readonly order: number;
  readonly deadline: number;
  readonly #host: CallHost;
  /** The answer, or an item of it. */
  readonly #answer: Body;
  readonly #along: Along | undefined;
  readonly #taker: ItemTaker | undefined;
  #unlink: (() => void)[] | undefined = undefined;
  #resolve: (value: unknown) => void = ignore;
  #reject: (reason: unknown) => void = ignore;

  /** `taker`: who gets the items of a call that gives such; else there is a promise. */
  constructor(
    host: CallHost,
    method: string,
    payload: Uint8Array,
    metadata: Metadata | undefined,
    deadline: number,
    answer: Body,
    along: Along | undefined,
    taker?: ItemTaker,
  ) {
    this.method = method;
    this.payload = payload;
    this.metadata = metadata;
    this.order = host.nextOrder();
    this.deadline = deadline;
    this.#host = host;
    this.#answer = answer;
    this.#along = along;
    this.#taker = taker;
  }

  get upload(): boolean {
    return this.#along !== undefined;
  }

  /** When the caller gives up. */
  get deadlineAt(): number {
    return this.#taker?.deadlineAt ?? this.deadline;
  }

  /** The promise that its caller gets. Asked for once, before anything can happen to the call. */
  promise(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Ends the call when a signal is aborted. */
  endWith(
    signal: AbortSignal,
    reason: (signal: AbortSignal, executed: Executed) => unknown,
  ): void {
    const abort = () => {
      if (!this.over) this.giveUp(reason(signal, this.#host.abandon(this, "CANCELLED")));
    };
    signal.addEventListener("abort", abort, { once: true });
    (this.#unlink ??= []).push(() => signal.removeEventListener("abort", abort));
  }

  /** Ends the call, and tells the other end. */
  cancelWith(reason: unknown): void {
    if (this.over) return;
    this.#host.abandon(this, "CANCELLED");
    this.giveUp(reason);
  }

  /** Settles with an error; later calls do nothing. */
  giveUp(reason: unknown): void {
    if (this.finished()) this.#rejected(reason);
  }

  /** The call is not even begun. */
  refused(reason: unknown): void {
    this.over = true;
    this.#rejected(reason);
  }

  responded(payload: Bytes): void {
    if (this.over) return;
    if (this.#taker !== undefined) return this.#taker.one(payload);
    const verdict = this.#answer.read(payload);
    if (!isPending(verdict)) return this.#judged(verdict);
    this.#host.checking(this);
    verdict.then((verdict) => this.#judged(verdict));
  }

  streaming(flow: ReceiveFlow): void {
    if (this.#taker !== undefined) return this.#taker.streaming(flow);
    this.#host.abandon(this, "CANCELLED");
    const message = `The method '${this.method}' answers with a stream: use stream()`;
    this.giveUp(new RpcError("FAILED_PRECONDITION", message, { initiator: "local" }));
  }

  failed(error: ErrorHead, detail: Bytes): void {
    if (!this.finished()) return;
    const executed = error.notExecuted ? "no" : "yes";
    const data = detail.length === 0 ? undefined : this.#data(detail);
    const issues = error.code === "INVALID_ARGUMENT" ? readIssues(data) : undefined;
    this.#rejected(
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
    const calls = this.#host.machine();
    const pushed = () => {
      calls?.pushed(flow);
      this.#host.wake();
    };
    const failed = (cause: unknown) => {
      if (this.over) return;
      const executed = this.#host.abandon(this, "CANCELLED");
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

  /** Marks the call as settled; `false` when it was before. */
  finished(): boolean {
    if (this.over) return false;
    this.over = true;
    this.#host.forget(this);
    if (this.#unlink !== undefined) { for (const unlink of this.#unlink) unlink(); }
    return true;
  }

  #judged(verdict: Verdict): void {
    if (!this.finished()) return;
    if (verdict.issues === undefined) return this.#resolve(verdict.value);
    const what = `The answer of '${this.method}'`;
    this.#reject(misfitError("INTERNAL", what, verdict, { initiator: "remote" }));
  }

  /** The caller gets an error. */
  #rejected(reason: unknown): void {
    if (this.#taker === undefined) this.#reject(reason);
    else this.#taker.rejected(reason);
  }

  /** What cannot be read is left out: the error itself is what matters. */
  #data(detail: Bytes): unknown {
    try {
      return this.#host.serializer.deserialize(detail);
    } catch {
      return detail;
    }
  }
}

function ignore(): void {}
