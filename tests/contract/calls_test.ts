import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { attach, connect, json, RpcError, serve, text, type Untyped } from "@vgo/vnet";
import { bytes, contract, method, type } from "@vgo/vnet/contract";
import { memoryPair, Simulation } from "@vgo/vnet/testing";
import { taken } from "../../src/peer/trust.ts";
import { collector, fate, rpcError } from "../calls/_support.ts";
import { contractPair, doubled, jsonBytes, own, refused, strangerPair, utf8 } from "./_support.ts";

Deno.test("call() checks on both ends, sends the original, and hands out what arrives as validated", async () => {
  const input = doubled();
  const output = doubled();
  const api = contract({ server: { f: method({ input, output }) } });
  const got: number[] = [];
  const [client] = await contractPair(api, {
    methods: { f: (n) => (got.push(n), n + 1) },
  });
  // 5 travels, 10 arrives; 11 travels, 22 arrives: each transform runs once.
  assertEquals(await client.call("f", 5), 22);
  assertEquals([got, input.asked, output.asked], [[10], 2, 2]);
  await client.close();
});

Deno.test("call() an input that does not fit never leaves: INVALID_ARGUMENT, no, with its issues", async () => {
  const input = own<{ a: { b: number }[] }>(() => ({
    issues: [
      { message: "Expected a number", path: ["a", { key: 0 }, "b"] },
      { message: "Expected more" },
    ],
  }));
  const api = contract({ server: { f: method({ input }), g: method({ input, yields: type() }) } });
  const [client, server] = await contractPair(api);
  const error = await rpcError(client.call("f", { a: [] }));
  assertEquals([error.code, error.executed, error.initiator], ["INVALID_ARGUMENT", "no", "local"]);
  assertEquals(error.issues, [
    { message: "Expected a number", path: ["a", 0, "b"] },
    { message: "Expected more", path: [] },
  ]);
  const words =
    "The input of 'f' does not fit the contract: 'a.0.b': Expected a number (and 1 more)";
  assertEquals([error.message, error.data], [words, { issues: error.issues }]);
  // A stream is made all the same: its loop throws.
  const items = client.stream("g", { a: [] });
  const thrown = await rpcError(Array.fromAsync(items));
  assertEquals([thrown.code, thrown.executed, thrown.issues.length], ["INVALID_ARGUMENT", "no", 2]);
  assertEquals([server.stats.callsIn, client.stats.callsOut], [0, 0]);
  await client.close();
});

Deno.test("call() an input that does not fit where it arrives comes back with the same issues", async () => {
  const input = own<unknown>((value) =>
    typeof value === "number" ? { value } : refused("Expected a number", ["x", Symbol("y"), 2])
  );
  let ran = 0;
  const { logger, errors } = collector();
  const api = contract({ server: { f: method({ input }) } });
  const [stranger, server] = await strangerPair(api, { logger, methods: { f: () => void ran++ } });
  const answer = await rpcError(stranger.call("f", jsonBytes("5")));
  assertEquals([answer.code, answer.executed, ran], ["INVALID_ARGUMENT", "no", 0]);
  // The bytes of the issues are the contract's: this stranger cannot read them.
  assertEquals(
    answer.data,
    jsonBytes({
      issues: [{ message: "Expected a number", path: ["x", "Symbol(y)", 2] }],
    }),
  );
  assertEquals([answer.issues, errors], [[], []]);
  assertEquals(await fate(stranger.call("f", jsonBytes(5))), "OK");
  await stranger.close();
  await server.closed;

  // One that speaks JSON reads them without a contract.
  const [here, there] = memoryPair();
  const [caller] = await Promise.all([
    attach(here, { side: "client", serializer: json() }),
    attach(there, { side: "server", contract: api }),
  ]);
  assertEquals(
    (await rpcError(caller.call("f", "5"))).code,
    "UNIMPLEMENTED",
    "There is no handler",
  );
  await caller.close();
  const [other] = await Promise.all([...pairOfJson(api)]);
  const error = await rpcError(other.call("f", "5"));
  assertEquals(error.issues, [{ message: "Expected a number", path: ["x", "Symbol(y)", 2] }]);
  assertEquals([error.initiator, ran], ["remote", 1]);
  await other.close();

  function pairOfJson(contract: typeof api) {
    const [here, there] = memoryPair();
    return [
      attach(here, { side: "client", serializer: json() }),
      attach(there, { side: "server", contract, methods: { f: () => void ran++ } }),
    ] as const;
  }
});

Deno.test("call() an answer that does not fit is INTERNAL without text, and told those who watch", async () => {
  const output = own<{ secret: string }>(() => refused("Expected no secret", ["secret"]));
  const { logger, errors } = collector();
  const api = contract({ server: { f: method({ output }), g: method({ output }) } });
  const [client] = await contractPair(api, {
    logger,
    methods: {
      f: () => ({ secret: "hunter2" }),
      g: () => Promise.resolve({ secret: "hunter2" }),
    },
  });
  for (const name of ["f", "g"] as const) {
    const error = await rpcError(client.call(name));
    assertEquals([error.code, error.executed, error.message], [
      "INTERNAL",
      "yes",
      "The handler failed",
    ]);
    assertEquals([error.data, error.issues], [undefined, []]);
    const [told] = errors.splice(0);
    assert(told instanceof TypeError);
    assertEquals(
      [told.message, told.cause],
      [
        `Cannot send answer of '${name}' as it must fit the contract: 'secret': Expected no secret`,
        [{ message: "Expected no secret", path: ["secret"] }],
      ],
    );
  }
  await client.close();
});

Deno.test("call() an answer that the caller's own contract refuses is INTERNAL, with its issues", async () => {
  const api = contract({ server: { f: method({ output: doubled() }) } });
  const other = contract({ server: { f: method({ output: type<string>() }) } });
  const [here, there] = memoryPair();
  const [client] = await Promise.all([
    attach(here, { side: "client", contract: api }),
    attach(there, { side: "server", contract: other, methods: { f: () => "five" } }),
  ]);
  const error = await rpcError(client.call("f"));
  assertEquals([error.code, error.executed, error.initiator], ["INTERNAL", "yes", "remote"]);
  assertEquals(error.issues, [{ message: "Expected a number", path: ["n"] }]);
  await client.close();
});

Deno.test("call() in both directions, each side by its own half of the contract", async () => {
  const api = contract({
    server: { order: method({ input: type<string>(), output: type<string>() }) },
    client: { confirm: method({ input: type<string>(), output: type<boolean>() }) },
  });
  const [client, server] = await contractPair(api, {
    methods: {
      order: async (item, call) =>
        await call.peer.call("confirm", `${item}?`, { parent: call }) ? "yes" : "no",
    },
  }, { methods: { confirm: (question) => question === "cake?" } });
  assertEquals(await client.call("order", "cake"), "yes");
  assertEquals(await client.call("order", "elephant"), "no");
  // Nobody has the methods of the other side.
  assertThrows(() => Reflect.apply(client.handle, client, ["order", () => "x"]), TypeError);
  assertThrows(() => Reflect.apply(server.handle, server, ["confirm", () => true]), TypeError);
  await client.close();
});

Deno.test("call() a method without input takes none, and one without output gives none", async () => {
  const seen: unknown[] = [];
  const api = contract({ server: { touch: method() } });
  const { logger, errors } = collector();
  const methods = { touch: (input: unknown) => void seen.push(input) };
  const [client] = await contractPair(api, { methods });
  assertEquals(await client.call("touch"), undefined);
  const error = await rpcError(Reflect.apply(client.call, client, ["touch", 5]));
  assertEquals([error.code, error.message], [
    "INVALID_ARGUMENT",
    "The input of 'touch' does not fit the contract: Expected nothing at all",
  ]);
  await client.close();

  const [stranger, server] = await strangerPair(api, { logger, methods });
  assertEquals(await fate(stranger.call("touch")), "OK");
  assertEquals(await fate(stranger.call("touch", utf8("null"))), "INVALID_ARGUMENT no");
  assertEquals([seen, errors], [[undefined, undefined], []]);
  await stranger.close();
  await server.closed;

  const [other] = await contractPair(api, {
    logger,
    methods: { touch: () => taken(5) },
  });
  assertEquals(await fate(other.call("touch")), "INTERNAL yes");
  assertEquals(errors.map(String), [
    "TypeError: Cannot send answer of 'touch' as it must fit the contract: Expected nothing at all",
  ]);
  await other.close();
});

Deno.test("call() bytes() pass the serializer by, and nothing else passes for them", async () => {
  const api = contract({
    server: { hash: method({ input: bytes(), output: bytes() }) },
    client: { text: method({ input: type<string>(), output: bytes() }) },
  });
  const [client, server] = await contractPair(
    api,
    { methods: { hash: (input) => input.map((byte) => byte ^ 0xff) } },
    { methods: { text: (text) => utf8(text) } },
  );
  assertEquals(await client.call("hash", Uint8Array.of(0, 0x7b, 255)), Uint8Array.of(255, 132, 0));
  assertEquals(await client.call("hash", new Uint8Array(0)), new Uint8Array(0));
  assertEquals(await server.call("text", "{"), utf8("{"));
  const error = await rpcError(Reflect.apply(client.call, client, ["hash", "text"]));
  assertEquals([error.code, error.issues[0]?.message], ["INVALID_ARGUMENT", "Expected bytes"]);
  await client.close();
});

Deno.test("call() names are those of the contract, whatever they are: F12", async () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty", "then", "prototype"];
  const echo = method({ input: type<number>(), output: type<number>() });
  for (const name of names) {
    const { [name]: own } = { [name]: echo };
    assert(own === echo);
    const api = contract({ server: { [name]: echo } });
    const [client, server] = await contractPair(api, { methods: { [name]: (n: number) => n + 1 } });
    assertEquals(await client.call(name, 5), 6);
    for (const other of names) {
      if (other === name) continue;
      await assertRejects(() => client.call(other, 5), TypeError, "has no such method");
      assertThrows(() => server.handle(other, () => 1), TypeError, "has no such method");
    }
    await client.close();
    await server.closed;
    const [stranger] = await strangerPair(api, { methods: { [name]: (n: number) => n + 1 } });
    for (const other of names) {
      const expected = other === name ? "OK" : "UNIMPLEMENTED no";
      assertEquals(await fate(stranger.call(other, utf8("5"))), expected, `${name} ${other}`);
    }
    await stranger.close();
  }
  assertEquals(Reflect.get({}, "polluted"), undefined);
});

Deno.test("call() what a contract does not have is a mistake where it is made", async () => {
  const api = contract({
    server: {
      one: method({ output: type<number>() }),
      many: method({ yields: type<number>() }),
      up: method({ stream: type<number>() }),
    },
  });
  const [client, server] = await contractPair(api, {
    methods: { one: () => 1, up: () => {}, many: async function* () {} },
  });
  const call = (...args: unknown[]) => Reflect.apply(client.call, client, args);
  await assertRejects(() => call("nope"), TypeError, "the contract has no such method");
  await assertRejects(() => call("many"), TypeError, "it gives items: use stream()");
  await assertRejects(() => call("one", undefined, { stream: [1] }), TypeError, "takes no stream");
  const stream = (...args: unknown[]) => Reflect.apply(client.stream, client, args);
  assertThrows(() => stream("one"), TypeError, "it gives one value: use call()");
  assertThrows(() => stream("nope"), TypeError, "the contract has no such method");
  // What types say may be left out at run time: it is an empty stream then.
  assertEquals(await call("up"), undefined);
  assertEquals(server.stats.callsIn, 1);
  await client.close();
});

Deno.test("call() a stranger that sends a stream along where none belongs is refused", async () => {
  let ran = 0;
  const api = contract({ server: { one: method({ input: type<number>() }) } });
  const [stranger] = await strangerPair(api, { methods: { one: () => void ran++ } });
  const stream = [utf8("1")];
  assertEquals(await fate(stranger.call("one", utf8("1"), { stream })), "INVALID_ARGUMENT no");
  assertEquals([await fate(stranger.call("one", utf8("1"))), ran], ["OK", 1]);
  await stranger.close();
});

Deno.test("connect(), serve() and attach() take a contract or a serializer, and only its methods", async () => {
  await using sim = new Simulation({ seed: 1 });
  const api = contract({ server: { f: method({ output: type<number>() }) } });
  const both = { contract: api, serializer: json(), runtime: sim, side: "server" as const };
  const more = { contract: api, methods: { f: () => 1, g: () => 2 }, runtime: sim };
  for (const options of [both, { ...more, side: "server" as const }]) {
    await assertRejects(() => serve<Untyped>("tcp://:9966", taken(options)), TypeError);
    await assertRejects(() => attach<"server">(memoryPair()[0], taken(options)), TypeError);
    await assertRejects(() => connect<Untyped>("tcp://server:9966", taken(options)), TypeError);
  }
  const server = await serve("tcp://:9966", {
    contract: api,
    methods: { f: () => 1 },
    runtime: sim,
  });
  assertThrows(
    () => Reflect.apply(server.handle, server, ["g", () => 1]),
    TypeError,
    "no such method",
  );
  const client = await sim.run(connect("tcp://server:9966", { contract: api, runtime: sim }));
  assertEquals(await sim.run(client.call("f")), 1);
  const other = connect("tcp://server:9966", { serializer: text(), runtime: sim, openTimeout: 0 });
  const refused = await sim.run(other.catch((error: unknown) => error));
  assert(refused instanceof Error && /'text'.*'json'/.test(refused.message), String(refused));
});

Deno.test("RpcError carries issues as data, unless it is given other data", () => {
  const issues = [{ message: "No", path: ["a"] }];
  const plain = new RpcError("INVALID_ARGUMENT", "Wrong", { issues });
  assertEquals([plain.issues, plain.data], [issues, { issues }]);
  const both = new RpcError("INVALID_ARGUMENT", "Wrong", { issues, data: 5 });
  assertEquals([both.issues, both.data], [issues, 5]);
  assertEquals(new RpcError("NOT_FOUND").issues, []);
});
