import { assert, assertEquals, assertThrows } from "@std/assert";
import { faulty, ManualClock, memoryPair } from "@vgo/vnet/testing";
import type { ByteTransport } from "@vgo/vnet/testing";
import { counting, errorOf, readAll, watch, writeAll } from "./_support.ts";

const RESET = "ConnectionReset ECONNRESET";

/** A faulty end on a clock, and the other end of what it wraps. */
function setUp(faults: Parameters<typeof faulty>[1], seed = 1) {
  const clock = new ManualClock();
  const [inner, far] = memoryPair();
  return { clock, inner, far, conn: faulty(inner, faults, { seed, clock }) };
}

Deno.test("faulty() without faults changes nothing", async () => {
  const { conn, far, clock } = setUp({});
  await writeAll(conn, counting(500_000));
  const reading = readAll(far);
  await conn.closeWrite?.();
  assertEquals((await reading).bytes.length, 500_000);
  await far.write(counting(3));
  far.close();
  assertEquals((await readAll(conn)).bytes, [0, 1, 2]);
  await conn.close();
  assertEquals(clock.pending, 0);
});

Deno.test("faulty() does its damage in both directions", async () => {
  const { conn, far, clock } = setUp({ delay: 100, slice: 2 });
  await conn.write(counting(5));
  const reading = far.read(new Uint8Array(8)).then((count) => [count, clock.now()]);
  await far.write(counting(5));
  const back = readAll(conn);
  await clock.advance(200);
  assertEquals((await reading)[1], 100);
  far.close();
  await clock.advance(200);
  const { bytes, reads } = await back;
  assertEquals(bytes, [...counting(5)]);
  assert(reads.length >= 3, `${reads}`);
  const closed = conn.close();
  await clock.advance(200);
  await closed;
});

Deno.test("faulty() with the same seed does the same damage", async () => {
  const run = async (seed: number) => {
    const { conn, far } = setUp({ corrupt: 0.2, slice: 20 }, seed);
    await far.write(counting(300));
    far.close();
    const result = await readAll(conn);
    await conn.close();
    return JSON.stringify(result);
  };
  assertEquals(await run(1), await run(1));
  assert(await run(1) !== await run(2));
});

Deno.test("faulty() close() lets what was written arrive, then closes the connection", async () => {
  const { conn, far, clock } = setUp({ delay: 50 });
  await conn.write(counting(4));
  const closed = watch(Promise.resolve(conn.close()));
  const reading = readAll(far);
  await clock.advance(49);
  assertEquals(closed.state, undefined);
  await clock.advance(1);
  assertEquals(closed.state, "ok");
  assertEquals((await reading).bytes.length, 4);
  await conn.close();
  far.close();
});

Deno.test("faulty() close() behind a black hole closes the connection at once", async () => {
  const { conn, far } = setUp({});
  conn.blackhole();
  await conn.write(counting(4));
  await conn.close();
  assertEquals(await readAll(far), { bytes: [], reads: [], error: undefined });
  far.close();
});

Deno.test("faulty() blackhole() holds each direction until heal()", async () => {
  const { conn, far, clock } = setUp({});
  conn.blackhole("down");
  await far.write(counting(2));
  await conn.write(counting(3));
  const buffer = new Uint8Array(8);
  assertEquals(await far.read(buffer), 3);
  const read = watch(conn.read(buffer));
  await clock.advance(10_000);
  assertEquals(read.state, undefined);
  conn.heal();
  await clock.advance(0);
  assertEquals(read.state, "ok");
  far.close();
  await conn.close();
});

Deno.test("faulty() cut() fails this end and closes the connection", async () => {
  const { conn, far, inner, clock } = setUp({});
  const read = errorOf(conn.read(new Uint8Array(1)));
  conn.cut();
  assertEquals(await read, RESET);
  assertEquals(await errorOf(conn.write(counting(1))), RESET);
  await clock.advance(0);
  assertEquals(await errorOf(inner.read(new Uint8Array(1))), "BadResource");
  assertEquals(await far.read(new Uint8Array(1)), null);
  await conn.close();
  far.close();
});

Deno.test('faulty() cut("close") delivers what is on its way and ends both directions', async () => {
  const { conn, far, inner, clock } = setUp({});
  conn.degrade({ delay: 30 });
  await conn.write(counting(3));
  await far.write(counting(2));
  await clock.advance(0);
  conn.cut("close");
  assertEquals(await errorOf(conn.write(counting(1))), "BrokenPipe EPIPE");
  await far.write(counting(2)); // comes too late, and must not spoil what is on its way
  const both = Promise.all([readAll(far), readAll(conn)]);
  await clock.advance(30);
  assertEquals((await both).map(({ bytes, error }) => [bytes.length, error]), [
    [3, undefined],
    [2, undefined],
  ]);
  await clock.advance(0);
  assertEquals(await errorOf(inner.read(new Uint8Array(1))), "BadResource");
  await conn.close();
  far.close();
});

Deno.test('faulty() cut("close") closes the connection without being closed itself', async () => {
  const { conn, far, inner, clock } = setUp({});
  conn.cut("close");
  await clock.advance(0);
  assertEquals(await errorOf(inner.read(new Uint8Array(1))), "BadResource");
  far.close();
});

Deno.test("faulty() fails with the very error of the connection", async () => {
  const failure = new Error("cable bitten by a shark");
  const broken: ByteTransport = {
    read: () => Promise.reject(failure),
    write: () => Promise.reject(failure),
    close: () => {},
  };
  const conn = faulty(broken, {});
  let seen: unknown;
  await conn.read(new Uint8Array(1)).catch((error) => seen = error);
  assert(seen === failure);
  await conn.write(counting(1)).catch((error) => seen = [error]);
  assert(Array.isArray(seen) && seen[0] === failure);
  await conn.close();
});

Deno.test("faulty() keeps the addresses and refuses bad faults", () => {
  const [a, b] = memoryPair();
  const conn = faulty({
    localAddr: "here",
    remoteAddr: "there",
    read: (buffer) => a.read(buffer),
    write: (data) => a.write(data),
    close: () => a.close(),
  }, {});
  assertEquals([conn.localAddr, conn.remoteAddr], ["here", "there"]);
  assertThrows(() => faulty(b, { delay: -1 }), RangeError, "'delay'");
  conn.cut();
  b.close();
});

Deno.test("faulty() wraps a real connection, on real time", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const inner = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  const conn = faulty(inner, { delay: 15 });
  using server = await listener.accept();
  const start = performance.now();
  await conn.write(counting(3));
  assertEquals(await server.read(new Uint8Array(8)), 3);
  assert(performance.now() - start >= 15);
  await server.closeWrite();
  assertEquals(await conn.read(new Uint8Array(8)), null);
  await conn.close();
  assertEquals(await server.read(new Uint8Array(8)), null);
});
