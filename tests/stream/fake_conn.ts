/** A connection whose other end is the test. */
import { assert } from "@std/assert";
import type { ByteTransport } from "../../src/base/types.ts";
import { join } from "../_support/feed.ts";

/** One end of a connection whose other end is the test. */
export class FakeConn implements ByteTransport {
  readonly localAddr = "here";
  readonly remoteAddr = "there";
  /** What was written, one entry per write. */
  readonly written: string[] = [];
  /** Most that one write takes. */
  writeLimit = Infinity;
  /** What came last: reads, writes and ends, in order. */
  readonly log: string[] = [];
  reads = 0;
  #incoming: (Uint8Array | Error | null)[] = [];
  #reader: PromiseWithResolvers<void> | undefined;
  #gate: PromiseWithResolvers<void> | undefined;
  #closed = false;

  /** Lets text, an error or, by `null`, the end arrive. */
  arrive(...items: (string | Error | null)[]): void {
    this.#incoming.push(...items.map((item) => typeof item === "string" ? join(item) : item));
    this.#reader?.resolve();
  }

  /** Writes wait until `unblock`. */
  block(): void {
    this.#gate = Promise.withResolvers<void>();
    this.#gate.promise.catch(() => {});
  }

  unblock(error?: Error): void {
    if (error === undefined) this.#gate?.resolve();
    else this.#gate?.reject(error);
    this.#gate = undefined;
  }

  async read(buf: Uint8Array): Promise<number | null> {
    this.reads++;
    assert(this.#reader === undefined, "Two reads at once");
    while (this.#incoming.length === 0) {
      if (this.#closed) throw new Deno.errors.Interrupted("operation canceled");
      this.#reader = Promise.withResolvers<void>();
      await this.#reader.promise;
      this.#reader = undefined;
    }
    const item = this.#incoming[0] ?? null;
    if (item === null) return null;
    this.#incoming.shift();
    if (item instanceof Error) throw item;
    const count = Math.min(item.length, buf.length);
    buf.set(item.subarray(0, count));
    if (count < item.length) this.#incoming.unshift(item.subarray(count));
    return count;
  }

  async write(data: Uint8Array): Promise<number> {
    await this.#gate?.promise;
    if (this.#closed) throw new Deno.errors.BadResource("Bad resource ID");
    const part = data.subarray(0, this.writeLimit);
    this.written.push(new TextDecoder().decode(part));
    this.log.push("write");
    return part.length;
  }

  closeWrite(): Promise<void> {
    this.log.push("closeWrite");
    return Promise.resolve();
  }

  close(): void {
    this.log.push("close");
    this.#closed = true;
    this.#reader?.resolve();
    this.unblock(new Deno.errors.Interrupted("operation canceled"));
  }
}

/** Lets everything that is ready run, without time passing. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

/** All that comes, up to the end. */
export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of source) all.push(item);
  return all;
}

/** What comes next; the loop is left. */
export function firstOf<T>(source: AsyncIterable<T>): Promise<IteratorResult<T>> {
  return source[Symbol.asyncIterator]().next();
}
