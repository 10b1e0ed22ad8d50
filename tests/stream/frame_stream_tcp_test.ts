/** Frame streams over real connections on loopback. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { FrameError } from "../../src/base/errors.ts";
import type { Codec } from "../../src/codec/codec.ts";
import { line } from "../../src/codec/delimiter.ts";
import { lengthField } from "../../src/codec/length_field.ts";
import { FrameStream } from "../../src/stream/frame_stream.ts";
import { type Tlv, tlv } from "../codec/cases.ts";
import { join, sameFrame } from "../_support/feed.ts";
import { Rng } from "../_support/rng.ts";

async function connected(): Promise<[a: Deno.TcpConn, b: Deno.TcpConn]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  return await Promise.all([Deno.connect({ port, hostname: "127.0.0.1" }), listener.accept()]);
}

async function streams<I, O>(codec: Codec<I, O>): Promise<[FrameStream<I, O>, FrameStream<I, O>]> {
  const [a, b] = await connected();
  return [new FrameStream(a, codec), new FrameStream(b, codec)];
}

Deno.test("FrameStream echoes frames of all sizes over TCP", async () => {
  const seed = 4;
  const rng = new Rng(seed);
  const sizes = [0, 1, 500, 65_532, 65_536, 1 << 20];
  for (let i = 0; i < 500; i++) sizes.push(rng.int(rng.pick([20, 2_000, 100_000])));
  const frames = sizes.map((size, i) => new Uint8Array(size).fill(i));
  const [client, server] = await streams(lengthField({ width: 4 }));
  const echo = (async () => {
    await using stream = server;
    for await (const frame of stream) await stream.send(frame);
  })();
  const sending = (async () => {
    for (const frame of frames) await client.send(frame);
  })();
  let index = 0;
  for await (const frame of client) {
    assert(sameFrame(frame, frames[index]), `frame ${index} of seed ${seed}`);
    if (++index === frames.length) break;
  }
  await sending;
  assertEquals((await client.close()).code, "NORMAL");
  await echo;
  assertEquals((await server.closed).initiator, "remote");
});

Deno.test("FrameStream runs a codec of one's own over TCP", async () => {
  const [client, server] = await streams<Tlv, Tlv>(tlv);
  const echo = (async () => {
    await using stream = server;
    for await (const { type, body } of stream) await stream.send({ type: type + 1, body });
  })();
  for (let type = 0; type < 200; type++) client.send({ type, body: join(`body ${type}`) });
  let type = 0;
  for await (const frame of client) {
    assertEquals(frame, { type: type + 1, body: join(`body ${type}`) });
    if (++type === 200) break;
  }
  await client.close();
  await echo;
});

Deno.test("FrameStream.close() loses no output to input that nobody read", async () => {
  const [client, server] = await streams(line());
  const text = "x".repeat(1_000);
  // Both ends send more than the network holds, and one of them reads nothing.
  const sending = (async () => {
    for (let i = 0; i < 3_000; i++) await client.send(text);
  })();
  for (let i = 0; i < 3_000; i++) server.send(text);
  const closing = server.close();
  let count = 0;
  for await (const received of client) {
    assertEquals(received, text);
    count++;
  }
  assertEquals(count, 3_000);
  await sending;
  assertEquals((await client.close()).code, "NORMAL");
  assertEquals((await closing).code, "NORMAL");
});

Deno.test("FrameStream notices a connection that ends within a frame", async () => {
  const [a, b] = await connected();
  const stream = new FrameStream(a, lengthField({ width: 4 }));
  await b.write(Uint8Array.of(0, 0, 0, 9, 1, 2, 3));
  b.close();
  const error = await assertRejects(async () => {
    for await (const _ of stream);
  }, FrameError);
  assertEquals(error.code, "TRUNCATED");
  await stream.closed;
});

Deno.test("FrameStream.abort() frees a read and a write that are stuck", async () => {
  const [client, server] = await streams(line());
  const reading = assertRejects(async () => {
    for await (const _ of client);
  });
  const text = "x".repeat(100_000);
  for (let i = 0; i < 200; i++) client.send(text);
  // Part of it is in the kernel's buffers; the rest has no place to go.
  const { bytes } = client.queued;
  while (client.queued.bytes === bytes) await new Promise((resolve) => setTimeout(resolve, 1));
  client.abort();
  await reading;
  assertEquals((await client.closed).code, "ABORTED");
  server.abort();
});
