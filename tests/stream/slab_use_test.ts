/** The memory that a session reads into: used again where nobody has a view of it, and only there. */
import { attach, type Bytes, type ByteTransport } from "@vgo/vnet";
import { memoryPair } from "@vgo/vnet/testing";
import { assert, assertEquals } from "@std/assert";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import { Rng } from "../_support/rng.ts";

const SIZES = [4, 100, 1_000, 1_100, 5_000, 30_000, 40_000, 100_000];

Deno.test("bodies stay as they are whatever is read after them, in 20 random runs", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const rng = new Rng(seed);
    const kept: Bytes[] = [];
    let made = 0;
    const next = () => body(made++, rng.pick(SIZES));
    const keep = async (items: AsyncIterable<Bytes>) => {
      for await (const item of items) kept.push(item);
    };
    const items = async function* (): AsyncGenerator<Uint8Array> {
      for (let count = rng.int(12); count > 0; count--) yield next();
    };
    const options = {
      methods: {
        echo: (input: Bytes) => {
          kept.push(input);
          return input.slice();
        },
        download: () => items(),
        upload: async (_input: Bytes, { stream }: { readonly stream: AsyncIterable<Bytes> }) => {
          await keep(stream);
        },
      },
      onMessage: ({ body }: { readonly body: Bytes }) => void kept.push(body),
      limits: { maxQueuedBytes: 16 << 20 },
    };
    const [here, there] = memoryPair();
    const peers = await Promise.all([
      attach(cutUp(here, rng), { ...options, side: "client" }),
      attach(cutUp(there, rng), { ...options, side: "server" }),
    ]);
    const work: Promise<unknown>[] = [];
    for (let step = 0; step < 60; step++) {
      const peer = rng.pick(peers);
      const choice = rng.int(8);
      if (choice === 0) work.push(keep(peer.stream("download")));
      else if (choice === 1) work.push(peer.call("upload", undefined, { stream: items() }));
      else if (choice === 2) work.push(peer.send(next()));
      else work.push(peer.call("echo", next()).then((answer) => kept.push(answer)));
      if (rng.int(4) === 0) await work[rng.int(work.length)];
    }
    await Promise.all(work);
    await Promise.all(peers.map((peer) => peer.close()));
    assert(kept.length > 40, `seed ${seed}`);
    for (const bytes of kept) assertEquals(bytes, body(numberOf(bytes), bytes.length), `${seed}`);
  }
});

Deno.test("a stream of large items takes no slab per item, small calls beside it or not", async () => {
  const [here, there] = memoryPair();
  const slabs = new Set<ArrayBufferLike>();
  const watched: ByteTransport = {
    read(buffer) {
      if (buffer.buffer.byteLength >= 65_536) slabs.add(buffer.buffer);
      return here.read(buffer);
    },
    write: (data) => here.write(data),
    close: () => here.close(),
  };
  const [client, server] = await Promise.all([
    attach(watched, { side: "client" }),
    attach(there, {
      side: "server",
      methods: {
        echo: (input) => input,
        async *items() {
          for (let i = 0; i < 200; i++) yield new Uint8Array(65_536);
        },
      },
    }),
  ]);
  let count = 0;
  for await (const _ of client.stream("items")) {
    if (++count > 100) await client.call("echo", new Uint8Array(100));
  }
  assertEquals(count, 200);
  assert(slabs.size < 20, `${slabs.size} slabs for ${count} items`);
  await Promise.all([client.close(), server.close()]);
});

Deno.test("ByteQueue.rewind() moves what waits to the front, and searches go on where they were", () => {
  const queue = new ByteQueue(new TextEncoder().encode("one\ntwo\nthree"));
  const { buffer } = queue;
  assertEquals(queue.indexOf(10), 3);
  queue.skip(8);
  assertEquals(queue.indexOf(10), -1);
  queue.rewind();
  assertEquals([queue.buffer === buffer, queue.start, queue.end], [true, 0, 5]);
  queue.push(new TextEncoder().encode("\nfour"));
  assertEquals(queue.indexOf(10), 5);
  assertEquals(new TextDecoder().decode(queue.take(10)), "three\nfour");
  queue.rewind();
  assertEquals([queue.start, queue.end], [0, 0]);
});

Deno.test("ByteQueue.rewind() copies no more than was consumed", () => {
  const queue = new ByteQueue(new Uint8Array(10));
  queue.skip(4);
  queue.rewind();
  assertEquals([queue.start, queue.end], [4, 10]);
  queue.skip(1);
  queue.rewind();
  assertEquals([queue.start, queue.end], [0, 5]);
});

/** Bytes that tell which they are, and would tell if some of them were others. */
function body(number: number, size: number): Bytes {
  const bytes = new Uint8Array(size);
  for (let i = 4; i < size; i++) bytes[i] = number * 31 + i * 7;
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

function numberOf(bytes: Bytes): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}

/** Reads less than there is room for, now and then. */
function cutUp(transport: ByteTransport, rng: Rng): ByteTransport {
  return {
    read: (buffer) =>
      transport.read(rng.int(3) > 0 ? buffer : buffer.subarray(0, 1 + rng.int(buffer.length))),
    write: (data) => transport.write(data),
    close: () => transport.close(),
  };
}
