/**
 * The codecs that the suites run over: each with a golden stream, and what is hostile to it.
 *
 * Golden streams are put together here by hand, not by `encode`, so that they pin the format.
 */
import { FrameError } from "../../src/base/errors.ts";
import type { Codec } from "../../src/codec/codec.ts";
import { delimiter, line } from "../../src/codec/delimiter.ts";
import { fixed } from "../../src/codec/fixed.ts";
import { lengthField } from "../../src/codec/length_field.ts";
import { mapCodec } from "../../src/codec/map_codec.ts";
import { varint } from "../../src/codec/varint.ts";
import { body, hex, join } from "../_support/feed.ts";
import type { Rng } from "../_support/rng.ts";

/** One codec under test. */
export interface CodecCase<I, O> {
  readonly name: string;
  readonly codec: Codec<I, O>;
  /** Frames and the bytes that each of them is. */
  readonly golden: readonly (readonly [frame: I & O, bytes: Uint8Array])[];
  /** Bytes that are no frame. */
  readonly hostile: readonly {
    readonly name: string;
    readonly bytes: Uint8Array;
    readonly code: "BAD_FRAME" | "FRAME_TOO_LARGE";
  }[];
  /** How many inputs it is fuzzed with: 200,000 for the variants of a codec together, at least. */
  readonly fuzzRuns: number;
  /** A frame at random. */
  random(rng: Rng): I & O;
}

/** A frame of the codec that a user wrote. */
export interface Tlv {
  readonly type: number;
  readonly body: Uint8Array;
}

/** Type byte, 16-bit length, body: the example of the documentation. */
export const tlv: Codec<Tlv> = {
  decode(input) {
    if (input.length < 3) return undefined;
    const length = input.peekUint16(1);
    if (length > 4096) {
      throw new FrameError(
        `Cannot decode TLV as its length must be at most 4096: current value is ${length}`,
      );
    }
    if (input.length < 3 + length) return undefined;
    const type = input.takeUint8();
    input.skip(2);
    return { type, body: input.take(length) };
  },
  encode({ type, body }, output) {
    output.uint8(type);
    output.uint16(body.length);
    output.bytes(body);
  },
};

const MAX = 4096;
/** Lengths of bodies of a stream of a good 600 bytes, with the edges of a varint among them. */
const LENGTHS = [3, 0, 1, 127, 128, 0, 200, 2, 129, 5] as const;

const bytesOf = (most: number) => (rng: Rng) => rng.bytes(rng.int(most + 1));

const lengthCases: CodecCase<Uint8Array, Uint8Array>[] = [
  {
    name: "lengthField(width 1)",
    codec: lengthField({ width: 1 }),
    golden: LENGTHS.map((n) => [body(n, n), join(Uint8Array.of(n), body(n, n))]),
    fuzzRuns: 40_000,
    hostile: [],
    random: bytesOf(40),
  },
  {
    name: "lengthField(width 2, little-endian)",
    codec: lengthField({ width: 2, littleEndian: true, maxFrameLength: MAX }),
    golden: LENGTHS.map((n) => [body(n, n), join(Uint8Array.of(n, 0), body(n, n))]),
    fuzzRuns: 40_000,
    hostile: [{ name: "4097", bytes: hex("0110"), code: "FRAME_TOO_LARGE" }],
    random: bytesOf(300),
  },
  {
    name: "lengthField(width 3, includes header)",
    codec: lengthField({ width: 3, includesHeader: true, maxFrameLength: MAX }),
    golden: LENGTHS.map((n) => [body(n, n), join(Uint8Array.of(0, 0, n + 3), body(n, n))]),
    fuzzRuns: 40_000,
    hostile: [
      { name: "less than the header", bytes: hex("000002"), code: "BAD_FRAME" },
      { name: "0", bytes: hex("000000"), code: "BAD_FRAME" },
      { name: "4097", bytes: hex("001004"), code: "FRAME_TOO_LARGE" },
    ],
    random: bytesOf(300),
  },
  {
    name: "lengthField(width 4)",
    codec: lengthField({ width: 4 }),
    golden: LENGTHS.map((n) => [body(n, n), join(Uint8Array.of(0, 0, 0, n), body(n, n))]),
    fuzzRuns: 40_000,
    hostile: [
      { name: "FF FF FF FF", bytes: hex("ffffffff"), code: "FRAME_TOO_LARGE" },
      { name: "an HTTP request", bytes: join("GET "), code: "FRAME_TOO_LARGE" },
      { name: "1 MiB and 1 byte", bytes: hex("00100001"), code: "FRAME_TOO_LARGE" },
    ],
    random: bytesOf(300),
  },
  {
    name: "lengthField(width 8, little-endian)",
    codec: lengthField({ width: 8, littleEndian: true, maxFrameLength: MAX }),
    golden: LENGTHS.map((n) => [
      body(n, n),
      join(Uint8Array.of(n, 0, 0, 0, 0, 0, 0, 0), body(n, n)),
    ]),
    fuzzRuns: 40_000,
    hostile: [
      { name: "top bit", bytes: hex("00000000 00000080"), code: "FRAME_TOO_LARGE" },
      { name: "2^53", bytes: hex("00000000 00002000"), code: "FRAME_TOO_LARGE" },
      { name: "2^53 - 1", bytes: hex("ffffffff ffff1f00"), code: "FRAME_TOO_LARGE" },
      { name: "2^32", bytes: hex("00000000 01000000"), code: "FRAME_TOO_LARGE" },
    ],
    random: bytesOf(300),
  },
  {
    // Magic number, length of the body, 64-bit sequence number, type: all of it is the frame.
    name: "lengthField(offset 2, adjust 12)",
    codec: lengthField({ width: 4, offset: 2, adjust: 12, maxFrameLength: MAX }),
    golden: LENGTHS.map((n) => {
      const bytes = join(hex("ad12 000000"), Uint8Array.of(n), body(12, 9), body(n, n));
      return [bytes, bytes];
    }),
    fuzzRuns: 40_000,
    hostile: [{ name: "too large", bytes: hex("ad12 00001000"), code: "FRAME_TOO_LARGE" }],
    random: (rng) => {
      const n = rng.int(300);
      return join(hex("ad12 0000"), Uint8Array.of(n >> 8, n), rng.bytes(12 + n));
    },
  },
  {
    name: "varint()",
    codec: varint({ maxFrameLength: MAX }),
    golden: LENGTHS.map((n) => [
      body(n, n),
      join(n < 128 ? Uint8Array.of(n) : Uint8Array.of(n & 127 | 128, n >> 7), body(n, n)),
    ]),
    fuzzRuns: 200_000,
    hostile: [
      { name: "two bytes for 0", bytes: hex("8000"), code: "BAD_FRAME" },
      { name: "two bytes for 1", bytes: hex("8100"), code: "BAD_FRAME" },
      { name: "five bytes for 0", bytes: hex("80808080 00"), code: "BAD_FRAME" },
      { name: "a sixth byte", bytes: hex("80808080 80"), code: "BAD_FRAME" },
      { name: "4097", bytes: hex("8120"), code: "FRAME_TOO_LARGE" },
      { name: "too large before its end", bytes: hex("8180 81"), code: "FRAME_TOO_LARGE" },
      { name: "2^35 - 1", bytes: hex("ffffffff 7f"), code: "FRAME_TOO_LARGE" },
    ],
    random: bytesOf(300),
  },
  {
    name: "fixed(60)",
    codec: fixed(60),
    golden: LENGTHS.map((n) => [body(60, n), body(60, n)]),
    fuzzRuns: 200_000,
    hostile: [],
    random: (rng) => rng.bytes(60),
  },
  {
    name: "delimiter(CR LF)",
    codec: delimiter(hex("0d0a"), { maxFrameLength: MAX }),
    // Bodies with one half of the mark alone, and with the halves the wrong way round.
    golden: LENGTHS.map((n) => {
      const text = "\r.\n".repeat(n).slice(0, n);
      return [join(text), join(text, "\r\n")];
    }),
    fuzzRuns: 100_000,
    hostile: [{
      name: "no mark in sight",
      bytes: body(MAX + 2, 0).fill(13),
      code: "FRAME_TOO_LARGE",
    }],
    random: (rng) => {
      const bytes = rng.bytes(rng.int(60));
      return bytes.map((byte) => byte === 13 ? 10 : byte);
    },
  },
  {
    name: "delimiter(aab)",
    codec: delimiter(join("aab"), { maxFrameLength: MAX }),
    golden: LENGTHS.map((n) => [join("ab".repeat(n >> 1)), join("ab".repeat(n >> 1), "aab")]),
    fuzzRuns: 100_000,
    hostile: [{
      name: "no mark in sight",
      bytes: body(MAX + 3, 0).fill(97),
      code: "FRAME_TOO_LARGE",
    }],
    random: (rng) =>
      join(
        ...Array.from({ length: rng.int(20) }, () => rng.pick(["ab", "b", "c"])),
        "a".repeat(rng.int(3)),
      ),
  },
];

const WORDS = ["", "a", "ä", "€uro", "😀", "\r", "\ufeffmark", "tab\t", "\ufffd", "plain text"];

/** A line that the codec can send: no LF, and no CR at its end. */
function randomLine(rng: Rng): string {
  const text = Array.from({ length: rng.int(5) }, () => rng.pick(WORDS)).join("-");
  return text.replace(/\r+$/, "");
}

const lineCase: CodecCase<string, string> = {
  name: "line()",
  codec: line({ maxFrameLength: MAX }),
  golden: [
    ...WORDS.filter((word) => word !== "\r").map((
      word,
    ): [string, Uint8Array] => [word, join(word, "\n")]),
    ["with CR", join("with CR\r\n")],
    ["", join("\r\n")],
    ["CR \r within", join("CR \r within\n")],
    ["€".repeat(180), join("€".repeat(180), "\r\n")],
  ],
  fuzzRuns: 200_000,
  hostile: [
    { name: "a lone continuation byte", bytes: hex("80 0a"), code: "BAD_FRAME" },
    { name: "a cut character", bytes: hex("e282 0a"), code: "BAD_FRAME" },
    { name: "an overlong form", bytes: hex("c0af 0a"), code: "BAD_FRAME" },
    { name: "a surrogate", bytes: hex("eda080 0a"), code: "BAD_FRAME" },
    { name: "beyond Unicode", bytes: hex("f4908080 0a"), code: "BAD_FRAME" },
    { name: "no end in sight", bytes: body(MAX + 1).fill(97), code: "FRAME_TOO_LARGE" },
    { name: "one byte too long", bytes: join("a".repeat(MAX + 1), "\n"), code: "FRAME_TOO_LARGE" },
  ],
  random: randomLine,
};

const mapCase: CodecCase<bigint, bigint> = {
  name: "mapCodec(line)",
  codec: mapCodec(lineCase.codec, BigInt, String),
  golden: Array.from({ length: 10 }, (_, i) => {
    const value = 10n ** 60n + BigInt(i);
    return [value, join(`${value}\n`)];
  }),
  fuzzRuns: 200_000,
  hostile: [
    { name: "not a number", bytes: join("1x\n"), code: "BAD_FRAME" },
    { name: "what its inner codec refuses", bytes: hex("80 0a"), code: "BAD_FRAME" },
  ],
  random: (rng) => BigInt(rng.int(1_000_000)) - 500_000n,
};

const tlvCase: CodecCase<Tlv, Tlv> = {
  name: "a codec of one's own",
  codec: tlv,
  golden: LENGTHS.map((n) => [
    { type: n, body: body(n, n) },
    join(Uint8Array.of(n, 0, n), body(n, n)),
  ]),
  fuzzRuns: 200_000,
  hostile: [{ name: "4097", bytes: hex("07 1001"), code: "BAD_FRAME" }],
  random: (rng) => ({ type: rng.int(256), body: rng.bytes(rng.int(300)) }),
};

/** Calls `run` with each case. */
export function forEachCodec(run: <I, O>(codecCase: CodecCase<I, O>) => void): void {
  lengthCases.forEach(run);
  run(lineCase);
  run(mapCase);
  run(tlvCase);
}
