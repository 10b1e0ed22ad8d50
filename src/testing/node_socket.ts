/**
 * A `node:net` socket as a byte transport that can also reset: `Deno.Conn` has no way to send an RST,
 * and a fault proxy must.
 *
 * Owns the translation from events to reads.
 */
import type { Socket } from "node:net";
import type { ByteTransport } from "../base/types.ts";
import { connectionReset, interrupted } from "./socket_errors.ts";

/** The socket. It must be connected and allow half-open connections. One read at a time. */
export class NodeSocket implements ByteTransport {
  /** Resolves when nothing of the socket is left. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  #chunk: Uint8Array = new Uint8Array(0);
  #ended = false;
  #failure: Error | undefined;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("readable", () => this.#wake());
    socket.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on("error", (error) => this.#fail(error));
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        this.#fail(interrupted());
        resolve();
      });
    });
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#chunk.length === 0) {
      const chunk: unknown = this.#socket.read();
      if (chunk instanceof Uint8Array) this.#chunk = chunk;
      else if (this.#ended) return null;
      else if (this.#failure !== undefined) throw this.#failure;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const count = Math.min(buffer.length, this.#chunk.length);
    buffer.set(this.#chunk.subarray(0, count));
    this.#chunk = this.#chunk.subarray(count);
    return count;
  }

  write(data: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#socket.write(data.slice(), (error) => {
        if (error) reject(error);
        else resolve(data.length);
      });
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.end(() => resolve());
      this.closed.then(resolve);
    });
  }

  /** Ends both directions; resolves when that is done. */
  close(): Promise<void> {
    this.#socket.destroy();
    return this.closed;
  }

  /** As `close`, but the other end sees a reset. */
  reset(): Promise<void> {
    this.#fail(connectionReset());
    this.#socket.resetAndDestroy();
    return this.closed;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }
}
