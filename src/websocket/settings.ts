/**
 * Options of a WebSocket with every field given.
 *
 * Owns the defaults, and what values make sense.
 */
import { checkProtocols } from "./handshake.ts";
import type { WebSocketOptions, WebSocketServeOptions } from "./types.ts";
import type { FrameLimits } from "./frame_reader.ts";

/** Options, checked. */
export interface Settings {
  readonly protocols: readonly string[];
  readonly limits: FrameLimits;
  readonly readAhead: number;
  readonly compression: boolean;
  readonly pingInterval: number;
  readonly pingTimeout: number;
  readonly highWaterMark: number;
  readonly maxQueuedBytes: number;
  readonly writeTimeout: number;
  readonly closeTimeout: number;
}

const LONGEST_MESSAGE = 2 ** 30;

/** Fills in the defaults. @throws {TypeError | RangeError} where a field makes no sense */
export function resolveSettings(options: WebSocketOptions): Settings {
  const { protocols = [], maxMessageLength = 16_777_216, maxFragments = 131_072 } = options;
  const { maxFrameLength = maxMessageLength, readAhead = 65_536, compression = false } = options;
  const { pingInterval = 30_000, pingTimeout = 15_000 } = options;
  const { highWaterMark = 65_536, maxQueuedBytes = 16_777_216 } = options;
  const { only } = options;
  const { writeTimeout = 15_000, closeTimeout = 10_000 } = options;
  checkProtocols(protocols);
  if (only !== undefined && only !== "text" && only !== "binary") {
    throw new TypeError(
      `Cannot use options as 'only' must be "text" or "binary": current value is ${only}`,
    );
  }
  checkLength("maxMessageLength", maxMessageLength);
  checkLength("maxFrameLength", maxFrameLength);
  const amounts = { maxFragments, readAhead, highWaterMark, maxQueuedBytes };
  for (const [name, value] of Object.entries(amounts)) checkAtLeast(name, value, 1);
  const times = { pingTimeout, writeTimeout, closeTimeout };
  for (const [name, value] of Object.entries(times)) checkAtLeast(name, value, 1);
  if (pingInterval !== false) checkAtLeast("pingInterval", pingInterval, 1);
  return {
    protocols,
    limits: { maxFrameLength, maxMessageLength, maxFragments, only },
    readAhead,
    compression,
    pingInterval: pingInterval === false ? Infinity : pingInterval,
    pingTimeout,
    highWaterMark,
    maxQueuedBytes,
    writeTimeout,
    closeTimeout,
  };
}

/** What a server needs beside the settings of its connections. */
export interface ServeSettings {
  readonly handshakeTimeout: number;
  readonly maxConnections: number;
  readonly maxHandshakes: number;
}

/** Fills in the defaults. @throws {RangeError} where a field makes no sense */
export function resolveServe(options: WebSocketServeOptions): ServeSettings {
  const { handshakeTimeout = 5_000, maxConnections = 10_000, maxHandshakes = 512 } = options;
  const settings = { handshakeTimeout, maxConnections, maxHandshakes };
  for (const [name, value] of Object.entries(settings)) checkAtLeast(name, value, 1);
  return settings;
}

function checkLength(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= LONGEST_MESSAGE) return;
  throw new RangeError(
    `Cannot use options as '${name}' must be an integer from 1 to ${LONGEST_MESSAGE}: current value is ${value}`,
  );
}

function checkAtLeast(name: string, value: number, least: number): void {
  if (value >= least) return;
  throw new RangeError(
    `Cannot use options as '${name}' must be ${least} or more: current value is ${value}`,
  );
}
