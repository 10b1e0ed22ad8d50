/** What the tests of the testing room share: a connection in a world, and ways to use it up. */
import type { ByteTransport, TransportListener } from "@vgo/vnet/testing";
import type { Simulation } from "@vgo/vnet/testing";
import { Addr } from "../../src/base/addr.ts";

export const PORT = 9966;
export const LISTEN: Addr = Addr.parse(`tcp://0.0.0.0:${PORT}`);
export const SERVER: Addr = Addr.parse(`tcp://server:${PORT}`);

/** Both ends of a new connection; the listener closes at once, and nothing of it is left. */
export async function connected(sim: Simulation): Promise<[ByteTransport, ByteTransport]> {
  const listener = await sim.listen(LISTEN);
  const client = await sim.run(sim.dial(SERVER));
  const server = await accept(listener);
  listener.close();
  return [client, server];
}

/** The next connection of a listener. */
export async function accept(listener: TransportListener): Promise<ByteTransport> {
  for await (const transport of listener) {
    if ("read" in transport) return transport;
  }
  throw new Error("Cannot accept as the listener must be open: current state is closed");
}

/** Bytes 0, 1, 2, … 255, 0, … */
export function counting(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => from + at);
}

/** Writes all of it, or throws. */
export async function writeAll(conn: ByteTransport, data: Uint8Array): Promise<void> {
  for (let sent = 0; sent < data.length;) sent += await conn.write(data.subarray(sent));
}

/** All that comes up to the end of the stream or an error, which is given as well. */
export async function readAll(
  conn: ByteTransport,
): Promise<{ bytes: number[]; reads: number[]; error: string | undefined }> {
  const bytes: number[] = [];
  const reads: number[] = [];
  const buffer = new Uint8Array(65_536);
  try {
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      bytes.push(...buffer.subarray(0, n));
      reads.push(n);
    }
    return { bytes, reads, error: undefined };
  } catch (error) {
    return { bytes, reads, error: nameOf(error) };
  }
}

/** `undefined` while the promise has not settled; then "ok" or the name of its error. */
export function watch(work: Promise<unknown>): { state: string | undefined } {
  const watched: { state: string | undefined } = { state: undefined };
  work.then(() => watched.state = "ok", (error) => watched.state = nameOf(error));
  return watched;
}

/** Name and code of an error, as in "ConnectionReset ECONNRESET". */
export function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && error.code !== undefined ? `${error.name} ${error.code}` : error.name;
}

/** The name of the error that a promise rejects with; "none" if it resolves. */
export async function errorOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "none";
  } catch (error) {
    return nameOf(error);
  }
}
