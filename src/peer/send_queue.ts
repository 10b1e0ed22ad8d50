/**
 * Bytes that the application sends, on their way to the network.
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
import type { Link } from "../stream/link.ts";
import { checkName } from "./names.ts";
import { demandOverflow, type Overflow, type SessionSettings } from "./options.ts";
import type { DropPolicy, SendOptions } from "./owner.ts";
import type { Counters } from "./stats.ts";

/** What a queue needs of its peer. */
export interface SendQueueHost {
  readonly settings: SessionSettings;
  readonly clock: Clock;
  readonly counters: Counters;
  /** What all queues of a server may hold together. */
  readonly budget: ByteBudget | undefined;
  /** The next place in the order of everything that is sent. */
  nextOrder(): number;
  /** Bytes handed to the network and not yet taken by it. */
  inFlight(): number;
  /** The link, if it is open. */
  openLink(): OpenLink | undefined;
  /** Why nothing may be sent now. */
  sendRefusal(): VnetError | undefined;
  /** Messages were dropped. */
  dropped(frames: number, bytes: number, policy: DropPolicy): void;
  /** A limit was met, for the first time since there was room. */
  limitMet(limit: "maxQueuedBytes" | "maxQueuedBytesTotal", value: number): void;
  /** There is no room, or there is again and so many messages were dropped meanwhile. */
  slow(): void;
  caughtUp(dropped: number): void;
  /** The peer is too slow for one that does not wait. */
  tooSlow(reason: string): void;
}

/** What a queue needs of a link. */
export type OpenLink = Pick<Link, "inFlight" | "wake">;

/** What became of a message, or why it was not accepted. */
type Outcome = "accepted" | "dropped" | VnetError;

/** The messages that one peer sends. */
export class SendQueue {
  /** What waits. */
  readonly outbox: Outbox;
  readonly #host: SendQueueHost;
  /** What the settings say of each message. */
  readonly #waits: boolean;
  readonly #maxMessage: number;
  readonly #highWaterMark: number;
  #ready: PromiseWithResolvers<void> | undefined;
  #full = false;
  /** Messages that were dropped since there was no room; `undefined`: there is some. */
  #lost: number | undefined;
  #drops: Map<DropPolicy, { frames: number; bytes: number }> | undefined;

  constructor(host: SendQueueHost) {
    const { queue, limits } = host.settings;
    this.#host = host;
    this.#waits = queue.overflow === "wait";
    this.#maxMessage = limits.maxMessageLength;
    this.#highWaterMark = queue.highWaterMark;
    this.outbox = new Outbox(limits.maxQueuedBytes, host.budget);
  }

  /** What waits, and what is being written. */
  get queued(): Queued {
    return { bytes: this.#bytes(), frames: this.outbox.frames };
  }

  /** Resolves when there is room again. */
  get ready(): Promise<void> {
    return this.#ready?.promise ?? RESOLVED;
  }

  /** Resolves when there is room for more, or as the options say. */
  sendBytes(payload: Uint8Array, options?: SendOptions): Promise<void> {
    if (options !== undefined || !this.#sendPlain(payload)) {
      return this.#send(payload, options ?? {});
    }
    return this.#ready === undefined ? RESOLVED : this.#ready.promise;
  }

  /** What nearly all messages need, and no more; `false`: it was not accepted, or is not for this. */
  #sendPlain(payload: Uint8Array): boolean {
    const host = this.#host;
    if (!this.#waits || payload.length > this.#maxMessage) return false;
    const link = host.openLink();
    if (link === undefined && host.sendRefusal() !== undefined) return false;
    if (!this.outbox.pushPlain(payload, host.nextOrder())) return false;
    this.#accepted(link);
    return true;
  }

  #send(payload: Uint8Array, options: SendOptions): Promise<void> {
    const { signal, overflow = this.#host.settings.queue.overflow } = options;
    if (signal?.aborted) return handled(Promise.reject(signal.reason));
    if (options.ack) return handled(this.#sendAcked(payload, options, overflow));
    const outcome = this.#accept(payload, options, overflow, undefined);
    if (typeof outcome === "object") return handled(Promise.reject(outcome));
    // Who lets messages be dropped does not want to wait for the slow.
    if (this.#ready === undefined || overflow !== "wait") return RESOLVED;
    if (signal === undefined && options.timeout === undefined) return this.#ready.promise;
    const wait = startWait<void>(this.#host.clock, options, "wait for room in the queue");
    this.#ready.promise.then(wait.resolve, wait.reject);
    return handled(wait.promise);
  }

  /** Never waits. `"full"`: it was not accepted. */
  trySendBytes(
    payload: Uint8Array,
    options: SendOptions = {},
    receipt?: Receipt,
  ): "sent" | "queued" | "full" {
    const { overflow = this.#host.settings.queue.overflow } = options;
    const clear = this.#host.openLink() !== undefined && this.#ready === undefined;
    const outcome = this.#accept(payload, options, overflow, receipt);
    if (outcome === "accepted") return clear ? "sent" : "queued";
    if (outcome === "dropped" || isFull(outcome)) return "full";
    throw outcome;
  }

  /** Something has left: those who wait for room may go on. */
  checkRoom(): void {
    if (this.#ready === undefined && this.#lost === undefined) return;
    if (this.#bytes() > this.#host.settings.queue.lowWaterMark) return;
    this.#full = false;
    if (this.#lost !== undefined) this.#host.caughtUp(this.#lost);
    this.#lost = undefined;
    this.#ready?.resolve();
    this.#ready = undefined;
  }

  /** The peer is over. */
  fail(error: VnetError): void {
    this.#ready?.reject(error);
    this.#ready = undefined;
  }

  #sendAcked(payload: Uint8Array, options: SendOptions, overflow: Overflow): Promise<void> {
    const { clock, settings } = this.#host;
    const { timeout = settings.callTimeout, signal } = options;
    let over = false;
    const wait = startWait<void>(
      clock,
      signal === undefined ? { timeout } : { timeout, signal },
      "wait until the other end has the message",
      () => over = true,
    );
    const outcome = this.#accept(payload, options, overflow, {
      get over() {
        return over;
      },
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
    const host = this.#host;
    const { limits } = host.settings;
    const refused = host.sendRefusal();
    if (refused !== undefined) return refused;
    if (payload.length > limits.maxMessageLength) {
      this.#host.counters.limit("maxMessageLength");
      return new LimitError(
        "TOO_LARGE",
        "maxMessageLength",
        `Cannot send message as it must be at most ${limits.maxMessageLength} bytes: current value is ${payload.length}`,
        { initiator: "local" },
      );
    }
    const { topic = "", key } = options;
    const droppable = overflow === "drop-oldest";
    const plain = key === undefined && receipt === undefined && !droppable;
    const how = plain ? undefined : { key, receipt, droppable };
    if (this.outbox.limit(payload.length, key) !== undefined) {
      const outcome = this.#overflow(payload.length, key, overflow);
      if (outcome !== "accepted") return outcome;
    }
    const replaced = key === undefined ? undefined : this.outbox.replace(key, topic, payload, how);
    if (replaced === undefined) this.outbox.push(topic, payload, host.nextOrder(), how);
    else this.#countDrop(replaced, "key");
    this.#accepted(host.openLink());
    return "accepted";
  }

  /** One more waits. */
  #accepted(link: OpenLink | undefined): void {
    const bytes = this.outbox.bytes + (link?.inFlight ?? 0);
    if (this.#ready === undefined && bytes >= this.#highWaterMark) {
      this.#ready = Promise.withResolvers<void>();
      handled(this.#ready.promise);
    }
    link?.wake();
  }

  /** There is no room: makes some, or says what becomes of the message. */
  #overflow(length: number, key: string | undefined, policy: Overflow): Outcome {
    let limit = this.outbox.limit(length, key);
    if (this.#lost === undefined) {
      this.#lost = 0;
      this.#host.slow();
    }
    // Where even all of them together would not make room none need go.
    if (policy === "drop-oldest" && this.outbox.limit(length, key, true) === undefined) {
      while (limit !== undefined) {
        const dropped = this.outbox.dropOldest();
        if (dropped === undefined) break;
        this.#countDrop(dropped, policy);
        limit = this.outbox.limit(length, key);
      }
    }
    if (limit === undefined) return "accepted";
    const { limits } = this.#host.settings;
    const max = limit === "maxQueuedBytes"
      ? limits.maxQueuedBytes
      : this.#host.budget?.max ?? Infinity;
    this.#host.counters.limit(limit);
    if (!this.#full) {
      this.#full = true;
      this.#host.limitMet(limit, max);
    }
    const reason = `${this.outbox.bytes} of ${limits.maxQueuedBytes} bytes wait already`;
    switch (policy) {
      case "drop-oldest":
      case "drop-newest":
        this.#countDrop(length, policy);
        return "dropped";
      case "disconnect":
        this.#host.tooSlow(reason);
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
    this.#host.counters.dropped++;
    if (this.#lost !== undefined && policy !== "key") this.#lost++;
    if (this.#drops === undefined) {
      this.#drops = new Map();
      queueMicrotask(() => {
        const drops = this.#drops ?? [];
        this.#drops = undefined;
        for (const [policy, { frames, bytes }] of drops) {
          this.#host.dropped(frames, bytes, policy);
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
        return tooLarge();
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
    return this.outbox.bytes + this.#host.inFlight();
  }
}

/** The error of a message that is longer than the other end takes. */
export function tooLarge(): LimitError {
  return new LimitError(
    "TOO_LARGE",
    "maxMessageLength",
    "Cannot send message as the other end takes none so long",
    { initiator: "remote" },
  );
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
