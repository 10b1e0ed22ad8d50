/** Categories 12 and 13: permessage-deflate, with messages of many sizes and windows of all sizes. */
import { constants, deflateRawSync } from "node:zlib";
import { hex, join } from "../_support/feed.ts";
import { Rng } from "../_support/rng.ts";
import { BYE, type ProtocolCase } from "./_case.ts";
import { BINARY, close, type Frame, frame, PING, PONG, TEXT } from "./_frames.ts";

const COMPRESSED = { rsv: 4 };

/** The payload of a compressed message, as RFC 7692, section 7.2.1, makes it. */
export function deflated(data: Uint8Array | string, windowBits = 15): Uint8Array {
  const bytes = typeof data === "string" ? join(data) : data;
  const packed = deflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH, windowBits });
  return new Uint8Array(packed.subarray(0, packed.length - 4));
}

/** A compressed message in frames of at most `size` bytes. */
function packed(message: string | Uint8Array, windowBits = 15, size = Infinity): Frame[] {
  const payload = deflated(message, windowBits);
  const opcode = typeof message === "string" ? TEXT : BINARY;
  const frames: Frame[] = [];
  for (let at = 0; at === 0 || at < payload.length; at += size) {
    const part = payload.subarray(at, Math.min(payload.length, at + size));
    const fin = at + size >= payload.length;
    frames.push(frame(at === 0 ? opcode : 0, part, { fin, rsv: at === 0 ? 4 : 0 }));
  }
  return frames;
}

const rng = new Rng(12);
const WORDS = "the quick brown fox jumps over a lazy dog in the old town by night".split(" ");

function words(length: number): string {
  let text = "";
  while (text.length < length) text += `${rng.pick(WORDS)} `;
  return text.slice(0, length);
}

function json(length: number): string {
  let text = "[";
  while (text.length < length) text += `{"id":${rng.int(1e6)},"name":"${rng.pick(WORDS)}ß"},`;
  return text;
}

function noise(length: number): Uint8Array {
  return rng.bytes(length);
}

const SIZES = [16, 64, 256, 1_024, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072];

function several(
  category: string,
  name: string,
  windowBits: number,
  make: (size: number) => string | Uint8Array,
  sizes: readonly number[] = SIZES,
  part = Infinity,
): ProtocolCase[] {
  return sizes.map((size, i) => {
    const messages = Array.from({ length: size > 8_192 ? 1 : 3 }, () => make(size));
    return {
      id: `${category}.${i + 1}`,
      name: `${name} of ${size} bytes`,
      send: messages.flatMap((message) => packed(message, windowBits, part)),
      get: [],
      messages,
      windowBits,
    };
  });
}

const sizes: ProtocolCase[] = [
  ...several("12.1", "words", 15, words),
  ...several("12.2", "noise", 15, noise),
  ...several("12.3", "JSON", 15, json),
  ...several("12.4", "zeros", 15, (size) => new Uint8Array(size)),
  ...several("12.5", "words in fragments of 256", 15, words, SIZES, 256),
];

const FEW = [16, 1_024, 32_768, 131_072];
const windows: ProtocolCase[] = [9, 10, 11, 12, 13, 14, 15].flatMap((windowBits, i) =>
  several(`13.${i + 1}`, `words, window of ${windowBits} bits,`, windowBits, words, FEW)
);

function sample(id: string, name: string, ...send: readonly Frame[]): ProtocolCase {
  return { id, name, send, get: [], messages: ["Hello"], windowBits: 15 };
}

/** RFC 7692, section 7.2.3. */
const samples: ProtocolCase[] = [
  sample("12.x1", "one block", frame(TEXT, hex("f248cdc9c90700"), COMPRESSED)),
  sample(
    "12.x2",
    "two fragments",
    frame(TEXT, hex("f248cd"), { rsv: 4, fin: false }),
    frame(0, hex("c9c90700")),
  ),
  sample(
    "12.x3",
    "a block that is not compressed",
    frame(TEXT, hex("000500faff48656c6c6f00"), COMPRESSED),
  ),
  sample("12.x4", "a last block", frame(TEXT, hex("f348cdc9c9070000"), COMPRESSED)),
  sample("12.x5", "two blocks", frame(TEXT, hex("f248050000 00ffffcac9c90700"), COMPRESSED)),
  sample("12.x6", "a message that is not compressed", frame(TEXT, "Hello")),
];

function bad(
  id: string,
  name: string,
  end: number,
  send: readonly Frame[],
  more: Partial<ProtocolCase> = {},
): ProtocolCase {
  return { id, name, send, get: [], end, windowBits: 15, ...more };
}

const [first = BYE, ...others] = packed(words(2_000), 15, 100);
const wrong: ProtocolCase[] = [
  bad("12.x7", "RSV 4 on a continuation", 1002, [
    { ...first, fin: false },
    ...others.map((one) => ({ ...one, rsv: 4 })),
  ]),
  bad("12.x8", "RSV 4 on a ping", 1002, [frame(PING, "", COMPRESSED)]),
  bad("12.x9", "RSV 4 on a close", 1002, [frame(8, "", COMPRESSED)]),
  bad("12.x10", "RSV 6 on a text", 1002, [frame(TEXT, deflated("a"), { rsv: 6 })]),
  bad("12.x11", "what is no DEFLATE", 1007, [frame(BINARY, hex("ffffff"), COMPRESSED)]),
  bad("12.x12", "text that is no UTF-8 once inflated", 1007, [
    frame(TEXT, deflated(hex("eda080")), COMPRESSED),
  ]),
  bad("12.x13", "a message that is too long once inflated", 1009, packed(new Uint8Array(1_001)), {
    limits: { maxMessageLength: 1_000 },
  }),
  bad(
    "12.x14",
    "fragments that are too long together, compressed as they are",
    1009,
    packed(noise(2_000), 15, 100),
    { limits: { maxMessageLength: 1_000 } },
  ),
];

const right: ProtocolCase[] = [
  {
    id: "12.x15",
    name: "an empty message",
    send: packed(""),
    get: [],
    messages: [""],
    windowBits: 15,
  },
  {
    id: "12.x16",
    name: "a message that is just not too long once inflated",
    send: packed(new Uint8Array(1_000)),
    get: [],
    messages: [new Uint8Array(1_000)],
    limits: { maxMessageLength: 1_000 },
    windowBits: 15,
  },
  {
    id: "12.x17",
    name: "a ping between the fragments of a compressed message",
    send: [
      ...packed("Hello", 15, 4).slice(0, 1),
      frame(PING, "x"),
      ...packed("Hello", 15, 4).slice(1),
    ],
    get: [frame(PONG, "x")],
    messages: ["Hello"],
    windowBits: 15,
  },
  {
    id: "12.x18",
    name: "compressed and other messages in turn, then close",
    send: [...packed(words(5_000)), frame(TEXT, "short"), ...packed("again"), close(1000)],
    get: [],
    windowBits: 15,
    end: 1000,
    clean: true,
  },
];

export const DEFLATE_CASES: readonly ProtocolCase[] = [
  ...sizes,
  ...windows,
  ...samples,
  ...wrong,
  ...right,
];
