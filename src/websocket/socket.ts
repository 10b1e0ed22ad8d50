/**
 * A WebSocket over a byte connection, its opening handshake done.
 *
 * Owns the connection, its one reader, and how it ends. The protocol is a `WebSocketProtocol`'s, what waits
 * to be written an `Outgoing`'s, what waits to be taken an `Inbox`'s.
 *
 * 1. Nothing is read while the inbox is full. Until then control frames are answered, whether or not
 *    anybody takes messages.
 * 2. What was accepted is written in order and before a close frame, or the WebSocket ends with 1006.
 * 3. When `closed` resolves nothing is left: no timer, no read, no connection.
 */
import { Addr } from "../base/addr.ts";
import type { ByteQueue } from "../base/byte_queue.ts";
import { RESOLVED } from "../base/resolved.ts";
import type { Bytes, ByteTransport, Queued, WaitOptions } from "../base/types.ts";
import { Callbacks } from "./callbacks.ts";
import { type DeflateParams, MessageDeflate } from "./compression.ts";
import { checkClose, closedError, closeInfoOf, wordsOf } from "./ending.ts";
import type { WebSocketEnv } from "./env.ts";
import { Inbox, type Message } from "./inbox.ts";
import { Keepalive } from "./keepalive.ts";
import { Outgoing, rejected } from "./outgoing.ts";
import { Pings } from "./pings.ts";
import { type ProtocolSink, WebSocketProtocol } from "./protocol.ts";
import { Opcode, Status } from "./rfc6455.ts";
import type { Settings } from "./settings.ts";
import type { WebSocketCloseInfo, WebSocketConn, WebSocketOptions } from "./types.ts";

/** What the opening handshake has brought. */
export interface Opened {
  readonly transport: ByteTransport;
  /** What came behind the handshake. */
  readonly queue: ByteQueue;
  readonly client: boolean;
  readonly url: string;
  readonly protocol: string;
  readonly deflate: DeflateParams | undefined;
  /** What was asked, for `onOpen`. */
  readonly request: () => Request;
}

/** How long the other end may take to end its direction after the closing handshake, in ms. */
const LINGER = 1_000;

/** An open WebSocket. */
export class ByteWebSocket implements WebSocketConn, ProtocolSink {
  readonly id: string;
  readonly url: string;
  readonly protocol: string;
  readonly localAddr: Addr;
  readonly remoteAddr: Addr;
  readonly missing: readonly [] = [];
  readonly closed: Promise<WebSocketCloseInfo>;
  /** The window of what it compresses; `undefined` where it does not. */
  readonly windowBits: number | undefined;
  readonly #opened: Opened;
  readonly #settings: Settings;
  readonly #options: WebSocketOptions;
  readonly #env: WebSocketEnv;
  readonly #callbacks: Callbacks;
  readonly #protocol: WebSocketProtocol;
  readonly #outgoing: Outgoing;
  readonly #inbox: Inbox;
  readonly #pings: Pings;
  readonly #keepalive: Keepalive;
  readonly #resolveClosed: (info: WebSocketCloseInfo) => void;
  #lastPongAt: number | undefined;
  #info: WebSocketCloseInfo | undefined;
  #closeTimer: Disposable | undefined;
  #gone = false;
  #readEnded: Promise<void> = RESOLVED;

  constructor(opened: Opened, settings: Settings, options: WebSocketOptions, env: WebSocketEnv) {
    const { transport, client, url, protocol, deflate } = opened;
    const { promise, resolve } = Promise.withResolvers<WebSocketCloseInfo>();
    const { onMessage, onError, logger } = options;
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#opened = opened;
    this.#settings = settings;
    this.#options = options;
    this.#env = env;
    this.id = env.newId();
    this.url = url;
    this.protocol = protocol;
    this.localAddr = Addr.of(transport.localAddr);
    this.remoteAddr = Addr.of(transport.remoteAddr);
    this.windowBits = deflate?.windowBits;
    this.#callbacks = new Callbacks(logger, onError && ((error) => onError(error, this)));
    this.#protocol = new WebSocketProtocol(this, {
      nextKey: client ? env.nextMask : undefined,
      limits: settings.limits,
      deflate: deflate === undefined ? undefined : new MessageDeflate(env.deflate, deflate),
    });
    this.#outgoing = new Outgoing({
      ...settings,
      transport,
      protocol: this.#protocol,
      clock: env.clock,
      failed: (error) => this.#writeFailed(error),
      stalled: () => this.#writeStalled(),
    });
    this.#inbox = new Inbox({
      handler: onMessage && ((message) => onMessage(message, this)),
      capacity: settings.readAhead,
      failed: (error) => this.#callbackFailed(error),
    });
    this.#pings = new Pings(env.clock);
    this.#keepalive = new Keepalive({
      clock: env.clock,
      interval: settings.pingInterval,
      timeout: settings.pingTimeout,
      ask: () => this.#ask(),
      silent: () =>
        this.#protocol.fail(
          "network",
          `There was no sign of life within ${settings.pingTimeout} ms after a ping`,
        ),
    });
  }

  /** Begins: from now on messages come. */
  start(): void {
    const { onOpen } = this.#options;
    this.#keepalive.start();
    if (onOpen !== undefined) {
      const failed = () => this.#close(Status.internalError, "");
      this.#callbacks.call(() => onOpen(this, this.#opened.request()), failed);
    }
    this.#readEnded = this.#read();
  }

  get queued(): Queued {
    return this.#outgoing.queued;
  }

  /** How it ended; known before `closed` resolves, when there may still be something to write. */
  get ended(): WebSocketCloseInfo | undefined {
    return this.#info;
  }

  get lastPongAt(): number | undefined {
    return this.#lastPongAt;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message, undefined> {
    return this.#inbox.iterate();
  }

  // ── sending ──

  send(message: string | Uint8Array): Promise<void> {
    const refusal = this.#whyNotSend();
    if (refusal !== undefined) return rejected(refusal);
    if (!this.#protocol.betweenMessages) {
      return Promise.reject(
        new TypeError("Cannot send message as the one that was begun by write() must end first"),
      );
    }
    this.#outgoing.begin();
    this.#protocol.send(message);
    this.#outgoing.wake();
    return this.#outgoing.ready();
  }

  write(
    payload: Uint8Array,
    opcode: number,
    { fin = true }: { readonly fin?: boolean } = {},
  ): Promise<void> {
    const refusal = this.#whyNotSend();
    if (refusal !== undefined) return rejected(refusal);
    try {
      this.#outgoing.begin();
      this.#protocol.sendFrame(opcode, payload, fin);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#outgoing.wake();
    return this.#outgoing.ready();
  }

  ping(data?: Uint8Array, options: WaitOptions = {}): Promise<number> {
    const pong = this.#ping(data, options);
    // As for a send: one that nobody awaits must not end the process.
    pong.catch(() => {});
    return pong;
  }

  pong(data: Uint8Array = new Uint8Array(0)): Promise<void> {
    return this.write(data, Opcode.pong);
  }

  /** Sends what `encodeMessage` made, if there is room for it; tells whether there was. */
  offer(frame: Uint8Array): boolean {
    if (!this.#protocol.betweenMessages || !this.#outgoing.hasRoom) return false;
    this.#outgoing.begin();
    this.#protocol.sendEncoded(frame);
    this.#outgoing.wake();
    return true;
  }

  // ── ending ──

  close(code: number = Status.normal, reason = ""): Promise<WebSocketCloseInfo> {
    checkClose(code, reason);
    this.#close(code, reason);
    return this.closed;
  }

  abort(reason?: unknown): void {
    if (this.#gone) return;
    this.#protocol.fail("local", wordsOf(reason), reason);
    this.#inbox.drop();
    // Also where the closing handshake is done, and only the other end's farewell is missing.
    this.#release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // ── what the protocol tells ──

  onText(text: string): void {
    this.#inbox.push(text);
  }

  onBinary(data: Bytes): void {
    this.#inbox.push(data);
  }

  onPong(data: Bytes): void {
    this.#lastPongAt = Date.now();
    this.#pings.settle(data);
  }

  onEnd(info: WebSocketCloseInfo): void {
    this.#info = info;
    this.#keepalive.stop();
    this.#closeTimer?.[Symbol.dispose]();
    this.#pings.end(closeInfoOf(info));
    this.#outgoing.end(closedError("send", info));
    this.#inbox.end();
    this.#finish(info);
  }

  // ── private ──

  async #ping(data: Uint8Array | undefined, options: WaitOptions): Promise<number> {
    options.signal?.throwIfAborted();
    const payload = data ?? this.#pings.fresh();
    const { pingTimeout } = this.#settings;
    const refusal = this.#whyNotSend();
    if (refusal !== undefined) throw refusal;
    this.#outgoing.begin();
    this.#protocol.sendFrame(Opcode.ping, payload, true);
    this.#outgoing.wake();
    return await this.#pings.expect(payload, { timeout: pingTimeout, ...options });
  }

  #close(code: number, reason: string): void {
    if (!this.#protocol.open) return;
    this.#outgoing.begin();
    this.#protocol.close(code, reason);
    this.#outgoing.wake();
    // What the other end says is behind what nobody has taken: that must be read, and so it is dropped.
    this.#inbox.drop();
    const { clock } = this.#env;
    const { closeTimeout } = this.#settings;
    this.#closeTimer = clock.setTimer(clock.now() + closeTimeout, () => {
      this.#protocol.fail("network", `The close frame was not answered within ${closeTimeout} ms`);
    });
  }

  async #read(): Promise<void> {
    const { transport, queue } = this.#opened;
    let shared: Bytes | undefined;
    try {
      while (!this.#gone) {
        if (queue.length > 0) {
          this.#protocol.receive(queue);
          this.#outgoing.wake();
          if (this.#protocol.shared) shared = queue.buffer;
          // Text is a copy of its bytes: their memory can be used again.
          if (shared !== queue.buffer) queue.rewind();
        }
        if (this.#inbox.full && !this.#protocol.closed) await this.#pause();
        const count = await transport.read(queue.space());
        if (count === null) break;
        this.#keepalive.heard();
        queue.fill(count);
      }
      this.#protocol.linkEnded();
    } catch (error) {
      this.#protocol.linkEnded(error);
    }
  }

  async #pause(): Promise<void> {
    this.#keepalive.reading = false;
    while (this.#inbox.full && !this.#protocol.closed) await this.#inbox.change();
    this.#keepalive.reading = true;
  }

  #whyNotSend(): Error | undefined {
    return this.#protocol.open ? this.#outgoing.full() : closedError("send", this.#info);
  }

  #writeStalled(): void {
    this.#protocol.fail(
      "network",
      `Nothing could be written for ${this.#settings.writeTimeout} ms`,
    );
    this.#release();
  }

  /** The other end may have said why, and that is still to be read. */
  #writeFailed(error: unknown): void {
    if (this.#protocol.closed) return;
    this.#closeTimer?.[Symbol.dispose]();
    const { clock } = this.#env;
    const end = () => this.#protocol.linkEnded(error);
    this.#closeTimer = clock.setTimer(clock.now() + LINGER, end);
  }

  #ask(): void {
    if (!this.#protocol.open) return;
    this.#outgoing.rest();
    this.#outgoing.begin();
    this.#protocol.sendFrame(Opcode.ping, this.#pings.fresh(), true);
    this.#outgoing.wake();
  }

  #callbackFailed(error: unknown): void {
    this.#callbacks.report(error);
    this.#close(Status.internalError, "");
  }

  /** Lets what there is to say reach the other end, and ends the connection. */
  async #finish(info: WebSocketCloseInfo): Promise<void> {
    const { transport, client } = this.#opened;
    if (info.code !== Status.abnormal) {
      const { clock } = this.#env;
      this.#outgoing.wake();
      await this.#outgoing.flushed();
      const timer = clock.setTimer(clock.now() + LINGER, () => this.#release());
      try {
        // Who ends a TCP connection first has to remember it for a minute: that is the server's part.
        if (!client && !this.#gone) await transport.closeWrite?.();
        await this.#readEnded;
      } catch {
        // The other end was faster, and that is all that was wanted.
      }
      timer[Symbol.dispose]();
    }
    this.#release();
    await this.#readEnded;
    this.#resolveClosed(info);
    await this.#tellEnd(info);
  }

  /** After the last message. */
  async #tellEnd(info: WebSocketCloseInfo): Promise<void> {
    const { onMessage, onClose, onError } = this.#options;
    while (onMessage !== undefined && !this.#inbox.idle) await this.#inbox.change();
    if (onError !== undefined && info.error !== undefined) this.#callbacks.report(info.error);
    this.#callbacks.call(onClose && (() => onClose(info, this)));
  }

  #release(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#outgoing.stop();
    try {
      Promise.resolve(this.#opened.transport.close()).catch(() => {});
    } catch {
      // Closed before by whoever gave it to us: closed is closed.
    }
  }
}
