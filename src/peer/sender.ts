/**
 * What the application sends, from value to bytes: interceptors, the contract's check, the serializer.
 *
 * 1. What is checked at once is sent at once. A check that takes time holds back what is sent after it:
 *    messages arrive in the order in which they were sent.
 */
import { LimitError } from "../base/errors.ts";
import { RESOLVED } from "../base/resolved.ts";
import { type Encoded, encodeMessage } from "./bodies.ts";
import type { Interception } from "./interceptors.ts";
import type { AnySerializer, SendOptions } from "./owner.ts";
import type { AnyPeer } from "./peer.ts";
import { checkSendOptions, type SendQueue } from "./send_queue.ts";

/** What a sender needs of its peer. */
export interface SenderHost {
  readonly serializer: AnySerializer;
  readonly queue: SendQueue;
  /** What stands between the application and its messages. */
  readonly interception: Pick<Interception, "send">;
  /** The peer as the application knows it. */
  peer(): AnyPeer;
  /** So many messages may wait for their check. */
  readonly maxWaiting: number;
}

/** Sends values to one peer. */
export class Sender {
  readonly #host: SenderHost;
  readonly #checks: InOrder;
  readonly #queue: SendQueue;
  /** Gives the bytes of a message without options, where nobody intercepts or checks it: most are so. */
  readonly #encode: ((value: unknown) => Uint8Array) | undefined;

  constructor(host: SenderHost) {
    this.#host = host;
    this.#checks = new InOrder(host.maxWaiting);
    this.#queue = host.queue;
    const body = host.serializer.remote.message("");
    const direct = host.interception.send === undefined && body?.check === undefined;
    this.#encode = direct ? body?.encode : undefined;
  }

  send(body: unknown, options?: SendOptions): Promise<void> {
    const encode = this.#encode;
    const { send } = this.#host.interception;
    try {
      if (options === undefined && encode !== undefined && this.#checks.idle) {
        return this.#queue.sendBytes(encode(body));
      }
      return send === undefined ? this.#send(body, options) : this.#pass(send, body, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  trySend(body: unknown, options?: SendOptions): "sent" | "queued" | "full" {
    const { send } = this.#host.interception;
    if (send === undefined) return this.#trySend(body, options);
    return send(
      { ...options, body, peer: this.#host.peer() },
      (message) => this.#trySend(message.body, message),
    );
  }

  #pass(
    send: NonNullable<Interception["send"]>,
    body: unknown,
    options: SendOptions | undefined,
  ): Promise<void> {
    return send(
      { ...options, body, peer: this.#host.peer() },
      (message) => this.#send(message.body, message),
    );
  }

  /** Makes no closure: each message would pay for it, also where it is not used. */
  #send(body: unknown, options: SendOptions | undefined): Promise<void> {
    const { serializer, queue } = this.#host;
    checkSendOptions(options);
    const encoded = encodeMessage(serializer, options?.topic ?? "", body);
    return encoded instanceof Uint8Array && this.#checks.idle
      ? queue.sendBytes(encoded, options)
      : this.#sendLater(encoded, options);
  }

  #sendLater(encoded: Encoded, options: SendOptions | undefined): Promise<void> {
    return this.#checks.run(encoded, (payload) => this.#host.queue.sendBytes(payload, options));
  }

  #trySend(body: unknown, options: SendOptions | undefined): "sent" | "queued" | "full" {
    const { serializer, queue } = this.#host;
    checkSendOptions(options);
    const encoded = encodeMessage(serializer, options?.topic ?? "", body);
    if (encoded instanceof Uint8Array) {
      // It must not overtake those that wait for their check.
      return this.#checks.idle ? queue.trySendBytes(encoded, options) : "full";
    }
    encoded.then(undefined, () => {});
    throw new TypeError(
      "Cannot try to send message as its check takes time, and this never waits: use send",
    );
  }
}

/** Lets what takes time go on in the order in which it began. */
export class InOrder {
  readonly #maxWaiting: number;
  #last: Promise<unknown> | undefined;
  #waiting = 0;

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  /** Whether nothing waits. */
  get idle(): boolean {
    return this.#last === undefined;
  }

  /** Calls `use` when the bytes are there and all before it have been called. */
  run<T>(encoded: Encoded, use: (payload: Uint8Array) => Promise<T>): Promise<T> {
    if (this.#waiting >= this.#maxWaiting) {
      // Its check may fail still, which is of no interest any more.
      Promise.resolve(encoded).catch(() => {});
      throw new LimitError(
        "QUEUE_FULL",
        "maxInFlight",
        `Cannot send message as ${this.#waiting} wait for their check already`,
        { initiator: "local" },
      );
    }
    this.#waiting++;
    const turn = (this.#last ?? RESOLVED).then(() => encoded);
    const result = turn.then(use);
    const last = turn.then(() => {}, () => {}).then(() => {
      this.#waiting--;
      if (this.#last === last) this.#last = undefined;
    });
    this.#last = last;
    // As everything that is sent: who does not wait for it cannot be ended by it.
    result.catch(() => {});
    return result;
  }
}
