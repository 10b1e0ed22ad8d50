/**
 * What byte connections are made with. Timeouts are in ms; `Infinity` is none.
 */
import type { WaitOptions } from "../base/types.ts";
import { checkTimeout } from "./waits.ts";

/** Options of every connection, dialled or accepted. */
export interface ConnOptions {
  /** `readTimeout` of the connection, in ms. @default {Infinity} */
  readonly readTimeout?: number;
  /** `writeTimeout` of the connection, in ms. @default {Infinity} */
  readonly writeTimeout?: number;
  /**
   * Sends what is written at once, also where it is little (Nagle's algorithm is off). For `tcp`; over
   * TLS it is always so. @default {true}
   */
  readonly noDelay?: boolean;
  /** Lets the system probe a connection that is silent for long (2 hours on Linux). For `tcp`. @default {false} */
  readonly keepAlive?: boolean;
}

/**
 * Options of a dial. `timeout` covers all of it, the look-up of the name and the TLS handshake
 * included, and is 5,000 ms unless given; `signal` ends the dial, not the connection.
 */
export interface DialOptions extends ConnOptions, WaitOptions {}

/** Options of a listener, and of the connections that it gives. */
export interface ListenOptions extends ConnOptions {
  /** `acceptTimeout` of the listener, in ms. @default {Infinity} */
  readonly acceptTimeout?: number;
  /** How many connections the system keeps that nobody has accepted yet. For `tcp` and `tls`. @default {511} */
  readonly backlog?: number;
  /** Lets several processes listen on one port. For `tcp` and `tls`. Needs `--unstable-net`. @default {false} */
  readonly reusePort?: boolean;
}

/** Options of a read of unknown length. */
export interface ReadOptions extends WaitOptions {
  /** The most bytes to read; what is longer is a `LimitError`, and nothing is lost. @default {16_777_216} */
  readonly maxLength?: number;
}

/** What `maxLength` is unless given. */
export const MAX_LENGTH = 16 << 20;

/** Throws where a timeout is none: before there is something open that would have to be closed. */
export function checkOptions(
  action: string,
  options: ConnOptions & { readonly acceptTimeout?: number; readonly timeout?: number },
): void {
  const { readTimeout = 0, writeTimeout = 0, acceptTimeout = 0, timeout = 0 } = options;
  for (const ms of [readTimeout, writeTimeout, acceptTimeout, timeout]) checkTimeout(action, ms);
}
