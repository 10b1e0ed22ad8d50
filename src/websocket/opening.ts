/**
 * An opening handshake on a byte connection: heads read and written, within a time.
 *
 * Owns the deadline: it is for the whole, not for each read. When it passes the connection is closed.
 */
import type { ByteQueue } from "../base/byte_queue.ts";
import { VnetError } from "../base/errors.ts";
import type { ByteTransport, Clock, WaitOptions } from "../base/types.ts";
import { startWait } from "../base/wait.ts";
import { type HeadLimits, type HttpHead, takeHead } from "./http_head.ts";

/** How long the other end may take to hang up after a refusal, in ms. */
const LINGER = 1_000;

/**
 * Runs a handshake. Whatever makes it fail, the connection is closed then.
 *
 * Rejects with a `TimeoutError`, with `signal.reason`, or with what `run` rejects with.
 */
export async function withinTime<T>(
  transport: ByteTransport,
  clock: Clock,
  options: WaitOptions,
  run: () => Promise<T>,
): Promise<T> {
  const wait = startWait<T>(clock, options, "finish the opening handshake");
  const done = options.signal?.aborted ? wait.promise : run();
  try {
    done.then(wait.resolve, wait.reject);
    return await wait.promise;
  } catch (error) {
    closeQuietly(transport);
    throw error;
  }
}

/** Reads a head; what follows it stays in the queue. @throws {HttpError} where it is none */
export async function readHead(
  transport: ByteTransport,
  queue: ByteQueue,
  limits: HeadLimits,
): Promise<HttpHead> {
  while (true) {
    const head = takeHead(queue, limits);
    if (head !== undefined) return head;
    const count = await transport.read(queue.space());
    if (count === null) {
      throw new VnetError("LINK_LOST", "The connection ended within the opening handshake", {
        initiator: "remote",
      });
    }
    queue.fill(count);
  }
}

/** Writes all of it. */
export async function writeAll(transport: ByteTransport, bytes: Uint8Array): Promise<void> {
  while (bytes.length > 0) bytes = bytes.subarray(await transport.write(bytes));
}

/**
 * Ends a connection on which something was said that the other end is to read: to close it with unread
 * input would throw that away.
 */
export async function hangUp(transport: ByteTransport, clock: Clock): Promise<void> {
  const timer = clock.setTimer(clock.now() + LINGER, () => closeQuietly(transport));
  try {
    await transport.closeWrite?.();
    const rest = new Uint8Array(4_096);
    while (await transport.read(rest) !== null);
  } catch {
    // The other end was faster, or its time is over: in either case there is nobody to read it.
  }
  timer[Symbol.dispose]();
  closeQuietly(transport);
}

/** Closes what may be closed already. */
export function closeQuietly(transport: ByteTransport): void {
  try {
    Promise.resolve(transport.close()).catch(() => {});
  } catch {
    // It is.
  }
}
