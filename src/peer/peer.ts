/**
 * What both ends of a session look like to the application.
 *
 * Owns the types. The behaviour is that of a `PeerCore`, which knows none.
 */
import type { Queued, Side, WaitOptions } from "../base/types.ts";
import type { Addr } from "../base/addr.ts";
import type { CloseOptions, DrainInfo, Lifecycle } from "../base/lifecycle.ts";
import type {
  Api,
  BodyIn,
  Callable,
  CallArgs,
  MessageOf,
  Result,
  SendArgs,
  Topic,
  Untyped,
} from "../contract/types.ts";
import type { CallOptions, CallStream, Handler } from "./call_options.ts";
import type { PeerCore } from "./core.ts";
import type { PeerState, SendOptions } from "./owner.ts";
import type { PeerStats } from "./stats.ts";
import { taken } from "./trust.ts";

/** The other end of a session, whatever flows over it. */
export interface AnyPeer extends Lifecycle<DrainInfo> {
  /** The client's id, on both ends: as registered. */
  readonly id: string;
  /** Which end this one is. */
  readonly side: Side;
  /** Where it is in its life. `"waiting"`: between two links. */
  readonly state: PeerState;
  /** Address of this end of the newest link. */
  readonly localAddr: Addr;
  /** Address of the other end of the newest link. */
  readonly remoteAddr: Addr;
  /** What waits to be sent. */
  readonly queued: Queued;
  /** Resolves when the queue is below its low-water mark. */
  readonly ready: Promise<void>;
  /** What has flowed so far. */
  readonly stats: PeerStats;
  /**
   * Asks the other end for a sign of life; resolves with the round trip in ms.
   *
   * @throws {TimeoutError} when there is none within `timeout` ms (default 5000)
   * @throws {ClosedError} when there is no link, or it ends
   */
  ping(options?: WaitOptions): Promise<number>;
}

/** The other end of a session; the same on both sides. `R`: what it understands. `L`: what we do. */
export interface Peer<R extends Api = Untyped["server"], L extends Api = Untyped["client"]>
  extends AnyPeer {
  /**
   * What arrives, for one reader: the other door to `onMessage`. The next message is taken when the
   * loop asks for it. The loop ends quietly with the peer; leaving it closes nothing.
   *
   * @throws {TypeError} when `onMessage` was given, or another loop is reading
   */
  readonly messages: AsyncIterable<MessageOf<L>>;
  /**
   * Sends a message. Resolves when the queue is below its high-water mark, so that a loop that awaits
   * goes as fast as the other end reads.
   *
   * @throws {ClosedError} when the peer has ended
   * @throws {LimitError} when the message is too large, or the queue is full
   */
  send<K extends Topic<R>>(
    body: BodyIn<R, K>,
    ...options: SendArgs<R, K, SendOptions>
  ): Promise<void>;
  /** Sends without waiting: `"queued"` when others go first, `"full"` when it was not accepted. */
  trySend<K extends Topic<R>>(
    body: BodyIn<R, K>,
    ...options: SendArgs<R, K, SendOptions>
  ): "sent" | "queued" | "full";
  /**
   * Calls a method of the other end.
   *
   * @throws {RpcError} when it fails, in whichever way: `code` says how, `executed` whether it ran
   * @throws {TypeError | RangeError} where the name, the input or an option cannot be sent
   */
  call<K extends Callable<R, "output">>(
    method: K,
    ...args: CallArgs<R[K], CallOptions>
  ): Promise<Result<R[K], "output">>;
  /**
   * Calls a method of the other end that answers item by item. The call begins at once; its items are
   * for one loop, which throws what `call` would reject with. Leaving the loop cancels the call.
   *
   * @throws {TypeError | RangeError} where the name, the input or an option cannot be sent
   */
  stream<K extends Callable<R, "yields">>(
    method: K,
    ...args: CallArgs<R[K], CallOptions>
  ): CallStream<Result<R[K], "yields">>;
  /**
   * Answers calls of a method, of this peer alone, until it is disposed of.
   *
   * @throws {TypeError} when the method has such a handler already
   */
  handle<K extends Callable<L>>(method: K, handler: Handler<L[K], this>): Disposable;
}

/** Gives a core its types. */
export class PeerFace<R extends Api, L extends Api> implements Peer<R, L> {
  readonly #core: PeerCore;

  constructor(core: PeerCore) {
    this.#core = core;
  }

  get id(): string {
    return this.#core.id;
  }

  get side(): Side {
    return this.#core.side;
  }

  get state(): PeerState {
    return this.#core.state;
  }

  get localAddr(): Addr {
    return this.#core.localAddr;
  }

  get remoteAddr(): Addr {
    return this.#core.remoteAddr;
  }

  get queued(): Queued {
    return this.#core.queued;
  }

  get ready(): Promise<void> {
    return this.#core.ready;
  }

  get stats(): PeerStats {
    return this.#core.stats;
  }

  get closed(): Promise<DrainInfo> {
    return this.#core.closed;
  }

  get messages(): AsyncIterable<MessageOf<L>> {
    return taken(this.#core.inbox.messages());
  }

  send<K extends Topic<R>>(
    body: BodyIn<R, K>,
    ...options: SendArgs<R, K, SendOptions>
  ): Promise<void> {
    return this.#core.sender.send(body, options[0]);
  }

  trySend<K extends Topic<R>>(
    body: BodyIn<R, K>,
    ...options: SendArgs<R, K, SendOptions>
  ): "sent" | "queued" | "full" {
    return this.#core.sender.trySend(body, options[0]);
  }

  call<K extends Callable<R, "output">>(
    method: K,
    ...args: CallArgs<R[K], CallOptions>
  ): Promise<Result<R[K], "output">> {
    // Taken apart by index: a pattern would go through an iterator, which costs more than the call's id.
    return taken(this.#core.calls.outgoing.call(method, args[0], args[1]));
  }

  stream<K extends Callable<R, "yields">>(
    method: K,
    ...[input, options]: CallArgs<R[K], CallOptions>
  ): CallStream<Result<R[K], "yields">> {
    return taken(this.#core.calls.outgoing.stream(method, input, options));
  }

  handle<K extends Callable<L>>(method: K, handler: Handler<L[K], this>): Disposable {
    return this.#core.calls.handle(method, taken(handler));
  }

  ping(options?: WaitOptions): Promise<number> {
    return this.#core.ping(options);
  }

  close(options?: CloseOptions): Promise<DrainInfo> {
    return this.#core.close(options);
  }

  abort(reason?: unknown): void {
    this.#core.abort(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#core.close();
  }
}
