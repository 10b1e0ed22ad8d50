/**
 * The three functions and the class with which sessions begin, on the system's runtime unless the
 * options name another.
 */
import type { Side, Transport } from "../base/types.ts";
import { ClientFace, type ClientPeer, openClient } from "../client/client.ts";
import type { ConnectOptions, DialAddress } from "../client/options.ts";
import type { AnyContract, LocalApi, RemoteApi, Untyped } from "../contract/types.ts";
import { type AttachOptions, attachPeer } from "../peer/attach.ts";
import type { Peer } from "../peer/peer.ts";
import type { ListenAddress, ServeOptions } from "../server/options.ts";
import { type Server, startServer } from "../server/server.ts";
import type { ClientConstructor } from "./client_type.ts";
import { systemRuntime } from "./system.ts";

/**
 * Opens a client: dials by the `reconnect` policy until it has registered, for `openTimeout` ms
 * (default 10 s) at most. From then on it mends its links by itself.
 *
 * @example
 * ```ts
 * import { connect, serve } from "@vgo/vnet";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await serve("127.0.0.1:0");
 * await using client = await connect(server.addr, { id: "ann" });
 * assertEquals([client.id, client.state], ["ann", "open"]);
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
  const runtime = options.runtime ?? systemRuntime();
  options.signal?.throwIfAborted();
  return await openClient(new ClientFace(address, options, runtime), options, runtime);
}

/**
 * Serves: binds every address or none. An empty list makes a server that gets its connections by
 * `attach` only.
 *
 * @example
 * ```ts
 * import { connect, serve } from "@vgo/vnet";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await serve("127.0.0.1:0", {
 *   register: ({ id, authEquals }) => authEquals("s3cret") ? { id, data: { since: 1 } } : false,
 * });
 * await using client = await connect(server.addr, { id: "ann", auth: "s3cret" });
 * assertEquals(server.peers.get("ann")?.data.since, 1);
 * ```
 *
 * @throws {ConnectError} when an address cannot be bound
 * @throws {TypeError} where an option or address has the wrong form
 * @throws {RangeError} where an option is out of range
 */
export async function serve<C extends AnyContract = Untyped, D = undefined>(
  address: ListenAddress | readonly ListenAddress[],
  options: ServeOptions<C, D> = {},
): Promise<Server<C, D>> {
  options.signal?.throwIfAborted();
  return await startServer(address, options, options.runtime ?? systemRuntime());
}

/**
 * Runs a session, either side of it, on a connection that exists; resolves when it is open.
 *
 * @example
 * ```ts
 * import { attach } from "@vgo/vnet";
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
  return await attachPeer<S, C>(transport, options, options.runtime ?? systemRuntime());
}

/** What `new Client` and `connect` give. */
export type Client<C extends AnyContract = Untyped> = ClientPeer<C>;

/**
 * Makes a client that begins to dial in the next microtask: for a program that must not wait until
 * its server is there.
 *
 * @example
 * ```ts
 * import { Client, serve } from "@vgo/vnet";
 *
 * await using server = await serve("127.0.0.1:0");
 * await using client = new Client(server.addr);
 * await client.send(new Uint8Array([1])); // goes out with the first link
 * await client.opened;
 * ```
 */
export const Client: ClientConstructor = class<C extends AnyContract> extends ClientFace<C> {
  /** Makes a client. */
  constructor(address: DialAddress, options: ConnectOptions<C> = {}) {
    super(address, options, options.runtime ?? systemRuntime());
  }
};
