/**
 * What a client is made with, and what it tells.
 */
import type { Initiator, Transport } from "../base/types.ts";
import type { ClientTls } from "../base/tls.ts";
import { Addr, type Address } from "../base/addr.ts";
import type { VnetError } from "../base/errors.ts";
import type { CloseInfo, DrainInfo } from "../base/lifecycle.ts";
import type { AnyContract, Untyped } from "../contract/types.ts";
import type { LimitName, Limits, SessionOptions } from "../peer/options.ts";
import type { DropPolicy } from "../peer/owner.ts";
import type { Reconnect } from "../session/backoff.ts";
import type { ClientPeer } from "./client.ts";

/**
 * Where to dial. Several addresses are tried in turn. A function is asked before every dial, and may
 * give a transport that is open already.
 */
export type DialAddress =
  | Address
  | readonly Address[]
  | ((attempt: number) => Address | Transport | Promise<Address | Transport>);

/** What a client shows at the door. */
export type Credential = string | Uint8Array;

/** What a client says of itself, by name. Names are lower-case ASCII. */
export type Metadata = Readonly<Record<string, string>>;

/** Options of `connect` and `new Client`. Times in ms, sizes in bytes. */
export interface ConnectOptions<C extends AnyContract = Untyped>
  extends SessionOptions<C, C["client"], ClientPeer<C>> {
  /** The id to register with. @default {one that the server gives} */
  readonly id?: string;
  /** What to show at registration; a function is asked anew before every dial. @default {""} */
  readonly auth?: Credential | (() => Credential | Promise<Credential>);
  /** What the server's `register` gets to see besides. @default {{}} */
  readonly metadata?: Metadata;
  /** Whom to trust and what to show, for transports that run over TLS. */
  readonly tls?: ClientTls;
  /** What one connection may use. */
  readonly limits?: Partial<Limits>;
  /** How long `connect` tries, in ms; 0: one attempt. @default {10000} */
  readonly openTimeout?: number;
  /** How long one dial may take, in ms. @default {5000} */
  readonly dialTimeout?: number;
  /** How to come back after a link broke; `false`: not at all. */
  readonly reconnect?: Reconnect | false;
  /** Is told what happens to the client's links. */
  readonly onEvent?: (event: ClientEvent) => unknown;
}

/** What happens to a client. */
export type ClientEvent =
  | {
    /** It dials. */
    readonly type: "dial";
    /** Where. */
    readonly addr: Addr;
    /** The how manieth time since a link was last stable. */
    readonly attempt: number;
  }
  | {
    /** It waits before the next dial. */
    readonly type: "wait";
    /** How long, in ms. */
    readonly delay: number;
    /** How often it has failed in a row. */
    readonly attempt: number;
    /** Why it failed last. */
    readonly error: VnetError;
  }
  | {
    /** A session is open. */
    readonly type: "connect";
    /** Where. */
    readonly remoteAddr: Addr;
    /** Nothing of an earlier one goes on. */
    readonly session: "new";
  }
  | {
    /** A session that was open is over. */
    readonly type: "disconnect";
    /** Why. */
    readonly info: CloseInfo;
  }
  | {
    /** The other end is going away and asks us to come back later. */
    readonly type: "drain";
    /** By whose doing. */
    readonly initiator: Initiator;
  }
  | {
    /** A hook of the application threw, or a message could not be decoded or sent. */
    readonly type: "error";
    /** What was thrown. */
    readonly error: unknown;
  }
  | {
    /** Messages were dropped, as the policy says; told once a turn. */
    readonly type: "drop";
    /** How many messages. */
    readonly frames: number;
    /** How many bytes of bodies. */
    readonly bytes: number;
    /** By which policy; `"key"`: a newer message took the place of one that waited. */
    readonly policy: DropPolicy;
  }
  | {
    /** A limit was met; one that goes on being met is told once, and counted in the statistics. */
    readonly type: "limit";
    /** Which. */
    readonly limit: LimitName;
    /** Its value. */
    readonly value: number;
  }
  | {
    /** The client is over. */
    readonly type: "close";
    /** Why. */
    readonly info: DrainInfo;
  };

/** What to try for one attempt. */
export type Target = Addr | Transport;

/** Makes a function of attempts out of every form of {@linkcode DialAddress}. */
export function resolveTargets(
  address: DialAddress,
): (attempt: number) => readonly Target[] | Promise<readonly Target[]> {
  if (typeof address === "function") {
    return async (attempt) => [targetOf(await address(attempt))];
  }
  const addrs = isList(address) ? address.map((one) => Addr.parse(one)) : [Addr.parse(address)];
  if (addrs.length === 0) {
    throw new TypeError("Cannot connect as there must be at least one address: the list is empty");
  }
  return () => addrs;
}

/** Whether a target is open already. */
export function isTransport(target: Address | Transport): target is Transport {
  return typeof target === "object" && ("read" in target || "send" in target);
}

function targetOf(given: Address | Transport): Target {
  return isTransport(given) ? given : Addr.parse(given);
}

function isList(address: Address | readonly Address[]): address is readonly Address[] {
  return Array.isArray(address);
}
