/**
 * A simulated world with one server, a witness, and whoever attacks it.
 *
 * Owns what is common to every row of the fault catalogue: the attacked connection ends once and is
 * freed, and the witness, an honest client of the same server, notices nothing.
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import {
  type Bytes,
  type ClientPeer,
  type CloseInfo,
  connect,
  type MessageOf,
  type PeerStats,
  serve,
  type ServeOptions,
  type Server,
  type ServerEvent,
  type ServerPeer,
  type Untyped,
} from "@vgo/vnet";
import { Simulation, type SimulationOptions } from "@vgo/vnet/testing";
import { VnetError } from "../../src/base/errors.ts";
import { WireClient } from "./wire_client.ts";
import type { Hello } from "../../src/wire/handshake.ts";

/** A message that the server got. */
export interface Received {
  readonly id: string;
  readonly topic: string;
  readonly body: Bytes;
}

/** The topic of what the witness sends and gets back. */
const ECHO = "echo";

/** An `onMessage` that serves the witness, and is never through with what others send. */
export function stuck(
  { body, topic }: MessageOf<Untyped["server"]>,
  peer: ServerPeer,
): Promise<void> {
  return topic === ECHO ? peer.send(body, { topic }) : new Promise(() => {});
}

/** The world. Without options of its own the server keeps messages, and echoes those of the witness. */
export class World implements AsyncDisposable {
  readonly sim: Simulation;
  readonly server: Server;
  readonly witness: ClientPeer;
  /** What the server's `onEvent` was told, but of the witness. */
  readonly events: ServerEvent<ServerPeer>[];
  /** Messages of everybody else. */
  readonly received: Received[];
  readonly #peers: WireClient[] = [];
  readonly #answers: AsyncIterator<MessageOf<Untyped["client"]>>;
  #echoes = 0;

  private constructor(
    sim: Simulation,
    server: Server,
    witness: ClientPeer,
    events: ServerEvent<ServerPeer>[],
    received: Received[],
  ) {
    this.sim = sim;
    this.server = server;
    this.witness = witness;
    this.events = events;
    this.received = received;
    this.#answers = witness.messages[Symbol.asyncIterator]();
  }

  /** Starts the server and the witness. */
  static async start(
    options: ServeOptions = {},
    simulation: SimulationOptions = {},
  ): Promise<World> {
    const sim = new Simulation(simulation);
    const events: ServerEvent<ServerPeer>[] = [];
    const received: Received[] = [];
    const server = await serve("tcp://0.0.0.0:9966", {
      heartbeat: false,
      onMessage: ({ body, topic }, peer) => {
        if (topic === ECHO) return peer.send(body, { topic });
        received.push({ id: peer.id, topic, body });
      },
      onEvent: (event) => {
        events.push(event);
      },
      ...options,
      runtime: sim,
    });
    const heartbeat = options.heartbeat ?? false;
    const serializer = options.serializer;
    const witness = await sim.run(connect("tcp://server:9966", {
      id: "witness",
      runtime: sim,
      reconnect: false,
      heartbeat,
      ...(serializer === undefined ? {} : { serializer }),
    }));
    events.length = 0;
    return new World(sim, server, witness, events, received);
  }

  /** A connection to the server, by hand. */
  async dial(): Promise<WireClient> {
    const peer = new WireClient(await this.sim.run(this.sim.dial(this.server.addr)));
    this.#peers.push(peer);
    return peer;
  }

  /** A registered connection, by hand. */
  async open(hello: Partial<Hello> = {}): Promise<WireClient> {
    const peer = await this.dial();
    await this.sim.run(peer.open(hello));
    return peer;
  }

  /** How connections ended, in order: "disconnect BAD_FRAME", "reject PROTOCOL". */
  ends(): string[] {
    return this.events.flatMap((event) => {
      if (event.type === "disconnect") return [`disconnect ${event.info.code}`];
      return event.type === "reject" ? [`reject ${event.code}`] : [];
    });
  }

  /** How the one registered connection ended. */
  info(): CloseInfo {
    const infos = this.events.flatMap((event) => event.type === "disconnect" ? [event.info] : []);
    assertEquals(infos.length, 1, "Exactly one session must have ended");
    const [info] = infos;
    assert(info !== undefined);
    return info;
  }

  /** What has flowed between the server and this client. */
  stats(id: string): PeerStats {
    const peer = this.server.peers.get(id);
    assert(peer !== undefined, `There must be a client ${id}`);
    return peer.stats;
  }

  /** Errors that hooks or bodies have caused. */
  errors(): unknown[] {
    return this.events.flatMap((event) => event.type === "error" ? [event.error] : []);
  }

  /** The connection to the peer ends, with these words at most, and nothing of it is left. */
  async freed(peer: WireClient, farewells: readonly string[], end: string): Promise<void> {
    await this.sim.run(peer.ended);
    assertEquals(peer.farewells(), farewells, peer.summary());
    const last = peer.frames.at(-1);
    if (farewells.length > 0) assert(last?.type === 0x0c || last?.type === 0x05, peer.summary());
    peer.close();
    await this.sim.advance(0);
    assertEquals(this.ends(), [end]);
    await this.undisturbed();
  }

  /** A registered peer was sent away with CLOSE and this code, for an error of its own. */
  async closed(peer: WireClient, code: string): Promise<void> {
    await this.freed(peer, [`CLOSE ${code}`], `disconnect ${code}`);
    const { initiator, error } = this.info();
    assertEquals(initiator, "remote");
    assertInstanceOf(error, VnetError);
    assertEquals([error.name, error.code], ["ProtocolError", code]);
  }

  /** A peer was refused with REJECT and this code. */
  async rejected(peer: WireClient, code: string): Promise<void> {
    await this.freed(peer, [`REJECT ${code}`], `reject ${code}`);
  }

  /** The witness is the only one left, and is served as before. */
  async undisturbed(others = 0): Promise<void> {
    const { sim, server, witness } = this;
    assertEquals(witness.state, "open");
    assertEquals(server.peers.size, 1 + others);
    assertEquals(server.stats().unregistered, 0);
    assertEquals(sim.links.length, 1 + others, "Connections must be closed at both ends");
    const body = Uint8Array.of(++this.#echoes);
    await witness.send(body, { topic: ECHO });
    const { value } = await sim.run(this.#answers.next());
    assertEquals(value?.body, body);
    assertEquals(this.errors(), []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) peer.close();
    await this.sim.run(this.witness.close());
    await this.sim.run(this.server.close());
    await this.sim[Symbol.asyncDispose]();
  }
}
