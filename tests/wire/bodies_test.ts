/** Bodies of frames: nothing is read past their end, and what is not as it should be is refused. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { ProtocolError } from "../../src/base/errors.ts";
import { Flag, FrameType } from "../../src/wire/constants.ts";
import {
  concat,
  decodeBody,
  type Fields,
  frames,
  type FrameVector,
  type Header,
  hex,
  unhex,
  vector,
} from "./vectors.ts";

const HEADER = 16;
const decodable = frames.filter((it) => !it.continues && it.frame.type !== 0xc1);
/** What lies around a body must not matter: each is decoded in three surroundings. */
const FILLS = [0x00, 0x61, 0xff];

Deno.test("decoders F10 refuse each inner length that leads past the body, and read nothing there", () => {
  let count = 0;
  for (const it of decodable) {
    for (const { at, width } of it.lengths) {
      const body = it.bytes.slice(HEADER);
      const actual = read(body, at, width);
      const left = body.length - at - width;
      const most = 2 ** (8 * width) - 1;
      for (const value of [left + 1, left + 2, most - 1, most]) {
        if (value > most) continue;
        const where = `${it.name}: length at ${at} is ${value}`;
        assertEquals(outcome(it.frame, write(body, at, width, value)), "BAD_FRAME", where);
        count++;
      }
      for (const value of [0, actual - 1, actual + 1, left - 1, left]) {
        if (value < 0 || value > most) continue;
        // May be another message that is right; in all surroundings the same.
        outcome(it.frame, write(body, at, width, value));
        count++;
      }
    }
  }
  assert(count > 300);
});

Deno.test("decoders F10 refuse a body that is cut in front of its payload", () => {
  for (const it of decodable) {
    const body = it.bytes.slice(HEADER);
    const payload = unhex(String(it.body.payload ?? "")).length;
    for (let end = 0; end < body.length && end < 300; end++) {
      const actual = outcome(it.frame, body.slice(0, end));
      // Between two TLVs a body may end.
      const mayEnd = "agent" in it.body || ("payload" in it.body && end >= body.length - payload);
      if (actual === "BAD_FRAME") continue;
      assert(mayEnd && typeof actual !== "string", `${it.name}: cut at ${end} gives ${actual}`);
    }
  }
});

Deno.test("decoders refuse bytes that are left over", () => {
  for (const it of decodable) {
    const longer = concat([it.bytes.slice(HEADER), new Uint8Array([0x5a])]);
    const actual = outcome(it.frame, longer);
    if ("payload" in it.body && it.name !== "RESPONSE with a stream") {
      assert(typeof actual !== "string", `${it.name}: ${actual}`);
    } else assertEquals(actual, "BAD_FRAME", it.name);
  }
});

Deno.test("decoders refuse 64-bit numbers above 2^53-1", () => {
  const rows: [name: string, ...offsets: number[]][] = [
    ["PING", 0, 8],
    ["PONG", 0, 8],
    ["ACK", 0, 8],
    ["CLOSE", 1],
    ["CREDIT", 0],
    ["RESUME", 60, 68],
    ["RESUMED", 0, 8],
    ["REJECT of a lost session", 13],
  ];
  for (const [name, ...offsets] of rows) {
    const it = vector(name);
    const body = it.bytes.slice(HEADER);
    for (const at of offsets) {
      const largest = write(write(body, at, 4, 0x1f_ffff), at + 4, 4, 0xffff_ffff);
      const fields = outcome(it.frame, largest);
      assert(typeof fields !== "string", `${name} at ${at}`);
      assert(Object.values(fields).includes(Number.MAX_SAFE_INTEGER), `${name} at ${at}`);
      for (const high of [0x20_0000, 0x8000_0000, 0xffff_ffff]) {
        assertEquals(outcome(it.frame, write(body, at, 4, high)), "BAD_FRAME", `${name} at ${at}`);
      }
    }
  }
});

/** Where a text stands in a body, between what comes before and after it. */
const TEXTS: readonly { field: string; of: string; at: number; max: number; last?: string }[] = [
  { field: "clientId", of: "HELLO, least", at: 40, max: 0xffff },
  { field: "authScheme", of: "HELLO, least", at: 42, max: 255 },
  { field: "agent", of: "HELLO, least", at: 48, max: 255, last: "00 01" },
  { field: "serializer", of: "HELLO, least", at: 48, max: 255, last: "80 02" },
  { field: "path", of: "HELLO, least", at: 48, max: 1024, last: "00 04" },
  { field: "reason", of: "GOAWAY", at: 4, max: 255 },
  { field: "reason", of: "CLOSE", at: 9, max: 255 },
  { field: "reason", of: "REJECT", at: 21, max: 255 },
  { field: "topic", of: "MSG", at: 0, max: 255 },
  { field: "method", of: "REQUEST", at: 4, max: 255 },
  { field: "message", of: "ERROR", at: 5, max: 4096 },
];

/** As section 6 of the Autobahn test suite. */
const VALID_UTF8 = [
  "",
  "00",
  "7f",
  "c2 80",
  "df bf",
  "e0 a0 80",
  "ed 9f bf",
  "ee 80 80",
  "ef bf bd",
  "ef bf be",
  "ef bf bf",
  "f0 90 80 80",
  "f0 9f 98 80",
  "f4 8f bf bf",
  "ef bb bf 61",
  "ce ba e1 bd b9 cf 83 ce bc ce b5",
];
const INVALID_UTF8 = [
  "80",
  "bf",
  "61 80",
  "80 61",
  "80 bf 80 bf 80",
  "c0",
  "c0 80",
  "c0 af",
  "c1 bf",
  "c3",
  "c3 20",
  "e2 82",
  "e2 82 20",
  "e0 80 80",
  "e0 80 af",
  "e0 9f bf",
  "ed a0 80",
  "ed ad bf",
  "ed af bf",
  "ed b0 80",
  "ed bf bf",
  "ed a0 80 ed b0 80",
  "f0 80 80 80",
  "f0 80 80 af",
  "f0 8f bf bf",
  "f0 9f 98",
  "f4 90 80 80",
  "f5 80 80 80",
  "f7 bf bf bf",
  "f8 88 80 80 80",
  "f8 80 80 80 af",
  "fb bf bf bf bf",
  "fc 84 80 80 80 80",
  "fd bf bf bf bf bf",
  "fe",
  "ff",
  "fe fe ff ff",
  "ce ba e1 bd b9 cf 83 ce bc ce b5 ed a0 80 65 64 69 74 65 64",
  "ce ba e1 bd b9 cf 83 ce bc ce b5 f4 90 80 80 65 64 69 74 65 64",
];

for (const text of TEXTS) {
  Deno.test(`decoders F11 demand UTF-8: ${text.field} of ${text.of}`, () => {
    // Long ones take another path than short ones.
    for (const padding of [0, 60]) {
      const pad = new Uint8Array(padding).fill(0x61);
      for (const sequence of VALID_UTF8) {
        const bytes = concat([pad, unhex(sequence)]);
        const fields = outcome(vector(text.of).frame, withText(text, bytes));
        assert(typeof fields !== "string", `${sequence}: ${fields}`);
        const value = fields[text.field];
        assertEquals(hex(new TextEncoder().encode(String(value))), hex(bytes), sequence);
      }
      for (const sequence of INVALID_UTF8) {
        const body = withText(text, concat([pad, unhex(sequence)]));
        assertEquals(outcome(vector(text.of).frame, body), "BAD_FRAME", sequence);
      }
    }
  });

  Deno.test(`decoders refuse what is too long: ${text.field} of ${text.of}`, () => {
    const { frame } = vector(text.of);
    const longest = outcome(frame, withText(text, new Uint8Array(text.max).fill(0x7a)));
    assert(typeof longest !== "string", String(longest));
    assertEquals(longest[text.field], "z".repeat(text.max));
    if (text.max === 0xffff) return;
    const longer = withText(text, new Uint8Array(text.max + 1).fill(0x7a));
    assertEquals(outcome(frame, longer), "BAD_FRAME");
  });
}

Deno.test("decoders F11 demand UTF-8 in metadata values, and ASCII in names", () => {
  for (const sequence of VALID_UTF8) {
    assertEquals(withMetadata(entry("61", sequence)).code, undefined, sequence);
  }
  for (const sequence of INVALID_UTF8) {
    assertEquals(withMetadata(entry("61", sequence)).code, "BAD_FRAME", sequence);
    assertEquals(withMetadata(entry(sequence, "61")).code, "BAD_FRAME", sequence);
  }
  for (let byte = 0; byte < 256; byte++) {
    const isUpper = byte >= 0x41 && byte <= 0x5a;
    const expected = byte >= 0x21 && byte <= 0x7e && !isUpper ? undefined : "BAD_FRAME";
    assertEquals(withMetadata(entry(byte.toString(16), "")).code, expected, `name ${byte}`);
  }
  assertEquals(withMetadata(entry("c3 a9", "")).code, "BAD_FRAME");
  assertEquals(withMetadata(entry("", "61")).code, "BAD_FRAME");
});

Deno.test("decoders refuse a metadata name that comes twice", () => {
  assertEquals(withMetadata(`${entry("61", "31")} ${entry("62", "31")}`).code, undefined);
  assertEquals(withMetadata(`${entry("61", "31")} ${entry("61", "31")}`).code, "BAD_FRAME");
  const proto = hex(new TextEncoder().encode("__proto__"));
  assertEquals(withMetadata(`${entry(proto, "")} ${entry(proto, "")}`).code, "BAD_FRAME");
});

Deno.test("decoders F12 take names of Object.prototype as names like any other", () => {
  for (const name of ["__proto__", "constructor", "tostring", "hasownproperty", "valueof"]) {
    const { fields } = withMetadata(entry(hex(new TextEncoder().encode(name)), "31"));
    assertEquals(Object.entries(Object(fields?.metadata)), [[name, "1"]]);
  }
  assertEquals(Reflect.get({}, "polluted"), undefined);
});

Deno.test("decoders take an empty metadata block, and tell it from none", () => {
  assertEquals(withMetadata("").fields?.metadata, {});
  assertEquals(decode(vector("MSG")).metadata, null);
});

Deno.test("decoders refuse a payload where items follow", () => {
  const frame = { ...vector("RESPONSE").frame, flags: 0 };
  assertEquals(outcome(frame, new Uint8Array(1)), "BAD_FRAME");
  assert(typeof outcome(frame, new Uint8Array(0)) !== "string");
  const pieces = { ...frame, flags: Flag.MORE };
  assertEquals(outcome(pieces, new Uint8Array(4)), "BAD_FRAME");
  assert(
    typeof outcome({ ...pieces, flags: Flag.MORE | Flag.END }, new Uint8Array(4)) !== "string",
  );
});

Deno.test("decoders refuse a scope, and a hasLast, other than 0 and 1", () => {
  const close = vector("CLOSE");
  const reject = vector("REJECT");
  for (const value of [2, 0x80, 0xff]) {
    assertEquals(outcome(close.frame, write(close.bytes.slice(HEADER), 0, 1, value)), "BAD_FRAME");
    const body = write(reject.bytes.slice(HEADER), 12, 1, value);
    assertEquals(outcome(reject.frame, body), "BAD_FRAME");
  }
});

Deno.test("decoders ignore bits of ERROR and codes that they do not know", () => {
  const error = vector("ERROR");
  const body = write(error.bytes.slice(HEADER), 0, 1, 0xfe);
  const fields = outcome({ ...error.frame, aux: 0x0999 }, body);
  assert(typeof fields !== "string");
  assertEquals([fields.notExecuted, fields.retryable, fields.code], [false, true, "INTERNAL"]);
  const goaway = vector("GOAWAY");
  const unknown = outcome({ ...goaway.frame, aux: 0xffff }, goaway.bytes.slice(HEADER));
  assert(typeof unknown !== "string");
  assertEquals(unknown.code, "INTERNAL");
});

/** The fields of a body, or the code that it is refused with: the same in all surroundings. */
function outcome(frame: Header, body: Uint8Array): Fields | string {
  const [first, ...others] = FILLS.map((fill) => {
    const around = new Uint8Array(24).fill(fill);
    const buffer = concat([around, body, around]);
    try {
      return decodeBody(frame, buffer, 24, 24 + body.length);
    } catch (error) {
      assertInstanceOf(error, ProtocolError);
      assert(error.message.startsWith("Cannot decode "), error.message);
      return error.code;
    }
  });
  assert(first !== undefined);
  for (const other of others) assertEquals(other, first);
  return first;
}

function decode(it: FrameVector): Fields {
  const fields = outcome(it.frame, it.bytes.slice(HEADER));
  assert(typeof fields !== "string");
  return fields;
}

/** A MSG with this metadata, in hex. */
function withMetadata(entries: string): { code?: string; fields?: Fields } {
  const block = unhex(entries);
  const size = write(new Uint8Array(4), 0, 4, block.length);
  const frame = { type: FrameType.MSG, flags: Flag.META, aux: 0, id: 0, seq: 1 };
  const result = outcome(frame, concat([new Uint8Array(2), size, block]));
  return typeof result === "string" ? { code: result } : { fields: result };
}

function entry(name: string, value: string): string {
  const [nameBytes, valueBytes] = [unhex(name), unhex(value)];
  const head = hex(Uint8Array.of(nameBytes.length));
  return `${head} ${name} ${hex(Uint8Array.of(0, valueBytes.length))} ${value}`;
}

/** The body of a vector with another text in it. */
function withText({ of, at, last }: (typeof TEXTS)[number], text: Uint8Array): Uint8Array {
  const body = vector(of).bytes.slice(HEADER);
  const length = Uint8Array.of(text.length >>> 8, text.length);
  if (last !== undefined) return concat([body, unhex(last), length, text]);
  return concat([body.slice(0, at), length, text, body.slice(at + 2 + read(body, at, 2))]);
}

function read(body: Uint8Array, at: number, width: number): number {
  return body.slice(at, at + width).reduce((value, byte) => value * 256 + byte, 0);
}

function write(body: Uint8Array, at: number, width: number, value: number): Uint8Array {
  const changed = body.slice();
  for (let i = 0; i < width; i++) changed[at + i] = Math.floor(value / 256 ** (width - 1 - i));
  return changed;
}
