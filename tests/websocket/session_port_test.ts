/**
 * What a port for sessions over WebSocket does with whoever comes: other protocols, other paths, pages of
 * other hosts, and vnet without a WebSocket around it.
 */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Addr, connect, ConnectError, serve, type Server } from "@vgo/vnet";
import { connectWebSocket } from "@vgo/vnet/websocket";
import { join } from "../_support/feed.ts";
import { certs, CLIENT, SERVER } from "../tls/_support.ts";
import { answerOf, ask, HERE, request, served, UPGRADE, works } from "./_port.ts";
import { MessagePeer, until, VNET } from "./_session.ts";
import { settle, writeAll } from "./_support.ts";

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
