/** Categories 7, 9 and 10: the closing handshake, and how much is taken. */
import { body, hex } from "../_support/feed.ts";
import { BYE, closed, echoed, type ProtocolCase, refused } from "./_case.ts";
import { BINARY, CLOSE, close, fragments, type Frame, frame, PING, TEXT } from "./_frames.ts";

const HELLO = frame(TEXT, "Hello, world!");

const order: ProtocolCase[] = [
  closed("7.1.1", "text, then close", [HELLO, BYE], 1000, [HELLO]),
  closed("7.1.2", "two close frames", [BYE, BYE], 1000),
  closed("7.1.3", "ping after close", [BYE, frame(PING)], 1000),
  closed("7.1.4", "text after close", [BYE, HELLO], 1000),
  closed(
    "7.1.5",
    "close between two fragments",
    [frame(TEXT, "one", { fin: false }), BYE, frame(0, "two")],
    1000,
  ),
  closed(
    "7.1.6",
    "256 KiB, close, ping",
    [frame(TEXT, "*".repeat(262_144)), BYE, frame(PING)],
    1000,
    [frame(TEXT, "*".repeat(262_144))],
  ),
];

const forms: ProtocolCase[] = [
  closed("7.3.1", "close without payload", [frame(CLOSE)], 1005),
  refused("7.3.2", "close with one byte", [frame(CLOSE, hex("03"))]),
  closed("7.3.3", "close with a code", [BYE], 1000),
  closed("7.3.4", "close with a reason", [close(1000, "Hello, world!")], 1000),
  closed("7.3.5", "close with the longest reason", [close(1000, "*".repeat(123))], 1000),
  refused("7.3.6", "close with a longer reason", [close(1000, "*".repeat(124))]),
  {
    id: "7.5.1",
    name: "close with a reason that is no UTF-8",
    send: [close(1000, hex("cebae1bdb9cf83cebcceb5eda080656469746564"))],
    get: [],
    end: 1007,
  },
  {
    id: "7.x1",
    name: "close with a cut character",
    send: [close(1000, hex("f09f98"))],
    get: [],
    end: 1007,
  },
];

const GOOD = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
const BAD = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];
const codes: ProtocolCase[] = [
  ...GOOD.map((code, i) => closed(`7.7.${i + 1}`, `close code ${code}`, [close(code)], code)),
  ...BAD.map((code, i) => refused(`7.9.${i + 1}`, `close code ${code}`, [close(code)])),
  refused("7.13.1", "close code 5000", [close(5000)]),
  refused("7.13.2", "close code 65535", [close(65_535)]),
  refused("7.x2", "close code 1015", [close(1015)]),
  ...[1012, 1013, 1014].map((code, i) =>
    closed(`7.x${i + 3}`, `close code ${code}, which the registry has`, [close(code)], code)
  ),
];

const KIB = 1_024;

const large: ProtocolCase[] = [64 * KIB, 256 * KIB, 512 * KIB].flatMap((size, i) => [
  echoed(`9.1.${i + 1}`, `text of ${size} bytes`, [frame(TEXT, "*".repeat(size))]),
  echoed(`9.2.${i + 1}`, `binary of ${size} bytes`, [frame(BINARY, body(size, 0xfe))]),
]);

function cut(id: string, opcode: number, whole: Uint8Array, size: number): ProtocolCase {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < whole.length; at += size) parts.push(whole.subarray(at, at + size));
  return {
    id,
    name: `${opcode === TEXT ? "text" : "binary"} of ${whole.length} bytes in fragments of ${size}`,
    send: fragments(opcode, ...parts),
    get: [frame(opcode, whole)],
  };
}

const ASTERISKS = new Uint8Array(128 * KIB).fill(0x2a);
const pieces: ProtocolCase[] = [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB].flatMap((size, i) => [
  cut(`9.3.${i + 1}`, TEXT, ASTERISKS, size),
  cut(`9.4.${i + 1}`, BINARY, body(128 * KIB), size),
]);

const many: ProtocolCase[] = [0, 16, 64, 256, 1_024, 4_096].flatMap((size, i) => [
  echoed(
    `9.7.${i + 1}`,
    `50 texts of ${size} bytes`,
    Array.from({ length: 50 }, () => frame(TEXT, "*".repeat(size))),
  ),
  echoed(
    `9.8.${i + 1}`,
    `50 binaries of ${size} bytes`,
    Array.from({ length: 50 }, (_, n) => frame(BINARY, body(size, n))),
  ),
]);

const fragmentedBySender = cut("10.1.1", TEXT, new Uint8Array(65_536).fill(0x2a), 1_300);

function beyond(
  id: string,
  name: string,
  limits: NonNullable<ProtocolCase["limits"]>,
  send: readonly Frame[],
  end: number,
): ProtocolCase {
  return { id, name, limits, send, get: [], end };
}

const TEN = Array.from({ length: 10 }, () => "ten bytes!");
const limits: ProtocolCase[] = [
  {
    ...echoed("9.x1", "as long as is allowed", [frame(BINARY, body(100))]),
    limits: { maxMessageLength: 100 },
  },
  beyond("9.x2", "longer than a message may be", { maxMessageLength: 100 }, [
    frame(BINARY, body(101)),
  ], 1009),
  beyond("9.x3", "longer than a frame may be", { maxFrameLength: 100 }, [
    frame(BINARY, body(101)),
  ], 1009),
  beyond(
    "9.x4",
    "fragments that are too long together",
    { maxMessageLength: 99 },
    fragments(BINARY, ...TEN),
    1009,
  ),
  {
    id: "9.x5",
    name: "fragments that are just not too long together",
    limits: { maxMessageLength: 100, maxFrameLength: 10 },
    send: fragments(TEXT, ...TEN),
    get: [frame(TEXT, TEN.join(""))],
  },
  beyond("9.x6", "too many fragments", { maxFragments: 9 }, fragments(BINARY, ...TEN), 1008),
  {
    id: "9.x7",
    name: "as many fragments as are allowed",
    limits: { maxFragments: 10 },
    send: fragments(TEXT, ...TEN),
    get: [frame(TEXT, TEN.join(""))],
  },
  beyond("9.x8", "too many empty fragments", { maxFragments: 20 }, [
    frame(TEXT, "", { fin: false }),
    ...Array.from({ length: 100 }, () => frame(0, "", { fin: false })),
  ], 1008),
];

export const END_CASES: readonly ProtocolCase[] = [
  ...order,
  ...forms,
  ...codes,
  ...large,
  ...pieces,
  ...many,
  ...limits,
  fragmentedBySender,
];
