import {
  attach,
  type Bytes,
  json,
  type Peer,
  raw,
  RpcError,
  type Serializer,
  text,
  type Untyped,
} from "@vgo/vnet";
import { memoryPair } from "@vgo/vnet/testing";
import { assert, assertEquals } from "@std/assert";
import { counting, drain, fate, makePair, rpcError } from "./_support.ts";

/** Both ends with a serializer each, which need not be the same. */
async function pair<A, B>(client: Serializer<A>, server: Serializer<B>): Promise<
  [
    Peer<Untyped<A>["server"], Untyped<A>["client"]>,
    Peer<Untyped<B>["client"], Untyped<B>["server"]>,
  ]
> {
  const [here, there] = memoryPair();
  return await Promise.all([
    attach<"client", Untyped<A>>(here, { side: "client", serializer: client }),
    attach<"server", Untyped<B>>(there, { side: "server", serializer: server }),
  ]);
}

/** Numbers as eight bytes: none of its values is empty. */
function doubles(): Serializer<number> {
  return {
    name: "doubles",
    serialize: (value) => new Uint8Array(Float64Array.of(value).buffer),
    deserialize: (bytes) => {
      if (bytes.length !== 8) throw new RangeError(`Cannot read ${bytes.length} bytes as a number`);
      return new Float64Array(bytes.slice().buffer)[0] ?? NaN;
    },
  };
}

Deno.test("raw() carries bytes as they are, and the result is the caller's to change", async () => {
  const [client, server] = await pair(raw(), raw());
  const inputs: Bytes[] = [];
  server.handle("echo", (input) => (inputs.push(input), input));
  server.handle("view", () => counting(100).subarray(10, 20));
  server.handle("items", async function* (_input, { stream }) {
    yield* stream;
  });
  const body = counting(70_000);
  assertEquals(await client.call("echo", body), body);
  assertEquals(await client.call("view"), counting(10, 10));
  assertEquals([await client.call("echo"), inputs[1]], [new Uint8Array(0), new Uint8Array(0)]);
  const items = [counting(5), new Uint8Array(0), counting(300_000)];
  const got = (await drain(client.stream("items", undefined, { stream: items }))).items;
  assertEquals(got, items);
  const [first] = got;
  assert(first instanceof Uint8Array && first.buffer instanceof ArrayBuffer);
  first.fill(0);
  assertEquals(got[2], items[2]);
  const wrong = await Reflect.apply(client.call, client, ["echo", "text"]).catch((e: unknown) => e);
  assert(wrong instanceof TypeError);
  await client.close();
});

Deno.test("text() carries strings, the empty one and any other", async () => {
  const [client, server] = await pair(text(), text());
  server.handle("echo", (input) => input);
  server.handle("nothing", () => {});
  server.handle("items", async function* () {
    yield* ["", "ä€😀", ""];
  });
  for (const value of ["", "hello", "\u0000\ufeff", "ä€😀".repeat(30_000)]) {
    assertEquals(await client.call("echo", value), value);
  }
  assertEquals([await client.call("echo"), await client.call("nothing")], ["", ""]);
  assertEquals((await drain(client.stream("items"))).items, ["", "ä€😀", ""]);
  await client.close();
});

Deno.test("json() carries what JSON holds; undefined is nothing, on its own as well", async () => {
  const [client, server] = await pair(json<unknown>(), json<unknown>());
  server.handle("echo", (input) => input);
  server.handle("shape", (input) => [typeof input, input === null]);
  for (const value of [0, false, null, "", [], {}, { a: [1, "x", null] }, "__proto__"]) {
    assertEquals(await client.call("echo", value), value);
  }
  assertEquals(await client.call("echo", undefined), undefined);
  assertEquals(await client.call("shape", undefined), ["undefined", false]);
  assertEquals(await client.call("shape", null), ["object", true]);
  assertEquals(await client.call("echo", { a: undefined, b: 1 }), { b: 1 });
  // A bare Uint8Array is let through as it is.
  assertEquals(await client.call("echo", new TextEncoder().encode("[1]")), [1]);
  await client.close();
});

Deno.test("a serializer of one's own carries its values, and nothing where there is nothing", async () => {
  const [client, server] = await pair(doubles(), doubles());
  const inputs: unknown[] = [];
  server.handle("half", (input) => input / 2);
  server.handle("nothing", (input) => void inputs.push(input));
  server.handle("count", async function* (_input, { stream }) {
    for await (const n of stream) yield n + 0.5;
  });
  assertEquals(await client.call("half", 5), 2.5);
  assertEquals([await client.call("nothing"), inputs], [undefined, [undefined]]);
  const stream = client.stream("count", 0, { stream: [1, 2] });
  assertEquals((await drain(stream)).items, [1.5, 2.5]);
  await client.close();
});

Deno.test("serializers that disagree are refused by name; raw() fits all", async () => {
  const [here, there] = memoryPair();
  const ends = await Promise.allSettled([
    attach(here, { side: "client", serializer: text() }),
    attach(there, { side: "server", serializer: json() }),
  ]);
  for (const end of ends) {
    assert(end.status === "rejected" && end.reason.code === "UNSUPPORTED");
    assert(/'text'.*'json'/.test(end.reason.message), end.reason.message);
  }
  const [client, server] = await pair(raw(), json<unknown>());
  server.handle("sum", (input) => Array.isArray(input) ? input.length : 0);
  const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  assertEquals(new TextDecoder().decode(await client.call("sum", encode([1, 2, 3]))), "3");
  await client.close();
});

Deno.test("a body that is none of the serializer's is INVALID_ARGUMENT, and nothing ran", async () => {
  const [client, server] = await pair(raw(), json<unknown>());
  let ran = 0;
  server.handle("f", () => ++ran);
  for (const body of ["{", "nul", "\ufeff1", "1 2", "{'a':1}"]) {
    const error = await rpcError(client.call("f", new TextEncoder().encode(body)));
    assertEquals([error.code, error.executed, ran], ["INVALID_ARGUMENT", "no", 0], body);
  }
  assertEquals(await fate(client.call("f", Uint8Array.of(0xff))), "INVALID_ARGUMENT no");
  assertEquals(await fate(client.call("f", Uint8Array.of(0x31))), "OK");
  await client.close();
});

Deno.test("an item that is none of the serializer's ends the call at both ends", async () => {
  const [client, server] = await pair(raw(), json<unknown>());
  const seen: unknown[] = [];
  server.handle("read", async (_input, { stream }) => {
    for await (const item of stream) seen.push(item);
  });
  server.handle("forgiving", async (_input, { stream }) => {
    try {
      for await (const item of stream) seen.push(item);
    } catch (error) {
      return error instanceof RpcError && error.code;
    }
  });
  const bad = [Uint8Array.of(0x31), Uint8Array.of(0x7b), Uint8Array.of(0x32)];
  const error = await rpcError(client.call("read", undefined, { stream: bad }));
  assertEquals([error.code, error.executed, seen], ["INVALID_ARGUMENT", "yes", [1]]);
  const answer = await client.call("forgiving", undefined, { stream: bad });
  assertEquals(new TextDecoder().decode(answer), '"INVALID_ARGUMENT"');

  let ended = 0;
  client.handle("items", async function* () {
    try {
      for (let n = 0;; n++) yield n === 2 ? Uint8Array.of(0x7b) : Uint8Array.of(0x31);
    } finally {
      ended++;
    }
  });
  const { items, end } = await drain(server.stream("items"));
  assert(end instanceof RpcError && end.cause instanceof SyntaxError);
  assertEquals([items, end.code], [[1, 1], "INTERNAL"]);
  // The far side is told: nothing is left to wait for.
  const { cut } = await server.close({ grace: 1_000 });
  assertEquals([cut, ended], [0, 1]);
});

Deno.test("an answer that cannot be read is INTERNAL, and says why", async () => {
  const [client, server] = await pair(json<unknown>(), raw());
  server.handle("f", () => Uint8Array.of(0x7b));
  const error = await rpcError(client.call("f"));
  assert(error.cause instanceof SyntaxError);
  assertEquals([error.code, error.executed], ["INTERNAL", "yes"]);
  await client.close();
});

Deno.test("data of an error goes through the serializer, or comes as the bytes that it is", async () => {
  const [client, server] = await pair(json<unknown>(), raw());
  const fail = (data: unknown) => () => {
    throw new RpcError("ABORTED", "No", { data });
  };
  server.handle("good", fail(new TextEncoder().encode('{"a":1}')));
  server.handle("bad", fail(Uint8Array.of(0x7b)));
  assertEquals((await rpcError(client.call("good"))).data, { a: 1 });
  assertEquals((await rpcError(client.call("bad"))).data, Uint8Array.of(0x7b));
  await client.close();
});

Deno.test("methods of the options are typed by the serializer", async () => {
  const [client] = await makePair({}, { methods: { f: (input) => input } });
  assertEquals(await client.call("f", { deep: [1] }), { deep: [1] });
  await client.close();
});
