import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import { FrameError, LimitError } from "../../src/base/errors.ts";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { Codec } from "../../src/codec/codec.ts";
import { lengthField, type LengthFieldOptions } from "../../src/codec/length_field.ts";
import { body, feed, hex, join, randomCuts, sameFrame } from "../_support/feed.ts";
import { Rng } from "../_support/rng.ts";

const WIDTHS = [1, 2, 3, 4, 8] as const;
const BODIES = [0, 1, 2, 5, 9, 100, 200, 201, 300, 70_100].map((length) => body(length, length));

function encode(codec: Codec<Uint8Array, unknown>, frame: Uint8Array): Uint8Array {
  const output = new OutBuffer();
  codec.encode(frame, output);
  return output.toBytes();
}

function decode(options: LengthFieldOptions, bytes: Uint8Array): unknown {
  const { frames, error } = feed(lengthField(options), bytes);
  return error instanceof FrameError ? error.code : frames;
}

Deno.test("lengthField() reads each width in each byte order", () => {
  const header: Record<string, [big: string, little: string]> = {
    1: ["03", "03"],
    2: ["0003", "0300"],
    3: ["000003", "030000"],
    4: ["00000003", "03000000"],
    8: ["0000000000000003", "0300000000000000"],
  };
  for (const width of WIDTHS) {
    const [big, little] = header[width] ?? ["", ""];
    const frame = hex("aabbcc");
    assertEquals(decode({ width }, join(hex(big), frame)), [frame]);
    assertEquals(decode({ width, littleEndian: true }, join(hex(little), frame)), [frame]);
    assertEquals(encode(lengthField({ width }), frame), join(hex(big), frame));
    assertEquals(
      encode(lengthField({ width, littleEndian: true }), frame),
      join(hex(little), frame),
    );
  }
});

Deno.test("lengthField() reads every byte of a width", () => {
  for (const littleEndian of [false, true]) {
    for (const [width, length] of [[2, 0x0102], [3, 0x010203], [4, 0x01020304]] as const) {
      const digits = length.toString(16).padStart(2 * width, "0");
      const header = littleEndian ? hex(digits).reverse() : hex(digits);
      const codec = lengthField({ width, littleEndian, maxFrameLength: length - 1 });
      const { error } = feed(codec, header);
      assertInstanceOf(error, FrameError);
      assert(error.message.endsWith(`: current value is ${length}`), error.message);
      const input = new ByteQueue(header);
      const larger = lengthField({ width, littleEndian, maxFrameLength: length });
      assertEquals(larger.decode(input), undefined);
      assertEquals(input.wanted, width + length);
    }
  }
});

Deno.test("lengthField() gives the frames of Netty's documented configurations", () => {
  const hello = join("HELLO, WORLD");
  const table: [LengthFieldOptions, bytes: Uint8Array, frame: Uint8Array][] = [
    [{ width: 2, strip: 0 }, join(hex("000c"), hello), join(hex("000c"), hello)],
    [{ width: 2 }, join(hex("000c"), hello), hello],
    [
      { width: 2, adjust: -2, strip: 0 },
      join(hex("000e"), hello),
      join(hex("000e"), hello),
    ],
    [{ width: 2, includesHeader: true }, join(hex("000e"), hello), hello],
    [
      { width: 3, offset: 2 },
      join(hex("cafe 00000c"), hello),
      join(hex("cafe 00000c"), hello),
    ],
    [
      { width: 3, adjust: 2, strip: 0 },
      join(hex("00000c cafe"), hello),
      join(hex("00000c cafe"), hello),
    ],
    [
      { width: 2, offset: 1, adjust: 1, strip: 3 },
      join(hex("ca 000c fe"), hello),
      join(hex("fe"), hello),
    ],
    [
      { width: 2, offset: 1, adjust: -3, strip: 3 },
      join(hex("ca 0010 fe"), hello),
      join(hex("fe"), hello),
    ],
    [
      { width: 2, offset: 1, adjust: 1, includesHeader: true, strip: 4 },
      join(hex("ca 000f fe"), hello),
      hello,
    ],
  ];
  for (const [options, bytes, frame] of table) {
    assertEquals(decode(options, join(bytes, bytes)), [frame, frame]);
  }
});

Deno.test("lengthField() puts back what it strips: the length, and zeros", () => {
  const codec = lengthField({ width: 2, offset: 1, strip: 3 });
  assertEquals(encode(codec, hex("aabb")), hex("00 0002 aabb"));
  const beyond = lengthField({ width: 2, strip: 4 });
  assertEquals(encode(beyond, hex("aabb")), hex("0004 0000 aabb"));
  const within = lengthField({ width: 2, offset: 2, strip: 1 });
  assertEquals(encode(within, hex("11 ffff aabb")), hex("00 11 0002 aabb"));
});

Deno.test("lengthField() fills in the length of a frame that has its header", () => {
  const codec = lengthField({ width: 2, offset: 1, includesHeader: true });
  assertEquals(encode(codec, hex("ca ffff 010203")), hex("ca 0006 010203"));
  const error = assertThrows(() => encode(codec, hex("ca00")), RangeError);
  assertEquals(
    error.message,
    "Cannot encode frame as its length must be from 3 to 65535: current value is 2",
  );
});

Deno.test("lengthField() F15 accepts a configuration or refuses it, and then works as configured", () => {
  const rng = new Rng(15);
  let accepted = 0;
  let refused = 0;
  for (const width of WIDTHS) {
    for (const offset of [0, 3]) {
      for (const adjust of [-300, -8, -1, 0, 1, 5, 70_000]) {
        for (const strip of [undefined, 0, 1, 4, 9, 300]) {
          for (const includesHeader of [false, true]) {
            for (const maxFrameLength of [1, 200, undefined]) {
              const options: LengthFieldOptions = {
                width,
                offset,
                adjust,
                includesHeader,
                littleEndian: rng.int(2) === 0,
                ...(strip === undefined ? {} : { strip }),
                ...(maxFrameLength === undefined ? {} : { maxFrameLength }),
              };
              if (checkConfiguration(options, rng)) accepted++;
              else refused++;
            }
          }
        }
      }
    }
  }
  assert(accepted > 500 && refused > 100, `${accepted} accepted, ${refused} refused`);
});

/** Whether the codec can be made; if so, it must send what it receives, and never misbehave. */
function checkConfiguration(options: LengthFieldOptions, rng: Rng): boolean {
  let codec: Codec<Uint8Array>;
  try {
    codec = lengthField(options);
  } catch (error) {
    assertInstanceOf(error, RangeError);
    return false;
  }
  const what = `seed ${rng.seed}: ${JSON.stringify(options)}`;
  let possible = 0;
  for (const sent of BODIES) {
    let bytes: Uint8Array;
    try {
      bytes = encode(codec, sent);
    } catch (error) {
      assert(error instanceof RangeError || error instanceof LimitError, what);
      continue;
    }
    possible++;
    const fed = feed(codec, bytes, randomCuts(rng, bytes.length));
    assertEquals([fed.frames.length, fed.error, fed.rest], [1, undefined, 0], what);
    assertEquals(claimedTotal(options, bytes), bytes.length, what);
    // The length field itself is filled in, so what comes back is compared when it is sent again.
    assert(sameFrame(encode(codec, fed.frames[0] ?? body(0)), bytes), what);
  }
  for (let run = 0; run < 8; run++) {
    const { error } = feed(codec, rng.bytes(rng.int(40)));
    assert(error === undefined || error instanceof FrameError, what);
  }
  assert(possible > 0 || (options.adjust ?? 0) > 0, `Accepted, but nothing can be sent: ${what}`);
  return true;
}

/** What the definition says that the whole frame is long. */
function claimedTotal(options: LengthFieldOptions, bytes: Uint8Array): number {
  const { width, offset = 0, adjust = 0 } = options;
  const field = bytes.slice(offset, offset + width);
  if (options.littleEndian) field.reverse();
  const value = field.reduce((sum, byte) => sum * 256 + byte, 0);
  return options.includesHeader ? value + adjust : offset + width + value + adjust;
}

Deno.test("lengthField() F15 refuses options that are out of range", () => {
  const bad: [Partial<Record<keyof LengthFieldOptions, number>>, message: string][] = [
    [{ width: 0 }, "'width' must be 1, 2, 3, 4 or 8: current value is 0"],
    [{ width: 5 }, "'width' must be 1, 2, 3, 4 or 8: current value is 5"],
    [{ width: NaN }, "'width' must be 1, 2, 3, 4 or 8: current value is NaN"],
    [{ offset: -1 }, "'offset' must be an integer from 0 to 65535: current value is -1"],
    [{ offset: 65_536 }, "'offset' must be an integer from 0 to 65535: current value is 65536"],
    [{ offset: 0.5 }, "'offset' must be an integer from 0 to 65535: current value is 0.5"],
    [{ strip: -1 }, "'strip' must be an integer from 0 to 65535: current value is -1"],
    [{ strip: NaN }, "'strip' must be an integer from 0 to 65535: current value is NaN"],
    [{ adjust: 2 ** 31 }, "current value is 2147483648"],
    [{ adjust: 1.5 }, "current value is 1.5"],
    [{ adjust: -Infinity }, "current value is -Infinity"],
    [{ maxFrameLength: 0 }, "'maxFrameLength' must be an integer from 1 to 2147483647"],
    [{ maxFrameLength: 2 ** 31 }, "current value is 2147483648"],
    [{ maxFrameLength: Infinity }, "current value is Infinity"],
    [{ width: 1, adjust: -256 }, "able to hold the 1 bytes of its header and 'strip'"],
    [{ width: 1, strip: 257 }, "able to hold the 257 bytes of its header and 'strip'"],
    [{ adjust: 201, maxFrameLength: 200 }, "the shortest frame, 201: current value is 200"],
    [{ strip: 0, maxFrameLength: 3 }, "the shortest frame, 4: current value is 3"],
  ];
  for (const [options, message] of bad) {
    const error = assertThrows(() => make(options), RangeError);
    assert(error.message.startsWith("Cannot create codec as "), error.message);
    assert(error.message.includes(message), error.message);
  }
});

/** As a program without types would call it. */
function make(options: Partial<Record<keyof LengthFieldOptions, number>>): void {
  Reflect.apply(lengthField, undefined, [{ width: 4, ...options }]);
}

Deno.test("lengthField() F2 refuses a length that is less than the header", () => {
  assertEquals(decode({ width: 2, includesHeader: true }, hex("0001")), "BAD_FRAME");
  assertEquals(decode({ width: 2, adjust: -4 }, hex("0003")), "BAD_FRAME");
  assertEquals(decode({ width: 2, adjust: -4 }, hex("0004")), [body(0)]);
  assertEquals(decode({ width: 2, strip: 5 }, hex("0002 0000")), "BAD_FRAME");
  assertEquals(decode({ width: 2, strip: 5 }, hex("0003 000000")), [body(0)]);
});

Deno.test("lengthField() F1 judges a length on its header, and keeps no memory for it", () => {
  for (const max of [1, 1_000, undefined]) {
    const codec = lengthField({ width: 4, ...(max === undefined ? {} : { maxFrameLength: max }) });
    const queue = new ByteQueue();
    queue.space().set(hex("ffffffff"));
    queue.fill(4);
    const error = assertThrows(() => codec.decode(queue), FrameError);
    assertEquals(error.code, "FRAME_TOO_LARGE");
    assert(queue.buffer.length <= 512, `${queue.buffer.length} bytes`);
  }
  const queue = new ByteQueue();
  const codec = lengthField({ width: 4, maxFrameLength: 2 ** 31 - 1 });
  queue.space().set(hex("7fffffff"));
  queue.fill(4);
  assertEquals(codec.decode(queue), undefined);
  queue.space();
  assert(queue.buffer.length <= 512, `${queue.buffer.length} bytes for a mere claim`);
});

Deno.test("lengthField() refuses to encode what it would refuse to decode, before it writes", () => {
  const output = new OutBuffer();
  const limit = assertThrows(
    () => lengthField({ width: 4, maxFrameLength: 10 }).encode(body(11), output),
    LimitError,
  );
  assertEquals([limit.code, limit.limit], ["TOO_LARGE", "maxFrameLength"]);
  assertThrows(() => lengthField({ width: 1 }).encode(body(256), output), RangeError);
  assertThrows(() => lengthField({ width: 1, adjust: 2 }).encode(body(1), output), RangeError);
  assertThrows(() => lengthField({ width: 2, strip: 0 }).encode(body(1), output), RangeError);
  assertEquals(output.length, 0);
  lengthField({ width: 4, maxFrameLength: 10 }).encode(body(10), output);
  lengthField({ width: 1 }).encode(body(255), output);
  assertEquals(output.length, 4 + 10 + 1 + 255);
});
