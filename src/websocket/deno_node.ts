/**
 * A socket of Node's as a byte transport: what `node:http` gives with an upgrade.
 *
 * Owns the translation from events to reads. Structural types: whoever has such a socket need not
 * agree with this package on the version of Node's types.
 */
import { Buffer } from "node:buffer";
import { Addr } from "../base/addr.ts";
import type { ByteTransport } from "../base/types.ts";

/** A request of `node:http`: an `IncomingMessage` fits. */
export interface NodeUpgradeRequest {
  /** The method. */
  readonly method?: string | undefined;
  /** The target. */
  readonly url?: string | undefined;
  /** As in "1.1". */
  readonly httpVersion: string;
  /** Names and values in turn, as they were sent. */
  readonly rawHeaders: readonly string[];
}

/** A connection of `node:http`: a `Socket` or any other `Duplex` fits. */
export interface NodeUpgradeSocket {
  /** What it is told of. */
  on(event: string, listener: (...args: never[]) => void): unknown;
  /** Takes the next bytes out of it. */
  read(): unknown;
  /** Puts bytes back. */
  unshift(chunk: Uint8Array): void;
  /** Writes bytes. */
  write(chunk: Uint8Array, done: (error?: Error | null) => void): boolean;
  /** Ends this end's direction. */
  end(done: () => void): unknown;
  /** Ends both. */
  destroy(): unknown;
}

/** The socket. One read at a time. */
export class NodeTransport implements ByteTransport {
  readonly localAddr: Addr;
  readonly remoteAddr: Addr;
  readonly #socket: NodeUpgradeSocket;
  #chunk: Uint8Array;
  #ended = false;
  #closed = false;
  #failure: Error | undefined;
  #wake: () => void = () => {};
  #failed: (error: Error) => void = () => {};

  /** `head`: what was read behind the request. */
  constructor(socket: NodeUpgradeSocket, head: Uint8Array) {
    this.#socket = socket;
    this.#chunk = head;
    this.localAddr = addrOf(socket, "local");
    this.remoteAddr = addrOf(socket, "remote");
    if ("setNoDelay" in socket && typeof socket.setNoDelay === "function") socket.setNoDelay(true);
    if ("setTimeout" in socket && typeof socket.setTimeout === "function") socket.setTimeout(0);
    socket.on("readable", () => this.#wake());
    socket.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on("error", (error: Error) => this.#fail(error));
    socket.on("close", () => this.#fail(interrupted()));
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#chunk.length === 0) {
      if (this.#closed) throw interrupted();
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

  /** Node keeps the bytes until they are written: a buffer that is used again must not be given. */
  write(data: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#failed = reject;
      this.#socket.write(Buffer.from(data), (error) => {
        if (error) reject(error);
        else resolve(data.length);
      });
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#failed = reject;
      this.#socket.end(() => resolve());
    });
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
    this.#fail(interrupted());
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#failed(this.#failure);
    this.#wake();
  }
}

function addrOf(socket: NodeUpgradeSocket, end: "local" | "remote"): Addr {
  const field = (name: string): unknown =>
    Object.hasOwn(socket, name) || name in socket ? Reflect.get(socket, name) : undefined;
  const hostname = field(`${end}Address`);
  const port = field(`${end}Port`);
  if (typeof hostname !== "string" || typeof port !== "number") return Addr.of(undefined);
  return Addr.parse({ hostname, port });
}

function interrupted(): Error {
  return new Deno.errors.Interrupted("operation canceled");
}
