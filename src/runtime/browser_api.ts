/**
 * `connect`, `attach` and `Client`, on a page's runtime.
 *
 * Owns what a client does when its page wakes up or its network changes: it does not wait for its back-off,
 * and does not believe a link that may have died meanwhile.
 */
import type { Runtime, Side, Transport } from "../base/types.ts";
import { ClosedError } from "../base/errors.ts";
import { ClientFace, type ClientPeer, openClient } from "../client/client.ts";
import type { ConnectOptions, DialAddress } from "../client/options.ts";
import type { AnyContract, LocalApi, RemoteApi, Untyped } from "../contract/types.ts";
import { type AttachOptions, attachPeer } from "../peer/attach.ts";
import type { Peer } from "../peer/peer.ts";
import { BrowserRuntime } from "./browser.ts";
import type { ClientConstructor } from "./client_type.ts";
import { type Page, pageOf } from "./page.ts";

/** How long a link may take to show that it lives, in ms: somebody is looking at the page. */
const PROBE_TIMEOUT = 3_000;

const thisPage: Page = pageOf(globalThis);

/** A client that heeds its page. */
export class PageClient<C extends AnyContract = Untyped> extends ClientFace<C> {
  readonly #page: Page;
  #probing = false;

  constructor(
    address: DialAddress,
    options: ConnectOptions<C> = {},
    page: Page = thisPage,
    runtime: Runtime = runtimeOf(options, page),
  ) {
    super(address, options, runtime);
    this.#page = page;
    const watch = page.watch(() => this.#changed());
    this.closed.then(() => watch[Symbol.dispose]());
  }

  #changed(): void {
    if (this.state === "open") this.#probe();
    else if (!this.#page.offline) this.reconnect();
  }

  async #probe(): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    try {
      await this.ping({ timeout: PROBE_TIMEOUT });
    } catch (error) {
      // Where the link has ended by itself its place is being taken already.
      if (!(error instanceof ClosedError)) this.reconnect();
    } finally {
      this.#probing = false;
    }
  }
}

/** The runtime of whoever brings none. Who wants one attempt only is not made to wait for it. */
function runtimeOf(
  { runtime, openTimeout }: Pick<ConnectOptions, "runtime" | "openTimeout">,
  page: Page,
): Runtime {
  return runtime ?? new BrowserRuntime(page, { patient: openTimeout !== 0 });
}

/**
 * Opens a client over the page's WebSocket: dials by the `reconnect` policy until it has registered, for
 * `openTimeout` ms (default 10 s) at most. From then on it mends its links by itself, at once when the
 * network comes back or the page is looked at again. While the browser says that it is offline a dial waits;
 * with `openTimeout: 0` it fails instead.
 *
 * @example
 * ```ts
 * import { connect, text } from "@vgo/vnet/browser";
 * import { serve } from "@vgo/vnet";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await serve("ws://127.0.0.1:0/chat", {
 *   serializer: text(),
 *   methods: { greet: (word, { peer }) => `${word}, ${peer.id}` },
 * });
 *
 * const client = await connect(server.addr, { serializer: text(), id: "ann" });
 * assertEquals(await client.call("greet", "hello"), "hello, ann");
 * await client.close();
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
  options.signal?.throwIfAborted();
  const runtime = runtimeOf(options, thisPage);
  return await openClient(new PageClient(address, options, thisPage, runtime), options, runtime);
}

/**
 * Runs a session, either side of it, on a connection that exists; resolves when it is open.
 *
 * @example
 * ```ts
 * import { attach } from "@vgo/vnet/browser";
 * import { memoryPair } from "@vgo/vnet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [here, there] = memoryPair();
 * const [client, server] = await Promise.all([
 *   attach(here, { side: "client", id: "ann" }),
 *   attach(there, { side: "server" }),
 * ]);
 * assertEquals(server.id, "ann");
 * await client.close();
 * await server.closed;
 * ```
 *
 * @throws {ConnectError} when the session cannot be opened
 */
export async function attach<S extends Side, C extends AnyContract = Untyped>(
  transport: Transport,
  options: AttachOptions<C, S>,
): Promise<Peer<RemoteApi<C, S>, LocalApi<C, S>>> {
  options.signal?.throwIfAborted();
  return await attachPeer<S, C>(
    transport,
    options,
    options.runtime ?? new BrowserRuntime(thisPage),
  );
}

/** What `new Client` and `connect` give. */
export type Client<C extends AnyContract = Untyped> = ClientPeer<C>;

/**
 * Makes a client that begins to dial in the next microtask: for a page that does not wait for its server.
 *
 * @example
 * ```ts
 * import { Client, text, type Untyped } from "@vgo/vnet/browser";
 * import { serve } from "@vgo/vnet";
 *
 * await using server = await serve("ws://127.0.0.1:0/", { serializer: text() });
 * const client = new Client<Untyped<string>>(server.addr, {
 *   serializer: text(),
 *   onEvent: (event) => console.log(event.type), // dial, connect; later perhaps disconnect, wait, dial …
 * });
 * await client.send("hello"); // goes out with the first link
 * await client.opened;
 * await client.close();
 * ```
 */
export const Client: ClientConstructor = class<C extends AnyContract> extends PageClient<C> {
  /** Makes a client. */
  constructor(address: DialAddress, options: ConnectOptions<C> = {}) {
    super(address, options);
  }
};
