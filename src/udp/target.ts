/**
 * Where a datagram goes, in the forms that sending needs, so that they are made once per address.
 */
import type { Addr } from "../base/addr.ts";
import { canonicalIp, isVersion6, MAX_IPV4, MAX_IPV6 } from "./ip.ts";

/** An address to send to. */
export interface Target {
  readonly addr: Addr;
  /** What the system takes. */
  readonly system: Deno.NetAddr;
  /** The largest datagram, in bytes. */
  readonly most: number;
  /** Whether a sender claimed the address. */
  readonly claimed: boolean;
}

/** `ipv6`: whether the socket is one of IPv6. */
export function makeTarget(addr: Addr, ipv6: boolean, claimed: boolean): Target {
  const { hostname, port } = addr;
  const ip = canonicalIp(hostname);
  // A name may have either kind of address; the system refuses what is too much for it.
  const version6 = ip === undefined ? ipv6 : isVersion6(ip);
  return {
    addr,
    system: { transport: "udp", hostname, port },
    most: version6 ? MAX_IPV6 : MAX_IPV4,
    claimed,
  };
}

/** The IP address in its one spelling; a name as it is. */
export function ipOf({ hostname }: Addr): string {
  return canonicalIp(hostname) ?? hostname;
}

/** The same for all spellings of an address. */
export function keyOf(addr: Addr): string {
  return `${ipOf(addr)} ${addr.port}`;
}
