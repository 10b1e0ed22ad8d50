/** Encoders, decoders and the independent reader agree with the golden vectors. */
import { assert, assertEquals } from "@std/assert";
import { FrameType } from "../../src/wire/constants.ts";
import {
  decodeClientPreface,
  decodeServerPreface,
  encodeClientPreface,
  encodeServerPreface,
} from "../../src/wire/handshake.ts";
import { FrameReader } from "../../src/wire/frame.ts";
import type { Bytes } from "../../src/base/types.ts";
import { readFrame } from "./reader.ts";
import { concat, decodeBody, encoded, encodeVector, frames, hex, prefaces } from "./vectors.ts";

Deno.test("golden vectors have every type, and every flag in both states", () => {
  const types = new Set(frames.map((it) => it.frame.type));
  for (const [name, type] of Object.entries(FrameType)) assert(types.has(type), `${name} has none`);
  for (const flag of [0x01, 0x02, 0x04, 0x08, 0x10]) {
    assert(frames.some((it) => (it.frame.flags & flag) !== 0), `No vector has the flag ${flag}`);
    assert(frames.some((it) => (it.frame.flags & flag) === 0), `All vectors have flag ${flag}`);
  }
  assertEquals(new Set(frames.map((it) => it.name)).size, frames.length);
});

for (const vector of frames.filter((it) => !it.decodeOnly)) {
  Deno.test(`encoders write the golden bytes: ${vector.name}`, () => {
    assertEquals(hex(encoded((out) => encodeVector(out, vector))), hex(vector.bytes));
  });
}

Deno.test("encoders write one frame after another into the same buffer", () => {
  const all = frames.filter((it) => !it.decodeOnly);
  const written = encoded((out) => all.forEach((it) => encodeVector(out, it)));
  assertEquals(hex(written), hex(concat(all.map((it) => it.bytes))));
});

for (const vector of frames) {
  Deno.test(`FrameReader and decoders read the golden bytes: ${vector.name}`, () => {
    let count = 0;
    const reader = new FrameReader(
      {
        onFrame(type, flags, aux, id, seq, buffer, start, end) {
          count++;
          const header = { type, flags, aux, id, seq };
          assertEquals(header, vector.frame);
          if (!vector.continues) {
            assertEquals(decodeBody(header, buffer, start, end), vector.body);
          } else assertEquals({ payload: hex(buffer.subarray(start, end)) }, vector.body);
        },
      },
      vector.from,
      vector.bytes.length,
    );
    assertEquals(reader.read(vector.bytes, 0, vector.bytes.length), vector.bytes.length);
    assertEquals([count, reader.wanted], [1, 0]);
  });

  Deno.test(`the independent reader reads the golden bytes: ${vector.name}`, () => {
    const { header: { length, ...header }, body, rest } = readFrame(vector.bytes, vector.continues);
    assertEquals(length, vector.bytes.length - 4);
    assertEquals(header, vector.frame);
    const isUnknown = header.type === 0xc1;
    assertEquals(rest === 0, !isUnknown);
    for (const [name, value] of Object.entries(vector.body)) {
      // A number in the header there.
      if (name === "code") continue;
      assertEquals(asVector(body, name), asEmpty(value), `${vector.name}: ${name}`);
    }
  });
}

Deno.test("prefaces are written and read as the golden bytes", () => {
  assertEquals(prefaces.length, 3);
  for (const { name, from, bytes, preface } of prefaces) {
    const chosen = Number(preface.chosen);
    const written = encoded((out) =>
      from === "client" ? encodeClientPreface(out) : encodeServerPreface(out, chosen)
    );
    assertEquals(hex(written), hex(bytes), name);
    const decode = from === "client" ? decodeClientPreface : decodeServerPreface;
    assertEquals<unknown>(decode(bytes, 0, 8), preface, name);
    for (let end = 0; end < 8; end++) assertEquals(decode(bytes, 0, end), undefined, name);
    const shifted: Bytes = Uint8Array.from([1, 2, 3, ...bytes, 9]);
    assertEquals<unknown>(decode(shifted, 3, shifted.length), preface, name);
  }
});

/** The reader's field in the words of the vectors. */
function asVector(body: Readonly<Record<string, unknown>>, name: string): unknown {
  switch (name) {
    case "lastRecv":
      return asEmpty(body.hasLast === 1 ? body.last : null);
    case "notExecuted":
      return asEmpty((Number(body.bits) & 1) !== 0);
    case "retryable":
      return asEmpty((Number(body.bits) & 2) !== 0);
  }
  const value = body[name];
  return value instanceof Uint8Array ? hex(value) : asEmpty(value);
}

/** What is absent on the wire is empty, null, -1 or {} in the vectors. */
function asEmpty(value: unknown): unknown {
  if (value === undefined || value === null || value === -1) return "";
  if (typeof value === "object" && Object.keys(value).length === 0) return "";
  return value;
}
