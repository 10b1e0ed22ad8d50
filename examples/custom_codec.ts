/**
 * Frames without sessions: a codec of one's own (type byte, 16-bit length, body: the TLV of many old
 * devices) over plain `Deno.listen` and `Deno.connect`, read with `for await`.
 *
 *     deno run --allow-net=127.0.0.1 examples/custom_codec.ts
 */
import { type Codec, FrameError, FrameStream } from "@vgo/vnet/frames";

interface Tlv {
  readonly type: number;
  readonly body: Uint8Array;
}

const MAX_LENGTH = 4_096;

/** It keeps nothing between calls, so that one serves every connection. */
const tlv: Codec<Tlv> = {
  decode(input) {
    if (input.length < 3) return undefined; // not yet
    const length = input.peekUint16(1);
    if (length > MAX_LENGTH) {
      throw new FrameError(
        `Cannot decode TLV as its length must be at most ${MAX_LENGTH}: current value is ${length}`,
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

const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
const { port } = listener.addr;
const accepting = (async () => {
  for await (const conn of listener) {
    answer(conn).catch((error) => console.log(`server: ${error.name}: ${error.message}`));
  }
})();

await using device = new FrameStream(await Deno.connect({ port }), tlv);
for (const word of ["one", "two", "three"]) {
  await device.send({ type: 1, body: new TextEncoder().encode(word) });
}
let answers = 0;
for await (const { type, body } of device) {
  console.log(`client: type ${type}, ${new TextDecoder().decode(body)}`);
  if (++answers === 3) break; // leaving the loop closes nothing
}

// So long a frame is no frame to this codec. The server judges it by its first three bytes.
await device.send({ type: 1, body: new Uint8Array(MAX_LENGTH + 1) });
try {
  for await (const { type } of device) console.log(`client: type ${type}`);
} catch {
  // Hanging up before all was read may show as a reset instead of an end.
}
console.log("client: the server has hung up");

listener.close();
await accepting;

/** Sends every frame back, as the type after it. */
async function answer(conn: Deno.Conn): Promise<void> {
  await using stream = new FrameStream(conn, tlv);
  for await (const { type, body } of stream) await stream.send({ type: type + 1, body });
}
