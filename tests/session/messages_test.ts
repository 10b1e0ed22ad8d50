/** The two halves of message flow, joined by a FrameReader: fragments, credit, and what may not be. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/base/errors.ts";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { Bytes } from "../../src/base/types.ts";
import { MessageReader } from "../../src/session/message_reader.ts";
import { MessageWriter } from "../../src/session/message_writer.ts";
import { SendCount } from "../../src/session/numbering.ts";
import { Outbox } from "../../src/session/outbox.ts";
import { Flag, FrameType } from "../../src/wire/constants.ts";
import { FrameReader } from "../../src/wire/frame.ts";
import type { WireLimits } from "../../src/wire/handshake.ts";
import { encodeMessage, encodeMessageStart, encodePiece } from "../../src/wire/message.ts";
import { Rng } from "../_support/rng.ts";
import { encoded, LIMITS, rawFrame } from "../_support/wire_client.ts";

const MIB = 1_048_576;

/** A writer and a reader, and the wire between them, which takes one `fill` at a time. */
class Flow {
  readonly outbox = new Outbox(64 * MIB);
  readonly count = new SendCount();
  readonly writer: MessageWriter;
  readonly reader: MessageReader;
  readonly got: { topic: string; payload: Bytes; cost: number }[] = [];
  written = 0;
  unsendable = 0;
  readonly lengths: number[] = [];
  dropped = 0;
  readonly #out = new OutBuffer();
  readonly #frames: FrameReader;

  constructor(limits: Partial<WireLimits> = {}) {
    const all = { ...LIMITS, ...limits };
    const { outbox, count } = this;
    const host = {
      outbox,
      get messages() {
        return outbox.frames;
      },
      onWritten: (count: number) => this.written += count,
      onUnsendable: () => this.unsendable++,
    };
    this.writer = new MessageWriter(host, all, count);
    this.reader = new MessageReader({
      onMessage: (topic, payload, cost) => {
        this.got.push({ topic, payload, cost });
        return false;
      },
      onDropped: () => this.dropped++,
    }, all);
    this.#frames = new FrameReader(
      {
        onFrame: (type, flags, _aux, _id, seq, buffer, start, end) => {
          assertEquals(type, FrameType.MSG);
          this.lengths.push(end - start + 16);
          this.reader.frame(flags, seq, buffer, start, end);
        },
      },
      "client",
      all.maxFrame,
    );
  }

  /** Writes and reads once; tells how many bytes travelled. */
  step(size = 65_536): number {
    this.writer.write(this.#out, size);
    const bytes = this.#out.toBytes();
    this.#out.reset();
    this.receive(bytes);
    return bytes.length;
  }

  /** Reads frames. */
  receive(bytes: Bytes): void {
    assertEquals(this.#frames.read(bytes, 0, bytes.length), bytes.length);
  }

  /** Tells the writer what the reader grants, if that is due. */
  grant(): boolean {
    if (!this.reader.due) return false;
    this.writer.grant(this.reader.advertise());
    return true;
  }
}

Deno.test("MessageWriter and MessageReader pass 16 MiB through a window of 1 MiB", () => {
  const flow = new Flow();
  const body = new Rng(1).bytes(16 * MIB);
  flow.outbox.push("large", body);
  let between = 0;
  let grants = 0;
  while (flow.got.length === 0) {
    between += flow.step();
    assert(between <= MIB + 64, `${between} bytes travelled without a grant`);
    if (!flow.grant()) continue;
    between = 0;
    grants++;
  }
  const [message] = flow.got;
  assertEquals([message?.topic, message?.payload.length], ["large", 16 * MIB]);
  assert(message?.payload.every((byte, i) => byte === body[i]));
  assertEquals(flow.written, 1);
  assert(grants >= 15, `${grants} grants`);
  assert(flow.lengths.every((length) => length <= 131_072), `${Math.max(...flow.lengths)}`);
  assertEquals(flow.count.count, flow.lengths.length);
});

Deno.test("MessageWriter stops where credit ends, and goes on with the grant", () => {
  const flow = new Flow({ maxFrame: 16_384, recvBytes: 65_536 });
  for (let i = 0; i < 100; i++) flow.outbox.push("", new Uint8Array(936).fill(i));
  // 1,014 each: 2 bytes of topic, 12 of the length field, 64 for keeping it.
  while (flow.step() > 0);
  assertEquals(flow.got.length, Math.floor(65_536 / 1_014));
  assertEquals([flow.step(), flow.grant()], [0, false]);
  // Half of the window has gone with the 33rd.
  for (let i = 0; i < 32; i++) flow.reader.consumed(flow.got[i]?.cost ?? 0);
  assertEquals(flow.grant(), false);
  flow.reader.consumed(flow.got[32]?.cost ?? 0);
  assertEquals(flow.grant(), true);
  while (flow.step() > 0);
  assertEquals(flow.got.length, Math.floor((65_536 + 33 * 1_014) / 1_014));
  assertEquals(flow.got.map(({ payload }) => payload[0]), flow.got.map((_, i) => i));
});

Deno.test("MessageWriter cuts where the other end's limits say, for every size around the cut", () => {
  const limits = { maxFrame: 16_384, recvBytes: 65_536 };
  const piece = 16_384 - 16 - 512;
  for (const topic of ["", "t".repeat(255)]) {
    for (const size of [piece - 1, piece, piece + 1, 2 * piece, 2 * piece + 1, 3 * piece - 1]) {
      const flow = new Flow(limits);
      flow.outbox.push(topic, new Uint8Array(size).fill(size));
      while (flow.step() > 0);
      assertEquals(flow.got.map((it) => [it.topic, it.payload.length]), [[topic, size]]);
      assertEquals(flow.lengths.length, Math.ceil(size / piece), `${size}`);
      assert(flow.lengths.every((length) => length <= 16_384), `${flow.lengths}`);
    }
  }
});

Deno.test("MessageWriter gives up what is too long for the other end, and goes on", () => {
  const flow = new Flow({ maxMessage: 1_000 });
  for (const size of [1_001, 1_000, 5_000_000, 0]) flow.outbox.push("", new Uint8Array(size));
  while (flow.step() > 0);
  assertEquals([flow.written, flow.unsendable], [2, 2]);
  assertEquals(flow.got.map(({ payload }) => payload.length), [1_000, 0]);
});

Deno.test("MessageWriter.fill() stops at about the size that it is given", () => {
  const flow = new Flow();
  for (let i = 0; i < 100; i++) flow.outbox.push("", new Uint8Array(1_000));
  const first = flow.step(10_000);
  assert(first >= 10_000 && first < 12_000, `${first}`);
  flow.outbox.push("", new Uint8Array(16 * MIB));
  while (flow.got.length < 100) flow.step(10_000);
  // A fragment at a time, so that a PING waits for one of them at most.
  assert(flow.step(65_536) <= 131_072);
});

Deno.test("MessageReader.consumed() grants again without drifting, in 50 random runs", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const rng = new Rng(seed);
    const flow = new Flow({ maxFrame: 16_384, recvBytes: 65_536 });
    const sent: string[] = [];
    let consumed = 0;
    for (let step = 0; step < 400 || consumed < sent.length; step++) {
      if (step < 400 && flow.outbox.bytes < 200_000) {
        const size = rng.pick([0, 1, 100, 5_000, 20_000, 90_000]);
        flow.outbox.push(`${sent.length}`, new Uint8Array(size).fill(sent.length));
        sent.push(`${sent.length}: ${size}`);
      }
      flow.step(1 + rng.int(65_536));
      while (consumed < flow.got.length && rng.int(3) > 0) {
        flow.reader.consumed(flow.got[consumed++]?.cost ?? 0);
      }
      flow.grant();
      assert(step < 20_000, `seed ${seed}: stuck at ${consumed} of ${sent.length}`);
    }
    assertEquals(flow.got.map(({ topic, payload }) => `${topic}: ${payload.length}`), sent);
  }
});

Deno.test("MessageReader drops volatile messages when its queue is full, and takes them again", () => {
  const flow = new Flow({ maxFrame: 16_384, recvBytes: 65_536 });
  const message = encoded((out) => encodeMessage(out, 0, "", new Uint8Array(922)));
  for (let i = 0; i < 100; i++) flow.receive(message);
  // 1,000 each, and the one that reaches the window is taken still.
  assertEquals([flow.got.length, flow.dropped], [66, 34]);
  // Tracked ones have credit of their own, which volatile ones do not touch.
  flow.receive(encoded((out) => encodeMessage(out, 1, "", new Uint8Array(0))));
  assertEquals([flow.got.length, flow.reader.due], [67, false]);
  for (const { cost } of flow.got.splice(0)) flow.reader.consumed(cost);
  flow.receive(message);
  assertEquals([flow.got.length, flow.dropped], [1, 34]);
  assertEquals(flow.reader.advertise(), 65_536 + 78);
});

Deno.test("MessageReader gathers tracked and volatile fragments apart", () => {
  const flow = new Flow();
  const piece = (fill: number, size = 4_096) => new Uint8Array(size).fill(fill);
  flow.receive(encoded(
    (out) => encodeMessageStart(out, 1, "tracked", 5_000, piece(1)),
    (out) => encodeMessageStart(out, 0, "volatile", 6_000, piece(2)),
    (out) => encodePiece(out, FrameType.MSG, 0, 2, false, piece(1, 904)),
    (out) => encodePiece(out, FrameType.MSG, 0, 0, false, piece(2, 1_904)),
  ));
  assertEquals(
    flow.got.map(({ topic, payload }) => [topic, payload.length, new Set(payload)]),
    [["tracked", 5_000, new Set([1])], ["volatile", 6_000, new Set([2])]],
  );
});

Deno.test("MessageReader refuses what breaks the rules, with the code for it", () => {
  const start = encoded((out) => encodeMessageStart(out, 1, "", 9_000, new Uint8Array(4_096)));
  const more = (flags: number) =>
    rawFrame({ type: FrameType.MSG, flags, seq: 2 }, new Uint8Array(4_904));
  const cases: [string, Bytes[]][] = [
    ["BAD_FRAME", [start, more(Flag.META)]],
    ["BAD_FRAME", [start, rawFrame({ type: FrameType.MSG, flags: Flag.MORE, seq: 2 })]],
    ["FRAME_TOO_LARGE", [start, more(Flag.MORE), more(0)]],
    ["FRAME_TOO_LARGE", [
      encoded((out) => encodeMessageStart(out, 1, "", 17 * MIB, new Uint8Array(4_096))),
    ]],
    [
      "FLOW_CONTROL",
      Array.from(
        { length: 5 },
        (_, i) => encoded((out) => encodeMessage(out, i + 1, "", new Uint8Array(250_000))),
      ),
    ],
    ["FRAME_TOO_LARGE", [
      encoded((out) => encodeMessage(out, 1, "", new Uint8Array(0), { a: "x".repeat(20_000) })),
    ]],
  ];
  for (const [code, frames] of cases) {
    const flow = new Flow();
    const last = frames.pop() ?? new Uint8Array(0);
    for (const frame of frames) flow.receive(frame);
    assertEquals(assertThrows(() => flow.receive(last), ProtocolError).code, code);
  }
});

Deno.test("MessageReader.skip() forgets a tracked message that was begun", () => {
  const flow = new Flow();
  flow.receive(encoded((out) => encodeMessageStart(out, 1, "", 9_000, new Uint8Array(4_096))));
  flow.reader.skip();
  flow.receive(encoded((out) => encodeMessage(out, 3, "next", new Uint8Array(1))));
  assertEquals(flow.got.map(({ topic }) => topic), ["next"]);
});
