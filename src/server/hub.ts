/**
 * A server without types: its listeners, its connections, and what it counts.
 *
 * Owns the registry, the groups and the limits. Each connection's own story is an `Admission`.
 *
 * 1. Whatever it accepts it also ends: after `closed` no connection and no listener is left.
 * 2. A client is in the registry and in groups from the moment it is admitted to the one it leaves.
 */
import type { Bytes, Logger, Runtime, Transport, TransportListener } from "../base/types.ts";
import { Addr } from "../base/addr.ts";
import type { CloseCode, ConnectError } from "../base/errors.ts";
import type { CloseInfo, CloseOptions, DrainInfo } from "../base/lifecycle.ts";
import { Alarms } from "../peer/alarms.ts";
import { inWords } from "../peer/abort_with.ts";
import { GRACE, inCounts } from "../peer/drain.ts";
import type { PeerCore } from "../peer/core.ts";
import type {
  AnySerializer,
  CoreOptions,
  CoreOwner,
  DropPolicy,
  SendOptions,
} from "../peer/owner.ts";
import type { AnyHandler } from "../peer/call_options.ts";
import { HandlerTable } from "../peer/calls.ts";
import { EventStream } from "../peer/event_stream.ts";
import { randomBytes, welcomeOf } from "../peer/greeting.ts";
import type { Interception } from "../peer/interceptors.ts";
import { escaped, Hooks, printable } from "../peer/hooks.ts";
import { News } from "../peer/limit_tally.ts";
import { LogSummary } from "../peer/log_summary.ts";
import { type LimitName, machineSettings, type SessionSettings } from "../peer/options.ts";
import type { AnyPeer } from "../peer/peer.ts";
import type { Load } from "../peer/stats.ts";
import { ByteBudget } from "../session/outbox.ts";
import { cutTransport } from "../stream/cut.ts";
import { closeCodeOfDial } from "../wire/codes.ts";
import type { Welcome } from "../wire/handshake.ts";
import { type AcceptEvents, Acceptor } from "./acceptor.ts";
import { Admission } from "./admission.ts";
import { broadcast, type BroadcastOptions, type BroadcastResult, push } from "./broadcast.ts";
import { Groups } from "./groups.ts";
import { HostCounts, hostOf } from "./hosts.ts";
import type { DuplicateId, Register, ServerEvent, ServerLimits } from "./options.ts";
import { PeerRegistry } from "./registry.ts";
import { type ServerStats, Total, Totals } from "./totals.ts";

/** Options of a server's `close`. */
export interface ServerCloseOptions extends CloseOptions {
  /** Over how many ms clients are asked to come back, so that they do not all come at once. @default {5000} */
  readonly spread?: number;
}

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
  readonly interception: Interception;
  readonly onConnect: ((peer: HubPeer) => unknown) | undefined;
  readonly onMessage: CoreOwner["onMessage"];
  readonly onDisconnect: ((info: CloseInfo, peer: HubPeer) => unknown) | undefined;
}

type ConnectionLimit = "maxConnections" | "maxConnectionsPerHost" | "maxUnregistered";

const SPREAD = 5_000;

/** A server. */
export class Hub implements AcceptEvents {
  readonly options: HubOptions;
  readonly log: LogSummary;
  readonly hooks: Hooks;
  readonly events: EventStream<ServerEvent<HubPeer>>;
  readonly registry = new PeerRegistry<HubPeer>();
  readonly groups = new Groups<HubPeer>();
  readonly handlers = new HandlerTable();
  readonly addrs: readonly Addr[];
  readonly epoch: Bytes;
  /** What each connection is made with. */
  readonly coreOptions: CoreOptions;
  readonly closed: Promise<DrainInfo>;
  readonly #resolveClosed: (info: DrainInfo) => void;
  readonly #unregistered = new Set<Admission>();
  readonly #admitted = new Map<HubPeer, Admission>();
  /** Every connection that is not closed, whatever became of it. */
  readonly #cores = new Set<PeerCore>();
  readonly #hosts = new HostCounts();
  readonly #news = new News<ConnectionLimit>();
  readonly #totals = new Totals();
  readonly #acceptor: Acceptor;
  /** How it ends; `undefined` while it does not. */
  #outcome: CloseInfo | undefined;
  /** Resolves when the listeners have let go of their addresses. Never rejects. */
  #letGo: Promise<unknown> = Promise.resolve();
  #over = false;

  constructor(options: HubOptions) {
    this.options = options;
    const { runtime, logger, listeners, limits, settings, serializer, interception } = options;
    this.handlers.addAll(options.methods);
    this.log = new LogSummary(logger, runtime.clock);
    this.hooks = new Hooks(this.log, (error) => this.#tell(error, undefined));
    this.events = new EventStream(options.onEvent, (error) => this.hooks.reportQuietly(error));
    this.coreOptions = {
      settings,
      machine: machineSettings("server", settings, serializer.name, limits),
      serializer,
      clock: runtime.clock,
      alarms: new Alarms(runtime.clock),
      log: this.log,
      interception,
      budget: new ByteBudget(limits.maxQueuedBytesTotal),
    };
    this.#acceptor = new Acceptor(listeners, runtime.clock, this);
    this.addrs = listeners.map(({ addr }) => Addr.of(addr));
    this.epoch = randomBytes(runtime, 8);
    const { promise, resolve } = Promise.withResolvers<DrainInfo>();
    this.closed = promise;
    this.#resolveClosed = resolve;
  }

  /** Begins to accept. */
  start(): void {
    for (const addr of this.addrs) this.log.state(`Listening on ${addr}`);
    this.#acceptor.start();
  }

  /** Takes a connection in. */
  take(transport: Transport): Admission | undefined {
    const { limits } = this.options;
    const origin = Addr.of(transport.remoteAddr);
    if (this.#stopped) {
      cutTransport(transport);
      return undefined;
    }
    if (this.#unregistered.size >= limits.maxUnregistered) {
      this.#refusing("maxUnregistered", origin);
      if (!this.#makePlace()) {
        cutTransport(transport);
        this.#totals.rejected("TOO_MANY_CONNECTIONS");
        return undefined;
      }
    }
    const host = hostOf(origin);
    const limit = this.#limitOf(host);
    if (limit !== undefined) this.#refusing(limit, origin);
    const refusal = limit === undefined ? undefined : "TOO_MANY_CONNECTIONS";
    const admission = new Admission(this, host, refusal);
    const { core } = admission;
    this.#unregistered.add(admission);
    this.#cores.add(core);
    this.#hosts.add(host, 1);
    admission.start(transport);
    return admission;
  }

  acceptFailed(error: unknown, delay: number): void {
    this.log.warn("accept", `Cannot accept connections: ${error}. Next try in ${delay} ms`);
    this.events.emit({ type: "accept-error", error, delay });
  }

  /** What is behind a registered client. */
  coreOf(peer: HubPeer): PeerCore | undefined {
    return this.#admitted.get(peer)?.core;
  }

  /** Sends a body to whoever has this id; tells whether anybody took it. */
  push(id: string, payload: Uint8Array, options: SendOptions): Promise<boolean> {
    return push(this.registry.getAll(id).map((peer) => this.coreOf(peer)), payload, options);
  }

  /** Hands a body to every registered client, or to those that the options name. */
  broadcast(payload: Uint8Array, options: BroadcastOptions): Promise<BroadcastResult<HubPeer>> {
    const { runtime: { clock }, settings } = this.options;
    const context = { clock, settings };
    return broadcast(this.#receivers(options), payload, options, context);
  }

  // ── what admissions ask and tell ──

  /** The newest owner of an id. */
  owner(id: string): Admission | undefined {
    const peer = this.registry.get(id);
    return peer === undefined ? undefined : this.#admitted.get(peer);
  }

  /** An id that nobody has. */
  freshId(): string {
    const fresh = () => randomBytes(this.options.runtime, 8).toHex();
    for (let id = fresh();; id = fresh()) if (!this.registry.has(id)) return id;
  }

  /** What a client that is let in is told. */
  welcome(id: string): Welcome {
    const { runtime, serializer } = this.options;
    const { epoch, coreOptions: { machine: { limits } } } = this;
    return welcomeOf(runtime, { limits, id, epoch, serializer: serializer.name });
  }

  /** Enters a client. */
  admit(admission: Admission, data: unknown): HubPeer {
    const peer = this.options.makePeer(admission, data);
    this.#unregistered.delete(admission);
    this.#admitted.set(peer, admission);
    this.registry.add(peer);
    this.#totals.entered(this.registry.size);
    return peer;
  }

  /** A client is open for traffic. */
  opened({ core }: Admission): void {
    const peer = this.registry.get(core.id);
    if (peer === undefined) return;
    const count = this.registry.size;
    if (this.log.has("info")) {
      this.log.state(`${escaped(core.id)} connected from ${core.remoteAddr} (${count} now)`);
    }
    this.events.emit({ type: "connect", peer });
  }

  /** A registered client is gone. */
  left({ core, groups }: Admission, peer: HubPeer, info: CloseInfo): void {
    this.registry.delete(peer);
    this.groups.exit(peer, groups);
    this.#admitted.delete(peer);
    this.#totals.left(core.load);
    const how = info.reason === "" ? info.code : `${escaped(info.reason)} (${info.code})`;
    const count = this.registry.size;
    this.log.state(`${escaped(core.id)} disconnected: ${how} (${count} now)`);
    this.events.emit({ type: "disconnect", peer, info });
  }

  /** The link of a connection is closed, after its end. */
  gone({ core, host }: Admission): void {
    this.#cores.delete(core);
    this.#hosts.add(host, -1);
  }

  /** A connection ended before it had registered. */
  refused(admission: Admission, { code, reason }: CloseInfo): void {
    this.#unregistered.delete(admission);
    const { core: { remoteAddr, load } } = admission;
    this.#totals.left(load);
    this.#rejected(remoteAddr, code, reason);
  }

  /** A connection came to nothing before it was one: its TLS or HTTP handshake failed. */
  turnedAway({ code, message: reason, cause }: ConnectError, remoteAddr: Addr): void {
    // A hook of the application.
    if (code === "INTERNAL") this.report(cause, undefined);
    this.#rejected(remoteAddr, closeCodeOfDial(code), reason);
  }

  /** Messages for a client were dropped. */
  dropped(peer: HubPeer, frames: number, bytes: number, policy: DropPolicy): void {
    this.events.emit({ type: "drop", peer, frames, bytes, policy });
  }

  /** A limit was met, by a client or by one who would be, and counted. */
  limitMet(limit: LimitName, value: number, remoteAddr: Addr, peer?: HubPeer): void {
    const event = { type: "limit", limit, value, remoteAddr } as const;
    this.events.emit(peer === undefined ? event : { ...event, peer });
  }

  /** Something of the application threw. */
  report(error: unknown, peer: HubPeer | undefined): void {
    if (!this.#tell(error, peer)) this.hooks.reportQuietly(error);
  }

  stats(): ServerStats {
    return this.#totals.snapshot(this.#loads(), {
      peers: this.registry.size,
      unregistered: this.#unregistered.size,
    });
  }

  // ── endings ──

  close(options: ServerCloseOptions = {}): Promise<DrainInfo> {
    if (this.#outcome !== undefined) return this.closed;
    const { reason = "The server is closing", spread = SPREAD } = options;
    if (!(spread >= 0 && spread < 2 ** 32)) {
      throw new RangeError(
        `Cannot close server as 'spread' must be from 0 to 4294967295 ms: current value is ${spread}`,
      );
    }
    this.#stop({ code: "NORMAL", reason, initiator: "local" });
    const { grace = GRACE } = options;
    const { size } = this.#cores;
    if (size > 0) this.log.state(`Closing within ${grace} ms. Connections: ${size}`);
    this.events.emit({ type: "drain", initiator: "local" });
    for (const core of [...this.#cores]) {
      // A client waits for a random time of once to twice this (PROTOCOL.md section 12).
      const retryAfter = Math.round(this.options.runtime.random() * spread / 2);
      core.close({ ...options, reason }, "DRAINING", retryAfter);
    }
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
    this.#letGo = this.#acceptor.stop();
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
    this.log.flush();
    this.log.state(`Closed: ${printable(info.reason)}. ${inCounts(info)}`);
    this.events.emit({ type: "close", info });
    this.events.close();
    await this.#letGo;
    this.#resolveClosed(info);
  }

  get #stopped(): boolean {
    return this.#outcome !== undefined;
  }

  #rejected(remoteAddr: Addr, code: CloseCode, reason: string): void {
    this.#totals.rejected(code);
    const why = `${escaped(reason)} (${code})`;
    this.log.warn(`refused ${code}`, `${remoteAddr} was not let in: ${why}`);
    this.events.emit({ type: "reject", remoteAddr, code, reason });
  }

  /** A connection finds no room. */
  #refusing(limit: ConnectionLimit, origin: Addr): void {
    const value = this.options.limits[limit];
    this.#totals.limit(limit);
    this.log.warn(`limit ${limit}`, `${origin} has met the limit '${limit}' (${value})`);
    const now = this.options.runtime.clock.now();
    if (this.#news.begins(limit, now)) this.limitMet(limit, value, origin);
  }

  /**
   * Ends the oldest connection that has not said yet who it is. Thousands that say nothing would else keep
   * everybody out for as long as the handshake may take; who is honest says so at once.
   */
  #makePlace(): boolean {
    for (const { core, asked } of this.#unregistered) {
      if (asked) continue;
      const reason = "It has said nothing, and others wait for its place";
      core.finalize({ code: "TOO_MANY_CONNECTIONS", reason, initiator: "local" }, "abort");
      return true;
    }
    return false;
  }

  #limitOf(host: string | undefined): ConnectionLimit | undefined {
    const { maxConnections, maxConnectionsPerHost } = this.options.limits;
    if (this.registry.size + this.#unregistered.size >= maxConnections) return "maxConnections";
    return this.#hosts.of(host) >= maxConnectionsPerHost ? "maxConnectionsPerHost" : undefined;
  }

  *#loads(): Generator<Load> {
    for (const { core } of this.#admitted.values()) yield core.load;
  }

  *#receivers({ group, except }: BroadcastOptions): Generator<[HubPeer, PeerCore]> {
    const out = except && asSet(except);
    if (group === undefined) {
      for (const [peer, { core }] of this.#admitted) if (!out?.has(peer)) yield [peer, core];
      return;
    }
    const seen = new Set<AnyPeer>(out);
    for (const name of typeof group === "string" ? [group] : group) {
      for (const peer of this.groups.members(name)) {
        const core = seen.has(peer) ? undefined : this.coreOf(peer);
        if (core === undefined) continue;
        seen.add(peer);
        yield [peer, core];
      }
    }
  }

  #tell(error: unknown, peer: HubPeer | undefined): boolean {
    if (!this.events.watched) return false;
    this.events.emit(
      peer === undefined ? { type: "error", error } : { type: "error", error, peer },
    );
    return true;
  }
}

function asSet(peers: AnyPeer | Iterable<AnyPeer>): ReadonlySet<AnyPeer> {
  return Symbol.iterator in peers ? new Set(peers) : new Set([peers]);
}
