/**
 * Multicast groups: joining, leaving, how far and whether back.
 */
import { ConnectError } from "../base/errors.ts";
import { openError } from "./failures.ts";
import { canonicalIp, isMulticast, isVersion6 } from "./ip.ts";
import type { DatagramSocket } from "./socket_loop.ts";
import type { MulticastMembership, MulticastOptions } from "./types.ts";

/** What the system gives for either version; only IPv4 has a time to live. */
interface SystemMembership {
  leave(): Promise<void>;
  setLoopback(on: boolean): Promise<void>;
  setTTL?(ttl: number): Promise<void>;
}

/** Joins a group. */
export async function joinGroup(
  socket: DatagramSocket,
  group: string,
  options: MulticastOptions,
): Promise<MulticastMembership> {
  const ip = checkGroup(group);
  const { loopback, ttl } = options;
  checkTtl(ip, ttl);
  let membership: SystemMembership | undefined;
  try {
    membership = await join(socket, ip, options.networkInterface);
    if (loopback !== undefined) await membership.setLoopback(loopback);
    if (ttl !== undefined) await membership.setTTL?.(ttl);
    return new Membership(ip, membership);
  } catch (error) {
    await membership?.leave().catch(ignore);
    throw error instanceof TypeError && !("code" in error) ? error : joinError(ip, error);
  }
}

class Membership implements MulticastMembership {
  readonly group: string;
  readonly #membership: SystemMembership;
  #left: Promise<void> | undefined;

  constructor(group: string, membership: SystemMembership) {
    this.group = group;
    this.#membership = membership;
  }

  leave(): Promise<void> {
    // It fails where the socket is closed or the interface gone, and then the system has left already.
    return this.#left ??= this.#membership.leave().catch(ignore);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave();
  }
}

function join(
  socket: DatagramSocket,
  ip: string,
  networkInterface: string | number | undefined,
): Promise<SystemMembership> {
  if (isVersion6(ip)) {
    const index = networkInterface ?? 0;
    if (typeof index === "number") return socket.joinMulticastV6(ip, index);
    throw badInterface("the index of one for an IPv6 group", index);
  }
  const address = networkInterface ?? "0.0.0.0";
  if (typeof address === "string") return socket.joinMulticastV4(ip, address);
  throw badInterface("the address of one for an IPv4 group", address);
}

function checkGroup(group: string): string {
  const ip = canonicalIp(group);
  if (ip !== undefined && isMulticast(ip)) return ip;
  throw new TypeError(
    `Cannot join group as it must be a multicast address (224.0.0.0/4 or ff00::/8): current value is ${group}`,
  );
}

function checkTtl(ip: string, ttl: number | undefined): void {
  if (ttl === undefined) return;
  if (isVersion6(ip)) {
    throw new TypeError(
      `Cannot join group as 'ttl' must be left out for IPv6, where the runtime cannot set it: current value is ${ttl}`,
    );
  }
  if (Number.isInteger(ttl) && ttl >= 0 && ttl <= 255) return;
  throw new RangeError(
    `Cannot join group as 'ttl' must be an integer from 0 to 255: current value is ${ttl}`,
  );
}

function badInterface(expected: string, value: string | number): TypeError {
  return new TypeError(
    `Cannot join group as 'networkInterface' must be ${expected}: current value is ${value}`,
  );
}

function joinError(ip: string, cause: unknown): ConnectError {
  if (cause instanceof Deno.errors.AddrInUse) {
    return new ConnectError("ADDRESS_IN_USE", `Cannot join group ${ip} as it is joined already`, {
      cause,
      initiator: "local",
    });
  }
  return openError(`join group ${ip}`, cause);
}

function ignore(): void {}
