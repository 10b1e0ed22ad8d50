/**
 * What takes part in a comparison: a way to carry calls, messages and broadcasts between two processes.
 *
 * Types only, so that it costs a contestant of another runtime nothing to follow them.
 */

/** One way. */
export interface Contestant {
  /** Listens on loopback, on a free port. */
  serve(): Promise<ServerEnd>;
  /**
   * Connects, and registers where there is such a thing. With `arrived`, which is told of the bytes
   * that come, it is there to listen; without, to call.
   */
  connect(port: number, arrived?: (bytes: number) => void): Promise<ClientEnd>;
}

/** The server of a contestant. */
export interface ServerEnd {
  readonly port: number;
  /** Sends so many bodies to its only client, as fast as they are taken. */
  push(size: number, count: number): Promise<void>;
  /** Sends a body to all clients; resolves when it was handed to the system, or is queued. */
  broadcast(body: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Resolves when some client says something by `signal`. */
  heard(): Promise<void>;
}

/** A client of a contestant. */
export interface ClientEnd {
  /** Makes calls for as long as the load says. */
  calls(load: CallLoad): Promise<CallFigures>;
  /** Says something short to the server. */
  signal(): void;
}

/** Calls to be made: the server sends each body back. */
export interface CallLoad {
  readonly inFlight: number;
  /** Of a body, in bytes. */
  readonly size: number;
  /** How long, in ms. */
  readonly duration: number;
}

/** Calls that were made. */
export interface CallFigures {
  readonly count: number;
  /** How long all of them took, in ms. */
  readonly duration: number;
  /** Of one call, in ms; where many are in flight one in eight is timed, since a look at the clock costs. */
  readonly p50: number;
  readonly p99: number;
}
