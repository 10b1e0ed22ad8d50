/**
 * What survives which serializer, as a table: whoever changes a serializer changes it here.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Bytes, json, raw, type Serializer, text } from "@vgo/vnet";
import { contract, method, type } from "@vgo/vnet/contract";
import { msgpack } from "@vgo/vnet/msgpack";
import { contractPair } from "./_support.ts";

/** What arrives, where it is not what was sent; "refused": it is a TypeError where it is sent. */
type Fate = "same" | "refused" | { readonly as: unknown };

class Point {
  readonly x = 1;
  get double(): number {
    return 2 * this.x;
  }
}

const instant = new Date("2024-02-29T12:34:56.789Z");
const cyclic: unknown[] = [];
cyclic.push(cyclic);

const TABLE: readonly [what: string, value: unknown, json: Fate, msgpack: Fate][] = [
  ["null", null, "same", "same"],
  ["undefined", undefined, "refused", "refused"],
  ["booleans", [true, false], "same", "same"],
  ["an integer", 5, "same", "same"],
  [
    "integers at all edges",
    [0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53],
    "same",
    "same",
  ],
  [
    "negative integers at all edges",
    [-1, -32, -33, -128, -129, -32_768, -32_769, -(2 ** 31), -(2 ** 31) - 1, -(2 ** 53) + 1],
    "same",
    "same",
  ],
  ["fractions", [0.1, -1.5, 1e300, 5e-324], "same", "same"],
  ["NaN", NaN, { as: null }, "same"],
  ["infinities", [Infinity, -Infinity], { as: [null, null] }, "same"],
  ["-0", -0, { as: 0 }, { as: 0 }],
  ["a bigint", 5n, "refused", "same"],
  ["bigints at the edges of 64 bits", [2n ** 64n - 1n, -(2n ** 63n)], "refused", "same"],
  ["a bigint beyond 64 bits", 2n ** 64n, "refused", "refused"],
  ["a negative one", [-(2n ** 63n) - 1n], "refused", "refused"],
  ["texts", ["", "a", "ä€😀", "\u0000\ufeff\u2028", "x".repeat(70_000)], "same", "same"],
  ["half a surrogate pair", "\ud800", "same", "refused"],
  ["one in a key", { "\udc00": 1 }, "same", "refused"],
  ["lists", [[], [1, [2, [3]]]], "same", "same"],
  ["objects", { a: { b: [{ c: null }] }, "": 1, "ä": 2 }, "same", "same"],
  ["many entries", Array.from({ length: 70_000 }, (_, n) => n), "same", "same"],
  ["keys that mean something", { constructor: 1, toString: 2, then: 3 }, "same", "same"],
  ["undefined in an object", { a: undefined, b: 1 }, { as: { b: 1 } }, { as: { b: 1 } }],
  ["undefined in a list", [undefined, 1], { as: [null, 1] }, { as: [null, 1] }],
  ["an instant", instant, { as: instant.toISOString() }, "same"],
  ["instants of all times", [new Date(0), new Date(-1), new Date(8.64e15), new Date(-8.64e15)], {
    as: [
      "1970-01-01T00:00:00.000Z",
      "1969-12-31T23:59:59.999Z",
      "+275760-09-13T00:00:00.000Z",
      "-271821-04-20T00:00:00.000Z",
    ],
  }, "same"],
  ["an invalid date", new Date(NaN), { as: null }, "refused"],
  ["bytes in an object", { b: Uint8Array.of(1, 2) }, { as: { b: { 0: 1, 1: 2 } } }, "same"],
  ["another view", { b: Uint16Array.of(1) }, { as: { b: { 0: 1 } } }, {
    as: { b: Uint8Array.of(1, 0) },
  }],
  ["an ArrayBuffer", { b: new ArrayBuffer(2) }, { as: { b: {} } }, "refused"],
  ["a Map", new Map([["a", 1]]), { as: {} }, "refused"],
  ["a Set", { s: new Set([1]) }, { as: { s: {} } }, "refused"],
  ["a function", () => 1, "refused", "refused"],
  ["a function in an object", { f: () => 1 }, { as: {} }, "refused"],
  ["a symbol", Symbol("a"), "refused", "refused"],
  ["an object of a class", new Point(), { as: { x: 1 } }, { as: { x: 1 } }],
  ["an object without prototype", Object.assign(Object.create(null), { a: 1 }), {
    as: { a: 1 },
  }, { as: { a: 1 } }],
  ["what contains itself", cyclic, "refused", "refused"],
  ["128 deep", nested(128), "same", "same"],
  ["129 deep", nested(129), "same", "refused"],
];

for (const [what, value, inJson, inMsgpack] of TABLE) {
  for (const [serializer, fate] of [[json(), inJson], [msgpack(), inMsgpack]] as const) {
    Deno.test(`${serializer.name}() carries ${what}: ${told(fate)}`, () => {
      if (fate === "refused") {
        assertThrows(() => serializer.serialize(value), TypeError);
        // It is none the worse for it.
        assertEquals(through(serializer, [1]), [1]);
        return;
      }
      const got = through(serializer, value);
      const expected = typeof fate === "object" ? fate.as : value;
      assertEquals(got, expected);
      assertEquals(Object.is(got, -0), Object.is(expected, -0));
    });
  }
}

Deno.test("a bare Uint8Array is what it is in raw() and msgpack(), and what it says in json() and text()", () => {
  const bytes = new TextEncoder().encode("[1]");
  assertEquals(through(raw(), bytes), bytes);
  assertEquals(through(msgpack(), bytes), bytes);
  assertEquals(through(json(), bytes), [1]);
  assertEquals(text().deserialize(new Uint8Array(json().serialize(bytes))), "[1]");
});

Deno.test("json() an own __proto__ is a key like any other, and no prototype", () => {
  const value: unknown = through(json(), JSON.parse('{"__proto__":{"polluted":1}}'));
  assertEquals(Object.keys(Object(value)), ["__proto__"]);
  assert(Object.getPrototypeOf(value) === Object.prototype);
  assertEquals([Reflect.get(Object(value), "polluted"), Reflect.get({}, "polluted")], [
    undefined,
    undefined,
  ]);
});

Deno.test("undefined is nothing, whichever the serializer of a contract", async () => {
  for (const serializer of [json(), msgpack()]) {
    const claimed = type<number | undefined>();
    const api = contract({
      server: { f: method({ input: claimed, output: claimed }) },
      serializer,
    });
    const seen: unknown[] = [];
    const [client] = await contractPair(api, { methods: { f: (it) => (seen.push(it), it) } });
    assertEquals([await client.call("f"), await client.call("f", 0)], [undefined, 0]);
    assertEquals(seen, [undefined, 0]);
    await client.close();
  }
});

function through<T>(serializer: Serializer<T>, value: T): T {
  const bytes: Bytes = new Uint8Array(serializer.serialize(value));
  return serializer.deserialize(bytes);
}

function told(fate: Fate): string {
  return typeof fate === "object" ? "as something else" : fate;
}

function nested(depth: number): unknown[] {
  let value: unknown[] = [1];
  for (let n = 1; n < depth; n++) value = [value];
  return value;
}
