/** What each fault does to a live connection, in a simulation without latency. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Faults, Simulation } from "@vgo/vnet/testing";
import { connected, counting, errorOf, nameOf, readAll, watch, writeAll } from "./_support.ts";

const RESET = "ConnectionReset ECONNRESET";
const CAPACITY = 262_144;

Deno.test("Faults.delay brings bytes later, and all of one instant together", async () => {
  await using sim = new Simulation();
  const [client, server] = await connected(sim);
  sim.link(client).degrade({ delay: 30 });
  const data = counting(3);
  await client.write(data);
  data.fill(99);
  await client.write(counting(2, 3));
  assertEquals(sim.clock.pending, 1);
  const buffer = new Uint8Array(8);
  const read = server.read(buffer).then((count) => [count, sim.clock.now()]);
  await sim.advance(29);
  assertEquals((await Promise.race([read, "nothing"])).toString(), "nothing");
  assertEquals(await sim.run(read), [3, 30]);
  assertEquals([...buffer.subarray(0, 3)], [0, 1, 2]);
  assertEquals(await server.read(buffer), 2);
  client.close();
  assertEquals(await sim.run(server.read(buffer)), null);
  assertEquals(sim.clock.now(), 60);
  server.close();
});

Deno.test("Faults.jitter varies the delay and keeps the order", async () => {
  await using sim = new Simulation({ seed: 3 });
  const [client, server] = await connected(sim);
  sim.link(client).degrade({ delay: 10, jitter: 200 });
  const arrivals: number[] = [];
  const bytes: number[] = [];
  const reading = (async () => {
    const buffer = new Uint8Array(1);
    while (await server.read(buffer) !== null) {
      bytes.push(buffer[0] ?? -1);
      arrivals.push(sim.clock.now());
    }
  })();
  for (let n = 0; n < 100; n++) {
    await client.write(counting(1, n));
    await sim.advance(20);
  }
  client.close();
  await sim.run(reading);
  assertEquals(bytes, [...counting(100)]);
  const delays = arrivals.map((at, n) => at - n * 20);
  assert(delays.every((delay) => delay >= 10));
  assert(new Set(delays).size > 20, `${delays}`);
  assert(delays.every((delay) => delay < 210) && delays.some((delay) => delay > 150));
  server.close();
});

Deno.test("Faults.bytesPerSecond spreads bytes over time, in steps", async () => {
  await using sim = new Simulation({ faults: { bytesPerSecond: 1_000 } });
  const [client, server] = await connected(sim);
  const start = sim.clock.now();
  await client.write(counting(500));
  const { reads } = await sim.run((async () => {
    client.close();
    return await readAll(server);
  })());
  assertEquals(sim.clock.now() - start, 500);
  assertEquals(reads, Array(10).fill(50));
  server.close();
});

Deno.test("Faults.bytesPerSecond below one byte a step carries single bytes", async () => {
  await using sim = new Simulation({ faults: { bytesPerSecond: 2 } });
  const [client, server] = await connected(sim);
  await client.write(counting(3));
  client.close();
  assertEquals((await sim.run(readAll(server))).reads, [1, 1, 1]);
  assertEquals(sim.clock.now(), 1_500);
  server.close();
});

Deno.test("Faults.slice limits each read", async () => {
  await using sim = new Simulation({ seed: 5 });
  const [client, server] = await connected(sim);
  sim.link(client).degrade({ slice: 7 });
  await client.write(counting(200));
  client.close();
  const { bytes, reads } = await readAll(server);
  assertEquals(bytes, [...counting(200)]);
  assertEquals([Math.min(...reads), Math.max(...reads)], [1, 7]);
  server.close();
});

Deno.test("Faults.slice 1 gives single bytes, also to a read that waits", async () => {
  await using sim = new Simulation({ faults: { slice: 1 } });
  const [client, server] = await connected(sim);
  const reading = readAll(server);
  await client.write(counting(20));
  client.close();
  assertEquals((await reading).reads, Array(20).fill(1));
  server.close();
});

Deno.test("Faults.corrupt flips one bit of about the given share of bytes", async () => {
  await using sim = new Simulation({ seed: 9, faults: { corrupt: 0.01 } });
  const [client, server] = await connected(sim);
  const sent = counting(100_000);
  const reading = readAll(server);
  await writeAll(client, sent);
  client.close();
  const { bytes } = await reading;
  const flips = bytes.map((byte, at) => byte ^ (sent[at] ?? 0)).filter((bits) => bits !== 0);
  assertEquals(bytes.length, sent.length);
  assert(flips.length > 800 && flips.length < 1_200, `${flips.length} flips (seed 9)`);
  assert(flips.every((bits) => (bits & (bits - 1)) === 0), "one bit each");
  assertEquals([...sent], [...counting(100_000)]);
  server.close();
});

Deno.test("Faults.corrupt 1 flips every byte", async () => {
  await using sim = new Simulation({ faults: { corrupt: 1 } });
  const [client, server] = await connected(sim);
  await client.write(counting(50));
  await client.write(counting(50));
  client.close();
  const { bytes } = await readAll(server);
  assert(bytes.length === 100 && bytes.every((byte, at) => byte !== at % 50));
  server.close();
});

Deno.test("Faults.cutAfter resets after so many bytes, both directions together", async () => {
  for (let cutAfter = 0; cutAfter <= 8; cutAfter++) {
    await using sim = new Simulation({ faults: { cutAfter } });
    const [client, server] = await connected(sim);
    const up = readAll(server);
    const down = readAll(client);
    await errorOf(client.write(counting(5)));
    await errorOf(server.write(counting(4)));
    if (cutAfter > 8) client.close();
    const [atServer, atClient] = await sim.run(Promise.all([up, down]));
    assertEquals(atServer.bytes.length, Math.min(5, cutAfter));
    assertEquals(atClient.bytes.length, Math.max(0, cutAfter - 5));
    assertEquals([atServer.error, atClient.error], [RESET, RESET]);
    client.close();
    server.close();
  }
});

Deno.test("Faults.cutAfter leaves readable what arrived, and counts anew when degraded", async () => {
  await using sim = new Simulation();
  const [client, server] = await connected(sim);
  await client.write(counting(100));
  sim.link(server).degrade({ cutAfter: 3 });
  await client.write(counting(10, 100));
  assertEquals(await errorOf(client.write(counting(1))), RESET);
  assertEquals(await readAll(server), { bytes: [...counting(103)], reads: [103], error: RESET });
  client.close();
  server.close();
});

Deno.test("Faults out of range are refused by name", () => {
  const bad: [keyof Faults, number][] = [
    ["delay", -1],
    ["delay", NaN],
    ["delay", Infinity],
    ["jitter", -1],
    ["bytesPerSecond", 0],
    ["slice", 0],
    ["slice", 1.5],
    ["corrupt", 1.1],
    ["corrupt", NaN],
    ["cutAfter", -1],
  ];
  for (const [name, value] of bad) {
    const message = `Cannot use faults as '${name}' must be`;
    assertThrows(() => new Simulation({ faults: { [name]: value } }), RangeError, message);
  }
});

Deno.test("cut() resets both ends: what waits fails, what is on its way or unread is lost", async () => {
  await using sim = new Simulation();
  const [client, server] = await connected(sim);
  await server.write(counting(3));
  sim.link(client).degrade({ delay: 10 });
  await client.write(counting(5));
  const read = errorOf(server.read(new Uint8Array(8)));
  sim.link(client).cut();
  assertEquals(await read, RESET);
  for (const conn of [client, server]) {
    for (let n = 0; n < 2; n++) {
      assertEquals(await errorOf(conn.read(new Uint8Array(8))), RESET);
      assertEquals(await errorOf(conn.write(counting(1))), RESET);
      assertEquals(await errorOf(conn.closeWrite?.() ?? Promise.resolve()), RESET);
    }
  }
  assertEquals(sim.clock.pending, 0);
  client.close();
  server.close();
});

Deno.test("cut() wakes a blocked write", async () => {
  await using sim = new Simulation();
  const [client, server] = await connected(sim);
  await client.write(new Uint8Array(CAPACITY));
  const blocked = errorOf(client.write(counting(1)));
  sim.link(server).cut("reset");
  assertEquals(await blocked, RESET);
  client.close();
  server.close();
});

Deno.test('cut("close") delivers what is on its way, then the end, and breaks writes', async () => {
  await using sim = new Simulation({ faults: { delay: 25 } });
  const [client, server] = await connected(sim);
  await client.write(counting(4));
  await server.write(counting(2));
  sim.link(client).cut("close");
  assertEquals(await errorOf(client.write(counting(1))), "BrokenPipe EPIPE");
  assertEquals(await errorOf(server.write(counting(1))), "BrokenPipe EPIPE");
  const both = await sim.run(Promise.all([readAll(server), readAll(client)]));
  assertEquals(both.map(({ bytes, error }) => [bytes.length, error]), [[4, undefined], [
    2,
    undefined,
  ]]);
  assertEquals(sim.clock.now(), 50);
  client.close();
  server.close();
});

Deno.test('cut("close") wakes a blocked write and a read', async () => {
  await using sim = new Simulation();
  const [client, server] = await connected(sim);
  await client.write(new Uint8Array(CAPACITY));
  const blocked = errorOf(client.write(counting(1)));
  const read = client.read(new Uint8Array(1));
  sim.link(client).cut("close");
  assertEquals([await blocked, await read], ["BrokenPipe EPIPE", null]);
  assertEquals((await readAll(server)).bytes.length, CAPACITY);
  client.close();
  server.close();
});

Deno.test("blackhole() holds everything in both directions; heal() brings it in order", async () => {
  await using sim = new Simulation();
  const [client, server] = await connected(sim);
  const link = sim.link(client);
  link.blackhole();
  await client.write(counting(3));
  await server.write(counting(2));
  await client.write(counting(3, 3));
  const up = readAll(server);
  const down = watch(client.read(new Uint8Array(8)));
  client.closeWrite?.();
  await sim.advance(3_600_000);
  assertEquals([sim.clock.pending, down.state], [0, undefined]);
  link.heal();
  assertEquals(await up, { bytes: [0, 1, 2, 3, 4, 5], reads: [3, 3], error: undefined });
  await sim.advance(0);
  assertEquals(down.state, "ok");
  client.close();
  server.close();
});

Deno.test("blackhole() of one direction leaves the other; up is from the dialling end", async () => {
  for (const direction of ["up", "down"] as const) {
    await using sim = new Simulation();
    const [client, server] = await connected(sim);
    sim.link(server).blackhole(direction);
    await client.write(counting(1));
    await server.write(counting(1));
    const atServer = watch(server.read(new Uint8Array(1)));
    const atClient = watch(client.read(new Uint8Array(1)));
    await sim.advance(1_000);
    assertEquals(
      [atServer.state, atClient.state],
      direction === "up" ? [undefined, "ok"] : ["ok", undefined],
    );
    sim.link(client).heal();
    await sim.advance(0);
    assertEquals([atServer.state, atClient.state], ["ok", "ok"]);
    client.close();
    server.close();
  }
});

Deno.test("blackhole() blocks a writer once the buffer is full, until heal()", async () => {
  await using sim = new Simulation();
  const [client, server] = await connected(sim);
  sim.link(client).blackhole("up");
  const sending = watch(writeAll(client, counting(CAPACITY + 5)));
  await sim.advance(60_000);
  assertEquals(sending.state, undefined);
  const reading = readAll(server);
  sim.link(client).heal();
  await sim.advance(0);
  assertEquals(sending.state, "ok");
  client.close();
  assertEquals((await reading).bytes.length, CAPACITY + 5);
  server.close();
});

Deno.test("heal() keeps the order of what was held and what was blocked", async () => {
  for (const first of [[CAPACITY], [CAPACITY - 50_000, 50_000]]) {
    await using sim = new Simulation();
    const [client, server] = await connected(sim);
    sim.link(client).blackhole("up");
    for (const length of first) await client.write(new Uint8Array(length).fill(length & 0x7f));
    const blocked = client.write(new Uint8Array([255]));
    const reading = readAll(server);
    sim.link(client).heal();
    await blocked;
    client.close();
    const { bytes } = await reading;
    assertEquals([bytes.length, bytes.indexOf(255)], [CAPACITY + 1, CAPACITY]);
    server.close();
  }
});

Deno.test("degrade() leaves a black hole as it is", async () => {
  await using sim = new Simulation();
  const [client, server] = await connected(sim);
  sim.link(client).blackhole();
  await client.write(counting(1));
  sim.link(client).degrade({});
  const read = watch(server.read(new Uint8Array(1)));
  await sim.advance(1_000);
  assertEquals(read.state, undefined);
  client.close();
  server.close();
});

Deno.test("blackhole() holds an end and a reset as well", async () => {
  await using sim = new Simulation();
  const [client, server] = await connected(sim);
  const link = sim.link(client);
  link.blackhole("down");
  await client.write(counting(1));
  server.close(); // with unread input: a reset
  const read = watch(client.read(new Uint8Array(1)));
  await sim.advance(60_000);
  assertEquals(read.state, undefined);
  link.heal();
  await sim.advance(0);
  assertEquals(read.state, RESET);
  client.close();
});

Deno.test("blackhole() stops what is on its way, and time goes on without it", async () => {
  await using sim = new Simulation({ faults: { delay: 100 } });
  const [client, server] = await connected(sim);
  await client.write(counting(1));
  await sim.advance(50);
  sim.link(client).blackhole();
  const read = server.read(new Uint8Array(1)).then(() => sim.clock.now());
  await sim.advance(1_000);
  assertEquals(sim.clock.pending, 0);
  sim.link(client).heal();
  assertEquals(await read, 1_150);
  client.close();
  server.close();
  await sim.advance(100);
});

Deno.test("degrade() replaces the faults, of what is on its way too", async () => {
  await using sim = new Simulation({ faults: { delay: 10_000, slice: 1 } });
  const [client, server] = await connected(sim);
  const start = sim.clock.now();
  await client.write(counting(4));
  sim.link(client).degrade({ delay: 5 });
  client.close();
  assertEquals((await sim.run(readAll(server))).reads, [4]);
  assertEquals(sim.clock.now() - start, 5);
  server.close();
});

Deno.test("heal() removes the faults that the link began with, and brings all at once", async () => {
  await using sim = new Simulation({ faults: { delay: 50, bytesPerSecond: 1, slice: 1 } });
  const [client, server] = await connected(sim);
  await client.write(counting(1_000));
  sim.link(client).heal();
  const buffer = new Uint8Array(2_000);
  assertEquals(await server.read(buffer), 1_000);
  assertEquals(sim.clock.pending, 0);
  client.close();
  server.close();
});

Deno.test("Link outlives its connection without effect", async () => {
  await using sim = new Simulation();
  const [client, server] = await connected(sim);
  const link = sim.link(client);
  client.close();
  server.close();
  link.cut();
  link.cut("close");
  link.blackhole();
  link.degrade({ delay: 5 });
  link.heal();
  assertEquals(nameOf(await errorOf(client.read(new Uint8Array(1)))), "BadResource");
  assertEquals(sim.links.length, 0);
});

Deno.test("close() while bytes come: they are answered with a reset, in its time", async () => {
  await using sim = new Simulation({ faults: { delay: 10 } });
  const [client, server] = await connected(sim);
  const start = sim.clock.now();
  await client.write(counting(5));
  server.close();
  const end = await sim.run(client.read(new Uint8Array(1)).then(() => sim.clock.now()));
  assertEquals(end - start, 10);
  assertEquals(await client.write(counting(5)), 5);
  await sim.advance(10);
  assertEquals(await errorOf(client.write(counting(5))), "BrokenPipe EPIPE");
  assertEquals(await client.read(new Uint8Array(1)), null);
  client.close();
});
