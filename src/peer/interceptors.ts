/**
 * What stands between the application and its calls and messages: auth, logs, metrics, retries, traces.
 *
 * Owns the order: the first of the list is the outermost, on the way out and on the way in. Each decides
 * whether, when and with what the next is called. Where a list is empty nothing of this is on the path.
 */
import type { Message, Streamable } from "../contract/types.ts";
import type { CallContext, CallOptions, CallStream } from "./call_options.ts";
import type { SendOptions } from "./owner.ts";
import type { AnyPeer } from "./peer.ts";

/** A call that is about to be made. */
export interface OutgoingCall extends CallOptions {
  /** Whom it is for. */
  readonly peer: AnyPeer;
  /** What is called. */
  readonly method: string;
  /** With what. */
  readonly input: unknown;
  /** What is sent along, item by item. */
  readonly stream?: Streamable<unknown>;
}

/** A call that came: what its handler gets as its second argument, and the input. */
export interface IncomingCall extends CallContext<AnyPeer, unknown> {
  /** What its handler gets as its first argument. */
  readonly input: unknown;
}

/** A message that is about to be sent. */
export interface OutgoingMessage extends SendOptions {
  /** Whom it is for; `undefined`: it is a broadcast. */
  readonly peer: AnyPeer | undefined;
  /** What is sent. */
  readonly body: unknown;
}

/** A message that came. */
export interface IncomingMessage extends Message<unknown> {
  /** Who sent it. */
  readonly peer: AnyPeer;
}

/**
 * Sees what passes, and may change it, refuse it by throwing, or repeat it. All members are optional.
 *
 * @example
 * ```ts
 * import { connect, type Interceptor, RpcError, serve, text } from "@vgo/vnet";
 * import { assertEquals } from "@std/assert";
 *
 * const log: string[] = [];
 * const logged: Interceptor = {
 *   async handle(call, next) {
 *     try {
 *       return await next();
 *     } finally {
 *       log.push(`${call.peer.id} called ${call.method}`);
 *     }
 *   },
 * };
 * const retried: Interceptor = {
 *   async call(call, next) {
 *     try {
 *       return await next(call);
 *     } catch (error) {
 *       // "no": its handler surely was not started, so that once more does no harm.
 *       if (!(error instanceof RpcError && error.retryable && error.executed === "no")) throw error;
 *       return await next(call);
 *     }
 *   },
 * };
 * await using server = await serve("127.0.0.1:0", {
 *   serializer: text(),
 *   methods: { greet: (name) => `hello, ${name}` },
 *   interceptors: [logged],
 * });
 * await using client = await connect(server.addr, {
 *   id: "ann",
 *   serializer: text(),
 *   interceptors: [retried],
 * });
 * assertEquals(await client.call("greet", "world"), "hello, world");
 * assertEquals(log, ["ann called greet"]);
 * ```
 */
export interface Interceptor {
  /** A call that this end makes. Its promise is the caller's. */
  call?(call: OutgoingCall, next: (call: OutgoingCall) => Promise<unknown>): Promise<unknown>;
  /** A call that this end makes and that is answered item by item. */
  stream?(
    call: OutgoingCall,
    next: (call: OutgoingCall) => CallStream<unknown>,
  ): CallStream<unknown>;
  /**
   * A call that the other end makes. `next` gives what the handler gave, which is an `AsyncIterable` when it
   * answers item by item. An `RpcError` that is thrown here is the caller's answer.
   */
  handle?(call: IncomingCall, next: () => Promise<unknown>): Promise<unknown>;
  /**
   * A message that this end sends, once for a broadcast. `next` gives what `send`, `trySend`, `push` or
   * `broadcast` gives, which must be given back.
   */
  send?<R>(message: OutgoingMessage, next: (message: OutgoingMessage) => R): R;
  /**
   * A message that came. `next` hands it to the application, and gives what `onMessage` gave (nothing, where
   * a loop reads); without it the message is gone. The next message waits for the promise that this gives.
   */
  receive?(message: IncomingMessage, next: () => unknown): unknown;
}

/** A list of interceptors, ready to be called. A member is `undefined` where nobody is interested. */
export interface Interception {
  /** Makes a call. */
  readonly call: Chain<OutgoingCall, Promise<unknown>> | undefined;
  /** Makes a call that is answered item by item. */
  readonly stream: Chain<OutgoingCall, CallStream<unknown>> | undefined;
  /** Answers a call. */
  readonly handle:
    | ((call: IncomingCall, last: () => Promise<unknown>) => Promise<unknown>)
    | undefined;
  /** Sends a message. */
  readonly send:
    | (<R>(message: OutgoingMessage, last: (message: OutgoingMessage) => R) => R)
    | undefined;
  /** Takes a message. */
  readonly receive: ((message: IncomingMessage, last: () => unknown) => unknown) | undefined;
}

type Chain<T, R> = (thing: T, last: (thing: T) => R) => R;

/** Nobody is interested. */
export const NO_INTERCEPTION: Interception = {
  call: undefined,
  stream: undefined,
  handle: undefined,
  send: undefined,
  receive: undefined,
};

/** Puts a list in order. @throws {TypeError} when one of them is none */
export function intercept(list: readonly Interceptor[] | undefined): Interception {
  if (list === undefined || list.length === 0) return NO_INTERCEPTION;
  for (const one of list) {
    if (typeof one === "object" && one !== null) continue;
    throw new TypeError(
      `Cannot use options as 'interceptors' must hold objects: current value is a ${typeof one}`,
    );
  }
  const calls = list.filter((one) => one.call !== undefined);
  const streams = list.filter((one) => one.stream !== undefined);
  const handles = list.filter((one) => one.handle !== undefined);
  const sends = list.filter((one) => one.send !== undefined);
  const receives = list.filter((one) => one.receive !== undefined);
  return {
    call: calls.length === 0 ? undefined : (call, last) => makeCall(calls, 0, call, last),
    stream: streams.length === 0 ? undefined : (call, last) => makeStream(streams, 0, call, last),
    handle: handles.length === 0 ? undefined : (call, last) => answer(handles, 0, call, last),
    send: sends.length === 0 ? undefined : (message, last) => send(sends, 0, message, last),
    receive: receives.length === 0
      ? undefined
      : (message, last) => receive(receives, 0, message, last),
  };
}

function makeCall(
  list: readonly Interceptor[],
  at: number,
  call: OutgoingCall,
  last: (call: OutgoingCall) => Promise<unknown>,
): Promise<unknown> {
  const one = list[at];
  if (one?.call === undefined) return last(call);
  return one.call(call, (call) => makeCall(list, at + 1, call, last));
}

function makeStream(
  list: readonly Interceptor[],
  at: number,
  call: OutgoingCall,
  last: (call: OutgoingCall) => CallStream<unknown>,
): CallStream<unknown> {
  const one = list[at];
  if (one?.stream === undefined) return last(call);
  return one.stream(call, (call) => makeStream(list, at + 1, call, last));
}

function answer(
  list: readonly Interceptor[],
  at: number,
  call: IncomingCall,
  last: () => Promise<unknown>,
): Promise<unknown> {
  const one = list[at];
  if (one?.handle === undefined) return last();
  return one.handle(call, () => answer(list, at + 1, call, last));
}

function send<R>(
  list: readonly Interceptor[],
  at: number,
  message: OutgoingMessage,
  last: (message: OutgoingMessage) => R,
): R {
  const one = list[at];
  if (one?.send === undefined) return last(message);
  return one.send(message, (message) => send(list, at + 1, message, last));
}

function receive(
  list: readonly Interceptor[],
  at: number,
  message: IncomingMessage,
  last: () => unknown,
): unknown {
  const one = list[at];
  if (one?.receive === undefined) return last();
  return one.receive(message, () => receive(list, at + 1, message, last));
}
