/**
 * What the tests of clients, servers and peers share: a simulated pair, a server that is none, and
 * waiting for something in virtual time.
 */
import { assert } from "@std/assert";
import {
  Addr,
  type ByteTransport,
  type Client,
  type ClientEvent,
  connect,
  type ConnectOptions,
  type ListenAddress,
  type MessageOf,
  serve,
  type ServeOptions,
  type Server,
  type ServerPeer,
  text,
  type Transport,
  type TransportListener,
  type Untyped,
} from "@vgo/vnet";
import type { Simulation } from "@vgo/vnet/testing";

/** Where the servers of these tests are. */
export const ADDRESS = "tcp://server:9966";

/** What flows here is text. */
export type Text = Untyped<string>;

/** Both ends of one session. */
export interface Pair<D = undefined> {
  readonly server: Server<Text, D>;
  readonly client: Client<Text>;
  /** What the server holds for the client. */
  readonly peer: ServerPeer<Text, D>;
}

/** Serves text in a simulated world. */
export function serveText<D = undefined>(
  sim: Simulation,
  options: ServeOptions<Text, D> = {},
  address: ListenAddress | readonly ListenAddress[] = ADDRESS,
): Promise<Server<Text, D>> {
  return serve<Text, D>(address, { runtime: sim, serializer: text(), ...options });
}

/** Connects to {@linkcode serveText}. */
export function connectText(
  sim: Simulation,
  options: ConnectOptions<Text> = {},
): Promise<Client<Text>> {
  return sim.run(connect<Text>(ADDRESS, { runtime: sim, serializer: text(), ...options }));
}

/** Makes a server and one client, called "ann" unless it asks for another id. */
export async function openPair<D = undefined>(
  sim: Simulation,
  options: { readonly serve?: ServeOptions<Text, D>; readonly connect?: ConnectOptions<Text> } = {},
): Promise<Pair<D>> {
  const server = await serveText<D>(sim, options.serve);
  const client = await connectText(sim, { id: "ann", ...options.connect });
  return { server, client, peer: only(server) };
}

/** The one client that is there. */
export function only<D>(server: Server<Text, D>): ServerPeer<Text, D> {
  const [peer, ...others] = server.peers;
  assert(peer !== undefined && others.length === 0, "There must be exactly one client");
  return peer;
}

/** Collects what a loop gives, until it ends or `count` have come. */
export async function collect<T>(items: AsyncIterable<T>, count = Infinity): Promise<T[]> {
  const collected: T[] = [];
  if (count === 0) return collected;
  for await (const item of items) {
    collected.push(item);
    if (collected.length === count) break;
  }
  return collected;
}

/** The bodies of messages. */
export function bodies(messages: readonly MessageOf<Text["client"]>[]): string[] {
  return messages.map(({ body }) => body);
}

/** The types of events, in order. */
export function types(events: readonly { readonly type: string }[]): string[] {
  return events.map(({ type }) => type);
}

/** The events of one type. */
export function ofType<T extends ClientEvent["type"]>(
  events: readonly ClientEvent[],
  type: T,
): Extract<ClientEvent, { type: T }>[] {
  return events.filter((event): event is Extract<ClientEvent, { type: T }> => event.type === type);
}

/** Lets virtual time pass, in steps of 10 ms, until something holds. */
export async function until(
  sim: Simulation,
  holds: () => boolean,
  limit = 60_000,
): Promise<void> {
  const end = sim.clock.now() + limit;
  await sim.advance(0);
  while (!holds()) {
    assert(sim.clock.now() < end, `It must hold within ${limit} ms: ${holds}`);
    await sim.advance(10);
  }
}

/** Waits for work, and asserts that no virtual time passes meanwhile. */
export async function atOnce<T>(sim: Simulation, work: Promise<T>): Promise<T> {
  const before = sim.clock.now();
  const result = await sim.run(work, { timeout: 0 });
  assert(sim.clock.now() === before, "It must not take time");
  return result;
}

/** A listener that accepts connections and does with them what it is told, which is nothing at first. */
export class Acceptor implements AsyncDisposable {
  /** Every connection so far. */
  readonly conns: ByteTransport[] = [];
  readonly #listener: TransportListener;
  readonly #done: Promise<void>;

  private constructor(listener: TransportListener, on: (conn: ByteTransport) => void) {
    this.#listener = listener;
    this.#done = this.#accept(on);
  }

  /** Begins to listen. */
  static async listen(
    sim: Simulation,
    on: (conn: ByteTransport) => void = () => {},
    address = ADDRESS,
  ): Promise<Acceptor> {
    return new Acceptor(await sim.listen(Addr.parse(address)), on);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#done;
    for (const conn of this.conns) conn.close();
  }

  async #accept(on: (conn: ByteTransport) => void): Promise<void> {
    for await (const conn of this.#listener) {
      assert(isBytes(conn));
      this.conns.push(conn);
      on(conn);
    }
  }
}

/** A connection that counts what is done to it after it is over. */
export class Watched implements ByteTransport {
  over = false;
  late = 0;
  closes = 0;
  readonly #conn: ByteTransport;

  constructor(conn: ByteTransport) {
    this.#conn = conn;
  }

  get localAddr(): unknown {
    return this.#conn.localAddr;
  }

  get remoteAddr(): unknown {
    return this.#conn.remoteAddr;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    if (this.over) this.late++;
    return this.#conn.read(buffer);
  }

  write(data: Uint8Array): Promise<number> {
    if (this.over) this.late++;
    return this.#conn.write(data);
  }

  close(): void {
    this.closes++;
    this.#conn.close();
  }
}

/** How many of some instants are in each slot of so many ms. */
export function inSlots(instants: readonly number[], since: number, width: number): number[] {
  const slots = new Map<number, number>();
  for (const at of instants) {
    const slot = Math.floor((at - since) / width);
    slots.set(slot, (slots.get(slot) ?? 0) + 1);
  }
  return [...slots.values()];
}

function isBytes(transport: Transport): transport is ByteTransport {
  return "read" in transport;
}
