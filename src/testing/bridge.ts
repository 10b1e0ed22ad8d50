/**
 * Joins a real connection to one end of a virtual link, so that the link's faults befall it.
 *
 * Owns the connection: whatever ends either side ends the other, and the connection is closed once.
 *
 * 1. `flushed` and `done` always resolve.
 * 2. An error of the connection, other than by our own closing, is what the link fails with.
 * 3. What the link gives is written before the connection is closed, unless the link has failed.
 */
import type { ByteTransport } from "../base/types.ts";
import type { VirtualSocket } from "./socket.ts";
import type { VirtualLink } from "./virtual_link.ts";

const BUFFER = 65_536;

/** Carries bytes both ways until both directions have ended. */
export class Bridge {
  /** Resolves when all that the link gives was written, or was lost to an error. */
  readonly flushed: Promise<void>;
  /** Resolves when the connection is closed. */
  readonly done: Promise<void>;
  readonly #conn: ByteTransport;
  readonly #end: VirtualSocket;
  readonly #link: VirtualLink;
  readonly #kill: () => unknown;
  #closed: Promise<void> | undefined;

  /** `kill` closes the connection after an error: with a reset, where it can. */
  constructor(
    conn: ByteTransport,
    end: VirtualSocket,
    link: VirtualLink,
    kill = () => conn.close(),
  ) {
    this.#conn = conn;
    this.#end = end;
    this.#link = link;
    this.#kill = kill;
    const guarded: ByteTransport = {
      read: (buffer) => this.#blame(conn.read(buffer)),
      write: (data) => this.#blame(conn.write(data)),
      closeWrite: async () => await this.#blame(conn.closeWrite?.()),
      close: () => conn.close(),
    };
    this.flushed = carry(end, guarded).catch(() => this.#closeBy(this.#kill));
    const emptied = carry(guarded, end).catch(async () => {
      await this.flushed;
      await this.#closeBy(this.#kill);
    });
    this.done = Promise.all([this.flushed, emptied]).then(() => this.close());
  }

  /** Closes the connection after what the link gives was written. */
  async finish(): Promise<void> {
    await this.flushed;
    await this.close();
  }

  /** Closes the connection now. */
  close(): Promise<void> {
    return this.#closeBy(() => this.#conn.close());
  }

  #closeBy(close: () => unknown): Promise<void> {
    return this.#closed ??= this.#close(close);
  }

  async #close(close: () => unknown): Promise<void> {
    try {
      await close();
    } catch {
      // Closed before by whoever gave it to us: closed is closed.
    }
    this.#end.destroy();
  }

  async #blame<T>(work: T): Promise<Awaited<T>> {
    try {
      return await work;
    } catch (error) {
      if (this.#closed === undefined) {
        this.#link.fail(error instanceof Error ? error : new Error(String(error)));
      }
      throw error;
    }
  }
}

async function carry(from: ByteTransport, to: ByteTransport): Promise<void> {
  const buffer = new Uint8Array(BUFFER);
  for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
    for (let sent = 0; sent < count;) sent += await to.write(buffer.subarray(sent, count));
  }
  await to.closeWrite?.();
}
