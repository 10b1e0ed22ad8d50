/**
 * A connection over TLS behaves as one over TCP does.
 *
 * Over memory where what happens below has to be seen or broken, over loopback else.
 */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { ConnectError, ProtocolError } from "@vgo/vnet";
import { faulty, memoryPair } from "@vgo/vnet/testing";
import { Addr } from "../../src/base/addr.ts";
import type { ByteTransport } from "../../src/base/types.ts";
import { startTlsTransport } from "../../src/net/tls_dial.ts";
import { clientHandshake, ServerHandshakes } from "../../src/net/tls_handshake.ts";
import { Rng } from "../_support/rng.ts";
import {
  CLIENT,
  failureOf,
  hear,
  MUTUAL,
  readAll,
  say,
  SERVER,
  tlsPair,
  TlsServer,
  writeAll,
} from "../tls/_support.ts";

for (const slice of [1, 7, 1_000, Infinity]) {
  Deno.test(`TlsTransport carries both ways at once, in slices of ${slice}`, async () => {
    const seed = 1;
    const rng = new Rng(seed);
    const [a, b] = memoryPair();
    const sliced = (end: ByteTransport) => slice === Infinity ? end : faulty(end, { slice });
    using pair = await tlsPair([sliced(a), sliced(b)]);
    const length = slice === 1 ? 10_000 : 200_000;
    const up = Uint8Array.from({ length }, () => rng.int(256));
    const down = up.map((byte) => byte ^ 0xff);
    const send = async (to: typeof pair.client, data: Uint8Array) => {
      for (let at = 0; at < data.length;) {
        const part = data.subarray(at, at += 1 + rng.int(70_000));
        await writeAll(to, part);
      }
      await to.closeWrite();
    };
    const [arrivedUp, arrivedDown] = await Promise.all([
      readAll(pair.server, 1 + rng.int(20_000)),
      readAll(pair.client, 1 + rng.int(20_000)),
      send(pair.client, up),
      send(pair.server, down),
    ]);
    assertEquals(arrivedUp, up, `seed ${seed}`);
    assertEquals(arrivedDown, down, `seed ${seed}`);
  });
}

Deno.test("TlsTransport.write() waits while nobody reads, and what waits is bounded", async () => {
  using pair = await tlsPair();
  for (const [from, to] of [[pair.client, pair.server], [pair.server, pair.client]] as const) {
    let written = 0;
    let settled = true;
    while (settled) {
      settled = false;
      from.write(new Uint8Array(32_768)).then((count) => {
        written += count;
        settled = true;
      });
      // Memory needs no time, only turns.
      for (let turn = 0; turn < 50 && !settled; turn++) await new Promise((r) => setImmediate(r));
      assert(written < 2 ** 20, "Nothing holds the writer back");
    }
    const buffer = new Uint8Array(65_536);
    let read = 0;
    while (read < written || !settled) read += await to.read(buffer) ?? 0;
    assertEquals(read, written);
  }
});

Deno.test("TlsTransport.closeWrite() ends one direction only", async () => {
  await using server = await TlsServer.open();
  const [client, accepted] = await Promise.all([server.dial(), server.accept()]);
  await Promise.all([client.closeWrite(), client.closeWrite()]);
  assertEquals(await accepted.read(new Uint8Array(8)), null);
  await assertRejects(() => client.write(new Uint8Array(1)), Deno.errors.BrokenPipe);

  await say(accepted, "still here");
  assertEquals(await hear(client, "still here"), "still here");
  await accepted.closeWrite();
  assertEquals(await client.read(new Uint8Array(8)), null);
  client.close();
});

Deno.test("TlsTransport.closeWrite() resolves when the end is on its way", async () => {
  const [near, far] = memoryPair();
  const below = new Recorder(near);
  using pair = await tlsPair([below, far]);
  const before = below.written;
  const { promise: room, resolve: makeRoom } = Promise.withResolvers<void>();
  below.room = room;
  let resolved = false;
  const ending = pair.client.closeWrite().then(() => resolved = true);
  for (let turn = 0; turn < 10; turn++) await new Promise((next) => setImmediate(next));
  assert(!resolved, "What was not written cannot be on its way");
  makeRoom();
  await ending;
  assert(below.written > before);
  pair.client.close();
  assertEquals(await pair.server.read(new Uint8Array(8)), null);
});

Deno.test("TlsTransport.close() wakes what waits, once and for all", async () => {
  using pair = await tlsPair();
  const { client } = pair;
  const reading = client.read(new Uint8Array(8));
  const writing = Promise.all(
    Array.from({ length: 20 }, () => client.write(new Uint8Array(32_768))),
  );
  client.close();
  client.close();
  await assertRejects(() => reading, Deno.errors.Interrupted);
  await assertRejects(() => writing, Deno.errors.Interrupted);
  await assertRejects(() => client.read(new Uint8Array(8)), Deno.errors.BadResource);
  await assertRejects(() => client.write(new Uint8Array(8)), Deno.errors.BadResource);
  await assertRejects(() => client.closeWrite(), Deno.errors.BadResource);
});

Deno.test("TlsTransport.close() takes nothing back that was written", async () => {
  await using server = await TlsServer.open();
  const [client, accepted] = await Promise.all([server.dial(), server.accept()]);
  // What TLS sends by itself has been read: the close below resets nothing.
  await say(accepted, "hello");
  await hear(client, "hello");
  const count = await client.write(new Uint8Array(40_000));
  client.close();
  assertEquals((await readAll(accepted)).length, count);
});

Deno.test("TlsTransport reads a stream that was cut off as one that ends, and no part of a record", async () => {
  const text = "one record";
  for (let missing = 1; missing <= text.length; missing++) {
    const [near, far] = memoryPair();
    const cut = new CutOff(far);
    using pair = await tlsPair([near, cut]);
    await say(pair.server, "whole");
    assertEquals(await hear(pair.client, "whole"), "whole");
    cut.missing = missing;
    await say(pair.server, text);
    far.close();
    assertEquals(await readAll(pair.client), new Uint8Array(0), `${missing} bytes are missing`);
    assertEquals(await pair.client.read(new Uint8Array(8)), null);
  }
});

Deno.test("TlsTransport keeps the error of the connection below", async () => {
  const [near, far] = memoryPair();
  const link = faulty(near, {});
  using pair = await tlsPair([link, far]);
  const reading = pair.client.read(new Uint8Array(8));
  link.cut("reset");
  const error = await assertRejects(() => reading, Error);
  assertEquals(error.name, "ConnectionReset");
  assertEquals(await pair.client.read(new Uint8Array(8)).catch((again) => again), error);
  assertEquals(await pair.client.write(new Uint8Array(8)).catch((again) => again), error);
});

Deno.test("TlsTransport fails for good when what arrives is no TLS", async () => {
  const [near, far] = memoryPair();
  using pair = await tlsPair([near, far]);
  await say(far, "HTTP/1.1 400 Bad Request\r\n\r\n");
  const error = await assertRejects(() => pair.client.read(new Uint8Array(8)), ProtocolError);
  assertEquals([error.code, error.initiator], ["PROTOCOL", "remote"]);
  assertInstanceOf(error.cause, Error);
  await assertRejects(() => pair.client.read(new Uint8Array(8)), ProtocolError);
  await assertRejects(() => pair.client.write(new Uint8Array(8)), ProtocolError);
});

Deno.test("dialTlsTransport() and listenTlsTransport() tell addresses, names and certificates", async () => {
  await using server = await TlsServer.open({ tls: { ...SERVER, alpnProtocols: ["b", "a"] } });
  const [client, accepted] = await Promise.all([
    server.dial({ ...CLIENT, serverName: "localhost", alpnProtocols: ["a", "b"] }),
    server.accept(),
  ]);
  assertEquals([`${client.remoteAddr}`, `${client.localAddr}`], [
    `${accepted.localAddr}`,
    `${accepted.remoteAddr}`,
  ]);
  assertEquals(Addr.of(client.remoteAddr).transport, "tls");
  assertEquals([client.tls.serverName, accepted.tls.serverName], ["localhost", "localhost"]);
  assertEquals([client.tls.peerName, accepted.tls.peerName], ["localhost", undefined]);
  assert((client.tls.peerCertificate?.length ?? 0) > 100);
  // The server decides, by its own order.
  assertEquals([client.tls.alpnProtocol, accepted.tls.alpnProtocol], ["b", "b"]);
  client.close();
});

Deno.test("dialTlsTransport() compares an IP address with the certificate, and does not send it", async () => {
  await using server = await TlsServer.open();
  const [client, accepted] = await Promise.all([server.dial(), server.accept()]);
  assertEquals([client.tls.serverName, accepted.tls.serverName], [undefined, undefined]);
  assertEquals(client.tls.peerName, "localhost");
  client.close();
});

Deno.test("startTlsTransport() goes on over TLS on a connection that was in the clear", async () => {
  const handshakes = new ServerHandshakes(SERVER);
  await withPlainServer(async (conn) => {
    assertEquals(await hear(conn, "STARTTLS\n"), "STARTTLS\n");
    await say(conn, "GO AHEAD\n");
    const transport = await handshakes.begin(conn, { attempt: "Cannot accept" }).stream;
    await say(transport, `you are ${await hear(transport, "ann")}`);
    transport.close();
  }, async (conn) => {
    await say(conn, "STARTTLS\n");
    assertEquals(await hear(conn, "GO AHEAD\n"), "GO AHEAD\n");
    const transport = await startTlsTransport(conn, "localhost", { tls: CLIENT });
    await say(transport, "ann");
    assertEquals(await hear(transport, "you are ann"), "you are ann");
    transport.close();
  });
});

Deno.test("startTlsTransport() closes a connection whose other end is somebody else", async () => {
  const handshakes = new ServerHandshakes(SERVER);
  await withPlainServer(async (conn) => {
    const transport = await handshakes.begin(conn, { attempt: "Cannot accept" }).stream;
    transport.close();
  }, async (conn) => {
    const error = await failureOf(startTlsTransport(conn, "elsewhere.example", { tls: CLIENT }));
    assertEquals(error.code, "CERT_WRONG_NAME");
    assert(error.message.startsWith("Cannot start TLS with elsewhere.example as "), error.message);
    await assertRejects(() => conn.read(new Uint8Array(1)), Deno.errors.BadResource);
  });
});

Deno.test("startTlsTransport() leaves the connection alone when 'tls' makes no sense", async () => {
  await withPlainServer(async (conn) => {
    await say(conn, "hello");
  }, async (conn) => {
    await assertRejects(
      () => startTlsTransport(conn, "localhost", { tls: { caCerts: ["none"] } }),
      TypeError,
    );
    assertEquals(await hear(conn, "hello"), "hello");
    conn.close();
  });
});

Deno.test("ServerHandshakes reset nobody whom they refuse: the client is heard out first", async () => {
  const [near, far] = memoryPair();
  const below = new Recorder(far);
  const dialling = clientHandshake(near, "localhost", CLIENT, { attempt: "Cannot dial" });
  const { stream, gone } = new ServerHandshakes(MUTUAL).begin(below, { attempt: "Cannot accept" });
  const client = await dialling;
  await writeAll(client, new Uint8Array(20_000));
  assertEquals((await failureOf(stream)).code, "CERT_REQUIRED");
  assertEquals((await failureOf(client.read(new Uint8Array(8)))).code, "CERT_REQUIRED");
  client.close();
  await gone;
  assertEquals(below.log, ["closeWrite", "close"]);
});

Deno.test("clientHandshake() and ServerHandshakes leave nothing behind when they are aborted", async () => {
  for (let turns = 0; turns < 30; turns++) {
    const [near, far] = memoryPair();
    const stop = new AbortController();
    const reason = new Error(`aborted after ${turns} turns`);
    const { signal } = stop;
    const both = Promise.allSettled([
      clientHandshake(near, "localhost", CLIENT, { signal, attempt: "Cannot dial" }),
      new ServerHandshakes(SERVER).begin(far, { signal, attempt: "Cannot accept" }).stream,
    ]);
    for (let turn = 0; turn < turns; turn++) await undefined;
    stop.abort(reason);
    for (const result of await both) {
      if (result.status === "fulfilled") result.value.close();
      // One may have heard of the other's end before it heard of the signal.
      else if (result.reason !== reason) assertInstanceOf(result.reason, ConnectError);
    }
    await assertRejects(() => near.read(new Uint8Array(1)));
    await assertRejects(() => far.read(new Uint8Array(1)));
  }
});

/** Counts what goes through it, and may hold it up. */
class Recorder implements ByteTransport {
  written = 0;
  /** What writes wait for. */
  room: Promise<void> = Promise.resolve();
  readonly log: string[] = [];
  readonly #transport: ByteTransport;

  constructor(transport: ByteTransport) {
    this.#transport = transport;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return this.#transport.read(buffer);
  }

  async write(data: Uint8Array): Promise<number> {
    await this.room;
    const count = await this.#transport.write(data);
    this.written += count;
    return count;
  }

  async closeWrite(): Promise<void> {
    this.log.push("closeWrite");
    await this.#transport.closeWrite?.();
  }

  close(): unknown {
    this.log.push("close");
    return this.#transport.close();
  }
}

/** Loses the last bytes of what is written to it. */
class CutOff implements ByteTransport {
  missing = 0;
  readonly #transport: ByteTransport;

  constructor(transport: ByteTransport) {
    this.#transport = transport;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return this.#transport.read(buffer);
  }

  async write(data: Uint8Array): Promise<number> {
    await writeAll(this.#transport, data.subarray(0, data.length - this.missing));
    return data.length;
  }

  close(): unknown {
    return this.#transport.close();
  }
}

/** Runs both ends of a TCP connection. */
async function withPlainServer(
  serve: (conn: Deno.TcpConn) => Promise<void>,
  dial: (conn: Deno.TcpConn) => Promise<void>,
): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = async () => {
    using conn = await listener.accept();
    await serve(conn);
  };
  const { port } = listener.addr;
  await Promise.all([serving(), Deno.connect({ hostname: "127.0.0.1", port }).then(dial)]);
}
