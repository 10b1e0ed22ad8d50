/**
 * Receipts: who waits to hear that a message was accepted, by itself and between two machines.
 */
import { assert, assertEquals } from "@std/assert";
import { Flag, FrameType } from "../../src/wire/constants.ts";
import { FrameReader } from "../../src/wire/frame.ts";
import { type Receipt, Receipts } from "../../src/session/receipts.ts";
import { encodeAck, encodeClose, encodePing, encodePong } from "../../src/wire/control.ts";
import { type MachineEnd, MachinePair } from "../_support/machine_pair.ts";
import { Rng } from "../_support/rng.ts";
import { encoded, LIMITS } from "../_support/wire_client.ts";

/** A receipt that writes down what it is told. */
function receipt(log: string[], name: string | number): Receipt {
  return {
    over: false,
    accepted: () => log.push(`${name} accepted`),
    failed: (why) => log.push(`${name} ${why}`),
  };
}

/** Lets an end send a message, and writes down what becomes of it. */
function send(end: MachineEnd, log: string[], name: string, length = 10): void {
  end.outbox.push(name, new Uint8Array(length), 0, { receipt: receipt(log, name) });
}

/** The numbers from one to another, as text. */
function range(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, n) => `${first + n}`);
}

Deno.test("Receipts tells those up to the count that was acknowledged, in order, and each once", () => {
  const log: string[] = [];
  const receipts = new Receipts();
  for (const count of [1, 3, 4, 9]) receipts.wrote(count, receipt(log, count));
  receipts.acked(0);
  assertEquals(log, []);
  receipts.acked(3);
  receipts.acked(2);
  assertEquals(log, ["1 accepted", "3 accepted"]);
  receipts.acked(8);
  receipts.end();
  receipts.end();
  receipts.acked(100);
  assertEquals(log.slice(2), ["4 accepted", "9 lost"]);
});

Deno.test("Receipts keeps few of those who have given up, where the other end never says a word", () => {
  const receipts = new Receipts();
  const log: string[] = [];
  const given = new Set<number>();
  const live = 100;
  for (let n = 1; n <= 100_000; n++) {
    receipts.wrote(n, {
      get over() {
        return given.has(n);
      },
      accepted: () => log.push(`${n} accepted`),
      failed: (why) => log.push(`${n} ${why}`),
    });
    given.add(n - live);
    assert(receipts.size <= 1_024, `${receipts.size} of ${live}`);
  }
  // Those who still wait are told as ever.
  receipts.acked(99_990);
  assertEquals(log.slice(-90).map((line) => line.split(" ")[0]), range(99_901, 99_990));
  receipts.end();
  assertEquals(log.slice(-10).map((line) => line.split(" ")[0]), range(99_991, 100_000));
});

Deno.test("Receipts keeps all who wait, however many", () => {
  const receipts = new Receipts();
  const log: string[] = [];
  for (let n = 1; n <= 10_000; n++) receipts.wrote(n, receipt(log, n));
  assertEquals(receipts.size, 10_000);
  receipts.acked(10_000);
  assertEquals([log.length, receipts.size], [10_000, 0]);
});

Deno.test("SessionMachine asks for an ACK with the last frame of such a message, and with no other", () => {
  const pair = MachinePair.open();
  const log: string[] = [];
  pair.client.outbox.push("plain", new Uint8Array(10));
  send(pair.client, log, "small");
  send(pair.client, log, "large", 300_000);
  const flags: string[] = [];
  const reader = new FrameReader(
    {
      onFrame: (type, flag) => {
        if (type !== FrameType.MSG) return;
        flags.push(`${(flag & Flag.MORE) > 0 ? "more" : "end"}${flag & Flag.ACKREQ ? " ack" : ""}`);
      },
    },
    "client",
    LIMITS.maxFrame,
  );
  for (let bytes = pair.client.output(0); bytes.length > 0; bytes = pair.client.output(0)) {
    assertEquals(reader.read(bytes, 0, bytes.length), bytes.length);
    pair.server.input(bytes, 0);
  }
  assertEquals(flags, ["end", "end ack", "more", "more", "end ack"]);
  pair.settle();
  assertEquals([log, pair.now], [["small accepted", "large accepted"], 0]);
});

Deno.test("SessionMachine is told of an acceptance at once, not with the delay of an ACK", () => {
  const pair = MachinePair.open();
  const log: string[] = [];
  pair.client.outbox.push("plain", new Uint8Array(10));
  pair.settle();
  send(pair.client, log, "first");
  pair.settle();
  assertEquals([log, pair.now, pair.server.got.length], [["first accepted"], 0, 2]);
});

for (
  const [name, encode] of Object.entries({
    ACK: (count: number) => encoded((out) => encodeAck(out, count, 1 << 20)),
    PING: (count: number) => encoded((out) => encodePing(out, 1, count)),
    PONG: (count: number) => encoded((out) => encodePong(out, 77, count)),
    CLOSE: (count: number) => encoded((out) => encodeClose(out, "NORMAL", 0, count, "")),
  })
) {
  Deno.test(`SessionMachine takes the count of a ${name} for what it acknowledges`, () => {
    const pair = MachinePair.open();
    const log: string[] = [];
    send(pair.client, log, "one");
    send(pair.client, log, "two");
    pair.flush(pair.client);
    pair.client.input(encode(1), 0);
    pair.client.cut();
    assertEquals(log, ["one accepted", "two lost"]);
  });
}

Deno.test("SessionMachine that ends tells lost, of what was written only; the rest goes with the next", () => {
  const pair = MachinePair.open();
  const log: string[] = [];
  send(pair.client, log, "written");
  pair.flush(pair.client);
  send(pair.client, log, "waiting");
  pair.client.cut();
  assertEquals([log, pair.client.outbox.frames], [["written lost"], 1]);
});

Deno.test("SessionMachine tells of a message that the other end finds too large, and goes on", () => {
  const pair = MachinePair.open({ limits: { ...LIMITS, maxMessage: 100 } });
  const log: string[] = [];
  send(pair.client, log, "large", 101);
  send(pair.client, log, "fits", 100);
  pair.settle();
  assertEquals(log, ["large too-large", "fits accepted"]);
});

Deno.test("SessionMachine acknowledges nothing that was not accepted: 500 random cuts", () => {
  for (let seed = 1; seed <= 500; seed++) {
    const rng = new Rng(seed);
    const pair = MachinePair.open();
    const log: string[] = [];
    const names = Array.from({ length: 1 + rng.int(20) }, (_, n) => `${n}`);
    for (const name of names) {
      send(pair.client, log, name, rng.int(5) === 0 ? rng.int(200_000) : rng.int(500));
    }
    // Reads and writes in turn, in pieces of any size, up to a cut.
    for (let step = rng.int(40); step > 0; step--) {
      const [from, to] = rng.int(2) === 0 ? [pair.client, pair.server] : [pair.server, pair.client];
      pair.flush(from);
      pair.deliver(to, 1 + rng.int(60_000));
      if (rng.int(5) === 0) pair.advance(rng.int(60));
    }
    pair.client.cut();
    const got = new Set(pair.server.got.map(({ topic }) => topic));
    const outcome = new Map(log.map((line) => [line.split(" ")[0], line.split(" ")[1]]));
    assertEquals(outcome.size, log.length, `Each is told once: seed ${seed}`);
    for (const name of names) {
      if (outcome.get(name) === "accepted") assert(got.has(name), `${name} of seed ${seed}`);
      else assert([undefined, "lost"].includes(outcome.get(name)), `${name} of seed ${seed}`);
      // What is left in the outbox was never whole on the way.
      if (outcome.get(name) === undefined) assert(!got.has(name), `${name} of seed ${seed}`);
    }
  }
});
