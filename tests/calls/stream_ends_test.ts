import { RpcError } from "@vgo/vnet";
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { aborted, drain, fate, makePair, makeWorld, settle } from "./_support.ts";

Deno.test("leaving the loop cancels the far side, and its generator's finally runs", async () => {
  const ended: string[] = [];
  const signals: AbortSignal[] = [];
  await using world = await makeWorld({
    server: {
      methods: {
        fast: async function* (_input, { signal }) {
          signals.push(signal);
          try {
            for (;;) yield "x".repeat(10_000);
          } finally {
            ended.push("fast");
          }
        },
        waiting: async function* (_input, { signal }) {
          signals.push(signal);
          try {
            yield 1;
            await aborted(signal);
          } finally {
            ended.push("waiting");
          }
        },
        last: async function* () {
          try {
            for (let n = 0; n < 27; n++) yield "x".repeat(10_000);
          } finally {
            ended.push("last");
          }
        },
      },
    },
  });
  const { client, run, sim, errors, peer } = world;
  for (const method of ["fast", "waiting", "last"]) {
    const loop = async () => {
      for await (const _ of client.stream(method)) break;
    };
    await run(loop());
    await sim.advance(10);
  }
  const unread = ["fast", "last"].map((method) => client.stream(method));
  await sim.advance(10);
  // The last one has given all its items: only credit is missing.
  for (const stream of unread) stream.cancel();
  await sim.advance(10);
  assertEquals(ended, ["fast", "waiting", "last", "last", "fast"]);
  assertEquals(signals.map(({ aborted }) => aborted), [true, true, true]);
  assertEquals(errors, []);
  // Nothing is left open at either end: a drain has nothing to wait for.
  const { finished, cut } = await run(peer.close({ grace: 1_000 }));
  assertEquals([finished, cut], [0, 0]);
});

Deno.test("leaving the loop ends what the handler passed on, though no item ever came", async () => {
  let ended = 0;
  const [proxied] = await makePair({}, {
    methods: {
      silent: async function* (_input, { signal }) {
        try {
          yield* [] as unknown[];
          await aborted(signal);
        } finally {
          ended++;
        }
      },
    },
  });
  const [client] = await makePair({}, { methods: { pass: () => proxied.stream("silent") } });
  const stream = client.stream("pass");
  await settle(10);
  stream.cancel();
  await settle(10);
  assertEquals(ended, 1);
  const { cut } = await proxied.close({ grace: 50 });
  assertEquals(cut, 0);
  await client.close();
});

Deno.test("what a handler gives too late is ended, and a generator not even begun", async () => {
  let begun = 0;
  let ended = 0;
  const gates: (() => void)[] = [];
  const [upstream] = await makePair({}, {
    methods: {
      silent: async function* (_input, { signal }) {
        try {
          yield* [];
          await aborted(signal);
        } finally {
          ended++;
        }
      },
    },
  });
  async function* items() {
    begun++;
    yield 1;
  }
  const late = async <T>(give: () => T) => {
    await new Promise<void>((resolve) => gates.push(resolve));
    return give();
  };
  const methods = { own: () => late(items), passed: () => late(() => upstream.stream("silent")) };
  // Cancelled, and lost.
  const [client, server] = await makePair({}, { methods });
  for (const how of ["cancel", "lose"]) {
    const streams = [client.stream("own"), client.stream("passed")];
    await settle();
    if (how === "cancel") { for (const stream of streams) stream.cancel(); }
    else client.abort();
    await settle();
    for (const open of gates.splice(0)) open();
    await settle(10);
    assertEquals([how, begun, upstream.stats.callsOut], [how, 0, how === "cancel" ? 1 : 2]);
  }
  await server.closed;
  // Given up in the turn in which it was made, the other call was never written.
  assertEquals([ended, (await upstream.close({ grace: 1_000 })).cut], [0, 0]);
});

Deno.test("a generator that throws does so at the loop, after all items before it", async () => {
  await using world = await makeWorld({
    server: {
      methods: {
        rpc: async function* () {
          yield 1;
          yield 2;
          yield 3;
          throw new RpcError("OUT_OF_RANGE", "No more", { data: { at: 3 } });
        },
        other: async function* () {
          yield* ["a", "b"];
          throw new Error("secret");
        },
        atOnce: async function* () {
          yield* [];
          throw new RpcError("ABORTED");
        },
        slowly: async function* () {
          for (let n = 0; n < 50; n++) yield "x".repeat(10_000);
          throw new RpcError("DATA_LOSS");
        },
        unsendable: async function* () {
          yield 1;
          yield 10n;
        },
        held: async function* () {
          for (let n = 0; n < 28; n++) yield "x".repeat(10_000);
          throw new RpcError("DATA_LOSS");
        },
      },
    },
  });
  const { client, run, sim, errors } = world;
  const rpc = await run(drain(client.stream("rpc")));
  assert(rpc.end instanceof RpcError);
  assertEquals(rpc.items, [1, 2, 3]);
  assertEquals([rpc.end.code, rpc.end.message, rpc.end.data, rpc.end.executed], [
    "OUT_OF_RANGE",
    "No more",
    { at: 3 },
    "yes",
  ]);
  const ends = ["other", "atOnce", "slowly", "unsendable"].map(async (method) => {
    const { items, end } = await drain(client.stream(method));
    return [items.length, await fate(Promise.reject(end))];
  });
  assertEquals(await run(Promise.all(ends)), [
    [2, "INTERNAL yes"],
    [0, "ABORTED yes"],
    [50, "DATA_LOSS yes"],
    [1, "INTERNAL yes"],
  ]);
  assertEquals(errors.length, 2);
  // It has failed before its last two items had credit.
  const held = client.stream("held");
  await sim.advance(10);
  const { items, end } = await run(drain(held));
  assertEquals([items.length, await fate(Promise.reject(end))], [28, "DATA_LOSS yes"]);
});

Deno.test("cancel() ends the call, and the loop throws its reason after what had come", async () => {
  let reason: unknown;
  await using world = await makeWorld({
    server: {
      methods: {
        items: async function* (_input, { signal }) {
          signal.addEventListener("abort", () => reason = signal.reason);
          yield 1;
          yield 2;
          await aborted(signal);
        },
      },
    },
  });
  const { client, run, sim } = world;
  const mine = new Error("mine");
  const stream = client.stream("items");
  await sim.advance(10);
  stream.cancel(mine);
  stream.cancel(new Error("too late"));
  const { items, end } = await run(drain(stream));
  assertEquals(items, [1, 2]);
  assertStrictEquals(end, mine);
  await sim.advance(10);
  assert(reason instanceof RpcError && reason.code === "CANCELLED");

  const plain = client.stream("items");
  const reader = plain[Symbol.asyncIterator]();
  await run(reader.next());
  await run(reader.next());
  const waiting = reader.next();
  plain.cancel();
  await assertRejects(() => waiting, DOMException, "cancelled");
});

Deno.test("await using ends the call of a stream", async () => {
  let ended = 0;
  await using world = await makeWorld({
    server: {
      methods: {
        items: async function* (_input, { signal }) {
          try {
            await aborted(signal);
            yield 1;
          } finally {
            ended++;
          }
        },
      },
    },
  });
  const { client, sim } = world;
  {
    await using stream = client.stream("items");
    await sim.advance(10);
    assertEquals(ended, 0);
    assertEquals(typeof stream.cancel, "function");
  }
  await sim.advance(10);
  assertEquals(ended, 1);
  // A loop that begins after it finds nothing, and no error.
  const stream = client.stream("items");
  await stream[Symbol.asyncDispose]();
  assertEquals(await drain(stream), { items: [], end: undefined });
});

Deno.test("idleTimeout is how long the loop waits for the next item, and no slower a loop is", async () => {
  await using world = await makeWorld({
    server: {
      methods: {
        items: async function* (gaps, { signal }) {
          const list: unknown[] = Array.isArray(gaps) ? gaps : [];
          for (const gap of list) {
            await Promise.race([world.sim.sleep(Number(gap)), aborted(signal)]);
            yield gap;
          }
        },
      },
    },
  });
  const { client, run, sim } = world;
  const steady = await run(drain(client.stream("items", [90, 90, 90], { idleTimeout: 100 })));
  assertEquals([steady.items.length, steady.end], [3, undefined]);

  const begun = sim.clock.now();
  const silent = await run(drain(client.stream("items", [10, 500], { idleTimeout: 100 })));
  assertEquals([silent.items, await fate(Promise.reject(silent.end))], [
    [10],
    "DEADLINE_EXCEEDED maybe",
  ]);
  assertEquals(sim.clock.now() - begun, 110);

  const slow: unknown[] = [];
  const loop = async () => {
    for await (const item of client.stream("items", [1, 1, 300], { idleTimeout: 100 })) {
      slow.push(item);
      await sim.sleep(400);
    }
  };
  await run(loop());
  assertEquals(slow.length, 3);

  const start = sim.clock.now();
  const nothing = await run(drain(client.stream("items", [1e9])));
  assertEquals([nothing.items, sim.clock.now() - start], [[], 30_000]);
});

Deno.test("a stream has no other time limit, unless it is told", async () => {
  await using world = await makeWorld({
    server: {
      callTimeout: 1_000,
      methods: {
        ticks: async function* (_input, { deadline, signal }) {
          yield deadline - world.sim.clock.now();
          for (let n = 0; n < 200; n++) {
            await Promise.race([world.sim.sleep(1_000), aborted(signal)]);
            yield n;
          }
        },
      },
    },
    client: { callTimeout: 1_000 },
  });
  const { client, run } = world;
  const long = await run(drain(client.stream("ticks")));
  assertEquals([long.items.length, long.items[0], long.end], [201, null, undefined]);
  const limited = await run(drain(client.stream("ticks", 1, { timeout: 3_500 })));
  assertEquals([limited.items, await fate(Promise.reject(limited.end))], [
    [3_500, 0, 1, 2],
    "DEADLINE_EXCEEDED maybe",
  ]);
});

Deno.test("a stream that nobody loops over is given up after idleTimeout", async () => {
  let ended = 0;
  await using world = await makeWorld({
    server: {
      methods: {
        items: async function* () {
          try {
            for (;;) yield "x".repeat(1_000);
          } finally {
            ended++;
          }
        },
      },
    },
  });
  const { client, sim } = world;
  client.stream("items", 1, { idleTimeout: 500 });
  await sim.advance(400);
  assertEquals(ended, 0);
  await sim.advance(200);
  assertEquals(ended, 1);
});
