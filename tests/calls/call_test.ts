import { type CallContext, RpcError } from "@vgo/vnet";
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { drain, fate, type Json, makePair, makeWorld, rpcError, settle } from "./_support.ts";

Deno.test("call() goes both ways at once, many in flight, each answer to its own call", async () => {
  await using world = await makeWorld({
    seed: 7,
    faults: { delay: 10, jitter: 15 },
    server: {
      methods: {
        double: (n) => Number(n) * 2,
        later: async (n) => {
          await world.sim.sleep(Number(n) % 7);
          return Number(n) * 3;
        },
      },
    },
    client: { methods: { half: (n) => Number(n) / 2 } },
  });
  const { client, peer, run } = world;
  const calls = Array.from({ length: 300 }, (_, n) => [
    client.call("double", n),
    client.call("later", n),
    peer.call("half", n),
  ]).flat();
  const expected = Array.from({ length: 300 }, (_, n) => [n * 2, n * 3, n / 2]).flat();
  assertEquals(await run(Promise.all(calls)), expected);
});

Deno.test("call() gives what a handler gives: a value, a promise, a thenable, nothing", async () => {
  const methods = {
    value: () => ({ a: [1, null] }),
    promise: () => Promise.resolve("late"),
    thenable: () => ({ then: (resolve: (value: unknown) => void) => resolve("then") }),
    nothing: () => {},
    none: () => null,
    promised: async () => {},
  };
  const [client] = await makePair({}, { methods });
  const names = Object.keys(methods);
  const results = await Promise.all(names.map((name) => client.call(name)));
  assertEquals(results, [{ a: [1, null] }, "late", "then", undefined, null, undefined]);
  await client.close();
});

Deno.test("call() without an input gives the handler undefined", async () => {
  const inputs: unknown[] = [];
  const [client] = await makePair({}, { methods: { f: (input) => void inputs.push(input) } });
  await client.call("f");
  await client.call("f", undefined, { timeout: 1_000 });
  await client.call("f", null);
  assertEquals(inputs, [undefined, undefined, null]);
  await client.close();
});

Deno.test("call() gives the handler its context", async () => {
  const seen: CallContext<unknown, unknown>[] = [];
  await using world = await makeWorld({
    server: { methods: { f: (_input, call) => void seen.push(call) } },
  });
  const { client, peer, run, sim } = world;
  await run(client.call("f", 1, { timeout: 2_000, metadata: { trace: "α", "x-y": "" } }));
  await run(client.call("f", 1, { timeout: Infinity }));
  const [first, second] = seen;
  assert(first !== undefined && second !== undefined);
  assertStrictEquals(first.peer, peer);
  assertEquals([first.method, { ...first.metadata }], ["f", { trace: "α", "x-y": "" }]);
  assertEquals([first.deadline - sim.clock.now(), second.deadline], [2_000, Infinity]);
  assertEquals([first.signal.aborted, { ...second.metadata }], [false, {}]);
  assertEquals(await drain(first.stream), { items: [], end: undefined });
});

Deno.test("call() of an unknown method is UNIMPLEMENTED, and nothing ran", async () => {
  const [client, server] = await makePair();
  for (const peer of [client, server]) {
    const error = await rpcError(peer.call("nope"));
    assertEquals([error.code, error.executed, error.initiator], ["UNIMPLEMENTED", "no", "remote"]);
    assertEquals(error.retryable, false);
  }
  await client.close();
});

Deno.test("call() rejects with the RpcError that a handler throws, data and all", async () => {
  const thrown = () => {
    throw new RpcError("NOT_FOUND", "No order 7", { data: { order: 7 }, retryable: true });
  };
  const methods = { sync: thrown, later: async () => (await settle(), thrown()) };
  const [client] = await makePair({}, { methods });
  for (const method of Object.keys(methods)) {
    const error = await rpcError(client.call(method));
    assertEquals(
      [error.code, error.message, error.data, error.retryable, error.executed, error.initiator],
      ["NOT_FOUND", "No order 7", { order: 7 }, true, "yes", "remote"],
    );
  }
  await client.close();
});

Deno.test("call() hides what else a handler throws; onEvent is told", async () => {
  const secret = new Error("password is hunter2");
  await using world = await makeWorld({
    server: {
      methods: {
        f: () => {
          throw secret;
        },
        g: () => Promise.reject(secret),
        unsendable: () => 10n,
      },
    },
  });
  const { client, run, errors } = world;
  for (const method of ["f", "g"]) {
    const error = await run(rpcError(client.call(method)));
    assertEquals([error.code, error.executed, error.data], ["INTERNAL", "yes", undefined]);
    assertEquals(JSON.stringify([error, error.message, error.cause]).includes("hunter2"), false);
  }
  assertEquals(errors, [secret, secret]);
  assertEquals(await run(fate(client.call("unsendable"))), "INTERNAL yes");
  assert(errors[2] instanceof TypeError);
});

Deno.test("call() passes on the RpcError of a nested call, executed as this one was", async () => {
  const [a, b] = await makePair({
    methods: { relay: (_input, call) => call.peer === a ? a.call("nope") : undefined },
  });
  const error = await rpcError(b.call("relay"));
  assertEquals([error.code, error.executed], ["UNIMPLEMENTED", "yes"]);
  await a.close();
});

Deno.test("call() leaves out data that cannot be sent, and reports it", async () => {
  await using world = await makeWorld({
    server: {
      methods: {
        f: () => {
          throw new RpcError("ABORTED", "No", { data: 10n });
        },
      },
    },
  });
  const error = await world.run(rpcError(world.client.call("f")));
  assertEquals([error.code, error.data, world.errors.length], ["ABORTED", undefined, 1]);
});

Deno.test("call() rejects misuse at once, and nothing is sent", async () => {
  const [client] = await makePair();
  const call = (method: unknown, input?: unknown, options?: Record<string, unknown>) =>
    Reflect.apply(client.call, client, [method, input, options]);
  await assertRejects(() => call(5), TypeError, "'method' must be a string");
  await assertRejects(() => call("é".repeat(128)), RangeError, "at most 255 bytes");
  await assertRejects(() => call("f", 10n), TypeError);
  await assertRejects(() => call("f", 1, { metadata: { Upper: "x" } }), TypeError, "name");
  await assertRejects(() => call("f", 1, { timeout: NaN }), RangeError, "'timeout'");
  await assertRejects(() => call("f", 1, { deadline: NaN }), RangeError, "'deadline'");
  const stream = (options: Record<string, unknown>) => () =>
    Reflect.apply(client.stream, client, ["f", 1, options]);
  assertThrows(stream({ idleTimeout: 0 }), RangeError, "'idleTimeout'");
  assertThrows(stream({ timeout: NaN }), RangeError, "'timeout'");
  assertEquals(client.stats.callsOut, 0);
  await client.close();
});

Deno.test("call() counts calls in and out, on either side and for the server", async () => {
  await using world = await makeWorld({
    server: { methods: { f: () => 1 } },
    client: { methods: { g: () => 1 } },
  });
  const { client, peer, server, run } = world;
  await run(Promise.all([client.call("f"), client.call("f"), peer.call("g")]));
  await run(fate(client.call("nope")));
  await run(drain(client.stream("f")));
  assertEquals([client.stats.callsOut, client.stats.callsIn], [4, 1]);
  assertEquals([peer.stats.callsOut, peer.stats.callsIn], [1, 4]);
  assertEquals([server.stats().callsOut, server.stats().callsIn], [1, 4]);
  client.abort();
  await world.sim.advance(1_000);
  assertEquals(
    [server.stats().callsOut, server.stats().callsIn],
    [1, 4],
    "Counted when it is gone",
  );
});

Deno.test("call() carries 8 MiB in and out, while small calls pass by", async () => {
  await using world = await makeWorld({
    faults: { bytesPerSecond: 8_000_000 },
    server: { methods: { echo: (input) => input, small: (n) => n } },
  });
  const { client, run } = world;
  const text = "0123456789abcdef".repeat(524_288);
  const order: string[] = [];
  const big = client.call("echo", text).then((value) => (order.push("big"), value));
  const small = world.sim.sleep(100).then(() => client.call("small", 1)).then(() =>
    order.push("small")
  );
  const [echoed] = await run(Promise.all([big, small]));
  assert(echoed === text);
  assertEquals(order, ["small", "big"]);
});

Deno.test("call() refuses an input that the other end would not take", async () => {
  const [client] = await makePair({}, {
    limits: { maxMessageLength: 1_000, maxMetadataLength: 100 },
    methods: { f: () => 1 },
  });
  const large = await rpcError(client.call("f", "x".repeat(1_000)));
  assertEquals([large.code, large.executed], ["RESOURCE_EXHAUSTED", "no"]);
  const metadata = { key: "x".repeat(100) };
  const meta = await rpcError(client.call("f", 1, { metadata }));
  assertEquals([meta.code, meta.executed], ["RESOURCE_EXHAUSTED", "no"]);
  assertEquals(await client.call("f"), 1, "The session goes on");
  await client.close();
});

Deno.test("calls and messages arrive in the order in which they were made", async () => {
  const seen: unknown[] = [];
  await using world = await makeWorld({
    server: {
      onMessage: ({ body }) => void seen.push(body),
      methods: { f: (n) => void seen.push(n) },
    },
  });
  const { client, run, sim } = world;
  const made = async () => {
    const work: Promise<unknown>[] = [];
    for (let n = 0; n < 100; n += 5) {
      work.push(client.send(n), client.call("f", n + 1), client.call("f", n + 2));
      work.push(client.send(n + 3), client.send(n + 4));
    }
    await Promise.all(work);
  };
  const expected = Array.from({ length: 100 }, (_, n) => n);
  await run(made());
  await sim.advance(10);
  assertEquals(seen.splice(0), expected);
  sim.link(client).cut();
  await sim.advance(0);
  assertEquals(client.state, "waiting");
  await run(made());
  await sim.advance(10);
  assertEquals(seen, expected, "As do those that waited for a link");
});

Deno.test("call() within a handler, and from onConnect", async () => {
  const got: unknown[] = [];
  await using world = await makeWorld({
    server: {
      onConnect: async (peer) => void got.push(await peer.call("whoami")),
      methods: { ask: async (_input, { peer }) => `${await peer.call("whoami")}!` },
    },
    client: { id: "ann", methods: { whoami: () => "I am ann" } },
  });
  assertEquals(await world.run(world.client.call("ask")), "I am ann!");
  assertEquals(got, ["I am ann"]);
});

Deno.test("handle() answers for one peer, or for all of a server's, until it is disposed of", async () => {
  await using world = await makeWorld({ server: { methods: { f: () => "methods" } } });
  const { client, peer, server, run } = world;
  const own = peer.handle("f", () => "peer");
  assertEquals(await run(client.call("f")), "peer", "A peer's own comes first");
  own[Symbol.dispose]();
  own[Symbol.dispose]();
  assertEquals(await run(client.call("f")), "methods");

  const all = server.handle("g", (n) => n);
  assertEquals(await run(client.call("g", 5)), 5);
  all[Symbol.dispose]();
  assertEquals(await run(fate(client.call("g", 5))), "UNIMPLEMENTED no");

  const mine = client.handle("h", (input) => [input]);
  assertEquals(await run(peer.call("h", 1)), [1]);
  mine[Symbol.dispose]();
  // What took its place is not taken away by disposing twice.
  const again = client.handle("h", () => "again");
  mine[Symbol.dispose]();
  assertEquals(await run(peer.call("h")), "again");
  again[Symbol.dispose]();
});

Deno.test("handle() refuses a second handler, and what is none", async () => {
  await using world = await makeWorld({ server: { methods: { f: () => 1 } } });
  const { peer, server } = world;
  assertThrows(() => server.handle("f", () => 2), TypeError, "'f' as it has a handler already");
  peer.handle("g", () => 1);
  assertThrows(() => peer.handle("g", () => 2), TypeError, "has a handler already");
  const wrong = (handler: unknown) => () => Reflect.apply(server.handle, server, ["h", handler]);
  assertThrows(wrong(5), TypeError, "must be a function");
  assertThrows(wrong(undefined), TypeError, "must be a function");
});

Deno.test("methods that are none are refused before anything is bound or dialled", async () => {
  const { Simulation } = await import("@vgo/vnet/testing");
  const { connect, json, serve } = await import("@vgo/vnet");
  await using sim = new Simulation();
  const methods: Record<string, () => unknown> = { ["x".repeat(256)]: () => 1 };
  const options = { runtime: sim, serializer: json(), methods };
  await assertRejects(() => serve<Json>("tcp://:9966", options), RangeError);
  await assertRejects(() => connect<Json>("tcp://server:9966", options), RangeError);
  const server = await serve<Json>("tcp://:9966", { runtime: sim, serializer: json() });
  await server.close();
});

Deno.test("handlers of a client outlive its links", async () => {
  await using world = await makeWorld({ client: { methods: { f: () => "yes" } } });
  const { client, server, sim } = world;
  using _own = client.handle("g", () => "own");
  sim.link(client).cut();
  await sim.advance(500);
  const [peer] = server.peers;
  assert(peer !== undefined && peer !== world.peer);
  assertEquals(await world.run(Promise.all([peer.call("f"), peer.call("g")])), ["yes", "own"]);
});
