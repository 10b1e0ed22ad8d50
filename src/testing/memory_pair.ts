/**
 * Two connected ends in memory, for tests and for joining two halves of one program.
 *
 * Owns nothing but the choice of a link without faults, which needs no clock.
 */
import { Addr } from "../base/addr.ts";
import type { ByteTransport } from "../base/types.ts";
import { realClock } from "./real_clock.ts";
import { VirtualLink } from "./virtual_link.ts";

/**
 * Makes two connected ends. They behave as a TCP connection does: a write may take a part of the
 * data, waits while 256 KiB are unread, each direction can be closed by itself, and `close()` wakes
 * what waits with an error named `Interrupted`.
 *
 * @example
 * ```ts
 * import { memoryPair } from "@vgo/vnet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = memoryPair();
 * await a.write(new Uint8Array([1, 2, 3]));
 * a.close();
 *
 * const buffer = new Uint8Array(8);
 * assertEquals(await b.read(buffer), 3);
 * assertEquals(await b.read(buffer), null);
 * b.close();
 * ```
 */
export function memoryPair(): [ByteTransport, ByteTransport] {
  const addr = Addr.parse({ transport: "memory", hostname: "" });
  const link = new VirtualLink({ clock: realClock, seed: 0, nearAddr: addr, farAddr: addr });
  return [link.near, link.far];
}
