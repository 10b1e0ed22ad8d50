/**
 * `maxConnectionsPerHost`: who counts as one host, what is counted, and what comes free again.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  Addr,
  type ByteTransport,
  type Client,
  connect,
  ConnectError,
  serve,
  type ServeOptions,
  type Server,
  type ServerEvent,
  type ServerPeer,
  text,
  type Transport,
  type TransportListener,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { ADDRESS, type Text, until } from "../client/_support.ts";

/** A connection that comes from wherever a test wants. */
class From implements ByteTransport {
  readonly remoteAddr: Addr;
  readonly #conn: ByteTransport;

  constructor(conn: ByteTransport, remoteAddr: Addr) {
    this.#conn = conn;
    this.remoteAddr = remoteAddr;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return this.#conn.read(buffer);
  }

  write(data: Uint8Array): Promise<number> {
    return this.#conn.write(data);
  }

  closeWrite(): Promise<void> {
    return this.#conn.closeWrite?.() ?? Promise.resolve();
  }

  close(): void {
    this.#conn.close();
  }
}

/** A listener to which each connection comes from the host that is next. */
class Hosts implements TransportListener {
  readonly next: Addr[] = [];
  readonly #listener: TransportListener;

  constructor(listener: TransportListener) {
    this.#listener = listener;
  }

  get addr(): unknown {
    return this.#listener.addr;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Transport> {
    for await (const conn of this.#listener) {
      const addr = this.next.shift();
      assert(addr !== undefined && "read" in conn);
      yield new From(conn, addr);
    }
  }

  close(): void {
    this.#listener.close();
  }
}

interface World {
  readonly server: Server<Text>;
  readonly events: ServerEvent<ServerPeer<Text>>[];
  /** Connects from a host, once. */
  connectFrom(host: string): Promise<Client<Text>>;
  /** Opens a connection from a host, and says nothing. */
  dialFrom(host: string): Promise<ByteTransport>;
}

async function makeWorld(sim: Simulation, limits: ServeOptions["limits"]): Promise<World> {
  const hosts = new Hosts(await sim.listen(Addr.parse(ADDRESS)));
  const events: ServerEvent<ServerPeer<Text>>[] = [];
  const server = await serve<Text>(hosts, {
    runtime: sim,
    serializer: text(),
    limits: limits ?? {},
    onEvent: (event) => events.push(event),
  });
  const dialFrom = (host: string) => {
    const unix = host.startsWith("/");
    const addr = unix ? { transport: "unix", path: host } as const : { hostname: host, port: 1 };
    hosts.next.push(Addr.parse(addr));
    return sim.dial(Addr.parse(ADDRESS));
  };
  const connectFrom = (host: string) =>
    sim.run(connect<Text>(() => dialFrom(host), {
      runtime: sim,
      serializer: text(),
      openTimeout: 0,
      reconnect: false,
    }));
  return { server, events, connectFrom, dialFrom };
}

/** Asserts that a host finds no room, and gives how long it is asked to wait. */
async function refused(work: Promise<unknown>): Promise<number> {
  const error = await assertRejects(() => work, ConnectError);
  assertEquals([error.code, error.initiator], ["TOO_MANY_CONNECTIONS", "remote"]);
  return error.retryAfter;
}

Deno.test("maxConnectionsPerHost refuses one host too many, and nobody else", async () => {
  await using sim = new Simulation();
  const { server, events, connectFrom } = await makeWorld(sim, { maxConnectionsPerHost: 2 });
  const first = await connectFrom("10.0.0.1");
  await connectFrom("10.0.0.1");
  await connectFrom("10.0.0.2");
  events.length = 0;
  assertEquals(await refused(connectFrom("10.0.0.1")), 1_000);
  await connectFrom("10.0.0.2");
  await connectFrom("10.0.0.11");
  const remoteAddr = Addr.parse({ hostname: "10.0.0.1", port: 1 });
  assertEquals(events.slice(0, 2), [
    { type: "limit", limit: "maxConnectionsPerHost", value: 2, remoteAddr },
    {
      type: "reject",
      remoteAddr,
      code: "TOO_MANY_CONNECTIONS",
      reason: "The server has no room for another connection",
    },
  ]);
  const { peers, limits, rejected } = server.stats();
  assertEquals([peers, limits, rejected], [5, { maxConnectionsPerHost: 1 }, {
    TOO_MANY_CONNECTIONS: 1,
  }]);
  await sim.run(first.close());
  assertEquals((await connectFrom("10.0.0.1")).state, "open");
});

Deno.test("maxConnectionsPerHost counts a host over IPv4 and IPv6 as one, and Unix sockets not at all", async () => {
  await using sim = new Simulation();
  const { connectFrom } = await makeWorld(sim, { maxConnectionsPerHost: 1 });
  await connectFrom("::ffff:10.0.0.1");
  await refused(connectFrom("10.0.0.1"));
  await refused(connectFrom("::ffff:10.0.0.1"));
  await connectFrom("2001:db8::1");
  await connectFrom("2001:db8::2");
  await refused(connectFrom("2001:db8::1"));
  for (let n = 0; n < 3; n++) await connectFrom("/run/x.sock");
});

Deno.test("maxConnectionsPerHost counts those who say nothing, for as long as they are there", async () => {
  await using sim = new Simulation();
  const { server, connectFrom, dialFrom } = await makeWorld(sim, { maxConnectionsPerHost: 2 });
  const silent = [await dialFrom("10.0.0.1"), await dialFrom("10.0.0.1")];
  await sim.advance(0);
  await refused(connectFrom("10.0.0.1"));
  silent[0]?.close();
  await sim.advance(0);
  const client = await connectFrom("10.0.0.1");
  await refused(connectFrom("10.0.0.1"));
  // The other one is given up after the handshake timeout, and the farewell to it.
  await sim.advance(6_100);
  assertEquals([server.stats().unregistered, client.state], [0, "open"]);
  await connectFrom("10.0.0.1");
  silent[1]?.close();
});

Deno.test("maxConnectionsPerHost: a flood is refused and counted, and told once", async () => {
  await using sim = new Simulation();
  const { server, events, connectFrom } = await makeWorld(sim, { maxConnectionsPerHost: 1 });
  await connectFrom("10.0.0.1");
  events.length = 0;
  const told = () => events.filter(({ type }) => type === "limit").length;
  for (let n = 0; n < 100; n++) {
    await refused(connectFrom("10.0.0.1"));
    await sim.advance(100);
  }
  assertEquals([told(), server.stats().limits], [1, { maxConnectionsPerHost: 100 }]);
  await sim.advance(2_000);
  await refused(connectFrom("10.0.0.1"));
  assertEquals(told(), 2);
  assertEquals(server.stats().rejected, { TOO_MANY_CONNECTIONS: 101 });
});

Deno.test("maxConnectionsPerHost keeps nothing of those who are gone: 50 rounds of one host", async () => {
  await using sim = new Simulation();
  const { server, connectFrom, dialFrom } = await makeWorld(sim, { maxConnectionsPerHost: 3 });
  for (let round = 0; round < 50; round++) {
    const clients = [await connectFrom("10.0.0.1"), await connectFrom("10.0.0.1")];
    const silent = await dialFrom("10.0.0.1");
    await sim.advance(0);
    await refused(connectFrom("10.0.0.1"));
    silent.close();
    for (const [n, client] of clients.entries()) {
      if ((n + round) % 2 === 0) client.abort();
      else await sim.run(client.close());
    }
    await until(sim, () => server.peers.size === 0 && server.stats().unregistered === 0);
    assertEquals(sim.links.length, 0);
  }
  assertEquals(server.stats().total, 100);
});
