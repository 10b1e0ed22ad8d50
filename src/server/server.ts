/**
 * The side that listens: its types, and how its options become a hub.
 */
import type { ListenOptions, Runtime, Transport, TransportListener } from "../base/types.ts";
import { Addr } from "../base/addr.ts";
import { ConnectError } from "../base/errors.ts";
import type { DrainInfo, Lifecycle } from "../base/lifecycle.ts";
import type { AnyContract, BodyIn, Callable, SendArgs, Topic, Untyped } from "../contract/types.ts";
import { abortWith } from "../peer/abort_with.ts";
import { checkName } from "../peer/names.ts";
import { type Encoded, encodeMessage } from "../peer/bodies.ts";
import { checkSendOptions } from "../peer/send_queue.ts";
import { InOrder } from "../peer/sender.ts";
import type { AnySerializer, SendOptions } from "../peer/owner.ts";
import { demandMethod, sessionBodies } from "../peer/bodies.ts";
import type { Handler } from "../peer/call_options.ts";
import { HandlerTable } from "../peer/calls.ts";
import { guarded } from "../peer/hooks.ts";
import { intercept } from "../peer/interceptors.ts";
import { resolveSession } from "../peer/options.ts";
import { type Peer, PeerFace } from "../peer/peer.ts";
import { taken } from "../peer/trust.ts";
import type { Admission } from "./admission.ts";
import type { BroadcastOptions, BroadcastResult } from "./broadcast.ts";
import { Hub, type HubPeer, type ServerCloseOptions } from "./hub.ts";
import {
  isListener,
  type ListenAddress,
  resolveServerLimits,
  type ServeOptions,
  type ServerEvent,
} from "./options.ts";
import type { Registry } from "./registry.ts";
import type { ServerStats } from "./totals.ts";

/** What a server holds for one client. */
export interface ServerPeer<C extends AnyContract = Untyped, D = undefined>
  extends Peer<C["client"], C["server"]> {
  /** Its server. */
  readonly server: Server<C, D>;
  /** What `register` gave. */
  readonly data: D;
  /** The groups it is in; once it is gone: those it was in at last. */
  readonly groups: ReadonlySet<string>;
  /**
   * Puts it into a group. One that is gone joins nothing.
   *
   * @throws {LimitError} when it is in `limits.maxGroups` already
   */
  join(group: string): void;
  /** Takes it out of a group. */
  leave(group: string): void;
}

/** A server. */
export interface Server<C extends AnyContract = Untyped, D = undefined>
  extends Lifecycle<DrainInfo> {
  /** Where it listens: the first address. */
  readonly addr: Addr;
  /** Where it listens. */
  readonly addrs: readonly Addr[];
  /** Who is here. */
  readonly peers: Registry<ServerPeer<C, D>>;
  /** Who is in a group; the set follows those who join and leave for as long as it has a member. */
  group(name: string): ReadonlySet<ServerPeer<C, D>>;
  /** What it has done so far. */
  stats(): ServerStats;
  /**
   * Sends a message to the client with this id; `false` when nobody has it.
   *
   * @throws {LimitError} when the message is too large, or the client's queue is full
   */
  push<K extends Topic<C["client"]>>(
    id: string,
    body: BodyIn<C["client"], K>,
    ...options: SendArgs<C["client"], K, SendOptions>
  ): Promise<boolean>;
  /**
   * Sends a message to all clients, or to those of a group. It is encoded once, and waits for nobody
   * unless `ack` is set; who has no room for it does not get it (`overflow` is `"drop-newest"` by default).
   */
  broadcast<K extends Topic<C["client"]>>(
    body: BodyIn<C["client"], K>,
    ...options: SendArgs<C["client"], K, BroadcastOptions>
  ): Promise<BroadcastResult<ServerPeer<C, D>>>;
  /**
   * Answers calls of a method, whichever client makes them, until it is disposed of.
   *
   * @throws {TypeError} when the method has a handler already
   */
  handle<K extends Callable<C["server"]>>(
    method: K,
    handler: Handler<C["server"][K], ServerPeer<C, D>>,
  ): Disposable;
  /**
   * Takes in a connection that exists; resolves once it has registered.
   *
   * @throws {ConnectError} when it is refused, or leaves before
   */
  attach(transport: Transport): Promise<ServerPeer<C, D>>;
  /** What happens to its connections, from now on. */
  events(): AsyncIterable<ServerEvent<ServerPeer<C, D>>>;
  /**
   * Stops: takes nobody in any more, lets the calls finish that were accepted within `grace` ms, and asks
   * the clients to come back at random moments of the next `spread` ms. What is left is cut and counted.
   */
  close(options?: ServerCloseOptions): Promise<DrainInfo>;
}

class ServerPeerFace<C extends AnyContract, D> extends PeerFace<C["client"], C["server"]>
  implements ServerPeer<C, D> {
  readonly server: Server<C, D>;
  readonly data: D;
  readonly #admission: Admission;

  constructor(admission: Admission, server: Server<C, D>, data: D) {
    super(admission.core);
    this.server = server;
    this.data = data;
    this.#admission = admission;
  }

  get groups(): ReadonlySet<string> {
    return this.#admission.groups;
  }

  join(group: string): void {
    checkName("group", group);
    this.#admission.join(group);
  }

  leave(group: string): void {
    this.#admission.leave(group);
  }
}

class ServerFace<C extends AnyContract, D> implements Server<C, D> {
  readonly peers: Registry<ServerPeer<C, D>>;
  readonly #hub: Hub;
  readonly #serializer: AnySerializer;
  readonly #checks: InOrder;

  constructor(hub: Hub, serializer: AnySerializer) {
    this.#hub = hub;
    this.#checks = new InOrder(hub.options.limits.maxInFlight);
    this.#serializer = serializer;
    this.peers = taken(hub.registry);
  }

  get addr(): Addr {
    const addr = this.#hub.addrs[0];
    if (addr === undefined) {
      throw new TypeError("Cannot tell address as the server listens on none");
    }
    return addr;
  }

  get addrs(): readonly Addr[] {
    return this.#hub.addrs;
  }

  get closed(): Promise<DrainInfo> {
    return this.#hub.closed;
  }

  stats(): ServerStats {
    return this.#hub.stats();
  }

  push<K extends Topic<C["client"]>>(
    id: string,
    body: BodyIn<C["client"], K>,
    ...[options]: SendArgs<C["client"], K, SendOptions>
  ): Promise<boolean> {
    const { send } = this.#hub.options.interception;
    const push = (body: unknown, options: SendOptions = {}) => {
      checkSendOptions(options);
      const encoded = encodeMessage(this.#serializer, options.topic ?? "", body);
      return this.#checked(encoded, (payload) => this.#hub.push(id, payload, options));
    };
    return this.#attempt(() => {
      if (send === undefined) return push(body, options);
      const peer = this.#hub.registry.get(id);
      return send({ ...options, body, peer }, (message) => push(message.body, message));
    });
  }

  broadcast<K extends Topic<C["client"]>>(
    body: BodyIn<C["client"], K>,
    ...[options]: SendArgs<C["client"], K, BroadcastOptions>
  ): Promise<BroadcastResult<ServerPeer<C, D>>> {
    const { send } = this.#hub.options.interception;
    const broadcast = (body: unknown, options: BroadcastOptions = {}) => {
      checkSendOptions(options);
      const encoded = encodeMessage(this.#serializer, options.topic ?? "", body);
      return this.#checked(encoded, (payload) => this.#hub.broadcast(payload, options));
    };
    return taken(this.#attempt(() => {
      if (send === undefined) return broadcast(body, options);
      return send(
        { ...options, body, peer: undefined },
        (message) => broadcast(message.body, { ...options, ...message }),
      );
    }));
  }

  /** A check that takes time holds back what is sent after it. */
  #checked<T>(encoded: Encoded, use: (payload: Uint8Array) => Promise<T>): Promise<T> {
    if (encoded instanceof Uint8Array && this.#checks.idle) return use(encoded);
    return this.#checks.run(encoded, use);
  }

  /** Peers leave all the time: what nobody awaits must not end the process. Awaiting it still throws. */
  #attempt<T>(run: () => Promise<T>): Promise<T> {
    try {
      const result = run();
      result.catch(() => {});
      return result;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  group(name: string): ReadonlySet<ServerPeer<C, D>> {
    return taken(this.#hub.groups.members(name));
  }

  handle<K extends Callable<C["server"]>>(
    method: K,
    handler: Handler<C["server"][K], ServerPeer<C, D>>,
  ): Disposable {
    demandMethod(this.#serializer.local, method);
    return this.#hub.handlers.add(method, taken(handler));
  }

  async attach(transport: Transport): Promise<ServerPeer<C, D>> {
    const admission = this.#hub.take(transport);
    if (admission === undefined) {
      throw new ConnectError(
        "TOO_MANY_CONNECTIONS",
        "Cannot attach connection as the server takes no more",
      );
    }
    return taken(await admission.registered);
  }

  events(): AsyncIterable<ServerEvent<ServerPeer<C, D>>> {
    return taken(this.#hub.events.iterate());
  }

  close(options?: ServerCloseOptions): Promise<DrainInfo> {
    return this.#hub.close(options);
  }

  abort(reason?: unknown): void {
    this.#hub.abort(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#hub.close();
  }
}

/** Binds every address or none, and begins to serve. */
export async function startServer<C extends AnyContract, D>(
  address: ListenAddress | readonly ListenAddress[],
  options: ServeOptions<C, D>,
  runtime: Runtime,
): Promise<Server<C, D>> {
  const { register, onConnect, onMessage, onDisconnect, onEvent, duplicateId = "probe" } = options;
  if (!["probe", "replace", "reject", "allow"].includes(duplicateId)) {
    throw new TypeError(
      `Cannot serve as 'duplicateId' must be "probe", "replace", "reject" or "allow": current value is ${duplicateId}`,
    );
  }
  const serializer = sessionBodies(options, "server");
  const settings = resolveSession(options);
  const limits = resolveServerLimits(options.limits);
  // Throws before anything is bound.
  new HandlerTable().addAll(taken(options.methods));
  let hub: Hub | undefined = undefined;
  const listeners = await bindAll(isList(address) ? address : [address], runtime, {
    ...(options.reusePort ? { reusePort: true } : {}),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    ...(options.http === undefined ? {} : { http: options.http }),
    // Until all addresses are bound there is nobody to tell.
    onHandshakeError: (error, remoteAddr) => hub?.turnedAway(error, remoteAddr),
  });
  hub = new Hub({
    listeners,
    settings,
    limits,
    serializer,
    runtime,
    logger: guarded(options.logger),
    register: register && ((request) => register(request)),
    duplicateId,
    makePeer: (admission, data): HubPeer =>
      new ServerPeerFace<C, D>(admission, server, taken(data)),
    methods: taken(options.methods),
    interception: intercept(options.interceptors),
    onEvent: onEvent && ((event) => onEvent(taken(event))),
    onConnect: onConnect && ((peer) => onConnect(taken(peer))),
    onMessage: taken(onMessage),
    onDisconnect: onDisconnect && ((info, peer) => onDisconnect(info, taken(peer))),
  });
  const server: Server<C, D> = new ServerFace<C, D>(hub, serializer);
  abortWith(options.signal, server);
  runtime.adopt?.(server);
  hub.start();
  return server;
}

async function bindAll(
  addresses: readonly ListenAddress[],
  runtime: Runtime,
  options: ListenOptions,
): Promise<TransportListener[]> {
  const targets = addresses.map((given) => isListener(given) ? given : Addr.parse(given));
  const bound: TransportListener[] = [];
  try {
    for (const target of targets) {
      bound.push(target instanceof Addr ? await runtime.listen(target, options) : target);
    }
  } catch (error) {
    for (const listener of bound) if (!addresses.includes(listener)) listener.close();
    throw error;
  }
  return bound;
}

function isList(
  address: ListenAddress | readonly ListenAddress[],
): address is readonly ListenAddress[] {
  return Array.isArray(address);
}
