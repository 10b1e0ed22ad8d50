/**
 * What OpenTelemetry is told of calls, and what travels with them.
 *
 * 1. What happens to a call does not change by being watched, but for its metadata.
 * 2. Where no SDK is registered there is no interceptor.
 * 3. The span of a handler is active while it runs. That of a caller is not: what a session begins in
 *    the middle of a call, and goes on with after it, must not be taken for a part of it.
 */
import {
  type Context,
  context,
  createNoopMeter,
  metrics,
  propagation,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type SpanOptions,
  trace,
} from "@opentelemetry/api";
import type {
  IncomingCall,
  IncomingMessage,
  Interceptor,
  OutgoingCall,
  OutgoingMessage,
} from "../peer/interceptors.ts";
import type { CallContext, CallStream } from "../peer/call_options.ts";
import type { AnyPeer } from "../peer/peer.ts";
import { type Carrier, getter, setter } from "./carrier.ts";
import { Instruments, METER, type Role } from "./instruments.ts";
import { type ItemWatch, WatchedStream, watchItems } from "./items.ts";
import { callerOutcome, handlerOutcome, LEFT, leftOutcome, OK } from "./outcome.ts";
import { CallSpan, failSpan, incomingAttributes, outgoingAttributes, SYSTEM } from "./span.ts";
import { type ObservedPeer, type ObservedServer, trafficOf } from "./traffic.ts";

/** Options of {@linkcode telemetry}. */
export interface TelemetryOptions {
  /**
   * Whether callers are strangers: a call of theirs begins a trace of its own, with a link to theirs,
   * and nothing else that they say of it is taken over. @default {false}
   */
  readonly publicEndpoint?: boolean;
  /**
   * Whether messages have spans as well, each of its own: a message carries no metadata, so that the
   * span of its receiver cannot know that of its sender. @default {false}
   */
  readonly messages?: boolean;
  /** So many methods are told apart by metrics; the others are `"_OTHER"`. @default {256} */
  readonly maxMethods?: number;
}

/** What {@linkcode telemetry} gives. */
export interface Telemetry {
  /**
   * Makes spans of calls and measures them: a `CLIENT` span where a call is made, a `SERVER` span where
   * it is answered; that of a stream ends with its last item. What stands before it in the list is outside
   * of the span: put it before what retries, and all tries are in one.
   *
   * To be had when a server or a client is made: it is empty until an SDK is registered (a tracer or
   * meter provider, with the OpenTelemetry API).
   */
  readonly interceptor: Interceptor;
  /**
   * Counts the connections, bytes and messages of a server, a client or a peer, until that has closed
   * or this is disposed of. A server counts for all of its clients.
   */
  observe(target: ObservedServer | ObservedPeer): Disposable;
}

/**
 * Spans and metrics of calls, by OpenTelemetry's conventions for remote procedure calls
 * (https://opentelemetry.io/docs/specs/semconv/rpc/).
 *
 * The trace travels in the metadata of a call, as the propagators that are registered write it: mostly
 * W3C Trace Context, which is `traceparent` and `tracestate`. A call that a handler makes goes on with it
 * where the handler's span is active, or where it says for which call it is made (`parent`).
 *
 * A call that is refused before its handler is asked (there is no such method, the input does not fit)
 * shows at its caller only, and so does an answer that does not fit.
 *
 * @example
 * ```ts
 * import { connect, serve, text } from "@vgo/vnet";
 * import { telemetry } from "@vgo/vnet/otel";
 * import { assertEquals } from "@std/assert";
 *
 * const interceptors = [telemetry().interceptor];
 * await using backend = await serve("127.0.0.1:0", {
 *   serializer: text(),
 *   methods: { work: (input) => input.toUpperCase() },
 *   interceptors,
 * });
 * await using worker = await connect(backend.addr, { serializer: text(), interceptors });
 * await using gateway = await serve("127.0.0.1:0", {
 *   serializer: text(),
 *   // One trace: client, gateway, backend.
 *   methods: { relay: (input, call) => worker.call("work", input, { parent: call }) },
 *   interceptors,
 * });
 * await using client = await connect(gateway.addr, { serializer: text(), interceptors });
 * assertEquals(await client.call("relay", "abc"), "ABC");
 * ```
 *
 * @throws {RangeError} when `maxMethods` is no whole number from 0
 */
export function telemetry(options: TelemetryOptions = {}): Telemetry {
  const settings = { ...DEFAULTS, ...options };
  const { maxMethods } = settings;
  if (!Number.isInteger(maxMethods) || maxMethods < 0) {
    throw new RangeError(
      `Cannot use options as 'maxMethods' must be a whole number from 0: current value is ${maxMethods}`,
    );
  }
  let interceptor: Interceptor | undefined;
  return {
    get interceptor() {
      if (interceptor !== undefined) return interceptor;
      return listened() ? interceptor = new Calls(settings).interceptor() : NOBODY;
    },
    observe(target) {
      return trafficOf(metrics.getMeterProvider()).observe(target);
    },
  };
}

type Settings = Required<TelemetryOptions>;

const DEFAULTS: Settings = { publicEndpoint: false, messages: false, maxMethods: 256 };
const NOBODY: Interceptor = Object.freeze({});

/** The traces that calls which are being answered belong to, whichever telemetry knows of them. */
const contexts = new WeakMap<CallContext<AnyPeer, unknown>, Context>();

/** Whether anybody is told anything. */
function listened(): boolean {
  const tracers = trace.getTracerProvider();
  const traced = !(tracers instanceof ProxyTracerProvider) ||
    tracers.getDelegateTracer(METER) !== undefined;
  return traced || metrics.getMeter(METER) !== createNoopMeter() || propagation.fields().length > 0;
}

/** The interceptor of calls and messages. */
class Calls {
  readonly #settings: Settings;
  readonly #instruments: Instruments;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#instruments = new Instruments(settings.maxMethods);
  }

  interceptor(): Interceptor {
    const calls: Interceptor = {
      call: (call, next) => this.#call(call, next),
      stream: (call, next) => this.#stream(call, next),
      handle: (call, next) => this.#handle(call, next),
    };
    if (!this.#settings.messages) return calls;
    return {
      ...calls,
      send: (message, next) => this.#send(message, next),
      receive: (message, next) => this.#receive(message, next),
    };
  }

  // ── calls that this end makes ──

  async #call(
    call: OutgoingCall,
    next: (call: OutgoingCall) => Promise<unknown>,
  ): Promise<unknown> {
    const { running, traced } = this.#begin(call);
    try {
      const result = await next(traced);
      running.end(OK);
      return result;
    } catch (error) {
      running.end(callerOutcome(error, call.signal));
      throw error;
    }
  }

  #stream(
    call: OutgoingCall,
    next: (call: OutgoingCall) => CallStream<unknown>,
  ): CallStream<unknown> {
    const { running, traced } = this.#begin(call);
    const watch: ItemWatch = {
      ended: () => running.end(OK),
      failed: (error) => running.end(callerOutcome(error, call.signal)),
      left: () => running.end(LEFT),
    };
    try {
      return new WatchedStream(next(traced), watch);
    } catch (error) {
      watch.failed(error);
      throw error;
    }
  }

  #begin(call: OutgoingCall): { readonly running: CallSpan; readonly traced: OutgoingCall } {
    const parent = parentOf(call);
    const attributes = outgoingAttributes(call.peer);
    const span = this.#span(call.method, { kind: SpanKind.CLIENT, attributes }, parent);
    const carrier: Carrier = {};
    propagation.inject(trace.setSpan(parent, span), carrier, setter);
    const traced = { ...call, metadata: { ...call.metadata, ...carrier } };
    return { running: this.#running(span, "client", call.method), traced };
  }

  // ── calls that the other end makes ──

  async #handle(call: IncomingCall, next: () => Promise<unknown>): Promise<unknown> {
    const { span, within } = this.#accept(call);
    contexts.set(call, within);
    const running = this.#running(span, "server", call.method);
    const failed = (error: unknown) => running.end(handlerOutcome(error, call));
    try {
      const result = await context.with(within, next);
      if (isAsyncIterable(result)) {
        const watch = {
          ended: () => running.end(OK),
          failed,
          left: () => running.end(leftOutcome(call)),
        };
        return watchItems(result, watch, (step) => context.with(within, step));
      }
      running.end(OK);
      return result;
    } catch (error) {
      failed(error);
      throw error;
    }
  }

  #accept({ method, metadata, peer }: IncomingCall): {
    readonly span: Span;
    readonly within: Context;
  } {
    // Not what is active: that is whatever the session was once begun in.
    const remote = propagation.extract(ROOT_CONTEXT, metadata, getter);
    const options = { kind: SpanKind.SERVER, attributes: incomingAttributes(peer) };
    if (!this.#settings.publicEndpoint) {
      const span = this.#span(method, options, remote);
      return { span, within: trace.setSpan(remote, span) };
    }
    const theirs = trace.getSpanContext(remote);
    const links = theirs === undefined ? [] : [{ context: theirs }];
    const span = this.#span(method, { ...options, links }, ROOT_CONTEXT);
    return { span, within: trace.setSpan(ROOT_CONTEXT, span) };
  }

  #span(method: string, { attributes, ...options }: SpanOptions, parent: Context): Span {
    const all = { "rpc.system.name": SYSTEM, "rpc.method": method, ...attributes };
    return this.#instruments.tracer.startSpan(method, { ...options, attributes: all }, parent);
  }

  #running(span: Span, role: Role, method: string): CallSpan {
    const instruments = this.#instruments;
    const durations = instruments.durations(role);
    return new CallSpan({ span, durations, method: instruments.bounded(method) });
  }

  // ── messages ──

  #send<R>(message: OutgoingMessage, next: (message: OutgoingMessage) => R): R {
    const { peer, topic = "" } = message;
    const span = this.#messageSpan("send", SpanKind.PRODUCER, topic, outgoingAttributes(peer));
    return during(span, () => {
      const result = next(message);
      // What `trySend` gives: "full" is no error, and worth knowing.
      if (typeof result === "string") span.setAttribute("vnet.outcome", result);
      return result;
    });
  }

  #receive({ peer, topic }: IncomingMessage, next: () => unknown): unknown {
    const attributes = incomingAttributes(peer);
    const span = this.#messageSpan("process", SpanKind.CONSUMER, topic, attributes);
    return context.with(trace.setSpan(ROOT_CONTEXT, span), () => during(span, next));
  }

  #messageSpan(
    operation: "send" | "process",
    kind: SpanKind,
    topic: string,
    more: SpanOptions["attributes"],
  ): Span {
    const attributes = {
      "messaging.system": SYSTEM,
      "messaging.operation.name": operation,
      "messaging.operation.type": operation,
      "messaging.destination.name": topic,
      ...more,
    };
    const parent = operation === "send" ? context.active() : ROOT_CONTEXT;
    // The topic may come from the other end, and the names of spans must be few.
    return this.#instruments.tracer.startSpan(operation, { kind, attributes }, parent);
  }
}

/** What a call belongs to: the call that it is made for, or what is active. */
function parentOf({ parent }: OutgoingCall): Context {
  const active = context.active();
  const within = parent && contexts.get(parent);
  if (within === undefined) return active;
  // A handler may have begun a span of its own.
  const traceId = trace.getSpanContext(within)?.traceId;
  return traceId !== undefined && trace.getSpanContext(active)?.traceId === traceId
    ? active
    : within;
}

/** Ends a span when what runs within it has settled, and gives what that gave. */
function during<R>(span: Span, run: () => R): R {
  try {
    const result = run();
    if (result instanceof Promise) {
      result.then(() => span.end(), (error) => {
        failSpan(span, error);
        span.end();
      });
    } else {
      span.end();
    }
    return result;
  } catch (error) {
    failSpan(span, error);
    span.end();
    throw error;
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
