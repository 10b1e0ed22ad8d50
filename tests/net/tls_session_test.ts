/**
 * Sessions over TLS: they do all that they do over TCP, `register` learns who is there by certificate,
 * and whoever must not be there never gets as far as a session (FAULTS.md, rows T1 and T2).
 */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  Addr,
  Client,
  connect,
  type ConnectError,
  type ConnectOptions,
  type Registration,
  serve,
  type ServeOptions,
  type ServerEvent,
  text,
  type Untyped,
} from "@vgo/vnet";
import { faultProxy, Simulation } from "@vgo/vnet/testing";
import {
  ANN,
  certs,
  CLIENT,
  failureOf,
  MUTUAL,
  readAll,
  say,
  SERVER,
  TlsServer,
} from "../tls/_support.ts";

type Text = Untyped<string>;

const ADDRESS = "tls://127.0.0.1:0";
const serializer = text();

function serveText(options: ServeOptions<Text>) {
  return serve<Text>(ADDRESS, { serializer, ...options });
}

function connectText(address: Addr, options: ConnectOptions<Text>): Promise<Client<Text>> {
  return connect<Text>(address, { serializer, ...options });
}

Deno.test("serve() and connect() over TLS: calls, push and large messages", async () => {
  await using server = await serveText({
    tls: SERVER,
    methods: { double: (word: string) => word + word },
  });
  assertEquals(server.addr.transport, "tls");
  await using client = await connectText(server.addr, { id: "ann", tls: CLIENT });
  assertEquals(`${client.remoteAddr}`, `${server.addr}`);
  assertEquals(await client.call("double", "ab"), "abab");

  const large = "x".repeat(1_000_000);
  for (const body of ["pushed", large]) {
    assert(await server.push("ann", body));
    for await (const message of client.messages) {
      assertEquals(message.body, body);
      break;
    }
  }
});

Deno.test("Registration.tls tells what the client's certificate says", async () => {
  const seen: Registration["tls"][] = [];
  const register = ({ tls }: Registration) => {
    seen.push(tls);
    return { id: tls?.peerName ?? "nobody" };
  };
  const tls = { ...MUTUAL, alpnProtocols: ["vnet/1"] };
  await using server = await serve<Text>([ADDRESS, "tcp://127.0.0.1:0"], {
    serializer,
    tls,
    register,
  });
  const [overTls, overTcp] = server.addrs;
  assert(overTls !== undefined && overTcp !== undefined);
  await using ann = await connectText(overTls, {
    tls: { ...ANN, serverName: "localhost", alpnProtocols: ["vnet/1"] },
  });
  await using other = await connectText(overTcp, { tls: ANN });
  assertEquals([ann.id, other.id], ["ann", "nobody"]);
  const [info] = seen;
  assertEquals([info?.serverName, info?.alpnProtocol], ["localhost", "vnet/1"]);
  assert((info?.peerCertificate?.length ?? 0) > 100);
  assertEquals(seen[1], undefined);
});

Deno.test("Registration.tls is what an attached transport says of itself", async () => {
  await using server = await serve<Text>([], {
    serializer,
    register: ({ tls }) => ({ id: tls?.peerName ?? "nobody" }),
  });
  await using below = await TlsServer.open({ tls: MUTUAL });
  const accepting = below.accept();
  const connecting = connect<Text>(() => below.dial(ANN), { serializer });
  const [peer, client] = await Promise.all([server.attach(await accepting), connecting]);
  assertEquals([peer.id, client.id], ["ann", "ann"]);
  await client.close();
});

Deno.test("connect() over TLS comes back after its link was cut", async () => {
  await using server = await serveText({ tls: SERVER });
  await using proxy = await faultProxy(server.addr.host);
  const address = Addr.parse(`tls://${proxy.addr.host}`);
  await using client = await connectText(address, {
    id: "ann",
    tls: CLIENT,
    reconnect: { delay: 0 },
  });
  const connected = waitFor(client.events(), ({ type }) => type === "connect");
  proxy.links[0]?.cut("reset");
  await connected;
  assert(await server.push("ann", "again"));
  for await (const { body } of client.messages) {
    assertEquals(body, "again");
    break;
  }
});

// ── T1 ──

Deno.test("T1 a session opens and calls while others are silent or send garbage", async () => {
  const rejects = new Map<string, number>();
  let counted = () => {};
  const all = new Promise<void>((resolve) => counted = resolve);
  await using server = await serveText({
    tls: SERVER,
    methods: { echo: (word: string) => word },
    onEvent: (event) => {
      if (event.type !== "reject") return;
      rejects.set(event.code, (rejects.get(event.code) ?? 0) + 1);
      if (rejects.get("PROTOCOL") === 4) counted();
    },
  });
  const { hostname, port } = server.addr;
  const dialPlain = () => Deno.connect({ hostname, port });
  const others = await Promise.all(Array.from({ length: 8 }, dialPlain));
  await Promise.all(others.slice(0, 4).map((conn) => say(conn, "PRI * HTTP/2.0\r\n\r\n")));

  await using client = await connectText(server.addr, { tls: CLIENT });
  assertEquals(await client.call("echo", "hello"), "hello");
  await all;
  assertEquals([...rejects], [["PROTOCOL", 4]]);
  assertEquals(server.stats().rejected, { PROTOCOL: 4 });
  await client.close();
  // The silent ones have no place in a server that is closed.
  await server.close();
  for (const conn of others) {
    await readAll(conn).catch(() => {});
    conn.close();
  }
});

// ── T2 ──

for (
  const [name, { cert, key }, code] of [
    ["an untrusted", certs.untrusted, "CERT_UNTRUSTED"],
    ["an expired", certs.expired, "CERT_EXPIRED"],
    ["a wrong-host", certs.wrongName, "CERT_WRONG_NAME"],
  ] as const
) {
  Deno.test(`T2 a client that meets ${name} certificate is over with ${code}, and has said nothing`, async () => {
    await using server = await TlsServer.open({ tls: { cert, key } });
    const heard = server.accept().then((transport) => readAll(transport));
    const client = new Client<Text>(server.addr, { serializer, tls: CLIENT, auth: "s3cret" });
    const failing = failureOf(client.opened);
    const [error, info] = await Promise.all([failing, client.closed]);
    assertEquals([error.code, error.initiator, error.attempts], [code, "remote", 1]);
    assertEquals((info.error as ConnectError | undefined)?.code, code);
    // Neither a preface nor a HELLO: nothing at all.
    assertEquals(await heard, new Uint8Array(0));
    assertEquals((await failureOf(connectText(server.addr, { tls: CLIENT }))).code, code);
  });
}

Deno.test("T2 a client without the certificate that it needs learns it, and stays away", async () => {
  const events: ServerEvent<unknown>[] = [];
  let asked = 0;
  await using server = await serveText({
    tls: MUTUAL,
    register: () => ++asked > 0,
    onEvent: (event) => events.push(event),
  });
  const error = await failureOf(connectText(server.addr, { tls: CLIENT }));
  assertEquals([error.code, error.initiator, error.attempts], ["CERT_REQUIRED", "remote", 1]);
  await server.close();
  assertEquals(asked, 0);
  const rejects = events.filter((event) => event.type === "reject");
  assertEquals(rejects.map((event) => event.code), ["AUTH_FAILED"]);
  assertStringIncludes(rejects[0]?.reason ?? "", "the other end shows no certificate");
});

Deno.test("T2 a client goes on to the next address when one has the wrong certificate", async () => {
  await using wrong = await serveText({ tls: certs.untrusted });
  await using right = await serveText({ tls: SERVER });
  await using client = await connect<Text>([wrong.addr, right.addr], { serializer, tls: CLIENT });
  assertEquals(`${client.remoteAddr}`, `${right.addr}`);
  // One that may come back keeps a client alive, whatever the other is.
  const gone = right.addr;
  await client.close();
  await right.close();
  const options = { serializer, tls: CLIENT, reconnect: { delay: 0, maxAttempts: 3 } };
  const error = await failureOf(connect<Text>([gone, wrong.addr], options));
  assertEquals(error.attempts, 3);
});

// ── misuse ──

Deno.test("serve() on a TLS address says that it needs 'tls', or which part of it cannot be", async () => {
  const missing = await assertRejects(() => serve(ADDRESS), TypeError);
  assertStringIncludes(missing.message, "'tls' must give a certificate and its key");
  const tls = { ...SERVER, key: certs.client.key };
  await assertRejects(() => serve(ADDRESS, { tls }), TypeError, "must be the key of 'tls.cert'");
});

Deno.test("connect() with a 'tls' that cannot be fails at once, and for good", async () => {
  await using server = await serveText({ tls: SERVER });
  const error = await failureOf(connectText(server.addr, { tls: { caCerts: ["none"] } }));
  assertEquals([error.code, error.initiator, error.attempts], ["UNSUPPORTED", "local", 1]);
  assert(error.cause instanceof TypeError);
  assertStringIncludes(error.message, "'tls.caCerts' must be certificates as PEM");
});

Deno.test("Simulation carries TLS addresses as plain bytes, with or without 'tls'", async () => {
  await using sim = new Simulation();
  const server = await serve<Text>("tls://0.0.0.0:1", { serializer, runtime: sim, tls: SERVER });
  const connecting = connect<Text>("tls://server:1", { serializer, runtime: sim, tls: CLIENT });
  const client = await sim.run(connecting);
  assertEquals([client.remoteAddr.transport, server.peers.size], ["tls", 1]);
});

/** Waits for the first event of a kind. */
async function waitFor<T>(events: AsyncIterable<T>, wanted: (event: T) => boolean): Promise<T> {
  for await (const event of events) if (wanted(event)) return event;
  throw new Error("There was no such event");
}
