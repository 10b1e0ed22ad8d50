/**
 * The group Shutdown of the fault catalogue: a drain with calls in flight, a handler that ignores it,
 * endings that are asked for again, in callbacks and at bad moments, and what is left afterwards.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  Addr,
  type ClientPeer,
  connect,
  type ConnectOptions,
  type DrainInfo,
  json,
  RpcError,
  serve,
  type ServeOptions,
  type Server,
  type ServerPeer,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { fate, type Json, makeWorld, tally } from "../calls/_support.ts";
import { ADDRESS, atOnce, openPair, serveText, type Text, until } from "../client/_support.ts";
import { Rng } from "../_support/rng.ts";
import { ENDS, newClient } from "./_shutdown_moments.ts";

Deno.test("D1 Server.close() lets 200 calls finish, and those after the GOAWAY are refused unrun", async () => {
  await using sim = new Simulation({ faults: { delay: 10 } });
  const ran = new Map<unknown, number>();
  const options = { runtime: sim, serializer: json() };
  const server = await serve<Json>(ADDRESS, {
    ...options,
    methods: {
      slow: async (n) => {
        ran.set(n, (ran.get(n) ?? 0) + 1);
        await sim.sleep(2_000);
        return n;
      },
    },
  });
  const clients: ClientPeer<Json>[] = [];
  const how: ConnectOptions<Json> = { ...options, queue: { offline: "reject" }, reconnect: false };
  for (let n = 0; n < 4; n++) clients.push(await sim.run(connect<Json>(ADDRESS, how)));
  const calls = clients.flatMap((client, at) =>
    Array.from({ length: 50 }, (_, n) => fate(client.call("slow", at * 50 + n)))
  );
  await sim.advance(100);
  const closing = server.close();
  await sim.advance(50);
  const late = clients.map((client) => fate(client.call("slow", "late")));
  assertEquals(tally(await atOnce(sim, Promise.all(late))), { "UNAVAILABLE no": 4 });
  assertEquals(tally(await sim.run(Promise.all(calls))), { OK: 200 });
  const { finished, cut } = await sim.run(closing);
  assertEquals([finished, cut], [200, 0]);
  assertEquals([ran.size, Math.max(...ran.values()), ran.has("late")], [200, 1, false]);
});

Deno.test("D1 Server.close() loses no call and runs none twice: 40 drains at random moments", async () => {
  const fates: Record<string, number> = {};
  for (let seed = 1; seed <= 40; seed++) {
    const rng = new Rng(seed);
    const delay = rng.int(30);
    await using sim = new Simulation({ seed, faults: { delay, jitter: rng.int(20) } });
    const ran = new Map<unknown, number>();
    const options = { runtime: sim, serializer: json() };
    const server = await serve<Json>(ADDRESS, {
      ...options,
      methods: {
        work: async (n) => {
          ran.set(n, (ran.get(n) ?? 0) + 1);
          await sim.sleep(rng.int(500));
          return n;
        },
      },
    });
    const clients: ClientPeer<Json>[] = [];
    for (let n = 0; n < 3; n++) {
      const offline = rng.pick(["keep", "reject"] as const);
      const how = { ...options, queue: { offline }, reconnect: false } as const;
      clients.push(await sim.run(connect<Json>(ADDRESS, how)));
    }
    const results: Promise<string>[] = [];
    let closing: Promise<DrainInfo> | undefined;
    const grace = rng.pick([10_000, 200]);
    for (let n = 0; n < 150; n++) {
      if (n === 75) closing = server.close({ grace });
      results.push(fate(rng.pick(clients).call("work", n)));
      if (rng.int(3) === 0) await sim.advance(rng.int(8));
    }
    const ends = await sim.run(Promise.all(results));
    assert(closing !== undefined);
    const { cut, finished } = await sim.run(closing);
    for (const [n, end] of ends.entries()) {
      const times = ran.get(n) ?? 0;
      const note = `call ${n}: ${end}, run ${times} times with seed ${seed}`;
      assert(times <= 1, note);
      if (end === "OK") assertEquals(times, 1, note);
      if (end.endsWith(" no")) assertEquals(times, 0, note);
      fates[end] = (fates[end] ?? 0) + 1;
    }
    // With time enough nothing that had begun is lost.
    const unknown = ends.filter((end) => end.endsWith(" maybe")).length;
    if (grace === 10_000) assertEquals([cut, unknown], [0, 0], `seed ${seed}`);
    else assert(cut >= unknown, `${cut} of ${unknown} with seed ${seed}`);
    assert(finished > 0);
  }
  assertEquals(Object.keys(fates).sort(), ["OK", "UNAVAILABLE maybe", "UNAVAILABLE no"]);
});

Deno.test("D2 Server.close() cuts a handler that ignores its signal after the grace, and counts it", async () => {
  const signals: AbortSignal[] = [];
  await using world = await makeWorld({
    server: {
      methods: {
        hang: (_, call) => {
          signals.push(call.signal);
          return new Promise(() => {});
        },
        slow: () => world.sim.sleep(500),
      },
    },
    client: { reconnect: false },
  });
  const { sim, client, server } = world;
  const hung = client.call("hang").catch((error: unknown) => error);
  const slow = fate(client.call("slow"));
  await sim.advance(10);
  const before = sim.clock.now();
  const closing = server.close({ grace: 3_000 });
  const error = await sim.run(hung);
  assertEquals(sim.clock.now() - before, 3_000);
  assert(error instanceof RpcError);
  assertEquals([error.code, error.executed], ["UNAVAILABLE", "maybe"]);
  assertEquals(await atOnce(sim, slow), "OK");
  const info = await atOnce(sim, closing);
  assertEquals([info.code, info.finished, info.cut], ["NORMAL", 1, 1]);
  assertEquals(signals.map(({ aborted }) => aborted), [true]);
  assertEquals(await server.closed, info);
});

Deno.test("D2 Server.close() cuts what hangs on every client at once, not one after the other", async () => {
  await using sim = new Simulation();
  const options = { runtime: sim, serializer: json() };
  const server = await serve<Json>(ADDRESS, {
    ...options,
    methods: { hang: () => new Promise(() => {}) },
  });
  const calls: Promise<string>[] = [];
  for (let n = 0; n < 10; n++) {
    const client = await sim.run(connect<Json>(ADDRESS, { ...options, reconnect: false }));
    for (let call = 0; call < 3; call++) calls.push(fate(client.call("hang")));
  }
  await sim.advance(10);
  const before = sim.clock.now();
  const { cut, finished } = await sim.run(server.close({ grace: 1_500 }));
  assertEquals([cut, finished, sim.clock.now() - before], [30, 0, 1_500]);
  assertEquals(tally(await Promise.all(calls)), { "UNAVAILABLE maybe": 30 });
});

for (const [name, { code, options, run }] of Object.entries(ENDS)) {
  Deno.test(`D3 Server.close() is one end, told once: ${name}`, async () => {
    await using sim = new Simulation({ faults: { delay: 10 } });
    const told: string[] = [];
    const ends: Promise<DrainInfo>[] = [];
    const extra = options?.(() => void ends.push(server.close())) ?? {};
    const server: Server<Text> = await serveText(sim, {
      heartbeat: false,
      ...extra,
      onEvent: async (event) => {
        if (event.type === "close" || event.type === "drain") told.push(event.type);
        await extra.onEvent?.(event);
      },
    });
    const first = newClient(sim, "first");
    await sim.run(first.opened);
    await run(sim, server);
    const end = await sim.run(server.closed, { timeout: 20_000 });
    ends.push(server.close(), server.close({ grace: 0 }), server.closed);
    server.abort("late");
    for (const info of await atOnce(sim, Promise.all(ends))) assert(info === end);
    assertEquals([end.code, server.peers.size, server.stats().unregistered], [code, 0, 0]);
    assertEquals(told.filter((type) => type === "close"), ["close"]);
    await until(sim, () => sim.links.length === 0);
    await sim.advance(5_000);
    assertEquals([sim.clock.pending, server.peers.size], [0, 0]);
  });
}

Deno.test("D3 Peer.close() in its own callbacks is one end, on both sides", async () => {
  for (const side of ["client", "server"] as const) {
    await using sim = new Simulation();
    const ends: Promise<DrainInfo>[] = [];
    const close = (peer: { close(): Promise<DrainInfo> }) => {
      for (let n = 0; n < 2; n++) ends.push(peer.close());
    };
    const hooks = {
      onMessage: (_: unknown, peer: { close(): Promise<DrainInfo> }) => close(peer),
      onDisconnect: (_: unknown, peer: { close(): Promise<DrainInfo> }) => close(peer),
    };
    const { client, peer } = await openPair(sim, {
      serve: side === "server" ? hooks : {},
      connect: { reconnect: false, ...(side === "client" ? hooks : {}) },
    });
    const [own, other] = side === "client" ? [client, peer] : [peer, client];
    other.send("go");
    const end = await sim.run(own.closed);
    assertEquals([ends.length, end.code, end.initiator], [4, "NORMAL", "local"]);
    for (const info of await Promise.all(ends)) assert(info === end);
    own.abort();
    assertEquals((await sim.run(other.closed)).initiator, "remote");
  }
});

Deno.test("D3 Server.attach() while it closes, and after, gives the connection up", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim);
  const listener = await sim.listen(Addr.parse("tcp://server:1"));
  const accepted = listener[Symbol.asyncIterator]();
  const attach = async () => {
    const conn = await sim.dial(Addr.parse("tcp://server:1"));
    const { value } = await accepted.next();
    const error = await assertRejects(() => server.attach(value), Error, "takes no more");
    assertEquals(await sim.run(conn.read(new Uint8Array(1))), null);
    conn.close();
    return error;
  };
  const closing = server.close();
  await attach();
  await sim.run(closing);
  await attach();
  listener.close();
});

Deno.test("D4 Server.close() leaves nothing in a simulated world: no timer, connection, or listener", async () => {
  await using sim = new Simulation({ faults: { delay: 3 } });
  const server = await serveText(sim, {
    onMessage: () => new Promise(() => {}),
    methods: { hang: () => new Promise(() => {}) },
  });
  const client = newClient(sim, "a");
  await sim.run(client.opened);
  const other = newClient(sim, "b");
  await sim.run(other.opened);
  const silent = await sim.run(sim.dial(Addr.parse(ADDRESS)));
  client.send("x");
  const calls = [client.call("hang"), other.call("hang")].map(fate);
  const [peer] = server.peers;
  const back = fate(peer?.call("nobody") ?? Promise.resolve());
  const ping = peer?.ping().catch(() => {});
  const events = server.events()[Symbol.asyncIterator]();
  server.broadcast("x", { ack: true });
  await sim.advance(1);
  await sim.run(server.close({ grace: 100 }));
  await sim.run(Promise.all([...calls, back, ping, client.closed, other.closed]));
  silent.close();
  await sim.advance(0);
  assertEquals([sim.clock.pending, sim.links.length], [0, 0]);
  // Loops end once they have had what waits.
  let types = "";
  for (let next = await events.next(); !next.done; next = await events.next()) {
    types += ` ${next.value.type}`;
  }
  assert(types.endsWith("close"), types);
  // The address is free again.
  const again = await sim.listen(Addr.parse(ADDRESS));
  again.close();
});

Deno.test("D4 Server.close() leaves nothing of real sockets: no operation, resource or address", async () => {
  const ended: string[] = [];
  const options: ServeOptions<Json> = {
    serializer: json(),
    methods: { echo: (value) => value, hang: () => new Promise(() => {}) },
    onDisconnect: (_: unknown, { id }: ServerPeer<Json>) => void ended.push(id),
  };
  const server = await serve<Json>("tcp://127.0.0.1:0", options);
  const { addr } = server;
  const clients = await Promise.all(
    ["a", "b", "c"].map((id) => connect<Json>(addr, { id, serializer: json(), reconnect: false })),
  );
  const [first] = clients;
  assert(first !== undefined);
  assertEquals(await Promise.all(clients.map((client) => client.call("echo", client.id))), [
    "a",
    "b",
    "c",
  ]);
  const hung = fate(first.call("hang"));
  // So that the call is there before the drain begins.
  await first.ping();
  const silent = await Deno.connect({ hostname: "127.0.0.1", port: addr.port });
  // Its end comes after the farewell, which it does not understand.
  const drained = silent.readable.pipeTo(new WritableStream()).catch(() => {});
  const info = await server.close({ grace: 50 });
  assertEquals([info.cut, await hung], [1, "UNAVAILABLE maybe"]);
  await Promise.all([drained, ...clients.map(({ closed }) => closed)]);
  assertEquals(ended.sort(), ["a", "b", "c"]);
  await using again = await serve<Json>(addr, options);
  assertEquals(again.addr.port, addr.port);
});
