/**
 * A network that breaks on demand and time that passes on demand, to test what is built on vnet, and
 * vnet itself.
 *
 * - {@linkcode Simulation}: a whole world from one seed. It is a `runtime` for both ends, and needs
 *   neither sockets nor real seconds.
 * - {@linkcode ManualClock}: only the time.
 * - {@linkcode memoryPair}: two connected ends in memory.
 * - {@linkcode faulty}: faults for a connection that exists.
 * - {@linkcode faultProxy}: faults between two programs, on real sockets.
 *
 * @example
 * ```ts
 * import { faulty, ManualClock, memoryPair } from "@vgo/vnet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const clock = new ManualClock();
 * const [a, b] = memoryPair();
 * const far = faulty(a, { delay: 150 }, { clock });
 * await far.write(new TextEncoder().encode("hello"));
 * const read = b.read(new Uint8Array(8)).then((count) => [count, clock.now()]);
 *
 * await clock.advance(1_000); // no real time passes
 * assertEquals(await read, [5, 150]);
 * far.cut("reset");
 * b.close();
 * ```
 *
 * @module
 */
export { ManualClock } from "./clock.ts";
export { faultProxy } from "./proxy.ts";
export { faulty } from "./faulty.ts";
export { memoryPair } from "./memory_pair.ts";
export { Simulation } from "./simulation.ts";

export type { Faults, Link } from "./faults.ts";
export type { FaultProxy, FaultProxyOptions } from "./proxy.ts";
export type { FaultyOptions } from "./faulty.ts";
export type { DialMode } from "./network.ts";
export type { Located, SimulatedLink, SimulationOptions } from "./simulation.ts";
export type { Addr, Address, AddrInit, TransportName } from "../base/addr.ts";
export type {
  Adoptable,
  ByteTransport,
  Clock,
  ListenOptions,
  MessageTransport,
  Runtime,
  Transport,
  TransportListener,
  WaitOptions,
} from "../base/types.ts";
