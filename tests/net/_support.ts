/** Byte connections for tests: in memory and over the test's own hands, on a clock that stands still. */
import { ManualClock, memoryPair } from "@vgo/vnet/testing";
import type { CloseInfo } from "@vgo/vnet";
import { Connection } from "../../src/net/connection.ts";
import type { ConnOptions } from "../../src/net/options.ts";
import type { Timing } from "../../src/net/waits.ts";
import { FakeConn } from "../stream/fake_conn.ts";

/** `Date.now()` when a manual clock says 0. */
export const WALL = 1_700_000_000_000;

/** The time of a clock that stands still. */
export function timingOf(clock: ManualClock): Timing {
  return { clock, wallNow: () => WALL + clock.now() };
}

/** Two connected ends in memory. */
export function pair(
  options: ConnOptions = {},
): { clock: ManualClock; near: Connection; far: Connection } {
  const clock = new ManualClock();
  const [a, b] = memoryPair();
  const timing = timingOf(clock);
  return { clock, near: new Connection(a, options, timing), far: new Connection(b, {}, timing) };
}

/** A connection whose other end is the test. */
export function toFake(
  options: ConnOptions = {},
): { clock: ManualClock; conn: Connection; far: FakeConn } {
  const clock = new ManualClock();
  const far = new FakeConn();
  return { clock, conn: new Connection(far, options, timingOf(clock)), far };
}

/** Reads once, and gives it as text; `null` at the end. */
export async function readText(
  conn: Pick<Connection, "read">,
  options: { timeout?: number; signal?: AbortSignal } = {},
): Promise<string | null> {
  const buf = new Uint8Array(64);
  const count = await conn.read(buf, options);
  return count === null ? null : new TextDecoder().decode(buf.subarray(0, count));
}

/** Ends both ends. */
export function abortAll(...conns: { abort(): void }[]): void {
  for (const conn of conns) conn.abort();
}

/** Why and by whose doing something ended. */
export async function endOf(thing: { closed: Promise<CloseInfo> }): Promise<string> {
  const { code, initiator } = await thing.closed;
  return `${code} ${initiator}`;
}
