import { RpcError } from "@vgo/vnet";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { aborted, drain, fate, makeWorld, rpcError, settle, tally } from "./_support.ts";

Deno.test("losing the session settles what was written at once, as maybe executed", async () => {
  const lost: unknown[] = [];
  await using world = await makeWorld({
    server: {
      methods: {
        slow: (_input, { signal }) => aborted(signal).catch((reason) => void lost.push(reason)),
        items: async function* (_input, { signal }) {
          yield 1;
          await aborted(signal);
        },
      },
    },
    client: { methods: { slow: () => new Promise(() => {}) } },
  });
  const { client, peer, sim } = world;
  const calls = Array.from({ length: 50 }, () => fate(client.call("slow")));
  const back = fate(peer.call("slow"));
  const stream = drain(client.stream("items"));
  await sim.advance(10);
  sim.link(client).cut();
  await settle();
  // No time has passed.
  assertEquals(tally(await Promise.all(calls)), { "UNAVAILABLE maybe": 50 });
  assertEquals(await back, "UNAVAILABLE maybe");
  const { items, end } = await stream;
  assert(end instanceof RpcError);
  assertEquals([items, end.code, end.executed, end.initiator, end.retryable], [
    [1],
    "UNAVAILABLE",
    "maybe",
    "network",
    true,
  ]);
  assertEquals(lost.length, 50);
  assert(lost.every((reason) => reason instanceof RpcError && reason.code === "UNAVAILABLE"));
});

Deno.test("a call made between two links goes out with the next, once", async () => {
  let ran = 0;
  await using world = await makeWorld({ server: { methods: { count: () => ++ran } } });
  const { client, run, sim } = world;
  sim.link(client).cut();
  await settle();
  assertEquals(client.state, "waiting");
  const calls = Promise.all([client.call("count"), client.call("count")]);
  await settle();
  assertEquals(ran, 0);
  assertEquals(await run(calls), [1, 2]);
  assertEquals([client.state, client.stats.links], ["open", 2]);
});

Deno.test("a call made before the first link goes out with it", async () => {
  const { Client, json, serve } = await import("@vgo/vnet");
  const { Simulation } = await import("@vgo/vnet/testing");
  await using sim = new Simulation();
  const client = new Client<import("./_support.ts").Json>("tcp://server:9966", {
    runtime: sim,
    serializer: json(),
    reconnect: { delay: 100 },
  });
  const call = client.call("f", 20);
  await sim.advance(250);
  await serve<import("./_support.ts").Json>("tcp://:9966", {
    runtime: sim,
    serializer: json(),
    methods: { f: (n) => Number(n) + 1 },
  });
  assertEquals(await sim.run(call), 21);
});

Deno.test("a call made between two links keeps its deadline, and then did not run", async () => {
  let ran = 0;
  await using world = await makeWorld({
    server: { methods: { count: () => ++ran } },
    client: { reconnect: { delay: 5_000 } },
  });
  const { client, run, sim } = world;
  sim.link(client).cut();
  await settle();
  const early = fate(client.call("count", 1, { timeout: 1_000 }));
  const patient = client.call("count", 1, { timeout: 20_000 });
  assertEquals(await run(early), "DEADLINE_EXCEEDED no");
  assertEquals([await run(patient), ran], [1, 1]);
});

Deno.test("calls between two links are bounded in number and in bytes", async () => {
  await using world = await makeWorld({
    server: { methods: { f: () => 1 } },
    client: { limits: { maxInFlight: 20, maxQueuedBytes: 1_000, maxMessageLength: 10_000 } },
  });
  const { client, run, sim } = world;
  sim.link(client).cut();
  await settle();
  const calls = Array.from({ length: 25 }, () => fate(client.call("f")));
  assertEquals(tally(await run(Promise.all(calls))), { OK: 20, "RESOURCE_EXHAUSTED no": 5 });
  sim.link(client).cut();
  await settle();
  const large = Array.from({ length: 5 }, () => fate(client.call("f", "x".repeat(3_000))));
  assertEquals(tally(await run(Promise.all(large))), { OK: 3, "RESOURCE_EXHAUSTED no": 2 });
});

Deno.test("offline: reject fails a call without a link at once, as not executed", async () => {
  await using world = await makeWorld({
    server: { methods: { f: () => 1 } },
    client: { queue: { offline: "reject" } },
  });
  const { client, run, sim } = world;
  assertEquals(await run(client.call("f")), 1);
  sim.link(client).cut();
  await settle();
  const error = await rpcError(client.call("f"));
  assertEquals([error.code, error.executed, error.retryable], ["UNAVAILABLE", "no", true]);
  const { end } = await drain(client.stream("f"));
  assert(end instanceof RpcError && end.executed === "no");
  await sim.advance(500);
  assertEquals(await run(client.call("f")), 1);
});

Deno.test("abort() settles every call, those that wait as not executed", async () => {
  await using world = await makeWorld({
    server: { limits: { maxInFlight: 2 }, methods: { hang: () => new Promise(() => {}) } },
  });
  const { client, sim } = world;
  const calls = Array.from({ length: 4 }, () => fate(client.call("hang")));
  await sim.advance(10);
  client.abort(new Error("enough"));
  assertEquals(tally(await Promise.all(calls)), { "UNAVAILABLE maybe": 2, "UNAVAILABLE no": 2 });
  assertEquals(await fate(client.call("hang")), "UNAVAILABLE no");
  const { cut } = await client.closed;
  assertEquals(cut, 4);
});

Deno.test("a call that was written in part is lost as maybe executed", async () => {
  let ran = 0;
  await using world = await makeWorld({
    faults: { bytesPerSecond: 1_000_000 },
    server: { methods: { f: () => ++ran } },
  });
  const { client, sim } = world;
  const call = fate(client.call("f", "x".repeat(4 << 20)));
  await sim.advance(1_000);
  sim.link(client).cut();
  await settle();
  assertEquals([await call, ran], ["UNAVAILABLE maybe", 0]);
});

Deno.test("items that came before the session was lost are still given, and grant nothing on the next", async () => {
  const gate = Promise.withResolvers<void>();
  let yielded = 0;
  await using world = await makeWorld({
    server: {
      methods: {
        items: async function* (_input, { signal }) {
          while (!signal.aborted) {
            yielded++;
            yield "x".repeat(10_000);
          }
        },
      },
    },
  });
  const { client, run, sim, server } = world;
  const first = client.stream("items");
  await sim.advance(10);
  const got: unknown[] = [];
  const loop = (async () => {
    for await (const item of first) {
      got.push(item);
      await gate.promise;
    }
  })();
  await sim.advance(10);
  sim.link(client).cut();
  await sim.advance(500);
  assertEquals(client.state, "open");
  // The same id on the new session: another stream, which nobody reads.
  const second = client.stream("items");
  const reader = second[Symbol.asyncIterator]();
  await run(reader.next());
  await sim.advance(10);
  const before = yielded;
  gate.resolve();
  await run(assertRejects(() => loop, RpcError, "The session ended"));
  await sim.advance(10);
  assertEquals([got.length, yielded], [26, before], "What the first one consumed grants nothing");
  await reader.return?.();
  await sim.advance(10);
  assertEquals([client.state, server.peers.size, client.stats.links], ["open", 1, 2]);
});

Deno.test("a handler whose caller is gone gets nothing of the next session", async () => {
  const gates: ((value: string) => void)[] = [];
  await using world = await makeWorld({
    server: {
      methods: { slow: () => new Promise<string>((resolve) => gates.push(resolve)) },
    },
  });
  const { client, run, sim } = world;
  const first = fate(client.call("slow"));
  await sim.advance(10);
  sim.link(client).cut();
  await sim.advance(500);
  assertEquals(await first, "UNAVAILABLE maybe");
  const second = client.call("slow");
  await sim.advance(10);
  gates[0]?.("answer of the first");
  await sim.advance(10);
  gates[1]?.("answer of the second");
  assertEquals(await run(second), "answer of the second");
});

Deno.test("a refusal that cannot heal settles what waits for a link", async () => {
  const { Client, json, serve } = await import("@vgo/vnet");
  const { Simulation } = await import("@vgo/vnet/testing");
  await using sim = new Simulation();
  await serve("tcp://:9966", { runtime: sim, register: () => false });
  const client = new Client("tcp://server:9966", { runtime: sim, serializer: json() });
  const call = fate(client.call("f", 1));
  assertEquals(await sim.run(call), "UNAVAILABLE no");
  assertEquals((await client.closed).code, "AUTH_FAILED");
});
