import { RpcError } from "@vgo/vnet";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { drain, fate, makePair, makeWorld, settle } from "./_support.ts";

Deno.test("stream() gives the items of a generator in order, and ends with it", async () => {
  const [client] = await makePair({}, {
    methods: {
      count: async function* (to) {
        for (let n = 0; n < Number(to); n++) yield n;
      },
      later: async function (to) {
        await settle();
        return (async function* () {
          for (let n = 0; n < Number(to); n++) yield n, await settle(1);
        })();
      },
      readable: () => ReadableStream.from(["a", "b"]),
      one: () => "a value is a stream of one",
    },
  });
  const all = Array.from({ length: 1_000 }, (_, n) => n);
  assertEquals(await drain(client.stream("count", 1_000)), { items: all, end: undefined });
  assertEquals((await drain(client.stream("count", 0))).items, []);
  assertEquals((await drain(client.stream("later", 3))).items, [0, 1, 2]);
  assertEquals((await drain(client.stream("readable"))).items, ["a", "b"]);
  assertEquals((await drain(client.stream("one"))).items, ["a value is a stream of one"]);
  await client.close();
});

Deno.test("stream() goes both ways, and a server streams from its client too", async () => {
  const [client, server] = await makePair({
    methods: {
      count: async function* () {
        yield* [1, 2];
      },
    },
  }, {
    methods: {
      shout: async function* (_input, { stream }) {
        for await (const word of stream) yield String(word).toUpperCase();
      },
    },
  });
  const echoed = await drain(client.stream("shout", 1, { stream: ["a", "b", "c"] }));
  assertEquals(echoed, { items: ["A", "B", "C"], end: undefined });
  assertEquals((await drain(server.stream("count"))).items, [1, 2]);
  await client.close();
});

Deno.test("stream() goes back and forth: an item is answered before the next is sent", async () => {
  const [client] = await makePair({}, {
    methods: {
      double: async function* (_input, { stream }) {
        for await (const n of stream) yield Number(n) * 2;
      },
    },
  });
  const next: ((n: number | undefined) => void)[] = [];
  async function* questions() {
    for (;;) {
      const n = await new Promise<number | undefined>((resolve) => next.push(resolve));
      if (n === undefined) return;
      yield n;
    }
  }
  const answers: unknown[] = [];
  const loop = (async () => {
    for await (const answer of client.stream("double", 1, { stream: questions() })) {
      answers.push(answer);
      next.shift()?.(answers.length < 3 ? Number(answer) + 1 : undefined);
    }
  })();
  await settle(10);
  next.shift()?.(5);
  await loop;
  assertEquals(answers, [10, 22, 46]);
  await client.close();
});

Deno.test("a slow reader holds the generator back: no more than a window is on its way", async () => {
  let yielded = 0;
  await using world = await makeWorld({
    server: {
      methods: {
        items: async function* () {
          for (;;) {
            yielded++;
            yield "x".repeat(10_000);
          }
        },
      },
    },
  });
  const { client, run, sim } = world;
  const reader = client.stream("items")[Symbol.asyncIterator]();
  await sim.advance(1_000);
  // 256 KiB of credit hold 26 items of 10,018; the sender has four more at hand.
  assertEquals(yielded, 30);
  for (let read = 1; read <= 200; read++) {
    await run(reader.next());
    await sim.advance(10);
    assert(yielded <= read + 31 && yielded >= read + 20, `${yielded} after ${read}`);
  }
  await reader.return?.();
});

Deno.test("a stream that nobody reads slows nobody else, neither calls nor streams", async () => {
  await using world = await makeWorld({
    server: {
      methods: {
        items: async function* () {
          for (let n = 0; n < 200; n++) yield "x".repeat(10_000);
        },
        f: (n) => n,
      },
    },
  });
  const { client, run, sim } = world;
  const stalled = Array.from({ length: 10 }, () => client.stream("items"));
  await sim.advance(1_000);
  assertEquals(await run(client.call("f", 5)), 5);
  const { items } = await run(drain(client.stream("items")));
  assertEquals(items.length, 200);
  for (const stream of stalled) stream.cancel();
});

Deno.test("call() of a streaming method, and what it says", async () => {
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
  const { client, run, sim } = world;
  const end = await run(client.call("items").catch((error) => error));
  assert(end instanceof RpcError);
  assertEquals([end.code, end.message.includes("use stream()")], ["FAILED_PRECONDITION", true]);
  await sim.advance(10);
  assertEquals(ended, 1);
});

Deno.test("stream() is for one loop, and one read at a time", async () => {
  const [client] = await makePair({}, { methods: { one: () => new Promise(() => {}) } });
  const stream = client.stream("one");
  const reader = stream[Symbol.asyncIterator]();
  await assertRejects(
    async () => {
      for await (const _ of stream);
    },
    TypeError,
    "another loop",
  );
  const first = reader.next();
  await assertRejects(() => reader.next(), TypeError, "another read");
  stream.cancel();
  await assertRejects(() => first, DOMException);
  assertEquals(await reader.next(), { done: true, value: undefined });
  await client.close({ grace: 0 });
});

Deno.test("items of a MiB, larger than the window, and empty ones come whole and in order", async () => {
  const sizes = [1 << 20, 0, 1, 262_144 - 18, 262_144, 3 << 20, 0];
  const [client] = await makePair({}, {
    methods: {
      items: async function* () {
        for (const size of sizes) yield "y".repeat(size);
      },
    },
  });
  const { items } = await drain(client.stream("items"));
  assertEquals(items.map((item) => String(item).length), sizes);
  assert(items.every((item) => /^y*$/.test(String(item))));
  await client.close();
});

Deno.test("an item that the other end would not take fails the call, not the session", async () => {
  const [client] = await makePair({ limits: { maxMessageLength: 50_000 } }, {
    methods: {
      items: async function* () {
        yield "a";
        yield "x".repeat(50_000);
      },
    },
  });
  const { items, end } = await drain(client.stream("items"));
  assertEquals([items, await fate(Promise.reject(end))], [["a"], "RESOURCE_EXHAUSTED yes"]);
  assertEquals(await fate(client.call("nope")), "UNIMPLEMENTED no");
  await client.close();
});
