/**
 * How many connections there are from each host.
 */
import type { Addr } from "../base/addr.ts";

/** Counts connections by host. One over a Unix socket has none, and is not counted. */
export class HostCounts {
  readonly #counts = new Map<string, number>();

  /** Connections from a host. */
  of(host: string | undefined): number {
    return host === undefined ? 0 : this.#counts.get(host) ?? 0;
  }

  /** One more, or one less. */
  add(host: string | undefined, by: 1 | -1): void {
    if (host === undefined) return;
    const count = (this.#counts.get(host) ?? 0) + by;
    if (count === 0) this.#counts.delete(host);
    else this.#counts.set(host, count);
  }
}

/** The host that a connection comes from. */
export function hostOf({ transport, hostname }: Addr): string | undefined {
  if (transport === "unix") return undefined;
  // The same host over IPv4, seen by a socket that listens on both.
  return hostname.startsWith("::ffff:") ? hostname.slice(7) : hostname;
}
