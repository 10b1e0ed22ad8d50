/**
 * Faults for a connection that exists.
 *
 * Owns the wrapper. Between it and the connection lies a virtual link, which does the damage.
 */
import { Addr } from "../base/addr.ts";
import type { ByteTransport, Clock } from "../base/types.ts";
import { Bridge } from "./bridge.ts";
import type { Faults, Link } from "./faults.ts";
import { realClock } from "./real_clock.ts";
import { VirtualLink } from "./virtual_link.ts";

/** Options of {@linkcode faulty}. */
export interface FaultyOptions {
  /** A safe integer; each gives other jitter, slices and flips. @default {1} */
  readonly seed?: number;
  /** What delays are counted by. Real time unless given. */
  readonly clock?: Clock;
}

/**
 * Wraps a connection: what is written to and read from the wrapper suffers `faults`, and as a
 * {@linkcode Link} it can be damaged further. Up is what this end writes.
 *
 * The connection belongs to the wrapper, which reads ahead of its user and writes behind (256 KiB
 * each way). `close()` lets what was written arrive before it closes the connection, and gives a
 * promise for that; behind a black hole it closes at once. After `cut("reset")` the wrapper fails with
 * `ConnectionReset`, while the far end sees a plain close: no runtime API sends a reset.
 *
 * @throws {RangeError} where a fault or the seed is out of range
 *
 * @example
 * ```ts
 * import { faulty, memoryPair } from "@vgo/vnet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = memoryPair();
 * const slow = faulty(a, { slice: 1 }, { seed: 7 });
 * await b.write(new Uint8Array([1, 2, 3]));
 * assertEquals(await slow.read(new Uint8Array(8)), 1);
 *
 * slow.cut("close");
 * b.close();
 * ```
 */
export function faulty(
  conn: ByteTransport,
  faults: Faults,
  options: FaultyOptions = {},
): ByteTransport & Link {
  return new FaultyTransport(conn, faults, options);
}

class FaultyTransport implements ByteTransport, Link {
  readonly #conn: ByteTransport;
  readonly #link: VirtualLink;
  readonly #bridge: Bridge;

  constructor(conn: ByteTransport, faults: Faults, { seed = 1, clock = realClock }: FaultyOptions) {
    const nearAddr = Addr.of(conn.localAddr);
    const farAddr = Addr.of(conn.remoteAddr);
    this.#conn = conn;
    this.#link = new VirtualLink({ clock, seed, faults, nearAddr, farAddr });
    this.#bridge = new Bridge(conn, this.#link.far, this.#link);
  }

  get localAddr(): unknown {
    return this.#conn.localAddr;
  }

  get remoteAddr(): unknown {
    return this.#conn.remoteAddr;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return this.#link.near.read(buffer);
  }

  write(data: Uint8Array): Promise<number> {
    return this.#link.near.write(data);
  }

  closeWrite(): Promise<void> {
    return this.#link.near.closeWrite();
  }

  close(): Promise<void> {
    this.#link.near.close();
    return this.#end();
  }

  cut(how: "reset" | "close" = "reset"): void {
    this.#link.cut(how);
    if (how === "close") this.#end();
  }

  blackhole(direction?: "up" | "down" | "both"): void {
    this.#link.blackhole(direction);
  }

  degrade(faults: Faults): void {
    this.#link.degrade(faults);
  }

  heal(): void {
    this.#link.heal();
  }

  /** What is held up would keep the connection open for ever, after its owner has closed it. */
  async #end(): Promise<void> {
    if (this.#link.holds("up")) await this.#bridge.close();
    await this.#bridge.finish();
    await this.#bridge.done;
  }
}
