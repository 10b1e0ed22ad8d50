/**
 * A call that gives items, as its caller sees it: one loop, and how long it waits.
 */
import type { Bytes } from "../base/types.ts";
import type { Body } from "../contract/bodies.ts";
import type { ReceiveFlow } from "../session/flows.ts";
import type { Metadata } from "../wire/metadata.ts";
import { misfitError } from "./bodies.ts";
import type { CallStream } from "./call_options.ts";
import { ItemQueue } from "./item_queue.ts";
import { type Along, type CallHost, type ItemTaker, OutgoingCall } from "./pending.ts";

/** A call that gives items. */
export class StreamCall implements CallStream<unknown>, ItemTaker {
  /** The call itself. */
  readonly call: OutgoingCall;
  deadlineAt: number;
  readonly #host: CallHost;
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
    this.call = new OutgoingCall(host, method, payload, metadata, deadline, answer, along, this);
    this.deadlineAt = Math.min(deadline, host.now() + idleTimeout);
    this.#host = host;
    this.#idleTimeout = idleTimeout;
    this.#queue = new ItemQueue({
      read: (payload) => answer.read(payload),
      misfit: (misfit) =>
        misfitError("INTERNAL", `An item of '${method}'`, misfit, { initiator: "remote" }),
      consumed: (cost) => this.#consumed(cost),
      waiting: (waits) => this.#waiting(waits),
      left: () => this.call.cancelWith(undefined),
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    return this.#queue[Symbol.asyncIterator]();
  }

  cancel(reason?: unknown): void {
    this.call.cancelWith(reason ?? new DOMException("The stream was cancelled", "AbortError"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.return();
  }

  // ── ItemTaker ──

  /** A method that gives one value gives a stream of one item. */
  one(payload: Bytes): void {
    if (!this.call.finished()) return;
    this.#queue.item(payload, 0);
    this.#queue.ended();
  }

  streaming(flow: ReceiveFlow): void {
    this.#flow = flow;
    flow.to({
      item: (payload, cost) => this.#queue.item(payload, cost),
      ended: () => {
        this.call.finished();
        this.#queue.ended();
      },
    });
  }

  rejected(reason: unknown): void {
    this.#queue.fail(reason);
  }

  // ── private ──

  #consumed(cost: number): void {
    const flow = this.#flow;
    if (flow === undefined || cost === 0) return;
    this.#host.machine()?.consumed(flow, cost);
    this.#host.wake();
  }

  /** Silence counts only while the loop waits: a slow loop is not the other end's fault. */
  #waiting(waits: boolean): void {
    const { deadline } = this.call;
    if (!waits) {
      this.deadlineAt = deadline;
      return;
    }
    this.deadlineAt = Math.min(deadline, this.#host.now() + this.#idleTimeout);
    this.#host.hurry(this.call);
  }
}
