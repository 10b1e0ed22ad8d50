/**
 * What a WebSocket needs of the world: time, chance, and two algorithms.
 *
 * Owns no behaviour. `deno_env.ts` has the system's; a simulation may bring its own.
 */
import type { Clock } from "../base/types.ts";
import type { Deflate } from "./compression.ts";
import type { Sha1 } from "./handshake.ts";

/** The world. */
export interface WebSocketEnv {
  readonly clock: Clock;
  /** A number that nobody can foretell, of 32 bits: the key of a mask. */
  readonly nextMask: () => number;
  /** 16 such bytes in base64: the key of a handshake. */
  readonly newKey: () => string;
  /** A name for a connection that no other has. */
  readonly newId: () => string;
  readonly sha1: Sha1;
  readonly deflate: Deflate;
}
