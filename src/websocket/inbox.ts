/**
 * Messages on their way to the application: by a callback, or by loops.
 *
 * Owns what has come and was not taken. Knows no connection: it says when it is full, and its owner
 * stops reading.
 *
 * 1. A callback gets one message at a time: the next waits for a promise that it returned.
 * 2. After `end` what waits is still given; after `drop` nothing is.
 * 3. Each message costs its length and something for itself, so that empty ones cannot be without number.
 */
import { Fifo } from "../base/fifo.ts";
import { isPromiseLike, RESOLVED } from "../base/resolved.ts";
import type { Bytes } from "../base/types.ts";

/** A text or a binary message. */
export type Message = string | Bytes;

/** What an inbox is made with. */
export interface InboxOptions {
  /** Takes each message; without it loops do. */
  readonly handler: ((message: Message) => unknown) | undefined;
  /** From so much on it is full. */
  readonly capacity: number;
  /** Is told what the handler threw. */
  readonly failed: (error: unknown) => void;
}

/** What a message costs beside its length. */
const OVERHEAD = 64;
const DONE: IteratorResult<Message, undefined> = { done: true, value: undefined };

/** The messages of one WebSocket. */
export class Inbox {
  readonly #handler: ((message: Message) => unknown) | undefined;
  readonly #capacity: number;
  readonly #failed: (error: unknown) => void;
  readonly #messages = new Fifo<Message>();
  #cost = 0;
  #busy = false;
  #ended = false;
  #takers = new Fifo<(result: IteratorResult<Message, undefined>) => void>();
  #waiters: (() => void)[] = [];

  constructor({ handler, capacity, failed }: InboxOptions) {
    this.#handler = handler;
    this.#capacity = capacity;
    this.#failed = failed;
  }

  /** Whether its owner should stop reading. */
  get full(): boolean {
    return this.#cost >= this.#capacity;
  }

  /** Whether the handler has been given all and is done with it. */
  get idle(): boolean {
    return !this.#busy && this.#messages.size === 0;
  }

  /** Takes in a message. */
  push(message: Message): void {
    if (this.#ended) return;
    if (this.#handler !== undefined && this.idle) return this.#handle(this.#handler, message);
    const taker = this.#takers.shift();
    if (taker !== undefined) return taker({ done: false, value: message });
    this.#messages.push(message);
    this.#cost += message.length + OVERHEAD;
  }

  /** Resolves when it may have become less full, or idle, and when it is dropped. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Nothing more will come. */
  end(): void {
    this.#ended = true;
    for (const take of this.#takers.clear()) take(DONE);
    this.#changed();
  }

  /** Nothing more is given. */
  drop(): void {
    this.#messages.clear();
    this.#cost = 0;
    this.end();
  }

  /** A loop over the messages; all loops share them. @throws {TypeError} where a callback takes them */
  iterate(): AsyncIterableIterator<Message, undefined> {
    if (this.#handler !== undefined) {
      throw new TypeError("Cannot iterate over messages as 'onMessage' takes them");
    }
    const next = () => this.#next();
    return {
      next,
      return: () => Promise.resolve(DONE),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #next(): Promise<IteratorResult<Message, undefined>> {
    const message = this.#shift();
    if (message !== undefined) return Promise.resolve({ done: false, value: message });
    if (this.#ended) return Promise.resolve(DONE);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  #shift(): Message | undefined {
    const message = this.#messages.shift();
    if (message === undefined) return undefined;
    this.#cost -= message.length + OVERHEAD;
    if (this.#waiters.length > 0 && !this.full) this.#changed();
    return message;
  }

  #handle(handler: (message: Message) => unknown, message: Message): void {
    let result: unknown;
    try {
      result = handler(message);
    } catch (error) {
      return this.#failed(error);
    }
    // What `send` gives while there is room is known to be done.
    if (result === RESOLVED || !isPromiseLike(result)) return;
    this.#busy = true;
    result.then(() => this.#resume(handler), (error) => {
      this.#failed(error);
      this.#resume(handler);
    });
  }

  #resume(handler: (message: Message) => unknown): void {
    this.#busy = false;
    while (!this.#busy) {
      const message = this.#shift();
      if (message === undefined) break;
      this.#handle(handler, message);
    }
    this.#changed();
  }

  #changed(): void {
    const waiters = this.#waiters;
    if (waiters.length === 0) return;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
