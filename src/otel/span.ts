/**
 * One call under way: its span, and its place in the histogram of durations.
 *
 * 1. It ends once, by whatever comes first.
 * 2. To look at what was thrown may itself throw: that is nobody's error.
 */
import {
  type Attributes,
  type AttributeValue,
  type Histogram,
  type Span,
  SpanStatusCode,
} from "@opentelemetry/api";
import type { Addr } from "../base/addr.ts";
import { RpcError } from "../base/errors.ts";
import type { AnyPeer } from "../peer/peer.ts";
import type { Outcome } from "./outcome.ts";

/** The value of `rpc.system.name` and `messaging.system`. */
export const SYSTEM = "vnet";

/** What a call under way is made of. */
export interface CallSpanInit {
  readonly span: Span;
  readonly durations: Histogram;
  /** The method, as it labels the metric. */
  readonly method: string;
}

/** One call under way. */
export class CallSpan {
  readonly #init: CallSpanInit;
  readonly #start = performance.now();
  #over = false;

  constructor(init: CallSpanInit) {
    this.#init = init;
  }

  /** It has ended. */
  end(outcome: Outcome): void {
    if (this.#over) return;
    this.#over = true;
    const { span, durations, method } = this.#init;
    const attributes = attributesOf(outcome);
    const seconds = (performance.now() - this.#start) / 1_000;
    durations.record(seconds, {
      "rpc.system.name": SYSTEM,
      "rpc.method": method,
      ...attributes,
    });
    span.setAttributes(attributes);
    describe(span, outcome);
    span.end();
  }
}

/** A span of something else than a call failed. */
export function failSpan(span: Span, error: unknown): void {
  describe(span, { code: undefined, errorType: undefined, fault: true, error });
}

/** Where a call or a message goes. */
export function outgoingAttributes(peer: AnyPeer | undefined): Attributes {
  return peer === undefined ? {} : { ...addressed("server", peer.remoteAddr), ...client(peer) };
}

/** Where a call or a message comes from. */
export function incomingAttributes(peer: AnyPeer): Attributes {
  return {
    ...addressed("server", peer.localAddr),
    ...addressed("client", peer.remoteAddr),
    ...client(peer),
  };
}

function client({ id }: AnyPeer): Attributes {
  return { "vnet.client.id": id };
}

function addressed(
  role: "client" | "server",
  { transport, hostname, port, path }: Addr,
): Attributes {
  if (transport === "unix") return { [`${role}.address`]: path };
  if (hostname === "") return {};
  return { [`${role}.address`]: hostname, [`${role}.port`]: port };
}

function attributesOf({ code, errorType }: Outcome): Attributes {
  const attributes: Record<string, AttributeValue> = {};
  if (code !== undefined) attributes["rpc.response.status_code"] = code;
  if (errorType !== undefined) attributes["error.type"] = errorType;
  return attributes;
}

function describe(span: Span, { code, fault, error }: Outcome): void {
  if (!span.isRecording()) return;
  try {
    if (error instanceof RpcError) span.setAttribute("vnet.executed", error.executed);
    if (!fault) return;
    const message = error instanceof Error ? error.message : String(error);
    span.recordException(error instanceof Error ? error : message);
    span.setStatus({
      code: SpanStatusCode.ERROR,
      message: code === undefined || code === message ? message : `${code}: ${message}`,
    });
  } catch {
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
}
