import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Bytes } from "@vgo/vnet";
import { msgpack } from "@vgo/vnet/msgpack";
import { checkMessagePack, MAX_DEPTH } from "../../src/contract/msgpack_guard.ts";
import { Rng } from "../_support/rng.ts";

const serializer = msgpack();

Deno.test("msgpack() writes what the format says, so that others can read it", () => {
  const cases: [unknown, string][] = [
    [null, "c0"],
    [[true, false], "92c3c2"],
    [[127, 128, -32, -33], "947fcc80e0d0df"],
    [1.5, "cb3ff8000000000000"],
    [2n ** 40n, "cf0000010000000000"],
    [-1n, "d3ffffffffffffffff"],
    ["ä", "a2c3a4"],
    [Uint8Array.of(1), "c40101"],
    [{ a: 1, b: undefined }, "81a16101"],
    [new Date(1_000), "d6ff00000001"],
    [new Date(1), "d7ff003d090000000000"],
    [new Date(-1_000), "c70cff00000000ffffffffffffffff"],
  ];
  for (const [value, hex] of cases) {
    assertEquals(toHex(serializer.serialize(value)), hex);
    if (!hex.includes("a161")) assertEquals(serializer.deserialize(fromHex(hex)), value);
  }
});

Deno.test("msgpack() reads what others write: every form of a length, and keys that are numbers", () => {
  const cases: [string, unknown][] = [
    ["d90161", "a"],
    ["da000161", "a"],
    ["db0000000161", "a"],
    ["c5000101", Uint8Array.of(1)],
    ["c60000000101", Uint8Array.of(1)],
    ["dc0001c0", [null]],
    ["dd00000001c0", [null]],
    ["de0001a161c0", { a: null }],
    ["df00000001a161c0", { a: null }],
    ["820102a16103", { 1: 2, a: 3 }],
    ["ca3fc00000", 1.5],
    ["cd0001", 1],
    ["ce00000001", 1],
    ["d10001", 1],
    ["d200000001", 1],
    ["c704ff00000001", new Date(1_000)],
    ["82a16101a16102", { a: 2 }],
    ["90", []],
    ["80", {}],
  ];
  for (const [hex, value] of cases) assertEquals(serializer.deserialize(fromHex(hex)), value, hex);
});

Deno.test("checkMessagePack() takes every whole value, and no part of one", () => {
  const value = {
    texts: ["", "a".repeat(40), "ä".repeat(200), "x".repeat(70_000)],
    numbers: [1, -1, 300, 70_000, 2 ** 33, 1.5, 5n, -5n],
    bytes: [new Uint8Array(3), new Uint8Array(300), new Uint8Array(70_000)],
    rest: [null, true, false, new Date(0), new Date(1), new Date(-1), {}, []],
    list: Array.from({ length: 20 }, () => [1]),
    map: Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`k${n}`, n])),
  };
  const whole = serializer.serialize(value);
  checkMessagePack(whole);
  assertEquals(serializer.deserialize(new Uint8Array(whole)), value);
  const cuts = [0, 1, 2, 3, 100, 1_000, whole.length - 1];
  for (let cut = 0; cut < whole.length; cut += 997) cuts.push(cut);
  for (const cut of cuts) {
    assertThrows(() => checkMessagePack(whole.subarray(0, cut)), SyntaxError, "bytes are missing");
  }
  const more = new Uint8Array([...whole, 0xc0]);
  assertThrows(() => checkMessagePack(more), SyntaxError, "1 bytes follow");
});

Deno.test("checkMessagePack() lets nothing pass that the decoder would choke on", () => {
  let passed = 0;
  for (let seed = 1; seed <= 300; seed++) {
    const rng = new Rng(seed);
    const value = [{ a: [1, "ä", 2.5, null, new Date(0)], b: { c: Uint8Array.of(1, 2) } }, 5n];
    const bytes = new Uint8Array(serializer.serialize(value));
    for (let n = rng.int(4); n >= 0; n--) bytes[rng.int(bytes.length)] = rng.int(256);
    try {
      serializer.deserialize(bytes);
      passed++;
    } catch (error) {
      assert(error instanceof SyntaxError, `seed ${seed}: ${error}`);
    }
  }
  assert(passed > 10 && passed < 290, `${passed}`);
});

Deno.test("msgpack() refuses as one SyntaxError what it will not read, in words", () => {
  const cases: [Bytes, string][] = [
    [fromHex("c1"), "no value begins with 0xc1"],
    [fromHex("a2c328"), "must be UTF-8"],
    [fromHex("a3eda080"), "must be UTF-8"],
    [fromHex("ddffffffff"), "bytes are missing"],
    [fromHex("dfffffffff"), "bytes are missing"],
    [fromHex("d40500"), "current value is 5 of 1 bytes"],
    [fromHex("d4ff00"), "current value is -1 of 1 bytes"],
    [fromHex("c70cff000000007fffffffffffffff"), "an instant must be one"],
    [fromHex("81a95f5f70726f746f5f5f01"), "__proto__"],
    [fromHex("81c001"), "key"],
    [fromHex("91".repeat(MAX_DEPTH + 1) + "01"), `at most ${MAX_DEPTH} deep`],
    [fromHex("c70307010203"), "no extension"],
  ];
  for (const [bytes, words] of cases) {
    assertThrows(() => serializer.deserialize(bytes), SyntaxError, words);
  }
  // As deep as may be, and an empty one in the last: what is written is read.
  for (const innermost of ["01", "90"]) {
    const bytes = fromHex("91".repeat(MAX_DEPTH) + innermost);
    assertEquals(serializer.serialize(serializer.deserialize(bytes)), bytes);
  }
});

Deno.test("msgpack() time and memory go with the bytes that are there, not with what they say", () => {
  // Each list promises 65,536 more: a decoder that believes it would make room for 6 GiB.
  const promise = [0xdd, 0x00, 0x01, 0x00, 0x00];
  const bytes = new Uint8Array(100_000 * promise.length);
  for (let n = 0; n < 100_000; n++) bytes.set(promise, n * promise.length);
  assertThrows(() => serializer.deserialize(bytes), SyntaxError, "bytes are missing");
  const flat = new Uint8Array(300_000).fill(0x90);
  flat.set([0xdd, 0x00, 0x04, 0x93, 0xdb]);
  assertEquals(Object(serializer.deserialize(flat)).length, 299_995);
});

Deno.test("msgpack() gives bytes that stay as they are when the next value is written", () => {
  const first = serializer.serialize("x".repeat(100));
  const copy = first.slice();
  serializer.serialize("y".repeat(100));
  // One that is larger than what the encoder may keep.
  const large = serializer.serialize(new Uint8Array(3_000_000));
  serializer.serialize("z");
  assertEquals([first, large.length], [copy, 3_000_005]);
});

Deno.test("msgpack() serializes what serializes while it is being serialized", () => {
  const inner = { toString: 1 };
  const value = {
    get a() {
      return serializer.serialize(inner).length;
    },
  };
  const length = serializer.serialize(inner).length;
  assertEquals(serializer.deserialize(new Uint8Array(serializer.serialize(value))), { a: length });
});

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fromHex(hex: string): Bytes {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}
