/**
 * What the two ends tell each other about how much they take.
 *
 * Owns the order of the ten numbers and their minima. How they combine is in PROTOCOL.md.
 */
import type { OutBuffer } from "../base/out_buffer.ts";
import type { BodyReader } from "./body.ts";
import { MIN_MAX_FRAME } from "./constants.ts";

/** The most that the sender of these takes from the other end. */
export interface WireLimits {
  /** The largest whole frame, header included, in bytes. At least 16 KiB. */
  readonly maxFrame: number;
  /** The largest payload, in bytes. At least 1. */
  readonly maxMessage: number;
  /** The session window, in bytes of cost. At least 4 × `maxFrame`. */
  readonly recvBytes: number;
  /** Calls at a time; 0: it takes none. */
  readonly maxCalls: number;
  /** Streams at a time; 0: it takes none. */
  readonly maxStreams: number;
  /** The first window of a stream, in bytes of cost. At least 16 KiB unless `maxStreams` is 0. */
  readonly streamBytes: number;
  /** The largest metadata block, in bytes. */
  readonly maxMetadata: number;
  /** How often the sender of these lets itself be heard, in ms; 0: it promises nothing. */
  readonly heartbeatMs: number;
  /** How long a session outlives its link, in ms: asked for in HELLO, granted in WELCOME. */
  readonly ttlMs: number;
  /** Feature bits: offered in HELLO, agreed in WELCOME. */
  readonly features: number;
}

/** The least `heartbeatMs` other than 0, in ms. */
export const MIN_HEARTBEAT = 100;
/** The least `streamBytes`. */
export const MIN_STREAM_BYTES: number = 16 * 1024;

const FIELDS = [
  "maxFrame",
  "maxMessage",
  "recvBytes",
  "maxCalls",
  "maxStreams",
  "streamBytes",
  "maxMetadata",
  "heartbeatMs",
  "ttlMs",
  "features",
] as const satisfies readonly (keyof WireLimits)[];

/** Says which limit is below its minimum, in a sentence for REJECT(BAD_LIMITS). */
export function checkLimits(limits: WireLimits): string | undefined {
  return below("maxFrame", limits.maxFrame, MIN_MAX_FRAME) ??
    below("maxMessage", limits.maxMessage, 1) ??
    below("recvBytes", limits.recvBytes, 4 * limits.maxFrame) ??
    below("streamBytes", limits.streamBytes, limits.maxStreams === 0 ? 0 : MIN_STREAM_BYTES) ??
    below("heartbeatMs", limits.heartbeatMs, limits.heartbeatMs === 0 ? 0 : MIN_HEARTBEAT);
}

/** Whether both are the same. */
export function sameLimits(a: WireLimits, b: WireLimits): boolean {
  return FIELDS.every((field) => a[field] === b[field]);
}

/** Writes the limits; a number that does not fit is written as the largest that does. */
export function writeLimits(out: OutBuffer, limits: WireLimits): void {
  for (const field of FIELDS) {
    out.uint32(Math.max(0, Math.min(0xffff_ffff, Math.floor(limits[field]))));
  }
}

/** Reads the limits. @throws {ProtocolError} BAD_FRAME */
export function readLimits(body: BodyReader): WireLimits {
  return {
    maxFrame: body.uint32("limits"),
    maxMessage: body.uint32("limits"),
    recvBytes: body.uint32("limits"),
    maxCalls: body.uint32("limits"),
    maxStreams: body.uint32("limits"),
    streamBytes: body.uint32("limits"),
    maxMetadata: body.uint32("limits"),
    heartbeatMs: body.uint32("limits"),
    ttlMs: body.uint32("limits"),
    features: body.uint32("limits"),
  };
}

function below(name: string, value: number, minimum: number): string | undefined {
  return value >= minimum
    ? undefined
    : `The limit '${name}' must be at least ${minimum}: current value is ${value}`;
}
