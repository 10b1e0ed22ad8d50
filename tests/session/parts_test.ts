/** Reassembly, the outbox, and PINGs with their PONGs. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/base/errors.ts";
import { Outbox } from "../../src/session/outbox.ts";
import { Pings } from "../../src/session/pings.ts";
import { MIN_PIECE, Reassembly } from "../../src/session/reassembly.ts";
import { Rng } from "../_support/rng.ts";

function refused(work: () => unknown): string {
  return assertThrows(work, ProtocolError).code;
}

Deno.test("Reassembly puts pieces of any size together, in 100 random cuts", () => {
  for (let seed = 1; seed <= 100; seed++) {
    const rng = new Rng(seed);
    const body = rng.bytes(MIN_PIECE + rng.int(600_000));
    const reassembly = new Reassembly("topic", body.length, 1_000_000);
    let at = 0;
    let cost = 0;
    let whole: Uint8Array | undefined;
    while (whole === undefined) {
      const end = Math.min(body.length, at + MIN_PIECE + rng.int(100_000));
      cost += 10;
      whole = reassembly.add(body.subarray(at, end), end < body.length, 10);
      at = end;
    }
    assertEquals(at, body.length);
    assert(whole.length === at && whole.every((byte, i) => byte === body[i]), `seed ${seed}`);
    assertEquals([reassembly.topic, reassembly.cost], ["topic", cost]);
  }
});

Deno.test("Reassembly refuses a total over the limit, and takes one at it", () => {
  assertEquals(refused(() => new Reassembly("", 1_001, 1_000)), "FRAME_TOO_LARGE");
  const reassembly = new Reassembly("", 1_000, 1_000);
  assertEquals(reassembly.add(new Uint8Array(1_000), false, 0)?.length, 1_000);
});

Deno.test("Reassembly refuses pieces that are too many, too few or too small", () => {
  const begun = () => {
    const reassembly = new Reassembly("", 10_000, 100_000);
    reassembly.add(new Uint8Array(5_000), true, 0);
    return reassembly;
  };
  assertEquals(refused(() => begun().add(new Uint8Array(5_001), false, 0)), "FRAME_TOO_LARGE");
  assertEquals(refused(() => begun().add(new Uint8Array(5_001), true, 0)), "FRAME_TOO_LARGE");
  assertEquals(refused(() => begun().add(new Uint8Array(4_999), false, 0)), "BAD_FRAME");
  assertEquals(refused(() => begun().add(new Uint8Array(MIN_PIECE - 1), true, 0)), "BAD_FRAME");
  assertEquals(refused(() => begun().add(new Uint8Array(0), true, 0)), "BAD_FRAME");
  assertEquals(begun().add(new Uint8Array(5_000), false, 0)?.length, 10_000);
});

Deno.test("Reassembly takes a last piece that is empty", () => {
  const reassembly = new Reassembly("", 5_000, 5_000);
  assertEquals(reassembly.add(new Uint8Array(5_000), true, 0), undefined);
  assertEquals(reassembly.add(new Uint8Array(0), false, 0)?.length, 5_000);
});

Deno.test("Outbox keeps order and size, and refuses what is too much", () => {
  const outbox = new Outbox(1_000);
  assertEquals([outbox.bytes, outbox.frames, outbox.peek()], [0, 0, undefined]);
  assertEquals(outbox.push("a", new Uint8Array(400)), true);
  assertEquals(outbox.push("b", new Uint8Array(472)), true);
  assertEquals([outbox.bytes, outbox.frames], [1_000, 2]);
  assertEquals(outbox.push("c", new Uint8Array(0)), false);
  assertEquals(outbox.peek()?.topic, "a");
  outbox.shift();
  assertEquals([outbox.peek()?.topic, outbox.bytes, outbox.frames], ["b", 536, 1]);
  outbox.shift();
  outbox.shift();
  assertEquals([outbox.bytes, outbox.frames], [0, 0]);
});

Deno.test("Outbox has room for one message of any size when it is empty", () => {
  const outbox = new Outbox(10);
  assertEquals(outbox.push("", new Uint8Array(5_000)), true);
  assertEquals(outbox.push("", new Uint8Array(0)), false);
  assertEquals(outbox.clear(), { bytes: 5_064, frames: 1 });
  assertEquals([outbox.bytes, outbox.frames, outbox.peek()], [0, 0, undefined]);
});

Deno.test("Outbox.rewind() starts what was handed over in part anew, and nothing else", () => {
  const outbox = new Outbox(10_000);
  outbox.rewind();
  outbox.push("a", new Uint8Array(100));
  outbox.push("b", new Uint8Array(100));
  outbox.begin(50);
  assertEquals([outbox.peek()?.topic, outbox.peek()?.offset, outbox.frames], ["a", 50, 2]);
  outbox.rewind();
  assertEquals([outbox.peek()?.topic, outbox.peek()?.offset, outbox.bytes], ["a", 0, 328]);
  outbox.shift();
  assertEquals([outbox.peek()?.topic, outbox.frames, outbox.bytes], ["b", 1, 164]);
});

Deno.test("Pings numbers them, spaces them, and measures the round trip", () => {
  const pings = new Pings();
  assertEquals([pings.dueAt, pings.takePing(0)], [Infinity, undefined]);
  assertEquals([pings.request(), pings.request()], [1, 1]);
  assertEquals(pings.takePing(1_000), 1);
  assertEquals([pings.takePing(2_000), pings.dueAt], [undefined, Infinity]);
  assertEquals(pings.request(), 2);
  assertEquals([pings.dueAt, pings.takePing(1_001.9)], [1_002, undefined]);
  assertEquals(pings.takePing(1_002), 2);
  assertEquals(pings.pong(1, 1_050), 50);
  assertEquals(pings.pong(2, 1_050), 48);
});

Deno.test("Pings takes a PONG for every older PING, and none twice", () => {
  const pings = new Pings();
  for (let at = 0; at < 5; at++) {
    pings.request();
    pings.takePing(at * 10);
  }
  assertEquals(pings.pong(3, 100), 80);
  assertEquals([1, 2, 3].map((opaque) => pings.pong(opaque, 100)), [
    undefined,
    undefined,
    undefined,
  ]);
  assertEquals([0, 6, -1, NaN].map((opaque) => pings.pong(opaque, 100)), [
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  assertEquals(pings.pong(5, 100), 60);
  assertEquals(pings.pong(4, 100), undefined);
});

Deno.test("Pings remembers the newest 64 that nobody answers", () => {
  const pings = new Pings();
  for (let i = 1; i <= 100; i++) {
    pings.request();
    assertEquals(pings.takePing(i * 2), i);
  }
  assertEquals([pings.pong(36, 300), pings.pong(37, 300)], [undefined, 226]);
});

Deno.test("Pings owes one PONG, to the newest PING", () => {
  const pings = new Pings();
  assertEquals([pings.pongDue, pings.takePong()], [false, undefined]);
  for (const opaque of [7, 0, 9]) assertEquals(pings.ping(opaque, 0), true);
  assertEquals([pings.pongDue, pings.takePong()], [true, 9]);
  assertEquals([pings.pongDue, pings.takePong()], [false, undefined]);
  pings.ping(0, 1);
  assertEquals([pings.pongDue, pings.takePong()], [true, 0]);
});

Deno.test("Pings calls more than 1,000 in a second a flood", () => {
  const pings = new Pings();
  for (const start of [50_000, 51_000, 60_000]) {
    for (let i = 0; i < 1_000; i++) assertEquals(pings.ping(i, start + i / 2), true, `${i}`);
  }
  assertEquals(pings.ping(1, 60_999), false);
  assertEquals(pings.ping(1, 61_000), true);
});
