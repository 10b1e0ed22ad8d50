/** Spans of streams: when they end, and that nothing else changes by being watched. */
import { trace } from "@opentelemetry/api";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { RpcError } from "@vgo/vnet";
import { telemetry } from "@vgo/vnet/otel";
import { drain, makeWorld, type World } from "../calls/_support.ts";
import { lines, only, register } from "./_support.ts";

const sdk = register();
const interceptors = [telemetry().interceptor];

/** A world with a server that counts. */
function streaming(): Promise<World> {
  return makeWorld({
    client: { interceptors },
    server: {
      interceptors,
      methods: {
        async *count(to) {
          for (let n = 1; n <= Number(to); n++) yield [n, trace.getActiveSpan() !== undefined];
          await Promise.resolve();
        },
        async *fails() {
          yield 1;
          await Promise.resolve();
          throw new RpcError("DATA_LOSS", "torn");
        },
        one: () => 1,
        echo: (_input, { stream }) => stream,
        total: async (_input, { stream }) => (await Array.fromAsync(stream)).length,
      },
    },
  });
}

Deno.test("telemetry() the span of a stream ends with its last item", async () => {
  await using world = await streaming();
  const { client, run, sim } = world;
  const stream = client.stream("count", 3);
  const items = stream[Symbol.asyncIterator]();
  const got = [await run(items.next())];
  await sim.advance(100);
  // The server has sent all three; the caller is not through with them.
  assertEquals(lines(await sdk.spans()), ["SERVER count UNSET OK"]);
  got.push(await run(items.next()), await run(items.next()));
  assertEquals(await sdk.spans(), []);
  assertEquals((await run(items.next())).done, true);
  assertEquals(lines(await sdk.spans()), ["CLIENT count UNSET OK"]);
  // The handler's span is active in each step of it.
  assertEquals(got.map(({ value }) => value), [[1, true], [2, true], [3, true]]);
});

Deno.test("telemetry() the span of a stream ends with its failure", async () => {
  await using world = await streaming();
  const { items, end } = await world.run(drain(world.client.stream("fails")));
  assertEquals([items, end instanceof RpcError && end.code], [[1], "DATA_LOSS"]);
  const spans = await sdk.spans();
  assertEquals(lines(spans), ["CLIENT fails ERROR DATA_LOSS", "SERVER fails ERROR DATA_LOSS"]);
  assertEquals(
    only(spans, "SERVER").parentSpanContext?.spanId,
    only(spans, "CLIENT").spanContext().spanId,
  );
  const none = await world.run(drain(world.client.stream("nope")));
  assertEquals(none.end instanceof RpcError && none.end.code, "UNIMPLEMENTED");
  assertEquals(lines(await sdk.spans()), ["CLIENT nope ERROR UNIMPLEMENTED"]);
});

Deno.test("telemetry() to leave a stream is no error, however it is done", async () => {
  await using world = await streaming();
  const { client, run, sim } = world;
  const ways: [string, () => Promise<void>][] = [
    ["the loop", async () => {
      for await (const _item of client.stream("count", 1e9)) break;
    }],
    ["dispose", async () => {
      await using _stream = client.stream("count", 1e9);
    }],
    ["cancel", async () => {
      const stream = client.stream("count", 1e9);
      stream.cancel(new Error("enough"));
      await assertRejects(() => Array.fromAsync(stream), Error, "enough");
    }],
  ];
  for (const [name, way] of ways) {
    await run(way());
    await sim.advance(100);
    const spans = lines(await sdk.spans());
    // One that was left at once was never sent.
    const both = ["CLIENT count UNSET CANCELLED", "SERVER count UNSET CANCELLED"];
    assertEquals(spans, name === "the loop" ? both : both.slice(0, 1), name);
  }
});

Deno.test("telemetry() a source that waits learns at once that nobody wants its items", async () => {
  let left = 0;
  const never = new Promise<never>(() => {});
  const source = {
    [Symbol.asyncIterator]: () => ({
      next: () => never,
      return: () => {
        left++;
        return Promise.resolve({ done: true as const, value: undefined });
      },
    }),
  };
  await using world = await makeWorld({
    client: { interceptors },
    server: { interceptors, methods: { silence: () => source } },
  });
  const { client, run, sim } = world;
  const stream = client.stream("silence");
  await sim.advance(100);
  await run(Promise.resolve(stream[Symbol.asyncDispose]()));
  await sim.advance(100);
  assertEquals(left, 1);
  assertEquals(lines(await sdk.spans()), [
    "CLIENT silence UNSET CANCELLED",
    "SERVER silence UNSET CANCELLED",
  ]);
  // Nor does its caller's deadline wait for it.
  const late = await run(drain(client.stream("silence", undefined, { timeout: 50 })));
  assertEquals(late.end instanceof RpcError && late.end.code, "DEADLINE_EXCEEDED");
  await sim.advance(100);
  assertEquals(left, 2);
  assertEquals(lines(await sdk.spans()), [
    "CLIENT silence ERROR DEADLINE_EXCEEDED",
    "SERVER silence ERROR DEADLINE_EXCEEDED",
  ]);
});

Deno.test("telemetry() streams behave as they do without", async () => {
  await using world = await streaming();
  const { client, run } = world;
  const stream = client.stream("count", 2);
  assertEquals((await run(drain(stream))).items.length, 2);
  assertThrows(() => stream[Symbol.asyncIterator](), TypeError, "another loop");
  assertEquals((await run(drain(client.stream("one")))).items, [1]);
  const echo = client.stream("echo", undefined, { stream: ["a", "b"] });
  assertEquals((await run(drain(echo))).items, ["a", "b"]);
  assertEquals(await run(client.call("total", undefined, { stream: [1, 2, 3] })), 3);
  assertEquals((await sdk.spans()).length, 8);
});
