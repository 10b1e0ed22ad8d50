/**
 * What the application sends, on its way to the network.
 *
 * Owns the two marks between which a sender is made to wait, the limits of what may wait, and what
 * happens beyond them. The messages themselves are in an outbox that outlives links.
 *
 * 1. What was accepted with the policy "wait" is never dropped.
 * 2. Whatever is dropped or refused is counted and told, at most once a turn.
 */
import type { Clock, Queued } from "../base/types.ts";
import { ClosedError, LimitError, type VnetError } from "../base/errors.ts";
import { RESOLVED } from "../base/resolved.ts";
import { startWait } from "../base/wait.ts";
import { type ByteBudget, Outbox } from "../session/outbox.ts";
import type { Receipt, ReceiptFailure } from "../session/receipts.ts";
import { checkName } from "./names.ts";
import { demandOverflow, type Overflow, type SessionSettings } from "./options.ts";
import type { Interception } from "./interceptors.ts";
import type { AnySerializer, DropPolicy, SendOptions } from "./owner.ts";
import type { AnyPeer } from "./peer.ts";
import type { Counters } from "./stats.ts";

/** What a queue needs of its peer. */
export interface SendQueueOptions {
  readonly settings: SessionSettings;
  readonly serializer: AnySerializer;
  /** What stands between the application and its messages. */
  readonly intercept: Interception["send"];
  /** The peer as the application knows it. */
  readonly peer: () => AnyPeer;
  readonly clock: Clock;
  readonly counters: Counters;
  /** What all queues of a server may hold together. */
  readonly budget: ByteBudget | undefined;
  /** The next place in the order of everything that is sent. */
  readonly nextOrder: () => number;
  /** Bytes handed to the network and not yet taken by it. */
  readonly inFlight: () => number;
  /** Whether there is an open link. */
  readonly open: () => boolean;
  /** Why nothing may be sent now. */
  readonly refusal: () => VnetError | undefined;
  /** Says that there is output. */
  readonly wake: () => void;
  /** Messages were dropped. */
  readonly dropped: (frames: number, bytes: number, policy: DropPolicy) => void;
  /** A limit was met, for the first time since there was room. */
  readonly limitMet: (limit: "maxQueuedBytes" | "maxQueuedBytesTotal", value: number) => void;
  /** The peer is too slow for one that does not wait. */
  readonly tooSlow: (reason: string) => void;
}

/** What became of a message, or why it was not accepted. */
type Outcome = "accepted" | "dropped" | VnetError;

/** The messages that one peer sends. */
export class SendQueue {
  /** What waits. */
  readonly outbox: Outbox;
  readonly #options: SendQueueOptions;
  #ready: PromiseWithResolvers<void> | undefined;
  #full = false;
  #drops: Map<DropPolicy, { frames: number; bytes: number }> | undefined;

  constructor(options: SendQueueOptions) {
    this.#options = options;
    this.outbox = new Outbox(options.settings.limits.maxQueuedBytes, options.budget);
  }

  /** What waits, and what is being written. */
  get queued(): Queued {
    return { bytes: this.#bytes(), frames: this.outbox.frames };
  }

  /** Resolves when there is room again. */
  get ready(): Promise<void> {
    return this.#ready?.promise ?? RESOLVED;
  }

  send(body: unknown, options?: SendOptions): Promise<void> {
    const { intercept, peer } = this.#options;
    if (intercept === undefined) return this.#send(body, options);
    try {
      return intercept(
        { ...options, body, peer: peer() },
        (message) => this.#send(message.body, message),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #send(body: unknown, options: SendOptions | undefined): Promise<void> {
    let payload: Uint8Array;
    try {
      payload = this.#options.serializer.serialize(body);
      checkSendOptions(options);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.sendBytes(payload, options);
  }

  /** As `send`, of a body that is serialized already. */
  sendBytes(payload: Uint8Array, options: SendOptions = {}): Promise<void> {
    const { signal, overflow = this.#options.settings.queue.overflow } = options;
    if (signal?.aborted) return handled(Promise.reject(signal.reason));
    if (options.ack) return handled(this.#sendAcked(payload, options, overflow));
    const outcome = this.#accept(payload, options, overflow, undefined);
    if (typeof outcome === "object") return handled(Promise.reject(outcome));
    // Who lets messages be dropped does not want to wait for the slow.
    if (this.#ready === undefined || overflow !== "wait") return RESOLVED;
    if (signal === undefined && options.timeout === undefined) return handled(this.#ready.promise);
    const wait = startWait<void>(this.#options.clock, options, "wait for room in the queue");
    this.#ready.promise.then(wait.resolve, wait.reject);
    return handled(wait.promise);
  }

  trySend(body: unknown, options?: SendOptions): "sent" | "queued" | "full" {
    const { intercept, peer } = this.#options;
    if (intercept === undefined) return this.#trySend(body, options);
    return intercept(
      { ...options, body, peer: peer() },
      (message) => this.#trySend(message.body, message),
    );
  }

  #trySend(body: unknown, options: SendOptions | undefined): "sent" | "queued" | "full" {
    const payload = this.#options.serializer.serialize(body);
    checkSendOptions(options);
    return this.trySendBytes(payload, options);
  }

  /** As `trySend`, of a body that is serialized already. */
  trySendBytes(
    payload: Uint8Array,
    options: SendOptions = {},
    receipt?: Receipt,
  ): "sent" | "queued" | "full" {
    const { overflow = this.#options.settings.queue.overflow } = options;
    const clear = this.#options.open() && this.#ready === undefined;
    const outcome = this.#accept(payload, options, overflow, receipt);
    if (outcome === "accepted") return clear ? "sent" : "queued";
    if (outcome === "dropped" || isFull(outcome)) return "full";
    throw outcome;
  }

  /** Something has left: those who wait for room may go on. */
  checkRoom(): void {
    if (this.#ready === undefined && !this.#full) return;
    if (this.#bytes() > this.#options.settings.queue.lowWaterMark) return;
    this.#full = false;
    this.#ready?.resolve();
    this.#ready = undefined;
  }

  /** The peer is over. */
  fail(error: VnetError): void {
    this.#ready?.reject(error);
    this.#ready = undefined;
  }

  #sendAcked(payload: Uint8Array, options: SendOptions, overflow: Overflow): Promise<void> {
    const { clock, settings } = this.#options;
    const { timeout = settings.callTimeout, signal } = options;
    const wait = startWait<void>(
      clock,
      signal === undefined ? { timeout } : { timeout, signal },
      "wait until the other end has the message",
    );
    const outcome = this.#accept(payload, options, overflow, {
      accepted: () => wait.resolve(),
      failed: (why) => wait.reject(this.#unacked(why)),
    });
    if (typeof outcome === "object") wait.reject(outcome);
    else if (outcome === "dropped") wait.reject(this.#unacked("dropped"));
    return wait.promise;
  }

  #accept(
    payload: Uint8Array,
    options: SendOptions,
    overflow: Overflow,
    receipt: Receipt | undefined,
  ): Outcome {
    const { settings: { limits, queue }, nextOrder, refusal, open, wake } = this.#options;
    const refused = refusal();
    if (refused !== undefined) return refused;
    if (payload.length > limits.maxMessageLength) {
      return new LimitError(
        "TOO_LARGE",
        "maxMessageLength",
        `Cannot send message as it must be at most ${limits.maxMessageLength} bytes: current value is ${payload.length}`,
        { initiator: "local" },
      );
    }
    const { topic = "", key } = options;
    if (key !== undefined) {
      const replaced = this.outbox.replace(key, topic, payload, receipt);
      if (replaced !== undefined) {
        this.#countDrop(replaced, "key");
        return "accepted";
      }
    }
    if (this.outbox.limit(payload.length) !== undefined) {
      const outcome = this.#overflow(payload.length, overflow);
      if (outcome !== "accepted") return outcome;
    }
    const droppable = overflow === "drop-oldest";
    const plain = key === undefined && receipt === undefined && !droppable;
    const how = plain ? undefined : { key, receipt, droppable };
    this.outbox.push(topic, payload, nextOrder(), how);
    if (this.#ready === undefined && this.#bytes() >= queue.highWaterMark) {
      this.#ready = Promise.withResolvers<void>();
      handled(this.#ready.promise);
    }
    if (open()) wake();
    return "accepted";
  }

  /** There is no room: makes some, or says what becomes of the message. */
  #overflow(length: number, policy: Overflow): Outcome {
    let limit = this.outbox.limit(length);
    if (policy === "drop-oldest") {
      while (limit !== undefined) {
        const dropped = this.outbox.dropOldest();
        if (dropped === undefined) break;
        this.#countDrop(dropped, policy);
        limit = this.outbox.limit(length);
      }
    }
    if (limit === undefined) return "accepted";
    const { limits } = this.#options.settings;
    const max = limit === "maxQueuedBytes"
      ? limits.maxQueuedBytes
      : this.#options.budget?.max ?? Infinity;
    this.#options.counters.limit(limit);
    if (!this.#full) {
      this.#full = true;
      this.#options.limitMet(limit, max);
    }
    const reason = `${this.outbox.bytes} of ${limits.maxQueuedBytes} bytes wait already`;
    switch (policy) {
      case "drop-oldest":
      case "drop-newest":
        this.#countDrop(length, policy);
        return "dropped";
      case "disconnect":
        this.#options.tooSlow(reason);
        return new ClosedError(`Cannot send message as ${reason}`, {
          code: "SLOW_CONSUMER",
          reason,
          initiator: "local",
        });
      case "wait":
        return new LimitError(
          "QUEUE_FULL",
          limit,
          limit === "maxQueuedBytes"
            ? `Cannot send message as ${reason}`
            : `Cannot send message as all peers together may have at most ${max} bytes waiting`,
          { initiator: "local" },
        );
    }
  }

  /** A flood of drops is told once a turn. */
  #countDrop(bytes: number, policy: DropPolicy): void {
    this.#options.counters.dropped++;
    if (this.#drops === undefined) {
      this.#drops = new Map();
      queueMicrotask(() => {
        const drops = this.#drops ?? [];
        this.#drops = undefined;
        for (const [policy, { frames, bytes }] of drops) {
          this.#options.dropped(frames, bytes, policy);
        }
      });
    }
    const sum = this.#drops.get(policy);
    if (sum === undefined) this.#drops.set(policy, { frames: 1, bytes });
    else {
      sum.frames++;
      sum.bytes += bytes;
    }
  }

  #unacked(why: ReceiptFailure): VnetError {
    switch (why) {
      case "dropped":
        return new LimitError(
          "DROPPED",
          "maxQueuedBytes",
          "Cannot deliver message as it made way for others",
          { initiator: "local" },
        );
      case "too-large":
        return new LimitError(
          "TOO_LARGE",
          "maxMessageLength",
          "Cannot send message as the other end takes none so long",
          { initiator: "remote" },
        );
      case "unsent":
      case "lost": {
        const reason = why === "lost"
          ? "The link ended before the other end had said that it has the message"
          : "The peer ended before the message was sent";
        return new ClosedError(`Cannot tell that the message was accepted: ${reason}`, {
          code: "LINK_LOST",
          reason,
          initiator: "network",
        });
      }
    }
  }

  #bytes(): number {
    return this.outbox.bytes + this.#options.inFlight();
  }
}

/** @throws {TypeError | RangeError} where one is none */
export function checkSendOptions(options: SendOptions | undefined): void {
  if (options === undefined) return;
  const { topic, key, overflow } = options;
  if (topic !== undefined) checkName("topic", topic);
  if (key !== undefined && typeof key !== "string") {
    throw new TypeError(
      `Cannot send message as 'key' must be a string: current value is a ${typeof key}`,
    );
  }
  if (overflow !== undefined) demandOverflow("overflow", overflow);
}

function isFull(outcome: VnetError): boolean {
  return outcome.code === "QUEUE_FULL" || outcome.code === "SLOW_CONSUMER";
}

/** An ignored `send` must not end the process: peers leave all the time. Awaiting it still throws. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
