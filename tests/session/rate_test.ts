/** The rates of what comes in: the buckets by themselves, and how a session counts and waits. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/base/errors.ts";
import { type Holdup, RateLimit } from "../../src/session/rate.ts";
import * as call from "../../src/wire/call.ts";
import { encodePing } from "../../src/wire/control.ts";
import { encodeMessage, encodeMessageStart, encodePiece } from "../../src/wire/message.ts";
import { FrameType } from "../../src/wire/constants.ts";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { MachineSettings } from "../../src/session/events.ts";
import { type MachineEnd, MachinePair } from "../_support/machine_pair.ts";
import { Rng } from "../_support/rng.ts";
import { encoded, LIMITS } from "../_support/wire_client.ts";

const EMPTY = new Uint8Array(0);

function limitOf(messagesPerSecond: number, bytesPerSecond = Infinity): RateLimit {
  return new RateLimit({ messagesPerSecond, bytesPerSecond }, 0);
}

Deno.test("RateLimit lets a second's worth through at once, and holds up for what is beyond it", () => {
  const rate = limitOf(100);
  rate.take(100, 0, 0);
  assertEquals(rate.holdup, undefined);
  rate.take(50, 0, 0);
  assertEquals(rate.holdup, { limit: "messagesPerSecond", until: 500 });
  // What is taken meanwhile is added.
  rate.take(10, 0, 100);
  assertEquals(rate.holdup, { limit: "messagesPerSecond", until: 600 });
  rate.take(0, 0, 600);
  assertEquals(rate.holdup, undefined);
  rate.take(1, 0, 600);
  assertEquals(rate.holdup, { limit: "messagesPerSecond", until: 610 });
  // However long it was quiet, the burst is that of one second.
  rate.take(100, 0, 1_000_000);
  assertEquals(rate.holdup, undefined);
  rate.take(1, 0, 1_000_000);
  assertEquals(rate.holdup?.until, 1_000_010);
});

Deno.test("RateLimit holds up for the rate that takes longer", () => {
  const rate = limitOf(10, 1_000);
  rate.take(11, 1_500, 0);
  assertEquals(rate.holdup, { limit: "bytesPerSecond", until: 500 });
  rate.take(10, 0, 0);
  assertEquals(rate.holdup, { limit: "messagesPerSecond", until: 1_100 });
  rate.take(0, 0, 1_100);
  assertEquals(rate.holdup, undefined);
});

Deno.test("RateLimit.of() gives none where nothing is limited, and bytes alone never flood", () => {
  const none = { messagesPerSecond: Infinity, bytesPerSecond: Infinity };
  assertEquals([RateLimit.of(undefined, 0), RateLimit.of(none, 0)], [undefined, undefined]);
  const rate = RateLimit.of({ ...none, bytesPerSecond: 1_000 }, 0);
  rate?.take(1_000_000, 1_000_000, 0);
  assertEquals(rate?.holdup, { limit: "bytesPerSecond", until: 999_000 });
});

Deno.test("RateLimit ends who owes more than ten seconds' worth of messages", () => {
  const rate = limitOf(100);
  rate.take(1_100, 0, 0);
  assertEquals(rate.holdup?.until, 10_000);
  const error = assertThrows(() => rate.take(1, 0, 0), ProtocolError);
  assertEquals([error.code, error.limit, error.initiator], [
    "FLOOD",
    "messagesPerSecond",
    "remote",
  ]);
});

Deno.test("RateLimit keeps who obeys it at its rates, from any instant on", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const rng = new Rng(seed);
    const rates = { messagesPerSecond: 1 + rng.int(500), bytesPerSecond: 1 + rng.int(100_000) };
    const rate = new RateLimit(rates, 0);
    const [mostMessages, mostBytes] = [1 + rng.int(100), 1 + rng.int(50_000)];
    const taken: { readonly at: number; readonly messages: number; readonly bytes: number }[] = [];
    let now = 0;
    for (let n = 0; n < 200; n++) {
      now += rng.int(3) === 0 ? rng.int(300) : 0;
      now = Math.max(now, rate.holdup?.until ?? 0);
      const [messages, bytes] = [rng.int(mostMessages + 1), rng.int(mostBytes + 1)];
      // What would be a flood is another test's.
      if (messages > 9 * rates.messagesPerSecond) continue;
      rate.take(messages, bytes, now);
      taken.push({ at: now, messages, bytes });
    }
    const from = taken[rng.int(taken.length)]?.at ?? 0;
    const later = taken.filter(({ at }) => at >= from);
    const seconds = (now - from) / 1_000 + 1;
    const messages = later.reduce((sum, { messages }) => sum + messages, 0);
    const bytes = later.reduce((sum, { bytes }) => sum + bytes, 0);
    // A second's worth, what came in the time, and the one that went beyond it.
    assert(messages <= seconds * rates.messagesPerSecond + mostMessages + 1e-6, `seed ${seed}`);
    assert(bytes <= seconds * rates.bytesPerSecond + mostBytes + 1e-6, `seed ${seed}`);
  }
});

Deno.test("SessionMachine counts messages, calls and items when they are whole, and nothing else", () => {
  const messages = { messagesPerSecond: 2, bytesPerSecond: Infinity };
  const piece = new Uint8Array(4_096);
  let seq = 0;
  const message = (out: OutBuffer) => encodeMessage(out, ++seq, "", EMPTY);
  const volatile = (out: OutBuffer) => encodeMessage(out, 0, "", EMPTY);
  const begin = (out: OutBuffer) => encodeMessageStart(out, ++seq, "", 8_192, piece);
  const last = (out: OutBuffer) => encodePiece(out, FrameType.MSG, 0, ++seq, false, piece);
  const upload = (out: OutBuffer) => call.encodeRequest(out, 1, ++seq, 0, "m", false, EMPTY);
  const item = (out: OutBuffer) => call.encodeChunk(out, 1, ++seq, false, EMPTY);
  const end = (out: OutBuffer) => call.encodeChunk(out, 1, ++seq, true, EMPTY);
  const credit = (out: OutBuffer) => call.encodeCredit(out, 1, ++seq, 1_000);
  const cancel = (out: OutBuffer) => call.encodeCancel(out, 1, ++seq, "CANCELLED");
  const ping = (out: OutBuffer) => encodePing(out, 1, 0);
  const table: readonly (readonly [string, readonly ((out: OutBuffer) => void)[], number])[] = [
    ["three messages", [message, volatile, message], 3],
    ["two messages", [message, volatile], 2],
    ["a message in pieces", [begin, last, message], 2],
    ["a piece that is not the last", [message, message, begin], 2],
    ["a call and its items", [upload, item, end], 3],
    ["what goes along with them", [upload, credit, cancel, ping, ping, message], 2],
  ];
  for (const [name, writes, count] of table) {
    const { server } = opened({ rates: messages });
    seq = 0;
    server.input(encoded(...writes), 0);
    const expected: Holdup = { limit: "messagesPerSecond", until: (count - 2) * 500 };
    assertEquals(server.machine.holdup, count > 2 ? expected : undefined, name);
  }
});

Deno.test("SessionMachine counts every byte once, however frames are cut", () => {
  const bytes = encoded(
    (out) => encodeMessage(out, 1, "", new Uint8Array(3_000)),
    (out) => encodeMessage(out, 2, "", new Uint8Array(2_000)),
  );
  for (const step of [1, 7, 1_000, bytes.length]) {
    const rates = { messagesPerSecond: Infinity, bytesPerSecond: 1_000 };
    const pair = opened({ rates });
    pair.advance(10_000);
    for (let at = 0; at < bytes.length; at += step) {
      pair.server.input(bytes.subarray(at, at + step), pair.now);
    }
    assertEquals(pair.server.got.length, 2);
    const debt = (pair.server.machine.holdup?.until ?? 0) - pair.now;
    assertEquals(Math.round(debt), bytes.length - 1_000, `${step} bytes at a time`);
  }
});

Deno.test("SessionMachine judges nobody by a pause of its own, and goes on with its PINGs", () => {
  const heartbeat = { interval: 200, timeout: 100 };
  const rates = { messagesPerSecond: Infinity, bytesPerSecond: 1_000 };
  const pair = opened({ heartbeat, rates, frameTimeout: 500 });
  const { server } = pair;
  const start = pair.now;
  // The beginning of a frame, of which the rest is not read for five seconds.
  const bytes = encoded((out) => encodeMessage(out, 1, "", new Uint8Array(20_000)));
  server.input(bytes.subarray(0, 6_000), start);
  const until = server.machine.holdup?.until ?? 0;
  assert(until > start + 4_500, `${until}`);
  let pings = 0;
  while (pair.now < until) {
    pair.now = Math.min(until, server.machine.nextTimeout());
    server.machine.handleTimeout(pair.now);
    if (pair.flush(server) > 0) pings++;
    server.machine.idle();
  }
  assertEquals(server.ends, []);
  assert(pings >= 4_500 / 200, `${pings}`);
  // From here on the rest may take as long as ever, and no longer.
  assertEquals([lived(server, until, 299), lived(server, until + 299, 1)], [true, false]);
  assertEquals(server.end.code, "HEARTBEAT_TIMEOUT");
});

Deno.test("SessionMachine charges a frame with the time in which it could come, and no more", () => {
  const rates = { messagesPerSecond: Infinity, bytesPerSecond: 1_000 };
  const { server, now } = opened({ rates, frameTimeout: 500 });
  const bytes = encoded((out) => encodeMessage(out, 1, "", new Uint8Array(20_000)));
  server.input(bytes.subarray(0, 6_000), now);
  const until = server.machine.holdup?.until ?? 0;
  server.input(bytes.subarray(6_000, 8_000), until + 400);
  const again = server.machine.holdup?.until ?? 0;
  assert(again > until + 1_500, `${again}`);
  // 400 of the 500 ms were used.
  assertEquals([lived(server, again, 99), lived(server, again + 99, 2)], [true, false]);
  assertEquals(server.end.code, "BAD_FRAME");
});

Deno.test("SessionMachine reads on once it has ended, whatever was owed", () => {
  const { server, now } = opened({ rates: { messagesPerSecond: 1, bytesPerSecond: 100 } });
  server.input(encoded((out) => encodeMessage(out, 1, "", new Uint8Array(1_000))), now);
  assert(server.machine.holdup !== undefined);
  server.machine.close("NORMAL", "");
  assertEquals(server.machine.holdup, undefined);
});

/** A pair whose session is open. */
function opened(options: Partial<MachineSettings>): MachinePair {
  const limits = { ...LIMITS, maxCalls: 8, maxStreams: 8, streamBytes: 16_384 };
  return MachinePair.open({ ...options, limits });
}

/** Whether a machine is still there after so many ms in which nothing arrives. */
function lived({ machine, ends }: MachineEnd, from: number, ms: number): boolean {
  for (let at = machine.nextTimeout(); at <= from + ms; at = machine.nextTimeout()) {
    machine.handleTimeout(Math.max(from, at));
    machine.fill(new OutBuffer(), Math.max(from, at));
    machine.idle();
  }
  return ends.length === 0;
}
