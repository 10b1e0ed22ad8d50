/**
 * What a core consists of beside its links: what arrives, what is sent, and the calls.
 *
 * Owns when they are made, and what they know of their core: it is the host of each of them, and the base
 * of the core and no object of its own, since there may be very many. Says nothing of how a peer lives
 * and ends.
 *
 * 1. A part is made when it is first used. Whoever only looks makes none: most peers are quiet.
 */
import type { Clock, Queued } from "../base/types.ts";
import { ProtocolError, type VnetError } from "../base/errors.ts";
import type { CloseInfo } from "../base/lifecycle.ts";
import { RESOLVED } from "../base/resolved.ts";
import type { CallMachine } from "../session/call_machine.ts";
import type { RequestLane } from "../session/calls.ts";
import type { Backlog } from "../session/events.ts";
import type { ByteBudget, Outbox } from "../session/outbox.ts";
import type { AnyHandler } from "./call_options.ts";
import { type CallsHost, PeerCalls } from "./calls.ts";
import type { SessionDriver } from "./driver.ts";
import { Inbox, type InboxHost } from "./inbox.ts";
import type { Interception } from "./interceptors.ts";
import type { LimitName, SessionSettings } from "./options.ts";
import type {
  AnySerializer,
  CoreOptions,
  CoreOwner,
  DropPolicy,
  MessageHandler,
  PeerState,
} from "./owner.ts";
import type { AnyPeer } from "./peer.ts";
import type { PeerLog } from "./peer_log.ts";
import { type OpenLink, SendQueue, type SendQueueHost } from "./send_queue.ts";
import { Sender, type SenderHost } from "./sender.ts";
import type { Counters } from "./stats.ts";

/** The base of a core. */
export abstract class PeerParts
  implements InboxHost, SendQueueHost, SenderHost, CallsHost, Backlog {
  abstract readonly state: PeerState;
  abstract readonly counters: Counters;
  /** The newest session and its link. */
  abstract readonly driver: SessionDriver | undefined;
  protected readonly options: CoreOptions;
  protected readonly owner: CoreOwner;
  #inbox: Inbox | undefined;
  #queue: SendQueue | undefined;
  #sender: Sender | undefined;
  #calls: PeerCalls | undefined;
  #order = 0;

  constructor(options: CoreOptions, owner: CoreOwner) {
    this.options = options;
    this.owner = owner;
  }

  /** What arrives. */
  get inbox(): Inbox {
    if (this.#inbox === undefined) {
      this.#inbox = new Inbox(this);
      if (this.state === "closed") this.#inbox.close();
    }
    return this.#inbox;
  }

  /** What is to be sent. */
  get queue(): SendQueue {
    return this.#queue ??= new SendQueue(this);
  }

  /** What turns values into what is to be sent. */
  get sender(): Sender {
    return this.#sender ??= new Sender(this);
  }

  /** The calls, both ways. */
  get calls(): PeerCalls {
    return this.#calls ??= new PeerCalls(this);
  }

  // ── for whoever only looks ──

  /** What waits to be sent. */
  get queued(): Queued {
    return this.#queue?.queued ?? { bytes: this.inFlight(), frames: 0 };
  }

  /** Messages that wait for the application. */
  get unread(): number {
    return this.#inbox?.size ?? 0;
  }

  /** Resolves when there is room for more. */
  get ready(): Promise<void> {
    return this.#queue?.ready ?? RESOLVED;
  }

  /** Calls whose callers wait. */
  protected get callsWaiting(): number {
    return this.#calls?.outgoing.size ?? 0;
  }

  get messages(): number {
    return this.#queue?.outbox.frames ?? 0;
  }

  get requests(): number {
    return this.#calls?.outgoing.lane.size ?? 0;
  }

  /** Something has left the queue. */
  protected checkRoom(): void {
    this.#queue?.checkRoom();
  }

  /** Hardly anything was written for a while. */
  onQuiet(): void {
    this.#queue?.outbox.release();
  }

  /** A link is over: what was handed to it in part goes out again. */
  protected rewind(): void {
    this.#queue?.outbox.rewind();
  }

  /** The peer is over: forgets what waits to be sent, and tells how much that was. */
  protected clearQueue(error: VnetError): Queued {
    const unsent = this.#queue?.outbox.clear() ?? { bytes: 0, frames: 0 };
    this.#queue?.fail(error);
    return unsent;
  }

  /** The peer is over: no calls, and no messages but those that are here. */
  protected endParts(reason: string): void {
    this.#calls?.end(reason);
    this.#inbox?.close();
  }

  /** Forgets what has arrived. */
  protected abortInbox(): void {
    this.#inbox?.abort();
  }

  // ── what the parts and the sessions ask and tell ──

  get outbox(): Outbox {
    return this.queue.outbox;
  }

  get lane(): RequestLane {
    return this.calls.outgoing.lane;
  }

  get clock(): Clock {
    return this.options.clock;
  }

  get serializer(): AnySerializer {
    return this.options.serializer;
  }

  get settings(): SessionSettings {
    return this.options.settings;
  }

  get interception(): Interception {
    return this.options.interception;
  }

  get budget(): ByteBudget | undefined {
    return this.options.budget;
  }

  get callTimeout(): number {
    return this.options.settings.callTimeout;
  }

  get maxWaiting(): number {
    return this.options.settings.limits.maxInFlight;
  }

  get maxWaitingBytes(): number {
    const { maxQueuedBytes, maxMessageLength } = this.options.settings.limits;
    return Math.max(maxQueuedBytes, maxMessageLength);
  }

  get listener(): MessageHandler | undefined {
    return this.owner.onMessage;
  }

  abstract sendRefusal(): VnetError | undefined;
  abstract callRefusal(nested: boolean): string | undefined;
  abstract taken(): boolean;
  abstract settled(): void;
  /** Ends the session with a word, and the peer with it, without waiting for what is queued. */
  abstract end(code: CloseInfo["code"], reason: string): void;
  /** What is logged of it. */
  protected abstract readonly log: PeerLog;

  peer(): AnyPeer {
    return this.owner.peer();
  }

  machine(): CallMachine | undefined {
    return this.driver?.machine.calls;
  }

  inFlight(): number {
    return this.driver?.link.inFlight ?? 0;
  }

  openLink(): OpenLink | undefined {
    return this.state === "open" ? this.driver?.link : undefined;
  }

  wake(): void {
    this.driver?.link.wake();
  }

  nextOrder(): number {
    return this.#order++;
  }

  undecodable(cause: unknown): void {
    this.counters.dropped++;
    const message =
      "Cannot take message as its body is none for the serializer, or does not fit the contract";
    this.report(new ProtocolError("BAD_FRAME", message, { cause }));
  }

  report(error: unknown): void {
    this.owner.report(error);
  }

  handler(method: string): AnyHandler | undefined {
    return this.owner.handler(method);
  }

  dropped(frames: number, bytes: number, policy: DropPolicy): void {
    this.owner.dropped(frames, bytes, policy);
  }

  limitMet(limit: LimitName, value: number): void {
    this.owner.limitMet(limit, value);
  }

  slow(): void {
    this.log.slow(this.queued.bytes);
  }

  caughtUp(dropped: number): void {
    this.log.caughtUp(dropped);
  }

  tooSlow(reason: string): void {
    this.end("SLOW_CONSUMER", reason);
  }
}
