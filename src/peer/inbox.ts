/**
 * Messages that arrived and wait for the application, and the two doors to them.
 *
 * Owns their order. `onMessage` gets one at a time: the next waits for a returned promise. Without
 * it `messages` can be iterated, by one reader at a time. Both hold back the credit of what they have
 * not finished with, so that a slow application slows the sender down and nobody else.
 */
import type { Bytes } from "../base/types.ts";
import type { Message } from "../contract/types.ts";
import { isPromiseLike, RESOLVED } from "../base/resolved.ts";
import { Fifo } from "../base/fifo.ts";

/** Takes credit back for what was consumed. */
export interface Creditor {
  /** The application is through with messages that cost so much. */
  consumed(cost: number): void;
}

/** What an inbox is made with. */
export interface InboxOptions {
  /** Gives the value of a body; throws when it is none. */
  readonly decode: (payload: Bytes) => unknown;
  /** The application's callback, if it gave one. */
  readonly onMessage: ((message: Message<unknown>) => unknown) | undefined;
  /** Takes what the callback throws. */
  readonly report: (error: unknown) => void;
  /** Takes what the decoder throws: the message is dropped. */
  readonly undecodable: (error: unknown) => void;
}

interface Entry {
  readonly topic: string;
  readonly payload: Bytes;
  readonly cost: number;
  readonly creditor: Creditor;
}

type Item = Entry | (() => void);
type Result = IteratorResult<Message<unknown>, undefined>;

/** The inbox of one peer. */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #items = new Fifo<Item>();
  #busy = false;
  #reader: Reader | undefined;
  #closed = false;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  /** Items that wait. */
  get size(): number {
    return this.#items.size;
  }

  /** Whether somebody takes messages, or has begun to. */
  get hasReader(): boolean {
    return this.#options.onMessage !== undefined || this.#reader !== undefined;
  }

  /** Takes a message. */
  push(entry: Entry): void {
    this.#items.push(entry);
    if (this.#options.onMessage === undefined) this.#reader?.wake();
    else if (!this.#busy) this.#run(this.#options.onMessage);
  }

  /** Runs `hook` once every message before it has been handled by `onMessage`. */
  hook(hook: () => void): void {
    if (this.#options.onMessage === undefined) return hook();
    this.#items.push(hook);
    if (!this.#busy) this.#run(this.#options.onMessage);
  }

  /** The messages, for one reader at a time. Leaving the loop closes nothing. */
  messages(): AsyncIterable<Message<unknown>> {
    if (this.#options.onMessage !== undefined) {
      throw new TypeError("Cannot iterate messages as 'onMessage' was given and takes them all");
    }
    return { [Symbol.asyncIterator]: () => this.#read() };
  }

  /** No more will come: loops end once they have had what waits. */
  close(): void {
    this.#closed = true;
    this.#reader?.wake();
  }

  /** Forgets what waits. */
  abort(): void {
    for (const item of this.#items.clear()) {
      // Hooks tell ends, and each end is told.
      if (typeof item === "function") item();
    }
    this.close();
  }

  #run(onMessage: (message: Message<unknown>) => unknown): void {
    this.#busy = true;
    for (let item = this.#items.shift(); item !== undefined; item = this.#items.shift()) {
      if (typeof item === "function") {
        item();
        continue;
      }
      const { creditor, cost } = item;
      let result: unknown;
      const message = this.#decode(item);
      try {
        result = message && onMessage(message);
      } catch (error) {
        this.#options.report(error);
      }
      // `send` gives this one while there is room: to echo a message costs no turn then.
      if (result !== RESOLVED && isPromiseLike(result)) {
        const next = () => {
          creditor.consumed(cost);
          this.#run(onMessage);
        };
        Promise.resolve(result).catch(this.#options.report).then(next);
        return;
      }
      creditor.consumed(cost);
    }
    this.#busy = false;
  }

  #read(): Reader {
    if (this.#reader !== undefined) {
      throw new TypeError("Cannot iterate messages as another loop is reading them");
    }
    const reader = new Reader({
      take: () => this.#take(),
      ended: () => this.#closed && this.#items.size === 0,
      left: () => {
        if (this.#reader === reader) this.#reader = undefined;
      },
    });
    this.#reader = reader;
    return reader;
  }

  /** The next message; one that cannot be decoded is reported, and passed over. */
  #take(): Taken | undefined {
    for (let item = this.#items.shift(); item !== undefined; item = this.#items.shift()) {
      if (typeof item === "function") {
        item();
        continue;
      }
      const { creditor, cost } = item;
      const message = this.#decode(item);
      if (message !== undefined) return { message, finished: () => creditor.consumed(cost) };
      creditor.consumed(cost);
    }
    return undefined;
  }

  #decode({ payload, topic }: Entry): Message<unknown> | undefined {
    try {
      return { body: this.#options.decode(payload), topic };
    } catch (error) {
      this.#options.undecodable(error);
      return undefined;
    }
  }
}

interface Taken {
  readonly message: Message<unknown>;
  readonly finished: () => void;
}

interface ReaderSource {
  readonly take: () => Taken | undefined;
  readonly ended: () => boolean;
  readonly left: () => void;
}

/** A hand-written iterator: an async generator would cost an extra promise per message. */
class Reader implements AsyncIterator<Message<unknown>, undefined> {
  readonly #source: ReaderSource;
  #finished: (() => void) | undefined;
  #waiting: ((result: Result) => void) | undefined;
  #left = false;

  constructor(source: ReaderSource) {
    this.#source = source;
  }

  next(): Promise<Result> {
    // To ask for the next message is to be through with the last one.
    this.#finished?.();
    this.#finished = undefined;
    if (this.#waiting !== undefined) {
      return Promise.reject(new TypeError("Cannot read message as another read is waiting for it"));
    }
    const result = this.#result();
    if (result !== undefined) return Promise.resolve(result);
    return new Promise((resolve) => this.#waiting = resolve);
  }

  return(): Promise<Result> {
    this.#finished?.();
    this.#finished = undefined;
    this.#leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Something came, or nothing will any more. */
  wake(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const result = this.#result();
    if (result === undefined) return;
    this.#waiting = undefined;
    waiting(result);
  }

  #result(): Result | undefined {
    if (this.#left) return { done: true, value: undefined };
    const taken = this.#source.take();
    if (taken !== undefined) {
      this.#finished = taken.finished;
      return { done: false, value: taken.message };
    }
    if (!this.#source.ended()) return undefined;
    this.#leave();
    return { done: true, value: undefined };
  }

  #leave(): void {
    this.#left = true;
    this.#source.left();
    this.#waiting?.({ done: true, value: undefined });
    this.#waiting = undefined;
  }
}
