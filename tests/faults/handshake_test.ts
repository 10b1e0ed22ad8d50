/**
 * Handshake faults (rows H1 to H5): who does not speak as it must does not come in, is told why where it
 * can understand it, and leaves nothing behind.
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { type ClientEvent, connect, ConnectError, type Registration } from "@vgo/vnet";
import { FrameType } from "../../src/wire/constants.ts";
import * as control from "../../src/wire/control.ts";
import * as handshake from "../../src/wire/handshake.ts";
import { encodeMessage } from "../../src/wire/message.ts";
import { Rng } from "../_support/rng.ts";
import { encoded, failure, HELLO, rawFrame, utf8, WELCOME } from "../_support/wire_client.ts";
import { WireServer } from "../_support/wire_server.ts";
import { World } from "../_support/world.ts";

const PREFACE = encoded(handshake.encodeClientPreface);
const LINGER = 1_000;

const STRANGERS: Record<string, Uint8Array> = {
  "HTTP": utf8("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
  "WebSocket": utf8("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
  "HTTP/2": utf8("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  "TLS": Uint8Array.of(22, 3, 1, 0, 5, 1, 0, 0, 1, 3),
  "MQTT": Uint8Array.of(16, 12, 0, 4, 77, 81, 84, 84, 4, 2, 0, 60, 0, 0),
  "SSH": utf8("SSH-2.0-OpenSSH_9.6\r\n"),
  "something else": new Rng(1).bytes(1_024),
};

Deno.test("serve() H1 closes on another protocol without a word, and says which it was", async () => {
  await using world = await World.start();
  for (const [name, bytes] of Object.entries(STRANGERS)) {
    const peer = await world.dial();
    await peer.write(bytes);
    await world.freed(peer, [], "reject PROTOCOL");
    assertEquals(peer.bytesIn, 0);
    const [event] = world.events;
    assert(event?.type === "reject" && event.reason.includes(` ${name},`), JSON.stringify(event));
    world.events.length = 0;
  }
  assertEquals(world.server.stats().rejected, { PROTOCOL: Object.keys(STRANGERS).length });
});

Deno.test("serve() H1 judges the first byte, and does not wait for the stranger to hang up", async () => {
  await using world = await World.start();
  const peer = await world.dial();
  await peer.write(Uint8Array.of(71));
  assertEquals(await peer.ended, "eof");
  await world.sim.advance(LINGER);
  assertEquals(world.server.stats().unregistered, 0);
  await peer.write(PREFACE);
  assertInstanceOf(await failure(peer.write(PREFACE)), Error);
  await world.freed(peer, [], "reject PROTOCOL");
});

Deno.test("connect() H1 says that the server speaks another protocol", async () => {
  const answers: Record<string, Uint8Array> = {
    "HTTP": utf8("HTTP/1.1 400 Bad Request\r\n\r\n"),
    "TLS": Uint8Array.of(21, 3, 3, 0, 2, 2, 50),
    "MQTT": Uint8Array.of(32, 2, 0, 1),
  };
  for (const [name, answer] of Object.entries(answers)) {
    await using server = await WireServer.start();
    const failed = failure(connect(server.addr, { runtime: server.sim, reconnect: false }));
    const peer = await server.accept();
    await peer.write(answer);
    const error = await server.sim.run(failed);
    assertInstanceOf(error, ConnectError);
    assertEquals([error.code, error.initiator], ["WRONG_PROTOCOL", "remote"]);
    assert(error.message.includes(` ${name},`), error.message);
  }
});

Deno.test("serve() H2 ends 500 silent and dripping connections by its deadline", async () => {
  await using world = await World.start();
  const hello = encoded(handshake.encodeClientPreface, (out) => handshake.encodeHello(out, HELLO));
  const peers = await Promise.all(Array.from({ length: 500 }, () => world.dial()));
  const start = world.sim.clock.now();
  for (let second = 0; second < 6; second++) {
    if (second < 5) assertEquals(world.server.stats().unregistered, 500);
    for (const peer of peers.slice(0, 250)) {
      await peer.tell((out) => out.bytes(hello.subarray(second, second + 1)));
    }
    if (second === 3) await world.open({ clientId: "honest" });
    await world.sim.advance(1_000);
  }
  assertEquals(world.sim.clock.now() - start, 6_000);
  assertEquals(world.server.stats().unregistered, 0);
  assertEquals(world.ends(), new Array(500).fill("reject HANDSHAKE_TIMEOUT"));
  for (const peer of peers) {
    assertEquals(peer.farewells(), []);
    peer.close();
  }
  await world.sim.advance(0);
  await world.undisturbed(1);
});

Deno.test("serve() H2 tells one that has shown its preface", async () => {
  await using world = await World.start({ handshakeTimeout: 200 });
  const peer = await world.dial();
  await peer.write(PREFACE);
  await world.sim.advance(199);
  assertEquals(peer.frames, []);
  await world.sim.advance(1);
  await world.rejected(peer, "HANDSHAKE_TIMEOUT");
});

Deno.test("serve() H3 takes a first frame of 16 KiB and none that is longer", async () => {
  for (const [size, code] of [[16_384, undefined], [16_385, "FRAME_TOO_LARGE"]] as const) {
    await using world = await World.start();
    const peer = await world.dial();
    await peer.tell((out) => out.bytes(PREFACE), (out) => out.bytes(helloOf(size)));
    if (code !== undefined) await world.rejected(peer, code);
    else {
      assertEquals((await peer.next()).type, FrameType.WELCOME);
      // From now on frames may be longer.
      await peer.message(new Uint8Array(100_000));
      await world.sim.advance(0);
      assertEquals(world.received.length, 1);
    }
  }
});

Deno.test("serve() H3 refuses a claim of 4 GiB by its four bytes", async () => {
  await using world = await World.start();
  const peer = await world.dial();
  await peer.write(PREFACE);
  await peer.write(Uint8Array.of(255, 255, 255, 255));
  await world.rejected(peer, "FRAME_TOO_LARGE");
});

Deno.test("serve() H3 closes on a client id that claims more than there is", async () => {
  await using world = await World.start();
  const peer = await world.dial();
  const hello = encoded((out) => handshake.encodeHello(out, HELLO));
  hello.set([255, 255], 16 + 40);
  await peer.send((out) => out.bytes(PREFACE), (out) => out.bytes(hello));
  await world.rejected(peer, "BAD_FRAME");
});

Deno.test("serve() H4 refuses each type of frame before WELCOME, and makes no session", async () => {
  await using world = await World.start();
  const known = new Set<number>(Object.values(FrameType));
  for (let type = 0; type < 256; type++) {
    if (type === FrameType.HELLO) continue;
    const peer = await world.dial();
    const answer = type === FrameType.RESPONSE || type === FrameType.ERROR;
    const id = type <= FrameType.MSG ? 0 : answer ? 2 : 1;
    await peer.write(PREFACE);
    await peer.frame({ type, id, seq: type < FrameType.MSG ? 0 : 1 }, new Uint8Array(16));
    const code = type === FrameType.RESUME
      ? "SESSION_UNKNOWN"
      : known.has(type) || type >= 0x80
      ? "PROTOCOL"
      : "UNKNOWN_CRITICAL";
    await world.rejected(peer, code);
    world.events.length = 0;
  }
  assertEquals(world.server.stats().total, 1);
});

Deno.test("serve() H4 closes on a second HELLO", async () => {
  await using world = await World.start();
  const peer = await world.dial();
  const hello = encoded((out) => handshake.encodeHello(out, HELLO));
  await peer.send(
    (out) => out.bytes(PREFACE),
    (out) => out.bytes(hello),
    (out) => out.bytes(hello),
  );
  await world.closed(peer, "PROTOCOL");
});

Deno.test("serve() H4 closes on whatever comes while it decides, and forgets the decision", async () => {
  const later: [string, Uint8Array][] = [
    ["HELLO", encoded((out) => handshake.encodeHello(out, HELLO))],
    ["a message", encoded((out) => encodeMessage(out, 1, "", utf8("early")))],
    ["a PING", encoded((out) => control.encodePing(out, 1, 0))],
  ];
  for (const [name, bytes] of later) {
    const decision = Promise.withResolvers<boolean>();
    const asked: Registration[] = [];
    await using world = await World.start({
      register: (request) => {
        if (request.id === "witness") return true;
        asked.push(request);
        return decision.promise;
      },
    });
    const peer = await world.dial();
    await peer.send((out) => out.bytes(PREFACE), (out) => handshake.encodeHello(out, HELLO));
    await world.sim.advance(10);
    assertEquals([asked.length, asked[0]?.signal.aborted], [1, false], name);
    await peer.write(bytes);
    await world.rejected(peer, "PROTOCOL");
    assertEquals(asked[0]?.signal.aborted, true);
    decision.resolve(true);
    await world.sim.advance(0);
    await world.undisturbed();
    assertEquals([world.server.stats().total, world.received.length], [1, 0]);
  }
});

Deno.test("connect() H4 ends on whatever comes before WELCOME, and on a second one", async () => {
  const welcome = encoded((out) => handshake.encodeWelcome(out, WELCOME));
  const cases: [string, Uint8Array][] = [
    ["a message", encoded((out) => encodeMessage(out, 1, "", utf8("early")))],
    ["CLOSE", encoded((out) => control.encodeClose(out, "NORMAL", 0, 0, ""))],
    ["an unknown type", rawFrame({ type: 0xff })],
    ["HELLO", encoded((out) => handshake.encodeHello(out, HELLO))],
  ];
  for (const [name, bytes] of cases) {
    await using server = await WireServer.start();
    const failed = failure(connect(server.addr, { runtime: server.sim, reconnect: false }));
    const peer = await server.accept();
    await server.sim.advance(1);
    await peer.send((out) => handshake.encodeServerPreface(out, 1), (out) => out.bytes(bytes));
    await server.sim.run(peer.ended);
    peer.close();
    const error = await server.sim.run(failed);
    assertInstanceOf(error, ConnectError);
    assertEquals([error.code, error.initiator], ["PROTOCOL", "remote"], name);
    assertEquals(peer.frames.map(({ type }) => type), [FrameType.HELLO], name);
  }
  await using server = await WireServer.start();
  const opening = connect(server.addr, { runtime: server.sim, reconnect: false });
  const peer = await server.accept();
  await peer.welcome();
  const client = await opening;
  await peer.write(welcome);
  await server.sim.run(peer.ended);
  assertEquals(peer.farewells(), ["CLOSE PROTOCOL"]);
  peer.close();
  assertEquals((await client.closed).code, "PROTOCOL");
});

Deno.test("serve() H5 answers a client of other versions with its own, and closes", async () => {
  await using world = await World.start();
  for (const [max, min] of [[3, 2], [255, 2]]) {
    const peer = await world.dial();
    const offer = PREFACE.slice();
    offer.set([max ?? 0, min ?? 0], 5);
    await peer.send(
      (out) => out.bytes(offer),
      (out) => handshake.encodeHello(out, HELLO),
    );
    await world.freed(peer, [], "reject BAD_VERSION");
    assertEquals(peer.preface, encoded((out) => handshake.encodeServerPreface(out, 0)));
    assertEquals(peer.bytesIn, 8);
    world.events.length = 0;
  }
});

Deno.test("serve() H5 speaks version 1 with a client that speaks newer ones as well", async () => {
  await using world = await World.start();
  const peer = await world.dial();
  await peer.send(
    (out) => out.bytes(Uint8Array.of(0xf9, 0x56, 0x4e, 0x45, 0x54, 9, 1, 0xff)),
    (out) => handshake.encodeHello(out, HELLO),
  );
  assertEquals((await peer.next()).type, FrameType.WELCOME);
  assertEquals(peer.preface, encoded((out) => handshake.encodeServerPreface(out, 1)));
});

Deno.test("serve() H5 refuses a preface with an empty range of versions", async () => {
  await using world = await World.start();
  for (const [max, min] of [[0, 0], [1, 0], [1, 2]]) {
    const peer = await world.dial();
    await peer.write(Uint8Array.of(0xf9, 0x56, 0x4e, 0x45, 0x54, max ?? 0, min ?? 0, 0));
    await world.freed(peer, [], "reject PROTOCOL");
    const [event] = world.events;
    // It does speak vnet, if badly: that is what must be said.
    assert(event?.type === "reject" && event.reason.includes("range"), JSON.stringify(event));
    world.events.length = 0;
  }
});

Deno.test("connect() H5 names both versions, and does not come back", async () => {
  await using server = await WireServer.start();
  const events: ClientEvent["type"][] = [];
  const failed = failure(connect(server.addr, {
    runtime: server.sim,
    onEvent: ({ type }) => events.push(type),
  }));
  const peer = await server.accept();
  await peer.write(Uint8Array.of(0xf9, 0x56, 0x4e, 0x45, 0x54, 0, 2, 3));
  const error = await server.sim.run(failed);
  assertInstanceOf(error, ConnectError);
  assertEquals([error.code, error.initiator, error.attempts], ["BAD_VERSION", "remote", 1]);
  assert(error.message.includes("versions 2 to 3"), error.message);
  assert(error.message.includes("this client 1"), error.message);
  await server.sim.advance(60_000);
  assertEquals(events, ["dial", "close"]);
});

/** A HELLO that is so many bytes long: what is missing stands in a TLV that means nothing. */
function helloOf(size: number): Uint8Array {
  const hello = encoded((out) => handshake.encodeHello(out, HELLO));
  const rest = new Uint8Array(size - hello.length);
  new DataView(rest.buffer).setUint16(0, 0x7001);
  new DataView(rest.buffer).setUint16(2, rest.length - 4);
  return rawFrame(
    { type: FrameType.HELLO },
    Uint8Array.of(...hello.subarray(16), ...rest),
  );
}
