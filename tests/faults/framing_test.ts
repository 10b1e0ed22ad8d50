/**
 * Framing faults (rows F1 to F8): a running server or client gets bytes that it must
 * refuse or survive. What the codecs and decoders make of each input is in tests/codec
 * and tests/wire; here it is what becomes of the connection, and of its neighbours.
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { connect, FrameError, serve } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { Flag, FrameType } from "../../src/wire/constants.ts";
import * as control from "../../src/wire/control.ts";
import { encodeMessage, encodeMessageStart, encodePiece } from "../../src/wire/message.ts";
import { Rng } from "../_support/rng.ts";
import { encoded, rawFrame, utf8, WireClient } from "../_support/wire_client.ts";
import { WireServer } from "../_support/wire_server.ts";
import { type Received, stuck, World } from "../_support/world.ts";

const WINDOW = 1_048_576;
const EMPTY = new Uint8Array(0);

Deno.test("serve() F1 closes on an oversize length before anything is buffered", async () => {
  for (const start of [[255, 255, 255, 255], [...utf8("GET ")], [0, 4, 0, 0]]) {
    await using world = await World.start();
    const peer = await world.open();
    await peer.write(Uint8Array.from(start));
    await world.closed(peer, "FRAME_TOO_LARGE");
    assertEquals(world.received, []);
  }
});

Deno.test("serve() F1 takes a frame of exactly the limit", async () => {
  await using world = await World.start({
    limits: { maxFrameLength: 16_384, maxMetadataLength: 1_024 },
  });
  const peer = await world.open();
  await peer.message(new Uint8Array(16_384 - 18).fill(7));
  await world.sim.advance(0);
  assertEquals(world.received.map(({ body }) => body.length), [16_366]);
  await peer.message(new Uint8Array(16_384 - 17));
  await world.closed(peer, "FRAME_TOO_LARGE");
  assertEquals(world.received.length, 1);
});

Deno.test("connect() F1 ends the session on an oversize length, with one typed error", async () => {
  await using server = await WireServer.start();
  const client = connect(server.addr, { runtime: server.sim, reconnect: false });
  const peer = await server.accept();
  await server.sim.run(peer.welcome());
  const { closed } = await client;
  await peer.write(Uint8Array.of(255, 255, 255, 255));
  await server.sim.run(peer.ended);
  assertEquals(peer.farewells(), ["CLOSE FRAME_TOO_LARGE"]);
  peer.close();
  const { code, initiator, error } = await server.sim.run(closed);
  assertEquals([code, initiator], ["FRAME_TOO_LARGE", "remote"]);
  assert(error !== undefined);
  assertEquals(server.sim.links.length, 0);
});

Deno.test("serve() F2 closes on every length below the header's", async () => {
  for (let length = 0; length < 12; length++) {
    await using world = await World.start();
    const peer = await world.open();
    await peer.frame({ type: FrameType.MSG, seq: 1, length }, new Uint8Array(40));
    await world.closed(peer, "BAD_FRAME");
    assertEquals(world.received, []);
  }
});

Deno.test("serve() F3 understands the same however the stream is cut", async () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 25; seed++) {
    const slice = 1 + seed % 9 * seed;
    await using world = await World.start({}, { seed, faults: { slice } });
    const peer = await world.open({ clientId: "ann" });
    await peer.write(encoded(
      (out) => encodeMessage(out, 1, "a", utf8("one")),
      (out) => control.encodePing(out, 77, 0),
      (out) => encodeMessageStart(out, 2, "b", 10_000, new Uint8Array(4_096).fill(1)),
      (out) => control.encodeAck(out, 0, 2_000_000),
      (out) => encodeMessage(out, 0, "v", utf8("volatile")),
      (out) => encodePiece(out, FrameType.MSG, 0, 3, true, new Uint8Array(4_096).fill(2)),
      (out) => out.bytes(rawFrame({ type: 0xc1, id: 5, seq: 4 }, new Uint8Array(9))),
      (out) => encodePiece(out, FrameType.MSG, 0, 5, false, new Uint8Array(1_808).fill(3)),
      (out) => encodeMessage(out, 6, "", EMPTY),
    ));
    // The PONG is on its way before the end is told.
    await world.sim.advance(100);
    await peer.write(encoded((out) => control.encodeClose(out, "NORMAL", 0, 0, "done")));
    await world.freed(peer, [], "disconnect NORMAL");
    const pong = peer.all(FrameType.PONG).map(({ body }) => control.decodePong(body, 0, 16).opaque);
    seen.add(JSON.stringify([world.received.map(summary), pong, world.info()]));
    assertEquals(seen.size, 1, `seed ${seed}, slice ${slice}`);
  }
  assert([...seen][0]?.includes(`"b",10000`), [...seen][0]);
});

Deno.test("serve() F4 takes a message that comes byte by byte", async () => {
  await using world = await World.start({}, { faults: { slice: 1 } });
  const peer = await world.open();
  const body = new Rng(4).bytes(65_536);
  await world.sim.run(peer.message(body));
  await world.sim.advance(0);
  assertEquals(world.received.length, 1);
  assert(world.received[0]?.body.every((byte, i) => byte === body[i]));
  peer.close();
  await world.sim.advance(0);
  await world.undisturbed();
});

Deno.test("serve() F5 ends 200,000 tiny fragments with the first of them", async () => {
  for (const [size, seq] of [[0, 1], [1, 1], [4_095, 1], [0, 0], [1, 0]] as const) {
    await using world = await World.start();
    const peer = await world.open();
    const start = encoded((out) => encodeMessageStart(out, seq, "", 200_000, new Uint8Array(size)));
    const piece = encoded((out) =>
      encodePiece(out, FrameType.MSG, 0, seq === 0 ? 0 : 2, true, new Uint8Array(size % 2))
    );
    const attack = world.sim.run(peer.tell((out) => {
      out.bytes(start);
      for (let i = 0; i < 200_000; i++) out.bytes(piece);
    }));
    await world.closed(peer, "BAD_FRAME");
    await attack;
    assertEquals(world.received, []);
  }
});

Deno.test("serve() F5 keeps no more empty messages than the window is worth", async () => {
  await using world = await World.start({ onMessage: stuck });
  const peer = await world.open();
  const attack = world.sim.run(peer.tell((out) => {
    for (let seq = 1; seq <= 200_000; seq++) encodeMessage(out, seq, "", EMPTY);
  }));
  await world.closed(peer, "FLOW_CONTROL");
  await attack;
  const own = world.stats("witness").messagesIn;
  assertEquals(world.server.stats().messagesIn - own, Math.floor(WINDOW / (14 + 64)));
});

Deno.test("serve() F5 drops volatile messages that nobody takes, and counts them", async () => {
  for (const size of [0, 1, 1_000]) {
    await using world = await World.start({ onMessage: stuck });
    const peer = await world.open({ clientId: "ann" });
    const message = encoded((out) => encodeMessage(out, 0, "", new Uint8Array(size)));
    const count = size === 1_000 ? 4_000 : 200_000;
    await world.sim.run(peer.send((out) => {
      for (let i = 0; i < count; i++) out.bytes(message);
    }));
    await peer.message(utf8("still credit"));
    await world.sim.advance(100);
    const { messagesIn, dropped } = world.stats("ann");
    const most = Math.ceil(WINDOW / (14 + size + 64));
    assert(
      messagesIn <= most + 1,
      `${messagesIn} messages of ${size} bytes wait, of at most ${most}`,
    );
    assertEquals(messagesIn + dropped, count + 1);
    assertEquals(peer.end, undefined);
    peer.close();
  }
});

Deno.test("serve() F6 refuses fragments that add up to more than a message may have", async () => {
  const MIB = 1_048_576;
  const cases: [string, (peer: WireClient) => Promise<void>][] = [
    [
      "a total over the limit",
      (peer) => peer.tell((out) => encodeMessageStart(out, 1, "", 17 * MIB, new Uint8Array(MIB))),
    ],
    ["a total that is exceeded", (peer) =>
      peer.tell((out) => {
        encodeMessageStart(out, 1, "", 16 * MIB, new Uint8Array(MIB));
        for (let i = 2; i <= 17; i++) {
          encodePiece(out, FrameType.MSG, 0, i, true, new Uint8Array(MIB));
        }
      })],
    [
      "a total of 4 GiB",
      (peer) =>
        peer.tell((out) => encodeMessageStart(out, 1, "", 0xffff_ffff, new Uint8Array(MIB))),
    ],
    ["a volatile one", (peer) =>
      peer.tell((out) => {
        encodeMessageStart(out, 0, "", 5_000, new Uint8Array(4_096));
        encodePiece(out, FrameType.MSG, 0, 0, false, new Uint8Array(905));
      })],
  ];
  for (const [name, attack] of cases) {
    await using world = await World.start({ limits: { maxFrameLength: 8 * MIB } });
    const peer = await world.open();
    const sent = world.sim.run(attack(peer));
    await world.closed(peer, "FRAME_TOO_LARGE");
    await sent;
    assertEquals(world.received, [], name);
  }
});

Deno.test("serve() F6 takes fragments that add up to exactly the limit", async () => {
  await using world = await World.start({ limits: { maxMessageLength: 10_000 } });
  const peer = await world.open();
  await peer.send(
    (out) => encodeMessageStart(out, 1, "t", 10_000, new Uint8Array(5_000).fill(1)),
    (out) => encodePiece(out, FrameType.MSG, 0, 2, false, new Uint8Array(5_000).fill(2)),
  );
  await world.sim.advance(0);
  assertEquals(world.received.map(summary), [["t", 10_000, 15_000]]);
  await peer.send((out) => encodeMessageStart(out, 3, "t", 10_001, new Uint8Array(5_000)));
  await world.closed(peer, "FRAME_TOO_LARGE");
});

Deno.test("serve() F6 closes on fragments that break the rules of fragments", async () => {
  const start = (out: Parameters<typeof encodeMessage>[0]) =>
    encodeMessageStart(out, 1, "", 8_000, new Uint8Array(4_096));
  const cases: [string, Uint8Array][] = [
    ["a last piece that leaves some out", rawFrame({ type: 0x10, seq: 2 }, new Uint8Array(3_903))],
    [
      "metadata on a piece that is not the first",
      rawFrame(
        { type: FrameType.MSG, flags: Flag.META, seq: 2 },
        new Uint8Array(3_904),
      ),
    ],
  ];
  for (const [name, piece] of cases) {
    await using world = await World.start();
    const peer = await world.open();
    await peer.send(start, (out) => out.bytes(piece));
    await world.closed(peer, "BAD_FRAME");
    assertEquals(world.received, [], name);
  }
});

Deno.test("serve() F6 gives a payload up when SKIP comes in the place of a fragment", async () => {
  await using world = await World.start();
  const peer = await world.open();
  await peer.send(
    (out) => encodeMessageStart(out, 1, "given up", 8_000, new Uint8Array(4_096)),
    (out) => out.bytes(rawFrame({ type: FrameType.SKIP, seq: 2 })),
    (out) => encodeMessage(out, 3, "next", utf8("whole")),
  );
  await world.sim.advance(0);
  assertEquals(world.received.map(summary), [["next", 5, 543]]);
  await peer.frame({ type: FrameType.SKIP, seq: 4 }, new Uint8Array(1));
  await world.closed(peer, "BAD_FRAME");
});

Deno.test("serve() F7 delivers nothing of a frame that the stream ends in", async () => {
  const frame = encoded((out) => encodeMessage(out, 2, "cut", utf8("never seen")));
  for (let cut = 0; cut <= frame.length; cut++) {
    await using world = await World.start();
    const peer = await world.open();
    await peer.send((out) => encodeMessage(out, 1, "", utf8("whole")));
    await peer.write(frame.subarray(0, cut));
    await peer.closeWrite();
    await world.freed(peer, [], "disconnect LINK_LOST");
    const whole = cut === frame.length;
    assertEquals(world.received.length, whole ? 2 : 1, `cut at ${cut}`);
    const { initiator, error } = world.info();
    assertEquals(initiator, "network");
    if (cut === 0 || whole) assertEquals(error, undefined);
    else {
      assertInstanceOf(error, FrameError);
      assertEquals(error.code, "TRUNCATED", `cut at ${cut}`);
    }
  }
});

Deno.test("serve() F7 delivers nothing of a message whose fragments end", async () => {
  await using world = await World.start();
  const peer = await world.open();
  await peer.send((out) => encodeMessageStart(out, 1, "", 8_000, new Uint8Array(4_096)));
  await peer.closeWrite();
  await world.freed(peer, [], "disconnect LINK_LOST");
  assertEquals(world.received, []);
});

Deno.test("serve() F7 survives clients that leave while they are answered, though nobody watches", async () => {
  for (const how of ["close", "reset"] as const) {
    await using sim = new Simulation();
    let answering = 0;
    const server = await serve("tcp://0.0.0.0:9966", {
      runtime: sim,
      heartbeat: false,
      onMessage: async ({ body }, peer) => {
        answering++;
        await sim.sleep(10);
        await peer.send(body);
      },
    });
    const peer = new WireClient(await sim.dial(server.addr));
    await peer.open();
    for (let i = 0; i < 5; i++) await peer.message(utf8("x"));
    await sim.advance(15);
    if (how === "reset") sim.links[0]?.cut();
    peer.close();
    await sim.advance(1_000);
    assertEquals([answering, server.peers.size, sim.links.length], [5, 0, 0]);
  }
});

Deno.test("serve() F8 ignores what comes after CLOSE", async () => {
  const rng = new Rng(8);
  for (const afterwards of [rng.bytes(1_024), encoded((out) => encodeMessage(out, 1, "", EMPTY))]) {
    for (const together of [true, false]) {
      await using world = await World.start();
      const peer = await world.open();
      const close = encoded((out) => control.encodeClose(out, "NORMAL", 0, 0, "bye"));
      if (together) await peer.send((out) => out.bytes(close), (out) => out.bytes(afterwards));
      else for (const part of [close, afterwards]) await peer.write(part);
      await world.freed(peer, [], "disconnect NORMAL");
      assertEquals(world.info(), { code: "NORMAL", reason: "bye", initiator: "remote" });
      assertEquals(world.received, []);
    }
  }
});

function summary({ topic, body }: Received): [string, number, number] {
  return [topic, body.length, body.reduce((sum, byte) => sum + byte, 0)];
}
