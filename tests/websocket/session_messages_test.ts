/**
 * Messages that carry frames, by hand at one end: how frames may be cut into messages and how not, how
 * long a message may be, and how the end of a WebSocket is told.
 */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  attach,
  type Client,
  ClosedError,
  connect,
  ConnectError,
  type ConnectOptions,
  type DrainInfo,
  serve,
  type ServeOptions,
  type ServerEvent,
  VnetError,
} from "@vgo/vnet";
import {
  connectWebSocket,
  serveWebSocket,
  upgradeWebSocket,
  type WebSocketConn,
} from "@vgo/vnet/websocket";
import { encodeRequest } from "../../src/wire/call.ts";
import { FrameType } from "../../src/wire/constants.ts";
import * as control from "../../src/wire/control.ts";
import * as handshake from "../../src/wire/handshake.ts";
import { encodeMessage } from "../../src/wire/message.ts";
import { body, join, sameFrame } from "../_support/feed.ts";
import { encoded, HELLO, rawFrame } from "../_support/wire_client.ts";
import { type Encoder, MessagePeer, soon, until, VNET } from "./_session.ts";

const HERE = "ws://127.0.0.1:0/";
const EMPTY = new Uint8Array(0);
const message = (seq: number, payload: Uint8Array): Encoder => (out) =>
  encodeMessage(out, seq, "", payload);
const hello: Encoder = (out) => handshake.encodeHello(out, HELLO);

/** A server and what it got. */
async function served(options: ServeOptions = {}) {
  const got: number[] = [];
  const events: ServerEvent<unknown>[] = [];
  const server = await serve(HERE, {
    heartbeat: false,
    onMessage: ({ body }) => void got.push(body.length),
    onEvent: (event) => events.push(event),
    ...options,
  });
  const dial = async () =>
    new MessagePeer(await connectWebSocket(server.addr, { protocols: [VNET] }));
  const [rejects, ends] = [() => told("reject"), () => told("disconnect")];
  const told = (type: "reject" | "disconnect") =>
    events.flatMap((event) =>
      event.type !== type
        ? []
        : [event.type === "reject" ? event.code : `${event.info.code} ${event.info.initiator}`]
    );
  return { server, got, dial, rejects, ends };
}

/** A server by hand, and a client of it. */
async function dialled(
  play: (peer: MessagePeer) => Promise<unknown>,
  fn: (client: Client, peer: MessagePeer) => Promise<void>,
  options: ConnectOptions = {},
): Promise<void> {
  const peers: MessagePeer[] = [];
  const playing: Promise<unknown>[] = [];
  await using server = await serveWebSocket(HERE, {
    protocols: [VNET],
    onOpen: (ws) => {
      const peer = new MessagePeer(ws, "server");
      peers.push(peer);
      playing.push(play(peer));
    },
  });
  const client = await connect(server.addr, { reconnect: false, heartbeat: false, ...options });
  await Promise.all(playing);
  const [peer] = peers;
  assert(peer !== undefined);
  await fn(client, peer);
  client.abort();
  await client.closed;
}

// ── frames in messages ──

Deno.test("serve() over WebSocket takes several frames in a message, and messages of one frame", async () => {
  const { server, got, dial } = await served({ methods: { echo: (input) => input } });
  const peer = await dial();
  await peer.open();
  await peer.send(
    message(1, body(1)),
    message(2, body(100_000)),
    (out) => encodeRequest(out, 1, 3, 0, "echo", true, body(5)),
    (out) => control.encodePing(out, 7, 0),
  );
  await peer.send(message(4, EMPTY));
  assertEquals((await peer.next(FrameType.RESPONSE)).body, body(5));
  await until(() => got.length === 3);
  assertEquals(got, [1, 100_000, 0]);
  assertEquals(peer.frames.filter(({ type }) => type === FrameType.PONG).length, 1);
  await server.close({ grace: 0 });
  assertEquals(await peer.farewell(), "CLOSE DRAINING, 1000");
});

Deno.test("serve() over WebSocket takes a message in fragments, with pings between them", async () => {
  const { server, got, dial } = await served();
  const peer = await dial();
  await peer.open();
  const frames = encoded(message(1, body(300)), message(2, body(70_000)), message(3, body(3)));
  const cuts = [1, 16, 17, 316, 400, 66_000];
  let from = 0;
  for (const [n, to] of cuts.entries()) {
    peer.socket.write(frames.subarray(from, to), n === 0 ? 2 : 0, { fin: false });
    peer.socket.ping();
    from = to;
  }
  peer.socket.write(frames.subarray(from), 0);
  await until(() => got.length === 3);
  assertEquals(got, [300, 70_000, 3]);
  assert(await peer.socket.ping() >= 0);
  await peer.socket.close();
  await server.close();
});

const BREACHES: [name: string, send: (ws: WebSocketConn) => unknown, code: string, ws: number][] = [
  ["text", (ws) => ws.send("hello"), "PROTOCOL", 1003],
  ["an empty text", (ws) => ws.send(""), "PROTOCOL", 1003],
  ["an empty message", (ws) => ws.send(EMPTY), "BAD_FRAME", 1000],
  [
    "a message that ends inside a frame",
    (ws) => ws.send(encoded(message(1, body(50))).subarray(0, 40)),
    "BAD_FRAME",
    1000,
  ],
  [
    "a message that ends inside its second frame",
    (ws) => ws.send(encoded(message(1, body(5)), message(2, body(5))).subarray(0, -1)),
    "BAD_FRAME",
    1000,
  ],
  ["three bytes", (ws) => ws.send(body(3)), "BAD_FRAME", 1000],
];

for (const [name, send, code, status] of BREACHES) {
  Deno.test(`W7 serve() ends a session that sends ${name} with ${code}`, async () => {
    const { server, dial, ends } = await served();
    const peer = await dial();
    await peer.open();
    send(peer.socket);
    // What comes after it means nothing any more.
    peer.send(message(1, body(5))).catch(() => {});
    assertEquals(await peer.farewell(), `CLOSE ${code}, ${status}`);
    assertEquals(ends(), [`${code} remote`]);
    assertEquals(server.peers.size, 0);
    await server.close();
  });

  Deno.test(`W7 connect() ends a session whose server sends ${name} with ${code}`, async () => {
    await dialled(async (peer) => {
      await peer.welcome();
      send(peer.socket);
    }, async (client, peer) => {
      assertEquals(await peer.farewell(), `CLOSE ${code}, ${status}`);
      const info = await soon(client.closed);
      assertEquals([info.code, info.initiator], [code, "remote"]);
    });
  });
}

Deno.test("W7 serve() refuses who begins with anything but frames", async () => {
  const { server, dial, rejects } = await served();
  const first: [send: (peer: MessagePeer) => unknown, farewell: string][] = [
    [({ socket }) => socket.send("hello"), "REJECT PROTOCOL, 1003"],
    [({ socket }) => socket.send(EMPTY), "REJECT BAD_FRAME, 1000"],
    [({ socket }) => socket.send(encoded(hello).subarray(0, 30)), "REJECT BAD_FRAME, 1000"],
    [
      ({ socket }) => socket.send(encoded(handshake.encodeClientPreface)),
      "REJECT FRAME_TOO_LARGE, 1000",
    ],
    [(peer) => peer.send(message(1, body(1))), "REJECT PROTOCOL, 1000"],
  ];
  for (const [send, farewell] of first) {
    const peer = await dial();
    send(peer);
    assertEquals(await peer.farewell(), farewell);
  }
  await until(() => rejects().length === first.length);
  assertEquals(rejects(), first.map(([, farewell]) => /REJECT (\w+)/.exec(farewell)?.[1]));
  assertEquals(server.stats().total, 0);
  await server.close();
});

// ── how long messages are ──

Deno.test("H3 serve() takes a first message of 16 KiB, and none that is longer", async () => {
  const { server, dial, rejects } = await served();
  const long = (length: number) => {
    const filled = { ...HELLO, auth: new Uint8Array(length - encoded(hello).length) };
    return encoded((out) => handshake.encodeHello(out, filled));
  };
  const good = await dial();
  await good.socket.send(long(16_384));
  await good.next(FrameType.WELCOME);
  const bad = await dial();
  await bad.socket.send(new Uint8Array([...long(16_384), 0]));
  assertEquals(await bad.farewell(), "1009");
  // Its header is enough: not a byte of a message is kept that may not come.
  const claim = await dial();
  await claim.socket.write(new Uint8Array(16_000), 2, { fin: false });
  await claim.socket.write(new Uint8Array(385), 0);
  assertEquals(await claim.farewell(), "1009");
  assertEquals(rejects(), ["FRAME_TOO_LARGE", "FRAME_TOO_LARGE"]);
  await good.socket.close();
  await server.close();
});

Deno.test("serve() over WebSocket takes messages of 1 MiB, and none that is longer", async () => {
  const { server, got, dial, ends } = await served();
  const MIB = 1 << 20;
  const peer = await dial();
  await peer.open();
  await peer.socket.send(ignored(MIB));
  await peer.send(message(1, body(5)));
  await until(() => got.length === 1);
  peer.socket.send(ignored(MIB + 1)).catch(() => {});
  assertEquals(await peer.farewell(), "1009");
  await until(() => ends().length > 0);
  assertEquals(ends(), ["FRAME_TOO_LARGE remote"]);
  await server.close();
});

/** So many bytes of frames that mean nothing to anybody, and that cost no credit. */
function ignored(length: number): Uint8Array {
  const frames: Uint8Array[] = [];
  for (let left = length; left > 0;) {
    const size = left < 250_000 ? left : 200_000;
    frames.push(rawFrame({ type: 0x90 }, new Uint8Array(size - 16)));
    left -= size;
  }
  return join(...frames);
}

Deno.test("serve() takes longer messages where a frame may be longer", async () => {
  const { server, got, dial } = await served({ limits: { maxFrameLength: 1 << 20 } });
  const peer = await dial();
  await peer.open();
  const pieces = Array.from({ length: 3 }, (_, n) => message(n + 1, body((1 << 20) - 100)));
  await peer.send(...pieces);
  await until(() => got.length === 3);
  await peer.socket.close();
  await server.close();
});

// ── ends ──

Deno.test("connect() tells why a server of another kind has closed the WebSocket", async () => {
  await dialled((peer) => peer.welcome(), async (client, peer) => {
    await peer.socket.close(1008, "Not like this");
    const info: DrainInfo = await soon(client.closed);
    assertEquals([info.code, info.initiator], ["LINK_LOST", "network"]);
    const { cause } = info.error ?? {};
    assertInstanceOf(cause, VnetError);
    assertEquals(
      [cause.message, cause.initiator],
      ["The other end has closed the WebSocket with 1008: Not like this", "remote"],
    );
  });
  await dialled((peer) => peer.welcome(), async (client, peer) => {
    await peer.socket.close();
    const info: DrainInfo = await soon(client.closed);
    assertEquals([info.code, info.error?.cause], ["LINK_LOST", undefined]);
  });
  await dialled((peer) => peer.welcome(), async (client, peer) => {
    peer.socket.abort();
    assertEquals((await soon(client.closed)).code, "LINK_LOST");
  });
});

Deno.test("connect() ends with the rule of WebSocket that its server broke", async () => {
  await dialled((peer) => peer.welcome(), async (client, peer) => {
    // A frame that nothing continues.
    const broken = peer.socket.write(body(5), 2, { fin: false });
    await broken;
    await peer.socket.pong();
    const huge = new Uint8Array((1 << 20) + 1);
    peer.socket.write(huge, 0).catch(() => {});
    assertEquals((await soon(peer.closed)).code, 1009);
    const info = await soon(client.closed);
    assertEquals([info.code, info.initiator], ["FRAME_TOO_LARGE", "remote"]);
  });
});

// ── any WebSocket ──

Deno.test("attach() takes any WebSocketConn, on either side", async () => {
  const attached = Promise.withResolvers<DrainInfo>();
  const methods = { double: (input: Uint8Array) => input.map((byte) => 2 * byte) };
  await using server = await serveWebSocket(HERE, {
    onOpen: async (ws) => {
      const peer = await attach(ws, { side: "server", methods });
      assertEquals(await peer.call("double", body(10)), methods.double(body(10)));
      attached.resolve(await peer.closed);
    },
  });
  const ws = await connectWebSocket(server.addr);
  const client = await attach(ws, { side: "client", id: "ann", methods });
  assertEquals(client.remoteAddr.host, server.addr.host);
  assertEquals(await client.call("double", body(200_000)), methods.double(body(200_000)));
  const [info, other] = await Promise.all([client.close({ reason: "done" }), attached.promise]);
  assertEquals([info.code, other.code, other.reason], ["NORMAL", "NORMAL", "done"]);
  assertEquals((await ws.closed).code, 1000);
});

Deno.test("attach() of a WebSocketConn refuses text", async () => {
  const refusals: unknown[] = [];
  await using server = await serveWebSocket(HERE, {
    onOpen: (ws) => attach(ws, { side: "server" }).catch((error) => refusals.push(error)),
  });
  const ws = await connectWebSocket(server.addr);
  const peer = new MessagePeer(ws);
  await ws.send("hello");
  assertEquals(await peer.farewell(), "REJECT PROTOCOL, 1000");
  await until(() => refusals.length === 1);
  const [error] = refusals;
  assertInstanceOf(error, ConnectError);
  assertEquals([error.code, error.initiator], ["PROTOCOL", "remote"]);
});

Deno.test("Server.attach() takes a WebSocketConn in beside its own listeners", async () => {
  await using server = await serve("tcp://127.0.0.1:0", { methods: { echo: (input) => input } });
  await using sockets = await serveWebSocket(HERE, {
    protocols: [VNET],
    onOpen: (ws) => server.attach(ws),
  });
  await using ann = await connect(sockets.addr, { id: "ann" });
  await using bob = await connect(server.addr, { id: "bob" });
  for (const client of [ann, bob]) assertEquals(await client.call("echo", body(3)), body(3));
  assertEquals([...server.peers].map(({ id }) => id).sort(), ["ann", "bob"]);
  const gone = assertRejects(() => ann.call("none"), Error);
  await gone;
  assertEquals(ann.state, "open");
});

Deno.test("Server.attach() takes the WebSocket of a request of Deno.serve", async () => {
  await using server = await serve([], { methods: { echo: (input) => input } });
  const http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { socket, response } = upgradeWebSocket(request, { protocols: [VNET] });
    server.attach(socket);
    return response;
  });
  const address = `ws://127.0.0.1:${http.addr.port}`;
  const ann = await connect(address, { id: "ann" });
  const large = body(500_000);
  assert(sameFrame(await ann.call("echo", large), large));
  assertEquals((await ann.close()).code, "NORMAL");
  const bob = await connect(address, { id: "bob", reconnect: false });
  server.peers.get("bob")?.abort();
  assertEquals((await soon(bob.closed)).code, "LINK_LOST");
  await http.shutdown();
});

Deno.test("a send over a WebSocket that has ended rejects, and its session is over", async () => {
  await dialled((peer) => peer.welcome(), async (client, peer) => {
    peer.socket.abort();
    await soon(client.closed);
    await assertRejects(() => client.send(body(1)), ClosedError);
  });
});
