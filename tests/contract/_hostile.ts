/**
 * Bodies that fit no contract: values that are none, bytes that are no values, and validators that are
 * to notice.
 *
 * Owns no rule.
 */
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { Encoder } from "@msgpack/msgpack";
import type { Bytes } from "@vgo/vnet";
import type { Schema } from "@vgo/vnet/contract";
import { own, refused, utf8 } from "./_support.ts";

/** What is expected. */
export interface Order {
  symbol: string;
  amount: number;
  tags?: string[] | undefined;
}

/** All of them refuse keys that they do not know. */
export const VALIDATORS: readonly [name: string, schema: Schema<Order>][] = [
  [
    "Zod",
    z.strictObject({
      symbol: z.string().max(8),
      amount: z.number(),
      tags: z.array(z.string()).optional(),
    }),
  ],
  [
    "Valibot",
    v.strictObject({
      symbol: v.pipe(v.string(), v.maxLength(8)),
      amount: v.number(),
      tags: v.optional(v.array(v.string())),
    }),
  ],
  [
    "ArkType",
    type({ "+": "reject", symbol: "string <= 8", amount: "number", "tags?": "string[]" }),
  ],
  ["one's own", own((value) => isOrder(value) ? { value } : refused("Expected an order"))],
];

/** Values that are no order, as either serializer can hold them. */
export const MISFITS: readonly [what: string, value: unknown][] = [
  ["nothing", null],
  ["a number", 5],
  ["a text", "order"],
  ["a list", [{ symbol: "A", amount: 1 }]],
  ["an empty object", {}],
  ["a missing field", { symbol: "A" }],
  ["a wrong field", { symbol: "A", amount: "1" }],
  ["a list for a field", { symbol: ["A"], amount: 1 }],
  ["an object for a field", { symbol: "A", amount: { valueOf: 1 } }],
  ["a field that is null", { symbol: null, amount: 1 }],
  ["a field that is too long", { symbol: "ABCDEFGHI", amount: 1 }],
  ["a wrong item", { symbol: "A", amount: 1, tags: ["a", 5] }],
  ["a key too many", { symbol: "A", amount: 1, admin: true }],
  ["a constructor", { symbol: "A", amount: 1, constructor: { prototype: { polluted: 1 } } }],
  ["a toString", { symbol: "A", amount: 1, toString: "x" }],
];

/** One that fits. */
export const GOOD: Order = { symbol: "VGO", amount: 5, tags: ["a"] };
const deep = 50_000;

/** Bytes that are no value of the serializer, or one that no validator may choke on. */
export const BODIES: Readonly<Record<string, readonly [what: string, body: Bytes][]>> = {
  json: [
    ["no JSON", utf8("{symbol:1}")],
    ["cut", utf8('{"symbol":"A","amount":1')],
    ["two values", utf8("{}{}")],
    [
      "invalid UTF-8",
      Uint8Array.from([...utf8('{"symbol":"'), 0xc3, 0x28, ...utf8('","amount":1}')]),
    ],
    ["half a surrogate pair as bytes", Uint8Array.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ["a mark of the byte order", utf8("\ufeff{}")],
    ["deep lists", utf8("[".repeat(deep) + "]".repeat(deep))],
    ["deep lists, cut", utf8("[".repeat(deep))],
    ["deep objects", utf8('{"a":'.repeat(deep) + "1" + "}".repeat(deep))],
    ["deep in a field", utf8(`{"symbol":"A","amount":${"[".repeat(deep)}${"]".repeat(deep)}}`)],
    ["many keys", utf8(`{${Array.from({ length: 20_000 }, (_, n) => `"k${n}":0`)}}`)],
    ["__proto__", utf8('{"symbol":"A","amount":1,"__proto__":{"polluted":1}}')],
    ["__proto__, escaped", utf8('{"symbol":"A","amount":1,"\\u005f_proto__":{"polluted":1}}')],
    ["__proto__ instead of fields", utf8('{"__proto__":{"symbol":"A","amount":1}}')],
    ["bytes", Uint8Array.of(0, 1, 2, 3)],
    ["nothing at all", new Uint8Array(0)],
  ],
  msgpack: [
    ["cut", encoded(GOOD).slice(0, -1)],
    ["two values", Uint8Array.of(0xc0, 0xc0)],
    ["what nothing begins with", Uint8Array.of(0xc1)],
    ["invalid UTF-8", Uint8Array.of(0x81, 0xa1, 0x61, 0xa2, 0xc3, 0x28)],
    ["a list of 4 thousand millions", Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ["a map of 4 thousand millions", Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff)],
    ["a text of 4 GiB", Uint8Array.of(0xdb, 0xff, 0xff, 0xff, 0xff, 0x61)],
    ["bytes of 4 GiB", Uint8Array.of(0xc6, 0xff, 0xff, 0xff, 0xff, 0x61)],
    ["an extension of 4 GiB", Uint8Array.of(0xc9, 0xff, 0xff, 0xff, 0xff, 0xff)],
    ["lists that promise more in each other", repeated([0xdd, 0x00, 0x01, 0x00, 0x00], 10_000)],
    ["deep lists", repeated([0x91], deep)],
    ["deep maps", repeated([0x81, 0xa1, 0x61], deep)],
    ["an extension", Uint8Array.of(0xd4, 0x05, 0x00)],
    ["an instant of a wrong length", Uint8Array.of(0xd4, 0xff, 0x00)],
    ["an instant beyond all dates", Uint8Array.of(0xc7, 12, 0xff, ...repeated([0x7f], 12))],
    ["__proto__", proto()],
    ["a list as key", Uint8Array.of(0x81, 0x90, 0x01)],
    ["a bigint as key", Uint8Array.of(0x81, 0xcf, 0, 0, 0, 0, 0, 0, 0, 1, 0x01)],
    ["nothing at all", new Uint8Array(0)],
  ],
};

function isOrder(value: unknown): value is Order {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const known = new Set(["symbol", "amount", "tags"]);
  if (!Object.keys(value).every((key) => known.has(key))) return false;
  if (!("symbol" in value) || typeof value.symbol !== "string" || value.symbol.length > 8) {
    return false;
  }
  if (!("amount" in value) || typeof value.amount !== "number") return false;
  if (!("tags" in value)) return true;
  return Array.isArray(value.tags) && value.tags.every((tag) => typeof tag === "string");
}

/** MessagePack by an encoder without guard. */
function encoded(value: unknown): Bytes {
  return new Encoder().encode(value);
}

function repeated(bytes: readonly number[], times: number): Bytes {
  const all = new Uint8Array(bytes.length * times);
  for (let n = 0; n < times; n++) all.set(bytes, n * bytes.length);
  return all;
}

function proto(): Bytes {
  const key = utf8("__proto__");
  return Uint8Array.of(0x81, 0xa0 + key.length, ...key, 0x80);
}
