/**
 * A server of WebSockets on listeners that exist.
 *
 * Owns the table of clients, the accept loops and how they end.
 *
 * 1. Accepting goes on whatever happens: the system may be out of descriptors for a while.
 * 2. A client is in the table from the end of its opening handshake until its WebSocket has ended.
 * 3. Who is turned away learns it by a 503. Even that is bounded: beyond it connections are just closed.
 */
import type { Addr } from "../base/addr.ts";
import { ByteQueue } from "../base/byte_queue.ts";
import type { CloseInfo, CloseOptions } from "../base/lifecycle.ts";
import type { Bytes, ByteTransport, Transport, TransportListener } from "../base/types.ts";
import { admit, type Gate, turnAway } from "./admission.ts";
import { MessageDeflate } from "./compression.ts";
import { checkClose, wordsOf } from "./ending.ts";
import type { WebSocketEnv } from "./env.ts";
import { encodeMessage } from "./frame_writer.ts";
import { closeQuietly } from "./opening.ts";
import { Status } from "./rfc6455.ts";
import type { ServeSettings } from "./settings.ts";
import type { ByteWebSocket } from "./socket.ts";
import type { WebSocketConn, WebSocketServeOptions, WebSocketServer } from "./types.ts";

/** Something to accept on, and what clients meet there. */
export interface Door {
  readonly listener: TransportListener;
  readonly gate: Gate;
}

/** What a server is made with. */
export interface ServerParts {
  readonly env: WebSocketEnv;
  readonly doors: readonly Door[];
  /** As it calls itself. */
  readonly addrs: readonly Addr[];
  readonly serving: ServeSettings;
  readonly options: WebSocketServeOptions;
}

/** Between two tries to accept, in ms: doubled from one to the other. */
const PAUSE = 10;
const LONGEST_PAUSE = 1_000;
const GRACE = 10_000;

/** A server. */
export class SocketServer implements WebSocketServer {
  readonly addrs: readonly Addr[];
  readonly closed: Promise<CloseInfo>;
  readonly #parts: ServerParts;
  readonly #clients = new Map<string, ByteWebSocket>();
  /** Clients that no loop has given yet. */
  readonly #fresh = new Set<ByteWebSocket>();
  /** Connections that are no WebSockets yet, or will never be. */
  readonly #strangers = new Set<ByteTransport>();
  readonly #accepting: Promise<void>[];
  readonly #resolveClosed: (info: CloseInfo) => void;
  readonly #abortBySignal: () => void;
  #handshakes = 0;
  #info: CloseInfo | undefined;
  #over = false;
  #wakes: (() => void)[] = [];

  constructor(parts: ServerParts) {
    const { promise, resolve } = Promise.withResolvers<CloseInfo>();
    const { signal } = parts.options;
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#parts = parts;
    this.addrs = parts.addrs;
    this.#accepting = parts.doors.map((door) => this.#accept(door));
    this.#abortBySignal = () => this.abort(signal?.reason);
    if (signal?.aborted) this.#abortBySignal();
    else signal?.addEventListener("abort", this.#abortBySignal, { once: true });
  }

  get addr(): Addr {
    return this.addrs[0]!;
  }

  get clients(): ReadonlyMap<string, WebSocketConn> {
    return this.#clients;
  }

  broadcast(message: string | Uint8Array): number {
    const frames = new Map<number | undefined, Bytes>();
    let count = 0;
    for (const client of this.#clients.values()) {
      const { windowBits } = client;
      let frame = frames.get(windowBits);
      if (frame === undefined) {
        frame = this.#encode(message, windowBits);
        frames.set(windowBits, frame);
      }
      if (client.offer(frame)) count++;
    }
    return count;
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<WebSocketConn, void> {
    while (true) {
      const [next] = this.#fresh;
      if (next !== undefined) {
        this.#fresh.delete(next);
        yield next;
      } else if (this.#info !== undefined) {
        return;
      } else {
        await new Promise<void>((resolve) => this.#wakes.push(resolve));
      }
    }
  }

  close(options: CloseOptions = {}): Promise<CloseInfo> {
    const { grace = GRACE, reason = "", signal } = options;
    if (!(grace >= 0)) {
      throw new RangeError(
        `Cannot close server as 'grace' must be at least 0: current value is ${grace}`,
      );
    }
    checkClose(Status.goingAway, reason);
    if (this.#over) return this.closed;
    this.#begin({ code: "NORMAL", reason, initiator: "local" });
    for (const client of this.#clients.values()) client.close(Status.goingAway, reason);
    this.#finish(grace, signal);
    return this.closed;
  }

  abort(reason?: unknown): void {
    if (this.#over) return;
    this.#begin({ code: "ABORTED", reason: wordsOf(reason), initiator: "local" });
    this.#cut(reason);
    this.#finish(Infinity, undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #begin(info: CloseInfo): void {
    this.#info ??= info;
    for (const { listener } of this.#parts.doors) {
      // It frees its address when its loop has ended, which is waited for.
      Promise.resolve(listener.close()).catch(() => {});
    }
    for (const transport of this.#strangers) closeQuietly(transport);
    this.#wake();
  }

  /** Ends what is still there now. */
  #cut(reason: unknown): void {
    for (const client of this.#clients.values()) client.abort(reason);
  }

  async #finish(grace: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock } = this.#parts.env;
    const cut = () => this.#cut("The server has ended");
    const timer = grace === Infinity ? undefined : clock.setTimer(clock.now() + grace, cut);
    if (signal?.aborted) cut();
    else signal?.addEventListener("abort", cut, { once: true });
    await Promise.all(this.#accepting);
    while (this.#clients.size > 0 || this.#strangers.size > 0) await this.#change();
    timer?.[Symbol.dispose]();
    signal?.removeEventListener("abort", cut);
    if (this.#over || this.#info === undefined) return;
    this.#over = true;
    this.#parts.options.signal?.removeEventListener("abort", this.#abortBySignal);
    this.#resolveClosed(this.#info);
  }

  // ── accepting ──

  /** Never rejects. */
  async #accept({ listener, gate }: Door): Promise<void> {
    const { logger } = this.#parts.options;
    let pause = PAUSE;
    while (this.#info === undefined) {
      try {
        for await (const transport of listener) {
          pause = PAUSE;
          this.#take(transport, gate);
        }
        return;
      } catch (error) {
        if (this.#info !== undefined) return;
        logger?.warn?.(`Cannot accept connections: ${error}. Next try in ${pause} ms`);
        await this.#sleep(pause);
        pause = Math.min(LONGEST_PAUSE, pause * 2);
      }
    }
  }

  #take(transport: Transport, gate: Gate): void {
    if (!("read" in transport)) return closeMessages(transport);
    const { maxConnections, maxHandshakes } = this.#parts.serving;
    const crowded = this.#clients.size + this.#handshakes >= maxConnections ||
      this.#handshakes >= maxHandshakes;
    if (this.#info !== undefined || this.#strangers.size >= 2 * maxHandshakes) {
      return closeQuietly(transport);
    }
    this.#strangers.add(transport);
    const done = crowded ? turnAway(transport, gate) : this.#admit(transport, gate);
    done.then(() => {
      this.#strangers.delete(transport);
      this.#wake();
    });
  }

  /** Never rejects. */
  async #admit(transport: ByteTransport, gate: Gate): Promise<void> {
    this.#handshakes++;
    let client: ByteWebSocket | undefined;
    try {
      client = await admit(transport, new ByteQueue(), gate);
    } catch (error) {
      // It was told why, or is gone: what a stranger does wrong is no matter for the application.
      gate.options.logger?.debug?.("A client was not let in", { error });
    }
    this.#handshakes--;
    if (client !== undefined) this.#welcome(client);
  }

  #welcome(client: ByteWebSocket): void {
    this.#clients.set(client.id, client);
    this.#fresh.add(client);
    client.closed.then(() => {
      this.#clients.delete(client.id);
      this.#fresh.delete(client);
      this.#wake();
    });
    client.start();
    if (this.#info?.code === "ABORTED") client.abort(this.#info.reason);
    else if (this.#info !== undefined) client.close(Status.goingAway, this.#info.reason);
    this.#wake();
  }

  #encode(message: string | Uint8Array, windowBits: number | undefined): Bytes {
    if (windowBits === undefined) return encodeMessage(message);
    return encodeMessage(message, new MessageDeflate(this.#parts.env.deflate, { windowBits }));
  }

  /** Resolves with the next change. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#wakes.push(resolve));
  }

  #wake(): void {
    const wakes = this.#wakes;
    this.#wakes = [];
    for (const wake of wakes) wake();
  }

  /** Resolves after so many ms, or when the server begins to end. */
  async #sleep(ms: number): Promise<void> {
    const { clock } = this.#parts.env;
    const at = clock.now() + ms;
    const timer = clock.setTimer(at, () => this.#wake());
    while (clock.now() < at && this.#info === undefined) await this.#change();
    timer[Symbol.dispose]();
  }
}

/** A listener of messages has nothing that an opening handshake could be made on. */
function closeMessages(transport: Transport): void {
  Promise.resolve(transport.close()).catch(() => {});
}
