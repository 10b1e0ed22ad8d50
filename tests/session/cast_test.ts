/** Messages for many: frames that are encoded once, and when they may go past what waits. */
import { assert, assertEquals } from "@std/assert";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import { Cast } from "../../src/session/cast.ts";
import { encodeMessage } from "../../src/wire/message.ts";
import { MachinePair } from "../_support/machine_pair.ts";
import { LIMITS, utf8 } from "../_support/wire_client.ts";
import { Rng } from "../_support/rng.ts";

function frameOf(seq: number, topic: string, payload: Uint8Array): Uint8Array {
  const out = new OutBuffer();
  encodeMessage(out, seq, topic, payload);
  return out.toBytes();
}

Deno.test("Cast.numbered() gives the frame with each number, and leaves those as they are that it gave", () => {
  const rng = new Rng(1);
  for (const length of [0, 1, 128, 1_500, Cast.MAX_LENGTH]) {
    const payload = rng.bytes(length);
    const cast = new Cast("topic", payload);
    const numbers = [
      1,
      255,
      256,
      2 ** 31,
      2 ** 32 - 1,
      ...Array.from({ length: 300 }, (_, n) => n),
    ];
    const frames = numbers.map((seq) => cast.numbered(seq));
    for (const [index, seq] of numbers.entries()) {
      assertEquals(frames[index], frameOf(seq, "topic", payload), `${length} B, number ${seq}`);
    }
    assertEquals([cast.length, cast.size], [length, frames[0]?.length]);
  }
});

Deno.test("SessionMachine.cast() gives the next frame where nothing waits, and else nothing", () => {
  const pair = new MachinePair();
  const { client, server } = pair;
  const cast = new Cast("all", utf8("x"));
  assertEquals(server.machine.cast(cast, 0), undefined, "The session is not open");
  client.greet();
  pair.settle();
  server.admit();
  assertEquals(server.machine.cast(cast, 0), undefined, "Its WELCOME was not written");
  pair.settle();
  const send = () => {
    const frame = server.machine.cast(cast, 0);
    if (frame !== undefined) client.input(frame, 0);
    return frame !== undefined;
  };
  assertEquals([send(), send()], [true, true]);
  server.outbox.push("", utf8("waits"));
  assertEquals(send(), false);
  pair.settle();
  assertEquals(send(), true);
  assertEquals(client.got.map(({ topic }) => topic), ["all", "all", "", "all"]);
  server.machine.close("NORMAL", "");
  assertEquals(send(), false);
  assertEquals(client.ends, []);
});

Deno.test("SessionMachine.cast() keeps within credit and what the other end takes", () => {
  const limits = { ...LIMITS, maxMessage: 16_384, maxFrame: 16_384, recvBytes: 65_536 };
  const pair = MachinePair.open({ limits });
  const { client, server } = pair;
  const cast = new Cast("", new Uint8Array(4_000));
  let sent = 0;
  for (let frame = server.machine.cast(cast, 0); frame !== undefined; sent++) {
    client.input(frame, 0);
    frame = server.machine.cast(cast, 0);
  }
  assertEquals([sent, client.got.length, client.ends], [16, 16, []]);
  for (const { cost } of client.got.slice()) client.machine.consumed(cost);
  pair.settle();
  const frame = server.machine.cast(cast, 0);
  assert(frame !== undefined);
  client.input(frame, 0);
  assertEquals([client.got.length, client.ends], [17, []]);
});

Deno.test("SessionMachine.cast() is a write: it must make progress, and shows life", () => {
  const heartbeat = { interval: 10_000, timeout: 5_000 };
  const { machine } = MachinePair.open({ heartbeat }).server;
  const cast = new Cast("", utf8("x"));
  assert(machine.cast(cast, 9_000) !== undefined);
  machine.idle();
  machine.handleTimeout(10_000);
  assertEquals(machine.hasOutput, true, "It has heard nothing for long");
  machine.fill(new OutBuffer(), 10_000);
  machine.idle();
  assertEquals(machine.nextTimeout(), 15_000);
  assert(machine.cast(cast, 14_000) !== undefined);
  machine.wrote(14_500);
  assertEquals(machine.nextTimeout(), 15_000);
  const other = MachinePair.open().server;
  assert(other.machine.cast(cast, 1_000) !== undefined);
  assertEquals(other.machine.nextTimeout(), 16_000);
  other.machine.handleTimeout(16_000);
  assertEquals(other.end.code, "WRITE_TIMEOUT");
});
