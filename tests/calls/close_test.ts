import { assertEquals } from "@std/assert";
import { drain, fate, makeWorld, rpcError, settle, tally } from "./_support.ts";

Deno.test("close() finishes accepted calls of both directions, and counts them", async () => {
  await using world = await makeWorld({
    server: { methods: { slow: async (ms) => (await world.sim.sleep(Number(ms)), "done") } },
    client: { methods: { slow: async (ms) => (await world.sim.sleep(Number(ms)), "back") } },
  });
  const { client, peer, run, sim } = world;
  const calls = [
    client.call("slow", 500),
    client.call("slow", 900),
    peer.call("slow", 700),
  ];
  await sim.advance(100);
  const closed = client.close({ grace: 5_000 });
  assertEquals(client.state, "draining");
  assertEquals(await run(Promise.all(calls)), ["done", "done", "back"]);
  const { finished, cut, code } = await run(closed);
  assertEquals([finished, cut, code], [3, 0, "NORMAL"]);
  assertEquals(sim.clock.now() < 2_000, true, "It waits for them, not for the grace");
});

Deno.test("close() cuts what outlasts its grace, and counts it", async () => {
  await using world = await makeWorld({
    server: {
      methods: { slow: (ms) => world.sim.sleep(Number(ms)), hang: () => new Promise(() => {}) },
    },
  });
  const { client, run, sim } = world;
  const begun = sim.clock.now();
  const calls = [client.call("slow", 200), client.call("hang"), client.call("hang")].map(fate);
  await sim.advance(10);
  const { finished, cut } = await run(client.close({ grace: 1_000 }));
  assertEquals([finished, cut], [1, 2]);
  assertEquals(await Promise.all(calls), ["OK", "UNAVAILABLE maybe", "UNAVAILABLE maybe"]);
  assertEquals(sim.clock.now() - begun < 1_100, true);
});

Deno.test("close() takes no new call, from either end: UNAVAILABLE, not executed, worth a retry", async () => {
  let ran = 0;
  await using world = await makeWorld({
    server: { methods: { slow: () => world.sim.sleep(500), count: () => ++ran } },
    client: { methods: { count: () => ++ran } },
  });
  const { client, peer, run, sim } = world;
  const accepted = client.call("slow");
  await sim.advance(10);
  const closed = client.close();
  const refused = [client.call("count"), peer.call("count")].map(rpcError);
  for (const error of await run(Promise.all(refused))) {
    assertEquals([error.code, error.executed, error.retryable], ["UNAVAILABLE", "no", true]);
  }
  const { end } = await run(drain(client.stream("count")));
  assertEquals(`${end}`.includes("The peer is closed"), true);
  await run(accepted);
  await run(closed);
  assertEquals([ran, await fate(client.call("count"))], [0, "UNAVAILABLE no"]);
});

Deno.test("close() lets what it accepted call back, on behalf of the same call only", async () => {
  await using world = await makeWorld({
    server: {
      methods: {
        ask: async (_input, call) => {
          await world.sim.sleep(500);
          const stranger = await fate(call.peer.call("name"));
          return [await call.peer.call("name", undefined, { parent: call }), stranger];
        },
      },
    },
    client: { methods: { name: () => "Ann" } },
  });
  const { client, peer, run, sim } = world;
  const asked = client.call("ask");
  await sim.advance(10);
  const closed = peer.close();
  assertEquals(await run(asked), ["Ann", "UNAVAILABLE no"]);
  const { finished, cut } = await run(closed);
  assertEquals([finished, cut], [1, 0]);
});

Deno.test("close() of a server drains all its clients", async () => {
  await using world = await makeWorld({
    server: {
      methods: { slow: (ms) => world.sim.sleep(Number(ms)), hang: () => new Promise(() => {}) },
    },
    client: { reconnect: false },
  });
  const { client, server, run, sim } = world;
  const { connect, json } = await import("@vgo/vnet");
  const other = await run(
    connect("tcp://server:9966", { runtime: sim, serializer: json(), reconnect: false }),
  );
  const calls = [
    client.call("slow", 300),
    other.call("slow", 400),
    other.call("hang"),
  ].map(fate);
  await sim.advance(10);
  const closed = server.close({ grace: 2_000 });
  await sim.advance(10);
  assertEquals(await run(fate(client.call("slow", 1))), "UNAVAILABLE no");
  assertEquals(await run(Promise.all(calls)), ["OK", "OK", "UNAVAILABLE maybe"]);
  const { finished, cut } = await run(closed);
  assertEquals([finished, cut], [2, 1]);
});

Deno.test("close() whose link breaks counts what that cut", async () => {
  await using world = await makeWorld({
    server: {
      methods: { slow: (ms) => world.sim.sleep(Number(ms)), hang: () => new Promise(() => {}) },
    },
    client: { methods: { hang: () => new Promise(() => {}) } },
  });
  const { client, peer, run, sim } = world;
  const calls = [
    client.call("slow", 100),
    client.call("hang"),
    client.call("hang"),
    peer.call("hang"),
  ].map(fate);
  await sim.advance(10);
  const closed = client.close({ grace: 5_000 });
  await sim.advance(200);
  sim.link(client).cut();
  const { finished, cut } = await run(closed);
  assertEquals([finished, cut], [1, 3]);
  assertEquals(tally(await Promise.all(calls)), { OK: 1, "UNAVAILABLE maybe": 3 });
  const end = await run(peer.closed);
  assertEquals([end.finished, end.cut], [0, 3], "For the other end all of it was cut");
});

Deno.test("close() lets streams run to their end, and cuts those that do not", async () => {
  await using world = await makeWorld({
    server: {
      methods: {
        items: async function* (count) {
          for (let n = 0; n < Number(count); n++) {
            await world.sim.sleep(10);
            yield n;
          }
        },
      },
    },
  });
  const { client, run, sim } = world;
  const short = drain(client.stream("items", 20));
  const long = drain(client.stream("items", 1e9));
  await sim.advance(50);
  const { finished, cut } = await run(client.close({ grace: 1_000 }));
  assertEquals([finished, cut], [1, 1]);
  assertEquals([(await short).items.length, (await short).end], [20, undefined]);
  const { items, end } = await long;
  assertEquals([items.length > 90, await fate(Promise.reject(end))], [true, "UNAVAILABLE maybe"]);
});

Deno.test("close() within a handler waits for its own answer", async () => {
  await using world = await makeWorld({
    server: {
      methods: {
        bye: (_input, { peer }) => {
          void peer.close();
          return "bye";
        },
      },
    },
    client: { reconnect: false },
  });
  assertEquals(await world.run(world.client.call("bye")), "bye");
  assertEquals((await world.run(world.client.closed)).code, "NORMAL");
});

Deno.test("abort() within a handler ends it all, and nothing else", async () => {
  await using world = await makeWorld({
    server: { methods: { bye: (_input, { peer }) => peer.abort() } },
    client: { reconnect: false },
  });
  assertEquals(await world.run(fate(world.client.call("bye"))), "UNAVAILABLE maybe");
  await settle();
  assertEquals(world.server.peers.size, 0);
});
