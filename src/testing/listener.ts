/**
 * Where a simulated network hands over its connections.
 *
 * Owns those that were not accepted yet; they are reset when it closes, as the platform does.
 */
import type { Addr } from "../base/addr.ts";
import type { ByteTransport, TransportListener } from "../base/types.ts";
import type { VirtualSocket } from "./socket.ts";

/** As many connections as the platform queues before they are accepted; later dials wait. */
const BACKLOG = 512;

/** A listening end. */
export class VirtualListener implements TransportListener {
  readonly addr: Addr;
  readonly #on: { readonly roomy: () => void; readonly closed: () => void };
  #backlog: VirtualSocket[] = [];
  #accepts: ((socket: VirtualSocket | undefined) => void)[] = [];
  #closed = false;

  /** `roomy` is called when a full backlog has room again. */
  constructor(addr: Addr, on: { readonly roomy: () => void; readonly closed: () => void }) {
    this.addr = addr;
    this.#on = on;
  }

  /** Whether a further connection would have to wait. */
  get full(): boolean {
    return this.#backlog.length >= BACKLOG;
  }

  /** Hands over a connection. */
  offer(socket: VirtualSocket): void {
    const accept = this.#accepts.shift();
    if (accept === undefined) this.#backlog.push(socket);
    else accept(socket);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#on.closed();
    for (const accept of this.#accepts.splice(0)) accept(undefined);
    for (const socket of this.#backlog.splice(0)) socket.destroy();
    this.#on.roomy();
  }

  [Symbol.asyncIterator](): AsyncIterator<ByteTransport> {
    return {
      next: async () => {
        const value = await this.#accept();
        return value === undefined ? { done: true, value } : { done: false, value };
      },
    };
  }

  #accept(): Promise<VirtualSocket | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    const wasFull = this.full;
    const socket = this.#backlog.shift();
    if (socket === undefined) return new Promise((resolve) => this.#accepts.push(resolve));
    if (wasFull) this.#on.roomy();
    return Promise.resolve(socket);
  }
}
