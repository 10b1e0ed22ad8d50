/** Plain messages that come one after the other are taken at once, and all is as if each came alone. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/base/errors.ts";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { Bytes } from "../../src/base/types.ts";
import { Acks } from "../../src/session/acks.ts";
import { frameCost } from "../../src/session/credit.ts";
import { MessageReader } from "../../src/session/message_reader.ts";
import { Flag, FrameType, LENGTH_BASE } from "../../src/wire/constants.ts";
import { FrameReader } from "../../src/wire/frame.ts";
import type { WireLimits } from "../../src/wire/handshake.ts";
import { encodeMessage } from "../../src/wire/message.ts";
import { Rng } from "../_support/rng.ts";
import { LIMITS, rawFrame } from "../_support/wire_client.ts";

const COST = frameCost(LENGTH_BASE + 2 + 3);

/** The receiving half of a session, with or without runs. */
class Receiver {
  readonly acks = new Acks();
  readonly reader: MessageReader;
  readonly told: string[] = [];
  readonly #frames: FrameReader;
  /** How many messages came in runs, at least. */
  inRuns = 0;
  consumes = true;
  onMessage: (() => void) | undefined;

  constructor(runs: boolean, limits: Partial<WireLimits> = {}) {
    const all = { ...LIMITS, ...limits };
    this.reader = new MessageReader({
      onMessage: (topic, payload, cost) => {
        this.told.push(`${topic} ${payload.join()} ${cost}`);
        this.onMessage?.();
        return this.consumes;
      },
      onDropped: () => this.told.push("dropped"),
    }, all);
    const onFrame = (
      type: number,
      flags: number,
      _aux: number,
      _id: number,
      seq: number,
      buffer: Bytes,
      start: number,
      end: number,
    ) => {
      if (type !== FrameType.MSG || seq !== 0 && !this.acks.accept(seq, 0)) return;
      this.reader.frame(flags, seq, buffer, start, end);
    };
    const onMessages = (buffer: Bytes, start: number, end: number) => {
      const before = this.acks.count;
      const next = this.reader.run(buffer, start, end, this.acks, 0);
      this.inRuns += this.acks.count - before;
      return next;
    };
    const handler = runs ? { onFrame, onMessages } : { onFrame };
    this.#frames = new FrameReader(handler, "client", all.maxFrame);
  }

  /** What is left of these bytes. */
  read(bytes: Bytes): number {
    return bytes.length - this.#frames.read(bytes, 0, bytes.length);
  }

  /** As `read`; an error is told as well. */
  tryRead(bytes: Bytes): number {
    try {
      return this.read(bytes);
    } catch (error) {
      assert(error instanceof ProtocolError);
      this.told.push(error.code);
      return 0;
    }
  }
}

/** Messages of three bytes, numbered from `from` on. */
function messages(from: number, count: number, topic = ""): Bytes {
  const out = new OutBuffer();
  for (let seq = from; seq < from + count; seq++) {
    encodeMessage(out, seq, topic, new Uint8Array([seq, 2, 3]));
  }
  return out.toBytes();
}

function joined(...parts: Bytes[]): Bytes {
  const out = new OutBuffer();
  for (const part of parts) out.bytes(part);
  return out.toBytes();
}

Deno.test("MessageReader.run() takes plain messages, up to the one that is not whole", () => {
  const receiver = new Receiver(true);
  assertEquals(receiver.read(messages(1, 4).subarray(0, -1)), 20);
  assertEquals(receiver.told, [` 1,2,3 ${COST}`, ` 2,2,3 ${COST}`, ` 3,2,3 ${COST}`]);
  assertEquals([receiver.inRuns, receiver.acks.count], [3, 3]);
});

Deno.test("MessageReader.run() leaves to others what is more than a body, or wrong", () => {
  const plain = messages(3, 1);
  const others: [name: string, frame: Bytes][] = [
    ["a topic", messages(3, 1, "t")],
    ["volatile", messages(0, 1)],
    ["a number too far", messages(4, 1)],
    ["a number that was there", messages(2, 1)],
    ["a flag", rawFrame({ type: FrameType.MSG, seq: 3, flags: Flag.ACKREQ }, plain.slice(16))],
    ["an aux", rawFrame({ type: FrameType.MSG, seq: 3, aux: 1 }, plain.slice(16))],
    ["an id", rawFrame({ type: FrameType.MSG, seq: 3, id: 1 }, plain.slice(16))],
    ["another type", rawFrame({ type: FrameType.SKIP, seq: 3 }, new Uint8Array(4))],
    ["no room for a topic", rawFrame({ type: FrameType.MSG, seq: 3 }, new Uint8Array(1))],
    ["too long", rawFrame({ type: FrameType.MSG, seq: 3 }, new Uint8Array(LIMITS.maxFrame))],
  ];
  for (const [name, frame] of others) {
    const receiver = new Receiver(true);
    const bytes = joined(messages(1, 2), frame);
    const rest = bytes.length - receiver.reader.run(bytes, 0, bytes.length, receiver.acks, 0);
    assertEquals([rest, receiver.acks.count], [frame.length, 2], name);
  }
});

Deno.test("MessageReader.run() takes no more than there is credit for", () => {
  const limits = { recvBytes: 3 * COST + 1 };
  const receiver = new Receiver(true, limits);
  assertThrows(() => receiver.read(messages(1, 9)), ProtocolError, "no credit");
  assertEquals([receiver.told.length, receiver.inRuns], [3, 3]);
});

Deno.test("MessageReader.run() holds credit of what the application is not through with", () => {
  const receiver = new Receiver(true, { recvBytes: 8 * COST });
  receiver.consumes = false;
  receiver.read(messages(1, 8));
  assert(!receiver.reader.due);
  for (let i = 0; i < 4; i++) receiver.reader.consumed(COST);
  assert(receiver.reader.due);
  assertEquals(receiver.reader.advertise(), 12 * COST);
  receiver.consumes = true;
  receiver.read(messages(9, 4));
  assertEquals(receiver.reader.advertise(), 16 * COST);
});

Deno.test("MessageReader.end() ends a run: nothing is told any more", () => {
  const receiver = new Receiver(true);
  receiver.onMessage = () => {
    if (receiver.told.length === 2) receiver.reader.end();
  };
  const bytes = messages(1, 5);
  assertEquals(receiver.reader.run(bytes, 0, bytes.length, receiver.acks, 0), 2 * 21);
  assertEquals([receiver.told.length, receiver.acks.count], [2, 2]);
});

Deno.test("MessageReader.run() tells what frame() tells, in 300 random streams", () => {
  let inRuns = 0;
  for (let seed = 0; seed < 300; seed++) {
    const rng = new Rng(seed);
    const parts: Bytes[] = [];
    for (let seq = 1; seq < 40;) {
      const kind = rng.int(30);
      const frame = messages(kind === 0 ? 0 : seq, 1, kind === 1 ? "topic" : "");
      // One byte of a header may be anything.
      if (kind === 2) frame[rng.int(18)] = rng.int(256);
      if (kind !== 0) seq++;
      parts.push(frame);
    }
    const bytes = joined(...parts);
    const [runs, frames] = [new Receiver(true), new Receiver(false)];
    for (const receiver of [runs, frames]) {
      const rest = receiver.tryRead(bytes);
      receiver.told.push(`${rest} ${receiver.acks.count} ${receiver.reader.advertise()}`);
    }
    assertEquals(runs.told, frames.told, `seed ${seed}`);
    inRuns += runs.inRuns;
  }
  assert(inRuns > 5_000);
});
