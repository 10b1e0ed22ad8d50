/** Dialling and listening on loopback: what they give, what they refuse, and that giving up leaks nothing. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  ConnectError,
  dial,
  dialTcp,
  dialTls,
  listen,
  listenTcp,
  listenTls,
  startTls,
  TimeoutError,
  type TlsConn,
} from "@vgo/vnet/net";
import { connect, serve } from "@vgo/vnet";
import { Rng } from "../_support/rng.ts";
import certs from "../tls/certs.json" with { type: "json" };

const tls = { cert: certs.server.cert, key: certs.server.key };
const trust = { caCerts: [certs.ca] };

Deno.test("dialTcp() and listenTcp() give connections that know their ends", async () => {
  await using listener = await listenTcp("127.0.0.1:0", { readTimeout: 7, keepAlive: true });
  assertEquals([listener.addr.hostname, listener.acceptTimeout], ["127.0.0.1", Infinity]);
  assert(listener.addr.port > 0);
  await using client = await dialTcp(listener.addr, { writeTimeout: 9, noDelay: false });
  await using server = await listener.accept();
  assertEquals(String(client.remoteAddr), String(listener.addr));
  assertEquals(String(client.localAddr), String(server.remoteAddr));
  assertEquals(String(server.localAddr), String(listener.addr));
  assertEquals([client.readTimeout, client.writeTimeout], [Infinity, 9]);
  assertEquals([server.readTimeout, server.writeTimeout], [7, Infinity]);
  assert(client.id !== server.id);
  for (const on of [true, false]) {
    client.setNoDelay(on);
    server.setKeepAlive(on);
  }
});

Deno.test("dial() and listen() take every form of an address", async () => {
  await using any = await listen(":0", { backlog: 8 });
  assertEquals(any.addr.hostname, "0.0.0.0");
  const { port } = any.addr;
  for (
    const address of [
      `127.0.0.1:${port}`,
      `tcp://localhost:${port}`,
      `:${port}`,
      new URL(`tcp://127.0.0.1:${port}`),
      { port },
      any.addr,
    ]
  ) {
    await using client = await dial(address);
    await using server = await any.accept({ timeout: 5_000 });
    assertEquals(server.remoteAddr.port, client.localAddr.port);
  }
});

Deno.test("dialTls() and listenTls() take an address without a transport for one of TLS", async () => {
  await using listener = await listenTls("127.0.0.1:0", { tls });
  assertEquals(listener.addr.transport, "tls");
  const both = async (dialling: Promise<TlsConn>) => {
    const [client, server] = await Promise.all([dialling, listener.accept({ timeout: 5_000 })]);
    assertEquals([client.remoteAddr.transport, server.localAddr.transport], ["tls", "tls"]);
    assertEquals([client.tls.peerName, server.tls.peerName], ["localhost", undefined]);
    await Promise.all([client.close(), server.close()]);
  };
  const { port } = listener.addr;
  await both(dialTls(`127.0.0.1:${port}`, { tls: trust }));
  await both(dialTls(listener.addr, { tls: trust }));
  await both(dialTcp(`localhost:${port}`).then((conn) => startTls(conn, { tls: trust })));
  // The name that was dialled is the one to prove, whatever the connection is to.
  const plain = await dialTcp(`127.0.0.1:${port}`, { readTimeout: 3_000 });
  await both(startTls(plain, { tls: { ...trust, serverName: "localhost" } }));
  assertEquals((await plain.closed).reason, "startTls");
});

Deno.test("Conn.close() over TLS tells the other end, so that it need not suspect a cut", async () => {
  await using listener = await listenTls("127.0.0.1:0", { tls });
  const { port } = listener.addr;
  for (const text of ["", "some words"]) {
    // This one distinguishes the two ends.
    const dialling = Deno.connectTls({ hostname: "127.0.0.1", port, caCerts: [certs.ca] });
    const [other, conn] = await Promise.all([dialling, listener.accept({ timeout: 5_000 })]);
    await conn.write(text);
    const closing = conn.close();
    const buf = new Uint8Array(64);
    if (text !== "") assertEquals(await other.read(buf), text.length);
    assertEquals(await other.read(buf), null);
    other.close();
    await closing;
  }
});

Deno.test("startTls() demands a connection on which nothing is pending, and which is no other's", async () => {
  await using listener = await listenTcp("127.0.0.1:0");
  await using client = await dialTcp(listener.addr);
  await using server = await listener.accept();
  await server.write("220 go ahead\n250 and this was never encrypted\n");
  assertEquals(await client.readLine(), "220 go ahead");
  await assertRejects(() => startTls(client), TypeError, "nobody took");
  await client.readLine();
  await assertRejects(() => client.read(new Uint8Array(1), { timeout: 1 }), TimeoutError);
  await assertRejects(() => startTls(client), TypeError, "pending");
  // The connection is as it was.
  await server.write("still");
  assertEquals((await client.readExactly(5)).length, 5);
  await assertRejects(() => startTls(client, { tls: { cert: "none", key: "none" } }), TypeError);
  await client.closed;
});

Deno.test("dial() and listen() refuse what they are not for", async () => {
  for (const address of ["ws://127.0.0.1:1/", "udp://127.0.0.1:1", "memory://x:1"]) {
    await assertRejects(() => dial(address), TypeError, "tcp, tls or unix");
    await assertRejects(() => listen(address), TypeError, "tcp, tls or unix");
  }
  for (const address of ["tls://127.0.0.1:1", "unix:/a"]) {
    await assertRejects(() => dialTcp(address), TypeError, "must be tcp");
    await assertRejects(() => listenTcp(address), TypeError, "must be tcp");
  }
  await assertRejects(() => dialTls("unix:/a"), TypeError, "must be tls");
  await assertRejects(() => listenTls("unix:/a", { tls }), TypeError, "must be tls");
  // Encryption that was asked for must not be left out in silence.
  await assertRejects(() => dial("127.0.0.1:1", { tls: trust }), TypeError, "must be tls");
  await assertRejects(() => listen("127.0.0.1:0", { tls }), TypeError, "must be tls");
  await assertRejects(() => listen("tls://127.0.0.1:0"), TypeError, "must be given");
  await assertRejects(() => dial("127.0.0.1"), TypeError, "port");
  for (const option of ["readTimeout", "writeTimeout", "timeout"]) {
    await assertRejects(() => dial("127.0.0.1:1", { [option]: -1 }), RangeError, "at least 0");
  }
  await assertRejects(() => listen("127.0.0.1:0", { acceptTimeout: NaN }), RangeError);
});

Deno.test("dial() and listen() say why there is no connection", async () => {
  const listener = await listen("127.0.0.1:0");
  const taken = await assertRejects(() => listen(listener.addr), ConnectError);
  assertEquals([taken.code, taken.initiator], ["ADDRESS_IN_USE", "local"]);
  await listener.close();
  const refused = await assertRejects(() => dial(listener.addr), ConnectError);
  assertEquals([refused.code, refused.initiator], ["REFUSED", "network"]);
  const again = await listen(listener.addr);
  await again.close();
});

Deno.test("dialTcp() gives up when its timeout is over", async () => {
  using hole = new Hole();
  const error = await assertRejects(() => dialTcp(hole.addr, { timeout: 20 }), ConnectError);
  assertEquals([error.code, error.initiator], ["TIMEOUT", "network"]);
});

Deno.test("dial() leaks nothing in 300 aborts at random moments", async () => {
  const seed = 6;
  const rng = new Rng(seed);
  using hole = new Hole();
  await using plain = await listenTcp("127.0.0.1:0");
  await using safe = await listen("tls://127.0.0.1:0", { tls });
  const ended: Promise<unknown>[] = [];
  const serving = [plain, safe].map(async (listener) => {
    for await (const conn of listener) ended.push(conn.readAll().finally(() => conn.close()));
  });
  const reason = new Error("enough");
  const outcomes = { given: 0, aborted: 0 };
  const one = async () => {
    const addr = rng.pick([plain.addr, plain.addr, safe.addr, hole.addr]);
    const controller = new AbortController();
    const options = { signal: controller.signal, timeout: 60_000 };
    const dialling = dial(addr, addr === safe.addr ? { ...options, tls: trust } : options);
    const settled = dialling.then(async (conn) => {
      outcomes.given++;
      // It came before the signal: that ends only the dial.
      assertEquals(await conn.write("x"), 1);
      await conn.close();
    }, (error) => {
      outcomes.aborted++;
      assert(error === reason, `seed ${seed}: ${error}`);
    });
    // Now and then not before there is a connection.
    if (addr !== hole.addr && rng.int(5) === 0) await settled;
    else await moment(rng);
    controller.abort(reason);
    await settled;
  };
  for (let round = 0; round < 30; round++) await Promise.all(Array.from({ length: 10 }, one));
  await Promise.all([plain.close(), safe.close(), ...serving]);
  await Promise.allSettled(ended);
  // Both have really happened; that nothing is left, the sanitizers see.
  assert(outcomes.given >= 30 && outcomes.aborted >= 30, JSON.stringify(outcomes));
});

Deno.test("Listener fits wherever a listener is wanted", async () => {
  const listener = await listenTcp("127.0.0.1:0");
  await using server = await serve(listener, { methods: { hi: () => Uint8Array.of(1) } });
  assertEquals(String(server.addr), String(listener.addr));
  await using client = await connect(listener.addr);
  assertEquals(await client.call("hi"), Uint8Array.of(1));
});

/** A listener that takes no more: who dials it waits. */
class Hole implements Disposable {
  readonly addr: { hostname: string; port: number };
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
  readonly #dials: Promise<Deno.TcpConn | undefined>[] = [];
  readonly #stop = new AbortController();

  constructor() {
    const { hostname, port } = this.#listener.addr;
    this.addr = { hostname, port };
    for (let i = 0; i < 4; i++) {
      const dialling = Deno.connect({ hostname, port, signal: this.#stop.signal });
      this.#dials.push(dialling.catch(() => undefined));
    }
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    for (const dialling of this.#dials) dialling.then((conn) => conn?.close());
    this.#listener.close();
  }
}

/** From at once to a few ms. */
async function moment(rng: Rng): Promise<void> {
  const kind = rng.int(4);
  if (kind === 0) return;
  if (kind === 1) { for (let hops = rng.int(60); hops > 0; hops--) await undefined; }
  else if (kind === 2) {
    for (let turns = rng.int(8); turns > 0; turns--) await new Promise((go) => setImmediate(go));
  } else await new Promise((go) => setTimeout(go, rng.int(6)));
}
