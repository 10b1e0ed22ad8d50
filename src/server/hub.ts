/**
 * A server without types: its listeners, its connections, and what it counts.
 *
 * Owns accepting and the registry. Each connection's own story is an `Admission`.
 *
 * 1. A failure to accept (too many open files, a client that hung up) never ends the loop.
 * 2. Whatever it accepts it also ends: after `closed` no connection and no listener is left.
 */
import type { Bytes, Logger, Runtime, Transport, TransportListener } from "../base/types.ts";
import { Addr } from "../base/addr.ts";
import type { CloseCode } from "../base/errors.ts";
import type { CloseInfo, CloseOptions, DrainInfo } from "../base/lifecycle.ts";
import type { Message } from "../contract/types.ts";
import { inWords } from "../peer/abort_with.ts";
import type { PeerCore } from "../peer/core.ts";
import type { AnySerializer } from "../peer/owner.ts";
import type { AnyHandler } from "../peer/call_options.ts";
import { HandlerTable } from "../peer/calls.ts";
import { EventStream } from "../peer/event_stream.ts";
import { randomBytes, welcomeOf } from "../peer/greeting.ts";
import { escaped, Hooks } from "../peer/hooks.ts";
import { type SessionSettings, wireLimits } from "../peer/options.ts";
import type { Traffic } from "../peer/stats.ts";
import type { AnyPeer } from "../peer/peer.ts";
import type { Welcome } from "../wire/handshake.ts";
import { Admission } from "./admission.ts";
import type { DuplicateId, Register, ServerEvent, ServerLimits } from "./options.ts";
import { PeerRegistry } from "./registry.ts";
import { addTraffic, Total } from "./totals.ts";

/** What the application gets for one client, as far as the hub needs to know it. */
export type HubPeer = AnyPeer;

/** What a hub is made with: the options of a server, resolved and without types. */
export interface HubOptions {
  readonly listeners: readonly TransportListener[];
  readonly settings: SessionSettings;
  readonly limits: ServerLimits;
  readonly serializer: AnySerializer;
  readonly runtime: Runtime;
  readonly logger: Logger | undefined;
  readonly register: Register | undefined;
  readonly duplicateId: DuplicateId;
  readonly makePeer: (admission: Admission, data: unknown) => HubPeer;
  readonly onEvent: ((event: ServerEvent<HubPeer>) => unknown) | undefined;
  readonly methods: Readonly<Record<string, AnyHandler>> | undefined;
  readonly onConnect: ((peer: HubPeer) => unknown) | undefined;
  readonly onMessage: ((message: Message<unknown>, peer: HubPeer) => unknown) | undefined;
  readonly onDisconnect: ((info: CloseInfo, peer: HubPeer) => unknown) | undefined;
}

/** What a server has done so far. */
export interface ServerStats extends Traffic {
  /** Clients that are registered. */
  readonly peers: number;
  /** The most there ever were at once. */
  readonly peak: number;
  /** How many have registered so far. */
  readonly total: number;
  /** Connections that have not registered. */
  readonly unregistered: number;
  /** What waits to be sent, to all of them. */
  readonly queued: { readonly bytes: number; readonly frames: number };
  /** How many were refused, or left before they had registered, by code. */
  readonly rejected: Readonly<Partial<Record<CloseCode, number>>>;
}

/** The first and the longest pause after a failure to accept, in ms. */
const ACCEPT_PAUSE = 10;
const ACCEPT_PAUSE_MAX = 1_000;

/** A server. */
export class Hub {
  readonly options: HubOptions;
  readonly hooks: Hooks;
  readonly events: EventStream<ServerEvent<HubPeer>>;
  readonly registry = new PeerRegistry<HubPeer>();
  readonly handlers = new HandlerTable();
  readonly addrs: readonly Addr[];
  readonly epoch: Bytes;
  readonly closed: Promise<DrainInfo>;
  readonly #resolveClosed: (info: DrainInfo) => void;
  readonly #unregistered = new Set<Admission>();
  readonly #admitted = new Map<HubPeer, Admission>();
  /** Every connection that is not closed, whatever became of it. */
  readonly #cores = new Set<PeerCore>();
  readonly #rejected = new Map<CloseCode, number>();
  readonly #gone: Record<keyof Traffic, number> = {
    bytesIn: 0,
    bytesOut: 0,
    messagesIn: 0,
    messagesOut: 0,
    callsIn: 0,
    callsOut: 0,
    dropped: 0,
  };
  readonly #pauses = new Set<() => void>();
  #peak = 0;
  #total = 0;
  /** How it ends; `undefined` while it does not. */
  #outcome: CloseInfo | undefined;
  /** Resolves when the listeners have let go of their addresses. Never rejects. */
  #letGo: Promise<unknown> = Promise.resolve();
  #over = false;

  constructor(options: HubOptions) {
    this.options = options;
    const { runtime, logger, listeners } = options;
    this.handlers.addAll(options.methods);
    this.hooks = new Hooks(logger, (error) => this.#tell(error, undefined));
    this.events = new EventStream(options.onEvent, (error) => this.hooks.reportQuietly(error));
    this.addrs = listeners.map(({ addr }) => Addr.of(addr));
    this.epoch = randomBytes(runtime, 8);
    const { promise, resolve } = Promise.withResolvers<DrainInfo>();
    this.closed = promise;
    this.#resolveClosed = resolve;
  }

  /** Begins to accept. */
  start(): void {
    for (const [index, listener] of this.options.listeners.entries()) {
      this.options.logger?.info?.(`Listening on ${this.addrs[index]}`);
      this.#accept(listener);
    }
  }

  /** Takes a connection in. */
  take(transport: Transport): Admission | undefined {
    const { limits, settings, serializer } = this.options;
    const origin = Addr.of(transport.remoteAddr);
    if (this.#stopped || this.#unregistered.size >= limits.maxUnregistered) {
      transport.close();
      if (this.#stopped) return undefined;
      this.#countRejected("TOO_MANY_CONNECTIONS");
      this.#limitMet("maxUnregistered", origin);
      return undefined;
    }
    const full = this.registry.size + this.#unregistered.size >= limits.maxConnections;
    if (full) this.#limitMet("maxConnections", origin);
    const refusal = full ? "TOO_MANY_CONNECTIONS" : undefined;
    const admission = new Admission(this, { settings, serializer, refusal });
    const { core } = admission;
    this.#unregistered.add(admission);
    this.#cores.add(core);
    core.closed.then(() => this.#cores.delete(core));
    admission.start(transport);
    return admission;
  }

  /** What is behind a registered client. */
  coreOf(peer: HubPeer): PeerCore | undefined {
    return this.#admitted.get(peer)?.core;
  }

  /** Hands a body to every registered client but some. */
  broadcast(
    payload: Uint8Array,
    topic: string | undefined,
    except: ReadonlySet<AnyPeer>,
  ): { sent: number; queued: number; skipped: number } {
    const result = { sent: 0, queued: 0, skipped: 0 };
    for (const [peer, { core }] of this.#admitted) {
      if (except.has(peer) || core.state === "draining") continue;
      const outcome = core.queue.trySendBytes(payload, topic);
      if (outcome === "full") result.skipped++;
      else result[outcome]++;
    }
    return result;
  }

  // ── what admissions ask and tell ──

  /** The newest owner of an id. */
  owner(id: string): Admission | undefined {
    const peer = this.registry.get(id);
    return peer === undefined ? undefined : this.#admitted.get(peer);
  }

  /** An id that nobody has. */
  freshId(): string {
    const part = () =>
      Math.floor(this.options.runtime.random() * 2 ** 32).toString(16).padStart(8, "0");
    for (let id = part() + part();; id = part() + part()) if (!this.registry.has(id)) return id;
  }

  /** What a client that is let in is told. */
  welcome(id: string): Welcome {
    const { runtime, settings, serializer } = this.options;
    const { epoch } = this;
    const limits = wireLimits(settings);
    return welcomeOf(runtime, { limits, id, epoch, serializer: serializer.name });
  }

  /** Enters a client. */
  admit(admission: Admission, data: unknown): HubPeer {
    const peer = this.options.makePeer(admission, data);
    this.#unregistered.delete(admission);
    this.#admitted.set(peer, admission);
    this.registry.add(peer);
    this.#total++;
    this.#peak = Math.max(this.#peak, this.registry.size);
    return peer;
  }

  /** A client is open for traffic. */
  opened({ core }: Admission): void {
    const peer = this.registry.get(core.id);
    if (peer === undefined) return;
    const count = this.registry.size;
    this.options.logger?.info?.(
      `${escaped(core.id)} connected from ${core.remoteAddr} (${count} now)`,
    );
    this.events.emit({ type: "connect", peer });
  }

  /** A registered client is gone. */
  left({ core }: Admission, peer: HubPeer, info: CloseInfo): void {
    this.registry.delete(peer);
    this.#admitted.delete(peer);
    addTraffic(this.#gone, core.stats);
    const how = info.reason === "" ? info.code : `${escaped(info.reason)} (${info.code})`;
    const count = this.registry.size;
    this.options.logger?.info?.(`${escaped(core.id)} disconnected: ${how} (${count} now)`);
    this.events.emit({ type: "disconnect", peer, info });
  }

  /** A connection ended before it had registered. */
  refused(admission: Admission, { code, reason }: CloseInfo): void {
    this.#unregistered.delete(admission);
    const { core: { remoteAddr, stats } } = admission;
    addTraffic(this.#gone, stats);
    this.#countRejected(code);
    this.options.logger?.warn?.(`${remoteAddr} was not let in: ${escaped(reason)} (${code})`);
    this.events.emit({ type: "reject", remoteAddr, code, reason });
  }

  /** Something of the application threw. */
  report(error: unknown, peer: HubPeer | undefined): void {
    if (!this.#tell(error, peer)) this.hooks.reportQuietly(error);
  }

  stats(): ServerStats {
    const sum = { ...this.#gone };
    const queued = { bytes: 0, frames: 0 };
    for (const peer of this.registry) {
      addTraffic(sum, peer.stats);
      queued.bytes += peer.queued.bytes;
      queued.frames += peer.queued.frames;
    }
    return {
      ...sum,
      queued,
      peers: this.registry.size,
      peak: this.#peak,
      total: this.#total,
      unregistered: this.#unregistered.size,
      rejected: Object.fromEntries(this.#rejected),
    };
  }

  // ── endings ──

  close(options: CloseOptions = {}): Promise<DrainInfo> {
    if (this.#outcome !== undefined) return this.closed;
    const { reason = "The server is closing" } = options;
    this.#stop({ code: "NORMAL", reason, initiator: "local" });
    this.events.emit({ type: "drain", initiator: "local" });
    for (const core of [...this.#cores]) core.close({ ...options, reason }, "DRAINING");
    return this.closed;
  }

  abort(reason?: unknown): void {
    if (this.#over) return;
    this.#stop({ code: "ABORTED", reason: inWords(reason), initiator: "local" });
    for (const core of [...this.#cores]) core.abort(reason);
  }

  /** Takes nobody in any more, and ends when all connections have. A later outcome replaces this one. */
  #stop(outcome: CloseInfo): void {
    const stopped = this.#stopped;
    this.#outcome = outcome;
    if (stopped) return;
    this.#letGo = Promise.all(this.options.listeners.map(closeListener));
    for (const wake of this.#pauses) wake();
    this.#finish(outcome);
  }

  async #finish(outcome: CloseInfo): Promise<void> {
    const cores = [...this.#cores];
    // What those had left that are over already is not the server's end.
    const counted = new Set(cores.filter(({ state }) => state !== "closed"));
    const total = new Total();
    await Promise.all(cores.map(async (core) => {
      const end = await core.closed;
      if (counted.has(core)) total.add(end);
    }));
    this.#over = true;
    const info = total.info(this.#outcome ?? outcome);
    this.options.logger?.info?.(`Closed: ${info.reason}`);
    this.events.emit({ type: "close", info });
    this.events.close();
    await this.#letGo;
    this.#resolveClosed(info);
  }

  get #stopped(): boolean {
    return this.#outcome !== undefined;
  }

  // ── accepting ──

  /** Never rejects. */
  async #accept(listener: TransportListener): Promise<void> {
    let pause = ACCEPT_PAUSE;
    while (!this.#stopped) {
      try {
        for await (const transport of listener) {
          pause = ACCEPT_PAUSE;
          this.take(transport);
          if (this.#stopped) break;
        }
        return;
      } catch (error) {
        if (this.#stopped) return;
        this.options.logger?.warn?.(`Cannot accept connections: ${error}. Next try in ${pause} ms`);
        this.events.emit({ type: "accept-error", error, delay: pause });
        await this.#sleep(pause);
        pause = Math.min(ACCEPT_PAUSE_MAX, pause * 2);
      }
    }
  }

  #sleep(ms: number): Promise<void> {
    const { clock } = this.options.runtime;
    return new Promise((resolve) => {
      const timer = clock.setTimer(clock.now() + ms, () => wake());
      const wake = () => {
        timer[Symbol.dispose]();
        this.#pauses.delete(wake);
        resolve();
      };
      this.#pauses.add(wake);
    });
  }

  #countRejected(code: CloseCode): void {
    this.#rejected.set(code, (this.#rejected.get(code) ?? 0) + 1);
  }

  #limitMet(limit: "maxConnections" | "maxUnregistered", remoteAddr: Addr): void {
    this.events.emit({ type: "limit", limit, value: this.options.limits[limit], remoteAddr });
  }

  #tell(error: unknown, peer: HubPeer | undefined): boolean {
    if (!this.events.watched) return false;
    this.events.emit(
      peer === undefined ? { type: "error", error } : { type: "error", error, peer },
    );
    return true;
  }
}

async function closeListener(listener: TransportListener): Promise<void> {
  try {
    await listener.close();
  } catch {
    // Closed before by whoever gave it to us.
  }
}
