/** Any bytes at all give frames, or one ProtocolError, and nothing else. */
import { assert, assertEquals } from "@std/assert";
import { ProtocolError } from "../../src/base/errors.ts";
import type { Bytes, Side } from "../../src/base/types.ts";
import { FrameReader } from "../../src/wire/frame.ts";
import { decodeClientPreface, decodeServerPreface } from "../../src/wire/handshake.ts";
import { Rng } from "../_support/rng.ts";
import { concat, decodeBody, frames, rawFrame } from "./vectors.ts";

const MAX_FRAME = 16_384;
const SHORT = frames.filter((it) => it.bytes.length < 200);
const BY_SIDE: Readonly<Record<Side, readonly Bytes[]>> = {
  client: SHORT.filter((it) => it.from === "client").map((it) => it.bytes),
  server: SHORT.filter((it) => it.from === "server").map((it) => it.bytes),
};
/** Bytes at which something changes. */
const EDGES = [0x00, 0x01, 0x02, 0x0c, 0x10, 0x7f, 0x80, 0xc0, 0xf9, 0xfe, 0xff];

/** What came of an input. */
interface Outcome {
  readonly frames: number;
  readonly code: string | undefined;
}

Deno.test("FrameReader and decoders survive 60,000 random inputs", () => {
  const seen = fuzz(1, 60_000, (rng, side) => {
    if (rng.int(2) === 0) return rng.bytes(rng.int(64));
    // A header that may pass, in front of a random body.
    const body = rng.bytes(rng.int(80));
    for (let i = rng.int(8); i > 0; i--) body[rng.int(body.length || 1)] = rng.pick(EDGES);
    const type = rng.pick(BY_SIDE[side])[4] ?? 0;
    const id = type < 0x11 ? 0 : 1 + rng.int(2);
    return rawFrame({ type, flags: rng.int(32), id, seq: type < 0x10 ? 0 : 1 }, body);
  });
  assert(seen.refused > 1_000 && seen.accepted > 1_000, JSON.stringify(seen));
});

Deno.test("FrameReader and decoders survive 150,000 mutated golden streams", () => {
  const seen = fuzz(1_000_001, 150_000, (rng, side) => {
    const parts = Array.from({ length: 1 + rng.int(3) }, () => rng.pick(BY_SIDE[side]));
    return mutate(rng, concat(parts));
  });
  assert(seen.refused > 10_000 && seen.accepted > 10_000, JSON.stringify(seen));
  for (const code of ["BAD_FRAME", "FRAME_TOO_LARGE", "UNKNOWN_CRITICAL", "PROTOCOL"]) {
    assert(seen.codes.has(code), `No input was refused with ${code}`);
  }
});

Deno.test("decodeClientPreface() and decodeServerPreface() survive 20,000 inputs", () => {
  for (let seed = 1; seed <= 20_000; seed++) {
    const rng = new Rng(seed);
    const bytes = Uint8Array.of(0xf9, 0x56, 0x4e, 0x45, 0x54, ...rng.bytes(5));
    if (rng.int(2) === 0) bytes[rng.int(10)] = rng.pick(EDGES);
    const end = rng.int(11);
    for (const decode of [decodeClientPreface, decodeServerPreface]) {
      try {
        assertEquals(decode(bytes, 0, end) !== undefined, end >= 8, `seed ${seed}`);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  }
});

/** Runs inputs; each twice, whole and cut, with the same outcome. */
function fuzz(first: number, count: number, make: (rng: Rng, side: Side) => Bytes) {
  const codes = new Set<string>();
  let accepted = 0;
  for (let seed = first; seed < first + count; seed++) {
    const rng = new Rng(seed);
    const side = rng.int(2) === 0 ? "client" : "server";
    const bytes = make(rng, side);
    const whole = run(seed, side, bytes, bytes.length);
    const cut = run(seed, side, bytes, rng.int(bytes.length + 1));
    if (whole.code !== cut.code || whole.frames !== cut.frames) {
      throw new Error(`seed ${seed}: ${JSON.stringify(whole)} but cut ${JSON.stringify(cut)}`);
    }
    if (whole.code === undefined) accepted++;
    else codes.add(whole.code);
  }
  return { accepted, refused: count - accepted, codes };
}

function run(seed: number, side: Side, bytes: Bytes, cut: number): Outcome {
  let count = 0;
  const reader = new FrameReader(
    {
      onFrame(type, flags, aux, id, seq, buffer, start, end) {
        count++;
        decodeBody({ type, flags, aux, id, seq }, buffer, start, end);
        if (start > end || end > bytes.length) throw new Error("A frame past the end of the input");
      },
    },
    side,
    MAX_FRAME,
  );
  try {
    const at = reader.read(bytes, 0, cut);
    const rest = reader.read(bytes, at, bytes.length);
    const waits = bytes.length - rest;
    if ((waits === 0) !== (reader.wanted === 0) || (waits > 0 && reader.wanted <= waits)) {
      throw new Error(`It wants ${reader.wanted} bytes and has ${waits}`);
    }
    return { frames: count, code: undefined };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw new Error(`seed ${seed}`, { cause: error });
    return { frames: count, code: error.code };
  }
}

/** Changes a few bytes, takes some out, puts some in, doubles some. */
function mutate(rng: Rng, bytes: Bytes): Bytes {
  let mutated = bytes;
  for (let i = rng.int(4); i > 0; i--) {
    const at = rng.int(mutated.length || 1);
    const end = Math.min(mutated.length, at + rng.int(6));
    switch (rng.int(5)) {
      case 0:
        mutated = mutated.slice();
        mutated[at] = rng.pick(EDGES);
        break;
      case 1:
        mutated = mutated.slice();
        mutated[at] = (mutated[at] ?? 0) ^ (1 << rng.int(8));
        break;
      case 2:
        mutated = concat([mutated.subarray(0, at), mutated.subarray(end)]);
        break;
      case 3:
        mutated = concat([mutated.subarray(0, end), mutated.subarray(at)]);
        break;
      default:
        mutated = concat([mutated.subarray(0, at), rng.bytes(rng.int(4)), mutated.subarray(at)]);
    }
  }
  return mutated;
}
