/** Answers in fragments: how many are under way at once, and what a caller takes. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/base/errors.ts";
import type { OutBuffer } from "../../src/base/out_buffer.ts";
import { Flag, FrameType } from "../../src/wire/constants.ts";
import * as wire from "../../src/wire/call.ts";
import { encodePiece } from "../../src/wire/message.ts";
import { Rng } from "../_support/rng.ts";
import { CallPair, encoded, feed, type TestCall, type Written } from "./_calls.ts";

const KIB = 1_024;
const MAX = 256 * KIB;

Deno.test("Callee begins no more answers in fragments than two messages may hold, and loses none", () => {
  const pair = new CallPair({ client: { maxMessage: MAX } });
  const calls = Array.from({ length: 7 }, () => pair.client.call());
  pair.settle();
  for (let n = 0; n < 7; n++) pair.server.answer(new Uint8Array(200 * KIB).fill(n));
  const open = new Set<number>();
  let most = 0;
  while (pair.server.machine.hasOutput) {
    for (const frame of pair.carry(pair.server)) track(open, frame);
    most = Math.max(most, open.size);
  }
  assertEquals([most, open.size], [2, 0]);
  assertEquals(calls.map(({ answers }) => answers[0]?.[0]), [0, 1, 2, 3, 4, 5, 6]);
  assert(calls.every(({ answers }) => answers[0]?.length === 200 * KIB));
  assertEquals([pair.client.machine.open, pair.server.machine.open], [0, 0]);
});

Deno.test("Callee lets small answers pass those that wait to begin", () => {
  const pair = new CallPair({ client: { maxMessage: MAX } });
  const calls = Array.from({ length: 5 }, () => pair.client.call());
  pair.settle();
  for (let n = 0; n < 4; n++) pair.server.answer(new Uint8Array(MAX));
  pair.server.answer(new Uint8Array(8));
  // The first pieces of the two that are under way fill one turn.
  for (let turn = 0; turn < 2; turn++) pair.carry(pair.server);
  assertEquals(calls.map(({ log }) => log.length), [0, 0, 0, 0, 1]);
  pair.settle();
  assertEquals(calls.map(({ log }) => log), Array(5).fill(["responded"]));
});

Deno.test("Callee forgets the answers that wait when the session ends", () => {
  const pair = new CallPair({ client: { maxMessage: MAX } });
  for (let n = 0; n < 4; n++) pair.client.call();
  pair.settle();
  for (let n = 0; n < 4; n++) pair.server.answer(new Uint8Array(MAX));
  pair.carry(pair.server);
  pair.server.machine.end();
  assertEquals([pair.server.machine.open, pair.server.machine.hasOutput], [0, false]);
});

Deno.test("Caller and Callee agree on what is under way, whatever is asked and cancelled", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const rng = new Rng(seed);
    const pair = new CallPair({ client: { maxMessage: MAX } });
    const calls: TestCall[] = [];
    const cancelled = new Set<TestCall>();
    const answer = () =>
      pair.server.answer(new Uint8Array(rng.int(4) === 0 ? 10 : rng.int(MAX + 1)));
    for (let turn = 0; turn < 60; turn++) {
      const call = pair.client.call();
      calls.push(call);
      pair.carry(pair.client);
      if (rng.int(3) === 0 && call.log.length === 0) {
        pair.client.machine.caller.cancel(call, "CANCELLED");
        cancelled.add(call);
      }
      while (pair.server.requests.length > rng.int(4)) answer();
      // A caller that got more than it allows would throw.
      if (rng.int(2) === 0) pair.carry(pair.server);
    }
    while (pair.server.requests.length > 0) answer();
    pair.settle();
    for (const call of calls) {
      assertEquals(call.log, cancelled.has(call) ? [] : ["responded"], `seed ${seed}`);
    }
    assertEquals([pair.client.machine.open, pair.server.machine.open], [0, 0], `seed ${seed}`);
  }
});

Deno.test("Caller ends who sends more answers in fragments than two messages may hold", () => {
  const piece = new Uint8Array(4_096);
  const head = { code: "ABORTED", message: "", notExecuted: false, retryable: false } as const;
  const begins = {
    response: (id: number, total: number) => (out: OutBuffer) =>
      wire.encodeResponse(out, id, 1, true, piece, undefined, total),
    error: (id: number, total: number) => (out: OutBuffer) =>
      wire.encodeError(out, id, 1, { ...head, retryAfter: 0 }, piece, undefined, total),
  };
  for (const begin of Object.values(begins)) {
    const pair = new CallPair({ client: { maxMessage: MAX } });
    for (let n = 0; n < 4; n++) pair.client.call();
    pair.settle();
    feed(pair.client, encoded(begin(1, MAX)));
    feed(pair.client, encoded(begins.response(3, MAX)));
    const more = encoded(begin(5, 8_192));
    const error = assertThrows(() => feed(pair.client, more), ProtocolError);
    assertEquals([error.code, error.limit], ["FLOW_CONTROL", "maxMessageLength"]);
  }
});

Deno.test("Caller has room again for what a whole answer took", () => {
  const pair = new CallPair({ client: { maxMessage: MAX } });
  const calls = [1, 3, 5].map(() => pair.client.call());
  pair.settle();
  const half = new Uint8Array(MAX / 2);
  let seq = 0;
  const begin = (id: number) =>
    feed(
      pair.client,
      encoded((out) => wire.encodeResponse(out, id, ++seq, true, half, undefined, MAX)),
    );
  const end = (id: number) =>
    feed(
      pair.client,
      encoded((out) => encodePiece(out, FrameType.RESPONSE, id, ++seq, false, half)),
    );
  begin(1);
  begin(3);
  end(1);
  begin(5);
  end(5);
  end(3);
  assertEquals(calls.map(({ log }) => log), Array(3).fill(["responded"]));
});

/** Keeps which answers are under way. */
function track(open: Set<number>, { type, flags, id }: Written): void {
  if (type !== FrameType.RESPONSE) return;
  if ((flags & Flag.MORE) !== 0) open.add(id);
  else open.delete(id);
}
