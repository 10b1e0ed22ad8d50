/**
 * The side that dials: its types, and how its options become a connector.
 */
import type { Runtime } from "../base/types.ts";
import { ConnectError, TimeoutError, type VnetError } from "../base/errors.ts";
import { startWait } from "../base/wait.ts";
import type { AnyContract, Untyped } from "../contract/types.ts";
import { abortWith } from "../peer/abort_with.ts";
import { sessionBodies } from "../peer/bodies.ts";
import { guarded } from "../peer/hooks.ts";
import { intercept } from "../peer/interceptors.ts";
import { resolveSession } from "../peer/options.ts";
import { type Peer, PeerFace } from "../peer/peer.ts";
import { taken } from "../peer/trust.ts";
import { resolveReconnect } from "../session/backoff.ts";
import { clientIdProblem } from "../wire/handshake.ts";
import { Connector } from "./connector.ts";
import {
  type ClientEvent,
  type ConnectOptions,
  type DialAddress,
  resolveTargets,
} from "./options.ts";

/**
 * The side that dials. It mends its links until `close`, `abort`, `signal`, or a refusal that cannot
 * heal by itself. It can be used before it is open: what is sent then goes out with the first link.
 */
export interface ClientPeer<C extends AnyContract = Untyped>
  extends Peer<C["server"], C["client"]> {
  /** Always `"client"`. */
  readonly side: "client";
  /** Resolves with the first open session; rejects with a `ConnectError` if the client ends before. */
  readonly opened: Promise<void>;
  /** What happens to its links, from now on. */
  events(): AsyncIterable<ClientEvent>;
  /** Dials now: skips a wait, and gives up an open link for a new one. */
  reconnect(): void;
}

/** A client, on a runtime that is given. */
export class ClientFace<C extends AnyContract> extends PeerFace<C["server"], C["client"]>
  implements ClientPeer<C> {
  readonly #connector: Connector;

  constructor(address: DialAddress, options: ConnectOptions<C>, runtime: Runtime) {
    const connector = makeConnector(address, options, runtime, (): ClientPeer<C> => this);
    super(connector.core);
    this.#connector = connector;
    abortWith(options.signal, this);
    runtime.adopt?.(this);
    connector.start();
  }

  override get side(): "client" {
    return "client";
  }

  get opened(): Promise<void> {
    return this.#connector.opened;
  }

  events(): AsyncIterable<ClientEvent> {
    return this.#connector.events.iterate();
  }

  reconnect(): void {
    this.#connector.reconnect();
  }

  /** Why the last attempt failed, and how many there were. */
  get failure(): { readonly error: VnetError | undefined; readonly attempts: number } {
    return { error: this.#connector.lastError, attempts: this.#connector.attempts };
  }
}

/**
 * Waits until a client is open, for `openTimeout` ms at most; ends it otherwise.
 *
 * @throws {ConnectError} when it is not open by then, or cannot be
 */
export async function openClient<C extends AnyContract>(
  client: ClientFace<C>,
  { openTimeout = 10_000, signal }: Pick<ConnectOptions<C>, "openTimeout" | "signal">,
  runtime: Runtime,
): Promise<ClientPeer<C>> {
  // With 0 the first attempt's failure ends the client: there is nothing to time.
  const limit = { timeout: openTimeout === 0 ? Infinity : openTimeout };
  const wait = startWait<void>(runtime.clock, signal ? { ...limit, signal } : limit, "connect");
  client.opened.then(wait.resolve, wait.reject);
  try {
    await wait.promise;
    return client;
  } catch (error) {
    client.abort(error);
    if (!(error instanceof TimeoutError)) throw error;
    const { error: last, attempts } = client.failure;
    const code = last instanceof ConnectError ? last.code : "TIMEOUT";
    const why = last === undefined ? "" : `: ${last.message}`;
    throw new ConnectError(code, `Cannot connect within ${openTimeout} ms${why}`, {
      attempts,
      cause: last ?? error,
    });
  }
}

function makeConnector<C extends AnyContract>(
  address: DialAddress,
  options: ConnectOptions<C>,
  runtime: Runtime,
  client: () => ClientPeer<C>,
): Connector {
  const { onConnect, onMessage, onDisconnect, reconnect } = options;
  const { dialTimeout = 5_000, openTimeout = 10_000 } = options;
  if (!(dialTimeout > 0)) {
    throw new RangeError(
      `Cannot connect as 'dialTimeout' must be more than 0 ms: current value is ${dialTimeout}`,
    );
  }
  if (!(openTimeout >= 0)) {
    throw new RangeError(
      `Cannot connect as 'openTimeout' must be 0 ms or more: current value is ${openTimeout}`,
    );
  }
  const problem = clientIdProblem(options.id ?? "");
  if (problem !== undefined) {
    throw new RangeError(`Cannot connect as 'id' must be one that servers take: ${problem}`);
  }
  return new Connector({
    targets: resolveTargets(address),
    settings: resolveSession(options),
    serializer: sessionBodies(options, "client"),
    runtime,
    logger: guarded(options.logger),
    id: options.id ?? "",
    auth: options.auth ?? "",
    metadata: options.metadata ?? {},
    dialTimeout,
    tls: options.tls,
    policy: reconnect === false ? false : resolveReconnect(reconnect),
    impatient: openTimeout === 0,
    peer: client,
    methods: taken(options.methods),
    interception: intercept(options.interceptors),
    onEvent: options.onEvent,
    onConnect: onConnect && (() => onConnect(client())),
    onMessage: taken(onMessage),
    onDisconnect: onDisconnect && ((info) => onDisconnect(info, client())),
  });
}
