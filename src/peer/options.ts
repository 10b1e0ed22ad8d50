/**
 * The options of a session, whichever side it is on: their defaults and what they must be.
 */
import type { Logger, Runtime, Side } from "../base/types.ts";
import type { CloseInfo } from "../base/lifecycle.ts";
import type { AnyContract, Api, MessageOf, SerializerFor } from "../contract/types.ts";
import type { Handlers } from "./call_options.ts";
import type { Interceptor } from "./interceptors.ts";
import type { MachineSettings } from "../session/events.ts";
import type { Rates } from "../session/rate.ts";
import type { WireLimits } from "../wire/handshake.ts";

export type { LimitName } from "../base/errors.ts";

/** What one connection may use, in bytes. */
export interface Limits {
  /** The longest frame that is taken, header included, in bytes. @default {262144} */
  readonly maxFrameLength: number;
  /** The longest message that is taken, in bytes; a longer than a frame comes in fragments. @default {16777216} */
  readonly maxMessageLength: number;
  /** The largest metadata block that is taken, in bytes. @default {16384, or a quarter of `maxFrameLength`} */
  readonly maxMetadataLength: number;
  /**
   * How much may wait to be sent, in bytes. Calls are counted apart: as much as one message may have.
   * @default {1048576}
   */
  readonly maxQueuedBytes: number;
  /** Calls of the other end that may run at once; of our own as many may wait. @default {1024} */
  readonly maxInFlight: number;
  /** Streams of calls that may be open at once, in each direction. @default {64} */
  readonly maxStreams: number;
}

/** How often life is shown and asked for. */
export interface HeartbeatOptions {
  /** Silence, in ms, after which a PING is sent. At least 100. @default {10000} */
  readonly interval?: number;
  /** How long, in ms, the other end may stay silent after that. @default {5000} */
  readonly timeout?: number;
}

/**
 * What becomes of a message for which there is no room (`limits.maxQueuedBytes`):
 *
 * - `"wait"`: `send` waits before it comes to that, and rejects once it has. What was accepted stays.
 * - `"drop-oldest"`: the oldest of the messages that were sent with this policy makes way.
 * - `"drop-newest"`: it is dropped itself.
 * - `"disconnect"`: the peer is ended with the code `SLOW_CONSUMER`.
 *
 * With a policy other than `"wait"`, `send` never waits.
 */
export type Overflow = "wait" | "drop-oldest" | "drop-newest" | "disconnect";

/** How messages wait to be sent. */
export interface QueueOptions {
  /** From this many queued bytes on `send` waits. @default {65536} */
  readonly highWaterMark?: number;
  /** Down to this many it waits then. @default {half of highWaterMark} */
  readonly lowWaterMark?: number;
  /** What becomes of a message for which there is no room, unless it says so itself. @default {"wait"} */
  readonly overflow?: Overflow;
  /** What `send` does between two links: keep the message for the next one, or reject. @default {"keep"} */
  readonly offline?: "keep" | "reject";
}

/** Options that both sides have. Times in ms, sizes in bytes; an absent field has its default. */
export interface SessionOptions<C extends AnyContract, L extends Api, P> {
  /** What both ends understand; it types and checks whatever is called. It has its own serializer. */
  readonly contract?: C;
  /**
   * Without a contract: turns bodies into bytes and back. Both ends name theirs in the handshake.
   * @default {raw()}
   */
  readonly serializer?: SerializerFor<C>;
  /** Ends it all at once, as `abort(signal.reason)` does. */
  readonly signal?: AbortSignal;
  /**
   * Called once per session, before its first message is delivered. It may live as long as the
   * session; if it throws or rejects the session is ended.
   */
  readonly onConnect?: (peer: P) => unknown;
  /** Answers calls, by method: of a contract all that it has. */
  readonly methods?: Handlers<L, P>;
  /** What sees each call and message before the application or the network does, the first outermost. */
  readonly interceptors?: readonly Interceptor[];
  /** Takes each message, one at a time: the next waits for a returned promise. */
  readonly onMessage?: (message: MessageOf<L>, peer: P) => unknown;
  /** Called once per session, after its last message. */
  readonly onDisconnect?: (info: CloseInfo, peer: P) => unknown;
  /** How long a call may take that does not say, in ms. @default {30000} */
  readonly callTimeout?: number;
  /** How long the handshake may take, registration included, in ms. @default {5000} */
  readonly handshakeTimeout?: number;
  /** How long a frame that has begun may take to be whole, in ms. @default {30000} */
  readonly frameTimeout?: number;
  /** How long a write may go without progress, in ms. @default {15000} */
  readonly writeTimeout?: number;
  /** The heartbeat; `false`: none, and a dead link is not noticed. */
  readonly heartbeat?: HeartbeatOptions | false;
  /** How messages wait to be sent. */
  readonly queue?: QueueOptions;
  /** Where log lines go. @default {nowhere} */
  readonly logger?: Logger;
  /** Time, chance and network. @default {the system's} */
  readonly runtime?: Runtime;
}

/** Limits when none are given. */
export const DEFAULT_LIMITS: Limits = Object.freeze({
  maxFrameLength: 262_144,
  maxMessageLength: 16_777_216,
  maxMetadataLength: 16_384,
  maxQueuedBytes: 1_048_576,
  maxInFlight: 1_024,
  maxStreams: 64,
});

/** The window of messages on their way, in bytes, unless frames are so large that it must be more. */
const WINDOW = 1_048_576;
/** The first window of a stream, in bytes. */
const STREAM_WINDOW = 262_144;

/** Options with every field given, without what carries types. */
export interface SessionSettings {
  readonly callTimeout: number;
  readonly handshakeTimeout: number;
  readonly frameTimeout: number;
  readonly writeTimeout: number;
  readonly heartbeat: { readonly interval: number; readonly timeout: number } | false;
  readonly queue: Required<QueueOptions>;
  readonly limits: Limits;
}

/** The part of the options that {@linkcode resolveSession} reads. */
export type SessionInput =
  & Pick<
    SessionOptions<AnyContract, Api, never>,
    "callTimeout" | "handshakeTimeout" | "frameTimeout" | "writeTimeout" | "heartbeat" | "queue"
  >
  & { readonly limits?: Partial<Limits> };

/** Fills in the defaults. @throws {RangeError} where a field, or a pair of them, makes no sense */
export function resolveSession(options: SessionInput): SessionSettings {
  const { handshakeTimeout = 5_000, frameTimeout = 30_000, writeTimeout = 15_000 } = options;
  const { callTimeout = 30_000 } = options;
  demand(
    "callTimeout",
    callTimeout,
    callTimeout > 0 && callTimeout !== Infinity,
    "more than 0 ms, and finite",
  );
  demand("handshakeTimeout", handshakeTimeout, handshakeTimeout > 0, "more than 0 ms");
  demand("frameTimeout", frameTimeout, frameTimeout > 0, "more than 0 ms");
  demand("writeTimeout", writeTimeout, writeTimeout > 0, "more than 0 ms");
  return {
    callTimeout,
    handshakeTimeout,
    frameTimeout,
    writeTimeout,
    heartbeat: resolveHeartbeat(options.heartbeat),
    queue: resolveQueue(options.queue),
    limits: resolveLimits(options.limits),
  };
}

/** What we tell the other end that we accept. */
export function wireLimits({ limits, heartbeat }: SessionSettings): WireLimits {
  return {
    maxFrame: limits.maxFrameLength,
    maxMessage: limits.maxMessageLength,
    recvBytes: Math.max(WINDOW, 4 * limits.maxFrameLength),
    maxCalls: limits.maxInFlight,
    maxStreams: limits.maxStreams,
    streamBytes: STREAM_WINDOW,
    maxMetadata: limits.maxMetadataLength,
    heartbeatMs: heartbeat === false ? 0 : heartbeat.interval,
    ttlMs: 0,
    features: 0,
  };
}

/** What each session machine of one owner is made with. */
export function machineSettings(
  side: Side,
  settings: SessionSettings,
  serializer: string,
  rates?: Rates,
): MachineSettings {
  const { heartbeat, handshakeTimeout, frameTimeout, writeTimeout } = settings;
  return {
    side,
    limits: wireLimits(settings),
    serializer,
    heartbeat,
    handshakeTimeout,
    frameTimeout,
    writeTimeout,
    ...(rates === undefined ? {} : { rates }),
  };
}

function resolveHeartbeat(options: HeartbeatOptions | false = {}): SessionSettings["heartbeat"] {
  if (options === false) return false;
  const { interval = 10_000, timeout = 5_000 } = options;
  demand("heartbeat.interval", interval, interval >= 100 && interval <= 2 ** 31, "100 ms or more");
  demand("heartbeat.timeout", timeout, timeout > 0, "more than 0 ms");
  return { interval, timeout };
}

function resolveQueue(options: QueueOptions = {}): Required<QueueOptions> {
  const { highWaterMark = 65_536, offline = "keep", overflow = "wait" } = options;
  const { lowWaterMark = highWaterMark / 2 } = options;
  demand("queue.highWaterMark", highWaterMark, highWaterMark > 0, "more than 0 bytes");
  const fits = lowWaterMark >= 0 && lowWaterMark <= highWaterMark;
  demand("queue.lowWaterMark", lowWaterMark, fits, `from 0 to 'highWaterMark' (${highWaterMark})`);
  if (offline !== "keep" && offline !== "reject") {
    throw new TypeError(
      `Cannot use options as 'queue.offline' must be "keep" or "reject": current value is ${offline}`,
    );
  }
  demandOverflow("queue.overflow", overflow);
  return { highWaterMark, lowWaterMark, offline, overflow };
}

/** @throws {TypeError} when it is none */
export function demandOverflow(name: string, overflow: Overflow): void {
  if (["wait", "drop-oldest", "drop-newest", "disconnect"].includes(overflow)) return;
  throw new TypeError(
    `Cannot use options as '${name}' must be "wait", "drop-oldest", "drop-newest" or "disconnect": current value is ${overflow}`,
  );
}

function resolveLimits(options: Partial<Limits> = {}): Limits {
  const { maxFrameLength: frameLength = DEFAULT_LIMITS.maxFrameLength } = options;
  // A frame must hold it: a small frame limit alone makes a small metadata limit.
  const metadata = Math.min(DEFAULT_LIMITS.maxMetadataLength, Math.floor(frameLength / 4));
  const limits = { ...DEFAULT_LIMITS, maxMetadataLength: metadata, ...options };
  const { maxFrameLength, maxMessageLength, maxMetadataLength, maxQueuedBytes } = limits;
  const whole = (value: number, least: number, most: number) =>
    Number.isInteger(value) && value >= least && value <= most;
  const frame = "an integer from 16384 to 67108864 bytes";
  demand("limits.maxFrameLength", maxFrameLength, whole(maxFrameLength, 16_384, 67_108_864), frame);
  const most = 2 ** 31;
  demand(
    "limits.maxMessageLength",
    maxMessageLength,
    whole(maxMessageLength, 1, most),
    "an integer from 1",
  );
  demand(
    "limits.maxMetadataLength",
    maxMetadataLength,
    whole(maxMetadataLength, 0, maxFrameLength - 1_024),
    "an integer from 0, and a frame must hold it",
  );
  const count = "an integer from 1 to 65536";
  demand("limits.maxInFlight", limits.maxInFlight, whole(limits.maxInFlight, 1, 65_536), count);
  demand("limits.maxStreams", limits.maxStreams, whole(limits.maxStreams, 1, 65_536), count);
  demand("limits.maxQueuedBytes", maxQueuedBytes, maxQueuedBytes > 0, "more than 0 bytes");
  return limits;
}

function demand(name: string, value: number, holds: boolean, expected: string): void {
  if (holds) return;
  throw new RangeError(
    `Cannot use options as '${name}' must be ${expected}: current value is ${value}`,
  );
}
