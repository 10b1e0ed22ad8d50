/**
 * What every session must do, whatever carries it. Each kind says where to listen and where to dial;
 * `sessionConformance` registers the tests of one kind.
 */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  Addr,
  type Address,
  type ClientEvent,
  ClosedError,
  connect,
  ConnectError,
  type ConnectOptions,
  LimitError,
  type Registration,
  RpcError,
  serve,
  type ServeOptions,
} from "@vgo/vnet";
import { type FaultProxy, faultProxy } from "@vgo/vnet/testing";
import { body, sameFrame } from "../_support/feed.ts";
import {
  bodiesOfAllSizes,
  EMPTY,
  METHODS,
  only,
  type Pair,
  type PairOptions,
  PREFACE,
  QUICK,
  type SessionKind,
  until,
} from "./_sessions.ts";
import type { Register } from "./conformance.ts";

/** Registers the tests of a kind. */
export function sessionConformance(kind: SessionKind, register: Register = Deno.test): void {
  const { name, preface, dial = (addr: Addr) => addr } = kind;

  const serveIt = (options: ServeOptions = {}, address: Address = kind.address) =>
    serve(address, { ...kind.serving, ...options });
  const connectTo = (addr: Addr, options: ConnectOptions = {}) =>
    connect(dial(addr), { id: "ann", ...kind.connecting, ...options });

  /** Runs a test with a server and one client, and ends both. */
  const test = (
    criterion: string,
    fn: (pair: Pair) => Promise<void>,
    options: PairOptions = {},
  ) =>
    register(`Session over ${name} ${criterion}`, async () => {
      const server = await serveIt(options.serve);
      try {
        const client = await connectTo(server.addr, options.connect);
        try {
          await fn({ server, client, peer: only(server) });
        } finally {
          await client.close({ grace: 0 });
        }
      } finally {
        await server.close({ grace: 0 });
      }
    });

  /** As `test`, through a network that can be damaged. */
  const testThroughProxy = (
    criterion: string,
    fn: (pair: Pair & { readonly proxy: FaultProxy }) => Promise<void>,
    options: PairOptions = {},
  ) =>
    !kind.brief && register(`Session over ${name} ${criterion}`, async () => {
      const server = await serveIt(options.serve);
      const proxy = await faultProxy(server.addr.host);
      const addr = Addr.parse({ ...server.addr, port: proxy.addr.port });
      const client = await connectTo(addr, options.connect);
      try {
        await fn({ server, client, peer: only(server), proxy });
      } finally {
        client.abort();
        server.abort();
        await Promise.all([client.closed, server.closed]);
        await proxy[Symbol.asyncDispose]();
      }
    });

  // ── calls and streams ──

  test(
    "makes calls both ways, many at once, and tells how each ended",
    async ({ client, peer }) => {
      const bodies = Array.from({ length: 200 }, (_, n) => body(n, n));
      for (const end of [client, peer]) {
        const answers = await Promise.all(bodies.map((each) => end.call("echo", each)));
        assert(answers.every((answer, n) => sameFrame(answer, bodies[n])));
        const refusal = await assertRejects(() => end.call("refuse"), RpcError);
        assertEquals([refusal.code, refusal.message], ["NOT_FOUND", "No such thing"]);
        const unknown = await assertRejects(() => end.call("nothing"), RpcError);
        assertEquals([unknown.code, unknown.executed], ["UNIMPLEMENTED", "no"]);
        const late = await assertRejects(() => end.call("never", EMPTY, { timeout: 5 }), RpcError);
        assertEquals(late.code, "DEADLINE_EXCEEDED");
        const stop = new AbortController();
        const stopped = end.call("never", EMPTY, { signal: stop.signal }).catch((error) => error);
        stop.abort("enough");
        assertEquals(await stopped, "enough");
      }
      await until(() => client.stats.inFlight === 0 && peer.stats.inFlight === 0);
    },
    { serve: { methods: METHODS }, connect: { methods: METHODS } },
  );

  test("streams both ways at once, and a slow reader holds the writer back", async ({ client }) => {
    let made = 0;
    async function* items() {
      for (; made < 150; made++) yield body(10_000, made);
    }
    let taken = 0;
    for await (const item of client.stream("mirror", EMPTY, { stream: items() })) {
      assert(sameFrame(item, body(10_000, taken)), `item ${taken}`);
      // Three windows of 256 KiB at most lie between what was made and what is taken here.
      if (++taken === 10) assert(made < 110, `${made} were made when 10 were taken`);
    }
    assertEquals([made, taken], [150, 150]);
  }, { serve: { methods: METHODS } });

  // ── messages ──

  test("sends, pushes, broadcasts, and knows groups", async ({ server, client, peer }) => {
    await using bob = await connectTo(server.addr, { id: "bob" });
    const inboxes = [client, bob].map((each) => each.messages[Symbol.asyncIterator]());
    const [toAnn, toBob] = inboxes.map((inbox) => async () => (await inbox.next()).value);
    assert(toAnn !== undefined && toBob !== undefined);
    await client.send(body(3), { topic: "up" });
    for await (const message of peer.messages) {
      assertEquals([message.topic, message.body], ["up", body(3)]);
      break;
    }
    assertEquals(await server.push("ann", body(4), { topic: "down" }), true);
    assertEquals(await server.push("eve", body(4)), false);
    assertEquals(await toAnn(), { topic: "down", body: body(4) });
    assertEquals((await server.broadcast(body(5))).sent, 2);
    assertEquals([(await toAnn())?.body, (await toBob())?.body], [body(5), body(5)]);
    server.peers.get("bob")?.join("staff");
    assertEquals((await server.broadcast(body(6), { group: "staff", ack: true })).sent, 1);
    assertEquals((await toBob())?.body, body(6));
  });

  test("carries bodies of all sizes whole and in order, both ways", async ({ client, peer }) => {
    const bodies = bodiesOfAllSizes();
    const ends = [[client, peer], [peer, client]] as const;
    await Promise.all(ends.map(async ([from, to]) => {
      const sending = (async () => {
        for (const each of bodies) await from.send(each);
      })();
      let got = 0;
      for await (const message of to.messages) {
        assert(sameFrame(message.body, bodies[got]), `body ${got} of ${bodies[got]?.length} bytes`);
        if (++got === bodies.length) break;
      }
      await sending;
    }));
  });

  test(
    "takes a message of exactly the limit, and none that is longer",
    async ({ client, peer }) => {
      await client.send(body(300_000));
      for await (const message of peer.messages) {
        assert(sameFrame(message.body, body(300_000)));
        break;
      }
      // The client's own limit is larger: what the server takes it learns at the door.
      await client.send(body(300_001)).catch(() => {});
      await until(() => client.stats.dropped === 1);
      const error = await assertRejects(() => peer.send(body(300_001)), LimitError);
      assertEquals([error.code, error.limit], ["TOO_LARGE", "maxMessageLength"]);
      assertEquals([client.state, peer.state], ["open", "open"]);
    },
    { serve: { limits: { maxMessageLength: 300_000 } } },
  );

  // ── life ──

  test("shows life, and asks for it", async ({ client, peer }) => {
    assert(await client.ping() >= 0);
    assert(await peer.ping() >= 0);
    const signal = AbortSignal.abort("not now");
    assertEquals(await client.ping({ signal }).catch((reason) => reason), "not now");
    await until(() => client.stats.rtt.min > 0 && peer.stats.rtt.min > 0);
    assertEquals([client.state, peer.state], ["open", "open"]);
  }, { serve: { heartbeat: QUICK }, connect: { heartbeat: QUICK } });

  testThroughProxy(
    "is over where nothing comes through any more, in either direction or both",
    async ({ server, client: ann, proxy }) => {
      const addr = Addr.parse({ ...server.addr, port: proxy.addr.port });
      const options = { heartbeat: QUICK, reconnect: false } as const;
      const bob = await connectTo(addr, { id: "bob", ...options });
      const eve = await connectTo(addr, { id: "eve", ...options });
      const ends = [...server.peers, ann, bob, eve];
      assertEquals([ends.length, proxy.links.length], [6, 3]);
      for (const [n, way] of (["both", "up", "down"] as const).entries()) {
        proxy.links[n]?.blackhole(way);
      }
      const codes = await Promise.all(ends.map(async ({ closed }) => (await closed).code));
      assertEquals(codes, Array(6).fill("HEARTBEAT_TIMEOUT"));
      assertEquals(server.peers.size, 0);
    },
    { serve: { heartbeat: QUICK }, connect: { heartbeat: QUICK, reconnect: false } },
  );

  testThroughProxy(
    "lives on while a large message takes longer than a heartbeat",
    async ({ client, peer, proxy }) => {
      // About half a second for each, in each direction.
      proxy.links[0]?.degrade({ bytesPerSecond: 400_000 });
      const large = body(200_000);
      const ends = [[client, peer], [peer, client]] as const;
      await Promise.all(ends.map(async ([from, to]) => {
        await from.send(large);
        for await (const message of to.messages) {
          assert(sameFrame(message.body, large));
          break;
        }
      }));
      assertEquals([client.state, peer.state, client.stats.links], ["open", "open", 1]);
    },
    { serve: { heartbeat: QUICK, writeTimeout: 200 }, connect: { heartbeat: QUICK } },
  );

  testThroughProxy(
    "waits for an end that reads nothing, bounded, and gives it up",
    async ({ client, peer, proxy }) => {
      proxy.links[0]?.blackhole("down");
      const limits = { maxQueuedBytes: 200_000 };
      let most = 0;
      let accepted = 0;
      // More than the buffers of this machine hold, and less than the client grants.
      const pouring = (async () => {
        for (; accepted < 2_000; accepted++) {
          const room = peer.send(new Uint8Array(16_384));
          most = Math.max(most, peer.queued.bytes);
          await room;
        }
      })().catch((error) => error);
      const { code, initiator, unsent } = await peer.closed;
      assertEquals([code, initiator], ["WRITE_TIMEOUT", "network"]);
      assertInstanceOf(await pouring, ClosedError);
      assert(accepted < 2_000 && unsent.frames > 0, `${accepted} were accepted`);
      // What waits to be handed over, and one write's worth beyond it.
      assert(most >= 65_536 && most <= limits.maxQueuedBytes, `${most} bytes waited`);
      assertEquals(peer.queued, { bytes: 0, frames: 0 });
      client.abort();
    },
    {
      serve: { writeTimeout: 150, heartbeat: false, limits: { maxQueuedBytes: 200_000 } },
      connect: { reconnect: false, heartbeat: false, limits: { maxFrameLength: 16_777_216 } },
    },
  );

  // ── the door ──

  test("knows who comes from where", ({ server, client, peer }) => {
    assertEquals(peer.remoteAddr.port, client.localAddr.port);
    assertEquals(client.remoteAddr.port, server.addr.port);
    const { transport } = client.remoteAddr;
    assertEquals([peer.remoteAddr.transport, peer.localAddr.transport], [transport, transport]);
    assertEquals(client.localAddr.transport, transport);
    return Promise.resolve();
  });

  register(`Session over ${name} shows register what it needs to know`, async () => {
    const seen: Registration[] = [];
    await using server = await serveIt({
      register: (request) => {
        seen.push(request);
        return request.authEquals("s3cret");
      },
    });
    const asking = { auth: "s3cret", metadata: { version: "7" } };
    await using client = await connectTo(server.addr, asking);
    const [request] = seen;
    assertEquals([request?.id, request?.metadata["version"]], ["ann", "7"]);
    assertEquals(request?.remoteAddr.host, client.localAddr.host);
    assertEquals(request?.tls !== undefined, kind.serving?.tls !== undefined);
  });

  register(
    `Session over ${name} tells a client why it is refused, and when to come back`,
    async () => {
      await using server = await serveIt({
        register: ({ id }) =>
          id === "eve"
            ? { reject: "AUTH_FAILED", reason: "Nobody knows you" }
            : { reject: "TOO_MANY_CONNECTIONS", retryAfter: 60_000 },
      });
      const refused = await assertRejects(
        () => connectTo(server.addr, { id: "eve" }),
        ConnectError,
        "Nobody knows you",
      );
      assertEquals([refused.code, refused.attempts], ["AUTH_FAILED", 1]);
      const full = await assertRejects(
        () => connectTo(server.addr, { reconnect: false }),
        ConnectError,
      );
      assertEquals([full.code, full.retryAfter], ["TOO_MANY_CONNECTIONS", 60_000]);
      assertEquals(server.stats().rejected, { AUTH_FAILED: 1, TOO_MANY_CONNECTIONS: 1 });
    },
  );

  // ── endings ──

  register(`Session over ${name} comes back when its server does, on the same port`, async () => {
    let server = await serveIt({ methods: METHODS });
    const { addr } = server;
    const events: ClientEvent[] = [];
    const client = await connectTo(addr, {
      reconnect: { delay: 1 },
      onEvent: (event) => events.push(event),
    });
    await server.close({ spread: 0 });
    server = await serveIt({ methods: METHODS }, addr);
    assertEquals(await client.call("echo", body(7)), body(7));
    server.abort();
    await server.closed;
    server = await serveIt({ methods: METHODS }, addr);
    await until(() => client.state === "open" && client.stats.links === 3);
    assertEquals(await client.call("echo", body(8)), body(8));
    const told = events.flatMap((event) => event.type === "disconnect" ? [event.info.code] : []);
    assertEquals(told, ["DRAINING", "LINK_LOST"]);
    await client.close();
    await server.close();
  });

  test(
    "lets calls finish that were accepted, and says that it goes",
    async ({ server, client }) => {
      const drained = until(() => client.state !== "open");
      const call = client.call("slow", body(9));
      await until(() => server.stats().inFlight === 1);
      const closing = server.close({ spread: 60_000, reason: "tidying up" });
      assertEquals(await call, body(9));
      const { finished, cut, code } = await closing;
      assertEquals([finished, cut, code], [1, 0, "NORMAL"]);
      await drained;
      assertEquals(client.state, "waiting");
    },
    { serve: { methods: METHODS } },
  );

  test("ends with the code that one end gives", async ({ client, peer }) => {
    const [mine, theirs] = await Promise.all([client.close({ reason: "done" }), peer.closed]);
    assertEquals([mine.code, mine.initiator], ["NORMAL", "local"]);
    assertEquals([theirs.code, theirs.initiator, theirs.reason], ["NORMAL", "remote", "done"]);
  });

  test("delivers what was sent before it closes", async ({ client, peer }) => {
    const got: number[] = [];
    const reading = (async () => {
      for await (const message of peer.messages) got.push(message.body.length);
    })();
    for (let n = 1; n <= 50; n++) client.trySend(body(n * 100));
    await client.close();
    await reading;
    assertEquals(got, Array.from({ length: 50 }, (_, n) => (n + 1) * 100));
  });

  for (const end of ["client", "server"] as const) {
    test(`leaves nothing behind when the ${end} aborts`, async ({ server, client, peer }) => {
      const calls = [client.call("never"), peer.call("never")].map((call) => call.catch(() => {}));
      client.trySend(body(100_000));
      peer.trySend(body(100_000));
      if (end === "client") client.abort("enough");
      else server.abort("enough");
      const aborted = await (end === "client" ? client : server).closed;
      assertEquals([aborted.code, aborted.reason], ["ABORTED", "enough"]);
      const other = await (end === "client" ? peer : client).closed;
      assertEquals(other.code, end === "client" ? "LINK_LOST" : other.code);
      await Promise.all(calls);
    }, { serve: { methods: METHODS }, connect: { methods: METHODS, reconnect: false } });
  }

  // ── statistics ──

  test("counts what flows, the same at both ends", async ({ server, client, peer }) => {
    const script = async () => {
      for (let n = 0; n < 10; n++) {
        await client.call("echo", body(n));
        await client.send(body(200_000));
        await server.push("ann", body(10));
      }
      await peer.call("echo", body(5));
    };
    const reading = [client, peer].map(async (end) => {
      for await (const _ of end.messages) { /* it is only to be taken */ }
    });
    await script();
    await until(() => {
      const [mine, theirs] = [client.stats, peer.stats];
      return mine.bytesIn === theirs.bytesOut && mine.bytesOut === theirs.bytesIn &&
        theirs.messagesIn === 10 && mine.messagesIn === 10;
    });
    const { messagesOut, callsOut, callsIn, inFlight, dropped, links, limits } = client.stats;
    assertEquals({ messagesOut, callsOut, callsIn, inFlight, dropped, links, limits }, {
      messagesOut: 10,
      callsOut: 10,
      callsIn: 1,
      inFlight: 0,
      dropped: 0,
      links: 1,
      limits: {},
    });
    const all = server.stats();
    assertEquals([all.peers, all.total, all.messagesIn, all.callsIn], [1, 1, 10, 10]);
    assertEquals([all.bytesIn, all.bytesOut], [peer.stats.bytesIn, peer.stats.bytesOut]);
    await client.close();
    await Promise.all(reading);
  }, {
    serve: { methods: METHODS, heartbeat: false },
    connect: { methods: METHODS, heartbeat: false },
  });

  register(`Session over ${name} counts what is vnet's, and nothing around it`, async () => {
    const quiet = { heartbeat: false } as const;
    await using server = await serveIt(quiet);
    await using bare = await serve("tcp://127.0.0.1:0", quiet);
    await using client = await connectTo(server.addr, quiet);
    await using plain = await connect(bare.addr, { id: "ann", ...quiet });
    // Only WELCOME has come.
    const [size, usual] = [client, plain].map(({ stats }) => stats.bytesIn);
    assertEquals(size, (usual ?? 0) - PREFACE + preface);
  });
}
