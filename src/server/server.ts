/**
 * The side that listens: its types, and how its options become a hub.
 */
import type { Runtime, Transport, TransportListener } from "../base/types.ts";
import { Addr } from "../base/addr.ts";
import { ClosedError, ConnectError } from "../base/errors.ts";
import type { CloseOptions, DrainInfo, Lifecycle } from "../base/lifecycle.ts";
import { raw } from "../contract/serializers.ts";
import type { AnyContract, BodyIn, Callable, SendArgs, Topic, Untyped } from "../contract/types.ts";
import { abortWith } from "../peer/abort_with.ts";
import { checkTopic } from "../peer/send_queue.ts";
import type { AnySerializer, SendOptions } from "../peer/owner.ts";
import type { Handler } from "../peer/call_options.ts";
import { HandlerTable } from "../peer/calls.ts";
import { guarded } from "../peer/hooks.ts";
import { resolveSession } from "../peer/options.ts";
import { type AnyPeer, type Peer, PeerFace } from "../peer/peer.ts";
import { taken } from "../peer/trust.ts";
import type { Admission } from "./admission.ts";
import { Hub, type HubPeer, type ServerStats } from "./hub.ts";
import {
  isListener,
  type ListenAddress,
  resolveServerLimits,
  type ServeOptions,
  type ServerEvent,
} from "./options.ts";
import type { Registry } from "./registry.ts";

/** What a server holds for one client. */
export interface ServerPeer<C extends AnyContract = Untyped, D = undefined>
  extends Peer<C["client"], C["server"]> {
  /** Its server. */
  readonly server: Server<C, D>;
  /** What `register` gave. */
  readonly data: D;
}

/** Options of `broadcast`. */
export interface BroadcastOptions extends Pick<SendOptions, "topic"> {
  /** Who does not get it. */
  readonly except?: AnyPeer | Iterable<AnyPeer>;
}

/** What became of a broadcast. */
export interface BroadcastResult {
  /** To so many it is on its way. */
  readonly sent: number;
  /** For so many it waits behind other messages. */
  readonly queued: number;
  /** So many did not get it, since their queue was full. */
  readonly skipped: number;
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
  /** Sends a message to all clients. It is encoded once, and waits for nobody. */
  broadcast<K extends Topic<C["client"]>>(
    body: BodyIn<C["client"], K>,
    ...options: SendArgs<C["client"], K, BroadcastOptions>
  ): Promise<BroadcastResult>;
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
}

class ServerPeerFace<C extends AnyContract, D> extends PeerFace<C["client"], C["server"]>
  implements ServerPeer<C, D> {
  readonly server: Server<C, D>;
  readonly data: D;

  constructor(admission: Admission, server: Server<C, D>, data: D) {
    super(admission.core);
    this.server = server;
    this.data = data;
  }
}

class ServerFace<C extends AnyContract, D> implements Server<C, D> {
  readonly peers: Registry<ServerPeer<C, D>>;
  readonly #hub: Hub;
  readonly #serializer: AnySerializer;

  constructor(hub: Hub, serializer: AnySerializer) {
    this.#hub = hub;
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

  async push<K extends Topic<C["client"]>>(
    id: string,
    body: BodyIn<C["client"], K>,
    ...[options]: SendArgs<C["client"], K, SendOptions>
  ): Promise<boolean> {
    const payload = this.#serializer.serialize(body);
    checkTopic(options?.topic);
    let taken = 0;
    for (const peer of this.#hub.registry.getAll(id)) {
      try {
        await this.#hub.coreOf(peer)?.queue.sendBytes(payload, options);
        taken++;
      } catch (error) {
        // It left meanwhile, as peers do.
        if (!(error instanceof ClosedError)) throw error;
      }
    }
    return taken > 0;
  }

  broadcast<K extends Topic<C["client"]>>(
    body: BodyIn<C["client"], K>,
    ...[options]: SendArgs<C["client"], K, BroadcastOptions>
  ): Promise<BroadcastResult> {
    try {
      const payload = this.#serializer.serialize(body);
      checkTopic(options?.topic);
      return Promise.resolve(
        this.#hub.broadcast(payload, options?.topic, excluded(options?.except)),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  handle<K extends Callable<C["server"]>>(
    method: K,
    handler: Handler<C["server"][K], ServerPeer<C, D>>,
  ): Disposable {
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

  close(options?: CloseOptions): Promise<DrainInfo> {
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
  const serializer: AnySerializer = options.serializer ?? raw();
  const settings = resolveSession(options);
  const limits = resolveServerLimits(options.limits);
  // Throws before anything is bound.
  new HandlerTable().addAll(taken(options.methods));
  const hub: Hub = new Hub({
    listeners: await bindAll(isList(address) ? address : [address], options, runtime),
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
    onEvent: onEvent && ((event) => onEvent(taken(event))),
    onConnect: onConnect && ((peer) => onConnect(taken(peer))),
    onMessage: onMessage && ((message, peer) => onMessage(taken(message), taken(peer))),
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
  options: { readonly reusePort?: boolean },
  runtime: Runtime,
): Promise<TransportListener[]> {
  const targets = addresses.map((given) => isListener(given) ? given : Addr.parse(given));
  const bound: TransportListener[] = [];
  try {
    for (const target of targets) {
      const { reusePort = false } = options;
      bound.push(target instanceof Addr ? await runtime.listen(target, { reusePort }) : target);
    }
  } catch (error) {
    for (const listener of bound) if (!addresses.includes(listener)) listener.close();
    throw error;
  }
  return bound;
}

function excluded(except: AnyPeer | Iterable<AnyPeer> | undefined): ReadonlySet<AnyPeer> {
  if (except === undefined) return new Set();
  return Symbol.iterator in except ? new Set(except) : new Set([except]);
}

function isList(
  address: ListenAddress | readonly ListenAddress[],
): address is readonly ListenAddress[] {
  return Array.isArray(address);
}
