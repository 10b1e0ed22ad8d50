/**
 * The type of `Client`, of which each runtime has its own.
 */
import type { ClientPeer } from "../client/client.ts";
import type { ConnectOptions, DialAddress } from "../client/options.ts";
import type { AnyContract, Untyped } from "../contract/types.ts";

/** Makes clients. */
export interface ClientConstructor {
  /** Makes a client that begins to dial in the next microtask. */
  new <C extends AnyContract = Untyped>(
    address: DialAddress,
    options?: ConnectOptions<C>,
  ): ClientPeer<C>;
}
