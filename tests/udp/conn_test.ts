/** Sockets on loopback, and the addresses that they take. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  Addr,
  ClosedError,
  ConnectError,
  dialUdp,
  type DialUdpOptions,
  LimitError,
  listenUdp,
  type UdpConn,
  VnetError,
} from "@vgo/vnet/udp";
import { bytes, exchange, FakeOutside, text } from "./_support.ts";
import { openDialed } from "../../src/udp/open.ts";

const UNTIL_THEN = { timeout: 10_000 };

Deno.test("dialUdp() and listenUdp() echo, as in the document", async () => {
  await using server = await listenUdp("127.0.0.1:0", {
    readTimeout: 10_000,
    writeTimeout: 10_000,
  });
  const echoed = (async () => {
    const buf = new Uint8Array(100);
    const { size, from } = await server.read(buf);
    await server.send(buf.subarray(0, size), from);
  })();
  await using client = await dialUdp(server.localAddr, {
    localAddr: "127.0.0.1:0",
    readTimeout: 10_000,
  });
  client.setDeadline(Date.now() + 10_000);
  await client.send("Hello from vnet!");
  const buf = new Uint8Array(100);
  const { size, from, truncated } = await client.read(buf);
  assertEquals(text(buf.subarray(0, size)), "Hello from vnet!");
  assertEquals([`${from}`, truncated], [`${server.localAddr}`, false]);
  assertEquals(`${client.remoteAddr}`, `${server.localAddr}`);
  assertEquals(server.remoteAddr, undefined);
  assert(client.id !== server.id);
  await echoed;
  const { sent, received, queued, dropped, ignored } = client.stats;
  assertEquals([sent, received, queued, dropped, ignored], [1, 1, 0, 0, 0]);
});

Deno.test("listenUdp() answers many senders, each to its address", async () => {
  await using server = await listenUdp("127.0.0.1:0");
  const loop = (async () => {
    for await (const { data, from } of server) await server.send(data, from);
  })();
  const clients = await Promise.all(
    Array.from({ length: 10 }, () => dialUdp(server.localAddr)),
  );
  const answers = await Promise.all(
    clients.map((client) => exchange(client, `I am ${client.localAddr.port}`)),
  );
  assertEquals(answers, clients.map((client) => `I am ${client.localAddr.port}`));
  await Promise.all(clients.map((client) => client.close()));
  await server.close();
  await loop; // ends quietly
});

Deno.test("dialUdp() ignores other senders", async () => {
  await using friend = await listenUdp("127.0.0.1:0");
  await using stranger = await listenUdp("127.0.0.1:0");
  await using client = await dialUdp(friend.localAddr);
  await stranger.send("psst", client.localAddr);
  await friend.send("hello", client.localAddr);
  assertEquals(text((await client.receive(UNTIL_THEN)).data), "hello");
  assertEquals([client.stats.ignored, client.stats.queued], [1, 0]);
});

Deno.test("dialUdp() compares ports as well as hosts, however they are written", async () => {
  const outside = new FakeOutside("::");
  await using client = await openDialed("[::ffff:7f00:1]:5", { localAddr: "[::]:0" }, outside);
  outside.socket.arrive(bytes("other port"), 6, "::ffff:127.0.0.1");
  outside.socket.arrive(bytes("other host"), 5, "::ffff:127.0.0.2");
  outside.socket.arrive(bytes("right"), 5, "::ffff:127.0.0.1");
  const { data, from } = await client.receive();
  assertEquals([text(data), `${from}`], ["right", "udp://127.0.0.1:5"]);
  assertEquals(client.stats.ignored, 2);
});

const without6 = { ignore: !canBind("::1") };
Deno.test("UdpConn works over IPv6, and over both at once", without6, async () => {
  await using six = await listenUdp("[::1]:0");
  await using client = await dialUdp(six.localAddr);
  await client.send("six");
  const first = await six.receive(UNTIL_THEN);
  assertEquals([text(first.data), first.from.hostname], ["six", "::1"]);

  await using both = await listenUdp("[::]:0");
  await using four = await dialUdp(`127.0.0.1:${both.localAddr.port}`);
  await four.send("four");
  const { data, from } = await both.receive(UNTIL_THEN);
  assertEquals([text(data), `${from}`], ["four", `${four.localAddr}`]);
  await both.send("back", from);
  assertEquals(text((await four.receive(UNTIL_THEN)).data), "back");
});

Deno.test("dialUdp() looks a name up once, and prefers the family of localAddr", async () => {
  const dial = async (name: string, options: DialUdpOptions = {}) => {
    const outside = new FakeOutside();
    outside.names = { both: ["::5", "10.0.0.5"], none: [] };
    await using conn = await openDialed(`${name}:7`, options, outside);
    return [`${conn.remoteAddr}`, outside.bound[0]?.hostname];
  };
  assertEquals(await dial("both"), ["udp://[::5]:7", "::"]);
  assertEquals(await dial("both", { localAddr: "127.0.0.1:0" }), ["udp://10.0.0.5:7", "127.0.0.1"]);
  const none = await assertRejects(() => dial("none"), ConnectError);
  const unknown = await assertRejects(() => dial("unknown"), ConnectError);
  assertEquals([none.code, unknown.code], ["NAME_NOT_FOUND", "NAME_NOT_FOUND"]);
});

Deno.test("dialUdp() waits for a name as long as it may", async () => {
  const outside = new FakeOutside();
  outside.lookup = () => new Promise(() => {});
  const late = assertRejects(() => openDialed("slow:7", { timeout: 50 }, outside), ConnectError);
  await outside.clock.advance(50);
  assertEquals((await late).code, "TIMEOUT");
  const controller = new AbortController();
  const reason = new Error("never mind");
  const aborted = assertRejects(
    () => openDialed("slow:7", { signal: controller.signal }, outside),
    Error,
  );
  controller.abort(reason);
  assertEquals(await aborted, reason);
  assertEquals([outside.clock.pending, outside.bound.length], [0, 0]);
});

Deno.test("dialUdp() sends to this machine where every interface is meant", async () => {
  const outside = new FakeOutside();
  await using conn = await openDialed(":7", {}, outside);
  assertEquals(`${conn.remoteAddr}`, "udp://127.0.0.1:7");
  assertEquals(outside.bound, [{ hostname: "127.0.0.1", port: 0, reuseAddress: false }]);
});

Deno.test("dialUdp() refuses an IPv6 address from an IPv4 one", async () => {
  const error = await assertRejects(
    () => dialUdp("[::1]:7", { localAddr: "127.0.0.1:0" }),
    ConnectError,
  );
  assertEquals(error.code, "UNREACHABLE");
});

Deno.test("listenUdp() says why an address cannot be bound", async () => {
  await using first = await listenUdp("127.0.0.1:0");
  const inUse = await assertRejects(() => listenUdp(first.localAddr), ConnectError);
  assertEquals([inUse.code, inUse.initiator], ["ADDRESS_IN_USE", "local"]);
  assertStringIncludes(inUse.message, `Cannot listen on ${first.localAddr}`);
  // An address for documentation (RFC 5737): no machine has it.
  const foreign = await assertRejects(() => listenUdp("203.0.113.1:0"), ConnectError);
  assertEquals(foreign.code, "UNREACHABLE");
});

const permissions = { net: ["127.0.0.1"] };
Deno.test(
  "what is not permitted says so, and loopback needs no more",
  { permissions },
  async () => {
    await using server = await listenUdp("127.0.0.1:0");
    await using client = await dialUdp(server.localAddr);
    await client.send("x");
    await server.receive(UNTIL_THEN);
    for (const open of [() => listenUdp(":0"), () => dialUdp("some.name:9")]) {
      assertEquals((await assertRejects(open, ConnectError)).code, "NOT_PERMITTED");
    }
    const error = await assertRejects(() => server.send("x", "127.0.0.2:9"), VnetError);
    assertEquals([error.code, error.initiator], ["NOT_PERMITTED", "local"]);
  },
);

Deno.test("listenUdp() takes what an address of UDP can be, and nothing else", async () => {
  for (
    const address of [
      "127.0.0.1:0",
      "udp://127.0.0.1:0",
      { port: 0 },
      { transport: "udp", hostname: "127.0.0.1", port: 0 },
      new URL("udp://127.0.0.1:0"),
      Addr.parse("udp://127.0.0.1:0"),
    ] as const
  ) {
    await using conn = await listenUdp(address);
    assertEquals([conn.localAddr.transport, conn.localAddr.hostname], ["udp", "127.0.0.1"]);
  }
  for (const address of ["tcp://127.0.0.1:0", Addr.parse("127.0.0.1:0"), "unix:/tmp/x"]) {
    const error = await assertRejects(() => listenUdp(address), TypeError);
    assertStringIncludes(error.message, "its transport must be udp");
  }
});

Deno.test("dialUdp() and listenUdp() check their options", async () => {
  const outside = new FakeOutside();
  for (
    const options of [
      { readTimeout: -1 },
      { writeTimeout: NaN },
      { maxQueued: 0 },
      { maxQueued: Infinity },
      { maxQueuedBytes: 0 },
      { maxDatagramLength: 0 },
      { maxDatagramLength: 65_536 },
      { maxDatagramLength: 1.5 },
      { replyLimit: { factor: -1 } },
      { replyLimit: { maxAddresses: Infinity } },
      { replyLimit: { ttl: 0 } },
    ]
  ) {
    const error = await assertRejects(() => listenUdp("127.0.0.1:0", options), RangeError);
    const name = JSON.stringify(options).match(/"(\w+)":[^{]/)?.[1];
    assertStringIncludes(error.message, `'${name}' must be`);
    await assertRejects(() => outside.dial(5, options), RangeError);
  }
  await assertRejects(() => dialUdp("127.0.0.1:0"), RangeError, "port must be from 1");
  assertEquals(outside.bound, []);
});

Deno.test("send() wants to know where to, exactly where it cannot know", async () => {
  await using server = await listenUdp("127.0.0.1:0");
  await using client = await dialUdp(server.localAddr);
  await assertRejects(() => server.send("x"), TypeError, "'to' must be given");
  await assertRejects(() => client.send("x", server.localAddr), TypeError, "must be left out");
  await assertRejects(() => server.send("x", "127.0.0.1:0"), RangeError, "port must be from 1");
  await assertRejects(() => server.send("x", "tcp://127.0.0.1:1"), TypeError, "must be udp");
});

Deno.test("send() takes every form of an address, and one that changes", async () => {
  const outside = new FakeOutside();
  await using server = outside.listen();
  const changing = { hostname: "127.0.0.1", port: 5 };
  const to = ["127.0.0.1:5", "udp://127.0.0.1:5", Addr.parse("udp://127.0.0.1:5"), changing];
  for (const address of to) await server.send("x", address);
  changing.port = 6;
  await server.send("x", changing);
  await server.send("x", "127.0.0.1:7");
  await server.send("x", "127.0.0.1:7");
  const ports = outside.socket.sent.map(({ to }) => "port" in to ? to.port : 0);
  assertEquals(ports, [5, 5, 5, 5, 6, 7, 7]);
});

Deno.test("send() bounds what the system has not taken, and need not be awaited", async () => {
  const outside = new FakeOutside();
  const { socket } = outside;
  await using conn = await outside.dial(5, { writeTimeout: 10 });
  const taken = Promise.withResolvers<number>();
  socket.onSend = () => taken.promise;
  for (let i = 0; i < 16_384; i++) conn.send("x");
  const error = await assertRejects(() => conn.send("x"), LimitError);
  assertEquals([error.code, error.limit], ["QUEUE_FULL", "maxPendingSends"]);
  await outside.clock.advance(10); // given up by all who waited, but not by the system
  await assertRejects(() => conn.send("x"), LimitError);
  assertEquals(socket.sent.length, 16_384);
  taken.resolve(1);
  await taken.promise;
  socket.onSend = () => Promise.resolve(1);
  await conn.send("x");
  assertEquals(conn.stats.sent, 16_385);
});

Deno.test("receive() serves those who wait in turn", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen();
  const waits = [conn.receive(), conn.receive(), conn.receive()];
  for (const word of ["a", "b", "c", "d"]) outside.socket.arrive(bytes(word));
  const got = await Promise.all(waits);
  assertEquals(got.map(({ data }) => text(data)), ["a", "b", "c"]);
  assertEquals(text((await conn.receive()).data), "d");
});

Deno.test("receive() gives bytes that nothing overwrites", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen();
  outside.socket.arrive(bytes("first"));
  const { data } = await conn.receive();
  outside.socket.arrive(bytes("other"));
  await conn.receive();
  assertEquals(text(data), "first");
  assertEquals(data.buffer.byteLength, 5);
});

Deno.test("for await gives all, and leaving it closes nothing", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen();
  for (const word of ["a", "b", "c"]) outside.socket.arrive(bytes(word));
  for await (const { data } of conn) {
    if (text(data) === "a") break;
  }
  assertEquals(text((await conn.receive()).data), "b");
  assertEquals(await words(conn, 1), ["c"]);
});

Deno.test("an open socket keeps the program alive only while somebody waits", async () => {
  const outside = new FakeOutside();
  const { socket } = outside;
  const conn = outside.listen();
  assertEquals(socket.refs, -1);
  const [a, b] = [conn.receive(), conn.receive()];
  assertEquals(socket.refs, 0);
  socket.arrive(bytes("x"));
  await a;
  assertEquals(socket.refs, 0);
  socket.arrive(bytes("x"));
  await b;
  assertEquals(socket.refs, -1);
  socket.arrive(bytes("x"));
  await conn.receive({ timeout: 1_000 });
  assertEquals(socket.refs, -1);
  await conn.close();
  assertEquals(socket.refs, 0); // until it is closed in full
});

// Elsewhere loopback has no broadcast address.
const ignore = Deno.build.os !== "linux";
Deno.test("send() reaches a broadcast address", { ignore }, async () => {
  await using server = await listenUdp("0.0.0.0:0");
  await using client = await listenUdp("127.0.0.1:0");
  await client.send("everybody", `127.255.255.255:${server.localAddr.port}`);
  const { data, from } = await server.receive(UNTIL_THEN);
  assertEquals([text(data), `${from}`], ["everybody", `${client.localAddr}`]);
});

Deno.test("every operation on a closed socket says that it is closed", async () => {
  const conn = await listenUdp("127.0.0.1:0");
  await conn.close({ reason: "enough" });
  for (
    const operation of [
      () => conn.receive(),
      () => conn.read(new Uint8Array(1)),
      () => conn.send("x", "127.0.0.1:9"),
      () => conn.joinMulticast("239.255.0.1"),
    ]
  ) {
    const error = await assertRejects(operation, ClosedError);
    assertEquals([error.code, error.info.reason], ["NORMAL", "enough"]);
  }
});

async function words(conn: UdpConn, count: number): Promise<string[]> {
  const found: string[] = [];
  for await (const { data } of conn) {
    if (found.push(text(data)) === count) break;
  }
  return found;
}

function canBind(hostname: string): boolean {
  try {
    Deno.listenDatagram({ transport: "udp", hostname, port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}
