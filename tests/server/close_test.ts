/**
 * How a server ends: `close` drains every client, `abort` is now, and nothing is left of it.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  Addr,
  type Client,
  connect,
  ConnectError,
  type DrainInfo,
  type Server,
  text,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import {
  Acceptor,
  ADDRESS,
  atOnce,
  connectText,
  serveText,
  type Text,
  until,
} from "../client/_support.ts";

/** A server with clients that stay away once they are sent away. */
async function crowd(
  sim: Simulation,
  count: number,
): Promise<{ server: Server<Text>; clients: Client<Text>[]; got: number[] }> {
  const server = await serveText(sim, { limits: { maxQueuedBytes: 2_000_000 } });
  const got: number[] = [];
  const clients: Client<Text>[] = [];
  for (let n = 0; n < count; n++) {
    got.push(0);
    clients.push(
      await connectText(sim, {
        id: `${n}`,
        reconnect: false,
        onMessage: () => got[n] = (got[n] ?? 0) + 1,
      }),
    );
  }
  return { server, clients, got };
}

Deno.test("Server.close() sends what was accepted, then tells each client why", async () => {
  await using sim = new Simulation({ faults: { delay: 10 } });
  const { server, clients, got } = await crowd(sim, 3);
  for (let n = 0; n < 20; n++) server.broadcast("x".repeat(10_000));
  const info = await sim.run(server.close({ reason: "Moving house" }));
  assertEquals(info, {
    code: "NORMAL",
    reason: "Moving house",
    initiator: "local",
    unsent: { bytes: 0, frames: 0 },
    finished: 0,
    cut: 0,
  });
  for (const client of clients) {
    const { code, reason, initiator } = await sim.run(client.closed);
    assertEquals([code, reason, initiator], ["DRAINING", "Moving house", "remote"]);
  }
  assertEquals([got, server.peers.size, sim.links.length], [[20, 20, 20], 0, 0]);
});

Deno.test("Server.close() lets clients go that come back later", async () => {
  await using sim = new Simulation();
  const first = await serveText(sim);
  const client = await connectText(sim, { id: "ann" });
  await sim.run(first.close());
  assertEquals(client.state, "waiting");
  const second = await serveText(sim);
  await until(sim, () => client.state === "open");
  assertEquals(second.peers.has("ann"), true);
});

Deno.test("Server.close() waits for the slowest for its grace, and counts what is left", async () => {
  await using sim = new Simulation();
  const { server, clients, got } = await crowd(sim, 3);
  const [slow] = clients;
  assert(slow !== undefined);
  sim.link(slow).blackhole();
  for (let n = 0; n < 2; n++) server.broadcast("x".repeat(600_000));
  await sim.advance(0);
  const started = sim.clock.now();
  const closing = server.close({ grace: 3_000 });
  await sim.advance(100);
  // The others are gone already.
  assertEquals([server.peers.size, got], [1, [0, 2, 2]]);
  const { code, unsent } = await sim.run(closing);
  assertEquals([code, unsent.frames, sim.clock.now() - started], ["NORMAL", 2, 4_000]);
});

Deno.test("Server.close() cuts its grace short when its signal says so", async () => {
  await using sim = new Simulation();
  const { server, clients } = await crowd(sim, 1);
  const [slow] = clients;
  assert(slow !== undefined);
  sim.link(slow).blackhole();
  server.push("0", "x".repeat(600_000));
  await sim.advance(0);
  const controller = new AbortController();
  const closing = server.close({ signal: controller.signal });
  await sim.advance(500);
  controller.abort();
  await sim.run(closing, { timeout: 1_000 });
});

Deno.test("Server.close() accepts nobody from its first moment on", async () => {
  await using sim = new Simulation();
  const { server, clients } = await crowd(sim, 1);
  const [slow] = clients;
  assert(slow !== undefined);
  sim.link(slow).blackhole();
  server.push("0", "x".repeat(600_000));
  await sim.advance(0);
  const closing = server.close();
  const error = await assertRejects(() => connectText(sim, { openTimeout: 0 }), ConnectError);
  assertEquals(error.code, "REFUSED");
  server.abort();
  await sim.run(closing);
});

Deno.test("Server.close() hangs up on those who have not registered, and waits for that", async () => {
  await using sim = new Simulation();
  const asked: AbortSignal[] = [];
  const server = await serveText(sim, {
    register: ({ signal }) => {
      asked.push(signal);
      return new Promise(() => {});
    },
  });
  const silent = await sim.dial(Addr.parse(ADDRESS));
  const options = { runtime: sim, serializer: text(), reconnect: false } as const;
  const connecting = connect<Text>(ADDRESS, options).catch((error) => error);
  await until(sim, () => server.stats().unregistered === 2 && asked.length === 1);
  const started = sim.clock.now();
  await sim.run(server.close());
  // So long it waits for a connection to be closed at the other end as well.
  assertEquals([sim.clock.now() - started, sim.clock.pending], [1_000, 0]);
  assertEquals([asked[0]?.aborted, server.stats().unregistered], [true, 0]);
  const error = await connecting;
  assert(error instanceof ConnectError);
  assertEquals([error.code, error.initiator], ["DRAINING", "remote"]);
  assertEquals(await silent.read(new Uint8Array(8)), null);
  silent.close();
});

Deno.test("Server.close() may be called by its own hooks", async () => {
  await using sim = new Simulation();
  const told: string[] = [];
  const server = await serveText(sim, {
    onDisconnect: (_info, peer) => peer.server.close({ reason: "Inner" }),
    onEvent: ({ type }) => told.push(type),
  });
  for (const id of ["a", "b"]) await connectText(sim, { id, reconnect: false });
  told.length = 0;
  const info = await sim.run(server.close({ reason: "Outer" }));
  assertEquals([info.reason, told], ["Outer", ["drain", "disconnect", "disconnect", "close"]]);
});

Deno.test("Server.close() is the same the second time, and after an abort", async () => {
  await using sim = new Simulation();
  const { server } = await crowd(sim, 2);
  const infos = await sim.run(
    Promise.all([server.close(), server.close({ grace: 1 }), server.closed]),
  );
  assert(infos.every((info) => info === infos[0]));
  server.abort("late");
  assertEquals(await server.closed, infos[0]);
  const other = await crowd(sim, 1);
  other.server.abort();
  assertEquals((await atOnce(sim, other.server.close())).code, "ABORTED");
});

Deno.test("Server.abort() ends every connection at once, registered or not", async () => {
  await using sim = new Simulation();
  const { server, clients } = await crowd(sim, 3);
  const silent = await sim.dial(Addr.parse(ADDRESS));
  await sim.advance(0);
  server.abort(new Error("Fire"));
  const info = await atOnce(sim, server.closed);
  assertEquals([info.code, info.reason, info.initiator], ["ABORTED", "Fire", "local"]);
  assertEquals([server.peers.size, server.stats().unregistered], [0, 0]);
  for (const client of clients) {
    assertEquals((await atOnce(sim, client.closed)).code, "LINK_LOST");
  }
  silent.close();
  await sim.advance(0);
  assertEquals(sim.links.length, 0);
});

Deno.test("Server.abort() ends a drain at once, and counts what is left", async () => {
  await using sim = new Simulation();
  const { server, clients } = await crowd(sim, 2);
  for (const client of clients) sim.link(client).blackhole();
  server.broadcast("x".repeat(600_000));
  await sim.advance(0);
  const closing = server.close();
  await sim.advance(1_000);
  server.abort();
  const info: DrainInfo = await atOnce(sim, closing);
  assertEquals([info.code, info.unsent.frames], ["ABORTED", 2]);
  for (const client of clients) client.abort();
  await sim.advance(0);
  assertEquals(sim.links.length, 0);
});

Deno.test("Server.abort() ends farewells at once that nobody answers", async () => {
  await using sim = new Simulation();
  const { server, clients } = await crowd(sim, 2);
  for (const client of clients) sim.link(client).blackhole();
  const closing = server.close();
  await sim.advance(100);
  server.abort();
  await atOnce(sim, closing);
  for (const client of clients) client.abort();
  await sim.advance(0);
  assertEquals([sim.links.length, sim.clock.pending], [0, 0]);
});

Deno.test("Server with await using closes at the end of the block", async () => {
  await using sim = new Simulation();
  let client: Client<Text>;
  {
    await using server = await serveText(sim);
    client = await connectText(sim, { reconnect: false });
    assertEquals(server.peers.size, 1);
  }
  assertEquals((await client.closed).code, "DRAINING");
});

Deno.test("Server.close() calls every onDisconnect before it resolves", async () => {
  await using sim = new Simulation();
  const ended: string[] = [];
  const server = await serveText(sim, {
    onDisconnect: ({ code, initiator }, { id }) => ended.push(`${id} ${code} ${initiator}`),
  });
  for (const id of ["a", "b"]) await connectText(sim, { id, reconnect: false });
  await sim.run(server.close());
  assertEquals(ended, ["a DRAINING local", "b DRAINING local"]);
});

Deno.test("Server.close() of a server without listeners or clients is at once", async () => {
  await using sim = new Simulation();
  const server = await serveText(sim, {}, []);
  assertEquals((await atOnce(sim, server.close())).code, "NORMAL");
  await using _free = await Acceptor.listen(sim);
});
