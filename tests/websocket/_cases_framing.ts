/** Categories 1 to 5: messages, control frames, reserved bits, opcodes, fragmentation. */
import { body, hex } from "../_support/feed.ts";
import { echoed, type ProtocolCase, refused } from "./_case.ts";
import { BINARY, CONTINUATION, fragments, type Frame, frame, PING, PONG, TEXT } from "./_frames.ts";

const HELLO = frame(TEXT, "Hello, world!");
const AGAIN = frame(PING, "again");
const HEARD = frame(PONG, "again");
const ODD = hex("00 ff fe fd fc fb 00 ff");
const SIZES = [0, 125, 126, 127, 128, 65_535, 65_536];

const messages: ProtocolCase[] = [
  ...SIZES.map((size, i) =>
    echoed(`1.1.${i + 1}`, `text of ${size} bytes`, [frame(TEXT, "*".repeat(size))])
  ),
  echoed("1.1.8", "two texts, the second of 65,536 bytes", [
    HELLO,
    frame(TEXT, "*".repeat(65_536)),
  ]),
  ...SIZES.map((size, i) =>
    echoed(`1.2.${i + 1}`, `binary of ${size} bytes`, [frame(BINARY, body(size, 0xfe))])
  ),
  echoed("1.2.8", "two binaries, the second of 65,536 bytes", [
    frame(BINARY, ODD),
    frame(BINARY, body(65_536)),
  ]),
];

function pinged(
  id: string,
  name: string,
  payloads: readonly (string | Uint8Array)[],
): ProtocolCase {
  return {
    id,
    name,
    send: payloads.map((payload) => frame(PING, payload)),
    get: payloads.map((payload) => frame(PONG, payload)),
  };
}

const TEN = Array.from({ length: 10 }, (_, i) => `ping ${i}`);
const control: ProtocolCase[] = [
  pinged("2.1", "ping without payload", [""]),
  pinged("2.2", "ping with text", ["Hello, world!"]),
  pinged("2.3", "ping with bytes that are no text", [ODD]),
  pinged("2.4", "ping of 125 bytes", [body(125, 0xfe)]),
  refused("2.5", "ping of 126 bytes", [frame(PING, body(126))]),
  pinged("2.6", "ping of 125 bytes, in single bytes", [body(125, 0xfe)]),
  { id: "2.7", name: "pong that nobody asked for, without payload", send: [frame(PONG)], get: [] },
  { id: "2.8", name: "pong that nobody asked for", send: [frame(PONG, "unasked")], get: [] },
  {
    id: "2.9",
    name: "pong that nobody asked for, then ping",
    send: [frame(PONG, "unasked"), AGAIN],
    get: [HEARD],
  },
  pinged("2.10", "ten pings", TEN),
  pinged("2.11", "ten pings in single bytes", TEN),
  refused("2.x1", "pong of 126 bytes", [frame(PONG, body(126))]),
  refused("2.x2", "ping of 65,536 bytes", [frame(PING, body(65_536))]),
  refused("2.x3", "close of 126 bytes", [frame(8, body(126))]),
];

const REST: readonly Frame[] = [AGAIN];
const reserved: ProtocolCase[] = [
  refused("3.1", "RSV 1 on a text", [frame(TEXT, "Hello", { rsv: 1 })]),
  refused("3.2", "RSV 2 on a text, after a good one", [
    HELLO,
    frame(TEXT, "Hello", { rsv: 2 }),
    ...REST,
  ], [HELLO]),
  refused("3.3", "RSV 3 on a text, after a good one", [
    HELLO,
    frame(TEXT, "Hello", { rsv: 3 }),
    ...REST,
  ], [HELLO]),
  refused("3.4", "RSV 4 on a text, after a good one", [
    HELLO,
    frame(TEXT, "Hello", { rsv: 4 }),
    ...REST,
  ], [HELLO]),
  refused("3.5", "RSV 5 on a binary", [frame(BINARY, ODD, { rsv: 5 })]),
  refused("3.6", "RSV 6 on a ping", [frame(PING, "Hello", { rsv: 6 })]),
  refused("3.7", "RSV 7 on a close", [frame(8, "", { rsv: 7 })]),
  refused("3.x1", "RSV 4 on a continuation", [
    frame(TEXT, "a", { fin: false }),
    frame(CONTINUATION, "b", { rsv: 4 }),
  ]),
  ...[1, 2, 3, 4, 5, 6, 7].map((rsv) =>
    refused(`3.x${rsv + 1}`, `RSV ${rsv} on an empty frame`, [frame(TEXT, "", { rsv })])
  ),
];

const opcodes: ProtocolCase[] = [3, 4, 5, 6, 7].flatMap((opcode, i) => [
  unknown(`4.1.${i + 1}`, opcode, i),
  unknown(`4.2.${i + 1}`, opcode + 8, i),
]);

/** As the suite does it: alone, with a payload, and after a good message with a ping behind. */
function unknown(id: string, opcode: number, form: number): ProtocolCase {
  const odd = frame(opcode, form % 2 === 0 ? "" : "payload");
  const name = `opcode ${opcode}${form % 2 === 0 ? "" : " with a payload"}`;
  if (form < 2) return refused(id, name, [odd]);
  return refused(id, `${name}, after a text`, [HELLO, odd, AGAIN], [HELLO]);
}

const TWO = fragments(TEXT, "fragment1", "fragment2");
const [ONE_OF_TWO = HELLO, TWO_OF_TWO = HELLO] = TWO;
const WHOLE = frame(TEXT, "fragment1fragment2");
const STRAY = frame(CONTINUATION, "not to be continued");
const STRAY_OPEN = frame(CONTINUATION, "not to be continued", { fin: false });

const fragmented: ProtocolCase[] = [
  refused("5.1", "ping in two fragments", fragments(PING, "fragment1", "fragment2")),
  refused("5.2", "pong in two fragments", fragments(PONG, "fragment1", "fragment2")),
  ...["5.3", "5.4", "5.5"].map((id): ProtocolCase => (
    { id, name: "text in two fragments", send: TWO, get: [WHOLE] }
  )),
  ...["5.6", "5.7", "5.8"].map((id): ProtocolCase => ({
    id,
    name: "text in two fragments with a ping between them",
    send: [ONE_OF_TWO, AGAIN, TWO_OF_TWO],
    get: [HEARD, WHOLE],
  })),
  ...["5.9", "5.10", "5.11"].map((id) =>
    refused(id, "last fragment without a first, then text", [STRAY, HELLO])
  ),
  ...["5.12", "5.13", "5.14"].map((id) =>
    refused(id, "further fragment without a first, then text", [STRAY_OPEN, HELLO])
  ),
  refused("5.15", "fragment after the end of its message", [...TWO, STRAY_OPEN, HELLO], [WHOLE]),
  refused("5.16", "further fragment without a first, then a message in fragments", [
    STRAY_OPEN,
    ...TWO,
    STRAY_OPEN,
    ...TWO,
  ]),
  refused("5.17", "last fragment without a first, then a message in fragments", [
    STRAY,
    ...TWO,
    STRAY,
    ...TWO,
  ]),
  refused("5.18", "second fragment with opcode text", [
    ONE_OF_TWO,
    frame(TEXT, "fragment2"),
  ]),
  ...["5.19", "5.20"].map((id): ProtocolCase => {
    const [one, two, three, four, five] = fragments(TEXT, "f1", "f2", "f3", "f4", "f5");
    return {
      id,
      name: "text in five fragments with pings between them",
      send: [
        one ?? HELLO,
        two ?? HELLO,
        AGAIN,
        three ?? HELLO,
        four ?? HELLO,
        AGAIN,
        five ?? HELLO,
      ],
      get: [HEARD, HEARD, frame(TEXT, "f1f2f3f4f5")],
    };
  }),
  refused("5.x1", "close in two fragments", fragments(8, hex("03e8"), "bye")),
  refused("5.x2", "second fragment with opcode binary", [ONE_OF_TWO, frame(BINARY, "x")]),
  refused("5.x3", "fragments of a text begun as binary", [
    frame(BINARY, "x", { fin: false }),
    frame(TEXT, "y"),
  ]),
  {
    id: "5.x4",
    name: "binary in fragments of which some are empty",
    send: fragments(BINARY, "", ODD, "", "", ODD, ""),
    get: [frame(BINARY, hex("00fffefdfcfb00ff 00fffefdfcfb00ff"))],
  },
  {
    id: "5.x5",
    name: "two messages in fragments, one after the other",
    send: [...TWO, ...fragments(BINARY, ODD, ODD)],
    get: [WHOLE, frame(BINARY, hex("00fffefdfcfb00ff 00fffefdfcfb00ff"))],
  },
  {
    id: "5.x6",
    name: "pong that nobody asked for between fragments",
    send: [ONE_OF_TWO, frame(PONG, "x"), TWO_OF_TWO],
    get: [WHOLE],
  },
];

/** What the suite takes for granted: masks, lengths in the fewest bytes, lengths beyond all limits. */
const strict: ProtocolCase[] = [
  {
    ...refused("4.x1", "unmasked frame from a client", [hex("81 05 48656c6c6f")]),
    role: "server",
  },
  {
    ...refused("4.x2", "masked frame from a server", [hex("81 85 37fa213d 7f9f4d5158")]),
    role: "client",
  },
  { ...refused("4.x3", "unmasked empty frame from a client", [hex("8100")]), role: "server" },
  { ...refused("4.x4", "masked empty frame from a server", [hex("8180")]), role: "client" },
  ...lengths("5 in two bytes", "7e 0005", 1002, 5),
  ...lengths("125 in two bytes", "7e 007d", 1002, 6),
  ...lengths("5 in eight bytes", "7f 0000000000000005", 1002, 7),
  ...lengths("65,535 in eight bytes", "7f 000000000000ffff", 1002, 8),
];

function lengths(name: string, head: string, end: number, number: number): ProtocolCase[] {
  const [kind = 0, ...rest] = hex(head);
  return (["server", "client"] as const).map((role) => ({
    id: `4.x${number}`,
    name: `a length of ${name}`,
    send: [Uint8Array.from([0x82, kind | (role === "server" ? 0x80 : 0), ...rest])],
    get: [],
    end,
    role,
  }));
}

/** W4: refused on the header, whatever else it says. */
export const HUGE_LENGTHS: readonly ProtocolCase[] = [
  ...lengths("2^63", "7f 8000000000000000", 1009, 9),
  ...lengths("2^53", "7f 0020000000000000", 1009, 10),
  ...lengths("2^64 - 1", "7f ffffffffffffffff", 1009, 11),
  ...lengths("2^24 + 1", "7f 0000000001000001", 1009, 12),
];

export const FRAMING_CASES: readonly ProtocolCase[] = [
  ...messages,
  ...control,
  ...reserved,
  ...opcodes,
  ...fragmented,
  ...strict,
  ...HUGE_LENGTHS,
];
