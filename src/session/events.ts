/**
 * What a session machine is made with, and what it tells.
 */
import type { Side } from "../base/types.ts";
import type { CloseInfo } from "../base/lifecycle.ts";
import type { Hello, Welcome, WireLimits } from "../wire/handshake.ts";
import type { CallEvents, RequestLane } from "./calls.ts";
import type { MessageEvents } from "./message_reader.ts";
import type { WrittenEvents } from "./message_writer.ts";
import type { Outbox } from "./outbox.ts";
import type { Rates } from "./rate.ts";

/** What a machine is made with, and shares with all of its owner's. Times in ms. */
export interface MachineSettings {
  readonly side: Side;
  /** What we accept. */
  readonly limits: WireLimits;
  /** Compared with the other end's. */
  readonly serializer: string;
  readonly heartbeat: { readonly interval: number; readonly timeout: number } | false;
  readonly handshakeTimeout: number;
  readonly frameTimeout: number;
  readonly writeTimeout: number;
  /** How fast the other end may send. @default {as it can} */
  readonly rates?: Rates;
}

/** How a session ended. */
export interface SessionEnd extends CloseInfo {
  /** How long the other end asks to wait before the next try, in ms; 0 when it did not say. */
  readonly retryAfter: number;
  /** The other end does not speak vnet at all. */
  readonly wrongProtocol: boolean;
  /** Calls that it cut, of both ends. */
  readonly openCalls: number;
}

/** What waits to be written; it outlives sessions. */
export interface Backlog {
  /** How many messages there are. */
  readonly messages: number;
  /** How many calls. */
  readonly requests: number;
  /** The messages. Whoever wants to know only whether there are any does not ask for them. */
  readonly outbox: Outbox;
  /** The calls; likewise. */
  readonly lane: RequestLane;
}

/** What flows. Told synchronously, from inside the call that caused it, as is all that follows. */
export interface FlowEvents extends MessageEvents, WrittenEvents, CallEvents {
  /** Server: a client asks to register. Answer with `welcome` or `reject`, now or later. */
  onHello(hello: Hello): void;
  /** A PONG came that answers the PING with this number, after so many ms. */
  onPong(opaque: number, roundTrip: number): void;
  /** The other end is going away; come back after so many ms. */
  onGoaway(retryAfter: number): void;
}

/** Whom a machine tells what flows, and whose backlog it writes. */
export type MachineHost = FlowEvents & Backlog;

/** How a session begins and ends. */
export interface LifeEvents {
  /** The session is open. `welcome` is what the client got. */
  onOpen(limits: WireLimits, welcome: Welcome | undefined): void;
  /** It is over. Output may remain: flush it, then close the link. */
  onEnd(end: SessionEnd): void;
}
