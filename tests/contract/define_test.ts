import { type as arktype } from "arktype";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { json, raw, text } from "@vgo/vnet";
import { bytes, contract, message, method, type } from "@vgo/vnet/contract";
import { kindOf } from "../../src/contract/schemas.ts";
import { taken } from "../../src/peer/trust.ts";
import { contractPair, doubled, own } from "./_support.ts";

Deno.test("contract() is plain data, with defaults, and stays as it is", () => {
  const add = method({ input: type<number>(), output: type<number>() });
  const api = contract({ server: { add } });
  assertEquals([api.serializer.name, api.client, api.describe], ["json", {}, false]);
  assert(api.server.add === add && Object.isFrozen(api));
  assertEquals(contract({ serializer: raw() }).serializer.name, "raw");
});

Deno.test("contract() refuses what neither method() nor message() made, and names that get lost", () => {
  for (const server of [{ x: 5 }, { x: null }, { x: {} }, { x: () => 1 }, { x: doubled() }]) {
    assertThrows(() => untyped(contract, { server }), TypeError, "'x' of 'server' must be made by");
  }
  assertThrows(() => contract({ client: { __proto__: method() } }), TypeError, "plain object");
  assertThrows(() => untyped(contract, { client: [method()].values() }), TypeError, "plain object");
  assertThrows(() => contract({ server: { __describe: method() } }), TypeError, "describes it");
  const api = contract({ server: { ["__proto__"]: method() } });
  assertEquals(Object.keys(api.server), ["__proto__"]);
  const bare = Object.assign(Object.create(null), { f: method() });
  assertEquals(Object.keys(contract({ server: bare }).server), ["f"]);
});

Deno.test("method() and message() take Standard Schemas, those included that are functions", () => {
  for (const schema of [5, "string", null, {}, () => 1, { "~standard": {} }, String]) {
    assertThrows(() => untyped(message, schema), TypeError, "must be a Standard Schema");
    for (const part of ["input", "stream", "output", "yields"]) {
      assertThrows(() => untyped(method, { [part]: schema }), TypeError, `'${part}' must be a`);
    }
  }
  const schema = arktype("string");
  assertEquals(typeof schema, "function");
  assert(message(schema).message === schema);
  assert(method({ input: schema }).method.input === schema);
  assertThrows(
    () => untyped(method, { output: type(), yields: type() }),
    TypeError,
    "both were given",
  );
});

Deno.test("type() and bytes() are schemas for other tools as well", () => {
  assertEquals(type<unknown>()["~standard"].validate("anything"), { value: "anything" });
  assertEquals(bytes()["~standard"].validate(Uint8Array.of(1)), { value: Uint8Array.of(1) });
  assertEquals(bytes()["~standard"].validate([1]), { issues: [{ message: "Expected bytes" }] });
  assertEquals(bytes()["~standard"].version, 1);
});

Deno.test("kindOf() knows the schemas of another copy of this module, and trusts no other vendor", () => {
  assertEquals([type(), bytes(), method().method.input, doubled()].map(kindOf), [
    "unchecked",
    "bytes",
    "nothing",
    "value",
  ]);
  const copy = structuredClone({ version: 1, vendor: "vnet", kind: "bytes" } as const);
  const validate = (value: unknown) => ({ value });
  const standard = (more: object) => taken({ "~standard": { ...copy, validate, ...more } });
  assertEquals(kindOf(taken(standard({}))), "bytes");
  assertEquals(kindOf(taken(standard({ vendor: "other" }))), "value");
  assertEquals(kindOf(taken(standard({ kind: "else" }))), "value");
});

Deno.test("a contract may have any serializer, and the handshake compares its name", async () => {
  const echo = method({ input: type<string>(), output: type<string>() });
  for (const serializer of [json(), text()]) {
    const [client] = await contractPair(
      contract({ server: { echo }, serializer: taken(serializer) }),
      { methods: { echo: (it) => it } },
    );
    assertEquals(await client.call("echo", "hello"), "hello");
    await client.close();
  }
  // One that is no contract() but looks like one has JSON.
  const [client] = await contractPair({ server: { echo }, client: {} }, {
    methods: { echo: (it) => it },
  });
  assertEquals(await client.call("echo", "hello"), "hello");
  await client.close();
});

Deno.test("a promise of some other making is waited for as well", async () => {
  const strange = own<number>((value) =>
    taken({
      then: (resolve: (it: unknown) => void) => {
        queueMicrotask(() => resolve({ value: Number(value) + 1 }));
      },
    })
  );
  const api = contract({ server: { f: method({ input: strange, output: strange }) } });
  const [client] = await contractPair(api, { methods: { f: (n) => n } });
  assertEquals(await client.call("f", 5), 7);
  await client.close();
});

function untyped(make: (value: never) => unknown, value: unknown): unknown {
  return make(taken(value));
}
