/**
 * What a peer's core is made with, and who owns it.
 */
import type { Bytes, Clock, Logger, Side, WaitOptions } from "../base/types.ts";
import type { DrainInfo } from "../base/lifecycle.ts";
import type { Message } from "../contract/types.ts";
import type { SessionEnd } from "../session/events.ts";
import type { Hello, Welcome } from "../wire/handshake.ts";
import type { AnyHandler } from "./call_options.ts";
import type { SessionSettings } from "./options.ts";
import type { AnyPeer } from "./peer.ts";

/** Where a peer is in its life. */
export type PeerState = "connecting" | "open" | "waiting" | "draining" | "closed";

/** Options of `send`. */
export interface SendOptions extends WaitOptions {
  /** A label for the other end's handler. @default {""} */
  readonly topic?: string;
}

/** Turns bodies into bytes and back, without types. */
export interface AnySerializer {
  readonly name: string;
  serialize(value: unknown): Uint8Array;
  deserialize(bytes: Bytes): unknown;
}

/** Who owns a core, and decides what its ends mean. */
export interface CoreOwner {
  /** A message for the application; `undefined` where it iterates. */
  readonly onMessage: ((message: Message<unknown>) => unknown) | undefined;
  /** The peer, as the application knows it. */
  peer(): AnyPeer;
  /** What the application answers calls of a method with, whichever peer makes them. */
  handler(method: string): AnyHandler | undefined;
  /** Server: a client asks to register. */
  helloReceived(hello: Hello): void;
  /** The session is open. */
  sessionOpened(welcome: Welcome | undefined): void;
  /** The session is over; `opened`: it was open before. The core is not closed by that. */
  sessionEnded(end: SessionEnd, opened: boolean): void;
  /** The other end asks to go, and to come back after so many ms. */
  goawayReceived(retryAfter: number): void;
  /** The core has ended for good. */
  finalized(info: DrainInfo): void;
  /** Something of the application threw. */
  report(error: unknown): void;
}

/** What a core is made with. */
export interface CoreOptions {
  readonly side: Side;
  readonly id: string;
  readonly settings: SessionSettings;
  readonly serializer: AnySerializer;
  readonly clock: Clock;
  readonly logger: Logger | undefined;
}
