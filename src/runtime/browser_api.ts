/**
 * `connect`, `attach` and `Client`, on a page's runtime.
 *
 * Owns what a client does when the page wakes up: it does not wait for its back-off, and does not believe
 * a link that slept.
 */
import type { Runtime, Side, Transport } from "../base/types.ts";
import { ClientFace, type ClientPeer, openClient } from "../client/client.ts";
import type { ConnectOptions, DialAddress } from "../client/options.ts";
import type { AnyContract, LocalApi, RemoteApi, Untyped } from "../contract/types.ts";
import { type AttachOptions, attachPeer } from "../peer/attach.ts";
import type { Peer } from "../peer/peer.ts";
import { ClosedError } from "../base/errors.ts";
import { browserRuntime, watchPage } from "./browser.ts";
import type { ClientConstructor } from "./client_type.ts";

/** How long a link may take to show that it outlived the page's sleep, in ms. */
const PROBE_TIMEOUT = 3_000;

/** A client that heeds its page. */
class PageClient<C extends AnyContract> extends ClientFace<C> {
  constructor(address: DialAddress, options: ConnectOptions<C>, runtime: Runtime) {
    super(address, options, runtime);
    const page = watchPage({ woken: () => this.#woken() });
    this.closed.then(() => page[Symbol.dispose]());
  }

  #woken(): void {
    if (this.state !== "open") return this.reconnect();
    this.ping({ timeout: PROBE_TIMEOUT }).catch((error) => {
      // Another one has been made meanwhile, or there is nothing left to mend.
      if (!(error instanceof ClosedError)) this.reconnect();
    });
  }
}

/**
 * Opens a client over the page's WebSocket: dials by the `reconnect` policy until it has registered, for
 * `openTimeout` ms (default 10 s) at most. From then on it mends its links by itself, at once when the
 * network comes back or the page is looked at again.
 *
 * @example
 * ```ts ignore
 * import { connect, json } from "@vgo/vnet/browser";
 *
 * const client = await connect("wss://example.org/chat", { serializer: json(), id: "ann" });
 * await client.send({ room: "lobby", text: "hi" }, { topic: "say" });
 * ```
 *
 * @throws {ConnectError} when no session is open by then, or none can be
 * @throws {TypeError} where an option or address has the wrong form
 * @throws {RangeError} where an option is out of range
 */
export async function connect<C extends AnyContract = Untyped>(
  address: DialAddress,
  options: ConnectOptions<C> = {},
): Promise<Client<C>> {
  const runtime = options.runtime ?? browserRuntime();
  options.signal?.throwIfAborted();
  return await openClient(new PageClient(address, options, runtime), options, runtime);
}

/**
 * Runs a session, either side of it, on a connection that exists; resolves when it is open.
 *
 * @throws {ConnectError} when the session cannot be opened
 */
export async function attach<S extends Side, C extends AnyContract = Untyped>(
  transport: Transport,
  options: AttachOptions<C, S>,
): Promise<Peer<RemoteApi<C, S>, LocalApi<C, S>>> {
  options.signal?.throwIfAborted();
  return await attachPeer<S, C>(transport, options, options.runtime ?? browserRuntime());
}

/** What `new Client` and `connect` give. */
export type Client<C extends AnyContract = Untyped> = ClientPeer<C>;

/** Makes a client that begins to dial in the next microtask. */
export const Client: ClientConstructor = class<C extends AnyContract> extends PageClient<C> {
  /** Makes a client. */
  constructor(address: DialAddress, options: ConnectOptions<C> = {}) {
    super(address, options, options.runtime ?? browserRuntime());
  }
};
