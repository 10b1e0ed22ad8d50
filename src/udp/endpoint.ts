/**
 * The one implementation of `UdpConn`: a queue of what came, and a way out.
 *
 * Owns the queue, the waits and the end. What it sends through may be its own socket or one that it
 * shares; it is told what came by whoever empties that.
 *
 * 1. Nothing but `close`, `abort` and the loss of the socket ends it: no datagram, no failed send.
 * 2. A datagram is copied only once it is clear that it is wanted and has room.
 * 3. Nobody can make a send fail by what he puts into a datagram: an answer to a source address that
 *    cannot be sent to (forged, unroutable, port 0) is counted, where one to an address that the program
 *    chose is an error.
 * 4. When `closed` resolves nothing waits any more, and no timer is set.
 */
import { Addr, type Address } from "../base/addr.ts";
import { ClosedError, LimitError } from "../base/errors.ts";
import type { CloseInfo, CloseOptions } from "../base/lifecycle.ts";
import type { Clock, WaitOptions } from "../base/types.ts";
import { checkedGrace, closedError, infoOf, sendError, tooLarge } from "./failures.ts";
import { type ByteBudget, Inbox } from "./inbox.ts";
import { targetAddr, udpAddr } from "./ip.ts";
import type { ReplyBudget } from "./reply_limit.ts";
import { ipOf, keyOf, makeTarget, type Target } from "./target.ts";
import type {
  Datagram,
  DatagramInfo,
  MulticastMembership,
  MulticastOptions,
  UdpConn,
  UdpStats,
} from "./types.ts";
import { WaitLine } from "./wait_line.ts";

/** The way out: a socket, or a part of one. */
export interface Outlet {
  readonly localAddr: Addr;
  /** Whether the socket is one of IPv6. */
  readonly ipv6: boolean;
  /** Failures that the network reported and that ended nothing. */
  readonly networkErrors: number;
  send(data: Uint8Array, to: Deno.NetAddr): Promise<unknown>;
  /** Whether this is an address that a datagram claimed to come from, and not one of the program's. */
  isClaimed(addr: Addr): boolean;
  join(group: string, options: MulticastOptions): Promise<MulticastMembership>;
  /** Somebody waits for a datagram, or does no longer. */
  hold(on: boolean): void;
  /** It is not needed any more. Resolves when nothing of it is left. */
  end(): Promise<void>;
}

/** What an endpoint is made with. */
export interface EndpointOptions {
  readonly outlet: Outlet;
  readonly remoteAddr: Addr | undefined;
  readonly clock: Clock;
  readonly dateNow: () => number;
  readonly readTimeout: number;
  readonly writeTimeout: number;
  readonly maxQueued: number;
  readonly maxDatagramLength: number;
  readonly budget: ByteBudget;
  readonly replies: ReplyBudget | undefined;
}

/** A send is held by the program, and by the system, until the system has taken it. */
const MAX_PENDING_SENDS = 16_384;
const utf8 = new TextEncoder();
let lastId = 0;

/** A socket, or what belongs to one remote address of a socket. */
export class Endpoint implements UdpConn {
  readonly id: number = ++lastId;
  readonly remoteAddr: Addr | undefined;
  readonly closed: Promise<CloseInfo>;
  readonly #options: EndpointOptions;
  readonly #outlet: Outlet;
  readonly #readers: WaitLine<Datagram>;
  readonly #senders: WaitLine<void>;
  readonly #inbox: Inbox;
  readonly #remote: Target | undefined;
  readonly #remoteIp: string;
  readonly #resolveClosed: (info: CloseInfo) => void;
  #lastTo: Address | undefined;
  #lastTarget: Target | undefined;
  /** Sends that the system has not settled, those included that were given up. */
  #pending = 0;
  #sent = 0;
  #ignored = 0;
  #unsent = 0;
  /** Set from `close` on: nothing more is accepted. */
  #info: CloseInfo | undefined;
  #ended = false;
  readonly #cleanUps: (() => void)[] = [];

  constructor(options: EndpointOptions) {
    const { outlet, remoteAddr, clock, dateNow, readTimeout, writeTimeout } = options;
    const { promise, resolve } = Promise.withResolvers<CloseInfo>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#options = options;
    this.#outlet = outlet;
    this.#readers = new WaitLine({
      clock,
      dateNow,
      action: "receive datagram",
      timeout: readTimeout,
      occupied: (yes) => outlet.hold(yes),
    });
    this.#senders = new WaitLine({
      clock,
      dateNow,
      action: "send datagram",
      timeout: writeTimeout,
      occupied: (yes) => {
        if (!yes && this.#info !== undefined) this.#end(this.#info);
      },
    });
    this.#inbox = new Inbox(this.#readers, options.maxQueued, options.budget);
    this.remoteAddr = remoteAddr;
    this.#remote = remoteAddr === undefined ? undefined : targetOf(remoteAddr, outlet);
    this.#remoteIp = remoteAddr === undefined ? "" : ipOf(remoteAddr);
  }

  get localAddr(): Addr {
    return this.#outlet.localAddr;
  }

  get dropped(): number {
    return this.#inbox.dropped;
  }

  get stats(): UdpStats {
    return {
      received: this.#inbox.received,
      sent: this.#sent,
      dropped: this.#inbox.dropped,
      ignored: this.#ignored,
      networkErrors: this.#unsent + this.#outlet.networkErrors,
      queued: this.#inbox.size,
    };
  }

  get readTimeout(): number {
    return this.#readers.timeout;
  }

  set readTimeout(ms: number) {
    this.#readers.timeout = ms;
  }

  get writeTimeout(): number {
    return this.#senders.timeout;
  }

  set writeTimeout(ms: number) {
    this.#senders.timeout = ms;
  }

  setReadDeadline(at: number | Date): void {
    this.#readers.setDeadline(at);
  }

  setWriteDeadline(at: number | Date): void {
    this.#senders.setDeadline(at);
  }

  setDeadline(at: number | Date): void {
    this.setReadDeadline(at);
    this.setWriteDeadline(at);
  }

  async receive(options: WaitOptions = {}): Promise<Datagram> {
    if (this.#info !== undefined) throw closedError("receive", "socket", this.#info);
    this.#readers.check(options.signal);
    return this.#inbox.take() ?? await this.#readers.enter(options).promise;
  }

  async read(buf: Uint8Array, options: WaitOptions = {}): Promise<DatagramInfo> {
    const { data, from, truncated } = await this.receive(options);
    const size = Math.min(data.length, buf.length);
    buf.set(size < data.length ? data.subarray(0, size) : data);
    return { size, from, truncated: truncated || size < data.length };
  }

  [Symbol.asyncIterator](): AsyncIterator<Datagram, undefined> {
    return {
      next: () => this.#next(),
      return: () => Promise.resolve({ done: true, value: undefined }),
    };
  }

  send(data: Uint8Array | string, to?: Address): Promise<void> {
    let target: Target;
    try {
      target = this.#target(to);
    } catch (error) {
      return Promise.reject(error);
    }
    const sending = this.#send(typeof data === "string" ? utf8.encode(data) : data, target);
    // A send that nobody awaits must not end the program: datagrams get lost anyhow.
    sending.catch(ignore);
    return sending;
  }

  async joinMulticast(
    group: string,
    options: MulticastOptions = {},
  ): Promise<MulticastMembership> {
    if (this.#info !== undefined) throw closedError("join group", "socket", this.#info);
    return await this.#outlet.join(group, options);
  }

  validate(address: Address | undefined = this.remoteAddr): void {
    if (address === undefined) {
      throw new TypeError("Cannot validate as a listening socket must be told which address");
    }
    const { replies, clock } = this.#options;
    replies?.validate(keyOf(udpAddr(address)), clock.now());
  }

  close(options: CloseOptions = {}): Promise<CloseInfo> {
    const { reason = "", signal } = options;
    const grace = checkedGrace(options);
    if (this.#info === undefined) {
      this.#info = { code: "NORMAL", reason, initiator: "local" };
      this.#stopReading(this.#info);
    }
    if (this.#senders.size === 0) this.#end(this.#info);
    if (!this.#ended) this.#endWithin(grace, signal, this.#info);
    return this.closed;
  }

  abort(reason?: unknown): void {
    this.fail(infoOf("ABORTED", "local", reason));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // ── what whoever empties the socket tells ──

  /** A datagram has come; `data` is good until this returns. */
  deliver(data: Uint8Array, from: Addr): void {
    if (this.#info !== undefined) return;
    const remote = this.remoteAddr;
    if (remote !== undefined && (remote.port !== from.port || this.#remoteIp !== from.hostname)) {
      this.#ignored++;
      return;
    }
    const { replies, maxDatagramLength, clock } = this.#options;
    replies?.received(keyOf(from), data.length, clock.now());
    const length = Math.min(data.length, maxDatagramLength);
    if (!this.#inbox.admits(length)) return;
    const copy = new Uint8Array(length);
    copy.set(length < data.length ? data.subarray(0, length) : data);
    this.#inbox.put({ data: copy, from, truncated: length < data.length });
  }

  /** Ends it now. */
  fail(info: CloseInfo): void {
    if (this.#ended) return;
    this.#info = info;
    this.#stopReading(info);
    this.#end(info);
  }

  async #next(): Promise<IteratorResult<Datagram, undefined>> {
    try {
      return { done: false, value: await this.receive() };
    } catch (error) {
      if (error instanceof ClosedError && error.code === "NORMAL") {
        return { done: true, value: undefined };
      }
      throw error;
    }
  }

  #target(to: Address | undefined): Target {
    if (this.#remote !== undefined) {
      if (to === undefined) return this.#remote;
      throw new TypeError(
        `Cannot send to ${to} as 'to' must be left out on a socket that has a remote address`,
      );
    }
    if (to === undefined) {
      throw new TypeError("Cannot send as 'to' must be given on a socket without remote address");
    }
    if (to === this.#lastTo && this.#lastTarget !== undefined) return this.#lastTarget;
    const addr = to instanceof Addr && this.#outlet.isClaimed(to) ? to : targetAddr(to);
    const target = targetOf(addr, this.#outlet);
    // Other forms of an address could be changed meanwhile.
    if (typeof to === "string" || to instanceof Addr) {
      this.#lastTo = to;
      this.#lastTarget = target;
    }
    return target;
  }

  #send(data: Uint8Array, target: Target): Promise<void> {
    try {
      this.#checkSend(data, target);
    } catch (error) {
      return Promise.reject(error);
    }
    const sender = this.#senders.enter();
    this.#pending++;
    this.#outlet.send(data, target.system).then(() => {
      this.#pending--;
      this.#sent++;
      sender.resolve();
    }, (cause) => {
      this.#pending--;
      const error = sendError(target.addr, data.length, cause);
      if (error !== undefined && !target.claimed) return sender.reject(error);
      this.#unsent++;
      sender.resolve();
    });
    return sender.promise;
  }

  #checkSend(data: Uint8Array, target: Target): void {
    if (this.#info !== undefined) throw closedError("send", "socket", this.#info);
    if (data.length > target.most) throw tooLarge(data.length, target.most);
    this.#senders.check(undefined);
    if (this.#pending >= MAX_PENDING_SENDS) {
      throw new LimitError(
        "QUEUE_FULL",
        "maxPendingSends",
        `Cannot send datagram as fewer than ${MAX_PENDING_SENDS} must be pending: current value is ${this.#pending}`,
      );
    }
    this.#spendReply(data.length, target);
  }

  #spendReply(length: number, target: Target): void {
    const { replies, clock } = this.#options;
    if (replies === undefined) return;
    const key = keyOf(target.addr);
    const room = replies.room(key, clock.now());
    if (length > room) {
      throw new LimitError(
        "QUEUE_FULL",
        "replyLimit",
        `Cannot send datagram as its length must be at most ${room} until ${target.addr} is validated: current value is ${length}`,
        { initiator: "remote" },
      );
    }
    replies.spend(key, length);
  }

  #stopReading(info: CloseInfo): void {
    this.#inbox.clear();
    this.#readers.refuseAll(closedError("receive", "socket", info));
  }

  #endWithin(grace: number, signal: AbortSignal | undefined, info: CloseInfo): void {
    const cut = () => this.#end(info);
    const { clock } = this.#options;
    if (grace !== Infinity) {
      const timer = clock.setTimer(clock.now() + grace, cut);
      this.#cleanUps.push(() => timer[Symbol.dispose]());
    }
    if (signal?.aborted) return cut();
    signal?.addEventListener("abort", cut, { once: true });
    this.#cleanUps.push(() => signal?.removeEventListener("abort", cut));
  }

  #end(info: CloseInfo): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const cleanUp of this.#cleanUps) cleanUp();
    this.#senders.refuseAll(closedError("send", "socket", info));
    this.#outlet.end().then(() => this.#resolveClosed(info));
  }
}

function targetOf(addr: Addr, outlet: Outlet): Target {
  return makeTarget(addr, outlet.ipv6, outlet.isClaimed(addr));
}

function ignore(): void {}
