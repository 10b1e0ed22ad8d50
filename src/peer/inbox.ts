/**
 * Messages that arrived and wait for the application, and the two doors to them.
 *
 * Owns their order. `onMessage` gets one at a time: the next waits for a returned promise. Without
 * it `messages` can be iterated, by one reader at a time. Both hold back the credit of what they have
 * not finished with, so that a slow application slows the sender down and nobody else. What checks a
 * message may take its time as well: the next one waits for it.
 */
import type { Bytes } from "../base/types.ts";
import type { Message } from "../contract/types.ts";
import { isPromiseLike, RESOLVED } from "../base/resolved.ts";
import { Fifo } from "../base/fifo.ts";
import { decodeMessage } from "./bodies.ts";
import type { Interception } from "./interceptors.ts";
import type { AnySerializer, MessageHandler } from "./owner.ts";
import type { AnyPeer } from "./peer.ts";

/** Takes credit back for what was consumed. */
export interface Creditor {
  /** The application is through with messages that cost so much. */
  consumed(cost: number): void;
}

/** What an inbox needs of its peer, which is the same for as long as it lives. */
export interface InboxHost {
  /** Makes values of bodies. */
  readonly serializer: AnySerializer;
  /** What stands between a message and the application. */
  readonly interception: Pick<Interception, "receive">;
  /** The peer as the application knows it, once there are messages. */
  peer(): AnyPeer;
  /** The callback, if the application has given one. */
  readonly listener: MessageHandler | undefined;
  /** Takes what the callback throws. */
  report(error: unknown): void;
  /** Takes what the decoder throws: the message is dropped. */
  undecodable(error: unknown): void;
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
  readonly #host: InboxHost;
  /** What each message needs is kept here: a thousand peers may get one message each in a turn. */
  readonly #listener: MessageHandler | undefined;
  readonly #serializer: AnySerializer;
  readonly #receive: Interception["receive"];
  #peer: AnyPeer | undefined;
  readonly #items = new Fifo<Item>();
  #busy = false;
  /** A loop's message is being prepared, which takes time. */
  #preparing = false;
  /** One that has been. */
  #prepared: Taken | undefined;
  #reader: Reader | undefined;
  #closed = false;

  constructor(host: InboxHost) {
    this.#host = host;
    this.#listener = host.listener;
    this.#serializer = host.serializer;
    this.#receive = host.interception.receive;
  }

  /** Items that wait. */
  get size(): number {
    return this.#items.size;
  }

  /** Whether somebody takes messages, or has begun to. */
  get hasReader(): boolean {
    return this.#listener !== undefined || this.#reader !== undefined;
  }

  /**
   * Takes a message; tells whether the application is through with it. Where nothing waits the callback
   * gets it at once: it is no item then.
   */
  push(topic: string, payload: Bytes, cost: number, creditor: Creditor): boolean {
    const listens = this.#listener !== undefined;
    if (!listens || this.#busy) {
      this.#items.push({ topic, payload, cost, creditor });
      if (!listens) this.#reader?.wake();
      return false;
    }
    this.#busy = true;
    if (!this.#handle(topic, payload, cost, creditor)) return false;
    if (this.#items.size > 0) this.#run();
    else this.#busy = false;
    return true;
  }

  /** Runs `hook` once every message before it has been handled by `onMessage`. */
  hook(hook: () => void): void {
    if (this.#listener === undefined) return hook();
    this.#items.push(hook);
    if (!this.#busy) this.#run();
  }

  /** The messages, for one reader at a time. Leaving the loop closes nothing. */
  messages(): AsyncIterable<Message<unknown>> {
    if (this.#listener !== undefined) {
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

  #run(): void {
    this.#busy = true;
    for (let item = this.#items.shift(); item !== undefined; item = this.#items.shift()) {
      if (typeof item === "function") {
        item();
        continue;
      }
      const { topic, payload, cost, creditor } = item;
      if (!this.#handle(topic, payload, cost, creditor)) return;
      creditor.consumed(cost);
    }
    this.#busy = false;
  }

  /**
   * Gives a message to the callback. `false`: it takes its time, and so what comes after it has to wait;
   * both are seen to.
   */
  #handle(topic: string, payload: Bytes, cost: number, creditor: Creditor): boolean {
    const result = this.#handOver(topic, payload);
    // `send` gives this one while there is room: to echo a message costs no turn then.
    if (result === undefined || result === RESOLVED || !isPromiseLike(result)) return true;
    const next = () => {
      creditor.consumed(cost);
      this.#run();
    };
    Promise.resolve(result).catch((error) => this.#host.report(error)).then(next);
    return false;
  }

  /** Gives the promise to wait for, if there is one. */
  #handOver(topic: string, payload: Bytes): unknown {
    const message = this.#decode(topic, payload);
    if (message instanceof Promise) {
      return message.then((message) => message && this.#give(message));
    }
    return message && this.#give(message);
  }

  #give(message: Message<unknown>): unknown {
    const listener = this.#listener;
    const receive = this.#receive;
    try {
      const peer = this.#peer ??= this.#host.peer();
      if (receive === undefined) return listener?.(message, peer);
      const { body, topic } = message;
      return receive({ body, topic, peer }, () => listener?.(message, peer));
    } catch (error) {
      this.#host.report(error);
      return undefined;
    }
  }

  #read(): Reader {
    if (this.#reader !== undefined) {
      throw new TypeError("Cannot iterate messages as another loop is reading them");
    }
    const reader = new Reader({
      take: () => this.#take(),
      ended: () =>
        this.#closed && this.#items.size === 0 && !this.#preparing && this.#prepared === undefined,
      left: () => {
        if (this.#reader === reader) this.#reader = undefined;
      },
    });
    this.#reader = reader;
    return reader;
  }

  /** The next message; one that cannot be decoded is reported, and passed over. */
  #take(): Taken | undefined {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    if (prepared !== undefined || this.#preparing) return prepared;
    for (let item = this.#items.shift(); item !== undefined; item = this.#items.shift()) {
      if (typeof item === "function") {
        item();
        continue;
      }
      const { creditor, cost } = item;
      const finished = () => creditor.consumed(cost);
      const message = this.#prepare(item);
      if (message instanceof Promise) {
        this.#wait(message, finished);
        return undefined;
      }
      if (message !== undefined) return { message, finished };
      finished();
    }
    return undefined;
  }

  #wait(message: Promise<Message<unknown> | undefined>, finished: () => void): void {
    this.#preparing = true;
    message.then((message) => {
      this.#preparing = false;
      if (message === undefined) finished();
      else this.#prepared = { message, finished };
      this.#reader?.wake();
    });
  }

  /** The message for a loop, now or later; never rejects. */
  #prepare({ topic, payload }: Entry): MaybeLater<Message<unknown> | undefined> {
    const message = this.#decode(topic, payload);
    const receive = this.#receive;
    if (message === undefined || receive === undefined) return message;
    if (!(message instanceof Promise)) return this.#pass(message, receive);
    return message.then((message) => message && this.#pass(message, receive));
  }

  /** Whether what stands in between lets a message through. */
  #pass(
    message: Message<unknown>,
    receive: NonNullable<Interception["receive"]>,
  ): MaybeLater<Message<unknown> | undefined> {
    let passed: Message<unknown> | undefined;
    const last = () => void (passed = message);
    try {
      const { body, topic } = message;
      const result = receive({ body, topic, peer: this.#host.peer() }, last);
      if (!isPromiseLike(result)) return passed;
      return Promise.resolve(result).then(() => passed, (error) => {
        this.#host.report(error);
        return passed;
      });
    } catch (error) {
      this.#host.report(error);
      return passed;
    }
  }

  #decode(topic: string, payload: Bytes): MaybeLater<Message<unknown> | undefined> {
    try {
      const body = decodeMessage(this.#serializer, topic, payload);
      if (body === payload || !isPromiseLike(body)) return { body, topic };
      return Promise.resolve(body).then((body) => ({ body, topic }), (error) => {
        this.#host.undecodable(error);
        return undefined;
      });
    } catch (error) {
      this.#host.undecodable(error);
      return undefined;
    }
  }
}

type MaybeLater<T> = T | Promise<T>;

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
