/**
 * What the tests of calls share: a server and a client in a simulated world or on one pair in memory,
 * and words for how a call ended.
 *
 * Owns no rule. Every world ends with its account: a timer or a connection that is left fails the test.
 */
import {
  attach,
  type Bytes,
  type Client,
  type Clock,
  connect,
  type ConnectOptions,
  json,
  type Logger,
  type Peer,
  RpcError,
  type Runtime,
  serve,
  type ServeOptions,
  type Server,
  type ServerPeer,
  type Untyped,
} from "@vgo/vnet";
import { type Faults, memoryPair, Simulation } from "@vgo/vnet/testing";
import type { AttachOptions } from "@vgo/vnet";
import { assert } from "@std/assert";

/** Every body a JSON value. */
export type Json = Untyped<unknown>;
/** Either end of a session that carries JSON. */
export type JsonPeer = Peer<Json["server"], Json["client"]>;

/** A server and one client of it, in a world of their own. */
export interface World extends AsyncDisposable {
  readonly sim: Simulation;
  readonly server: Server<Json>;
  readonly client: Client<Json>;
  /** The client, as the server sees it at first. */
  readonly peer: ServerPeer<Json>;
  /** What handlers threw at the server, and at the client. */
  readonly errors: unknown[];
  /** Waits for work, letting virtual time pass. */
  run<T>(work: Promise<T>): Promise<T>;
}

/** What a world is made with. */
export interface WorldOptions {
  readonly server?: ServeOptions<Json>;
  readonly client?: ConnectOptions<Json>;
  readonly faults?: Faults;
  readonly seed?: number;
}

/** Makes a world with a server, and a client that is connected. */
export async function makeWorld(options: WorldOptions = {}): Promise<World> {
  const { faults = {}, seed = 1 } = options;
  const sim = new Simulation({ seed, faults });
  const errors: unknown[] = [];
  const onEvent = (event: { readonly type: string; readonly error?: unknown }) => {
    if (event.type === "error") errors.push(event.error);
  };
  const common = { serializer: json(), runtime: sim, onEvent };
  const server = await serve<Json>("tcp://:9966", { ...common, ...options.server });
  const client = await sim.run(
    connect<Json>("tcp://server:9966", { ...common, reconnect: { delay: 100 }, ...options.client }),
  );
  const [peer] = server.peers;
  assert(peer !== undefined);
  const run = <T>(work: Promise<T>) => sim.run(work);
  const dispose = () => sim[Symbol.asyncDispose]();
  return { sim, server, client, peer, errors, run, [Symbol.asyncDispose]: dispose };
}

/** Both ends of a session over a pair in memory, which carries JSON. */
export async function makePair(
  client: Partial<AttachOptions<Json, "client">> = {},
  server: Partial<AttachOptions<Json, "server">> = {},
): Promise<[JsonPeer, JsonPeer]> {
  const [here, there] = memoryPair();
  return await Promise.all([
    attach<"client", Json>(here, { serializer: json(), ...client, side: "client" }),
    attach<"server", Json>(there, { serializer: json(), ...server, side: "server" }),
  ]);
}

/** A runtime without a network, for connections that are made elsewhere. */
export function runtimeOf(clock: Clock): Runtime {
  let drawn = 1;
  return {
    clock,
    random: () => (drawn = (drawn * 16_807) % 2_147_483_647) / 2_147_483_647,
    dial: (addr) => Promise.reject(new Error(`There is no network for ${addr}`)),
    listen: (addr) => Promise.reject(new Error(`There is no network for ${addr}`)),
  };
}

/** A logger that keeps the errors that it is given. */
export function collector(): { readonly logger: Logger; readonly errors: unknown[] } {
  const errors: unknown[] = [];
  return { errors, logger: { error: (_message, fields) => errors.push(fields?.error) } };
}

/** How a call ended: "OK", "CODE executed", or the name of an error that is none of a call. */
export async function fate(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "OK";
  } catch (error) {
    if (error instanceof RpcError) return `${error.code} ${error.executed}`;
    return error instanceof Error ? error.name : String(error);
  }
}

/** The RpcError that a call rejects with. */
export async function rpcError(work: Promise<unknown>): Promise<RpcError> {
  const error: unknown = await work.then(() => undefined, (error) => error);
  assert(error instanceof RpcError, `Expected an RpcError: ${error}`);
  return error;
}

/** How many of each there are. */
export function tally(of: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const one of of) counts[one] = (counts[one] ?? 0) + 1;
  return counts;
}

/** The items of a stream, and how it ended. */
export async function drain(
  items: AsyncIterable<unknown>,
): Promise<{ readonly items: unknown[]; readonly end: unknown }> {
  const got: unknown[] = [];
  try {
    for await (const item of items) got.push(item);
    return { items: got, end: undefined };
  } catch (end) {
    return { items: got, end };
  }
}

/** Resolves when everything has settled that needs no time. */
export async function settle(rounds = 3): Promise<void> {
  for (let i = 0; i < rounds; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Bytes that count up: a body that shows where it was cut. */
export function counting(length: number, from = 0): Bytes {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = from + i + (i >>> 8);
  return bytes;
}

/** A promise that settles when its signal fires, with the reason; handlers that wait for nothing else. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
