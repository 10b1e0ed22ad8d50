/**
 * One end of a virtual connection. It behaves as a `Deno.Conn` does: partial writes, half-close,
 * reads that wait in line, and the platform's errors (DENO.md 1.2, 1.3).
 *
 * Owns what arrived and was not read, and the reads and writes that wait. Knows no faults and no
 * time: two lanes bring and take the bytes.
 *
 * 1. A read that waits means that nothing unread is there.
 * 2. After `close()` everything that waited has settled, and the other end is told: with the end of
 *    the stream, or with a reset if something was left unread.
 * 3. Bytes that arrive after `close()` are answered with a reset.
 * 4. An error stays: what failed once fails again.
 */
import type { Addr } from "../base/addr.ts";
import { ByteQueue } from "../base/byte_queue.ts";
import { Fifo } from "../base/fifo.ts";
import type { ByteTransport } from "../base/types.ts";
import type { Lane } from "./lane.ts";
import { badResource, brokenPipe, connectionReset, interrupted } from "./socket_errors.ts";

interface PendingRead {
  readonly buffer: Uint8Array;
  readonly resolve: (count: number | null) => void;
  readonly reject: (error: Error) => void;
}

interface PendingWrite {
  /** `undefined` stands for the end of the stream. */
  readonly data: Uint8Array | undefined;
  readonly resolve: (count: number) => void;
  readonly reject: (error: Error) => void;
}

/** One end. */
export class VirtualSocket implements ByteTransport {
  readonly localAddr: Addr;
  readonly remoteAddr: Addr;
  readonly #out: Lane;
  readonly #in: Lane;
  readonly #onClose: () => void;
  readonly #inbox = new ByteQueue();
  readonly #reads = new Fifo<PendingRead>();
  readonly #writes = new Fifo<PendingWrite>();
  #closed = false;
  #readsEnded = false;
  #writesEnded = false;
  #refuses = false;
  #failure: Error | undefined;

  constructor(
    addrs: { local: Addr; remote: Addr },
    lanes: { out: Lane; in: Lane },
    onClose: () => void,
  ) {
    this.localAddr = addrs.local;
    this.remoteAddr = addrs.remote;
    this.#out = lanes.out;
    this.#in = lanes.in;
    this.#onClose = onClose;
  }

  /** Whether its owner has closed it. */
  get closed(): boolean {
    return this.#closed;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    if (this.#closed) return Promise.reject(badResource());
    if (buffer.length === 0) return Promise.resolve(0);
    if (this.#inbox.length > 0) {
      const count = this.#take(buffer);
      this.#in.consumed(count);
      return Promise.resolve(count);
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#readsEnded) return Promise.resolve(null);
    return new Promise((resolve, reject) => this.#reads.push({ buffer, resolve, reject }));
  }

  write(data: Uint8Array): Promise<number> {
    const error = this.#whyNoWrite();
    if (error !== undefined) return Promise.reject(error);
    if (data.length === 0) return Promise.resolve(0);
    const count = this.#writes.size === 0 ? Math.min(data.length, this.#out.room) : 0;
    if (count > 0) {
      this.#out.send(data.subarray(0, count));
      return Promise.resolve(count);
    }
    return new Promise((resolve, reject) => this.#writes.push({ data, resolve, reject }));
  }

  /** Waits for the writes before it. Nothing happens the second time. */
  closeWrite(): Promise<void> {
    if (this.#closed) return Promise.reject(badResource());
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#writes.push({ data: undefined, resolve: () => resolve(), reject });
      this.resume();
    });
  }

  /** Nothing happens the second time. */
  close(): void {
    if (this.#inbox.length > 0) return this.destroy();
    if (this.#closed) return;
    this.#sendEnd();
    this.#release();
  }

  /** As `close`, but the other end sees a reset. */
  destroy(): void {
    if (this.#closed) return;
    this.#out.reset();
    this.#release();
  }

  /** Both directions are over at once, and what was not read is lost unless told otherwise. */
  fail(error: Error, keepUnread = false): void {
    if (this.#closed || this.#failure !== undefined) return;
    this.#failure = error;
    if (!keepUnread) this.#inbox.skip(this.#inbox.length);
    this.#rejectAll(error);
  }

  /** What is written fails from now on; the other end reads what was written before, then the end. */
  endWrites(): void {
    if (this.#closed) return;
    this.#sendEnd();
    this.#rejectWrites(brokenPipe());
  }

  /** Bytes arrive. The last thing it does is to make room, since that may bring the next bytes. */
  receive(data: Uint8Array): void {
    if (this.#closed) {
      this.#refuse();
      this.#in.consumed(data.length);
      return;
    }
    const read = this.#reads.shift();
    if (read === undefined) return this.#inbox.push(data);
    const count = Math.min(data.length, read.buffer.length, this.#in.readLimit());
    read.buffer.set(data.subarray(0, count));
    read.resolve(count);
    if (count < data.length) this.#inbox.push(data.subarray(count));
    this.#in.consumed(count + this.#serve());
  }

  /** The end of the stream arrives. */
  receiveEnd(): void {
    this.#readsEnded = true;
    for (const { resolve } of this.#reads.clear()) resolve(null);
  }

  /** A reset arrives. Where the stream had ended before, as the platform does, only writes fail. */
  receiveReset(): void {
    this.#out.stop();
    if (!this.#readsEnded) return this.fail(connectionReset(), true);
    this.#writesEnded = true;
    this.#rejectWrites(brokenPipe());
  }

  /** There is room again: writes that wait go on. */
  resume(): void {
    for (let next = this.#writes.peek(); next !== undefined; next = this.#writes.peek()) {
      const { data, resolve, reject } = next;
      const count = Math.min(data?.length ?? 0, this.#out.room);
      if (data !== undefined && count === 0 && !this.#writesEnded) return;
      this.#writes.shift();
      if (data === undefined) this.#sendEnd();
      else if (this.#writesEnded) reject(brokenPipe());
      else this.#out.send(data.subarray(0, count));
      resolve(count);
    }
  }

  /** Serves further reads that wait from what is left, and tells how many bytes they took. */
  #serve(): number {
    let total = 0;
    while (this.#inbox.length > 0) {
      const read = this.#reads.shift();
      if (read === undefined) break;
      const count = this.#take(read.buffer);
      read.resolve(count);
      total += count;
    }
    return total;
  }

  #take(buffer: Uint8Array): number {
    const inbox = this.#inbox;
    const count = Math.min(inbox.length, buffer.length, this.#in.readLimit());
    buffer.set(inbox.buffer.subarray(inbox.start, inbox.start + count));
    inbox.skip(count);
    return count;
  }

  #whyNoWrite(): Error | undefined {
    if (this.#closed) return badResource();
    if (this.#failure !== undefined) return this.#failure;
    return this.#writesEnded ? brokenPipe() : undefined;
  }

  #sendEnd(): void {
    if (this.#writesEnded || this.#failure !== undefined) return;
    this.#writesEnded = true;
    this.#out.end();
  }

  #refuse(): void {
    if (this.#refuses) return;
    this.#refuses = true;
    this.#out.reset();
  }

  #release(): void {
    this.#closed = true;
    this.#inbox.skip(this.#inbox.length);
    this.#rejectAll(interrupted());
    this.#onClose();
  }

  #rejectAll(error: Error): void {
    for (const { reject } of this.#reads.clear()) reject(error);
    this.#rejectWrites(error);
  }

  #rejectWrites(error: Error): void {
    for (const { reject } of this.#writes.clear()) reject(error);
  }
}
