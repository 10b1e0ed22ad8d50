/**
 * What a peer's core is made with, and who owns it.
 */
import type { Clock, WaitOptions } from "../base/types.ts";
import type { DrainInfo } from "../base/lifecycle.ts";
import type { ApiBodies, PlainSerializer } from "../contract/bodies.ts";
import type { Description } from "../contract/describe.ts";
import type { Message } from "../contract/types.ts";
import type { MachineSettings, SessionEnd } from "../session/events.ts";
import type { Hello, Welcome } from "../wire/handshake.ts";
import type { Alarms } from "./alarms.ts";
import type { AnyHandler } from "./call_options.ts";
import type { Interception } from "./interceptors.ts";
import type { ByteBudget } from "../session/outbox.ts";
import type { LogSummary } from "./log_summary.ts";
import type { LimitName, Overflow, SessionSettings } from "./options.ts";
import type { AnyPeer } from "./peer.ts";

/** Where a peer is in its life. */
export type PeerState = "connecting" | "open" | "waiting" | "draining" | "closed";

/** Options of `send`. `timeout` and `signal` end the wait, and do not take the message back. */
export interface SendOptions extends WaitOptions {
  /** A label for the other end's handler. @default {""} */
  readonly topic?: string;
  /**
   * Resolve only when the other end has the message in its memory (not: when its handler is through);
   * within `timeout` ms, by default those of `callTimeout`. @default {false}
   */
  readonly ack?: boolean;
  /**
   * Of messages with the same key only the newest waits: it takes the place of the one that waits
   * already. For what is of no use once there is something newer, like a price or a position.
   */
  readonly key?: string;
  /** What becomes of it when there is no room. @default {"queue.overflow", which is "wait"} */
  readonly overflow?: Overflow;
}

/** Why messages were dropped: a policy, or a newer one with the same key. */
export type DropPolicy = Exclude<Overflow, "wait" | "disconnect"> | "key";

/** Turns bodies into bytes and back, without types, and knows what the contract says of them. */
export interface AnySerializer extends PlainSerializer {
  /** What this end understands. */
  readonly local: ApiBodies;
  /** What the other end understands. */
  readonly remote: ApiBodies;
  /** What the contract is, where that may be told. */
  readonly description: (() => Description) | undefined;
}

/** What the application takes messages with. */
export type MessageHandler = (message: Message<unknown>, peer: AnyPeer) => unknown;

/** Who owns a core, and decides what its ends mean. */
export interface CoreOwner {
  /** The application's callback for messages; without one it iterates. Is asked for once per peer. */
  readonly onMessage: MessageHandler | undefined;
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
  /** Its last link is closed as well. */
  gone(): void;
  /** Something of the application threw. */
  report(error: unknown): void;
  /** Messages were dropped since there was no room for them. */
  dropped(frames: number, bytes: number, policy: DropPolicy): void;
  /** A limit was met. */
  limitMet(limit: LimitName, value: number): void;
}

/** What a core is made with, and shares with all of its owner's. */
export interface CoreOptions {
  readonly settings: SessionSettings;
  /** The part of these that its sessions need. */
  readonly machine: MachineSettings;
  readonly serializer: AnySerializer;
  readonly clock: Clock;
  /** What wakes its links, on that clock. */
  readonly alarms: Alarms;
  readonly log: LogSummary;
  /** What stands between the application and its calls and messages. */
  readonly interception: Interception;
  /** What all queues of a server may hold together. */
  readonly budget?: ByteBudget;
}
