/** Groups: joined and left on real sockets; what is sent to them stays on this machine (TTL 0). */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ConnectError, listenUdp, type UdpConn, VnetError } from "@vgo/vnet/udp";
import { FakeOutside, text } from "./_support.ts";

const GROUP = "239.255.77.66";

Deno.test("joinMulticast() joins and leaves, and leaving twice is fine", async () => {
  await using conn = await listenUdp("0.0.0.0:0");
  const onLoopback = { networkInterface: "127.0.0.1" };
  const membership = await conn.joinMulticast(GROUP, { ...onLoopback, loopback: true, ttl: 0 });
  assertEquals(membership.group, GROUP);
  const twice = await assertRejects(() => conn.joinMulticast(GROUP, onLoopback), ConnectError);
  assertEquals(twice.code, "ADDRESS_IN_USE");
  await membership.leave();
  await membership.leave();
  await membership[Symbol.asyncDispose]();
  {
    await using again = await conn.joinMulticast(GROUP, onLoopback);
    assertEquals(again.group, GROUP);
  }
  // It has been left, or it could not be joined.
  const last = await conn.joinMulticast(GROUP, onLoopback);
  await conn.close();
  await last.leave();
});

Deno.test("joinMulticast() says what is wrong with what it was given", async () => {
  await using conn = await listenUdp("0.0.0.0:0");
  for (const group of ["10.0.0.1", "240.0.0.1", "223.255.255.255", "::1", "a.name", ""]) {
    await assertRejects(() => conn.joinMulticast(group), TypeError, "must be a multicast address");
  }
  for (const ttl of [-1, 256, 1.5]) {
    await assertRejects(() => conn.joinMulticast(GROUP, { ttl }), RangeError, "'ttl' must be");
  }
  await assertRejects(
    () => conn.joinMulticast("ff02::1", { ttl: 1 }),
    TypeError,
    "must be left out for IPv6",
  );
  await assertRejects(
    () => conn.joinMulticast(GROUP, { networkInterface: 1 }),
    TypeError,
    "must be the address of one",
  );
  await assertRejects(
    () => conn.joinMulticast("ff02::1", { networkInterface: "lo" }),
    TypeError,
    "must be the index of one",
  );
  const error = await assertRejects(
    () => conn.joinMulticast(GROUP, { networkInterface: "203.0.113.1" }),
    ConnectError,
  );
  assertEquals(error.code, "UNREACHABLE");
  assertStringIncludes(error.message, `Cannot join group ${GROUP}`);
});

Deno.test("joinMulticast() sets what it was told to, and nothing else", async () => {
  const outside = new FakeOutside();
  const done: unknown[] = [];
  const told = (what: string) => (value?: unknown) =>
    Promise.resolve(void done.push([what, value]));
  outside.socket.joinMulticastV4 = (...args: unknown[]) => {
    done.push(args);
    const leave = () => told("leave")();
    return Promise.resolve({ leave, setLoopback: told("loopback"), setTTL: told("ttl") });
  };
  await using conn = outside.listen();
  await using _first = await conn.joinMulticast(GROUP);
  assertEquals(done.splice(0), [[GROUP, "0.0.0.0"]]);
  await using _second = await conn.joinMulticast(GROUP, {
    loopback: false,
    ttl: 0,
    networkInterface: "10.0.0.1",
  });
  assertEquals(done.splice(0), [[GROUP, "10.0.0.1"], ["loopback", false], ["ttl", 0]]);
});

Deno.test("joinMulticast() leaves again where an option cannot be set", async () => {
  const outside = new FakeOutside();
  let left = 0;
  outside.socket.joinMulticastV4 = () =>
    Promise.resolve({
      leave: () => Promise.resolve(void left++),
      setLoopback: () => Promise.reject(new Error("no such option")),
      setTTL: () => Promise.resolve(),
    });
  await using conn = outside.listen();
  await assertRejects(() => conn.joinMulticast(GROUP, { loopback: true }), ConnectError);
  assertEquals(left, 1);
});

const ignore = !await canMulticast();
Deno.test("a group hears what is sent to it, until it is left", { ignore }, async () => {
  await using listener = await listenUdp("0.0.0.0:0", { reuseAddress: true });
  const { port } = listener.localAddr;
  const options = { loopback: true, ttl: 0 };
  const membership = await listener.joinMulticast(GROUP, options);
  await listener.send("hello, group", `${GROUP}:${port}`);
  const { data, from } = await listener.receive({ timeout: 10_000 });
  assertEquals(text(data), "hello, group");
  assertEquals(from.port, port);

  await membership.leave();
  await listener.send("is anybody left?", `${GROUP}:${port}`);
  await listener.send("direct", `127.0.0.1:${port}`);
  assertEquals(text((await listener.receive({ timeout: 10_000 })).data), "direct");
});

/** Whether this machine has an interface for it: a container may have none. */
async function canMulticast(): Promise<boolean> {
  let conn: UdpConn | undefined;
  try {
    conn = await listenUdp("0.0.0.0:0");
    await conn.joinMulticast(GROUP, { loopback: true, ttl: 0 });
    await conn.send("x", `${GROUP}:${conn.localAddr.port}`);
    await conn.receive({ timeout: 1_000 });
    return true;
  } catch (error) {
    assert(error instanceof VnetError);
    return false;
  } finally {
    await conn?.close();
  }
}
