/**
 * Addresses of the Internet as text: what they are, and one spelling for each.
 *
 * Looks up no name.
 *
 * 1. An IPv4 address that travelled through an IPv6 socket (`::ffff:1.2.3.4`) is the IPv4 address.
 */
import { isIPv4, isIPv6 } from "node:net";
import { Addr, type Address } from "../base/addr.ts";

/** The largest datagram in bytes: 65,535 less the headers of UDP (8) and, with IPv4 only, of IP (20). */
export const MAX_IPV4 = 65_507;
/** See {@linkcode MAX_IPV4}. */
export const MAX_IPV6 = 65_527;

const MAPPED = "::ffff:";

/** An address of UDP; one that names no transport is taken as such. */
export function udpAddr(address: Address): Addr {
  const addr = Addr.parse(withTransport(address));
  if (addr.transport === "udp") return addr;
  throw new TypeError(`Cannot use address as its transport must be udp: current value is ${addr}`);
}

/** An address of UDP that something can be sent to. */
export function targetAddr(address: Address): Addr {
  const addr = udpAddr(address);
  if (addr.port > 0) return addr;
  throw new RangeError(
    `Cannot send to address as its port must be from 1 to 65535: current value is ${addr}`,
  );
}

/** The one spelling of an IP address, without its zone; `undefined` where it is a name. */
export function canonicalIp(hostname: string): string | undefined {
  if (isIPv4(hostname)) return hostname;
  const zone = hostname.indexOf("%");
  const bare = zone < 0 ? hostname : hostname.slice(0, zone);
  if (!isIPv6(bare)) return undefined;
  const text = new URL(`http://[${bare}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(text);
  if (mapped === null) return text;
  const [high, low] = [parseInt(mapped[1] ?? "", 16), parseInt(mapped[2] ?? "", 16)];
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
}

/** The canonical text of what the system calls a sender: it has only this one other spelling. */
export function unmapped(hostname: string): string {
  return hostname.startsWith(MAPPED) && hostname.includes(".")
    ? hostname.slice(MAPPED.length)
    : hostname;
}

/** Whether a canonical IP address is of version 6. */
export function isVersion6(ip: string): boolean {
  return ip.includes(":");
}

/** Whether a canonical IP address is this machine's own. */
export function isLoopback(ip: string): boolean {
  return ip === "::1" || (ip.startsWith("127.") && !isVersion6(ip));
}

/** Whether a canonical IP address is a group's: 224.0.0.0/4, ff00::/8. */
export function isMulticast(ip: string): boolean {
  if (isVersion6(ip)) return /^ff[0-9a-f]{2}:/.test(ip);
  const first = Number(ip.slice(0, ip.indexOf(".")));
  return first >= 224 && first < 240;
}

function withTransport(address: Address): Address {
  if (typeof address === "string") {
    return /^[a-z]+:\//.test(address) ? address : `udp://${address}`;
  }
  if (typeof address !== "object" || address === null || address instanceof URL) return address;
  return address.transport === undefined ? { ...address, transport: "udp" } : address;
}
