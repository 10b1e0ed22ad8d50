/**
 * Framing faults (rows F9 to F11 and F13 to F16): what a running server, client or frame stream makes
 * of what is inside of a frame.
 */
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  connect,
  FrameError,
  ProtocolError,
  serve,
  type ServerEvent,
  text,
  type Untyped,
} from "@vgo/vnet";
import { FrameStream, line, varint } from "@vgo/vnet/frames";
import { memoryPair, Simulation } from "@vgo/vnet/testing";
import { Flag, FrameType } from "../../src/wire/constants.ts";
import * as control from "../../src/wire/control.ts";
import { encodeClientPreface, encodeHello } from "../../src/wire/handshake.ts";
import { encodeMessage } from "../../src/wire/message.ts";
import { Rng } from "../_support/rng.ts";
import { encoded, HELLO, rawFrame, utf8, WireClient } from "../_support/wire_client.ts";
import { WireServer } from "../_support/wire_server.ts";
import { World } from "../_support/world.ts";

const EMPTY = new Uint8Array(0);

Deno.test("serve() F9 ignores unknown types that say so, and counts them", async () => {
  await using world = await World.start();
  const peer = await world.open();
  await world.sim.run(peer.send((out) => {
    for (let type = 0x80; type <= 0xff; type++) {
      for (let flags = 0; flags < 0x20; flags++) {
        const id = flags % 3 === 0 ? 0 : type;
        out.bytes(rawFrame({ type, flags, id, seq: ++peer.seq }, new Uint8Array(flags)));
        out.bytes(rawFrame({ type, flags, id }));
      }
    }
  }));
  const last = utf8("after 4096");
  await peer.send((out) => encodeMessage(out, ++peer.seq, "", last, undefined, Flag.ACKREQ));
  await world.sim.advance(0);
  assertEquals(world.received.map(({ body }) => body), [last]);
  const acks = peer.all(FrameType.ACK).map(({ body }) => control.decodeAck(body, 0, 16).recvSeq);
  assertEquals(acks.at(-1), 4_097);
  peer.close();
  await world.sim.advance(0);
  await world.undisturbed();
});

Deno.test("serve() F9 closes on every unknown type and flag that is critical", async () => {
  const known = new Set<number>(Object.values(FrameType));
  const headers = Array.from({ length: 0x80 }, (_, type) => ({ type, flags: 0 }))
    .filter(({ type }) => !known.has(type));
  for (const type of [FrameType.MSG, FrameType.PING, 0x80, 0xff]) {
    for (const flags of [0x20, 0x40, 0x80, 0xe0]) headers.push({ type, flags });
  }
  await using world = await World.start();
  for (const header of headers) {
    const peer = await world.open();
    await peer.frame(
      { ...header, seq: header.type === FrameType.PING ? 0 : 1 },
      new Uint8Array(16),
    );
    await world.closed(peer, "UNKNOWN_CRITICAL");
    world.events.length = 0;
  }
});

Deno.test("serve() F10 closes on each inner length that leads past the body", async () => {
  const cases: Record<string, Uint8Array> = {
    "topic": rawFrame({ type: FrameType.MSG, seq: 1 }, Uint8Array.of(0, 4, 97, 98, 99)),
    "topic at its largest": rawFrame({ type: FrameType.MSG, seq: 1 }, Uint8Array.of(255, 255, 97)),
    "no topic": rawFrame({ type: FrameType.MSG, seq: 1 }, Uint8Array.of(0)),
    "metadata": rawFrame(
      { type: FrameType.MSG, flags: Flag.META, seq: 1 },
      Uint8Array.of(0, 0, 0, 0, 0, 2, 97),
    ),
    "total": rawFrame({ type: FrameType.MSG, flags: Flag.MORE, seq: 1 }, Uint8Array.of(0, 0, 0, 1)),
    "reason": rawFrame({ type: FrameType.CLOSE }, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)),
    "left over": rawFrame({ type: FrameType.PING }, new Uint8Array(17)),
    "missing": rawFrame({ type: FrameType.ACK }, new Uint8Array(15)),
  };
  await using world = await World.start();
  for (const [name, frame] of Object.entries(cases)) {
    const peer = await world.open();
    // What lies behind the frame must not be read as if it belonged to it.
    await peer.send((out) => out.bytes(frame), (out) => encodeMessage(out, 2, "", utf8("abcd")));
    await world.closed(peer, "BAD_FRAME");
    assertEquals(world.received, [], name);
    world.events.length = 0;
  }
});

Deno.test("serve() F10 closes on metadata above the limit", async () => {
  await using world = await World.start({ limits: { maxMetadataLength: 100 } });
  const peer = await world.open();
  const metadata = { long: "x".repeat(100) };
  await peer.send((out) => encodeMessage(out, 1, "", EMPTY, metadata));
  await world.closed(peer, "FRAME_TOO_LARGE");
});

/** After the sequences of the Autobahn test suite, section 6. */
const BAD_UTF8 =
  "80|bf|c080|c1bf|e080af|eda080|edbfbf|f0808080|f4908080|f5808080|fe|ff|c3|e2e2|61c3"
    .split("|");

Deno.test("serve() F11 closes on a topic that is not UTF-8", async () => {
  await using world = await World.start();
  for (const digits of BAD_UTF8) {
    const topic = unhex(digits);
    const peer = await world.open();
    await peer.frame(
      { type: FrameType.MSG, seq: 1 },
      Uint8Array.of(0, topic.length, ...topic, 1, 2, 3),
    );
    await world.closed(peer, "BAD_FRAME");
    assertEquals(world.received, [], digits);
    world.events.length = 0;
  }
});

Deno.test("serve() F11 refuses a client id that is not UTF-8", async () => {
  await using world = await World.start();
  for (const digits of BAD_UTF8) {
    const peer = await world.dial();
    const hello = encoded((out) =>
      encodeHello(out, { ...HELLO, clientId: "x".repeat(digits.length / 2) })
    );
    hello.set(unhex(digits), hello.indexOf(120));
    await peer.send(encodeClientPreface, (out) => out.bytes(hello));
    await world.rejected(peer, "BAD_FRAME");
    world.events.length = 0;
  }
});

Deno.test("serve() F11 drops a body that is not text, tells of it, and goes on", async () => {
  for (const watched of [true, false]) {
    await using sim = new Simulation();
    const events: ServerEvent<unknown>[] = [];
    const seen: string[] = [];
    const server = await serve<Untyped<string>>("tcp://0.0.0.0:9966", {
      runtime: sim,
      heartbeat: false,
      serializer: text(),
      onMessage: ({ body }) => seen.push(body),
      // With nobody watching and no logger the server lives on all the same.
      ...(watched ? { onEvent: (event) => events.push(event) } : {}),
    });
    const peer = new WireClient(await sim.dial(server.addr));
    await peer.open({ clientId: "ann" });
    for (const digits of BAD_UTF8) await peer.message(unhex(digits));
    await peer.message(utf8("whole"));
    await sim.advance(0);
    assertEquals(seen, ["whole"]);
    assertEquals(server.stats().dropped, BAD_UTF8.length);
    const errors = events.flatMap((event) => event.type === "error" ? [event.error] : []);
    assertEquals(errors.length, watched ? BAD_UTF8.length : 0);
    for (const error of errors) {
      assertInstanceOf(error, ProtocolError);
      assertEquals([error.code, error.initiator], ["BAD_FRAME", "remote"]);
    }
    peer.close();
  }
});

Deno.test("connect() F11 passes over a body that is not text while it iterates", async () => {
  await using server = await WireServer.start();
  const opening = connect<Untyped<string>>(server.addr, {
    runtime: server.sim,
    serializer: text(),
    reconnect: false,
  });
  const peer = await server.accept();
  await peer.welcome({ serializer: "text" });
  const client = await opening;
  await peer.message(unhex("ff"));
  await peer.message(utf8("whole"));
  peer.close();
  const bodies: string[] = [];
  for await (const { body } of client.messages) bodies.push(body);
  assertEquals(bodies, ["whole"]);
  assertEquals(client.stats.dropped, 1);
});

Deno.test("FrameStream F13 ends on a varint that is too long, with one typed error", async () => {
  for (const start of [[0x80, 0x80, 0x80, 0x80, 0x80, 1], [0x80, 0x00], [255, 255, 255, 255, 15]]) {
    const [a, b] = memoryPair();
    const stream = new FrameStream(a, varint({ maxFrameLength: 1_024 }));
    await b.write(Uint8Array.of(2, 7, 7, ...start, 1, 1, 1));
    await endsOnce(stream, [Uint8Array.of(7, 7)]);
    b.close();
  }
});

Deno.test("FrameStream F14 ends on a line that never ends, and keeps no more than its limit", async () => {
  const [a, b] = memoryPair();
  const stream = new FrameStream(a, line({ maxFrameLength: 4_096 }));
  const frames = endsOnce(stream, ["one", "two"]);
  await b.write(utf8("one\r"));
  await b.write(utf8("\ntwo\n"));
  const flood = (async () => {
    const data = new Uint8Array(1_048_576).fill(120);
    for (let at = 0; at < data.length;) at += await b.write(data.subarray(at));
  })();
  await frames;
  b.close();
  // It was not read to its end: the rest never left the sender.
  await assertRejects(() => flood);
});

Deno.test("serve() F15 closes on a number above 2^53-1", async () => {
  const cases: [number, number][] = [
    [FrameType.PING, 0],
    [FrameType.PING, 8],
    [FrameType.PONG, 0],
    [FrameType.ACK, 0],
    [FrameType.ACK, 8],
  ];
  await using world = await World.start();
  for (const [type, at] of cases) {
    for (const high of [0x20_0000, 0xffff_ffff]) {
      const peer = await world.open();
      const body = new Uint8Array(16);
      new DataView(body.buffer).setUint32(at, high);
      await peer.frame({ type }, body);
      await world.closed(peer, "BAD_FRAME");
      world.events.length = 0;
    }
  }
});

Deno.test("serve() F15 takes 2^53-1, and is not lured into sending by it", async () => {
  await using world = await World.start();
  const peer = await world.open({ clientId: "ann" });
  await peer.send(
    (out) => control.encodePing(out, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    (out) => control.encodeAck(out, 0, Number.MAX_SAFE_INTEGER),
  );
  const pong = await peer.next(FrameType.PONG);
  assertEquals(control.decodePong(pong.body, 0, 16).opaque, Number.MAX_SAFE_INTEGER);
  await world.server.push("ann", utf8("still served"));
  assertEquals((await peer.next(FrameType.MSG)).body.length, 2 + 12);
});

Deno.test("serve() F16 never writes again to a payload that it gave away", async () => {
  const held: [string, Uint8Array][] = [];
  await using world = await World.start({
    // A window in which all of it fits: the peer below does not wait for credit.
    limits: { maxFrameLength: 1_048_576 },
    onMessage: ({ body, topic }, peer) => {
      if (topic === "echo") return peer.send(body, { topic });
      held.push([topic, body]);
    },
  }, { faults: { slice: 3_000 } });
  const peer = await world.open();
  const rng = new Rng(16);
  await world.sim.run(peer.send((out) => {
    for (let i = 0; i < 10_000; i++) {
      const body = rng.bytes(rng.int(100) === 0 ? 600 : rng.int(80));
      encodeMessage(out, ++peer.seq, hashOf(body), body);
    }
  }));
  await world.sim.advance(0);
  assertEquals(held.length, 10_000);
  const spoiled = held.filter(([hash, body]) => hashOf(body) !== hash);
  assertEquals(spoiled.length, 0);
  await world.undisturbed(1);
});

Deno.test("serve() F16 sends every byte as it was when it was handed over", async () => {
  await using world = await World.start();
  const peer = await world.open({ clientId: "ann" });
  const rng = new Rng(17);
  const sent: string[] = [];
  let received = 0;
  const reading = (async () => {
    for (; received < 600; received++) {
      const { body } = await peer.next(FrameType.MSG);
      const topic = new TextDecoder().decode(body.subarray(2, 2 + (body[1] ?? 0)));
      if (topic !== sent[received] || hashOf(body.subarray(2 + topic.length)) !== topic) break;
      if (received % 64 === 0) await peer.send((out) => control.encodeAck(out, 0, 1e12));
    }
  })();
  for (let i = 0; i < 600; i++) {
    const body = rng.bytes(rng.pick([0, 1, 100, 3_000, 65_535, 65_536, 70_000]));
    sent.push(hashOf(body));
    await world.sim.run(world.server.push("ann", body, { topic: hashOf(body) }));
  }
  await world.sim.run(reading);
  assertEquals(received, 600);
});

/** Takes frames until the stream ends: by itself, with one FrameError, and with its transport closed. */
async function endsOnce<T>(stream: FrameStream<unknown, T>, expected: readonly T[]): Promise<void> {
  const frames: T[] = [];
  const error = await assertRejects(async () => {
    for await (const frame of stream) frames.push(frame);
  }, FrameError);
  assertEquals(frames, [...expected]);
  const { error: cause, initiator } = await stream.closed;
  assertEquals([cause, initiator], [error, "remote"]);
}

function hashOf(bytes: Uint8Array): string {
  let hash = bytes.length;
  for (const byte of bytes) hash = (Math.imul(hash, 31) + byte) | 0;
  return `h${hash >>> 0}`;
}

function unhex(digits: string): Uint8Array {
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
