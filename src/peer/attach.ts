/**
 * A session on one connection that exists already, on either side of it: no registry, no reconnect.
 */
import type { Runtime, Side, Transport } from "../base/types.ts";
import { type ClosedError, ConnectError } from "../base/errors.ts";
import type { CloseInfo, DrainInfo } from "../base/lifecycle.ts";
import type { AnyContract, LocalApi, RemoteApi, Untyped } from "../contract/types.ts";
import { intercept, type Interception } from "./interceptors.ts";
import type { SessionEnd } from "../session/events.ts";
import type { Hello, Welcome, WireLimits } from "../wire/handshake.ts";
import { clientIdProblem } from "../wire/handshake.ts";
import { Alarms } from "./alarms.ts";
import { abortWith } from "./abort_with.ts";
import { PeerCore } from "./core.ts";
import type { AnySerializer, CoreOwner, MessageHandler } from "./owner.ts";
import { sessionBodies } from "./bodies.ts";
import type { AnyHandler } from "./call_options.ts";
import { HandlerTable } from "./calls.ts";
import { helloOf, randomBytes, welcomeOf } from "./greeting.ts";
import { guarded, Hooks, printable } from "./hooks.ts";
import { LogSummary } from "./log_summary.ts";
import { type Limits, machineSettings, resolveSession, type SessionOptions } from "./options.ts";
import { type AnyPeer, type Peer, PeerFace } from "./peer.ts";
import { taken } from "./trust.ts";

/** Options of `attach`. Times in ms, sizes in bytes. */
export interface AttachOptions<C extends AnyContract, S extends Side>
  extends SessionOptions<C, LocalApi<C, S>, Peer<RemoteApi<C, S>, LocalApi<C, S>>> {
  /** Which end this one is: exactly one of the two must be `"client"`. */
  readonly side: S;
  /** Client: the id to register with. @default {one that the server gives} */
  readonly id?: string;
  /** Client: what to show at registration. @default {""} */
  readonly auth?: string | Uint8Array;
  /** What the connection may use. */
  readonly limits?: Partial<Limits>;
}

interface AttachedOptions {
  readonly side: Side;
  readonly id: string;
  readonly auth: string | Uint8Array;
  readonly serializer: AnySerializer;
  readonly runtime: Runtime;
  readonly log: LogSummary;
  readonly hooks: Hooks;
  readonly peer: () => AnyPeer;
  readonly interception: Interception;
  readonly methods: Readonly<Record<string, AnyHandler>> | undefined;
  readonly onConnect: (() => unknown) | undefined;
  readonly onMessage: MessageHandler | undefined;
  readonly onDisconnect: ((info: CloseInfo) => unknown) | undefined;
}

/** The owner of a core that has one link and no other after it. */
class Attached implements CoreOwner {
  readonly core: PeerCore;
  readonly opened = Promise.withResolvers<void>();
  readonly #options: AttachedOptions;
  readonly #limits: WireLimits;
  readonly #handlers = new HandlerTable();

  constructor(options: AttachedOptions, session: AttachOptions<AnyContract, Side>) {
    this.#options = options;
    this.#handlers.addAll(options.methods);
    const settings = resolveSession(session);
    const { side, id, serializer, interception, log, runtime: { clock } } = options;
    const machine = machineSettings(side, settings, serializer.name);
    this.#limits = machine.limits;
    this.core = new PeerCore(
      { settings, machine, serializer, clock, alarms: new Alarms(clock), interception, log },
      this,
      id,
    );
    // Whoever attached is told; a signal that ends it before may come while nobody waits.
    this.opened.promise.catch(() => {});
  }

  start(transport: Transport): void {
    const { side, id, auth, serializer, runtime } = this.#options;
    if (side === "server") return void this.core.run(transport);
    this.core.run(transport, (limits) =>
      helloOf({
        limits,
        clientId: id,
        auth,
        serializer: serializer.name,
        instance: randomBytes(runtime, 16),
        metadata: {},
      }));
  }

  peer(): AnyPeer {
    return this.#options.peer();
  }

  get onMessage(): MessageHandler | undefined {
    return this.#options.onMessage;
  }

  handler(method: string): AnyHandler | undefined {
    return this.#handlers.get(method);
  }

  helloReceived(hello: Hello): void {
    const { core } = this;
    const { runtime, serializer } = this.#options;
    const { machine } = core.driver ?? {};
    const epoch = randomBytes(runtime, 8);
    const problem = clientIdProblem(hello.clientId);
    if (problem !== undefined) return machine?.reject("CLIENT_ID_INVALID", problem, 0, epoch);
    core.id = hello.clientId;
    const limits = this.#limits;
    const { id } = core;
    machine?.welcome(welcomeOf(runtime, { limits, id, epoch, serializer: serializer.name }), hello);
  }

  sessionOpened(welcome: Welcome | undefined): void {
    if (welcome !== undefined) this.core.id = welcome.id;
    this.opened.resolve();
    const { hooks, onConnect } = this.#options;
    this.core.inbox.hook(() =>
      hooks.call(onConnect, () => this.core.end("INTERNAL", "'onConnect' failed"))
    );
  }

  sessionEnded(end: SessionEnd, opened: boolean): void {
    const { code, reason, initiator, error } = end;
    const info: CloseInfo = { code, reason, initiator, ...(error === undefined ? {} : { error }) };
    const { hooks, onDisconnect } = this.#options;
    if (opened) this.core.inbox.hook(() => hooks.call(onDisconnect && (() => onDisconnect(info))));
    this.opened.reject(
      new ConnectError(
        end.wrongProtocol ? "WRONG_PROTOCOL" : code,
        `Cannot open session: ${printable(reason)}`,
        {
          initiator,
          ...(error === undefined ? {} : { cause: error }),
        },
      ),
    );
    this.core.finalize(info, "linger");
  }

  goawayReceived(): void {
    // There is no other link to go to: the session ends when the other end ends it.
  }

  finalized(_info: DrainInfo): void {
    // A core that ends before its session does has had its session ended, and told above.
    this.#options.log.flush();
  }

  gone(): void {
    // Nothing is kept beside the core.
  }

  report(error: unknown): void {
    this.#options.hooks.report(error);
  }

  dropped(): void {
    // There are no events to tell it by: the statistics count it.
  }

  limitMet(): void {
    // As above.
  }
}

/** Runs a session on a connection; resolves when it is open. */
export async function attachPeer<S extends Side, C extends AnyContract = Untyped>(
  transport: Transport,
  options: AttachOptions<C, S>,
  runtime: Runtime,
): Promise<Peer<RemoteApi<C, S>, LocalApi<C, S>>> {
  const { side, id = "", auth = "", onConnect, onMessage, onDisconnect, logger, signal } = options;
  if (side !== "client" && side !== "server") {
    throw new TypeError(
      `Cannot attach as 'side' must be "client" or "server": current value is ${side}`,
    );
  }
  const log = new LogSummary(guarded(logger), runtime.clock);
  const attached: Attached = new Attached({
    side,
    id,
    auth,
    serializer: sessionBodies(options, side),
    runtime,
    log,
    hooks: new Hooks(log, () => false),
    peer: () => peer,
    methods: taken(options.methods),
    interception: intercept(options.interceptors),
    onConnect: onConnect && (() => onConnect(peer)),
    onMessage: taken(onMessage),
    onDisconnect: onDisconnect && ((info) => onDisconnect(info, peer)),
  }, taken(options));
  const peer: Peer<RemoteApi<C, S>, LocalApi<C, S>> = new PeerFace(attached.core);
  abortWith(signal, peer);
  runtime.adopt?.(peer);
  try {
    attached.start(transport);
  } catch (error) {
    peer.abort(error);
    throw error;
  }
  await attached.opened.promise.catch((error: ClosedError | ConnectError) => {
    throw signal?.aborted ? signal.reason : error;
  });
  return peer;
}
