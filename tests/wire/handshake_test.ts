/** Prefaces, versions, limits, client ids and optional values. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/base/errors.ts";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { Bytes } from "../../src/base/types.ts";
import {
  checkLimits,
  clientIdProblem,
  decodeClientPreface,
  decodeHello,
  decodeResume,
  decodeServerPreface,
  decodeWelcome,
  encodeHello,
  encodeReject,
  encodeResume,
  encodeWelcome,
  type Hello,
  negotiate,
  type WireLimits,
} from "../../src/wire/handshake.ts";
import { concat, encoded, unhex, vector } from "./vectors.ts";

const HELLO: Hello = body("HELLO", decodeHello);
const { limits: LIMITS } = HELLO;

Deno.test("decodeClientPreface() refuses the magic at its first wrong byte", () => {
  const good = unhex("f9 56 4e 45 54 01 01 00");
  for (const decode of [decodeClientPreface, decodeServerPreface]) {
    for (let at = 0; at < 5; at++) {
      const bad = good.slice();
      bad[at] = 0x20;
      for (let end = 0; end <= 8; end++) {
        if (end <= at) assertEquals(decode(bad, 0, end), undefined);
        else assertEquals(failure(() => decode(bad, 0, end)).code, "PROTOCOL");
      }
    }
  }
});

Deno.test("decodeClientPreface() refuses a range of versions that is none", () => {
  const client = (max: number, min: number, flags = 0) =>
    decodeClientPreface(Uint8Array.of(0xf9, 0x56, 0x4e, 0x45, 0x54, max, min, flags), 0, 8);
  assertEquals(client(9, 2), { max: 9, min: 2 });
  assertEquals(client(1, 1, 0xff), { max: 1, min: 1 });
  assertEquals(client(255, 1), { max: 255, min: 1 });
  for (const [max, min] of [[0, 0], [1, 0], [1, 2]] as const) {
    assertEquals(failure(() => client(max, min)).code, "PROTOCOL");
  }
});

Deno.test("decodeServerPreface() refuses a choice outside of the server's range", () => {
  const server = (chosen: number, lowest: number, highest: number) =>
    decodeServerPreface(
      Uint8Array.of(0xf9, 0x56, 0x4e, 0x45, 0x54, chosen, lowest, highest),
      0,
      8,
    );
  assertEquals(server(0, 2, 3), { chosen: 0, lowest: 2, highest: 3 });
  assertEquals(server(2, 1, 3), { chosen: 2, lowest: 1, highest: 3 });
  for (const [c, l, h] of [[1, 2, 3], [4, 2, 3], [1, 0, 1], [0, 0, 0], [2, 3, 2]] as const) {
    assertEquals(failure(() => server(c, l, h)).code, "PROTOCOL");
  }
});

Deno.test("negotiate() H5 finds version 1 or nothing", () => {
  assertEquals([negotiate(1, 1), negotiate(9, 1), negotiate(3, 2)], [1, 1, 0]);
});

Deno.test("checkLimits() H6 judges the matrix of limits", () => {
  const rows: [keyof WireLimits, ok: readonly number[], bad: readonly number[]][] = [
    ["maxFrame", [16_384, 262_144], [0, 1, 16_383]],
    ["maxMessage", [1, 0xffff_ffff], [0]],
    ["recvBytes", [1_048_576, 0xffff_ffff], [0, 1, 1_048_575]],
    ["maxCalls", [0, 1, 0xffff_ffff], []],
    ["maxStreams", [0, 1, 0xffff_ffff], []],
    ["streamBytes", [16_384, 0xffff_ffff], [0, 1, 16_383]],
    ["maxMetadata", [0, 1, 0xffff_ffff], []],
    ["heartbeatMs", [0, 100, 0xffff_ffff], [1, 99]],
    ["ttlMs", [0, 1, 0xffff_ffff], []],
    ["features", [0, 1, 0xffff_ffff], []],
  ];
  assertEquals(rows.map(([name]) => name), Object.keys(LIMITS));
  for (const [name, ok, bad] of rows) {
    for (const value of ok) {
      assertEquals(checkLimits({ ...LIMITS, [name]: value }), undefined, `${name} ${value}`);
    }
    for (const value of bad) {
      const problem = checkLimits({ ...LIMITS, [name]: value }) ?? "no problem";
      assert(problem.startsWith(`The limit '${name}' must be at least `), `${name} ${value}`);
      assert(problem.endsWith(`: current value is ${value}`), problem);
    }
  }
  assertEquals(checkLimits({ ...LIMITS, maxStreams: 0, streamBytes: 0 }), undefined);
  // The window has to hold four frames of the sender's own size.
  assert(checkLimits({ ...LIMITS, maxFrame: 0xffff_ffff, recvBytes: 0xffff_ffff }) !== undefined);
});

Deno.test("encodeHello() H6 writes limits that do not fit as the nearest that do", () => {
  const limits = {
    ...LIMITS,
    maxMessage: Infinity,
    ttlMs: 2 ** 40,
    maxCalls: -1,
    maxFrame: 20_000.7,
  };
  const frame = encoded((out) => encodeHello(out, { ...HELLO, limits }));
  assertEquals(decodeHello(frame, 16, frame.length).limits, {
    ...LIMITS,
    maxMessage: 0xffff_ffff,
    ttlMs: 0xffff_ffff,
    maxCalls: 0,
    maxFrame: 20_000,
  });
});

Deno.test("clientIdProblem() H8 judges ids", () => {
  for (const id of ["", "a", "x".repeat(255), "é".repeat(127), "名前", " spaced ", "😀"]) {
    assertEquals(clientIdProblem(id), undefined, id);
  }
  const bad = ["\0", "a\0", "name\0\0\0\0", "\n", "tab\t", "\x1f", "\x7f", "\x80", "a\x9fb"];
  for (const id of bad) {
    assertEquals(
      clientIdProblem(id),
      "The client id must not contain control characters",
      JSON.stringify(id),
    );
  }
  for (const id of ["x".repeat(256), "é".repeat(128)]) {
    assertEquals(
      clientIdProblem(id),
      "The client id must be at most 255 bytes of UTF-8: current value is 256",
    );
  }
});

Deno.test("decodeHello() F9 skips TLVs that it does not know, unless they are critical", () => {
  const least = vector("HELLO, least").bytes.slice(16);
  for (const type of [0, 6, 7, 0x1234, 0x7fff]) {
    for (const size of [0, 1, 300]) {
      const plain = concat([least, tlv(type, size), tlv(1, 3)]);
      assertEquals(decodeHello(plain, 0, plain.length).agent, "aaa");
      const critical = concat([least, tlv(type | 0x8000, size), tlv(1, 3)]);
      const error = failure(() => decodeHello(critical, 0, critical.length));
      assertEquals(error.code, "UNKNOWN_CRITICAL");
      const twice = concat([plain, tlv(type, size)]);
      assertEquals(decodeHello(twice, 0, twice.length).agent, "aaa");
    }
  }
});

Deno.test("decodeHello() understands a known TLV with and without the critical bit, once", () => {
  const least = vector("HELLO, least").bytes.slice(16);
  for (const [type, size] of [[1, 3], [2, 3], [3, 16], [4, 3], [5, 0]] as const) {
    for (const bit of [0, 0x8000]) {
      const once = concat([least, tlv(type | bit, size)]);
      decodeHello(once, 0, once.length);
      const twice = concat([once, tlv(type, size)]);
      const error = failure(() => decodeHello(twice, 0, twice.length));
      assertEquals(error.code, "BAD_FRAME");
      assertEquals(error.message, `Cannot decode HELLO as the TLV ${type} must not come twice`);
    }
  }
});

Deno.test("decodeHello() demands 16 bytes of instance", () => {
  const least = vector("HELLO, least").bytes.slice(16);
  for (const size of [0, 1, 15, 17, 32]) {
    const bytes = concat([least, tlv(3, size)]);
    assertEquals(failure(() => decodeHello(bytes, 0, bytes.length)).code, "BAD_FRAME", `${size}`);
  }
});

Deno.test("decoders skip a TLV that has no place in their frame, unless it is critical", () => {
  const rows = [
    [vector("WELCOME").bytes.slice(16), decodeWelcome, [3, 4, 5]],
    [vector("RESUME").bytes.slice(16), decodeResume, [4, 5]],
  ] as const;
  for (const [bytes, decode, types] of rows) {
    for (const type of types) {
      const plain = concat([bytes, tlv(type, 7)]);
      assertEquals(decode(plain, 0, plain.length), decode(bytes, 0, bytes.length));
      const critical = concat([bytes, tlv(type | 0x8000, 7)]);
      const error = failure(() => decode(critical, 0, critical.length));
      assertEquals(error.code, "UNKNOWN_CRITICAL");
    }
  }
});

Deno.test("decodeHello() copies what it hands out", () => {
  const bytes = vector("HELLO").bytes.slice(16);
  const hello = decodeHello(bytes, 0, bytes.length);
  bytes.fill(0);
  assertEquals(hello, HELLO);
});

Deno.test("decodeHello() takes an id of any length, so that the server can refuse it by name", () => {
  const least = vector("HELLO, least").bytes.slice(16);
  const id = new Uint8Array(300).fill(0x62);
  const bytes = concat([least.slice(0, 40), Uint8Array.of(1, 44), id, least.slice(42)]);
  const { clientId } = decodeHello(bytes, 0, bytes.length);
  assert(clientIdProblem(clientId) !== undefined);
});

Deno.test("encoders of the handshake refuse sizes that no peer would take, before they write", () => {
  const welcome = body("WELCOME", decodeWelcome);
  const resume = body("RESUME", decodeResume);
  const reject = {
    code: "NORMAL",
    retryAfter: 0,
    epoch: new Uint8Array(8),
    lastRecv: undefined,
    reason: "",
  } as const;
  const rows: [string, (out: OutBuffer) => void][] = [
    ["'clientId'", (out) => encodeHello(out, { ...HELLO, clientId: "x".repeat(256) })],
    ["'authScheme'", (out) => encodeHello(out, { ...HELLO, authScheme: "x".repeat(256) })],
    ["'agent'", (out) => encodeHello(out, { ...HELLO, agent: "x".repeat(256) })],
    ["'serializer'", (out) => encodeHello(out, { ...HELLO, serializer: "x".repeat(256) })],
    ["'path'", (out) => encodeHello(out, { ...HELLO, path: "x".repeat(1025) })],
    ["'instance'", (out) => encodeHello(out, { ...HELLO, instance: new Uint8Array(15) })],
    ["'metadata'", (out) => encodeHello(out, { ...HELLO, metadata: { a: "x".repeat(65_535) } })],
    ["16384 bytes", (out) => encodeHello(out, { ...HELLO, auth: new Uint8Array(16_384) })],
    ["16384 bytes", (out) => encodeHello(out, { ...HELLO, metadata: { a: "x".repeat(16_384) } })],
    ["'sessionId'", (out) => encodeWelcome(out, { ...welcome, sessionId: new Uint8Array(17) })],
    ["'secret'", (out) => encodeWelcome(out, { ...welcome, secret: new Uint8Array(0) })],
    ["'epoch'", (out) => encodeWelcome(out, { ...welcome, epoch: new Uint8Array(7) })],
    ["'id'", (out) => encodeWelcome(out, { ...welcome, id: "x".repeat(256) })],
    ["'proof'", (out) => encodeResume(out, { ...resume, proof: new Uint8Array(31) })],
    ["'epoch'", (out) => encodeReject(out, { ...reject, epoch: new Uint8Array(9) })],
  ];
  for (const [what, encode] of rows) {
    const out = new OutBuffer();
    const error = assertThrows(() => encode(out), RangeError);
    assert(error.message.includes(what), error.message);
    assertEquals(out.length, 0);
  }
  assertThrows(() => encodeHello(new OutBuffer(), { ...HELLO, metadata: { "A": "" } }), TypeError);
});

Deno.test("encodeHello() writes up to 16 KiB", () => {
  const empty = encoded((out) => encodeHello(out, { ...HELLO, auth: new Uint8Array(0) })).length;
  const auth = new Uint8Array(16_384 - empty);
  assertEquals(encoded((out) => encodeHello(out, { ...HELLO, auth })).length, 16_384);
  const longer = { ...HELLO, auth: new Uint8Array(auth.length + 1) };
  assertThrows(
    () => encodeHello(new OutBuffer(), longer),
    RangeError,
    "Cannot encode HELLO as it must be at most 16384 bytes: current value is 16385",
  );
});

/** The decoded body of a vector. */
function body<T>(name: string, decode: (buffer: Bytes, start: number, end: number) => T): T {
  const { bytes } = vector(name);
  return decode(bytes, 16, bytes.length);
}

function tlv(type: number, size: number): Uint8Array {
  const value = new Uint8Array(size).fill(0x61);
  return concat([Uint8Array.of(type >>> 8, type, size >>> 8, size), value]);
}

function failure(run: () => unknown): ProtocolError {
  const error = assertThrows(run);
  assertInstanceOf(error, ProtocolError);
  return error;
}
