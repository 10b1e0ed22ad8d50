import { RpcError } from "@vgo/vnet";
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { aborted, drain, fate, makePair, makeWorld, rpcError, settle } from "./_support.ts";

/** Handlers that take what is sent along. */
const methods = {
  sum: async (_input: unknown, { stream }: { stream: AsyncIterable<unknown> }) => {
    let sum = 0;
    for await (const n of stream) sum += Number(n);
    return sum;
  },
  collect: async (_input: unknown, { stream }: { stream: AsyncIterable<unknown> }) => {
    const items: unknown[] = [];
    for await (const item of stream) items.push(item);
    return items;
  },
};

Deno.test("call() sends along what can be iterated: a list, generators, a ReadableStream", async () => {
  const [client] = await makePair({}, { methods });
  function* sync() {
    yield 1;
    yield 2;
  }
  async function* later() {
    yield 3;
    await settle();
    yield 4;
  }
  const sources = [[1, 2, 3], [], sync(), later(), ReadableStream.from([5, 6]), new Set([7])];
  const sums = await Promise.all(sources.map((stream) => client.call("sum", 0, { stream })));
  assertEquals(sums, [6, 0, 3, 7, 11, 7]);
  await client.close();
});

Deno.test("call() sends many items, empty ones and large ones, in order", async () => {
  const [client] = await makePair({}, { methods });
  const items = Array.from({ length: 5_000 }, (_, n) => "x".repeat(n % 40));
  items.push("y".repeat(1 << 20), "", "z");
  assertEquals(await client.call("collect", 0, { stream: items }), items);
  await client.close();
});

Deno.test("call() begins to read its stream when the call is written, and not before", async () => {
  let begun = 0;
  await using world = await makeWorld({ server: { methods } });
  const { client, run, sim } = world;
  sim.link(client).cut();
  await settle();
  async function* source() {
    begun++;
    yield 1;
  }
  const call = client.call("sum", 0, { stream: source() });
  await settle();
  assertEquals(begun, 0);
  assertEquals([await run(call), begun], [1, 1]);
  await run(client.close());
  // What never began is still the caller's, to be tried again.
  const unread = source();
  assertEquals(await fate(client.call("sum", 0, { stream: unread })), "UNAVAILABLE no");
  assertEquals((await drain(unread)).items, [1]);
});

Deno.test("a handler that reads slowly holds the caller's generator back", async () => {
  const gates: (() => void)[] = [];
  let pulled = 0;
  await using world = await makeWorld({
    server: {
      methods: {
        slow: async (_input, { stream }) => {
          for await (const _ of stream) await new Promise<void>((resolve) => gates.push(resolve));
        },
      },
    },
  });
  const { client, sim } = world;
  async function* source() {
    for (;;) {
      pulled++;
      yield "x".repeat(10_000);
    }
  }
  const call = fate(client.call("slow", 0, { stream: source(), timeout: 60_000 }));
  await sim.advance(1_000);
  assertEquals(pulled, 30);
  for (let read = 1; read <= 100; read++) {
    gates.shift()?.();
    await sim.advance(1);
    assert(pulled <= read + 31 && pulled >= read + 20, `${pulled} after ${read}`);
  }
  client.abort();
  await call;
});

Deno.test("an upload that the handler does not read waits, and ends with the answer", async () => {
  let pulled = 0;
  let ended = 0;
  await using world = await makeWorld({
    server: {
      methods: {
        ignore: async () => {
          await world.sim.sleep(1_000);
          return "done";
        },
        atOnce: () => "at once",
        refuse: () => {
          throw new RpcError("PERMISSION_DENIED");
        },
        some: async (_input, { stream }) => {
          const items: unknown[] = [];
          for await (const item of stream) {
            items.push(String(item).length);
            if (items.length === 3) break;
          }
          return items;
        },
      },
    },
  });
  const { client, peer, run } = world;
  async function* source() {
    try {
      for (;;) {
        pulled++;
        yield "x".repeat(10_000);
      }
    } finally {
      ended++;
    }
  }
  assertEquals(await run(client.call("ignore", 0, { stream: source() })), "done");
  assertEquals([pulled, ended], [30, 1]);
  assertEquals(await run(client.call("atOnce", 0, { stream: source() })), "at once");
  assertEquals(
    await run(fate(client.call("refuse", 0, { stream: source() }))),
    "PERMISSION_DENIED yes",
  );
  assertEquals(await run(fate(client.call("nope", 0, { stream: source() }))), "UNIMPLEMENTED no");
  assertEquals(await run(client.call("some", 0, { stream: source() })), [10_000, 10_000, 10_000]);
  await settle();
  assertEquals(ended, 5);
  const { finished, cut } = await run(peer.close({ grace: 1_000 }));
  assertEquals([finished, cut], [0, 0]);
});

Deno.test("an upload that waits for its next item learns at once that nobody wants it", async () => {
  let left = 0;
  const silent: AsyncIterable<unknown> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: () => (left++, Promise.resolve({ done: true, value: undefined })),
    }),
  };
  const [client] = await makePair({}, {
    methods: { atOnce: () => 1, hang: (_input, { signal }) => aborted(signal) },
  });
  assertEquals(await client.call("atOnce", 0, { stream: silent }), 1);
  await settle();
  assertEquals(left, 1);
  const controller = new AbortController();
  const call = fate(client.call("hang", 0, { stream: silent, signal: controller.signal }));
  await settle();
  controller.abort(new Error("enough"));
  assertEquals([await call, left], ["Error", 2]);
  const lost = fate(client.call("hang", 0, { stream: silent }));
  await settle();
  client.abort();
  assertEquals([await lost, left], ["UNAVAILABLE maybe", 3]);
});

Deno.test("the stream of a handler that has ended ends quietly, whoever still reads it", async () => {
  const seen: unknown[] = [];
  const [client] = await makePair({}, {
    methods: {
      background: (_input, { stream }) => {
        drain(stream).then((end) => seen.push(end));
        return "done";
      },
    },
  });
  async function* source() {
    yield 1;
    await new Promise(() => {});
  }
  assertEquals(await client.call("background", 0, { stream: source() }), "done");
  await settle();
  assertEquals(seen, [{ items: [], end: undefined }]);
  await client.close();
});

Deno.test("an upload that throws cancels the call, and is the cause", async () => {
  const seen: unknown[] = [];
  await using world = await makeWorld({
    server: {
      methods: {
        read: async (_input, { stream, signal }) => {
          try {
            for await (const item of stream) seen.push(item);
          } catch (error) {
            seen.push(error === signal.reason);
            throw error;
          }
        },
        items: async function* (_input, { stream }) {
          for await (const item of stream) yield item;
        },
      },
    },
  });
  const { client, run, sim, errors } = world;
  const cause = new Error("mine");
  async function* broken() {
    yield 1;
    await sim.sleep(10);
    throw cause;
  }
  const error = await run(rpcError(client.call("read", 0, { stream: broken() })));
  assertEquals([error.code, error.executed, error.initiator], ["CANCELLED", "maybe", "local"]);
  assertStrictEquals(error.cause, cause);
  await sim.advance(10);
  assertEquals([seen, errors], [[1, true], []]);

  const { items, end } = await run(drain(client.stream("items", 0, { stream: broken() })));
  assert(end instanceof RpcError);
  assertEquals([items, end.code], [[1], "CANCELLED"]);
  assertStrictEquals(end.cause, cause);
  const unsendable = await run(rpcError(client.call("read", 0, { stream: [1, 10n] })));
  assert(unsendable.cause instanceof TypeError);
});

Deno.test("an upload's item that the other end would not take fails the call, not the session", async () => {
  const [client] = await makePair({}, { limits: { maxMessageLength: 50_000 }, methods });
  const error = await rpcError(client.call("collect", 0, { stream: ["x".repeat(50_000)] }));
  assert(error.cause instanceof RpcError && error.cause.code === "RESOURCE_EXHAUSTED");
  assertEquals(await client.call("sum", 0, { stream: [5] }), 5);
  await client.close();
});

Deno.test("the stream of a cancelled call throws signal.reason in its handler, after what had come", async () => {
  const seen: unknown[] = [];
  await using world = await makeWorld({
    server: {
      methods: {
        read: async (_input, { stream, signal }) => {
          await world.sim.sleep(100);
          try {
            for await (const item of stream) seen.push(item);
          } catch (error) {
            seen.push(error === signal.reason);
          }
        },
      },
    },
  });
  const { client, sim } = world;
  async function* source() {
    yield 1;
    yield 2;
    await new Promise(() => {});
  }
  const call = fate(client.call("read", 0, { stream: source(), timeout: 50 }));
  await sim.advance(200);
  assertEquals([await call, seen], ["DEADLINE_EXCEEDED maybe", [1, 2, true]]);
});

Deno.test("a source that ends the client while it is begun does no harm", async () => {
  await using world = await makeWorld({ server: { methods } });
  const { client, run } = world;
  const stream: AsyncIterable<unknown> = {
    [Symbol.asyncIterator]() {
      client.abort();
      return { next: () => Promise.resolve({ done: true, value: undefined }) };
    },
  };
  const calls = [client.call("sum", 0, { stream }), client.call("sum", 0, { stream: [1] })];
  for (const end of await run(Promise.all(calls.map(fate)))) {
    assert(["UNAVAILABLE maybe", "UNAVAILABLE no"].includes(end), end);
  }
});
