/** Encoders: what they refuse to write, what they cut, and that the other end reads the rest. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import * as call from "../../src/wire/call.ts";
import { FrameType } from "../../src/wire/constants.ts";
import * as control from "../../src/wire/control.ts";
import * as message from "../../src/wire/message.ts";
import { metadataSize } from "../../src/wire/metadata.ts";
import { readName, readText, truncateText, utf8Length, writeText } from "../../src/wire/text.ts";
import { Rng } from "../_support/rng.ts";
import { decodeBody, encoded, type Fields, hex } from "./vectors.ts";

const NOTHING = new Uint8Array(0);
/** Text of each size in UTF-8, with a pair and a lone half of one. */
const ALPHABET = ["a", "~", "\0", "é", "߿", "ࠀ", "€", "\uffff", "😀", "\ud83d", "\ude00", "\ufeff"];

Deno.test("encodeMessage() writes an empty topic as two zero bytes", () => {
  const plain = encoded((out) => message.encodeMessage(out, 9, "", Uint8Array.of(1, 2, 3)));
  assertEquals(hex(plain), "00 00 00 11 10 00 00 00 00 00 00 00 00 00 00 09 00 00 01 02 03");
  const withNothing = encoded((out) =>
    message.encodeMessage(out, 9, "", Uint8Array.of(1, 2, 3), {})
  );
  assertEquals(hex(withNothing), hex(plain));
});

Deno.test("messagePrefixSize() is what encodeMessage() writes between header and payload", () => {
  const payload = new Uint8Array(10);
  for (const topic of ["", "a", "price/€", "t".repeat(255)]) {
    for (const metadata of [undefined, {}, { a: "" }, { key: "välue", "x-1": "y" }]) {
      const whole = encoded((out) => message.encodeMessage(out, 1, topic, payload, metadata));
      const size = message.messagePrefixSize(topic, metadata);
      assertEquals(whole.length, 16 + size + payload.length);
      const first = encoded((out) =>
        message.encodeMessageStart(out, 1, topic, 99, payload, metadata)
      );
      assertEquals(first.length, whole.length + 4);
    }
  }
});

Deno.test("encodeMessage() does not copy a large payload", () => {
  const out = new OutBuffer();
  const payload = new Uint8Array(200_000);
  message.encodeMessage(out, 1, "", payload);
  message.encodePiece(out, FrameType.MSG, 0, 2, false, payload);
  assertEquals(out.pieces().filter((it) => it === payload).length, 2);
});

Deno.test("encoders refuse names that are too long, before they write", () => {
  const long = "é".repeat(128);
  const rows: [name: string, (out: OutBuffer) => void][] = [
    ["topic", (out) => message.encodeMessage(out, 1, long, NOTHING)],
    ["topic", (out) => message.encodeMessageStart(out, 1, long, 5000, NOTHING)],
    ["topic", () => message.messagePrefixSize(long)],
    ["method", (out) => call.encodeRequest(out, 1, 1, 0, long, true, NOTHING)],
  ];
  for (const [field, encode] of rows) {
    const out = new OutBuffer();
    assertThrows(
      () => encode(out),
      RangeError,
      `'${field}' must be at most 255 bytes of UTF-8: current value is 256`,
    );
    assertEquals(out.length, 0);
  }
});

Deno.test("encoders refuse metadata that no peer would take, before they write", () => {
  for (const name of ["", "Upper", "with space", "é", "tab\t", "n".repeat(256)]) {
    const out = new OutBuffer();
    const metadata = { ok: "1", [name]: "x" };
    assertThrows(() => message.encodeMessage(out, 1, "", NOTHING, metadata), TypeError, "metadata");
    assertThrows(() => call.encodeResponse(out, 2, 1, true, NOTHING, metadata), TypeError);
    assertEquals(out.length, 0);
  }
  assertThrows(() => metadataSize({ a: "x".repeat(65_536) }), RangeError, "'a' must be at most");
  assertEquals(metadataSize({ a: "x".repeat(65_535) }), 65_539);
  assertEquals(metadataSize(undefined), 0);
});

Deno.test("metadata F12 carries names of Object.prototype there and back", () => {
  const metadata = { ["__proto__"]: "1", constructor: "2" };
  const frame = encoded((out) => message.encodeMessage(out, 1, "", NOTHING, metadata));
  const decoded = message.decodeMessage(frame[5] ?? 0, frame, 16, frame.length).metadata;
  assertEquals(Object.entries(decoded ?? {}), [["__proto__", "1"], ["constructor", "2"]]);
  assertEquals(Object.getPrototypeOf(decoded), null);
});

Deno.test("decodeMessage() refuses metadata over its limit", () => {
  const frame = encoded((out) => message.encodeMessage(out, 1, "", NOTHING, { a: "1234" }));
  const decode = (max: number) => message.decodeMessage(2, frame, 16, frame.length, max);
  assertEquals({ ...decode(8).metadata }, { a: "1234" });
  assertThrows(() => decode(7), Error, "metadata must be at most 7 bytes: current value is 8");
});

Deno.test("encodeResponse() refuses a payload where items follow", () => {
  const out = new OutBuffer();
  assertThrows(() => call.encodeResponse(out, 2, 1, false, new Uint8Array(1)), RangeError);
  assertEquals(out.length, 0);
});

Deno.test("encoders cut long reasons between two characters", () => {
  for (const character of ["a", "é", "€", "😀"]) {
    const size = utf8Length(character);
    const long = character.repeat(5_000);
    const kept = character.repeat(Math.floor(255 / size));
    const goaway = encoded((out) => control.encodeGoaway(out, "DRAINING", 0, long));
    assertEquals(body(goaway).reason, kept);
    const close = encoded((out) => control.encodeClose(out, "NORMAL", 0, 0, long));
    assertEquals(body(close).reason, kept);
    const head = { code: "UNKNOWN", notExecuted: false, retryable: false, retryAfter: 0 } as const;
    const error = encoded((out) =>
      call.encodeError(out, 2, 1, { ...head, message: long }, NOTHING)
    );
    assertEquals(body(error).message, character.repeat(Math.floor(4096 / size)));
  }
});

Deno.test("truncateText() keeps the longest beginning that fits", () => {
  for (let seed = 1; seed <= 500; seed++) {
    const rng = new Rng(seed);
    const text = Array.from({ length: rng.int(40) }, () => rng.pick(ALPHABET)).join("");
    const max = rng.int(60);
    const kept = truncateText(text, max);
    assert(text.startsWith(kept), `seed ${seed}`);
    assert(utf8Length(kept) <= max, `seed ${seed}`);
    const [next] = text.slice(kept.length);
    if (next !== undefined) {
      const character = String.fromCodePoint(text.codePointAt(kept.length) ?? 0);
      assert(utf8Length(kept + character) > max, `seed ${seed}`);
    }
  }
});

Deno.test("utf8Length() and writeText() agree with TextEncoder", () => {
  const encoder = new TextEncoder();
  for (let seed = 1; seed <= 2_000; seed++) {
    const rng = new Rng(seed);
    const text = Array.from({ length: rng.int(50) }, () => rng.pick(ALPHABET)).join("");
    const expected = encoder.encode(text);
    const size = utf8Length(text);
    assertEquals(size, expected.length, `seed ${seed}`);
    const written = encoded((out) => writeText(out, text, size));
    assertEquals(hex(written.subarray(2)), hex(expected), `seed ${seed}`);
    assertEquals((written[0] ?? 0) * 256 + (written[1] ?? 0), size, `seed ${seed}`);
    for (const read of [readText, readName]) {
      assertEquals(read(written, 2, written.length, "MSG", "topic"), text.toWellFormed());
    }
  }
});

Deno.test("readName() never mixes up two names", () => {
  // Many more than are remembered, so that each place is used again and again.
  const names = Array.from({ length: 3_000 }, (_, i) => `name/${i % 1_000}/${i % 7}`);
  const encoder = new TextEncoder();
  for (const name of names) {
    const bytes = encoder.encode(name);
    for (let i = 0; i < 2; i++) {
      assertEquals(readName(bytes, 0, bytes.length, "MSG", "topic"), name);
    }
  }
  // As Latin-1 this would equal the name "é".
  assertEquals(readName(encoder.encode("é"), 0, 2, "MSG", "topic"), "é");
  assertThrows(() => readName(Uint8Array.of(0xe9), 0, 1, "MSG", "topic"), Error, "UTF-8");
});

Deno.test("encodePing() writes numbers up to 2^53-1 exactly", () => {
  for (let exponent = 0; exponent <= 53; exponent++) {
    for (const value of [2 ** exponent - 1, Math.min(2 ** exponent, Number.MAX_SAFE_INTEGER)]) {
      const frame = encoded((out) => control.encodePing(out, value, 0));
      assertEquals(control.decodePing(frame, 16, 32), { opaque: value, recvSeq: 0 });
      const chunk = encoded((out) => call.encodeCredit(out, 1, 1, value));
      assertEquals(call.decodeCredit(chunk, 16, 24), value);
    }
  }
});

/** The fields of a whole frame. */
function body(frame: Uint8Array<ArrayBuffer>): Fields {
  const header = { type: frame[4] ?? 0, flags: frame[5] ?? 0, aux: 0, id: 0, seq: 0 };
  return decodeBody(header, frame, 16, frame.length);
}
