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

/** What a machine is made with. Times in ms. */
export interface MachineOptions {
  readonly side: Side;
  /** Whether a preface travels first: on byte transports. */
  readonly preface: boolean;
  /** What we accept. */
  readonly limits: WireLimits;
  /** Compared with the other end's. */
  readonly serializer: string;
  readonly heartbeat: { readonly interval: number; readonly timeout: number } | false;
  readonly handshakeTimeout: number;
  readonly frameTimeout: number;
  readonly writeTimeout: number;
  readonly outbox: Outbox;
  readonly lane: RequestLane;
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

/** What a machine tells. Called synchronously, from inside the call that caused it. */
export interface MachineEvents extends MessageEvents, WrittenEvents, CallEvents {
  /** Server: a client asks to register. Answer with `welcome` or `reject`, now or later. */
  onHello(hello: Hello): void;
  /** The session is open. `welcome` is what the client got. */
  onOpen(limits: WireLimits, welcome: Welcome | undefined): void;
  /** A PONG came that answers the PING with this number, after so many ms. */
  onPong(opaque: number, roundTrip: number): void;
  /** The other end is going away; come back after so many ms. */
  onGoaway(retryAfter: number): void;
  /** It is over. Output may remain: flush it, then close the link. */
  onEnd(end: SessionEnd): void;
}
