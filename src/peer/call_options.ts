/**
 * What a call is made with, and what its handler gets.
 */
import type { WaitOptions } from "../base/types.ts";
import type { Api, Callable, Part, Reply, Types } from "../contract/types.ts";
import type { AnyPeer } from "./peer.ts";

/** Options of `call` and `stream`. */
export interface CallOptions extends WaitOptions {
  /** How long the whole call may take, in ms. @default {`callTimeout`; a stream: no limit} */
  readonly timeout?: number;
  /** A stream: how long the next item may take, in ms. @default {30000} */
  readonly idleTimeout?: number;
  /** The instant at which it is to be over, as the runtime's clock counts; the earlier of the two counts. */
  readonly deadline?: number;
  /** Ends the call; it then rejects with `signal.reason` itself, and its handler is told. */
  readonly signal?: AbortSignal;
  /** Short texts that travel along. Names are lower-case ASCII. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The call that this one is made for: it hands on its deadline and its end. */
  readonly parent?: CallContext<AnyPeer, unknown>;
}

/** What a handler gets beside its input. */
export interface CallContext<P = AnyPeer, S = never> {
  /** Who calls. */
  readonly peer: P;
  /** What is called. */
  readonly method: string;
  /** Aborted when the caller cancels, its time is over, or the session is lost. */
  readonly signal: AbortSignal;
  /** The instant at which the caller gives up, as the runtime's clock counts; `Infinity`: never. */
  readonly deadline: number;
  /** What the caller sent along in short texts. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What the caller sends along item by item; empty when it sends nothing. */
  readonly stream: AsyncIterable<S>;
}

/** The items of a streaming call, for one loop. Leaving the loop cancels the call. */
export interface CallStream<T> extends AsyncIterable<T>, AsyncDisposable {
  /** Ends the call: its handler is told, and the loop throws `reason`. */
  cancel(reason?: unknown): void;
}

/** Answers calls of one method. */
export type Handler<M, P> = (
  input: Types<Part<M, "input">>["output"],
  call: CallContext<P, Types<Part<M, "stream">>["output"]>,
) => Reply<M>;

/** Handlers by method. */
export type Handlers<A extends Api, P> = { readonly [K in Callable<A>]: Handler<A[K], P> };

/** A handler without types. */
export type AnyHandler = (input: unknown, call: CallContext<AnyPeer, unknown>) => unknown;
