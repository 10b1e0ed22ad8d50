import { assert, assertEquals } from "@std/assert";
import { memoryPair } from "@vgo/vnet/testing";
import { counting, errorOf, readAll, watch, writeAll } from "./_support.ts";

const CAPACITY = 262_144;

Deno.test("memoryPair() carries bytes both ways, whoever comes first", async () => {
  const [a, b] = memoryPair();
  const buffer = new Uint8Array(8);
  const early = b.read(buffer);
  assertEquals(await a.write(counting(3, 1)), 3);
  assertEquals([await early, ...buffer.subarray(0, 3)], [3, 1, 2, 3]);
  assertEquals(await b.write(counting(2, 7)), 2);
  assertEquals([await a.read(buffer), ...buffer.subarray(0, 2)], [2, 7, 8]);
  a.close();
  b.close();
});

Deno.test("read() gives what fits and keeps the rest in order", async () => {
  const [a, b] = memoryPair();
  await a.write(counting(5));
  await a.write(counting(5, 5));
  const small = new Uint8Array(4);
  const seen: number[] = [];
  for (let n = 0; n < 3; n++) seen.push(...small.subarray(0, await b.read(small) ?? 0));
  assertEquals(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assertEquals(await b.read(new Uint8Array(0)), 0);
  a.close();
  b.close();
});

Deno.test("read() serves waiting reads in their order, from one write", async () => {
  const [a, b] = memoryPair();
  const [first, second, third] = [1, 2, 3].map((length) => new Uint8Array(length));
  const reads = [first, second, third].map((buffer) => b.read(buffer ?? new Uint8Array(0)));
  await a.write(counting(5));
  assertEquals(await Promise.all(reads), [1, 2, 2]);
  assertEquals([[...first ?? []], [...second ?? []], [...third ?? []]], [[0], [1, 2], [3, 4, 0]]);
  a.close();
  b.close();
});

Deno.test("write() copies: the data may be changed afterwards", async () => {
  const [a, b] = memoryPair();
  const data = counting(3, 1);
  const done = a.write(data);
  data.fill(0);
  await done;
  const buffer = new Uint8Array(3);
  await b.read(buffer);
  assertEquals([...buffer], [1, 2, 3]);
  a.close();
  b.close();
});

Deno.test("write() takes a part, waits at 256 KiB, and goes on when that is read", async () => {
  const [a, b] = memoryPair();
  const data = counting(CAPACITY + 1_000);
  assertEquals(await a.write(data), CAPACITY);
  const blocked = watch(a.write(data.subarray(CAPACITY)));
  const next = watch(a.write(new Uint8Array([99])));
  const buffer = new Uint8Array(1_000);
  await b.read(buffer);
  assertEquals(blocked.state, undefined, "a little room must not cause tiny writes");
  const parts = [...buffer];
  while (parts.length < data.length + 1) {
    const count = await b.read(buffer) ?? 0;
    parts.push(...buffer.subarray(0, count));
  }
  assertEquals([blocked.state, next.state], ["ok", "ok"]);
  assertEquals(parts.slice(-3), [...data.subarray(-2), 99]);
  assert(parts.every((byte, at) => at === data.length || byte === (at & 255)));
  a.close();
  b.close();
});

Deno.test("closeWrite() ends one direction only", async () => {
  const [a, b] = memoryPair();
  await a.write(counting(2));
  await a.closeWrite?.();
  await a.closeWrite?.();
  assertEquals((await readAll(b)).bytes, [0, 1]);
  assertEquals(await errorOf(a.write(counting(1))), "BrokenPipe EPIPE");
  await b.write(counting(3));
  b.close();
  assertEquals((await readAll(a)).bytes, [0, 1, 2]);
  a.close();
});

Deno.test("closeWrite() waits for the writes before it", async () => {
  const [a, b] = memoryPair();
  const big = counting(CAPACITY + 10);
  await a.write(big);
  const blocked = watch(a.write(big.subarray(CAPACITY)));
  const closing = watch(a.closeWrite?.() ?? Promise.resolve());
  const late = watch(a.write(counting(1)));
  await Promise.resolve();
  assertEquals(closing.state, undefined);
  assertEquals((await readAll(b)).bytes.length, CAPACITY + 10);
  assertEquals([blocked.state, closing.state, late.state], ["ok", "ok", "BrokenPipe EPIPE"]);
  a.close();
  b.close();
});

Deno.test("close() lets what was written arrive, then the end", async () => {
  const [a, b] = memoryPair();
  await a.write(counting(4));
  a.close();
  assertEquals(await readAll(b), { bytes: [0, 1, 2, 3], reads: [4], error: undefined });
  b.close();
});

Deno.test("close() wakes a read and a blocked write with Interrupted", async () => {
  const [a, b] = memoryPair();
  await a.write(new Uint8Array(CAPACITY));
  const write = errorOf(a.write(counting(1)));
  const read = errorOf(a.read(new Uint8Array(1)));
  const half = errorOf(a.closeWrite?.() ?? Promise.resolve());
  a.close();
  assertEquals(await Promise.all([read, write, half]), Array(3).fill("Interrupted EINTR"));
  b.close();
});

Deno.test("close() is harmless the second time, and all else fails after it", async () => {
  const [a, b] = memoryPair();
  a.close();
  a.close();
  assertEquals(await errorOf(a.read(new Uint8Array(1))), "BadResource");
  assertEquals(await errorOf(a.write(counting(1))), "BadResource");
  assertEquals(await errorOf(a.closeWrite?.() ?? Promise.resolve()), "BadResource");
  b.close();
});

Deno.test("close() by the other end: the first write goes nowhere, later ones fail", async () => {
  const [a, b] = memoryPair();
  b.close();
  assertEquals(await a.read(new Uint8Array(1)), null);
  assertEquals(await a.write(counting(3)), 3);
  assertEquals(await errorOf(a.write(counting(3))), "BrokenPipe EPIPE");
  assertEquals(await a.read(new Uint8Array(1)), null);
  a.close();
});

Deno.test("close() with unread input resets the other end, after what it can still read", async () => {
  const [a, b] = memoryPair();
  await a.write(counting(9));
  await b.write(counting(3));
  b.close();
  const pending = await readAll(a);
  assertEquals(pending, { bytes: [0, 1, 2], reads: [3], error: "ConnectionReset ECONNRESET" });
  assertEquals(await errorOf(a.read(new Uint8Array(1))), "ConnectionReset ECONNRESET");
  assertEquals(await errorOf(a.write(counting(1))), "ConnectionReset ECONNRESET");
  a.close();
});

Deno.test("memoryPair() is linear in the bytes, however small the writes", async () => {
  const [a, b] = memoryPair();
  const byte = counting(1, 5);
  for (let n = 0; n < 200_000; n++) await a.write(byte);
  a.close();
  // With a cost per piece that grew with their number, this would take minutes.
  const { bytes } = await readAll(b);
  assertEquals(bytes.length, 200_000);
  b.close();
});

Deno.test("memoryPair() carries megabytes through its small buffer", async () => {
  const [a, b] = memoryPair();
  const data = counting(3_000_001);
  const sending = writeAll(a, data).then(() => a.close());
  const { bytes } = await readAll(b);
  await sending;
  assertEquals(bytes.length, data.length);
  assert(bytes.every((byte, at) => byte === data[at]));
  b.close();
});
