/** Dialling a session over WebSocket: what its failures are called, which are final, and how it is given up. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  Addr,
  Client,
  type ClientEvent,
  connect,
  ConnectError,
  type ConnectOptions,
  serve,
} from "@vgo/vnet";
import { serveWebSocket } from "@vgo/vnet/websocket";
import { systemRuntime } from "../../src/runtime/system.ts";
import { join } from "../_support/feed.ts";
import { certs, CLIENT, SERVER } from "../tls/_support.ts";
import { soon, until, VNET } from "./_session.ts";
import { settle, writeAll } from "./_support.ts";

/** What a client does after a failure: stop, or try again. */
async function outcome(
  address: string | Addr,
  options: ConnectOptions = {},
): Promise<[error: ConnectError, tries: "once" | "again"]> {
  const client = new Client(address, { reconnect: { delay: 60_000, jitter: 0 }, ...options });
  const waits = Promise.withResolvers<ConnectError>();
  (async () => {
    for await (const event of client.events()) {
      if (event.type === "wait" && event.error instanceof ConnectError) waits.resolve(event.error);
    }
  })();
  const opened = client.opened.then(() => undefined, (error) => error);
  const first = await soon(Promise.race([opened, waits.promise]));
  assert(first instanceof ConnectError, `${first}`);
  const tries = client.state === "closed" ? "once" : "again";
  client.abort();
  await client.closed;
  return [first, tries];
}

/** A server of TCP that does to each connection what the test says. */
async function withServer<T>(
  play: (conn: Deno.TcpConn) => unknown,
  run: (addr: string) => Promise<T>,
): Promise<T> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conns: Deno.TcpConn[] = [];
  const accepting = (async () => {
    for await (const conn of listener) {
      conns.push(conn);
      play(conn);
    }
  })();
  try {
    return await run(`127.0.0.1:${listener.addr.port}`);
  } finally {
    listener.close();
    await accepting;
    for (const conn of conns) conn.close();
  }
}

/** Answers a request once it is there. */
const answering = (text: string) => async (conn: Deno.TcpConn) => {
  await conn.read(new Uint8Array(4_096));
  await writeAll(conn, join(text));
};

const ANSWERS: [answer: string, code: string, tries: "once" | "again"][] = [
  ["HTTP/1.1 404 Not Found\r\n\r\n", "WRONG_PROTOCOL", "again"],
  ["HTTP/1.1 200 OK\r\n\r\n", "WRONG_PROTOCOL", "again"],
  ["HTTP/1.1 502 Bad Gateway\r\n\r\n", "WRONG_PROTOCOL", "again"],
  ["HTTP/1.1 401 Unauthorized\r\n\r\n", "AUTH_FAILED", "once"],
  ["HTTP/1.1 403 Forbidden\r\n\r\n", "AUTH_FAILED", "once"],
  ["HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n", "TOO_MANY_CONNECTIONS", "again"],
  ["HTTP/1.1 429 Slowly\r\n\r\n", "TOO_MANY_CONNECTIONS", "again"],
  ["HTTP/1.1 101 Fine\r\n\r\n", "WRONG_PROTOCOL", "again"],
  ["\x15\x03\x03\0\x02\x02\x32", "WRONG_PROTOCOL", "again"],
  ["SSH-2.0-OpenSSH_9.6\r\n", "WRONG_PROTOCOL", "again"],
];

Deno.test("connect() over WebSocket says what answered in its place, and whether that is final", async () => {
  for (const [answer, code, tries] of ANSWERS) {
    await withServer(answering(answer), async (host) => {
      const [error, then] = await outcome(`ws://${host}/chat`);
      assertEquals([error.code, error.initiator, then], [code, "remote", tries], answer);
      assertStringIncludes(error.message, `ws://${host}/chat`);
      assertEquals(error.retryAfter, answer.includes("Retry-After") ? 7_000 : 0);
    });
  }
});

Deno.test("connect() over WebSocket tells refused, lost and silent apart", async () => {
  const refused = await withServer(() => {}, (host) => Promise.resolve(host));
  const [error, tries] = await outcome(`ws://${refused}`);
  assertEquals([error.code, error.initiator, tries], ["REFUSED", "network", "again"]);
  await withServer((conn) => conn.closeWrite(), async (host) => {
    const [error, tries] = await outcome(`ws://${host}`);
    assertEquals([error.code, error.initiator, tries], ["UNREACHABLE", "network", "again"]);
  });
  await withServer(() => {}, async (host) => {
    const [error, tries] = await outcome(`ws://${host}`, { dialTimeout: 20 });
    assertEquals([error.code, error.initiator, tries], ["TIMEOUT", "network", "again"]);
  });
});

Deno.test("connect() over WebSocket meets a server of vnet without one, and the other way round", async () => {
  await using bare = await serve("tcp://127.0.0.1:0");
  const [error] = await outcome(`ws://${bare.addr.host}`);
  assertEquals([error.code, error.initiator], ["UNREACHABLE", "network"]);
  await using other = await serveWebSocket("ws://127.0.0.1:0/");
  const [wrong] = await outcome(`tcp://${other.addr.host}`);
  assertEquals([wrong.code, wrong.initiator], ["WRONG_PROTOCOL", "remote"]);
  // It is a WebSocket, but not one of ours.
  const [strange, tries] = await outcome(other.addr);
  assertEquals([strange.code, strange.initiator, tries], ["WRONG_PROTOCOL", "remote", "again"]);
  assertStringIncludes(strange.message, `must speak ${VNET}: it has chosen ""`);
  await until(() => other.clients.size === 0);
});

Deno.test("connect() over WebSocket and TLS trusts nobody but whom it should", async () => {
  await using wrong = await serve("wss://127.0.0.1:0/chat", { tls: certs.untrusted });
  const [error, tries] = await outcome(wrong.addr, { tls: CLIENT });
  assertEquals([error.code, error.initiator, tries], ["CERT_UNTRUSTED", "remote", "once"]);
  await using plain = await serve("ws://127.0.0.1:0/chat");
  const [garbled] = await outcome(`wss://${plain.addr.host}/chat`, { tls: CLIENT });
  assertEquals(garbled.code, "WRONG_PROTOCOL");
  await using right = await serve("wss://127.0.0.1:0/chat", { tls: SERVER });
  const [inTheClear] = await outcome(`ws://${right.addr.host}/chat`);
  assert(["WRONG_PROTOCOL", "UNREACHABLE"].includes(inTheClear.code), inTheClear.code);
  await using client = await connect(right.addr, { tls: CLIENT });
  assertEquals(client.state, "open");
});

Deno.test("connect() over WebSocket finds a server whose path comes later", async () => {
  let chat = false;
  await using pages = await serveWebSocket("ws://127.0.0.1:0/", {
    protocols: [VNET],
    accept: () => chat || new Response(null, { status: 502 }),
  });
  const events: ClientEvent[] = [];
  const client = new Client(pages.addr, {
    reconnect: { delay: 1 },
    onEvent: (event) => events.push(event),
  });
  await until(() => events.filter(({ type }) => type === "wait").length > 2);
  chat = true;
  await until(() => pages.clients.size === 1);
  client.abort();
  await client.closed;
});

Deno.test("Runtime.dial() of a WebSocket rejects with the signal's reason itself, whenever it is aborted", async () => {
  const runtime = systemRuntime();
  await withServer(answering("HTTP/1.1 101 "), async (host) => {
    const addr = Addr.parse(`ws://${host}/`);
    const early = AbortSignal.abort("early");
    assertEquals(await runtime.dial(addr, { signal: early }).catch((error) => error), "early");
    for (const turns of [0, 1, 2, 5, 20]) {
      const stop = new AbortController();
      const dialling = runtime.dial(addr, { signal: stop.signal }).catch((error) => error);
      await settle(turns);
      stop.abort("late");
      assertEquals(await soon(dialling), "late", `after ${turns} turns`);
    }
  });
});

Deno.test("Client that is ended while it dials a WebSocket leaves nothing behind, whenever that is", async () => {
  await using server = await serve("ws://127.0.0.1:0/chat");
  for (let turns = 0; turns < 12; turns++) {
    for (const end of ["abort", "close"] as const) {
      const client = new Client(server.addr, { reconnect: false });
      await settle(turns);
      await client[end]();
      assert(["ABORTED", "NORMAL"].includes((await client.closed).code));
    }
  }
  await until(() => server.peers.size + server.stats().unregistered === 0);
});

Deno.test("connect() over WebSocket refuses addresses that cannot be", async () => {
  for (const address of ["ws://127.0.0.1:1/#there", "ws://127.0.0.1:1/a b"]) {
    const error = await assertRejects(() => connect(address, { openTimeout: 0 }), Error);
    assert(error instanceof TypeError || error instanceof ConnectError, `${error}`);
  }
  await assertRejects(() => serve("wss://127.0.0.1:0"), TypeError, "'tls' must give a certificate");
});
