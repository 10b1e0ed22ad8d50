/**
 * The reconnect loop: dials, runs a session, waits, and dials again.
 *
 * Owns when to dial and when to give up. What a session is belongs to the peer's core.
 *
 *   dial ──> handshake ──> open ──> (ended) ──> wait ──> dial …
 *     └──────────┴── failed ────────────────────┘
 *
 * 1. One loop per client, and one link at a time.
 * 2. The count of failures starts anew only after a link was open for `stableAfter` ms: a server that
 *    accepts and hangs up is not dialled in a busy loop.
 * 3. A refusal that cannot heal by itself ends the client.
 * 4. A server that asks us to go sees us again when it said: that is no failure, and no back-off.
 */
import type { Clock, Logger, Runtime, Transport } from "../base/types.ts";
import { ClosedError, ConnectError, VnetError } from "../base/errors.ts";
import type { ClientTls } from "../base/tls.ts";
import { OutBuffer } from "../base/out_buffer.ts";
import type { CloseInfo, DrainInfo } from "../base/lifecycle.ts";
import { PeerCore } from "../peer/core.ts";
import { Alarms } from "../peer/alarms.ts";
import { inCounts } from "../peer/drain.ts";
import type { AnySerializer, CoreOwner, DropPolicy, MessageHandler } from "../peer/owner.ts";
import type { AnyHandler } from "../peer/call_options.ts";
import { HandlerTable } from "../peer/calls.ts";
import type { AnyPeer } from "../peer/peer.ts";
import type { Interception } from "../peer/interceptors.ts";
import { EventStream } from "../peer/event_stream.ts";
import { Hooks, printable } from "../peer/hooks.ts";
import { LogSummary } from "../peer/log_summary.ts";
import { helloOf, randomBytes } from "../peer/greeting.ts";
import { type LimitName, machineSettings, type SessionSettings } from "../peer/options.ts";
import { backoffDelay, MIN_DELAY, type ReconnectPolicy } from "../session/backoff.ts";
import type { SessionEnd } from "../session/events.ts";
import { cutTransport } from "../stream/cut.ts";
import { isFinal } from "../wire/codes.ts";
import { encodeHello, type Hello, type Welcome, type WireLimits } from "../wire/handshake.ts";
import {
  asConnectError,
  closedBefore,
  describe,
  failureOf,
  infoOf,
  type LinkEnd,
  misused,
  withAttempts,
} from "./failures.ts";
import {
  type ClientEvent,
  type Credential,
  isTransport,
  type Metadata,
  type Target,
} from "./options.ts";

/** What a connector is made with: the options of a client, resolved and without types. */
export interface ConnectorOptions {
  readonly targets: (attempt: number) => readonly Target[] | Promise<readonly Target[]>;
  readonly settings: SessionSettings;
  readonly serializer: AnySerializer;
  readonly runtime: Runtime;
  readonly logger: Logger | undefined;
  readonly id: string;
  readonly auth: Credential | (() => Credential | Promise<Credential>);
  readonly metadata: Metadata;
  readonly dialTimeout: number;
  readonly tls: ClientTls | undefined;
  readonly policy: ReconnectPolicy | false;
  /** Whether a first attempt that fails is the last one. */
  readonly impatient: boolean;
  readonly onEvent: ((event: ClientEvent) => unknown) | undefined;
  /** The client as the application knows it. */
  readonly peer: () => AnyPeer;
  readonly methods: Readonly<Record<string, AnyHandler>> | undefined;
  readonly interception: Interception;
  readonly onConnect: (() => unknown) | undefined;
  readonly onMessage: MessageHandler | undefined;
  readonly onDisconnect: ((info: CloseInfo) => unknown) | undefined;
}

/** The waits between two tries may be long, and they go on all the same. In ms. */
const LOG_QUIET = 3_600_000;

/** The client without types. */
export class Connector implements CoreOwner {
  readonly core: PeerCore;
  readonly events: EventStream<ClientEvent>;
  readonly #options: ConnectorOptions;
  readonly #log: LogSummary;
  readonly #hooks: Hooks;
  readonly #handlers = new HandlerTable();
  readonly #clock: Clock;
  readonly #instance: Uint8Array<ArrayBuffer>;
  readonly #opened = Promise.withResolvers<void>();
  readonly #stop = new AbortController();
  #linkEnded: ((end: SessionEnd, opened: boolean) => void) | undefined;
  #wake: (() => void) | undefined;
  #failures = 0;
  #attempts = 0;
  #hellos = 0;
  #skipWait = false;
  /** When the server of the present link, which goes away, wants us back. */
  #backAt: number | undefined;
  #lastError: VnetError | undefined;
  /** What was dialled last, and who has said that it goes away. */
  #target: Target | undefined;
  #leaver: Target | undefined;
  #everOpened = false;
  /** Whether every address of the last attempt refused what will not change by itself. */
  #barred = false;

  constructor(options: ConnectorOptions) {
    this.#options = options;
    const { runtime, logger, settings, serializer, id } = options;
    this.#clock = runtime.clock;
    this.#handlers.addAll(options.methods);
    this.#log = new LogSummary(logger, this.#clock, { quiet: LOG_QUIET });
    this.#hooks = new Hooks(this.#log, (error) => {
      if (!this.events.watched) return false;
      this.events.emit({ type: "error", error });
      return true;
    });
    this.events = new EventStream(options.onEvent, (error) => this.#hooks.reportQuietly(error));
    this.#instance = randomBytes(runtime, 12);
    const auth = typeof options.auth === "function" ? "" : options.auth;
    // Once for nothing: what cannot be encoded is the application's mistake, to be told at once.
    const machine = machineSettings("client", settings, serializer.name);
    encodeHello(new OutBuffer(), this.#hello(machine.limits, id, auth));
    const alarms = new Alarms(this.#clock);
    const own = { clock: this.#clock, alarms, log: this.#log };
    const { interception } = options;
    this.core = new PeerCore({ settings, machine, serializer, interception, ...own }, this, id);
    // Who does not look at `opened` learns of its failure by `closed`.
    this.#opened.promise.catch(() => {});
  }

  /** Resolves with the first open session; rejects when the client ends before. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Why the last attempt failed. */
  get lastError(): VnetError | undefined {
    return this.#lastError;
  }

  /** How often was dialled. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Begins to dial, in the next microtask: what is attached to the client at once misses nothing. */
  start(): void {
    queueMicrotask(() => {
      if (this.core.state === "closed") return;
      this.#run().catch((error) => this.#crashed(error));
    });
  }

  /** Dials now: skips a wait, and gives up an open link for a new one. */
  reconnect(): void {
    if (this.core.ending) return;
    if (this.#wake !== undefined) return this.#wake();
    const driver = this.core.driver;
    if (driver === undefined || !driver.machine.open) return;
    this.#skipWait = true;
    driver.machine.close("NORMAL", "The client renews its link");
    driver.flush();
  }

  // ── CoreOwner ──

  peer(): AnyPeer {
    return this.#options.peer();
  }

  get onMessage(): MessageHandler | undefined {
    return this.#options.onMessage;
  }

  handler(method: string): AnyHandler | undefined {
    return this.#handlers.get(method);
  }

  helloReceived(): void {
    // Only servers are asked: the machine refuses a HELLO that a client gets.
  }

  sessionOpened(welcome: Welcome | undefined): void {
    const { core } = this;
    if (welcome !== undefined) core.id = welcome.id;
    this.#everOpened = true;
    this.#log.info("connected", `Connected to ${core.remoteAddr} as ${printable(core.id)}`);
    this.events.emit({ type: "connect", remoteAddr: core.remoteAddr, session: "new" });
    this.#opened.resolve();
    const { driver } = core;
    core.inbox.hook(() =>
      this.#hooks.call(this.#options.onConnect, () => {
        // One that outlived its session has nothing to say about the next.
        if (driver?.machine.open) core.end("INTERNAL", "'onConnect' failed");
      })
    );
  }

  sessionEnded(end: SessionEnd, opened: boolean): void {
    if (!this.core.ending && this.#everOpened) this.core.state = "waiting";
    if (opened) {
      const info = infoOf(end);
      this.#log.warn("ended", `Connection to ${this.core.remoteAddr} ended: ${describe(info)}`);
      this.events.emit({ type: "disconnect", info });
      const { onDisconnect } = this.#options;
      this.core.inbox.hook(() => this.#hooks.call(onDisconnect && (() => onDisconnect(info))));
    }
    const told = this.#linkEnded;
    this.#linkEnded = undefined;
    told?.(end, opened);
    // A drain ends with its link, and as it did.
    if (this.core.state === "draining") this.core.finalize(infoOf(end), "linger");
  }

  goawayReceived(retryAfter: number): void {
    // From now on: what still runs on this link may take its time.
    this.#leaver = this.#target;
    this.#backAt = this.#clock.now() + retryAfter * (1 + this.#options.runtime.random());
    const { remoteAddr } = this.core;
    this.#log.info("leaving", `${remoteAddr} is going away: back in ${retryAfter} ms or more`);
    this.events.emit({ type: "drain", initiator: "remote" });
  }

  finalized(info: DrainInfo): void {
    const reason = this.#lastError ??
      new ClosedError(`Cannot connect as the client was closed`, info);
    this.#opened.reject(
      reason instanceof ConnectError
        ? withAttempts(reason, this.#attempts)
        : closedBefore(info, reason, this.#attempts),
    );
    this.#stop.abort(reason);
    this.#wake?.();
    this.#log.flush();
    this.#log.state(`Closed: ${describe(info)}. ${inCounts(info)}`);
    this.events.emit({ type: "close", info });
    this.events.close();
  }

  gone(): void {} // Nothing is kept beside the core.

  report(error: unknown): void {
    this.#hooks.report(error);
  }

  dropped(frames: number, bytes: number, policy: DropPolicy): void {
    this.events.emit({ type: "drop", frames, bytes, policy });
  }

  limitMet(limit: LimitName, value: number): void {
    this.events.emit({ type: "limit", limit, value });
  }

  // ── the loop ──

  async #run(): Promise<void> {
    while (!this.#over()) {
      const { policy } = this.#options;
      const link = await this.#attempt();
      if (this.#over()) return;
      const stable = policy === false ? 0 : policy.stableAfter;
      if (link?.opened && link.lasted >= stable) this.#settled();
      if (this.#backAt === undefined) this.#failures++;
      if (link !== undefined) this.#lastError = failureOf(link, this.core.remoteAddr);
      const error = this.#lastError ?? new VnetError("LINK_LOST", "The link was lost");
      const hopeless = this.#barred ||
        (link !== undefined && link.end.initiator === "remote" && isFinal(link.end.code));
      const enough = policy === false || this.#failures >= policy.maxAttempts ||
        (this.#options.impatient && !this.#everOpened);
      if (hopeless || (enough && !this.#skipWait)) return this.#giveUp(link, error);
      await this.#pause(error, link?.end.retryAfter ?? 0);
    }
  }

  /** Tries each address once; `undefined` when none could be dialled. */
  async #attempt(): Promise<LinkEnd | undefined> {
    this.#attempts++;
    this.#barred = false;
    let failed: LinkEnd | undefined;
    let targets: readonly Target[];
    try {
      targets = await this.#options.targets(this.#attempts);
    } catch (error) {
      this.#lastError = asConnectError(error, "Cannot connect as the address function failed");
      return undefined;
    }
    this.#barred = true;
    // Whoever was about to close is not there for a while: another one is asked first.
    const away = (target: Target) => Number(target === this.#leaver);
    for (const target of targets.toSorted((a, b) => away(a) - away(b))) {
      if (this.#over()) {
        if (isTransport(target)) cutTransport(target);
        return undefined;
      }
      this.#target = target;
      const transport = await this.#dial(target);
      const link = transport && await this.#session(transport.transport, transport.auth);
      const error = link === undefined ? this.#lastError : link.end.error;
      this.#barred &&= error instanceof ConnectError && isFinal(error.code);
      if (link === undefined) continue;
      if (link.opened || isFinal(link.end.code)) return link;
      failed = link;
    }
    return failed;
  }

  async #dial(target: Target): Promise<{ transport: Transport; auth: Credential } | undefined> {
    const { auth: given, runtime, dialTimeout, tls } = this.#options;
    let transport = isTransport(target) ? target : undefined;
    try {
      const auth = typeof given === "function" ? await given() : given;
      if (!isTransport(target) && !this.#over()) {
        this.events.emit({ type: "dial", addr: target, attempt: this.#failures + 1 });
        const { signal } = this.#stop;
        const how = { timeout: dialTimeout, signal };
        const dialled = runtime.dial(target, tls === undefined ? how : { ...how, tls });
        transport = await dialled.catch(misused);
      }
      if (transport !== undefined && !this.#over()) return { transport, auth };
    } catch (error) {
      this.#lastError = asConnectError(error, "Cannot connect");
    }
    if (transport !== undefined) cutTransport(transport);
    return undefined;
  }

  /** Gives how it ended; `undefined` when it could not begin. */
  #session(transport: Transport, auth: Credential): Promise<LinkEnd | undefined> {
    return new Promise((resolve) => {
      this.#linkEnded = (end, opened) => {
        const since = this.core.driver?.openedAt ?? this.#clock.now();
        resolve({ end, opened, lasted: this.#clock.now() - since });
      };
      this.#hellos++;
      try {
        this.core.run(transport, (limits) => this.#hello(limits, this.core.id, auth));
      } catch (error) {
        // A credential that does not fit: the next one may.
        this.#linkEnded = undefined;
        this.#lastError = asConnectError(error, "Cannot register");
        cutTransport(transport);
        resolve(undefined);
      }
    });
  }

  async #pause(error: VnetError, retryAfter: number): Promise<void> {
    const { policy, runtime } = this.#options;
    const backAt = this.#backAt;
    this.#backAt = undefined;
    const skip = this.#skipWait || policy === false;
    this.#skipWait = false;
    if (skip) return;
    const attempt = this.#failures;
    const delay = backAt === undefined
      ? backoffDelay(policy, { attempt, error }, () => runtime.random(), retryAfter)
      : Math.max(MIN_DELAY, backAt - this.#clock.now());
    this.#log.warn(
      "retry",
      `${printable(error.message)}. Next try in ${Math.round(delay)} ms`,
    );
    this.events.emit({ type: "wait", delay, attempt, error });
    if (this.#over()) return;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimer(this.#clock.now() + delay, () => wake());
      const wake = () => {
        timer[Symbol.dispose]();
        this.#wake = undefined;
        resolve();
      };
      this.#wake = wake;
    });
  }

  #hello(limits: WireLimits, clientId: string, auth: Credential): Hello {
    const { serializer, metadata } = this.#options;
    const instance = new Uint8Array(16);
    instance.set(this.#instance);
    new DataView(instance.buffer).setUint32(12, this.#hellos);
    return helloOf({ limits, clientId, auth, serializer: serializer.name, instance, metadata });
  }

  #giveUp(link: LinkEnd | undefined, error: VnetError): void {
    const info: CloseInfo = link === undefined
      ? { code: "LINK_LOST", reason: error.message, initiator: "network", error }
      : { ...infoOf(link.end), error };
    this.core.finalize(info, "linger");
  }

  #crashed(error: unknown): void {
    this.report(error);
    this.core.finalize({
      code: "INTERNAL",
      reason: "The reconnect loop failed",
      initiator: "local",
    }, "abort");
  }

  /** A link has lasted: whatever fails now fails for the first time. */
  #settled(): void {
    this.#failures = 0;
    for (const kind of ["retry", "connected", "ended", "leaving"]) this.#log.settled(kind);
  }

  #over(): boolean {
    return this.core.ending || this.core.state === "closed";
  }
}
