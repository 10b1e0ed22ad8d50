/** Servers on loopback: routes, who comes in, the table of clients, endings. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import {
  type Acceptance,
  ConnectError,
  connectWebSocket,
  serveWebSocket,
  type WebSocketServer,
} from "@vgo/vnet/websocket";
import { body, join } from "../_support/feed.ts";
import { CLIENT, SERVER } from "../tls/_support.ts";
import { settle, take, writeAll } from "./_support.ts";

const MIB = new Uint8Array(1 << 20).fill(7);
const HERE = "ws://127.0.0.1:0/";

/** Sends a request as it is; gives the whole answer. */
async function ask(server: WebSocketServer, text: string): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
  await writeAll(conn, join(text));
  let answer = "";
  const buffer = new Uint8Array(4_096);
  for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
    answer += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return answer;
}

/** Waits for what both ends need a moment for. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await settle();
}

function request(fields: Readonly<Record<string, string>> = {}, path = "/"): string {
  const all = {
    Host: "127.0.0.1",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    ...fields,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

Deno.test("serveWebSocket() answers at its route, and 404 elsewhere", async () => {
  await using server = await serveWebSocket("ws://127.0.0.1:0/chat");
  const { port } = server.addr;
  assertEquals(`${server.addr}`, `ws://127.0.0.1:${port}/chat`);
  await using ws = await connectWebSocket(`ws://127.0.0.1:${port}/chat?room=1`);
  assertEquals(ws.url, `ws://127.0.0.1:${port}/chat?room=1`);
  for (const path of ["/", "/chat/", "/cha", "/CHAT"]) {
    const error = await assertRejects(
      () => connectWebSocket(`ws://127.0.0.1:${port}${path}`),
      ConnectError,
      "it has answered 404 Not Found",
    );
    assertInstanceOf(error, ConnectError);
    assertEquals(error.code, "WRONG_PROTOCOL");
  }
});

Deno.test("serveWebSocket() without a path answers everywhere", async () => {
  await using server = await serveWebSocket("127.0.0.1:0");
  assertEquals(server.addr.transport, "ws");
  for (const path of ["", "/", "/a/b?c"]) {
    await using _ws = await connectWebSocket(`ws://127.0.0.1:${server.addr.port}${path}`);
  }
});

Deno.test("serveWebSocket() on several addresses: one port may have several routes", async () => {
  await using first = await serveWebSocket(HERE);
  const port = first.addr.port;
  await first.close();
  await using server = await serveWebSocket([
    `ws://127.0.0.1:${port}/a`,
    `ws://127.0.0.1:${port}/b`,
    "ws://127.0.0.1:0/c",
  ]);
  assertEquals(server.addrs.map(({ path }) => path), ["/a", "/b", "/c"]);
  const sockets = await Promise.all(server.addrs.map((addr) => connectWebSocket(addr)));
  await until(() => server.clients.size === 3);
  await assertRejects(() => connectWebSocket(`ws://127.0.0.1:${port}/c`), ConnectError, "404");
  for (const ws of sockets) await ws.close();
});

Deno.test("serveWebSocket() binds all addresses or none", async () => {
  await using server = await serveWebSocket(HERE);
  const used = server.addr;
  await using free = await serveWebSocket(HERE);
  await free.close();
  const error = await assertRejects(() => serveWebSocket([free.addr, used]), ConnectError);
  assertInstanceOf(error, ConnectError);
  assertEquals(error.code, "ADDRESS_IN_USE");
  await using _again = await serveWebSocket(free.addr);
});

Deno.test("serveWebSocket() refuses addresses and options that make no sense", async () => {
  await assertRejects(() => serveWebSocket([]), TypeError, "there must be an address");
  await assertRejects(() => serveWebSocket("unix:/tmp/x"), TypeError, "one of ws or wss");
  await assertRejects(() => serveWebSocket("wss://127.0.0.1:0/"), TypeError, "'tls' must give");
  await assertRejects(() => serveWebSocket(HERE, { maxConnections: 0 }), RangeError);
  await assertRejects(() => serveWebSocket(HERE, { protocols: ["a b"] }), TypeError);
  const signal = AbortSignal.abort("no");
  assertEquals(await serveWebSocket(HERE, { signal }).catch((reason) => reason), "no");
});

Deno.test("accept decides by the request and where it comes from", async () => {
  const seen: [string, string, string][] = [];
  await using server = await serveWebSocket(HERE, {
    protocols: ["a", "b"],
    accept(request, remoteAddr): Acceptance {
      seen.push([request.url, request.headers.get("x-who") ?? "", remoteAddr.hostname]);
      switch (request.headers.get("x-who")) {
        case "ann":
          return { protocol: "b", headers: { "x-for": "ann" } };
        case "bob":
          return new Response("Not today", { status: 418, headers: { "x-why": "tea" } });
        case "eve":
          return false;
        case "odd":
          return { protocol: "c" };
        default:
          return true;
      }
    },
  });
  const { port } = server.addr;
  const open = (who: string) =>
    connectWebSocket(server.addr, { protocols: ["a", "b"], headers: { "x-who": who } });
  await using ann = await open("ann");
  await using guest = await open("");
  assertEquals([ann.protocol, guest.protocol], ["b", "a"]);
  assertEquals(seen[0], [`http://127.0.0.1:${port}/`, "ann", "127.0.0.1"]);
  await assertRejects(() => open("eve"), ConnectError, "answered 403 Forbidden");
  await assertRejects(() => open("bob"), ConnectError, "answered 418");
  assertEquals(
    await ask(server, request({ "x-who": "bob" })),
    "HTTP/1.1 418\r\ncontent-type: text/plain;charset=UTF-8\r\nx-why: tea\r\nConnection: close\r\nContent-Length: 9\r\n\r\nNot today"
      .replace("418\r", "418 \r"),
  );
});

Deno.test("accept that throws, rejects or chooses what nobody offered is a 500 that is reported", async () => {
  const choices: (() => Acceptance | Promise<Acceptance>)[] = [
    () => {
      throw new Error("secret");
    },
    () => Promise.reject(new Error("secret")),
    () => ({ protocol: "c" }),
    () => ({ headers: { upgrade: "x" } }),
  ];
  for (const accept of choices) {
    const logged: string[] = [];
    await using server = await serveWebSocket(HERE, {
      accept,
      logger: { error: (_message, fields) => logged.push(`${fields?.error}`) },
    });
    await assertRejects(
      () => connectWebSocket(server.addr, { protocols: ["a"] }),
      ConnectError,
      "500",
    );
    assertEquals(logged.length, 1);
    assert(!(await ask(server, request())).includes("secret"));
  }
});

Deno.test("W6 pages of other hosts are refused, unless accept lets them in", async () => {
  await using server = await serveWebSocket(HERE);
  const host = server.addr.host;
  const answers: [origin: string, status: string][] = [
    [`http://${host}`, "101"],
    ["http://evil.example", "403"],
    ["null", "403"],
    [`http://${host}.evil.example`, "403"],
  ];
  for (const [origin, status] of answers) {
    const opening = connectWebSocket(server.addr, { headers: { origin } });
    if (status === "101") await (await opening).close();
    else await assertRejects(() => opening, ConnectError, status);
  }
  await using open = await serveWebSocket(HERE, {
    accept: (request) => request.headers.get("origin") === "https://friend.example",
  });
  await using _friend = await connectWebSocket(open.addr, {
    headers: { origin: "https://friend.example" },
  });
  await assertRejects(
    () => connectWebSocket(open.addr, { headers: { origin: `http://${open.addr.host}` } }),
    ConnectError,
    "403",
  );
});

Deno.test("W5 strangers get an answer that fits, and the server goes on", async () => {
  await using server = await serveWebSocket(HERE, { onMessage: (message, ws) => ws.send(message) });
  const bombs: [string, string][] = [
    ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 Upgrade Required\r\n"],
    [request({ "Sec-WebSocket-Version": "8" }), "HTTP/1.1 426 Upgrade Required\r\n"],
    [request({ Host: "a b" }), "HTTP/1.1 400 Bad Request\r\n"],
    [
      request({ "Sec-WebSocket-Protocol": `a${" ".repeat(9_000)}b` }),
      "HTTP/1.1 400 Bad Request\r\n",
    ],
    [request({ "X-A": "x".repeat(20_000) }), "HTTP/1.1 431 Request Header Fields Too Large\r\n"],
    [`GET / HTTP/1.1\r\n${"A: b\r\n".repeat(2_000)}\r\n`, "HTTP/1.1 431 "],
    ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "HTTP/1.1 400 Bad Request\r\n"],
  ];
  for (const [text, answer] of bombs) {
    const got = await ask(server, text);
    assert(got.startsWith(answer), got);
    assert(got.includes("Connection: ") || got.includes("connection: "), got);
  }
  await using ws = await connectWebSocket(server.addr);
  ws.send("still here");
  assertEquals(await take(ws, 1), ["still here"]);
});

Deno.test("clients has who is here, by id; the loop gives each once", async () => {
  const log: string[] = [];
  const server = await serveWebSocket(HERE, { onClose: ({ code }) => log.push(`${code}`) });
  const one = await connectWebSocket(server.addr);
  const loop = server[Symbol.asyncIterator]();
  const first = (await loop.next()).value;
  assert(first !== undefined);
  assert(server.clients.get(first.id) === first);
  const two = await connectWebSocket(server.addr);
  const second = (await loop.next()).value;
  assert(second !== undefined && second.id !== first.id);
  assertEquals(server.clients.size, 2);
  await one.close(4_000);
  await first.closed;
  assertEquals([...server.clients.keys()], [second.id]);
  const last = loop.next();
  const closing = server.close({ reason: "maintenance" });
  assertEquals((await last).done, true);
  const info = await two.closed;
  assertEquals([info.code, info.reason], [1001, "maintenance"]);
  assertEquals((await closing).code, "NORMAL");
  assertEquals([server.clients.size, log], [0, ["4000", "1001"]]);
});

Deno.test("broadcast() reaches all, encoded once, whatever each has agreed on", async () => {
  await using server = await serveWebSocket(HERE, { compression: true });
  const plain = await connectWebSocket(server.addr);
  const packed = await connectWebSocket(server.addr, { compression: true });
  const all = [plain, packed];
  await until(() => server.clients.size === 2);
  for (const message of ["short", "x".repeat(5_000), body(100_000)]) {
    assertEquals(server.broadcast(message), 2);
    for (const ws of all) assertEquals(await take(ws, 1), [message]);
  }
  await plain.close();
  await until(() => server.clients.size <= 1);
  assertEquals(server.broadcast("one left"), 1);
  assertEquals(await take(packed, 1), ["one left"]);
  await packed.close();
});

Deno.test("M2 broadcast() leaves out who does not take anything, and nobody waits for it", async () => {
  await using server = await serveWebSocket(HERE);
  const slow = await connectWebSocket(server.addr, { readAhead: 1 });
  const fast = await connectWebSocket(server.addr);
  await until(() => server.clients.size === 2);
  let taken = 0;
  const taking = (async () => {
    for await (const message of fast) taken += message.length;
  })();
  // Ten of them would fit into nobody's buffers: from then on only one takes what is sent.
  for (let alone = 0; alone < 40;) {
    if (server.broadcast(MIB) === 1) alone++;
    await until(() => [...server.clients.values()].some(({ queued }) => queued.bytes === 0));
  }
  const most = Math.max(...[...server.clients.values()].map(({ queued }) => queued.bytes));
  assert(most < 2 << 20, `${most} bytes wait for the slow one`);
  slow.abort();
  await server.close();
  await taking;
  assert(taken >= 40 << 20, `${taken}`);
});

Deno.test("close() waits for clients, and cuts those that do not answer within the grace", async () => {
  const server = await serveWebSocket(HERE);
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
  await writeAll(conn, join(request()));
  await until(() => server.clients.size > 0);
  const [client] = server.clients.values();
  await server.close({ grace: 20 });
  assertEquals((await client?.closed)?.code, 1006);
  assertThrows(() => void server.close({ grace: -1 }), RangeError);
  assertEquals((await server.close()).code, "NORMAL");
});

Deno.test("abort(), a signal and close() within its grace end all at once", async () => {
  const ways: ((server: WebSocketServer, stop: AbortController) => unknown)[] = [
    (server) => server.abort("now"),
    (_server, stop) => stop.abort("now"),
    (server) => server.close({ signal: AbortSignal.abort() }),
  ];
  for (const end of ways) {
    const stop = new AbortController();
    const server = await serveWebSocket(HERE, { signal: stop.signal });
    const ws = await connectWebSocket(server.addr);
    await until(() => server.clients.size === 1);
    const [client] = server.clients.values();
    end(server, stop);
    const info = await server.closed;
    assertEquals((await client?.closed)?.initiator, "local");
    assert(info.code === "ABORTED" ? info.reason === "now" : info.code === "NORMAL");
    await ws.closed;
    await server.close();
    server.abort();
  }
});

Deno.test("H2 a stranger that is silent is dropped after handshakeTimeout; closing the server drops it too", async () => {
  const server = await serveWebSocket(HERE, { handshakeTimeout: 20 });
  assertEquals(await ask(server, "GET / HTTP/1.1\r\n"), "");
  await server.close();
  const patient = await serveWebSocket(HERE, { handshakeTimeout: 60_000 });
  const asking = ask(patient, "GET / HTTP/1.1\r\n");
  const accept = ask(patient, "G");
  await settle(20);
  await patient.close();
  await Promise.allSettled([asking, accept]);
});

Deno.test("who comes beyond maxConnections is answered 503", async () => {
  await using server = await serveWebSocket(HERE, { maxConnections: 2 });
  const sockets = [await connectWebSocket(server.addr), await connectWebSocket(server.addr)];
  await until(() => server.clients.size === 2);
  const error = await assertRejects(() => connectWebSocket(server.addr), ConnectError, "503");
  assertInstanceOf(error, ConnectError);
  assertEquals(error.code, "TOO_MANY_CONNECTIONS");
  await sockets[0]?.close();
  await until(() => server.clients.size <= 1);
  await using _third = await connectWebSocket(server.addr);
  await sockets[1]?.close();
});

Deno.test("wss: the same over TLS, and a certificate that is not trusted is refused", async () => {
  await using server = await serveWebSocket("wss://127.0.0.1:0/", {
    tls: SERVER,
    onMessage: (message, ws) => ws.send(message),
  });
  const url = `wss://localhost:${server.addr.port}/`;
  await using ws = await connectWebSocket(url, { tls: CLIENT });
  assertEquals(ws.url, url);
  for (const message of ["text", body(100_000)]) {
    await ws.send(message);
    assertEquals(await take(ws, 1), [message]);
  }
  assert(await ws.ping() >= 0);
  assertEquals((await ws.close(4_000)).wasClean, true);
  await assertRejects(() => connectWebSocket(url), ConnectError);
});

Deno.test("connectWebSocket() says why there is no WebSocket", async () => {
  const codeOf = async (url: string, options = {}) => {
    const error = await assertRejects(() => connectWebSocket(url, options), ConnectError);
    assertInstanceOf(error, ConnectError);
    return error.code;
  };
  const here = { hostname: "127.0.0.1", port: 0 };
  using silent = Deno.listen(here);
  const url = `ws://127.0.0.1:${silent.addr.port}`;
  assertEquals(await codeOf(url, { timeout: 20 }), "TIMEOUT");
  const stop = new AbortController();
  const aborted = connectWebSocket(url, { signal: stop.signal }).catch((reason) => reason);
  await settle(5);
  stop.abort("enough");
  assertEquals(await aborted, "enough");
  const accepted = [await silent.accept(), await silent.accept()];
  for (const conn of accepted) conn.close();

  for (const answer of ["SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\n\r\n", ""]) {
    using listener = Deno.listen(here);
    const serving = (async () => {
      using conn = await listener.accept();
      await conn.read(new Uint8Array(1_000));
      await writeAll(conn, join(answer));
    })();
    const code = await codeOf(`ws://127.0.0.1:${listener.addr.port}`);
    assertEquals(code, answer === "" ? "UNREACHABLE" : "WRONG_PROTOCOL");
    await serving;
  }
  using refused = Deno.listen(here);
  refused.close();
  assertEquals(await codeOf(`ws://127.0.0.1:${refused.addr.port}`), "REFUSED");
  await assertRejects(() => connectWebSocket("ws://127.0.0.1:1", { timeout: 0 }), RangeError);
  await assertRejects(() => connectWebSocket("ftp://x"), TypeError);
});
