/**
 * What a port for sessions over WebSocket does with whoever comes: pages, other protocols, other paths, the
 * silent and the slow, and vnet without a WebSocket around it.
 */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  Addr,
  type Client,
  connect,
  ConnectError,
  type HttpOptions,
  serve,
  type ServeOptions,
  type Server,
  type ServerEvent,
} from "@vgo/vnet";
import { ManualClock } from "@vgo/vnet/testing";
import { connectWebSocket } from "@vgo/vnet/websocket";
import type { Transport, TransportListener } from "../../src/base/types.ts";
import { cutTransport } from "../../src/stream/cut.ts";
import { listenWebSocketTransport } from "../../src/websocket/deno_session.ts";
import { join } from "../_support/feed.ts";
import { certs, CLIENT, SERVER } from "../tls/_support.ts";
import { MessagePeer, soon, until, VNET } from "./_session.ts";
import { settle, worldOf, writeAll } from "./_support.ts";

const HERE = "ws://127.0.0.1:0/chat";

/** A server and what it was told of. */
async function served(http: HttpOptions = {}, options: ServeOptions = {}) {
  const events: ServerEvent<unknown>[] = [];
  const server = await serve(HERE, {
    http,
    methods: { echo: (input) => input },
    onEvent: (event) => events.push(event),
    ...options,
  });
  const rejects = () =>
    events.flatMap((event) => event.type === "reject" ? [`${event.code}: ${event.reason}`] : []);
  const errors = () => events.flatMap((event) => event.type === "error" ? [`${event.error}`] : []);
  return { server, rejects, errors };
}

/** Sends bytes as they are; gives the whole answer. */
async function ask({ addr }: Pick<Server, "addr">, text: string): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: addr.port });
  await writeAll(conn, Uint8Array.from(text, (char) => char.charCodeAt(0)));
  return await answerOf(conn);
}

async function answerOf(conn: Deno.Conn): Promise<string> {
  let answer = "";
  const buffer = new Uint8Array(4_096);
  for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
    answer += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return answer;
}

function request(
  fields: Readonly<Record<string, string>> = {},
  line = "GET /chat HTTP/1.1",
): string {
  const lines = Object.entries({ Host: "127.0.0.1", ...fields })
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `${line}\r\n${lines.join("")}\r\n`;
}

const UPGRADE = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Protocol": VNET,
};

async function works(client: Client): Promise<void> {
  const input = new Uint8Array([1, 2, 3]);
  assertEquals(await client.call("echo", input), input);
}

// ── three protocols on a port ──

for (const secure of [false, true]) {
  Deno.test(`serve() has WebSocket, bare ${secure ? "TLS" : "TCP"} and pages on one port at once`, async () => {
    const tls = secure ? { tls: SERVER } : {};
    await using server = await serve(secure ? HERE.replace("ws:", "wss:") : HERE, {
      ...tls,
      methods: { echo: (input) => input },
      http: { respond: ({ url }) => new Response(url) },
    });
    const { host } = server.addr;
    const bare = Addr.parse(`${secure ? "tls" : "tcp"}://${host}`);
    const trust = secure ? { tls: CLIENT } : {};
    const clients = await Promise.all(
      [server.addr, bare, server.addr, bare].map((addr) => connect(addr, { ...trust })),
    );
    await Promise.all(clients.map(works));
    const { hostname, port } = server.addr;
    using conn = secure
      ? await Deno.connectTls({ hostname: "localhost", port, caCerts: [certs.ca] })
      : await Deno.connect({ hostname, port });
    await writeAll(conn, join(request({ Host: host }, "GET /about?me HTTP/1.1")));
    const page = await answerOf(conn);
    assert(page.endsWith(`\r\n\r\n${secure ? "https" : "http"}://${host}/about?me`), page);
    assertEquals(server.peers.size, 4);
    const kinds = [...server.peers].map(({ remoteAddr }) => remoteAddr.transport).sort();
    assertEquals(kinds, secure ? ["tls", "tls", "wss", "wss"] : ["tcp", "tcp", "ws", "ws"]);
    assertEquals((await server.broadcast(new Uint8Array(1), { ack: true })).sent, 4);
    await Promise.all(clients.map((client) => client.close()));
  });
}

Deno.test("serve() takes a bare session whose preface comes byte by byte", async () => {
  const { server } = await served();
  const bare = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
  const slow = {
    read: (buffer: Uint8Array) => bare.read(buffer),
    write: (data: Uint8Array) => bare.write(data.subarray(0, 1)),
    close: () => bare.close(),
  };
  const client = await connect(() => slow, { reconnect: false });
  await works(client);
  await client.close();
  await server.close();
});

// ── pages ──

Deno.test("serve() answers what asks for no session with 426, or 405", async () => {
  const { server, rejects } = await served();
  const answer = await ask(server, request());
  assert(answer.startsWith("HTTP/1.1 426 ") && answer.includes("\r\nupgrade: websocket\r\n"));
  const head = await ask(server, request({}, "HEAD / HTTP/1.1"));
  assert(head.startsWith("HTTP/1.1 426 ") && head.includes("\r\nupgrade: websocket\r\n"));
  assert(head.endsWith("\r\n\r\n"), "An answer to HEAD has no body");
  const post = await ask(server, request({ "Content-Length": "2" }, "POST / HTTP/1.1") + "{}");
  assertStringIncludes(post, "HTTP/1.1 405 Method Not Allowed\r\nallow: GET\r\n");
  await until(() => rejects().length === 3);
  assertEquals(server.stats().rejected, { PROTOCOL: 3 });
  await server.close();
});

Deno.test("http.respond gives pages to GET and HEAD, wherever they ask", async () => {
  const asked: string[] = [];
  const { server, rejects } = await served({
    respond(request, remoteAddr) {
      const { pathname, search } = new URL(request.url);
      asked.push(`${request.method} ${request.headers.get("x-who")} ${remoteAddr.hostname}`);
      return new Response(`at ${pathname}${search}`, {
        headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["content-length", "99"]],
      });
    },
  });
  for (const path of ["/", "/chat", "/chat?room=1", "/a/b"]) {
    const answer = await ask(server, request({ "X-Who": "ann" }, `GET ${path} HTTP/1.1`));
    assertEquals(
      answer,
      "HTTP/1.1 200 OK\r\ncontent-type: text/plain;charset=UTF-8\r\nset-cookie: a=1\r\n" +
        `set-cookie: b=2\r\nConnection: close\r\nContent-Length: ${
          path.length + 3
        }\r\n\r\nat ${path}`,
    );
  }
  const head = await ask(server, request({ "X-Who": "bob" }, "HEAD / HTTP/1.1"));
  assert(
    head.startsWith("HTTP/1.1 200 OK\r\n") && head.endsWith("Connection: close\r\n\r\n"),
    head,
  );
  assertEquals(asked, [...Array(4).fill("GET ann 127.0.0.1"), "HEAD bob 127.0.0.1"]);
  const post = await ask(server, request({}, "POST / HTTP/1.1"));
  assertStringIncludes(post, "HTTP/1.1 405 Method Not Allowed\r\nallow: GET, HEAD\r\n");
  await using client = await connect(server.addr);
  await works(client);
  // Who got a page did nothing wrong.
  assertEquals(rejects().length, 1);
  await server.close();
});

Deno.test("http.respond is asked with the URL that the request names, or not at all", async () => {
  const urls: string[] = [];
  const { server } = await served({
    respond({ url }) {
      urls.push(url);
      return new Response(null, { status: 204 });
    },
  });
  const good: [request: string, url: string][] = [
    [request({ Host: "a.example:81" }, "GET /x HTTP/1.1"), "http://a.example:81/x"],
    [request({ Host: "a.example" }, "GET http://b.example/y?z HTTP/1.1"), "http://a.example/y?z"],
    [request({ Host: "a.example" }, "GET //c.example HTTP/1.1"), "http://a.example//c.example"],
  ];
  for (const [text, url] of good) {
    const answer = await ask(server, text);
    assertEquals(answer, "HTTP/1.1 204 \r\nConnection: close\r\n\r\n");
    assertEquals(urls.pop(), url);
  }
  const bad: [request: string, status: string][] = [
    ["GET / HTTP/1.1\r\n\r\n", "400"],
    ["GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"],
    [request({ Host: "u:p@a" }), "400"],
    [request({ Host: "a/b" }), "400"],
    [request({}, "GET a HTTP/1.1"), "400"],
    [request({}, "GET * HTTP/1.1"), "400"],
    [request({}, "OPTIONS * HTTP/1.1"), "405"],
    [request({}, "CONNECT a:1 HTTP/1.1"), "405"],
    [request({}, "GET / HTTP/2.0"), "505"],
    [request({}, "GET /"), "400"],
  ];
  for (const [text, status] of bad) {
    const answer = await ask(server, text);
    assert(answer.startsWith(`HTTP/1.1 ${status} `), `${JSON.stringify(text)}: ${answer}`);
  }
  assertEquals(urls, []);
  await server.close();
});

Deno.test("http.respond may answer with any status, and with a body of any length", async () => {
  const LARGE = "x".repeat(200_000);
  const pages: Record<string, () => Response> = {
    "/moved": () => Response.redirect("http://a.example/"),
    "/none": () => new Response(),
    "/gone": () => new Response("gone", { status: 410, statusText: "It Was Here" }),
    "/same": () => new Response(null, { status: 304, headers: { etag: '"7"' } }),
    "/large": () => new Response(LARGE),
    "/stream": () => new Response(ReadableStream.from(pieces())),
  };
  async function* pieces() {
    for (let n = 0; n < 20; n++) {
      yield new TextEncoder().encode(n === 7 ? "" : LARGE.slice(0, 10_000));
      await settle();
    }
  }
  const { server } = await served({
    respond: ({ url }) => (pages[new URL(url).pathname] ?? pages["/gone"])?.() ?? Response.error(),
  });
  const get = (path: string) => fetch(`http://${server.addr.host}${path}`, { redirect: "manual" });
  const moved = await get("/moved");
  assertEquals([moved.status, moved.headers.get("location")], [302, "http://a.example/"]);
  await moved.body?.cancel();
  assertEquals(await (await get("/none")).text(), "");
  const gone = await get("/gone");
  assertEquals([gone.status, await gone.text()], [410, "gone"]);
  const same = await get("/same");
  assertEquals([same.status, same.headers.get("etag"), await same.text()], [304, '"7"', ""]);
  const large = await get("/large");
  assertEquals(await large.text(), LARGE);
  const streamed = await get("/stream");
  assertEquals((await streamed.text()).length, 190_000);
  // Who knows no chunks gets none.
  const old = await ask(server, request({}, "GET /stream HTTP/1.0"));
  assert(!old.includes("chunked") && old.endsWith("\r\n\r\n" + LARGE.slice(0, 190_000)));
  await server.close();
});

Deno.test("http.respond that fails is a 500 that is told of, and the server goes on", async () => {
  const locked = new Response("x");
  locked.body?.getReader();
  const answers: (() => Response | Promise<Response>)[] = [
    () => {
      throw new Error("secret");
    },
    () => Promise.reject(new Error("secret")),
    () => Response.error(),
    () => locked,
    () =>
      new Response(ReadableStream.from({
        [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("secret")) }),
      })),
  ];
  let answer = answers[0];
  const { server, rejects, errors } = await served({
    respond: () => answer?.() ?? Response.error(),
  });
  for (answer of answers) {
    const got = await ask(server, request());
    assert(got.startsWith("HTTP/1.1 500 Internal Server Error\r\n"), got);
    assert(!got.includes("secret"));
  }
  await until(() => rejects().length === answers.length);
  assertEquals(server.stats().rejected, { INTERNAL: answers.length });
  assertEquals(errors().length, answers.length);
  assertEquals(errors().slice(0, 2), ["Error: secret", "Error: secret"]);
  await using client = await connect(server.addr);
  await works(client);
  await client.close();
  await server.close();
});

Deno.test("http.respond whose body fails midway leaves an answer that shows it", async () => {
  async function* body() {
    yield new Uint8Array(100_000).fill(65);
    await settle();
    throw new Error("secret");
  }
  const { server, errors } = await served({
    respond: () => new Response(ReadableStream.from(body())),
  });
  const response = await fetch(`http://${server.addr.host}/`);
  await assertRejects(() => response.text());
  const raw = await ask(server, request());
  assert(raw.includes("chunked") && !raw.endsWith("0\r\n\r\n"));
  await until(() => errors().length === 2);
  assertEquals(errors(), ["Error: secret", "Error: secret"]);
  await server.close();
});

Deno.test("http.respond learns that nobody takes its body any more", async () => {
  const cancelled = Promise.withResolvers<void>();
  const { server, rejects } = await served({
    respond: () =>
      new Response(
        new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
          cancel: () => cancelled.resolve(),
        }),
      ),
  });
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
  await writeAll(conn, join(request()));
  await conn.read(new Uint8Array(100));
  conn.close();
  await soon(cancelled.promise);
  // So does a server that ends.
  const endless = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
  await writeAll(endless, join(request()));
  await endless.read(new Uint8Array(100));
  await soon(server.close());
  assertEquals(rejects(), []);
  endless.close();
});

// ── other paths, other protocols ──

Deno.test("serve() has its sessions at the path of its address, or anywhere without one", async () => {
  const { server, rejects } = await served();
  const { host } = server.addr;
  for (const path of ["", "/", "/chat/", "/CHAT", "/cha"]) {
    const error = await assertRejects(
      () => connect(`ws://${host}${path}`, { openTimeout: 0 }),
      ConnectError,
    );
    assertEquals([error.code, error.initiator], ["WRONG_PROTOCOL", "remote"]);
    assertStringIncludes(error.message, "404 Not Found");
  }
  await using client = await connect(`ws://${host}/chat?room=1`);
  await works(client);
  assertEquals(`${client.remoteAddr}`, `ws://${host}/chat?room=1`);
  assertEquals(rejects().length, 5);
  await client.close();
  await server.close();
  await using anywhere = await serve("ws://127.0.0.1:0", { methods: { echo: (input) => input } });
  for (const path of ["", "/", "/a/b"]) {
    await using client = await connect(`ws://${anywhere.addr.host}${path}`);
    await works(client);
  }
});

Deno.test("serve() refuses a WebSocket of another subprotocol", async () => {
  const { server } = await served({ respond: () => new Response("page") });
  for (const protocols of [[], ["chat"], ["VNET.1"]]) {
    await assertRejects(() => connectWebSocket(server.addr, { protocols }), ConnectError, "400");
  }
  await using ws = await connectWebSocket(server.addr, { protocols: ["chat", VNET, "vnet.2"] });
  assertEquals(ws.protocol, VNET);
  await ws.close();
  await server.close();
});

// ── W6 ──

Deno.test("W6 serve() lets in pages of its own host and what is no page, unless http.accept decides", async () => {
  const open = async (server: Server, origin: string | undefined) => {
    const headers: HeadersInit = origin === undefined ? {} : { origin };
    const opening = connectWebSocket(server.addr, { protocols: [VNET], headers });
    const outcome = await opening.then(async (ws) => {
      const peer = new MessagePeer(ws);
      await peer.open();
      await ws.close();
      return "open";
    }, (error) => (assert(error instanceof ConnectError), error.code));
    return outcome;
  };
  const { server, rejects } = await served();
  const { host } = server.addr;
  const outcomes: [origin: string | undefined, outcome: string][] = [
    [undefined, "open"],
    [`http://${host}`, "open"],
    [`https://${host}`, "open"],
    ["http://evil.example", "AUTH_FAILED"],
    ["null", "AUTH_FAILED"],
    [`http://${host}.evil.example`, "AUTH_FAILED"],
  ];
  for (const [origin, outcome] of outcomes) assertEquals(await open(server, origin), outcome);
  await until(() => rejects().length === 3);
  assertEquals(server.stats().rejected, { AUTH_FAILED: 3 });
  await server.close();

  const asked: string[] = [];
  const choosy = await served({
    async accept(request, remoteAddr) {
      await settle();
      asked.push(`${request.headers.get("origin")} ${remoteAddr.hostname}`);
      return request.headers.get("origin") === "http://friend.example";
    },
  });
  assertEquals(await open(choosy.server, "http://friend.example"), "open");
  assertEquals(await open(choosy.server, undefined), "AUTH_FAILED");
  assertEquals(asked, ["http://friend.example 127.0.0.1", "null 127.0.0.1"]);
  await choosy.server.close();
});

Deno.test("W6 http.accept that fails lets nobody in, and is told of", async () => {
  const failing = [() => Promise.reject(new Error("secret")), () => {
    throw new Error("secret");
  }];
  for (const accept of failing) {
    const { server, rejects, errors } = await served({ accept });
    const error = await assertRejects(() => connect(server.addr, { openTimeout: 0 }), ConnectError);
    assertEquals(error.code, "WRONG_PROTOCOL");
    assertStringIncludes(error.message, "500");
    await until(() => rejects().length === 1);
    assertEquals([errors(), server.stats().rejected], [["Error: secret"], { INTERNAL: 1 }]);
    await server.close();
  }
});

// ── H1, H2 ──

Deno.test("H1 serve() answers other protocols in HTTP, hangs up, and says who they were", async () => {
  const strangers: [bytes: string, status: string][] = [
    ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"],
    ["\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", "400"],
    ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"],
    ["SSH-2.0-OpenSSH_9.6\r\n", "400"],
    ["\0\0\0\0", "400"],
    ["\x89PNG\r\n", "400"],
    [`GET /chat HTTP/1.1\r\nX: ${"y".repeat(20_000)}`, "431"],
    [request(UPGRADE).replace("Version: 13", "Version: 8"), "426"],
  ];
  const { server, rejects } = await served({ respond: () => new Response("page") });
  for (const [bytes, status] of strangers) {
    const answer = await ask(server, bytes);
    assert(answer.startsWith(`HTTP/1.1 ${status} `), `${JSON.stringify(bytes)}: ${answer}`);
  }
  // F9 begins a session, which says for itself what it thinks of the rest.
  assertEquals(await ask(server, "\xf9vnet\x01\x01\0"), "");
  await until(() => rejects().length === strangers.length + 1);
  assertEquals(server.stats().rejected, { PROTOCOL: strangers.length + 1 });
  await using client = await connect(server.addr);
  await works(client);
  await client.close();
  await server.close();
});

Deno.test("H1 serve() on a port for TLS drops who speaks none", async () => {
  const { server, rejects } = await served({}, {});
  await server.close();
  assertEquals(rejects(), []);
  await using secure = await serve("wss://127.0.0.1:0/", { tls: SERVER });
  assertEquals((await ask(secure, request(UPGRADE))).startsWith("HTTP"), false);
  await until(() => secure.stats().rejected.PROTOCOL === 1);
  await using client = await connect(secure.addr, { tls: CLIENT });
  assertEquals(client.state, "open");
});

/** A listener for sessions on a clock of the test's own, and what it gave and told. */
async function listening(maxPending: number, http: HttpOptions = {}) {
  const clock = new ManualClock();
  const told: ConnectError[] = [];
  const given: Transport[] = [];
  const listener: TransportListener = await listenWebSocketTransport(
    Addr.parse(HERE),
    { http, onHandshakeError: (error) => told.push(error) },
    { env: worldOf(clock), maxPending },
  );
  const accepting = (async () => {
    for await (const transport of listener) given.push(transport);
  })();
  const addr = Addr.of(listener.addr);
  const dial = () => Deno.connect({ hostname: addr.hostname, port: addr.port });
  const close = async () => {
    await listener.close();
    for (const transport of given) cutTransport(transport);
    await accepting;
  };
  return { addr, clock, told, given, dial, close };
}

Deno.test("H2 a port for WebSocket drops who is silent or slow, at 5 s in all", async () => {
  const { clock, told, dial, close } = await listening(100);
  const conns = await Promise.all(Array.from({ length: 6 }, dial));
  const [silent, drip, bare, page] = conns;
  assert(silent !== undefined && drip !== undefined && bare !== undefined && page !== undefined);
  await settle(10);
  const text = request(UPGRADE);
  for (let second = 0; second < 5; second++) {
    for (const conn of [drip, page]) await writeAll(conn, join(text.slice(second, second + 1)));
    await settle(5);
    assertEquals(told, []);
    await clock.advance(1_000);
  }
  await until(() => told.length === conns.length);
  assertEquals(told.map(({ code, initiator }) => `${code} ${initiator}`), [
    ...Array(6).fill("TIMEOUT remote"),
  ]);
  for (const conn of conns) {
    assertEquals(await answerOf(conn).catch(() => ""), "");
    conn.close();
  }
  assertEquals(clock.pending, 0);
  await close();
});

Deno.test("H2 a port for WebSocket that is full of the silent and the slow lets a good client in", async () => {
  const { addr, clock, told, given, dial, close } = await listening(8);
  const silent = await Promise.all(Array.from({ length: 8 }, dial));
  await Promise.all(silent.slice(0, 4).map((conn) => writeAll(conn, join("GET /chat HT"))));
  const opening = connectWebSocket(addr, { protocols: [VNET] });
  await settle(20);
  assertEquals([given.length, told.length], [0, 0]);
  await clock.advance(1_000);
  const ws = await soon(opening);
  await until(() => given.length === 1);
  // The oldest made way, and one more for whoever comes next.
  assert(told.length <= 2 && told.every(({ code }) => code === "TIMEOUT"), `${told}`);
  assertStringIncludes(told[0]?.message ?? "", "others wait for its place");
  await close();
  await ws.closed;
  for (const conn of silent) conn.close();
});

Deno.test("H2 hooks of a port for WebSocket that never end are not waited for", async () => {
  for (const hook of ["respond", "accept"] as const) {
    const stuck = Promise.withResolvers<never>();
    const { clock, told, dial, close } = await listening(8, { [hook]: () => stuck.promise });
    const conn = await dial();
    await writeAll(conn, join(request(hook === "accept" ? UPGRADE : {})));
    await settle(10);
    await clock.advance(5_000);
    assertEquals(await answerOf(conn).catch(() => ""), "");
    await until(() => told.length === 1);
    assertEquals(told[0]?.code, "TIMEOUT");
    conn.close();
    // Another one is there when the port is closed.
    const last = await dial();
    await writeAll(last, join(request(hook === "accept" ? UPGRADE : {})));
    await settle(10);
    await soon(close());
    assertEquals(await answerOf(last).catch(() => ""), "");
    last.close();
    assertEquals([told.length, clock.pending], [1, 0]);
  }
});

Deno.test("H2 a page is cut off after a minute, or when others wait for its place", async () => {
  const pull = (controller: ReadableStreamDefaultController) =>
    controller.enqueue(new Uint8Array(65_536));
  let ended = 0;
  const respond = () => new Response(new ReadableStream({ pull, cancel: () => void ended++ }));
  const full = await listening(2, { respond });
  const readers = [await full.dial(), await full.dial()];
  for (const conn of readers) await writeAll(conn, join(request()));
  for (const conn of readers) await conn.read(new Uint8Array(100));
  const opening = connectWebSocket(full.addr, { protocols: [VNET] });
  await settle(20);
  assertEquals([ended, full.given.length], [0, 0]);
  await full.clock.advance(1_000);
  const ws = await soon(opening);
  await until(() => ended > 0 && full.given.length === 1);
  await full.close();
  await ws.closed;
  assertEquals([ended, full.told], [2, []]);

  const quiet = await listening(2, { respond });
  const reader = await quiet.dial();
  await writeAll(reader, join(request()));
  await reader.read(new Uint8Array(100));
  await quiet.clock.advance(59_999);
  await settle(5);
  assertEquals(ended, 2);
  await quiet.clock.advance(1);
  await until(() => ended === 3);
  await quiet.close();
  for (const conn of [...readers, reader]) conn.close();
});

Deno.test("a port for WebSocket that is closed lets go of all who are no sessions yet", async () => {
  const { addr, clock, told, dial, close } = await listening(100);
  const text = request(UPGRADE);
  const begun = ["", "G", text.slice(0, 60), "\x16\x03", "GET / HTTP/1.1\r\n\r\n"];
  const conns = await Promise.all(begun.map(async (start) => {
    const conn = await dial();
    await writeAll(conn, Uint8Array.from(start, (char) => char.charCodeAt(0)));
    return conn;
  }));
  await settle(20);
  await soon(close());
  for (const conn of conns) {
    await answerOf(conn).catch(() => "");
    conn.close();
  }
  // Those who are being told that they are wrong are no news of the port's end.
  assert(told.every(({ code }) => code === "WRONG_PROTOCOL") && told.length <= 2, `${told}`);
  assertEquals(clock.pending, 0);
  await assertRejects(() => connectWebSocket(addr), ConnectError);
});
