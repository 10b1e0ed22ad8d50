/** FrameReader: where frames begin and end, and which headers it refuses. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { type CloseCode, ProtocolError } from "../../src/base/errors.ts";
import type { Bytes, Side } from "../../src/base/types.ts";
import { FrameType } from "../../src/wire/constants.ts";
import { type FrameHandler, FrameReader, writeHeader } from "../../src/wire/frame.ts";
import { Rng } from "../_support/rng.ts";
import { concat, encoded, frames, type Header, hex, rawFrame, vector } from "./vectors.ts";

const NO_BODY = new Uint8Array(0);
const SIDES: readonly Side[] = ["client", "server"];
const MAX_FRAME = 1 << 18;

/** Keeps a running hash and a list of what came. */
class Recorder implements FrameHandler {
  hash = 0;
  count = 0;
  readonly headers: Header[] = [];
  readonly keep: boolean;

  constructor(keep = true) {
    this.keep = keep;
  }

  onFrame(
    type: number,
    flags: number,
    aux: number,
    id: number,
    seq: number,
    buffer: Bytes,
    start: number,
    end: number,
  ): void {
    this.count++;
    if (this.keep) this.headers.push({ type, flags, aux, id, seq });
    let hash = this.hash;
    for (const field of [type, flags, aux, id, seq, end - start]) {
      hash = (Math.imul(hash, 31) + field) | 0;
    }
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (buffer[i] ?? 0)) | 0;
    this.hash = hash;
  }
}

Deno.test("FrameReader.read() F3 gives the same frames at every cut and every pair of cuts", () => {
  for (const side of SIDES) {
    const stream = concat(ofSide(side).filter((it) => it.length < 200));
    const whole = feed(side, stream, []);
    for (let first = 0; first <= stream.length; first++) {
      for (let second = first; second <= stream.length; second++) {
        const { hash, count } = feed(side, stream, [first, second]);
        if (hash !== whole.hash || count !== whole.count) {
          throw new Error(`${side}: other frames when cut at ${first} and ${second}`);
        }
      }
    }
    assert(whole.count > 10);
  }
});

Deno.test("FrameReader.read() F3 gives the same frames at every cut, with long frames too", () => {
  for (const side of SIDES) {
    const stream = concat(ofSide(side));
    const whole = feed(side, stream, []);
    for (let cut = 0; cut <= stream.length; cut++) {
      // Cuts within a long payload are all alike.
      if (stream[cut] === stream[cut - 1] && stream[cut] === stream[cut + 1] && cut % 97 !== 0) {
        continue;
      }
      const { hash, count } = feed(side, stream, [cut]);
      assertEquals([hash, count], [whole.hash, whole.count], `${side}: cut at ${cut}`);
    }
  }
});

Deno.test("FrameReader.read() F3 gives the same frames byte by byte and at random cuts", () => {
  for (const side of SIDES) {
    const stream = concat(ofSide(side));
    const whole = feed(side, stream, []);
    const every = Array.from(stream, (_, i) => i);
    assertEquals(feed(side, stream, every).hash, whole.hash);
    for (let seed = 1; seed <= 300; seed++) {
      const rng = new Rng(seed);
      const cuts = every.filter(() => rng.int(1 + seed) === 0);
      assertEquals(feed(side, stream, cuts).hash, whole.hash, `seed ${seed}`);
    }
  }
});

Deno.test("FrameReader.read() F4 takes a large frame byte by byte", () => {
  const frame = rawFrame({ type: FrameType.MSG, seq: 1 }, new Uint8Array(1 << 20).fill(7));
  const recorder = new Recorder();
  const reader = new FrameReader(recorder, "client", frame.length);
  let at = 0;
  for (let end = 1; end <= frame.length; end++) at = reader.read(frame, at, end);
  assertEquals([at, recorder.count, reader.wanted], [frame.length, 1, 0]);
});

Deno.test("FrameReader.read() F1 rejects a length above the maximum on its four bytes", () => {
  for (const start of ["ff ff ff ff", "47 45 54 20", "00 00 3f fd", "80 00 00 00"]) {
    const bytes = Uint8Array.from(start.split(" "), (it) => parseInt(it, 16));
    for (let end = 0; end < 4; end++) assertEquals(readAll(bytes.subarray(0, end)).count, 0);
    assertEquals(failure(bytes).code, "FRAME_TOO_LARGE", start);
  }
});

Deno.test("FrameReader.read() F1 counts the header in maxFrame", () => {
  const body = new Uint8Array(16_384 - 16);
  assertEquals(readAll(rawFrame({ type: FrameType.MSG }, body)).count, 1);
  const larger = rawFrame({ type: FrameType.MSG }, new Uint8Array(body.length + 1));
  const error = failure(larger);
  assertEquals(error.code, "FRAME_TOO_LARGE");
  assertEquals(
    error.message,
    "Cannot read frame as it must be at most 16384 bytes: current value is 16385",
  );
});

Deno.test("FrameReader.read() F2 rejects all lengths from 0 to 11", () => {
  for (let length = 0; length < 12; length++) {
    const frame = rawFrame({ type: FrameType.MSG, length }, NO_BODY);
    for (const end of [4, 5, 15, 16]) {
      assertEquals(failure(frame.subarray(0, end)).code, "BAD_FRAME", `${length}, ${end} bytes`);
    }
  }
});

Deno.test("FrameReader.read() F7 delivers nothing of a frame that is cut", () => {
  for (const { name, from, bytes } of frames.filter((it) => it.bytes.length < 200)) {
    for (let end = 1; end < bytes.length; end++) {
      const recorder = new Recorder();
      const reader = new FrameReader(recorder, from, MAX_FRAME);
      assertEquals(reader.read(bytes, 0, end), 0, name);
      assertEquals(recorder.count, 0, name);
      assertEquals(reader.wanted, end < 4 ? 16 : bytes.length, `${name}, ${end} bytes`);
    }
  }
});

Deno.test("FrameReader.read() F9 judges all 256 types with all 256 flags", () => {
  let accepted = 0;
  for (const side of SIDES) {
    for (let type = 0; type < 256; type++) {
      for (let flags = 0; flags < 256; flags++) {
        const header = { type, flags, ...idAndSeq(type, side) };
        const expected = judge(type, flags, side);
        const actual = outcome(rawFrame(header, NO_BODY), side);
        if (actual !== expected) {
          throw new Error(`${side} ${type} ${flags}: ${actual} in place of ${expected}`);
        }
        if (expected === undefined) accepted++;
      }
    }
  }
  assert(accepted > 2 * 128 * 32);
});

Deno.test("FrameReader.read() F9 hands over frames of unknown types with their seq", () => {
  const recorder = new Recorder();
  const reader = new FrameReader(recorder, "client", MAX_FRAME);
  const header = { type: 0xfe, flags: 0x1f, aux: 0xffff, id: 0x7fff_ffff, seq: 0xffff_ffff };
  const frame = rawFrame(header, new Uint8Array(5));
  reader.read(frame, 0, frame.length);
  assertEquals(recorder.headers, [header]);
});

Deno.test("FrameReader.read() demands the ids of each type", () => {
  const zero = [0x01, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x10];
  const rows: [type: number, id: number, client: boolean, server: boolean][] = [
    ...zero.flatMap((type): [number, number, boolean, boolean][] => [
      [type, 1, false, false],
      [type, 2, false, false],
      [type, 0x7fff_ffff, false, false],
      [type, 0x8000_0000, false, false],
      [type, 0, true, type >= 0x08],
    ]),
    ...[0x11, 0x14].flatMap((type) => parity(type, true)),
    ...[0x12, 0x13].flatMap((type) => parity(type, false)),
    ...[0x15, 0x16].flatMap((type): [number, number, boolean, boolean][] => [
      [type, 0, false, false],
      [type, 1, true, true],
      [type, 2, true, true],
      [type, 0x7fff_ffff, true, true],
      [type, 0xffff_ffff, false, false],
    ]),
    ...[0x17, 0x80, 0xff].flatMap((type): [number, number, boolean, boolean][] => [
      [type, 0, true, true],
      [type, 1, true, true],
      [type, 2, true, true],
      [type, 0x8000_0001, false, false],
    ]),
  ];
  for (const [type, id, client, server] of rows) {
    for (const side of SIDES) {
      const ok = side === "client" ? client : server;
      const frame = rawFrame({ type, ...idAndSeq(type, side), id }, NO_BODY);
      const expected = ok
        ? undefined
        : type <= 0x03 && side === "server"
        ? "PROTOCOL"
        : "BAD_FRAME";
      assertEquals(outcome(frame, side), expected, `${side}: type ${type}, id ${id}`);
    }
  }
});

Deno.test("FrameReader.read() demands a seq where a type is tracked, and none where it is not", () => {
  for (const side of SIDES) {
    for (const type of Object.values(FrameType)) {
      if (judge(type, 0, side) !== undefined) continue;
      const tracked = type >= FrameType.MSG;
      const { id } = idAndSeq(type, side);
      const none = outcome(rawFrame({ type, id, seq: 0 }, NO_BODY), side);
      const some = outcome(rawFrame({ type, id, seq: 0xffff_ffff }, NO_BODY), side);
      assertEquals(none, tracked && type !== FrameType.MSG ? "BAD_FRAME" : undefined, `${type}`);
      assertEquals(some, tracked ? undefined : "BAD_FRAME", `${type}`);
    }
  }
});

Deno.test("FrameReader.read() checks length, type, flags, id, seq in this order", () => {
  // Each row is wrong in all that the rows below it are wrong in.
  const wrong = { type: 0x00, flags: 0xe1, id: 1, seq: 1 };
  const rows: [Partial<Header> & { length?: number }, RegExp][] = [
    [{ ...wrong, length: 11 }, /length/],
    [wrong, /type 0x00 is unknown/],
    [{ ...wrong, type: FrameType.WELCOME }, /WELCOME never comes/],
    [{ ...wrong, type: FrameType.PING }, /flags 0xe1 are unknown/],
    [{ ...wrong, type: FrameType.PING, flags: 1 }, /cannot have the flags 0x1/],
    [{ ...wrong, type: FrameType.PING, flags: 0 }, /id cannot be 1/],
    [{ ...wrong, type: FrameType.PING, flags: 0, id: 0 }, /seq cannot be 1/],
  ];
  for (const [header, message] of rows) {
    const { message: actual } = failure(rawFrame(header, NO_BODY));
    assert(message.test(actual), `${actual} is not ${message}`);
  }
});

Deno.test("FrameReader.read() delivers the frames before a bad one", () => {
  const good = vector("MSG").bytes;
  const recorder = new Recorder();
  const reader = new FrameReader(recorder, "client", MAX_FRAME);
  const bytes = concat([good, good, rawFrame({ type: 0x7f }, NO_BODY), good]);
  assertThrows(() => reader.read(bytes, 0, bytes.length), ProtocolError);
  assertEquals(recorder.count, 2);
});

Deno.test("FrameReader.read() begins and ends where it is told", () => {
  const good = vector("PING").bytes;
  const bytes = concat([new Uint8Array([1, 2, 3]), good, good.subarray(0, 7)]);
  const recorder = new Recorder();
  const reader = new FrameReader(recorder, "client", MAX_FRAME);
  assertEquals(reader.read(bytes, 3, bytes.length), 3 + good.length);
  assertEquals([recorder.count, reader.wanted], [1, good.length]);
  assertEquals(reader.read(bytes, 5, 5), 5);
  assertEquals(reader.wanted, 0);
});

Deno.test("FrameReader.stop() ends the read after the present frame", () => {
  const good = vector("MSG").bytes;
  const bytes = concat([good, good, good, good]);
  let count = 0;
  const reader = new FrameReader({ onFrame: () => ++count === 2 && reader.stop() }, "client", 64);
  assertEquals(reader.read(bytes, 0, bytes.length), 2 * good.length);
  assertEquals([count, reader.wanted], [2, 0]);
  assertEquals(reader.read(bytes, 2 * good.length, bytes.length), bytes.length);
  assertEquals(count, 4);
});

Deno.test("FrameReader.maxFrame may change between two frames", () => {
  const small = vector("PING").bytes;
  const large = rawFrame({ type: FrameType.MSG }, new Uint8Array(100));
  const bytes = concat([small, large]);
  const refusing = new FrameReader(new Recorder(), "client", small.length);
  assertThrows(() => refusing.read(bytes, 0, bytes.length), ProtocolError, "at most 32 bytes");
  const reader = new FrameReader(
    { onFrame: () => void (reader.maxFrame = large.length) },
    "client",
    small.length,
  );
  assertEquals(reader.read(bytes, 0, bytes.length), bytes.length);
});

Deno.test("FrameReader.read() lets errors of the handler through", () => {
  const thrown = new ProtocolError("FLOOD", "Enough");
  const reader = new FrameReader(
    {
      onFrame() {
        throw thrown;
      },
    },
    "client",
    MAX_FRAME,
  );
  const bytes = vector("MSG").bytes;
  assertEquals(assertThrows(() => reader.read(bytes, 0, bytes.length)), thrown);
});

Deno.test("writeHeader() writes each field to its place", () => {
  const bytes = encoded((out) =>
    writeHeader(out, 0x01020304 - 12, 5, 6, 0x0708, 0x090a0b0c, 0xfdfefff0)
  );
  assertEquals(hex(bytes), "01 02 03 04 05 06 07 08 09 0a 0b 0c fd fe ff f0");
});

function ofSide(side: Side): readonly Bytes[] {
  return frames.filter((it) => it.from === side).map((it) => it.bytes);
}

/** Reads a stream of which a bit more is there each time. */
function feed(side: Side, stream: Bytes, cuts: readonly number[]): Recorder {
  const recorder = new Recorder(false);
  const reader = new FrameReader(recorder, side, MAX_FRAME);
  let at = 0;
  for (const cut of cuts) at = reader.read(stream, at, cut);
  assertEqual(reader.read(stream, at, stream.length), stream.length);
  return recorder;
}

/** Without the cost of a deep comparison: this is called half a million times. */
function assertEqual(actual: number, expected: number): void {
  if (actual !== expected) assertEquals(actual, expected);
}

function readAll(bytes: Bytes, side: Side = "client"): Recorder {
  const recorder = new Recorder();
  new FrameReader(recorder, side, 16_384).read(bytes, 0, bytes.length);
  return recorder;
}

function failure(bytes: Bytes, side: Side = "client"): ProtocolError {
  const error = assertThrows(() => readAll(bytes, side));
  assertInstanceOf(error, ProtocolError);
  assertEquals(error.initiator, "remote");
  return error;
}

/** The code that a frame is refused with. */
function outcome(bytes: Bytes, side: Side): CloseCode | undefined {
  try {
    return readAll(bytes, side).count === 1 ? undefined : "INTERNAL";
  } catch (error) {
    assertInstanceOf(error, ProtocolError);
    return error.code;
  }
}

/** An id and a seq that suit the type: section 5 of PROTOCOL.md. */
function idAndSeq(type: number, side: Side): { id: number; seq: number } {
  const own = side === "client" ? 1 : 2;
  if (type < 0x10) return { id: 0, seq: 0 };
  if (type === 0x10) return { id: 0, seq: 1 };
  return { id: type === 0x12 || type === 0x13 ? 3 - own : own, seq: 1 };
}

/** Sections 3 and 5 of PROTOCOL.md once more. */
function judge(type: number, flags: number, side: Side): CloseCode | undefined {
  const known = [1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 16, 17, 18, 19, 20, 21, 22, 23].includes(type);
  if (!known && type < 0x80) return "UNKNOWN_CRITICAL";
  if ([1, 3].includes(type) && side === "server") return "PROTOCOL";
  if ([2, 4, 5].includes(type) && side === "client") return "PROTOCOL";
  if ((flags & 0xe0) !== 0) return "UNKNOWN_CRITICAL";
  if (!known) return undefined;
  const end = [0x11, 0x12, 0x15].includes(type);
  const meta = [0x10, 0x11, 0x12, 0x13].includes(type);
  const more = [0x10, 0x11, 0x12, 0x13, 0x15].includes(type);
  const bad = (flags & 0x01 && !end) || (flags & 0x02 && !meta) || (flags & 0x10 && !more);
  return bad ? "BAD_FRAME" : undefined;
}

/** The rows of a type whose id has the parity of its sender, or of the other side. */
function parity(type: number, own: boolean): [number, number, boolean, boolean][] {
  return [
    [type, 0, false, false],
    [type, 1, own, !own],
    [type, 2, !own, own],
    [type, 0x7fff_ffff, own, !own],
    [type, 0x7fff_fffe, !own, own],
    [type, 0x8000_0001, false, false],
    [type, 0x8000_0002, false, false],
    [type, 0xffff_ffff, false, false],
  ];
}
