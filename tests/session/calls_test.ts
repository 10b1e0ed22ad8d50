import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/base/errors.ts";
import * as wire from "../../src/wire/call.ts";
import { Flag, FrameType } from "../../src/wire/constants.ts";
import { encodePiece } from "../../src/wire/message.ts";
import { CallPair, encoded, feed } from "./_calls.ts";

const KIB = 1_024;

Deno.test("CallMachine carries a call and its answer, and forgets both", () => {
  const pair = new CallPair();
  const call = pair.client.call({
    method: "add",
    payload: new Uint8Array([1, 2]),
    deadline: 2_000,
  });
  pair.now = 500;
  pair.settle();
  const running = pair.server.answer(new Uint8Array([3]));
  assertEquals(
    [running.method, [...running.payload], running.deadlineAt, running.metadata],
    ["add", [1, 2], 2_000, {}],
  );
  assertEquals([call.log, pair.client.machine.open, pair.server.machine.open], [[], 1, 1]);
  pair.settle();
  assertEquals([call.log, call.answers.map((it) => [...it])], [["responded"], [[3]]]);
  assertEquals([pair.client.machine.caller.size, pair.server.machine.callee.size], [0, 0]);
});

Deno.test("CallMachine gives odd ids to the client's calls and even ones to the server's", () => {
  const pair = new CallPair();
  const calls = [pair.client, pair.server].flatMap((end) => [end.call(), end.call()]);
  pair.settle();
  assertEquals(calls.map(({ id }) => id), [1, 3, 2, 4]);
  assertEquals([pair.client.log, pair.server.log], [["request 2", "request 4"], [
    "request 1",
    "request 3",
  ]]);
});

Deno.test("Caller writes what is left of the deadline: at least 1 ms, at most a u32 of days", () => {
  const pair = new CallPair();
  const deadlines = [Infinity, 10_000.4, 10_000, 9_000, 2 ** 40];
  for (const deadline of deadlines) pair.client.call({ deadline });
  pair.now = 10_000;
  pair.settle();
  assertEquals(
    pair.server.requests.map(({ deadlineAt }) => deadlineAt - pair.now),
    [Infinity, 1, 1, 1, 2 ** 31 - 1],
  );
});

Deno.test("Caller R3 wraps its ids and passes over those that are live", () => {
  for (
    const { client, firstId } of [{ client: true, firstId: 2 ** 31 - 5 }, {
      client: false,
      firstId: 2 ** 31 - 6,
    }]
  ) {
    const pair = new CallPair({ firstId });
    const [from, to] = client ? [pair.client, pair.server] : [pair.server, pair.client];
    const lowest = client ? 1 : 2;
    const held = Array.from({ length: 4 }, () => from.call());
    pair.settle();
    const last = client ? 2 ** 31 - 1 : 2 ** 31 - 2;
    assertEquals(held.map(({ id }) => id), [last - 4, last - 2, last, lowest]);
    // A whole turn of the ids later the four are still live.
    const others = [];
    for (let n = 0; n < 3; n++) {
      const call = from.call();
      pair.settle();
      others.push(call.id);
      to.machine.callee.respond(to.requests.splice(4, 1)[0] ?? to.next(), new Uint8Array(0));
      pair.settle();
      assertEquals(call.log, ["responded"]);
    }
    assertEquals(others, [lowest + 2, lowest + 4, lowest + 6]);
    for (const _ of held) to.answer();
    pair.settle();
    assert(held.every(({ log }) => log.length === 1));
  }
});

Deno.test("Caller R3 passes over live ids for as long as they are live, turn after turn", () => {
  for (const client of [true, false]) {
    const pair = new CallPair({ lastId: 15 });
    const [from, to] = client ? [pair.client, pair.server] : [pair.server, pair.client];
    const held = Array.from({ length: 4 }, () => from.call());
    pair.settle();
    const running = to.requests.splice(0);
    const ids: number[] = [];
    for (let n = 0; n < 40; n++) {
      const call = from.call();
      pair.settle();
      to.answer();
      pair.settle();
      assertEquals(call.log, ["responded"]);
      ids.push(call.id);
    }
    const free = client ? [9, 11, 13, 15] : [10, 12, 14];
    assertEquals(ids, Array.from({ length: 40 }, (_, n) => free[n % free.length] ?? 0));
    assertEquals(held.map(({ log }) => log.length), [0, 0, 0, 0]);
    for (const call of running) to.machine.callee.respond(call, EMPTY);
    pair.settle();
    assert(held.every(({ log }) => log.length === 1));
  }
});

Deno.test("Caller R3 reuses an id once it is free, and not before", () => {
  const pair = new CallPair({ firstId: 2 ** 31 - 3 });
  const first = pair.client.call();
  pair.client.call();
  pair.client.call();
  pair.settle();
  assertEquals(pair.server.requests.map(({ id }) => id), [2 ** 31 - 3, 2 ** 31 - 1, 1]);
  pair.server.answer();
  pair.settle();
  assertEquals(first.log, ["responded"]);
  // From the other end's view: a new call with the first one's id is another call.
  feed(pair.server, encoded((out) => wire.encodeRequest(out, first.id, 9, 0, "m", true, EMPTY)));
  assertEquals(pair.server.requests.at(-1)?.id, first.id);
  assertThrows(
    () => feed(pair.server, encoded((out) => wire.encodeRequest(out, 1, 10, 0, "m", true, EMPTY))),
    ProtocolError,
    "its id is in use",
  );
});

Deno.test("CallMachine carries fragments of REQUEST and RESPONSE, several at a time", () => {
  const pair = new CallPair();
  const sizes = [300 * KIB, 100 * KIB, 32 * KIB, 32 * KIB + 1];
  const bodies = sizes.map((size, n) => new Uint8Array(size).fill(n + 1));
  const calls = bodies.map((payload) => pair.client.call({ payload }));
  const frames = [];
  for (let part = pair.carry(pair.client); part.length > 0; part = pair.carry(pair.client)) {
    frames.push(...part);
  }
  const more = frames.filter(({ flags }) => (flags & Flag.MORE) !== 0);
  assert(more.every(({ size }) => size <= 32 * KIB + 64), "A piece is 32 KiB");
  assertEquals(new Set(more.map(({ id }) => id)), new Set([1, 3, 7]));
  // The short ones do not wait for the long one.
  assertEquals(pair.server.requests.map(({ id }) => id), [5, 7, 3, 1]);
  for (const { payload } of [...pair.server.requests]) pair.server.answer(payload);
  pair.settle();
  for (const [n, call] of calls.entries()) {
    assertEquals(call.log, ["responded"]);
    assertEquals(call.answers[0], bodies[n]);
  }
});

Deno.test("CallMachine lets small frames go before pieces, and one large thing wait for no other", () => {
  const pair = new CallPair();
  pair.client.call({ payload: new Uint8Array(1_000 * KIB) });
  pair.client.call({ payload: new Uint8Array(1_000 * KIB) });
  pair.carry(pair.client);
  const small = pair.client.call();
  const [first, ...rest] = pair.carry(pair.client);
  assertEquals([first?.id, first?.flags], [small.id, Flag.END]);
  assertEquals(rest.map(({ id }) => id), [3, 1], "Two pieces of 32 KiB, in turn");
});

Deno.test("Caller takes fragments of ERROR", () => {
  const pair = new CallPair();
  const call = pair.client.call();
  pair.settle();
  const detail = new Uint8Array(10_000).fill(7);
  feed(
    pair.client,
    encoded((out) => {
      wire.encodeError(
        out,
        1,
        1,
        { ...HEAD, retryAfter: 5 },
        detail.subarray(0, 5_000),
        undefined,
        10_000,
      );
      encodePiece(out, FrameType.ERROR, 1, 2, false, detail.subarray(5_000));
    }),
  );
  assertEquals([call.log, call.details], [["failed ABORTED"], [detail]]);
  assertEquals([call.errors[0]?.message, call.errors[0]?.retryAfter], ["No", 5]);
  assertEquals(pair.client.machine.caller.size, 0);
});

Deno.test("CallMachine takes no mixture of fragments, and none that break the rules", () => {
  const first = (id: number, total: number, size: number) =>
    encoded((out) => wire.encodeResponse(out, id, 1, true, new Uint8Array(size), undefined, total));
  const next = (type: number, size: number, more: boolean, flags = 0) => {
    const bytes = encoded((out) => encodePiece(out, type, 1, 2, more, new Uint8Array(size)));
    bytes[5] = (bytes[5] ?? 0) | flags;
    return bytes;
  };
  const cases: [string, string, () => Uint8Array<ArrayBuffer>][] = [
    [
      "another type between",
      "BAD_FRAME",
      () => encoded((out) => wire.encodeError(out, 1, 2, HEAD, EMPTY)),
    ],
    ["END on the second", "BAD_FRAME", () => next(FrameType.RESPONSE, 5_000, true, Flag.END)],
    ["more than the total", "FRAME_TOO_LARGE", () => next(FrameType.RESPONSE, 9_000, true)],
    ["less than the total", "BAD_FRAME", () => next(FrameType.RESPONSE, 10, false)],
    ["a short piece", "BAD_FRAME", () => next(FrameType.RESPONSE, 4_095, true)],
  ];
  for (const [what, code, bytes] of cases) {
    const pair = new CallPair();
    pair.client.call();
    pair.settle();
    feed(pair.client, first(1, 12_000, 5_000));
    const error = assertThrows(() => feed(pair.client, bytes()), ProtocolError);
    assertEquals(error.code, code, what);
  }
  const pair = new CallPair();
  pair.client.call();
  pair.settle();
  const total = 2 ** 24 + 1;
  const error = assertThrows(() => feed(pair.client, first(1, total, 5_000)), ProtocolError);
  assertEquals(error.code, "FRAME_TOO_LARGE");
});

Deno.test("Callee answers a call that was cancelled while it was gathered, and never runs it", () => {
  const pair = new CallPair();
  const call = pair.client.call({ payload: new Uint8Array(200 * KIB) });
  pair.carry(pair.client);
  pair.client.machine.caller.cancel(call, "DEADLINE_EXCEEDED");
  pair.settle();
  assertEquals([pair.server.log, call.log], [[], []]);
  assertEquals([pair.client.machine.caller.size, pair.server.machine.callee.size], [0, 0]);
  // Its bytes are free again.
  for (let n = 0; n < 400; n++) {
    const next = pair.client.call({ payload: new Uint8Array(100 * KIB) });
    pair.carry(pair.client);
    pair.client.machine.caller.cancel(next, "CANCELLED");
    pair.settle();
  }
  pair.client.call({ payload: new Uint8Array(100 * KIB) });
  pair.settle();
  assertEquals(pair.server.requests.length, 1);
});

Deno.test("Callee answers each call once, whatever is tried", () => {
  const pair = new CallPair();
  const call = pair.client.call();
  pair.settle();
  const { callee } = pair.server.machine;
  const running = pair.server.next();
  callee.respond(running, new Uint8Array([1]));
  callee.respond(running, new Uint8Array([2]));
  callee.fail(running, HEAD, EMPTY);
  assertEquals(callee.stream(running), undefined);
  assertEquals(pair.carry(pair.server).length, 1);
  assertEquals([call.log, [...call.answers[0] ?? []]], [["responded"], [1]]);
  callee.respond(running, EMPTY);
  assertEquals(pair.carry(pair.server).length, 0);
});

Deno.test("Callee leaves out a detail that does not fit, and says so of an answer", () => {
  const pair = new CallPair({ client: { maxMessage: 50_000 } });
  const [failing, answered] = [pair.client.call(), pair.client.call()];
  pair.settle();
  pair.server.refuse("ABORTED", new Uint8Array(40_000));
  pair.server.answer(new Uint8Array(50_001));
  pair.settle();
  assertEquals([failing.log, failing.details], [["failed ABORTED"], [EMPTY]]);
  assertEquals(answered.log, ["failed RESOURCE_EXHAUSTED"]);
});

Deno.test("CallMachine tells every open call when the session ends, once", () => {
  const pair = new CallPair();
  const calls = Array.from({ length: 3 }, () => pair.client.call());
  pair.settle();
  pair.server.answer();
  const [answered, waiting, given] = calls;
  assert(answered && waiting && given);
  pair.settle();
  pair.client.machine.caller.cancel(given, "CANCELLED");
  const unwritten = pair.client.call();
  pair.client.machine.end();
  pair.server.machine.end();
  assertEquals(
    [answered.log, waiting.log, given.log, unwritten.log],
    [["responded"], ["lost"], [], []],
  );
  assertEquals(unwritten.state, "waiting", "What was never written goes out on the next link");
  assertEquals(pair.server.log.slice(-2), ["cancel 3 UNAVAILABLE", "cancel 5 UNAVAILABLE"]);
  assertEquals([pair.client.machine.hasOutput, pair.server.machine.hasOutput], [true, false]);
  pair.client.machine.end();
  assertEquals(waiting.log, ["lost"]);
  assertEquals([pair.client.machine.open, pair.server.machine.open], [0, 0]);
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
