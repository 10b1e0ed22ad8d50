import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/base/errors.ts";
import { RequestLane } from "../../src/session/calls.ts";
import * as wire from "../../src/wire/call.ts";
import { CallPair, encoded, feed, TestCall } from "./_calls.ts";

const KIB = 1_024;

Deno.test("Caller never has more calls open than the other end takes, cancelled ones included", () => {
  const pair = new CallPair({ server: { maxCalls: 3 } });
  const calls = Array.from({ length: 5 }, () => pair.client.call());
  pair.settle();
  assertEquals([pair.server.requests.length, pair.client.lane.size], [3, 2]);
  const [first] = calls;
  assert(first !== undefined);
  pair.client.machine.caller.cancel(first, "CANCELLED");
  pair.settle();
  // Its slot is free only when the other end has said its last word.
  assertEquals([pair.server.log.at(-1), pair.server.requests.length], ["cancel 1 CANCELLED", 3]);
  pair.server.refuse("CANCELLED");
  pair.settle();
  assertEquals([pair.server.requests.length, first.log], [3, []]);
  for (let n = 0; n < 4; n++) {
    pair.server.answer();
    pair.settle();
  }
  assertEquals(calls.map(({ log }) => log.join()), [
    "",
    ..."....".split("").map(() => "responded"),
  ]);
});

Deno.test("Callee takes one call more than it said for a flood", () => {
  const pair = new CallPair({ server: { maxCalls: 2 } });
  const ask = (id: number) =>
    feed(pair.server, encoded((out) => wire.encodeRequest(out, id, id, 0, "m", true, EMPTY)));
  ask(1);
  ask(3);
  assertEquals(assertThrows(() => ask(5), ProtocolError).code, "FLOOD");
});

Deno.test("Caller refuses what the other end would not take, and writes none of it", () => {
  const pair = new CallPair({ server: { maxMessage: 100, maxMetadata: 50, maxStreams: 1 } });
  const calls = [
    pair.client.call({ payload: new Uint8Array(101) }),
    pair.client.call({ metadata: { key: "v".repeat(50) } }),
    pair.client.call({ upload: true }),
    pair.client.call({ upload: true }),
    pair.client.call({ payload: new Uint8Array(100), metadata: { key: "v".repeat(40) } }),
  ];
  pair.settle();
  const refused = "failed RESOURCE_EXHAUSTED not executed";
  assertEquals(calls.map(({ log }) => log.join()), [refused, refused, "uploading", refused, ""]);
  assertEquals(pair.server.requests.length, 2);
});

Deno.test("CallMachine takes no payload over maxMessage, in one frame either", () => {
  const limits = { maxMessage: 1_000 };
  const large = new Uint8Array(1_001);
  const cases: [string, (pair: CallPair) => void][] = [
    [
      "REQUEST",
      ({ server }) =>
        feed(server, encoded((out) => wire.encodeRequest(out, 1, 1, 0, "m", true, large))),
    ],
    [
      "RESPONSE",
      ({ client }) => feed(client, encoded((out) => wire.encodeResponse(out, 1, 1, true, large))),
    ],
    ["CHUNK", ({ client }) => {
      feed(client, encoded((out) => wire.encodeResponse(out, 1, 1, false, EMPTY)));
      feed(client, encoded((out) => wire.encodeChunk(out, 1, 2, false, large)));
    }],
  ];
  for (const [what, run] of cases) {
    const pair = new CallPair({ client: limits, server: limits });
    if (what !== "REQUEST") pair.client.call();
    pair.settle();
    const error = assertThrows(() => run(pair), ProtocolError);
    assertEquals(error.code, "FRAME_TOO_LARGE", what);
  }
});

Deno.test("Callee holds no more than twice maxMessage of inputs, whole or half", () => {
  const pair = new CallPair({ server: { maxMessage: 100 * KIB } });
  const calls = [90, 90, 90, 10].map((size) =>
    pair.client.call({ payload: new Uint8Array(size * KIB) })
  );
  pair.settle();
  // The third would have been 270 of 200 KiB; the fourth fits beside the first two.
  const refused = "failed RESOURCE_EXHAUSTED not executed";
  assertEquals(calls.map(({ log }) => log.join()), ["", "", refused, ""]);
  pair.server.answer();
  pair.server.answer();
  pair.server.answer();
  pair.settle();
  const again = pair.client.call({ payload: new Uint8Array(90 * KIB) });
  pair.settle();
  assertEquals(again.log, []);
  pair.server.answer();
  pair.settle();
  assertEquals([again.log, pair.server.machine.callee.size], [["responded"], 0]);
});

Deno.test("Callee holds no more than twice maxMessage of small inputs either", () => {
  const pair = new CallPair({ server: { maxMessage: 1_000 } });
  const calls = Array.from({ length: 4 }, () => pair.client.call({ payload: new Uint8Array(900) }));
  pair.settle();
  const refused = "failed RESOURCE_EXHAUSTED not executed";
  assertEquals(calls.map(({ log }) => log.join()), ["", "", refused, refused]);
  pair.server.answer();
  pair.settle();
  const next = pair.client.call({ payload: new Uint8Array(900) });
  pair.settle();
  assertEquals([next.log, pair.server.requests.length], [[], 2]);
});

Deno.test("CallMachine R1 drops answers to no call, and cuts off a flood of them", () => {
  const stray = [
    (out: Out) => wire.encodeResponse(out, 9, 1, true, EMPTY),
    (out: Out) => wire.encodeError(out, 9, 1, HEAD, EMPTY),
    (out: Out) => wire.encodeChunk(out, 9, 1, false, EMPTY),
    (out: Out) => wire.encodeCredit(out, 9, 1, 1e6),
    (out: Out) => wire.encodeCancel(out, 8, 1, "CANCELLED"),
    (out: Out) => wire.encodeChunk(out, 8, 1, false, EMPTY),
    (out: Out) => wire.encodeCredit(out, 8, 1, 1e6),
  ];
  for (const write of stray) {
    const { client } = new CallPair();
    const thousand = encoded((out) => {
      for (let n = 0; n < 1_000; n++) write(out);
    });
    feed(client, thousand, 5_000);
    feed(client, thousand, 6_000);
    const error = assertThrows(() => feed(client, encoded(write), 6_999), ProtocolError);
    assertEquals(error.code, "FLOOD");
  }
});

Deno.test("CallMachine never takes what a caller sent too late for a flood", () => {
  // As many calls as may be open, cancelled by the caller while their answers are on their way; then
  // the same again, within one second.
  const pair = new CallPair({ server: { maxCalls: 5_000 } });
  for (let round = 0; round < 3; round++) {
    const calls = Array.from({ length: 5_000 }, () => pair.client.call());
    while (pair.carry(pair.client).length > 0);
    for (const _ of calls) pair.server.answer();
    const answers: Uint8Array<ArrayBuffer>[] = [];
    for (let out = pair.server.output(); out.length > 0; out = pair.server.output()) {
      answers.push(out);
    }
    for (const call of calls) pair.client.machine.caller.cancel(call, "CANCELLED");
    while (pair.carry(pair.client).length > 0);
    for (const out of answers) feed(pair.client, out);
    assertEquals(pair.client.machine.caller.size, 0);
  }
  // A caller that cancels what it must know to be over is none of those.
  const again = encoded((out) => {
    for (let n = 0; n < 1_001; n++) wire.encodeCancel(out, 1, 1, "CANCELLED");
  });
  assertEquals(assertThrows(() => feed(pair.server, again), ProtocolError).code, "FLOOD");
});

Deno.test("RequestLane counts what waits, and passes over what was given up", () => {
  const lane = new RequestLane();
  const calls = [10, 20, 30].map((size) => new TestCall({ payload: new Uint8Array(size) }));
  for (const call of calls) lane.push(call);
  assertEquals([lane.size, lane.bytes], [3, 60 + 3 * 64]);
  const [first, second, third] = calls;
  assert(first && second && third);
  lane.giveUp(first);
  lane.giveUp(first);
  assertEquals([lane.size, lane.bytes, first.state], [2, 50 + 2 * 64, "settled"]);
  assert(lane.peek() === second);
  lane.shift(Infinity);
  lane.giveUp(third);
  assertEquals([lane.peek(), lane.size, lane.bytes], [undefined, 0, 0]);
});

Deno.test("RequestLane keeps no more places of calls that were given up than of those that wait", () => {
  const lane = new RequestLane();
  const first = new TestCall();
  lane.push(first);
  for (let n = 0; n < 100_000; n++) {
    const call = new TestCall();
    lane.push(call);
    lane.giveUp(call);
  }
  assertEquals(lane.size, 1);
  assert(lane.peek() === first);
  assertEquals(lane.places <= 100, true, `${lane.places}`);
  lane.shift(Infinity);
  assertEquals(lane.peek(), undefined);
});

type Out = Parameters<Parameters<typeof encoded>[0]>[0];
const EMPTY = new Uint8Array(0);
const HEAD: wire.ErrorHead = {
  code: "ABORTED",
  message: "No",
  notExecuted: false,
  retryable: false,
  retryAfter: 0,
};
