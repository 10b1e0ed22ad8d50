/**
 * What a peer is, whichever side it is on and whatever its types say.
 *
 * Owns what outlives a link: the queue of what is to be sent, what has arrived, counters, waits, and
 * the three endings. A driver per link comes and goes. What to do when one has ended is the owner's
 * business: a client dials again, a server's peer is over.
 *
 *   connecting ──> open <──> waiting        draining ──> closed, from any of them
 */
import type { Bytes, Initiator, Side, Transport, WaitOptions } from "../base/types.ts";
import { Addr } from "../base/addr.ts";
import { ClosedError, ProtocolError, VnetError } from "../base/errors.ts";
import type { CloseInfo, CloseOptions, DrainInfo } from "../base/lifecycle.ts";
import type { Cast } from "../session/cast.ts";
import type { CallEvents, RunningCall } from "../session/calls.ts";
import type { SessionEnd } from "../session/events.ts";
import type { Holdup } from "../session/rate.ts";
import { PRE_WELCOME_MAX } from "../wire/constants.ts";
import type { Hello, Welcome, WireLimits } from "../wire/handshake.ts";
import { type Link, linkOf } from "../stream/link.ts";
import { inWords } from "./abort_with.ts";
import { AWARE_TIMEOUT, Drain, GRACE } from "./drain.ts";
import { type DriverHost, SessionDriver } from "./driver.ts";
import { printable } from "./hooks.ts";
import { LimitTally } from "./limit_tally.ts";
import type { LimitName } from "./options.ts";
import type { CoreOptions, CoreOwner, PeerState } from "./owner.ts";
import { PeerParts } from "./parts.ts";
import { PeerLog } from "./peer_log.ts";
import { PingWaits } from "./ping_waits.ts";
import { tooLarge } from "./send_queue.ts";
import { Counters, type Load, type PeerStats } from "./stats.ts";

const NOWHERE = Addr.of(undefined);

/** A peer without types. */
export class PeerCore extends PeerParts implements DriverHost {
  readonly counters: Counters;
  id: string;
  state: PeerState = "connecting";
  #closed: PromiseWithResolvers<DrainInfo> | undefined;
  #limits: LimitTally | undefined;
  #pings: PingWaits | undefined;
  #log: PeerLog | undefined;
  #driver: SessionDriver | undefined;
  #drain: Drain | undefined;
  /** Whether the other end of the newest session has said that it goes away. */
  #leaving = false;
  #closing: Promise<DrainInfo> | undefined;
  #end: CloseInfo | undefined;
  /** How it has ended, once it has. */
  #outcome: DrainInfo | undefined;
  /** Calls that were open when the peer began to close. */
  #openCalls = 0;
  /** Calls that were open when it ended. */
  #cut: number | undefined;
  /** Calls that the end of the newest session cut. */
  #lost = 0;

  constructor(options: CoreOptions, owner: CoreOwner, id: string) {
    super(options, owner);
    this.id = id;
    this.counters = new Counters(Date.now());
  }

  get side(): Side {
    return this.options.machine.side;
  }

  // ── what flows ──

  /** The statistics without round trips. */
  get load(): Load {
    return this.counters.load(this.openCalls, this.queued);
  }

  get stats(): PeerStats {
    return this.counters.snapshot(this.openCalls, this.queued);
  }

  /** Calls that have not ended, or whose end has not been written. */
  get openCalls(): number {
    return this.callsWaiting + (this.#driver?.machine.answering ?? 0);
  }

  /** The limits that it has met. */
  get limits(): LimitTally {
    return this.#limits ??= new LimitTally(this.options, this.counters, this.owner, this.log);
  }

  ping(options: WaitOptions = {}): Promise<number> {
    const driver = this.#driver;
    if (driver === undefined || !driver.machine.open) {
      return Promise.reject(this.#closedError("Cannot ping as there is no open link"));
    }
    const answer = this.#pingWaits.wait(driver.machine.ping(), options);
    driver.flush();
    return answer;
  }

  /**
   * The frame of a message for many, which has to be given to `write` in this turn; `undefined` where it
   * would have to wait, so that it must be queued.
   */
  cast(cast: Cast, now: number): Bytes | undefined {
    const frame = this.state === "open" ? this.#driver?.cast(cast, now) : undefined;
    if (frame !== undefined) this.counters.messagesOut++;
    return frame;
  }

  /** Writes what `cast` gave. */
  write(frame: Bytes): void {
    this.#driver?.link.write(frame);
  }

  // ── links ──

  /**
   * Starts a session on a connection. `hello`: what a client says first.
   *
   * @throws {TypeError | RangeError} where that cannot be encoded; the connection is as it was then
   */
  run(transport: Transport, hello?: (limits: WireLimits) => Hello): SessionDriver {
    const { machine, clock, alarms } = this.options;
    this.rewind();
    this.#leaving = false;
    const link: Link = linkOf(transport);
    const driver = new SessionDriver(link, machine, clock, alarms, this);
    if (hello !== undefined) driver.machine.hello(hello(machine.limits));
    this.#driver = driver;
    driver.start();
    return driver;
  }

  /** Whether an end has been decided on, so that an ended link is not to be replaced. */
  get ending(): boolean {
    return this.#end !== undefined || this.#closing !== undefined;
  }

  get localAddr(): Addr {
    return this.#driver?.link.localAddr ?? NOWHERE;
  }

  get remoteAddr(): Addr {
    return this.#driver?.link.remoteAddr ?? NOWHERE;
  }

  /** The newest session and its link. */
  get driver(): SessionDriver | undefined {
    return this.#driver;
  }

  // ── endings ──

  /** Resolves when it has ended, and its link is closed. */
  get closed(): Promise<DrainInfo> {
    if (this.#closed === undefined) {
      this.#closed = Promise.withResolvers();
      if (this.#outcome !== undefined && this.#linkGone) this.#closed.resolve(this.#outcome);
    }
    return this.#closed.promise;
  }

  /** `retryAfter`: asks the other end to come back after so many ms, and waits until it knows. */
  close(
    options: CloseOptions = {},
    code: CloseInfo["code"] = "NORMAL",
    retryAfter?: number,
  ): Promise<DrainInfo> {
    const { grace = GRACE, signal } = options;
    // A server that ends does not wait longer for one that was ending before.
    if (retryAfter !== undefined) this.#drain?.wait(this.options.clock, grace, signal);
    this.#closing ??= this.#close(options, code, retryAfter);
    return this.#closing;
  }

  abort(reason?: unknown): void {
    // What is left of a closed peer is its farewell, if anything.
    if (this.state === "closed") return this.#driver?.abort();
    const error = reason instanceof VnetError ? reason : undefined;
    const info: CloseInfo = { code: "ABORTED", reason: inWords(reason), initiator: "local" };
    this.finalize(error === undefined ? info : { ...info, error }, "abort");
    this.abortInbox();
  }

  /** Ends the session with a word, and the peer with it, without waiting for what is queued. */
  end(code: CloseInfo["code"], reason: string, initiator: Initiator = "local"): void {
    if (this.state === "closed") return;
    const driver = this.#driver;
    const info: CloseInfo = { code, reason, initiator };
    // A client that is not open has nobody to take leave of.
    const silent = this.side === "client" && this.state !== "open" && this.state !== "draining";
    if (silent) return this.finalize(info, "abort");
    this.#end ??= info;
    this.#cut = this.openCalls;
    driver?.machine.close(code, reason, initiator);
    driver?.flush();
    this.finalize(info, "linger");
  }

  /** The last step of every end. `linger`: the link may still say its farewell. */
  finalize(info: CloseInfo, how: "linger" | "abort"): void {
    if (this.state === "closed") return;
    const driver = this.#driver;
    this.state = "closed";
    this.#end = info;
    // Before the session ends: the room that the empty queue has is none to wait for.
    const unsent = this.clearQueue(
      this.#closedError("Cannot wait for room as the peer is closed"),
    );
    this.#pings?.reject(this.#closedError("Cannot ping as the peer is closed"));
    const cut = this.#cut ?? this.openCalls + this.#lost;
    const drain: DrainInfo = { ...info, unsent, cut, finished: Math.max(0, this.#openCalls - cut) };
    if (how === "abort") {
      driver?.machine.linkEnded(info.error, false);
      driver?.abort();
    }
    this.endParts("The peer is closed");
    this.#drain?.end();
    this.owner.finalized(drain);
    this.#outcome = drain;
    this.onGone();
  }

  // ── what the machine tells ──

  onHello(hello: Hello): void {
    this.owner.helloReceived(hello);
  }

  onOpen(_limits: WireLimits, welcome: Welcome | undefined): void {
    if (this.state === "closed") return;
    if (this.state !== "draining") this.state = "open";
    this.#lost = 0;
    this.counters.links++;
    this.owner.sessionOpened(welcome);
  }

  onMessage(topic: string, payload: Bytes, cost: number): boolean {
    this.counters.messagesIn++;
    const creditor = this.#driver;
    const { inbox } = this;
    if (creditor === undefined || inbox.push(topic, payload, cost, creditor)) return true;
    if (inbox.size >= 256 && !inbox.hasReader) this.log.unread();
    return false;
  }

  look(): number {
    return this.counters.messagesIn ^ this.unread;
  }

  onRead(bytes: number): void {
    this.counters.bytesIn += bytes;
  }

  onWrote(bytes: number): void {
    this.counters.bytesOut += bytes;
    this.#roomMade();
  }

  newCall(...call: Parameters<CallEvents["newCall"]>): RunningCall {
    return this.calls.newCall(...call);
  }

  onLimit(limit: LimitName, whose: Initiator): void {
    if (whose === "remote") this.limits.met(limit);
    else this.counters.limit(limit);
  }

  onHeld({ limit, until }: Holdup): void {
    this.limits.met(limit, undefined, until);
  }

  onDropped(_bytes: number): void {
    this.counters.dropped++;
  }

  onWritten(count: number): void {
    this.counters.messagesOut += count;
    this.#roomMade();
  }

  onUnsendable(): void {
    this.counters.dropped++;
    this.counters.limit("maxMessageLength");
    this.owner.report(tooLarge());
    this.#roomMade();
  }

  onPong(opaque: number, roundTrip: number): void {
    this.counters.roundTrip(roundTrip);
    this.#pings?.answered(opaque, roundTrip);
  }

  onGoaway(retryAfter: number): void {
    this.#leaving = true;
    this.owner.goawayReceived(retryAfter);
  }

  onEnd(end: SessionEnd): void {
    const opened = this.#driver?.openedAt !== undefined;
    const limit = end.error instanceof ProtocolError ? end.error.limit : undefined;
    if (limit !== undefined) this.limits.met(limit, opened ? undefined : PRE_WELCOME_MAX);
    this.#lost = end.openCalls;
    this.#pings?.reject(this.#closedError("Cannot ping as the link ended", end));
    this.#drain?.end();
    // An end of our own making has a better name than what it did to the link.
    this.owner.sessionEnded({ ...end, ...this.#end }, opened);
    this.#roomMade();
  }

  onGone(): void {
    if (this.#outcome === undefined || !this.#linkGone) return;
    this.#closed?.resolve(this.#outcome);
    this.owner.gone();
  }

  // ── what the parts ask ──

  sendRefusal(): VnetError | undefined {
    if (this.state === "closed" || this.state === "draining") {
      return this.#closedError("Cannot send message as the peer is closed");
    }
    if (this.state === "open" || this.options.settings.queue.offline === "keep") return undefined;
    return this.#closedError("Cannot send message as there is no open link");
  }

  /** A drain lets calls finish that were accepted, and what they call themselves. */
  callRefusal(nested: boolean): string | undefined {
    if (this.state === "draining" && nested) return undefined;
    if (this.state === "closed" || this.state === "draining") return "The peer is closed";
    if (this.options.settings.queue.offline === "keep") return undefined;
    if (this.#leaving) return "The other end is going away";
    return this.state === "open" ? undefined : "There is no open link";
  }

  /** Whether a call of the other end is taken. It may have been made before that end could know. */
  taken(): boolean {
    if (this.state === "open") return true;
    if (this.state !== "draining" || this.#drain?.aware !== false) return false;
    this.#openCalls++;
    return true;
  }

  settled(): void {
    this.#drain?.check();
  }

  protected get log(): PeerLog {
    return this.#log ??= new PeerLog(this.options.log, this);
  }

  // ── private ──

  /** Whether no link is left, not even one that says its farewell. */
  get #linkGone(): boolean {
    return this.#driver?.gone ?? true;
  }

  get #pingWaits(): PingWaits {
    return this.#pings ??= new PingWaits(this.options.clock);
  }

  #roomMade(): void {
    this.settled();
    this.checkRoom();
  }

  async #close(
    { grace = GRACE, reason = "", signal }: CloseOptions,
    code: CloseInfo["code"],
    retryAfter: number | undefined,
  ): Promise<DrainInfo> {
    if (this.state === "open") {
      this.state = "draining";
      this.#openCalls = this.openCalls;
      const idle = () => this.messages === 0 && this.openCalls === 0;
      const drain = new Drain(idle, retryAfter === undefined);
      this.#drain = drain;
      if (retryAfter !== undefined) this.#sayGoaway(drain, retryAfter, reason, grace);
      if (!idle()) this.log.closing(this.#openCalls, this.messages);
      if (!drain.aware || !idle()) await drain.wait(this.options.clock, grace, signal);
      this.#drain = undefined;
    }
    if (this.#end === undefined) this.end(code, reason);
    return await this.closed;
  }

  #sayGoaway(drain: Drain, retryAfter: number, reason: string, grace: number): void {
    const driver = this.#driver;
    if (driver === undefined) return drain.told();
    const timeout = Math.min(grace, AWARE_TIMEOUT);
    const told = () => drain.told();
    this.#pingWaits.wait(driver.machine.goaway(retryAfter, reason), { timeout }).then(told, told);
    driver.flush();
  }

  #closedError(message: string, end?: CloseInfo): ClosedError {
    const info = end ?? this.#end ??
      { code: "LINK_LOST", reason: "There is no link", initiator: "network" };
    const why = printable(info.reason);
    return new ClosedError(why === "" ? message : `${message}: ${why}`, info);
  }
}
