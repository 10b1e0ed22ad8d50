/** Category 6: what is UTF-8 and what is not, and that the latter is noticed at its first byte. */
import { hex, join } from "../_support/feed.ts";
import type { ProtocolCase } from "./_case.ts";
import { fragments, type Frame, frame, TEXT } from "./_frames.ts";

/** Judges by the platform's decoder, fed byte by byte: the first byte it does not take, or -1. */
function firstBad(bytes: Uint8Array): number {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for (let at = 0; at < bytes.length; at++) {
    try {
      decoder.decode(bytes.subarray(at, at + 1), { stream: true });
    } catch {
      return at;
    }
  }
  return -1;
}

function isWhole(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** A text in these fragments. Whether it is one, and where not, is for the platform to say. */
function text(id: string, name: string, ...parts: readonly Uint8Array[]): ProtocolCase {
  const whole = join(...parts);
  const send = fragments(TEXT, ...parts);
  if (isWhole(whole)) return { id, name, send, get: [frame(TEXT, whole)] };
  let byte = firstBad(whole);
  if (byte < 0) return { id, name, send, get: [], end: 1007 };
  let index = 0;
  for (const part of parts) {
    if (byte < part.length) break;
    byte -= part.length;
    index++;
  }
  return { id, name, send, get: [], end: 1007, failsAt: { frame: index, byte } };
}

function bytesOf(given: string): Uint8Array {
  return hex(given);
}

/** Rows of hexadecimal digits, numbered from 1. */
function rows(category: string, name: string, ...all: readonly string[]): ProtocolCase[] {
  return all.map((row, i) => text(`${category}.${i + 1}`, `${name}: ${row}`, bytesOf(row)));
}

const NOTHING = new Uint8Array(0);
const GREETING = join("Hello-µ@ßöäüàá-UTF-8!!");
const KOSME = join("κόσμε");
const BAD = hex("cebae1bdb9cf83cebcceb5 eda080 656469746564");
const ABOVE = hex("cebae1bdb9cf83cebcceb5 f4908080 656469746564");

function singles(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte));
}

const fragmentedTexts: ProtocolCase[] = [
  text("6.1.1", "empty text", NOTHING),
  text("6.1.2", "three empty fragments", NOTHING, NOTHING, NOTHING),
  text("6.1.3", "three fragments, the middle one not empty", NOTHING, join("middle"), NOTHING),
  text("6.2.1", "valid text", GREETING),
  text("6.2.2", "valid text in two fragments", GREETING.subarray(0, 12), GREETING.subarray(12)),
  text("6.2.3", "valid text in fragments of one byte", ...singles(GREETING)),
  text("6.2.4", "valid text in fragments of one byte", ...singles(KOSME)),
  text("6.3.1", "invalid text", BAD),
  text("6.3.2", "invalid text in fragments of one byte", ...singles(BAD)),
  text("6.4.1", "invalid at the second fragment", ABOVE.subarray(0, 12), ABOVE.subarray(12)),
  text("6.4.2", "invalid at a byte within a character", ABOVE.subarray(0, 13), ABOVE.subarray(13)),
  text("6.4.3", "invalid at once within a frame that is not whole", ABOVE, GREETING),
  text("6.4.4", "invalid at once within a long frame", join(ABOVE, new Uint8Array(2_000))),
];

const SURROGATES = ["d800", "db7f", "db80", "dbff", "dc00", "df80", "dfff"];
const PAIRS = [
  ["d800", "dc00"],
  ["d800", "dfff"],
  ["db7f", "dc00"],
  ["db7f", "dfff"],
  ["db80", "dc00"],
  ["db80", "dfff"],
  ["dbff", "dc00"],
  ["dbff", "dfff"],
];

/** Three bytes for a code point, also where UTF-8 does not allow it. */
function threeBytes(point: string): string {
  const value = Number.parseInt(point, 16);
  return [0xe0 | value >> 12, 0x80 | value >> 6 & 0x3f, 0x80 | value & 0x3f].map((byte) =>
    byte.toString(16)
  ).join("");
}

/** U+xFFFE and U+xFFFF of each plane: no characters, but UTF-8. */
const NONCHARACTERS = Array.from({ length: 17 }, (_, plane) => [
  plane * 0x1_0000 + 0xfffe,
  plane * 0x1_0000 + 0xffff,
]).flat();

function character(point: number): string {
  return Array.from(join(String.fromCodePoint(point)), (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

/** Where a text is cut within its characters, each prefix must wait or fail. */
const prefixes = Array.from({ length: KOSME.length }, (_, i) => {
  const part = KOSME.subarray(0, i + 1);
  return text(`6.6.${i + 1}`, `${i + 1} bytes of a text`, part);
});

const LONGEST = ["c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"];
const MAXIMAL = ["c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"];
const NULS = ["c080", "e08080", "f0808080", "f880808080", "fc8080808080"];
const CUT = ["c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf"];

const sequences: ProtocolCase[] = [
  ...rows("6.5", "valid", "ceba", "e1bdb9", "cf83", "cebc", "ceb5"),
  ...prefixes,
  ...rows("6.7", "first of its length", "00", "c280", "e0a080", "f0908080"),
  ...rows("6.8", "first of five and six bytes", "f888808080", "fc8480808080"),
  ...rows("6.9", "last of its length", "7f", "dfbf", "efbfbf", "f48fbfbf"),
  ...rows("6.10", "last of what is too long", "f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf"),
  ...rows("6.11", "boundaries", "ed9fbf", "ee8080", "efbfbd", "f48fbfbf", "f4908080"),
  ...rows(
    "6.12",
    "continuation without a lead",
    "80",
    "bf",
    "80bf",
    "80bf80",
    "80bf80bf",
    "80bf80bf80",
    "80bf80bf80bf",
    allBytes(0x80, 0xbf),
  ),
  ...rows(
    "6.13",
    "lonely leads",
    spaced(0xc0, 0xdf),
    spaced(0xe0, 0xef),
    spaced(0xf0, 0xf7),
    spaced(0xf8, 0xfb),
    spaced(0xfc, 0xfd),
  ),
  ...rows("6.14", "last byte missing", ...CUT, "fdbfbfbfbf"),
  ...rows("6.15", "all of these", CUT.join("")),
  ...rows("6.16", "impossible bytes", "fe", "ff", "fefeffff"),
  ...rows("6.17", "overlong slash", ...LONGEST),
  ...rows("6.18", "longest overlong", ...MAXIMAL),
  ...rows("6.19", "overlong NUL", ...NULS),
  ...rows("6.20", "lonely surrogate", ...SURROGATES.map(threeBytes)),
  ...rows("6.21", "pair of surrogates", ...PAIRS.map((pair) => pair.map(threeBytes).join(""))),
  ...rows("6.22", "noncharacter", ...NONCHARACTERS.map(character)),
  ...rows(
    "6.23",
    "special",
    ...[0xfff9, 0xfffa, 0xfffb, 0xfffc, 0xfffd, 0xfeff, 0xfffe].map(character),
  ),
];

function allBytes(from: number, to: number): string {
  return Array.from({ length: to - from + 1 }, (_, i) => (from + i).toString(16)).join("");
}

function spaced(from: number, to: number): string {
  return Array.from({ length: to - from + 1 }, (_, i) => `${(from + i).toString(16)}20`).join("");
}

/** Long texts, where words are looked at instead of bytes: each with one byte that is wrong. */
const long: ProtocolCase[] = [0, 1, 2, 3, 63, 64, 997].map((at, i) => {
  const bytes = new Uint8Array(1_000).fill(0x61);
  bytes[at] = 0xff;
  const half = text("", "", bytes.subarray(0, 500), bytes.subarray(500));
  return { ...half, id: `6.x${i + 1}`, name: `a wrong byte at ${at} of 1,000` };
});

const spans: ProtocolCase[] = [5, 6, 7, 8].map((lead, i) => {
  const bytes = join("a".repeat(64 + lead), "😀", "b".repeat(70));
  return text(`6.x${i + 8}`, `a long text with one character, behind ${64 + lead} others`, bytes);
});

const pinged: ProtocolCase[] = [{
  id: "6.x12",
  name: "a character that a ping lies within",
  send: [
    frame(TEXT, hex("f09f"), { fin: false }),
    frame(9, "in between"),
    frame(0, hex("9880")),
  ],
  get: [frame(10, "in between"), frame(TEXT, "😀")] satisfies Frame[],
}];

export const UTF8_CASES: readonly ProtocolCase[] = [
  ...fragmentedTexts,
  ...sequences,
  ...long,
  ...spans,
  ...pinged,
];
