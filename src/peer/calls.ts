/**
 * The calls of a peer, both ways.
 *
 * Owns the handlers that were given to this peer; those of its server come after them.
 */
import type { LimitName } from "../base/errors.ts";
import type { Bytes } from "../base/types.ts";
import type { CallMachine } from "../session/call_machine.ts";
import type { CallEvents, RunningCall } from "../session/calls.ts";
import type { ReceiveFlow } from "../session/flows.ts";
import type { Metadata } from "../wire/metadata.ts";
import { builtIn, demandMethod } from "./bodies.ts";
import type { AnyHandler } from "./call_options.ts";
import { HandlerContext } from "./handler_context.ts";
import { type Handlers, IncomingCalls, type IncomingHost } from "./incoming_calls.ts";
import { checkName } from "./names.ts";
import { OutgoingCalls, type OutgoingHost } from "./outgoing_calls.ts";
import type { Counters } from "./stats.ts";

/** What the calls of a peer need of it. */
export interface CallsHost extends OutgoingHost, IncomingHost, Handlers {
  readonly counters: Counters;
}

/** The calls of one peer. */
export class PeerCalls implements CallEvents, Handlers {
  /** The calls that the application makes. */
  readonly outgoing: OutgoingCalls;
  /** The calls that the other end makes. */
  readonly incoming: IncomingCalls;
  readonly #host: CallsHost;
  #handlers: HandlerTable | undefined;

  constructor(host: CallsHost) {
    this.#host = host;
    this.outgoing = new OutgoingCalls(host);
    this.incoming = new IncomingCalls(host, this);
  }

  /** Answers calls of a method from now on, until it is disposed of. */
  handle(method: string, handler: AnyHandler): Disposable {
    demandMethod(this.#host.serializer.local, method);
    this.#handlers ??= new HandlerTable();
    return this.#handlers.add(method, handler);
  }

  /** What the peer has of its own, what its owner has for all, what every peer answers. */
  handler(method: string): AnyHandler | undefined {
    return this.#handlers?.get(method) ?? this.#host.handler(method) ??
      builtIn(this.#host.serializer, method);
  }

  newCall(
    calls: CallMachine,
    id: number,
    method: string,
    payload: Bytes,
    metadata: Metadata,
    receiving: ReceiveFlow | undefined,
    deadlineAt: number,
  ): RunningCall {
    this.#host.counters.callsIn++;
    const { incoming } = this;
    return new HandlerContext(
      incoming,
      calls,
      id,
      method,
      payload,
      metadata,
      receiving,
      deadlineAt,
    );
  }

  onLimit(limit: LimitName): void {
    this.#host.counters.limit(limit);
  }

  /** The peer is over. */
  end(reason: string): void {
    this.outgoing.end(reason);
    this.incoming.end();
  }
}

/** Handlers by method. A Map, since a method may be called `__proto__`. */
export class HandlerTable {
  readonly #handlers = new Map<string, AnyHandler>();

  /** The handler of a method. */
  get(method: string): AnyHandler | undefined {
    return this.#handlers.get(method);
  }

  /** @throws {TypeError} when the method has a handler, or this is none */
  add(method: string, handler: AnyHandler): Disposable {
    checkName("method", method);
    if (typeof handler !== "function") {
      throw new TypeError(
        `Cannot handle '${method}' as its handler must be a function: current value is a ${typeof handler}`,
      );
    }
    if (this.#handlers.has(method)) {
      throw new TypeError(`Cannot handle '${method}' as it has a handler already`);
    }
    this.#handlers.set(method, handler);
    return {
      [Symbol.dispose]: () => {
        if (this.#handlers.get(method) === handler) this.#handlers.delete(method);
      },
    };
  }

  /** Adds what `methods` of the options holds. */
  addAll(methods: Readonly<Record<string, AnyHandler>> | undefined): void {
    for (const [method, handler] of Object.entries(methods ?? {})) this.add(method, handler);
  }
}
