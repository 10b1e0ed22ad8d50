/**
 * What a peer is, whichever side it is on and whatever its types say.
 *
 * Owns what outlives a link: the queue of what is to be sent, what has arrived, counters, waits, and
 * the three endings. A driver per link comes and goes. What to do when one has ended is the owner's
 * business: a client dials again, a server's peer is over.
 *
 *   connecting ──> open <──> waiting        draining ──> closed, from any of them
 */
import type { Bytes, Initiator, Queued, Side, Transport, WaitOptions } from "../base/types.ts";
import { Addr } from "../base/addr.ts";
import { ClosedError, LimitError, ProtocolError, VnetError } from "../base/errors.ts";
import type { CloseInfo, CloseOptions, DrainInfo } from "../base/lifecycle.ts";
import { startWait } from "../base/wait.ts";
import type { SessionEnd } from "../session/events.ts";
import { Outbox } from "../session/outbox.ts";
import type { Hello, Welcome, WireLimits } from "../wire/handshake.ts";
import { utf8Length } from "../wire/text.ts";
import { type Link, linkOf } from "../stream/link.ts";
import { inWords } from "./abort_with.ts";
import { type DriverEvents, SessionDriver } from "./driver.ts";
import { Inbox } from "./inbox.ts";
import { wireLimits } from "./options.ts";
import type { CoreOptions, CoreOwner, PeerState, SendOptions } from "./owner.ts";
import { PingWaits } from "./ping_waits.ts";
import { Counters, type PeerStats } from "./stats.ts";

const DONE: Promise<void> = Promise.resolve();
const GRACE = 10_000;

/** A peer without types. */
export class PeerCore implements DriverEvents {
  readonly side: Side;
  readonly closed: Promise<DrainInfo>;
  readonly inbox: Inbox;
  readonly counters: Counters;
  id: string;
  state: PeerState = "connecting";
  localAddr: Addr = Addr.of(undefined);
  remoteAddr: Addr = Addr.of(undefined);
  readonly #options: CoreOptions;
  readonly #owner: CoreOwner;
  readonly #outbox: Outbox;
  readonly #resolveClosed: (info: DrainInfo) => void;
  readonly #pings: PingWaits;
  #driver: SessionDriver | undefined;
  #ready: PromiseWithResolvers<void> | undefined;
  #drained: PromiseWithResolvers<void> | undefined;
  #closing: Promise<DrainInfo> | undefined;
  #end: CloseInfo | undefined;
  #warned = false;

  constructor(options: CoreOptions, owner: CoreOwner) {
    this.#options = options;
    this.#owner = owner;
    this.side = options.side;
    this.id = options.id;
    this.counters = new Counters(Date.now());
    this.#pings = new PingWaits(options.clock);
    this.#outbox = new Outbox(options.settings.limits.maxQueuedBytes);
    this.inbox = new Inbox({
      decode: (payload) => options.serializer.deserialize(payload),
      onMessage: owner.onMessage,
      report: (error) => owner.report(error),
      undecodable: (cause) => {
        this.counters.dropped++;
        const message = "Cannot take message as its body is none for the serializer";
        owner.report(new ProtocolError("BAD_FRAME", message, { cause }));
      },
    });
    const { promise, resolve } = Promise.withResolvers<DrainInfo>();
    this.closed = promise;
    this.#resolveClosed = resolve;
  }

  // ── sending ──

  get queued(): Queued {
    const { bytes, frames } = this.#outbox;
    return { bytes: bytes + (this.#driver?.link.inFlight ?? 0), frames };
  }

  get ready(): Promise<void> {
    return this.#ready?.promise ?? DONE;
  }

  get stats(): PeerStats {
    return this.counters.snapshot();
  }

  send(body: unknown, options?: SendOptions): Promise<void> {
    let payload: Uint8Array;
    try {
      payload = this.#options.serializer.serialize(body);
      checkTopic(options?.topic);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.sendBytes(payload, options);
  }

  /** As `send`, of a body that is serialized already. */
  sendBytes(payload: Uint8Array, options: SendOptions = {}): Promise<void> {
    const { signal } = options;
    if (signal?.aborted) return handled(Promise.reject(signal.reason));
    const refusal = this.#accept(payload, options.topic ?? "");
    if (refusal !== undefined) return handled(Promise.reject(refusal));
    if (this.#ready === undefined) return DONE;
    if (signal === undefined && options.timeout === undefined) return handled(this.#ready.promise);
    const wait = startWait<void>(this.#options.clock, options, "wait for room in the queue");
    this.#ready.promise.then(wait.resolve, wait.reject);
    return handled(wait.promise);
  }

  trySend(body: unknown, options?: SendOptions): "sent" | "queued" | "full" {
    const payload = this.#options.serializer.serialize(body);
    checkTopic(options?.topic);
    return this.trySendBytes(payload, options?.topic);
  }

  /** As `trySend`, of a body that is serialized already. */
  trySendBytes(payload: Uint8Array, topic = ""): "sent" | "queued" | "full" {
    const clear = this.state === "open" && this.#ready === undefined;
    const refusal = this.#accept(payload, topic);
    if (refusal instanceof LimitError && refusal.code === "QUEUE_FULL") return "full";
    if (refusal !== undefined) throw refusal;
    return clear ? "sent" : "queued";
  }

  ping(options: WaitOptions = {}): Promise<number> {
    const driver = this.#driver;
    if (driver === undefined || !driver.machine.open) {
      return Promise.reject(this.#closedError("Cannot ping as there is no open link"));
    }
    const answer = this.#pings.wait(driver.machine.ping(), options);
    driver.flush();
    return answer;
  }

  // ── links ──

  /**
   * Starts a session on a connection. `hello`: what a client says first.
   *
   * @throws {TypeError | RangeError} where that cannot be encoded; the connection is as it was then
   */
  run(transport: Transport, hello?: (limits: WireLimits) => Hello): SessionDriver {
    const { settings, serializer, clock, side } = this.#options;
    if (this.#outbox.dropBegun()) {
      this.counters.dropped++;
      this.#checkRoom();
    }
    const link: Link = linkOf(transport);
    const limits = wireLimits(settings);
    const driver = new SessionDriver(
      link,
      { ...settings, side, limits, serializer: serializer.name, outbox: this.#outbox, clock },
      this,
    );
    if (hello !== undefined) driver.machine.hello(hello(limits));
    this.#driver = driver;
    this.localAddr = link.localAddr;
    this.remoteAddr = link.remoteAddr;
    driver.start();
    return driver;
  }

  /** Whether an end has been decided on, so that an ended link is not to be replaced. */
  get ending(): boolean {
    return this.#end !== undefined || this.#closing !== undefined;
  }

  /** The newest session and its link. */
  get driver(): SessionDriver | undefined {
    return this.#driver;
  }

  // ── endings ──

  close(options: CloseOptions = {}, code: CloseInfo["code"] = "NORMAL"): Promise<DrainInfo> {
    this.#closing ??= this.#close(options, code);
    return this.#closing;
  }

  abort(reason?: unknown): void {
    // What is left of a closed peer is its farewell, if anything.
    if (this.state === "closed") return this.#driver?.abort();
    const error = reason instanceof VnetError ? reason : undefined;
    const info: CloseInfo = { code: "ABORTED", reason: inWords(reason), initiator: "local" };
    this.finalize(error === undefined ? info : { ...info, error }, "abort");
    this.inbox.abort();
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
    const unsent = this.#outbox.clear();
    const drain: DrainInfo = { ...info, unsent };
    // Before the session ends: the room that the empty queue has is none to wait for.
    this.#settleWaits();
    if (how === "abort") {
      driver?.machine.linkEnded(info.error, false);
      driver?.abort();
    }
    this.inbox.close();
    this.#drained?.resolve();
    this.#owner.finalized(drain);
    if (driver === undefined || how === "abort") this.#resolveClosed(drain);
    else driver.done.then(() => this.#resolveClosed(drain));
  }

  // ── what the machine tells ──

  onHello(hello: Hello): void {
    this.#owner.helloReceived(hello);
  }

  onOpen(_limits: WireLimits, welcome: Welcome | undefined): void {
    if (this.state === "closed") return;
    if (this.state !== "draining") this.state = "open";
    this.counters.links++;
    this.#owner.sessionOpened(welcome);
  }

  onMessage(topic: string, payload: Bytes, cost: number): void {
    this.counters.messagesIn++;
    const driver = this.#driver;
    if (driver === undefined) return;
    const creditor = {
      consumed: (cost: number) => {
        driver.machine.consumed(cost);
        driver.flush();
      },
    };
    this.inbox.push({ topic, payload, cost, creditor });
    if (!this.#warned && this.inbox.size >= 256 && !this.inbox.hasReader) this.#warnUnread();
  }

  onRead(bytes: number): void {
    this.counters.bytesIn += bytes;
  }

  onWrote(bytes: number): void {
    this.counters.bytesOut += bytes;
    this.#checkRoom();
  }

  onDropped(_bytes: number): void {
    this.counters.dropped++;
  }

  onWritten(sent: boolean): void {
    if (sent) this.counters.messagesOut++;
    else {
      this.counters.dropped++;
      this.#owner.report(
        new LimitError(
          "TOO_LARGE",
          "maxMessageLength",
          "Cannot send message as the other end takes none so long",
          { initiator: "remote" },
        ),
      );
    }
    this.#checkRoom();
  }

  onPong(opaque: number, roundTrip: number): void {
    this.counters.roundTrip(roundTrip);
    this.#pings.answered(opaque, roundTrip);
  }

  onGoaway(retryAfter: number): void {
    this.#owner.goawayReceived(retryAfter);
  }

  onEnd(end: SessionEnd): void {
    const opened = this.#driver?.openedAt !== undefined;
    this.#pings.reject(this.#closedError("Cannot ping as the link ended", end));
    this.#drained?.resolve();
    // An end of our own making has a better name than what it did to the link.
    this.#owner.sessionEnded({ ...end, ...this.#end }, opened);
    this.#checkRoom();
  }

  // ── private ──

  #accept(payload: Uint8Array, topic: string): VnetError | undefined {
    const { settings } = this.#options;
    if (this.state === "closed" || this.state === "draining") {
      return this.#closedError("Cannot send message as the peer is closed");
    }
    if (this.state !== "open" && settings.queue.offline === "reject") {
      return this.#closedError("Cannot send message as there is no open link");
    }
    if (payload.length > settings.limits.maxMessageLength) {
      const most = settings.limits.maxMessageLength;
      return new LimitError(
        "TOO_LARGE",
        "maxMessageLength",
        `Cannot send message as it must be at most ${most} bytes: current value is ${payload.length}`,
        { initiator: "local" },
      );
    }
    if (!this.#outbox.push(topic, payload)) {
      this.counters.dropped++;
      const most = settings.limits.maxQueuedBytes;
      return new LimitError(
        "QUEUE_FULL",
        "maxQueuedBytes",
        `Cannot send message as ${this.#outbox.bytes} of ${most} bytes wait already`,
        { initiator: "local" },
      );
    }
    if (this.#ready === undefined && this.queued.bytes >= settings.queue.highWaterMark) {
      this.#ready = Promise.withResolvers<void>();
      handled(this.#ready.promise);
    }
    if (this.state === "open") this.#driver?.link.wake();
    return undefined;
  }

  /** Wakes those who wait for room, and a close that waits for the queue to be empty. */
  #checkRoom(): void {
    if (this.#outbox.frames === 0) this.#drained?.resolve();
    if (this.#ready === undefined) return;
    if (this.queued.bytes > this.#options.settings.queue.lowWaterMark) return;
    this.#ready.resolve();
    this.#ready = undefined;
  }

  async #close(
    { grace = GRACE, reason = "", signal }: CloseOptions,
    code: CloseInfo["code"],
  ): Promise<DrainInfo> {
    if (this.state === "open") {
      this.state = "draining";
      if (this.#outbox.frames > 0) await this.#drain(grace, signal);
    }
    if (this.#end === undefined) this.end(code, reason);
    return await this.closed;
  }

  async #drain(grace: number, signal: AbortSignal | undefined): Promise<void> {
    const drained = Promise.withResolvers<void>();
    this.#drained = drained;
    const wait = startWait<void>(
      this.#options.clock,
      { timeout: grace, ...(signal === undefined ? {} : { signal }) },
      "drain",
    );
    drained.promise.then(wait.resolve);
    try {
      await wait.promise;
    } catch {
      // The grace is over, or was cut short: what is left counts as unsent.
    }
    this.#drained = undefined;
  }

  #settleWaits(): void {
    this.#ready?.reject(this.#closedError("Cannot wait for room as the peer is closed"));
    this.#ready = undefined;
    this.#pings.reject(this.#closedError("Cannot ping as the peer is closed"));
  }

  #closedError(message: string, end?: CloseInfo): ClosedError {
    const info = end ?? this.#end ??
      { code: "LINK_LOST", reason: "There is no link", initiator: "network" };
    return new ClosedError(info.reason === "" ? message : `${message}: ${info.reason}`, info);
  }

  #warnUnread(): void {
    this.#warned = true;
    this.#options.logger?.warn?.(
      `${
        this.id || "A peer"
      } sends messages that nobody reads: give 'onMessage' or iterate 'messages'`,
    );
  }
}

/** An ignored `send` must not end the process: peers leave all the time. Awaiting it still throws. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** @throws {TypeError | RangeError} when it is none */
export function checkTopic(topic: string | undefined): void {
  if (topic === undefined || topic === "") return;
  if (typeof topic !== "string") {
    throw new TypeError(
      `Cannot send message as 'topic' must be a string: current value is a ${typeof topic}`,
    );
  }
  const length = utf8Length(topic);
  if (length > 255) {
    throw new RangeError(
      `Cannot send message as 'topic' must be at most 255 bytes: current value is ${length}`,
    );
  }
}
