/**
 * A WebSocket as a session wants it: binary messages of whole frames, an end that can be waited for and
 * that says why, and the parts of messages that are on their way.
 *
 * Owns what of a WebSocket's own manners a session does without.
 */
import type { Addr } from "../base/addr.ts";
import { VnetError } from "../base/errors.ts";
import type { TlsInfo } from "../base/tls.ts";
import type { Clock } from "../base/types.ts";
import type { SessionTransport } from "../stream/link.ts";
import type { FrameLimits } from "./frame_reader.ts";
import { Status } from "./rfc6455.ts";
import type { Settings } from "./settings.ts";
import type { ByteWebSocket } from "./socket.ts";
import type { WebSocketCloseInfo, WebSocketOptions } from "./types.ts";
import type { ByteTransport } from "../base/types.ts";

/** The subprotocol of vnet/1 (PROTOCOL.md section 1). */
export const SUBPROTOCOL = "vnet.1";

/**
 * A session has a heartbeat, limits and a clock for writes of its own: those of the WebSocket stay out of
 * its way. A send resolves when the system has taken it all, so that the session knows what waits.
 */
export const SESSION_OPTIONS: WebSocketOptions = {
  protocols: [SUBPROTOCOL],
  pingInterval: false,
  highWaterMark: 1,
  maxQueuedBytes: Infinity,
  writeTimeout: Infinity,
  closeTimeout: 1_000,
};

/** Ends that are none of anybody's fault. */
const ORDINARY: readonly number[] = [Status.normal, Status.goingAway, Status.none];

type Message = string | Uint8Array;
type Taken = IteratorResult<Message, undefined>;

/** A byte connection that notes when it was used. */
export class WatchedTransport implements ByteTransport {
  readAt = -Infinity;
  wroteAt = -Infinity;
  readonly #below: ByteTransport;
  readonly #clock: Clock;

  constructor(below: ByteTransport, clock: Clock) {
    this.#below = below;
    this.#clock = clock;
  }

  get localAddr(): unknown {
    return this.#below.localAddr;
  }

  get remoteAddr(): unknown {
    return this.#below.remoteAddr;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    const count = await this.#below.read(buffer);
    this.readAt = this.#clock.now();
    return count;
  }

  async write(data: Uint8Array): Promise<number> {
    const count = await this.#below.write(data);
    this.wroteAt = this.#clock.now();
    return count;
  }

  close(): unknown {
    return this.#below.close();
  }

  async closeWrite(): Promise<void> {
    await this.#below.closeWrite?.();
  }
}

/** Limits of one WebSocket that change while it is open. */
export class MessageLimit {
  /** The settings of the WebSocket. */
  readonly settings: Settings;
  readonly #limits: { -readonly [L in keyof FrameLimits]: FrameLimits[L] };

  constructor(settings: Settings) {
    this.#limits = { ...settings.limits };
    this.settings = { ...settings, limits: this.#limits };
  }

  get length(): number {
    return this.#limits.maxMessageLength;
  }

  set length(length: number) {
    this.#limits.maxMessageLength = length;
    this.#limits.maxFrameLength = length;
  }
}

/** What is known of a connection beside the WebSocket. */
export interface SessionLink {
  readonly localAddr: Addr;
  readonly remoteAddr: Addr;
  readonly tls: TlsInfo | undefined;
  readonly below: WatchedTransport;
  readonly limit: MessageLimit;
}

/** The transport. */
export class SessionSocket implements SessionTransport {
  readonly localAddr: Addr;
  readonly remoteAddr: Addr;
  readonly tls: TlsInfo | undefined;
  readonly #socket: ByteWebSocket;
  readonly #below: WatchedTransport;
  readonly #limit: MessageLimit;
  #status: number = Status.normal;

  constructor(socket: ByteWebSocket, { localAddr, remoteAddr, tls, below, limit }: SessionLink) {
    this.#socket = socket;
    this.#below = below;
    this.#limit = limit;
    this.localAddr = localAddr;
    this.remoteAddr = remoteAddr;
    this.tls = tls;
  }

  get readAt(): number {
    return this.#below.readAt;
  }

  get wroteAt(): number {
    return this.#below.wroteAt;
  }

  get maxMessageLength(): number {
    return this.#limit.length;
  }

  set maxMessageLength(length: number) {
    this.#limit.length = length;
  }

  send(message: Uint8Array): Promise<void> {
    return this.#socket.send(message);
  }

  /** Throws at the end where that was nobody's wish. */
  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    const messages = this.#socket[Symbol.asyncIterator]();
    return {
      next: () => messages.next().then((taken) => this.#judge(taken)),
      return: () => Promise.resolve({ done: true, value: undefined }),
    };
  }

  /** Says so to the other end, and resolves when the connection is gone. */
  async close(): Promise<void> {
    await this.#socket.close(this.#status);
  }

  /** Ends it now. */
  abort(): void {
    this.#socket.abort();
  }

  #judge(taken: Taken): Taken {
    if (typeof taken.value === "string") this.#status = Status.unsupportedData;
    if (!taken.done) return taken;
    const error = this.#socket.ended && errorOf(this.#socket.ended);
    if (error !== undefined) throw error;
    return taken;
  }
}

function errorOf({ code, reason, initiator, error }: WebSocketCloseInfo): VnetError | undefined {
  if (error !== undefined || ORDINARY.includes(code) || initiator === "local") return error;
  const words = reason === "" ? "" : `: ${reason}`;
  return new VnetError("LINK_LOST", `The other end has closed the WebSocket with ${code}${words}`, {
    initiator,
  });
}
