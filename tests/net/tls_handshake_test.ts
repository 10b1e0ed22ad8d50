/**
 * Handshakes that fail: who must not come in does not, who is wrong learns how, and nobody else notices
 * (FAULTS.md, rows T1 and T2).
 */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { memoryPair } from "@vgo/vnet/testing";
import { Addr } from "../../src/base/addr.ts";
import { dialTlsTransport } from "../../src/net/tls_dial.ts";
import type { ByteTransport } from "../../src/base/types.ts";
import type { ConnSource } from "../../src/net/tcp.ts";
import { clientHandshake } from "../../src/net/tls_handshake.ts";
import { checkTlsListen, listenTlsTransport, TlsListener } from "../../src/net/tls_listen.ts";
import type { ClientTls, ServerTls, TlsTransport } from "../../src/net/tls_types.ts";
import {
  ANN,
  certs,
  CLIENT,
  failureOf,
  hear,
  MUTUAL,
  readAll,
  say,
  SERVER,
  soon,
  TlsServer,
  verdict,
} from "../tls/_support.ts";

const OPTIONAL: ServerTls = {
  ...SERVER,
  clientAuth: { caCerts: [certs.clientCa], optional: true },
};

// ── T1 ──

Deno.test("T1 a plaintext client is refused, a silent one is given up, and a good one notices neither", async () => {
  await using server = await TlsServer.open({ handshakeTimeout: 250 });
  const silent = await Promise.all(Array.from({ length: 8 }, () => server.dialPlain()));
  const garbage = await Promise.all(
    ["GET / HTTP/1.1\r\n\r\n", "\xf9vnet", "\x16\x03\x01\xff\xff", "\0"]
      .map(async (preface) => {
        const conn = await server.dialPlain();
        await say(conn, preface.padEnd(600, "x"));
        return conn;
      }),
  );
  // Nobody has accepted anything yet: the good one is behind all of them.
  const [client, accepted] = await Promise.all([server.dial(), server.accept()]);
  await say(client, "hello");
  assertEquals(await hear(accepted, "hello"), "hello");
  client.close();

  const codes: string[] = [];
  while (codes.length < silent.length + garbage.length) codes.push(verdict(await server.failure()));
  assertEquals(codes.sort(), [
    ...silent.map(() => "TIMEOUT remote"),
    ...garbage.map(() => "WRONG_PROTOCOL remote"),
  ]);
  for (const conn of [...silent, ...garbage]) {
    // An alert at most, and then the end.
    assert((await readAll(conn)).length < 10);
    conn.close();
  }
});

Deno.test("T1 a client that leaves in the middle of its handshake is told of as such", async () => {
  await using server = await TlsServer.open();
  const accepting = server.accept();
  for (const bytes of ["", "\x16\x03\x01"]) {
    const conn = await server.dialPlain();
    await say(conn, bytes);
    conn.close();
    assertEquals(verdict(await server.failure()), "UNREACHABLE network");
  }
  const client = await server.dial();
  await accepting;
  client.close();
});

Deno.test("T1 more silent clients than there are places keep a good one waiting, not out", async () => {
  await using server = await TlsServer.open({ maxPending: 2 });
  const silent = await Promise.all(Array.from({ length: 3 }, () => server.dialPlain()));
  const [client] = await Promise.all([server.dial(), server.accept()]);
  const error = await server.failure();
  assertEquals(verdict(error), "TIMEOUT remote");
  assertStringIncludes(error.message, "others wait for its place");
  client.close();
  for (const conn of silent) conn.close();
});

Deno.test("T1 a dial meets a server that answers in plaintext, not at all, or hangs up", async () => {
  const dial = (answer: (conn: Deno.TcpConn) => unknown) => dialPlainServer(answer, 250);
  const inPlain = await dial((conn) => say(conn, "SSH-2.0-OpenSSH_9.2\r\n"));
  assertEquals(verdict(inPlain), "WRONG_PROTOCOL remote");
  const silent = await dial(() => {});
  assertEquals(verdict(silent), "TIMEOUT remote");
  assertStringIncludes(silent.message, "the TLS handshake took longer than");
  const gone = await dial((conn) => conn.close());
  assertEquals(verdict(gone), "UNREACHABLE network");
});

Deno.test("T1 a dial that is aborted during its handshake rejects with the reason itself", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const stop = new AbortController();
  const { signal } = stop;
  const reason = { why: "no longer wanted" };
  const dialling = dialTlsTransport(tlsAddr(listener), { tls: CLIENT, signal });
  using conn = await listener.accept();
  // Its first words are here: the handshake is under way.
  assert(await conn.read(new Uint8Array(1_024)));
  stop.abort(reason);
  assertEquals(await dialling.catch((error) => error), reason);
  assertEquals(await conn.read(new Uint8Array(1_024)).catch(() => null), null);
});

Deno.test("listenTlsTransport() lets go of handshakes and of what nobody took when it is closed", async () => {
  const server = await TlsServer.open({ handshakeTimeout: 1e9 });
  const [silent, first] = await Promise.all([server.dialPlain(), server.dial(), server.accept()]);
  const second = await server.dial();
  await server.close();
  for (const conn of [silent, first, second]) {
    assertEquals(await soon(conn.read(new Uint8Array(8)).catch(() => null)), null);
    conn.close();
  }
});

Deno.test("TlsListener passes on what accepting throws, and goes on when it is iterated anew", async () => {
  const tooMany = Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" });
  const ends: [ByteTransport, ByteTransport][] = [memoryPair(), memoryPair()];
  const source = new Script([ends[0]?.[1], tooMany, ends[1]?.[1]]);
  const listener = new TlsListener(source, checkTlsListen("Cannot listen", { tls: SERVER }));
  const errors: unknown[] = [];
  const clients = ends.map(([near]) =>
    clientHandshake(near, "localhost", CLIENT, { attempt: "Cannot dial" })
  );
  const accepted: TlsTransport[] = [];
  while (accepted.length < 2) {
    try {
      for await (const transport of listener) if (accepted.push(transport) === 2) break;
    } catch (error) {
      errors.push(error);
    }
  }
  assertEquals(errors, [tooMany]);
  await Promise.all([listener.close(), listener.close()]);
  assertEquals(source.closed, 1);
  for (const transport of [...accepted, ...await Promise.all(clients)]) transport.close();
});

// ── T2 ──

const WRONG_SERVERS: [name: string, server: ServerTls, client: ClientTls, code: string][] = [
  ["an untrusted", certs.untrusted, CLIENT, "CERT_UNTRUSTED"],
  ["an untrusted (authorities of Deno)", SERVER, {}, "CERT_UNTRUSTED"],
  ["an untrusted (no authority)", SERVER, { caCerts: [] }, "CERT_UNTRUSTED"],
  ["an expired", certs.expired, CLIENT, "CERT_EXPIRED"],
  ["a wrong-host", certs.wrongName, CLIENT, "CERT_WRONG_NAME"],
  ["a wrong-host (by name)", SERVER, { ...CLIENT, serverName: "a.example" }, "CERT_WRONG_NAME"],
  [
    "a wrong-host (another address)",
    SERVER,
    { ...CLIENT, serverName: "10.0.0.1" },
    "CERT_WRONG_NAME",
  ],
];

for (const [name, tls, client, code] of WRONG_SERVERS) {
  Deno.test(`T2 a dial that meets ${name} certificate fails with ${code}, and sends nothing`, async () => {
    await using server = await TlsServer.open({ tls });
    const [error, accepted] = await Promise.all([failureOf(server.dial(client)), server.accept()]);
    assertEquals(verdict(error), `${code} remote`);
    assertStringIncludes(error.message, `Cannot dial ${server.addr} as `);
    assertEquals(await readAll(accepted), new Uint8Array(0));
  });
}

Deno.test("T2 a client shows its certificate to nobody but the right server", async () => {
  for (const { cert, key } of [certs.untrusted, certs.expired]) {
    await using server = await TlsServer.open({ tls: { ...MUTUAL, cert, key } });
    const accepting = server.accept().catch(() => undefined);
    assertEquals((await failureOf(server.dial(ANN))).code, "CERT_UNTRUSTED");
    // The server learns that it is not believed, and of the client only that.
    assert(["CERT_UNTRUSTED", "CERT_EXPIRED"].includes((await server.failure()).code));
    await server.close();
    assertEquals(await accepting, undefined);
  }
});

Deno.test("T2 two ends without a protocol in common (ALPN) both learn it", async () => {
  await using server = await TlsServer.open({ tls: { ...SERVER, alpnProtocols: ["vnet/1"] } });
  const accepting = server.accept();
  const error = await failureOf(server.dial({ ...CLIENT, alpnProtocols: ["h2"] }));
  assertEquals(verdict(error), "NO_ALPN remote");
  assertEquals(verdict(await server.failure()), "NO_ALPN remote");
  // Who asks for none gets none.
  const client = await server.dial();
  assertEquals([client.tls.alpnProtocol, (await accepting).tls.alpnProtocol], [
    undefined,
    undefined,
  ]);
  client.close();
});

// ── certificates of clients ──

// Where it is required the runtime takes the certificate away before anybody can see what it says.
for (
  const [name, tls, ofExpired] of [
    ["required", MUTUAL, "CERT_UNTRUSTED"],
    ["optional", OPTIONAL, "CERT_EXPIRED"],
  ] as const
) {
  Deno.test(`listenTlsTransport() knows its clients by certificate where that is ${name}`, async () => {
    await using server = await TlsServer.open({ tls });
    const [client, accepted] = await Promise.all([server.dial(ANN), server.accept()]);
    assertEquals(accepted.tls.peerName, "ann");
    assertEquals(accepted.tls.peerCertificate, derOf(certs.client.cert));
    await say(client, "hello");
    assertEquals(await hear(accepted, "hello"), "hello");
    client.close();
  });

  for (
    const [bad, code] of [["clientUntrusted", "CERT_UNTRUSTED"], [
      "clientExpired",
      ofExpired,
    ]] as const
  ) {
    Deno.test(`listenTlsTransport() refuses ${bad} where a certificate is ${name}`, async () => {
      await using server = await TlsServer.open({ tls });
      const accepting = server.accept().catch(() => undefined);
      const client = await server.dial({ ...CLIENT, ...certs[bad] });
      await say(client, "hello");
      assertEquals(await client.read(new Uint8Array(8)).catch(() => null), null);
      client.close();
      assertEquals(verdict(await server.failure()), `${code} remote`);
      await server.close();
      assertEquals(await accepting, undefined);
    });
  }
}

Deno.test("listenTlsTransport() lets in who has no certificate where it is optional", async () => {
  await using server = await TlsServer.open({ tls: OPTIONAL });
  const [client, accepted] = await Promise.all([server.dial(), server.accept()]);
  assertEquals([accepted.tls.peerName, accepted.tls.peerCertificate], [undefined, undefined]);
  client.close();
});

Deno.test("TlsTransport.read() says CERT_REQUIRED when the server says so after the handshake", async () => {
  await using server = await TlsServer.open({ tls: MUTUAL });
  const accepting = server.accept().catch(() => undefined);
  // With TLS 1.3 the client is through before the server has seen that there is no certificate.
  const client = await server.dial();
  await say(client, "hello");
  for (let times = 0; times < 2; times++) {
    const error = await failureOf(client.read(new Uint8Array(8)));
    assertEquals(verdict(error), "CERT_REQUIRED remote");
  }
  client.close();
  assertEquals(verdict(await server.failure()), "CERT_REQUIRED remote");
  await server.close();
  assertEquals(await accepting, undefined);
});

// ── options that cannot be ──

const { cert, key } = certs.server;
const BAD_CLIENTS: [ClientTls, string][] = [
  [{ cert }, "'tls.cert' must come with 'tls.key'"],
  [{ key }, "'tls.key' must come with 'tls.cert'"],
  [{ cert: "none", key }, "'tls.cert' must be a certificate as PEM"],
  [{ cert, key: "none" }, "'tls.key' must be a private key as PEM"],
  [{ cert, key: certs.client.key }, "'tls.key' must be the key of 'tls.cert': it is another's"],
  [{ caCerts: [cert, "none"] }, "'tls.caCerts' must be certificates as PEM"],
  [{ serverName: "" }, "'tls.serverName' must not be empty"],
  [{ alpnProtocols: ["a", ""] }, "each of 'tls.alpnProtocols' must have 1 to 255 bytes: one has 0"],
  [{ alpnProtocols: ["x".repeat(256)] }, "must have 1 to 255 bytes: one has 256"],
];
const BAD_SERVERS: [ServerTls, string][] = [
  [{ cert: "", key }, "'tls.cert' must be a certificate as PEM"],
  [{ cert, key: "" }, "'tls.key' must be a private key as PEM"],
  [{ cert, key: certs.client.key }, "'tls.key' must be the key of 'tls.cert': it is another's"],
  [{ cert, key, clientAuth: { caCerts: [] } }, "'tls.clientAuth.caCerts' must name at least one"],
  [
    { cert, key, clientAuth: { caCerts: ["none"] } },
    "'tls.clientAuth.caCerts' must be certificates",
  ],
  [{ cert, key, alpnProtocols: [""] }, "each of 'tls.alpnProtocols' must have 1 to 255 bytes"],
];

Deno.test("dialTlsTransport() and listenTlsTransport() say which part of 'tls' cannot be", async () => {
  const addr = Addr.parse("tls://127.0.0.1:0");
  for (const [tls, words] of BAD_CLIENTS) {
    const error = await assertRejects(() => dialTlsTransport(addr, { tls }), TypeError, words);
    assertStringIncludes(error.message, `Cannot dial ${addr} as `);
  }
  for (const [tls, words] of BAD_SERVERS) {
    const error = await assertRejects(() => listenTlsTransport(addr, { tls }), TypeError, words);
    assertStringIncludes(error.message, `Cannot listen on ${addr} as `);
  }
  for (const options of [{ handshakeTimeout: 0 }, { maxPending: NaN }]) {
    await assertRejects(() => listenTlsTransport(addr, { tls: SERVER, ...options }), RangeError);
  }
});

/** Gives connections and errors in turn, and then waits until it is closed. */
class Script implements ConnSource<ByteTransport> {
  readonly addr = Addr.parse("tcp://127.0.0.1:1");
  closed = 0;
  readonly #turns: (ByteTransport | Error | undefined)[];
  #end: () => void = () => {};

  constructor(turns: (ByteTransport | Error | undefined)[]) {
    this.#turns = turns;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ByteTransport, void> {
    for (let turn = this.#turns.shift(); turn !== undefined; turn = this.#turns.shift()) {
      if (turn instanceof Error) throw turn;
      yield turn;
    }
    await new Promise<void>((resolve) => this.#end = resolve);
  }

  close(): void {
    this.closed++;
    this.#end();
  }
}

/** What a TLS dial to a plain server fails with. */
async function dialPlainServer(answer: (conn: Deno.TcpConn) => unknown, timeout: number) {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const failing = failureOf(dialTlsTransport(tlsAddr(listener), { tls: CLIENT, timeout }));
  using conn = await listener.accept();
  await answer(conn);
  return await failing;
}

function tlsAddr({ addr }: Deno.TcpListener): Addr {
  return Addr.parse({ ...addr, transport: "tls" });
}

function derOf(pem: string): Uint8Array<ArrayBuffer> {
  const base64 = pem.replaceAll(/-----[^-]+-----|\s/g, "");
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}
