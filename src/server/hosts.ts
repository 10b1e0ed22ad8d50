/**
 * How many connections there are from each host.
 */
import type { Addr } from "../base/addr.ts";

/** Counts connections by host. One over a Unix socket has none, and is not counted. */
export class HostCounts {
  readonly #counts = new Map<string, number>();

  /** Connections from where this one comes from. */
  of(origin: Addr): number {
    const host = hostOf(origin);
    return host === undefined ? 0 : this.#counts.get(host) ?? 0;
  }

  /** One more, or one less. */
  add(origin: Addr, by: 1 | -1): void {
    const host = hostOf(origin);
    if (host === undefined) return;
    const count = (this.#counts.get(host) ?? 0) + by;
    if (count === 0) this.#counts.delete(host);
    else this.#counts.set(host, count);
  }
}

function hostOf({ transport, hostname }: Addr): string | undefined {
  if (transport === "unix") return undefined;
  // The same host over IPv4, seen by a socket that listens on both.
  return hostname.startsWith("::ffff:") ? hostname.slice(7) : hostname;
}
