/** Two session machines and a pipe: how a session opens, carries messages, and keeps itself going. */
import { assert, assertEquals } from "@std/assert";
import { FrameType } from "../../src/wire/constants.ts";
import * as control from "../../src/wire/control.ts";
import { encodeMessage } from "../../src/wire/message.ts";
import { type Arrived, MachineEnd, MachinePair } from "../_support/machine_pair.ts";
import { Rng } from "../_support/rng.ts";
import { encoded, HELLO, LIMITS, rawFrame, utf8 } from "../_support/wire_client.ts";

const HEARTBEAT = { interval: 200, timeout: 100 };
const SMALL = { ...LIMITS, maxFrame: 16_384, recvBytes: 65_536 };

Deno.test("SessionMachine opens a session with a preface, HELLO, WELCOME and ACK", () => {
  const pair = new MachinePair();
  const { client, server } = pair;
  client.greet({ clientId: "ann", auth: utf8("secret") });
  const greeting = client.output(0);
  assertEquals([greeting[0], greeting[12]], [0xf9, FrameType.HELLO]);
  server.input(greeting, 0);
  assertEquals([server.log, server.machine.open], [["hello"], false]);
  assertEquals([server.hello?.clientId, server.hello?.auth], ["ann", utf8("secret")]);
  assertEquals(server.output(0).length, 0);
  server.admit({ id: "ann" });
  assertEquals([server.log, server.machine.open], [["hello", "open"], true]);
  client.input(server.output(0), 0);
  assertEquals([client.log, client.machine.open, client.welcome?.id], [["open"], true, "ann"]);
  const ack = client.output(0);
  assertEquals(ack, encoded((out) => control.encodeAck(out, 0, LIMITS.recvBytes)));
  server.input(ack, 0);
  assertEquals([client.output(0).length, server.output(0).length], [0, 0]);
});

Deno.test("SessionMachine needs no preface where messages are whole", () => {
  const pair = MachinePair.open({ preface: false });
  assertEquals(pair.client.log, ["open"]);
});

Deno.test("SessionMachine delivers the frames that came together with WELCOME", () => {
  const pair = new MachinePair();
  const { client, server } = pair;
  client.greet();
  pair.settle();
  server.admit();
  server.outbox.push("early", utf8("bird"));
  client.input(server.output(0), 0);
  assertEquals(client.log, ["open", "message"]);
});

Deno.test("SessionMachine carries messages both ways, in order, however the bytes are cut", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const rng = new Rng(seed);
    const pair = new MachinePair({ limits: SMALL, heartbeat: HEARTBEAT, preface: true });
    const ends = [pair.client, pair.server] as const;
    const sent: string[][] = [[], []];
    const consumed = [0, 0];
    pair.client.greet();
    for (let step = 0; step < 600; step++) {
      const which = rng.int(2);
      const end = ends[which] ?? pair.client;
      switch (rng.int(6)) {
        case 0:
          if (sent[which]?.length === 60) break;
          sent[which]?.push(push(end, rng.bytes(rng.pick([0, 1, 50, 5_000, 40_000]))));
          break;
        case 1:
          pair.flush(end);
          break;
        case 2:
        case 3:
          pair.deliver(end, 1 + rng.int(rng.pick([2, 20, 2_000, 100_000])));
          break;
        case 4:
          if (rng.int(4) === 0) pair.tick(rng.int(30));
          break;
        default:
          consume(end, consumed, which, rng);
      }
      if (pair.server.hello !== undefined && !pair.server.machine.open) pair.server.admit();
    }
    for (let step = 0; consumed[0] !== sent[1]?.length || consumed[1] !== sent[0]?.length; step++) {
      assert(step < 5_000, `seed ${seed}: stuck with ${consumed}; ${pair.client.log.at(-1)}`);
      pair.settle();
      if (!pair.server.machine.open) pair.server.admit();
      ends.forEach((end, which) => consume(end, consumed, which, rng));
    }
    assertEquals(pair.server.got.map(digest), sent[0], `seed ${seed}`);
    assertEquals(pair.client.got.map(digest), sent[1], `seed ${seed}`);
    assertEquals([pair.client.ends, pair.server.ends], [[], []], `seed ${seed}`);
  }
});

Deno.test("SessionMachine passes 16 MiB through a window of 1 MiB", () => {
  const pair = MachinePair.open();
  const body = new Rng(16).bytes(16 * 1_048_576);
  pair.client.outbox.push("", body);
  pair.settle();
  const [message] = pair.server.got;
  assert(message?.payload.length === body.length && message.payload.every((b, i) => b === body[i]));
  assertEquals(pair.client.log.at(-1), "written");
});

Deno.test("SessionMachine holds a sender back whose messages nobody consumes", () => {
  const pair = MachinePair.open({ limits: SMALL });
  for (let i = 0; i < 200; i++) pair.client.outbox.push("", new Uint8Array(922));
  pair.settle();
  assertEquals([pair.server.got.length, pair.client.outbox.frames], [65, 135]);
  // Nothing else is held back.
  pair.client.machine.ping();
  pair.settle();
  assertEquals(pair.client.log.at(-1), "pong 0");
  for (const { cost } of pair.server.got.slice()) pair.server.machine.consumed(cost);
  pair.settle();
  assertEquals([pair.server.got.length, pair.client.outbox.frames], [130, 70]);
});

Deno.test("SessionMachine acknowledges 4096 frames at once, and fewer after 10 s", () => {
  const pair = MachinePair.open();
  const { client, server } = pair;
  const feed = (from: number, to: number) => {
    for (let seq = from; seq <= to; seq++) {
      server.input(encoded((out) => encodeMessage(out, seq, "", utf8("x"))), pair.now);
    }
  };
  feed(1, 4_095);
  assertEquals([server.machine.hasOutput, server.machine.nextTimeout()], [false, 10_000]);
  feed(4_096, 4_096);
  assertEquals(server.machine.hasOutput, true);
  const grant = LIMITS.recvBytes;
  assertEquals(server.output(0), encoded((out) => control.encodeAck(out, 4_096, grant)));
  pair.now = 100;
  feed(4_097, 4_097);
  assertEquals(server.machine.nextTimeout(), 10_100);
  server.machine.handleTimeout(10_099);
  assertEquals(server.machine.hasOutput, false);
  server.machine.handleTimeout(10_100);
  assertEquals(server.output(10_100), encoded((out) => control.encodeAck(out, 4_097, grant)));
  server.input(rawFrame({ type: 0xff, flags: 4, seq: 4_098 }), 10_160);
  assertEquals(server.output(10_160), encoded((out) => control.encodeAck(out, 4_098, grant)));
  assertEquals(client.ends, []);
});

Deno.test("SessionMachine drops a repeated frame, and ends on a gap", () => {
  const pair = MachinePair.open();
  const { server } = pair;
  const message = (seq: number) => encoded((out) => encodeMessage(out, seq, `${seq}`, utf8("x")));
  for (const seq of [1, 2, 1, 2, 3, 3]) server.input(message(seq), 0);
  assertEquals(server.got.map(({ topic }) => topic), ["1", "2", "3"]);
  server.input(message(5), 0);
  assertEquals([server.end.code, server.got.length], ["PROTOCOL", 3]);
});

Deno.test("SessionMachine writes control frames before messages", () => {
  const pair = MachinePair.open();
  const { client, server } = pair;
  server.input(encoded((out) => control.encodePing(out, 9, 0)), 0);
  server.machine.ping();
  server.outbox.push("", utf8("x"));
  const types = typesOf(server.output(0));
  assertEquals(types, [FrameType.PING, FrameType.PONG, FrameType.MSG]);
  assertEquals(client.ends, []);
});

Deno.test("SessionMachine measures the round trip of a link that is never quiet", () => {
  const pair = MachinePair.open({ heartbeat: HEARTBEAT });
  for (let i = 0; i < 200; i++) {
    pair.client.outbox.push("", utf8("x"));
    pair.server.outbox.push("", utf8("x"));
    pair.settle();
    pair.now += 20;
  }
  const pongs = pair.client.log.filter((line) => line.startsWith("pong")).length;
  assert(pongs >= 5 && pongs <= 8, `${pongs} in 4 s, of one in 3 intervals`);
});

Deno.test("SessionMachine keeps a quiet session alive for an hour, without a busy loop", () => {
  const pair = MachinePair.open({ heartbeat: HEARTBEAT });
  let ticks = 0;
  while (pair.now < 3_600_000) {
    pair.tick(60_000);
    pair.settle();
    ticks++;
  }
  assertEquals([pair.client.ends, pair.server.ends], [[], []]);
  assert(ticks < 2 * 3_600_000 / 200, `${ticks} wake-ups`);
});

Deno.test("SessionMachine.nextTimeout() names nothing where nothing is due", () => {
  const pair = MachinePair.open();
  assertEquals([pair.client, pair.server].map(({ machine }) => machine.nextTimeout()), [
    Infinity,
    Infinity,
  ]);
  pair.client.outbox.push("", utf8("x"));
  pair.settle();
  // The ACK of the message, at the latest.
  assertEquals([pair.client.machine.nextTimeout(), pair.server.machine.nextTimeout()], [
    Infinity,
    10_000,
  ]);
});

Deno.test("SessionMachine tells of GOAWAY and goes on", () => {
  const pair = MachinePair.open();
  pair.client.input(encoded((out) => control.encodeGoaway(out, "DRAINING", 1_500, "later")), 0);
  pair.client.input(encoded((out) => encodeMessage(out, 1, "", utf8("still"))), 0);
  assertEquals(pair.client.log, ["open", "goaway 1500", "message"]);
});

Deno.test("SessionMachine.hello() refuses at once what cannot be encoded", () => {
  const end = new MachineEnd({ side: "client" });
  for (const hello of [{ clientId: "x".repeat(256) }, { auth: new Uint8Array(17_000) }]) {
    let thrown: unknown;
    try {
      end.machine.hello({ ...HELLO, ...hello });
    } catch (error) {
      thrown = error;
    }
    assert(thrown instanceof RangeError);
  }
  assertEquals(end.output(0).length, 0);
});

function consume(end: MachineEnd, consumed: number[], which: number, rng: Rng): void {
  const count = consumed[which] ?? 0;
  const until = Math.min(end.got.length, count + 1 + rng.int(5));
  for (const { cost } of end.got.slice(count, until)) end.machine.consumed(cost);
  consumed[which] = until;
}

/** Sends a body under a topic that says what is in it. */
function push(end: MachineEnd, payload: Uint8Array): string {
  const topic = `${payload.length}, ${hashOf(payload)}`;
  end.outbox.push(topic, payload);
  return topic;
}

function digest({ topic, payload }: Arrived): string {
  const found = `${payload.length}, ${hashOf(payload)}`;
  return found === topic ? topic : `${found} instead of ${topic}`;
}

function hashOf(bytes: Uint8Array): number {
  let hash = 0;
  for (let i = 0; i < bytes.length; i++) hash = (Math.imul(hash, 31) + (bytes[i] ?? 0)) | 0;
  return hash;
}

function typesOf(bytes: Uint8Array): number[] {
  const types: number[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; at += 4 + view.getUint32(at)) {
    types.push(view.getUint8(at + 4));
  }
  return types;
}
