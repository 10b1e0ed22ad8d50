/**
 * A `WebSocketConn` over the platform's own WebSocket: for where there is no byte connection to be had,
 * in a handler of `Deno.serve`.
 *
 * Owns what the platform leaves open: how much may wait to be sent, how much that nobody takes. What the
 * platform cannot do is in `missing`, and says so when it is used.
 *
 * 1. The platform reads whether or not anybody takes messages. Where more waits than one message may be
 *    long, the WebSocket is closed with 1008.
 * 2. The platform does not tell when there is room again. While somebody waits for it, it is asked.
 */
import { Addr } from "../base/addr.ts";
import { VnetError } from "../base/errors.ts";
import { RESOLVED } from "../base/resolved.ts";
import type { Bytes, Clock, Queued } from "../base/types.ts";
import { Callbacks } from "./callbacks.ts";
import { checkClose, closedError, wordsOf } from "./ending.ts";
import { Inbox, type Message } from "./inbox.ts";
import { queueFull, rejected } from "./outgoing.ts";
import { Opcode, Status } from "./rfc6455.ts";
import type { Settings } from "./settings.ts";
import type {
  WebSocketAbility,
  WebSocketCloseInfo,
  WebSocketConn,
  WebSocketOptions,
} from "./types.ts";

/** What is used of the platform's WebSocket. */
export interface PlatformSocket {
  binaryType: BinaryType;
  readonly bufferedAmount: number;
  readonly protocol: string;
  readonly readyState: number;
  send(message: string | Bytes): void;
  close(code?: number, reason?: string): void;
  addEventListener<K extends keyof WebSocketEventMap>(
    type: K,
    listener: (event: WebSocketEventMap[K]) => void,
  ): void;
}

/** What it is made with. */
export interface NativeParts {
  readonly socket: PlatformSocket;
  readonly id: string;
  readonly url: string;
  /** What was agreed on, where that is known here. */
  readonly protocol?: string;
  readonly settings: Settings;
  readonly options: WebSocketOptions;
  readonly clock: Clock;
  /** What was asked, for `onOpen`. */
  readonly request: Request;
}

/** How often the platform is asked whether there is room again, in ms. */
const POLL = 5;
const MISSING: readonly WebSocketAbility[] = Object.freeze([
  "ping",
  "fragments",
  "readBackpressure",
  "compression",
  "abort",
  "addresses",
]);
const NOWHERE = Addr.of(undefined);

/** A WebSocket of the platform's. It need not be open yet. */
export class NativeWebSocket implements WebSocketConn {
  readonly id: string;
  readonly url: string;
  readonly localAddr: Addr = NOWHERE;
  readonly remoteAddr: Addr = NOWHERE;
  readonly lastPongAt = undefined;
  readonly missing: readonly WebSocketAbility[] = MISSING;
  readonly closed: Promise<WebSocketCloseInfo>;
  readonly #parts: NativeParts;
  readonly #socket: PlatformSocket;
  readonly #callbacks: Callbacks;
  readonly #inbox: Inbox;
  readonly #resolveClosed: (info: WebSocketCloseInfo) => void;
  /** What was accepted before it was open. */
  #early: (string | Uint8Array)[] = [];
  #earlyBytes = 0;
  #unread = 0;
  #ending: WebSocketCloseInfo | undefined;
  #info: WebSocketCloseInfo | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  #poll: Disposable | undefined;
  #closeTimer: Disposable | undefined;
  #failure: VnetError | undefined;

  constructor(parts: NativeParts) {
    const { promise, resolve } = Promise.withResolvers<WebSocketCloseInfo>();
    const { socket, settings, options: { onMessage, onError, logger } } = parts;
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#parts = parts;
    this.#socket = socket;
    this.id = parts.id;
    this.url = parts.url;
    this.#callbacks = new Callbacks(logger, onError && ((error) => onError(error, this)));
    this.#inbox = new Inbox({
      handler: onMessage && ((message) => onMessage(message, this)),
      capacity: Math.max(settings.readAhead, settings.limits.maxMessageLength),
      failed: (error) => {
        this.#callbacks.report(error);
        this.#close(Status.internalError, "", "local");
      },
    });
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => this.#open());
    socket.addEventListener("message", ({ data }) => this.#take(data));
    socket.addEventListener("error", (event) => this.#fail(event));
    socket.addEventListener("close", ({ code, reason }) => this.#gone(code, reason));
  }

  /** A server's own WebSocket does not tell. */
  get protocol(): string {
    return this.#parts.protocol ?? this.#socket.protocol;
  }

  get queued(): Queued {
    const bytes = this.#queuedBytes();
    // The platform counts bytes only.
    return { bytes, frames: this.#early.length > 0 ? this.#early.length : Math.min(bytes, 1) };
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message, undefined> {
    return this.#inbox.iterate();
  }

  send(message: string | Uint8Array): Promise<void> {
    if (this.#ending !== undefined) return rejected(closedError("send", this.#info));
    const { maxQueuedBytes, highWaterMark } = this.#parts.settings;
    const bytes = this.#queuedBytes();
    if (bytes >= maxQueuedBytes) return rejected(queueFull(maxQueuedBytes, bytes));
    this.#send(message);
    if (this.#queuedBytes() < highWaterMark) return RESOLVED;
    if (this.#room === undefined) {
      this.#room = Promise.withResolvers<void>();
      // A send that nobody awaits must not end the process; awaiting it still throws.
      this.#room.promise.catch(() => {});
      this.#pollRoom();
    }
    return this.#room.promise;
  }

  write(
    payload: Uint8Array,
    opcode: number,
    { fin = true }: { readonly fin?: boolean } = {},
  ): Promise<void> {
    if (fin && opcode === Opcode.binary) return this.send(payload);
    if (fin && opcode === Opcode.text) return this.send(new TextDecoder().decode(payload));
    return unsupported("write single fragments or control frames");
  }

  ping(): Promise<number> {
    return unsupported("ping");
  }

  pong(): Promise<void> {
    return unsupported("send a pong that was not asked for");
  }

  close(code: number = Status.normal, reason = ""): Promise<WebSocketCloseInfo> {
    checkClose(code, reason);
    this.#close(code, reason, "local");
    return this.closed;
  }

  /** The platform cannot end it at once: here it is over, and the closing handshake goes on unseen. */
  abort(reason?: unknown): void {
    if (this.#info !== undefined) return;
    const words = wordsOf(reason);
    this.#close(Status.goingAway, "", "local");
    this.#inbox.drop();
    const error = new VnetError("ABORTED", words, { cause: reason, initiator: "local" });
    const code = Status.abnormal;
    this.#end({ code, reason: words, wasClean: false, initiator: "local", error });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(): void {
    const { options: { onOpen }, request } = this.#parts;
    const early = this.#early;
    this.#early = [];
    this.#earlyBytes = 0;
    for (const message of early) this.#send(message);
    if (onOpen === undefined) return;
    this.#callbacks.call(
      () => onOpen(this, request),
      () => this.#close(Status.internalError, "", "local"),
    );
  }

  #send(message: string | Uint8Array): void {
    if (this.#socket.readyState === WebSocket.CONNECTING) {
      this.#early.push(message);
      this.#earlyBytes += message.length;
    } else if (this.#socket.readyState === WebSocket.OPEN) {
      this.#socket.send(typeof message === "string" ? message : ownBytes(message));
    }
  }

  #take(data: unknown): void {
    if (this.#ending !== undefined) return;
    const message = typeof data === "string"
      ? data
      : data instanceof ArrayBuffer
      ? new Uint8Array(data)
      : undefined;
    const { maxMessageLength, only } = this.#parts.settings.limits;
    if (message === undefined) return;
    if (only !== undefined && (only === "text") !== (typeof message === "string")) {
      return this.#close(Status.unsupportedData, `A message must be ${only}`, "remote");
    }
    if (message.length > maxMessageLength) {
      const words = `A message must have at most ${maxMessageLength} bytes`;
      return this.#close(Status.tooBig, words, "remote");
    }
    this.#inbox.push(message);
    if (this.#inbox.full) {
      this.#close(Status.policyViolation, "Messages came faster than they were taken", "remote");
    }
  }

  #close(code: number, reason: string, initiator: "local" | "remote"): void {
    if (this.#ending !== undefined) return;
    const wasClean = initiator === "local";
    this.#ending = { code, reason, wasClean, initiator };
    if (initiator === "local") this.#inbox.drop();
    else this.#inbox.end();
    const { clock, settings: { closeTimeout } } = this.#parts;
    this.#closeTimer = clock.setTimer(clock.now() + closeTimeout, () => {
      const why = `The close frame was not answered within ${closeTimeout} ms`;
      const end = Status.abnormal;
      this.#end({ code: end, reason: why, wasClean: false, initiator: "network" });
    });
    try {
      this.#socket.close(code, reason);
    } catch {
      // Codes that the platform keeps to itself.
      this.#socket.close();
    }
  }

  #fail(event: Event): void {
    const message = "message" in event && typeof event.message === "string" ? event.message : "";
    const reason = message === "" ? "The platform's WebSocket failed" : message;
    this.#failure ??= new VnetError("LINK_LOST", reason, { initiator: "network" });
  }

  #gone(code: number, reason: string): void {
    const error = this.#failure;
    // The platform says 0 where there was no close frame.
    const lost = error !== undefined || code === 0 || code === Status.abnormal;
    if (lost && this.#ending?.initiator !== "remote") {
      const why = error?.message ?? "The connection ended without a close frame";
      const found = error ?? new VnetError("LINK_LOST", why, { initiator: "network" });
      const end = Status.abnormal;
      this.#end({ code: end, reason: why, wasClean: false, initiator: "network", error: found });
    } else {
      this.#end(this.#ending ?? { code, reason, wasClean: true, initiator: "remote" });
    }
  }

  #end(info: WebSocketCloseInfo): void {
    if (this.#info !== undefined) return;
    this.#info = info;
    this.#ending ??= info;
    this.#poll?.[Symbol.dispose]();
    this.#closeTimer?.[Symbol.dispose]();
    this.#room?.reject(closedError("send", info));
    this.#inbox.end();
    this.#resolveClosed(info);
    this.#tellEnd(info);
  }

  /** After the last message. */
  async #tellEnd(info: WebSocketCloseInfo): Promise<void> {
    const { onMessage, onClose, onError } = this.#parts.options;
    while (onMessage !== undefined && !this.#inbox.idle) await this.#inbox.change();
    if (onError !== undefined && info.error !== undefined) this.#callbacks.report(info.error);
    this.#callbacks.call(onClose && (() => onClose(info, this)));
  }

  #queuedBytes(): number {
    return this.#socket.bufferedAmount + this.#earlyBytes;
  }

  #pollRoom(): void {
    const { clock, settings: { highWaterMark } } = this.#parts;
    this.#poll = clock.setTimer(clock.now() + POLL, () => {
      if (this.#queuedBytes() >= highWaterMark) return this.#pollRoom();
      this.#room?.resolve();
      this.#room = undefined;
    });
  }
}

function unsupported(what: string): Promise<never> {
  return Promise.reject(
    new VnetError(
      "UNSUPPORTED",
      `Cannot ${what} as the platform's WebSocket is in use: it has no such thing`,
      {
        initiator: "local",
      },
    ),
  );
}

function ownBytes(message: Uint8Array): Bytes {
  const { buffer, byteOffset, byteLength } = message;
  return buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer, byteOffset, byteLength)
    : new Uint8Array(message);
}
