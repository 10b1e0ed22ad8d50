/** The UDP rows of the catalogue of faults: what the network does must never end a socket. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  dialUdp,
  LimitError,
  listenUdp,
  SequenceTracker,
  type UdpConn,
  VnetError,
} from "@vgo/vnet/udp";
import { bytes, exchange, FakeOutside, text } from "./_support.ts";
import { Rng } from "../_support/rng.ts";
import { settle } from "../_support/stall_clock.ts";

const UNTIL_THEN = { timeout: 10_000 };
const MAX_IPV4 = 65_507;

Deno.test("U1 the largest datagram goes through, and one byte more is not sent", async () => {
  await using server = await listenUdp("127.0.0.1:0");
  await using client = await dialUdp(server.localAddr);
  const largest = new Rng(1).bytes(MAX_IPV4);
  await client.send(largest);
  const { data, truncated } = await server.receive(UNTIL_THEN);
  assertEquals(truncated, false);
  assertEquals(data, largest);

  const error = await assertRejects(() => client.send(new Uint8Array(MAX_IPV4 + 1)), LimitError);
  assertEquals([error.code, error.limit], ["TOO_LARGE", "maxDatagramLength"]);
  assertStringIncludes(error.message, "must be at most 65507: current value is 65508");
  await client.send("still open");
  assertEquals(text((await server.receive(UNTIL_THEN)).data), "still open");
});

Deno.test("U1 the size is checked before the system is asked, by the kind of address", async () => {
  const outside = new FakeOutside("::");
  await using conn = outside.listen();
  const cases: [string, number][] = [
    ["127.0.0.1:5", 65_507],
    ["[::ffff:127.0.0.1]:5", 65_507],
    ["[::1]:5", 65_527],
    ["some.name:5", 65_527],
  ];
  for (const [to, most] of cases) {
    await conn.send(new Uint8Array(most), to);
    const before = outside.socket.sent.length;
    await assertRejects(() => conn.send(new Uint8Array(most + 1), to), LimitError);
    assertEquals(outside.socket.sent.length, before, to);
  }
});

Deno.test("U1 what only the network finds too large is the same error", async () => {
  const outside = new FakeOutside();
  await using conn = await outside.dial(5);
  const cause = Object.assign(new Error("Message too long"), { code: "EMSGSIZE" });
  outside.socket.onSend = () => Promise.reject(cause);
  const error = await assertRejects(() => conn.send("x"), LimitError);
  assertEquals([error.code, error.cause], ["TOO_LARGE", cause]);
});

Deno.test("U1 read() says what did not fit, and the next datagram is whole", async () => {
  await using server = await listenUdp("127.0.0.1:0");
  await using client = await dialUdp(server.localAddr);
  const buf = new Uint8Array(5);
  for (const word of ["12345", "123456", "1"]) await client.send(word);
  const seen: [string, boolean][] = [];
  for (let i = 0; i < 3; i++) {
    const { size, truncated } = await server.read(buf, UNTIL_THEN);
    seen.push([text(buf.subarray(0, size)), truncated]);
  }
  assertEquals(seen, [["12345", false], ["12345", true], ["1", false]]);
});

Deno.test("U1 maxDatagramLength cuts, says so, and bounds what is kept", async () => {
  await using server = await listenUdp("127.0.0.1:0", { maxDatagramLength: 4 });
  await using client = await dialUdp(server.localAddr);
  for (const word of ["1234", "12345", "a far longer one"]) await client.send(word);
  const seen: [string, boolean][] = [];
  for (let i = 0; i < 3; i++) {
    const { data, truncated } = await server.receive(UNTIL_THEN);
    seen.push([text(data), truncated]);
    assertEquals(data.buffer.byteLength, 4);
  }
  await client.send("too long for the socket, and not for the buffer");
  const { size, truncated } = await server.read(new Uint8Array(100), UNTIL_THEN);
  assertEquals([size, truncated], [4, true]);
  assertEquals(seen, [["1234", false], ["1234", true], ["a fa", true]]);
});

Deno.test("U1 an empty datagram arrives, and ends no loop", async () => {
  await using server = await listenUdp("127.0.0.1:0");
  await using client = await dialUdp(server.localAddr);
  await client.send("");
  await client.send(new Uint8Array(0));
  await client.send("x");
  const sizes: number[] = [];
  for await (const { data, from, truncated } of server) {
    assertEquals([`${from}`, truncated], [`${client.localAddr}`, false]);
    if (sizes.push(data.length) === 3) break;
  }
  assertEquals(sizes, [0, 0, 1]);
});

Deno.test("U2 of a fifth lost, repeated and reordered, the tracker reports each", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const rng = new Rng(seed);
    const bits = rng.pick([8, 16, 32]);
    const tracker = new SequenceTracker({ bits, window: 64 });
    // Begins near the end, so that numbers wrap.
    const start = 2 ** bits - 1 - rng.int(60);
    const { order, lost } = disturbed(rng, 1_000);
    const expected = { received: 0, duplicates: 0, reordered: 0 };
    const seen = new Set<number>();
    let newest = -1;
    for (const n of order) {
      if (seen.has(n)) expected.duplicates++;
      else if (n < newest) expected.reordered++;
      if (!seen.has(n)) expected.received++;
      seen.add(n);
      newest = Math.max(newest, n);
      tracker.observe((start + n) % 2 ** bits);
    }
    const { received, duplicates, reordered } = tracker;
    assertEquals({ received, duplicates, reordered }, expected, `seed ${seed}`);
    assertEquals(tracker.lost + tracker.missing, lost, `seed ${seed}`);
    assertEquals(tracker.late, 0, `seed ${seed}`);
  }
});

Deno.test("U3 a forged byte draws at most three, and nothing where nothing came", async () => {
  const outside = new FakeOutside();
  await using server = outside.listen({ replyLimit: {} });
  outside.socket.arrive(bytes("?"), 9);
  const { from } = await server.receive();
  const big = await assertRejects(() => server.send("four", from), LimitError);
  assertEquals([big.code, big.limit, big.initiator], ["QUEUE_FULL", "replyLimit", "remote"]);
  assertStringIncludes(big.message, "at most 3 until udp://127.0.0.1:9 is validated");
  await server.send("12", from);
  await server.send("3", from);
  await assertRejects(() => server.send("4", from), LimitError);
  await assertRejects(() => server.send("x", "127.0.0.1:8"), LimitError);
  assertEquals(outside.socket.sent.map(({ data }) => data.length), [2, 1]);
});

Deno.test("U3 an address that has been validated is sent anything", async () => {
  const outside = new FakeOutside();
  await using server = outside.listen({ replyLimit: {} });
  outside.socket.arrive(bytes("?"), 9);
  const { from } = await server.receive();
  server.validate(from);
  await server.send(new Uint8Array(60_000), from);
  // Another port is another address.
  await assertRejects(() => server.send("x", "127.0.0.1:8"), LimitError);
  await outside.clock.advance(60_000); // silent for too long: somebody else may be there now
  await assertRejects(() => server.send("x", from), LimitError);
});

Deno.test("U3 without replyLimit nothing is held back, and validate() does nothing", async () => {
  const outside = new FakeOutside();
  await using server = outside.listen();
  await server.send(new Uint8Array(60_000), "127.0.0.1:9");
  server.validate("127.0.0.1:9");
  assertEquals(outside.socket.sent.length, 1);
});

Deno.test("U4 nobody listens there: sends go on, and are heard once somebody does", async () => {
  const probe = await listenUdp("127.0.0.1:0");
  const address = probe.localAddr;
  await probe.close();
  await using client = await dialUdp(address);
  for (let i = 0; i < 20; i++) await client.send("anybody?");
  await using server = await listenUdp(address);
  const loop = (async () => {
    for await (const { data, from } of server) await server.send(data, from);
  })();
  assertEquals(await exchange(client, "now?"), "now?");
  await server.close();
  await loop;
});

Deno.test("U4 a refusal that the system reports ends neither loop nor send", async () => {
  const outside = new FakeOutside();
  const { socket } = outside;
  await using conn = await outside.dial(5);
  const loop = collect(conn, 2);
  for (let i = 0; i < 20; i++) {
    socket.fail(new Deno.errors.ConnectionRefused("os error 111"));
    socket.fail(new Deno.errors.ConnectionReset("os error 10054"));
  }
  socket.arrive(bytes("a"), 5);
  socket.fail(new Error("Something that nobody has heard of"));
  socket.fail(new Deno.errors.Interrupted("Interrupted system call"));
  socket.arrive(bytes("b"), 5);
  assertEquals(await loop, ["a", "b"]);

  socket.onSend = () => Promise.reject(new Deno.errors.ConnectionRefused("os error 111"));
  await conn.send("x");
  assertEquals([conn.stats.sent, conn.stats.networkErrors], [0, 43]);
});

Deno.test("U4 failures without end slow the loop down, and it goes on when they end", async () => {
  const outside = new FakeOutside();
  const { socket, clock } = outside;
  const conn = outside.listen();
  const received = collect(conn, 1);
  for (let i = 0; i < 70; i++) socket.fail(new Error("no buffers"));
  socket.arrive(bytes("after all"));
  await settle();
  const eager = socket.receives;
  assert(eager < 70, `${eager} receives without a pause`);
  assertEquals(clock.nextAt, 5);
  await clock.advance(5 + 10 + 20 + 40 + 80 + 160);
  assertEquals(await received, ["after all"]);
  assertEquals(clock.now(), 315);

  // What came has shown that it works again: the count begins anew.
  for (let i = 0; i < 60; i++) socket.fail(new Error("no buffers"));
  socket.arrive(bytes("without a pause"));
  assertEquals(await collect(conn, 1), ["without a pause"]);

  // Closing does not wait for a pause to end.
  for (let i = 0; i < 70; i++) socket.fail(new Error("no buffers"));
  await settle();
  assertEquals(clock.pending, 1);
  await conn.close();
  assertEquals([clock.pending, clock.now()], [0, 315]);
});

Deno.test("U4 a send that fails is one error, and the next one goes out", async () => {
  const outside = new FakeOutside();
  const { socket } = outside;
  await using conn = outside.listen();
  const { errors } = Deno;
  const cases: [Error, string][] = [
    [new errors.NetworkUnreachable("os error 101"), "UNREACHABLE"],
    [Object.assign(new Error("No buffer space"), { code: "ENOBUFS" }), "UNREACHABLE"],
    [new errors.PermissionDenied("os error 13"), "NOT_PERMITTED"],
    [new errors.NotCapable("Requires net access"), "NOT_PERMITTED"],
    [new Error("failed to lookup address information: x"), "NAME_NOT_FOUND"],
  ];
  for (const [cause, code] of cases) {
    socket.onSend = () => Promise.reject(cause);
    const error = await assertRejects(() => conn.send("x", "127.0.0.1:5"), VnetError);
    assertEquals([error.code, error.cause], [code, cause]);
    assertStringIncludes(error.message, "Cannot send to udp://127.0.0.1:5 as ");
    conn.send("x", "127.0.0.1:5"); // nobody awaits it: that ends nothing either
  }
  socket.onSend = (data) => Promise.resolve(data.length);
  await conn.send("x", "127.0.0.1:5");
  socket.arrive(bytes("and it hears"));
  assertEquals(await collect(conn, 1), ["and it hears"]);
});

Deno.test("U4 a source address that nothing can be sent to ends no loop that answers it", async () => {
  const outside = new FakeOutside();
  const { socket } = outside;
  const conn = outside.listen();
  const answering = (async () => {
    for await (const { data, from } of conn) await conn.send(data, from);
    return "over";
  })();
  const forged = [["240.0.0.1", 5], ["10.255.255.255", 5], ["127.0.0.1", 0]] as const;
  for (const cause of [new TypeError("EINVAL"), new Deno.errors.NotCapable("no access")]) {
    socket.onSend = () => Promise.reject(cause);
    for (const [hostname, port] of forged) socket.arrive(bytes("?"), port, hostname);
    await settle();
  }
  assertEquals([socket.sent.length, conn.stats.networkErrors], [6, 6]);
  // The same address as the program's own choice is an error.
  await assertRejects(() => conn.send("x", "240.0.0.1:5"), VnetError);
  await conn.close();
  assertEquals(await answering, "over");
});

Deno.test("U4 the system's own refusals of a send leave the socket as it was", async () => {
  await using server = await listenUdp("127.0.0.1:0");
  await using conn = await listenUdp("127.0.0.1:0");
  await assertRejects(() => conn.send("x", "[::1]:9"), VnetError);
  await assertRejects(() => conn.send("x", "no-such-name.invalid:9"), VnetError);
  await conn.send("x", server.localAddr);
  assertEquals(text((await server.receive(UNTIL_THEN)).data), "x");
});

Deno.test("U5 a flood keeps the oldest, counts the rest and ends nothing", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen();
  for (let n = 0; n < 20_000; n++) outside.socket.arrive(new Uint8Array(512).fill(n));
  await settle();
  assertEquals(conn.stats.queued, 256);
  assertEquals([conn.dropped, conn.stats.received], [20_000 - 256, 256]);
  for (let n = 0; n < 256; n++) assertEquals((await conn.receive()).data[0], n);
  outside.socket.arrive(bytes("next"));
  assertEquals(await collect(conn, 1), ["next"]);
});

Deno.test("U5 the queue is bounded in bytes, too", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen({ maxQueuedBytes: 1_000 });
  for (const size of [600, 401, 400, 0, 1]) outside.socket.arrive(new Uint8Array(size));
  await settle();
  assertEquals([conn.stats.queued, conn.dropped], [3, 2]);
  const sizes = [await conn.receive(), await conn.receive(), await conn.receive()];
  assertEquals(sizes.map(({ data }) => data.length), [600, 400, 0]);
  // What was read makes room.
  outside.socket.arrive(new Uint8Array(1_000));
  await settle();
  assertEquals(conn.stats.queued, 1);
  await conn.receive();
  // Who waits gets even what would never fit.
  const waiting = conn.receive();
  outside.socket.arrive(new Uint8Array(5_000));
  assertEquals((await waiting).data.length, 5_000);
});

Deno.test("U5 a flood on loopback with nobody reading", async () => {
  await using server = await listenUdp("127.0.0.1:0", { maxQueued: 10 });
  await using client = await dialUdp(server.localAddr);
  for (let n = 0; n < 2_000; n++) await client.send(new Uint8Array(512));
  const queued: number[] = [];
  for await (const { data } of server) {
    queued.push(data.length);
    if (server.stats.queued === 0 || queued.length === 10) break;
  }
  assert(queued.length <= 10);
  assert(server.stats.received + server.dropped <= 2_000);
  // More of the flood may still come; what is said after it is heard.
  const loop = (async () => {
    for await (const { data, from } of server) {
      if (data.length < 512) return await server.send(data, from);
    }
  })();
  assertEquals(await exchange(client, "over"), "over");
  await loop;
});

/** Numbers from 0 on, of which a fifth is lost, a fifth comes twice and a fifth comes later. */
function disturbed(rng: Rng, count: number): { order: number[]; lost: number } {
  const places: { n: number; at: number }[] = [];
  let lost = 0;
  for (let n = 0; n < count; n++) {
    // The first and the last are not, or nobody could know of a loss.
    if (n > 0 && n < count - 1 && rng.int(5) === 0) {
      lost++;
      continue;
    }
    const late = n > 0 && rng.int(5) === 0 ? rng.int(20) : 0;
    places.push({ n, at: n + late });
    if (rng.int(5) === 0) places.push({ n, at: n + late + rng.int(20) });
  }
  return { order: places.sort((a, b) => a.at - b.at).map(({ n }) => n), lost };
}

async function collect(conn: UdpConn, count: number): Promise<string[]> {
  const found: string[] = [];
  for await (const { data } of conn) {
    if (found.push(text(data)) === count) break;
  }
  return found;
}
