/** The proxy on real sockets, all on loopback. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type FaultProxy, faultProxy, type Faults } from "@vgo/vnet/testing";
import { connect, createServer } from "node:net";
import { counting, errorOf, readAll, writeAll } from "./_support.ts";

const RESET = "ConnectionReset ECONNRESET";

/** A client and a server with a proxy between them; a byte has come through each way. */
async function setUp(faults: Faults = {}) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const proxy = await faultProxy(`tcp://127.0.0.1:${listener.addr.port}`, { faults });
  const [client, server] = await join(proxy, listener);
  return { proxy, client, server, listener };
}

async function join(proxy: FaultProxy, listener: Deno.TcpListener) {
  const client = await Deno.connect({ hostname: proxy.addr.hostname, port: proxy.addr.port });
  const server = await listener.accept();
  const byte = new Uint8Array(1);
  await Promise.all([client.write(byte), server.read(byte)]);
  await Promise.all([server.write(byte), client.read(byte)]);
  return [client, server] as const;
}

Deno.test("faultProxy() carries bytes both ways and half-closes", async () => {
  const { proxy, client, server, listener } = await setUp();
  assertEquals([proxy.addr.hostname, proxy.links.length], ["127.0.0.1", 1]);
  const data = counting(700_000);
  const sending = writeAll(client, data).then(() => client.closeWrite());
  const { bytes } = await readAll(server);
  await sending;
  assertEquals(bytes.length, data.length);
  assert(bytes.every((byte, at) => byte === data[at]));
  await server.write(counting(5));
  server.close();
  assertEquals((await readAll(client)).bytes, [0, 1, 2, 3, 4]);
  client.close();
  listener.close();
  await proxy[Symbol.asyncDispose]();
  assertEquals(proxy.links.length, 0);
  assertThrows(() => proxy.addr, Error, "the proxy must be open");
});

Deno.test("faultProxy() has a link for each connection", async () => {
  const { proxy, client, server, listener } = await setUp();
  const [other, otherServer] = await join(proxy, listener);
  assertEquals(proxy.links.length, 2);
  proxy.links[1]?.cut();
  assertEquals(await errorOf(other.read(new Uint8Array(1))), RESET);
  await client.write(counting(1));
  assertEquals(await server.read(new Uint8Array(8)), 1);
  for (const conn of [client, server, other, otherServer, listener]) conn.close();
  await proxy[Symbol.asyncDispose]();
});

Deno.test("faultProxy() cut() sends a real reset to both ends", async () => {
  const { proxy, client, server, listener } = await setUp();
  proxy.links[0]?.cut();
  assertEquals(await errorOf(client.read(new Uint8Array(1))), RESET);
  assertEquals(await errorOf(server.read(new Uint8Array(1))), RESET);
  for (const conn of [client, server, listener]) conn.close();
  await proxy[Symbol.asyncDispose]();
});

Deno.test('faultProxy() cut("close") ends both directions cleanly', async () => {
  const { proxy, client, server, listener } = await setUp({ delay: 5 });
  await client.write(counting(4));
  await server.write(counting(3));
  // Read first, so that the cut comes after it in any case.
  assertEquals(await server.read(new Uint8Array(8)), 4);
  assertEquals(await client.read(new Uint8Array(8)), 3);
  proxy.links[0]?.cut("close");
  assertEquals(await client.read(new Uint8Array(8)), null);
  assertEquals(await server.read(new Uint8Array(8)), null);
  for (const conn of [client, server, listener]) conn.close();
  await proxy[Symbol.asyncDispose]();
});

Deno.test("faultProxy() passes on a reset of the client", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using proxy = await faultProxy(`tcp://127.0.0.1:${listener.addr.port}`);
  const client = connect({ host: proxy.addr.hostname, port: proxy.addr.port });
  using server = await listener.accept();
  client.write("x");
  assertEquals(await server.read(new Uint8Array(8)), 1);
  const read = errorOf(server.read(new Uint8Array(8)));
  client.resetAndDestroy();
  assertEquals(await read, RESET);
});

Deno.test("faultProxy() passes on a reset of the target", async () => {
  const target = createServer((socket) => socket.once("data", () => socket.resetAndDestroy()));
  await new Promise<void>((resolve) => target.listen(0, "127.0.0.1", resolve));
  const bound = target.address();
  assert(typeof bound === "object" && bound !== null);
  {
    await using proxy = await faultProxy(`tcp://127.0.0.1:${bound.port}`);
    using client = await Deno.connect({ hostname: "127.0.0.1", port: proxy.addr.port });
    await client.write(counting(1));
    assertEquals(await errorOf(client.read(new Uint8Array(8))), RESET);
  }
  await new Promise((resolve) => target.close(resolve));
});

Deno.test("faultProxy() resets after cutAfter bytes, which arrive", async () => {
  const { proxy, client, server, listener } = await setUp();
  proxy.links[0]?.degrade({ cutAfter: 3 });
  await server.write(counting(8));
  assertEquals((await readAll(client)).bytes.length, 3);
  assertEquals(await errorOf(server.read(new Uint8Array(1))), RESET);
  for (const conn of [client, server, listener]) conn.close();
  await proxy[Symbol.asyncDispose]();
});

Deno.test("faultProxy() blackhole() holds bytes, heal() lets them through", async () => {
  const { proxy, client, server, listener } = await setUp();
  proxy.links[0]?.blackhole("up");
  await client.write(counting(3));
  let arrived = false;
  const buffer = new Uint8Array(8);
  const read = server.read(buffer).then((count) => {
    arrived = true;
    return count;
  });
  // A few trips the other way are time enough for bytes that were not held.
  for (let n = 0; n < 20; n++) {
    await server.write(counting(1));
    await client.read(new Uint8Array(1));
  }
  assertEquals(arrived, false);
  proxy.links[0]?.heal();
  assertEquals(await read, 3);
  for (const conn of [client, server, listener]) conn.close();
  await proxy[Symbol.asyncDispose]();
});

Deno.test("faultProxy() resets the client when the target refuses", async () => {
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = closed.addr;
  closed.close();
  await using proxy = await faultProxy({ port });
  using client = await Deno.connect({ hostname: "127.0.0.1", port: proxy.addr.port });
  assertEquals(await errorOf(client.read(new Uint8Array(1))), RESET);
});

Deno.test("faultProxy() disposal closes live and held connections", async () => {
  const { proxy, client, server, listener } = await setUp();
  proxy.links[0]?.blackhole();
  await client.write(counting(9));
  await proxy[Symbol.asyncDispose]();
  for (const conn of [client, server]) await readAll(conn);
  for (const conn of [client, server, listener]) conn.close();
});

Deno.test("faultProxy() refuses bad faults, seeds and targets", async () => {
  await assertRejects(() => faultProxy("tcp://x:1", { faults: { slice: 0 } }), RangeError);
  await assertRejects(() => faultProxy("tcp://x:1", { seed: 0.5 }), RangeError);
  await assertRejects(() => faultProxy("no address"), TypeError);
});
