/**
 * Encoding frames: CPU only, no socket. In each group the baseline copies the bodies to where the
 * frames go, which is the least that can be done for what is not written by itself; what is long
 * (64 KiB) vnet does not copy. One turn is as many frames as fit about 64 KiB.
 */
import { type Codec, delimiter, fixed, lengthField, line, varint } from "../src/frames.ts";
import { OutBuffer } from "../src/base/out_buffer.ts";
import { smoke, turns } from "./_settings.ts";

const TURN = 65_536;
const BODIES: readonly [name: string, size: number][] = [
  ["16 B", 16],
  ["64 B", 64],
  ["256 B", 256],
  ["1 KiB", 1_024],
  ["64 KiB", 65_536],
];

const standing = new Uint8Array(2 * TURN);
for (const [name, size] of smoke ? BODIES.slice(1, 2) : BODIES) {
  const group = `encode, ${name}`;
  const body = new Uint8Array(size).fill(120);
  const count = TURN / size;
  Deno.bench("copy", { group, baseline: true, ...turns }, () => {
    for (let i = 0, at = 0; i < count; i++, at += size) standing.set(body, at);
  });
  const encode = <I, O>(name: string, codec: Codec<I, O>, frame: I) => {
    const output = new OutBuffer();
    Deno.bench(name, { group, ...turns }, () => {
      for (let i = 0; i < count; i++) codec.encode(frame, output);
      output.reset();
    });
  };
  encode("lengthField", lengthField({ width: 4 }), body);
  encode("varint", varint(), body);
  encode("fixed", fixed(size), body);
  encode("delimiter", delimiter(new Uint8Array([13, 10])), body);
  encode("line", line(), "x".repeat(size));
}
