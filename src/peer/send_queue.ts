/**
 * What the application sends, on its way to the network.
 *
 * Owns the two marks between which a sender is made to wait, and the limits of what may wait. The
 * messages themselves are in an outbox that outlives links.
 */
import type { Clock, Queued } from "../base/types.ts";
import { LimitError, type VnetError } from "../base/errors.ts";
import { RESOLVED } from "../base/resolved.ts";
import { startWait } from "../base/wait.ts";
import { Outbox } from "../session/outbox.ts";
import { checkName } from "./names.ts";
import type { SessionSettings } from "./options.ts";
import type { AnySerializer, SendOptions } from "./owner.ts";
import type { Counters } from "./stats.ts";

/** What a queue needs of its peer. */
export interface SendQueueOptions {
  readonly settings: SessionSettings;
  readonly serializer: AnySerializer;
  readonly clock: Clock;
  readonly counters: Counters;
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
}

/** The messages that one peer sends. */
export class SendQueue {
  /** What waits. */
  readonly outbox: Outbox;
  readonly #options: SendQueueOptions;
  #ready: PromiseWithResolvers<void> | undefined;

  constructor(options: SendQueueOptions) {
    this.#options = options;
    this.outbox = new Outbox(options.settings.limits.maxQueuedBytes);
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
    let payload: Uint8Array;
    try {
      payload = this.#options.serializer.serialize(body);
      checkTopic(options?.topic);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.sendBytes(payload, options);
  }

  /** As `send`, of a body that is serialized already. */
  sendBytes(payload: Uint8Array, options: SendOptions = {}): Promise<void> {
    const { signal } = options;
    if (signal?.aborted) return handled(Promise.reject(signal.reason));
    const refusal = this.#accept(payload, options.topic ?? "");
    if (refusal !== undefined) return handled(Promise.reject(refusal));
    if (this.#ready === undefined) return RESOLVED;
    if (signal === undefined && options.timeout === undefined) return handled(this.#ready.promise);
    const wait = startWait<void>(this.#options.clock, options, "wait for room in the queue");
    this.#ready.promise.then(wait.resolve, wait.reject);
    return handled(wait.promise);
  }

  trySend(body: unknown, options?: SendOptions): "sent" | "queued" | "full" {
    const payload = this.#options.serializer.serialize(body);
    checkTopic(options?.topic);
    return this.trySendBytes(payload, options?.topic);
  }

  /** As `trySend`, of a body that is serialized already. */
  trySendBytes(payload: Uint8Array, topic = ""): "sent" | "queued" | "full" {
    const clear = this.#options.open() && this.#ready === undefined;
    const refusal = this.#accept(payload, topic);
    if (refusal instanceof LimitError && refusal.code === "QUEUE_FULL") return "full";
    if (refusal !== undefined) throw refusal;
    return clear ? "sent" : "queued";
  }

  /** Something has left: those who wait for room may go on. */
  checkRoom(): void {
    if (this.#ready === undefined) return;
    if (this.#bytes() > this.#options.settings.queue.lowWaterMark) return;
    this.#ready.resolve();
    this.#ready = undefined;
  }

  /** The peer is over. */
  fail(error: VnetError): void {
    this.#ready?.reject(error);
    this.#ready = undefined;
  }

  #accept(payload: Uint8Array, topic: string): VnetError | undefined {
    const { settings: { limits, queue }, counters, nextOrder, refusal, open, wake } = this.#options;
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
    if (!this.outbox.push(topic, payload, nextOrder())) {
      counters.dropped++;
      return new LimitError(
        "QUEUE_FULL",
        "maxQueuedBytes",
        `Cannot send message as ${this.outbox.bytes} of ${limits.maxQueuedBytes} bytes wait already`,
        { initiator: "local" },
      );
    }
    if (this.#ready === undefined && this.#bytes() >= queue.highWaterMark) {
      this.#ready = Promise.withResolvers<void>();
      handled(this.#ready.promise);
    }
    if (open()) wake();
    return undefined;
  }

  #bytes(): number {
    return this.outbox.bytes + this.#options.inFlight();
  }
}

/** @throws {TypeError | RangeError} when it is none */
export function checkTopic(topic: string | undefined): void {
  if (topic !== undefined) checkName("topic", topic);
}

/** An ignored `send` must not end the process: peers leave all the time. Awaiting it still throws. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
