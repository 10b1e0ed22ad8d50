import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/base/errors.ts";
import type { Bytes } from "../../src/base/types.ts";
import type { RunningCall } from "../../src/session/calls.ts";
import type { ReceiveFlow, SendFlow } from "../../src/session/flows.ts";
import * as wire from "../../src/wire/call.ts";
import { Flag, FrameType } from "../../src/wire/constants.ts";
import type { WireLimits } from "../../src/wire/handshake.ts";
import { type CallEnd, CallPair, encoded, feed, TestCall } from "./_calls.ts";

const KIB = 1_024;
const WINDOW = 256 * KIB;
const EMPTY = new Uint8Array(0);

/** A call that streams from the server to the client. */
interface Download {
  readonly pair: CallPair;
  readonly call: StreamedCall;
  readonly running: RunningCall;
  readonly flow: SendFlow;
}

/** Takes items as a slow reader does: they are given back when the test says so. */
class StreamedCall extends TestCall {
  readonly items: { readonly payload: Bytes; readonly cost: number }[] = [];
  flow: ReceiveFlow | undefined;
  ended = false;

  override streaming(flow: ReceiveFlow): void {
    super.streaming(flow);
    this.flow = flow;
    flow.to({
      item: (payload, cost) => this.items.push({ payload, cost }),
      ended: () => this.ended = true,
    });
  }

  /** Consumes what has come. */
  consume(end: CallEnd): void {
    for (const { cost } of this.items.splice(0)) {
      if (this.flow !== undefined) end.machine.consumed(this.flow, cost);
    }
  }
}

function download(limits: Partial<WireLimits> = {}): Download {
  const pair = new CallPair({ client: limits, server: limits });
  return { pair, ...another(pair) };
}

function another(pair: CallPair): Omit<Download, "pair"> {
  const call = new StreamedCall();
  pair.client.lane.push(call);
  pair.settle();
  const running = pair.server.next();
  const flow = pair.server.machine.callee.stream(running);
  assert(flow !== undefined);
  pair.settle();
  assertEquals(call.log, ["streaming"]);
  return { call, running, flow };
}

/** Adds items, as a pump does. */
function push(end: CallEnd, flow: SendFlow, ...items: Uint8Array[]): void {
  for (const item of items) flow.push(item);
  end.machine.pushed(flow);
}

/** Items of 10 KiB, so many bytes together and a little more; 25 of them fit into the window. */
function many(bytes: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes / (10 * KIB)) }, () => new Uint8Array(10 * KIB));
}

Deno.test("SendFlow carries items in order, the empty ones as well, and the end once", () => {
  const { pair, call, flow } = download();
  push(pair.server, flow, new Uint8Array([1]), EMPTY, new Uint8Array([2, 3]));
  pair.settle();
  assertEquals(call.items.map(({ payload }) => [...payload]), [[1], [], [2, 3]]);
  assertEquals(call.items.map(({ cost }) => cost), [65, 64, 66]);
  assertEquals([call.ended, pair.client.machine.caller.size], [false, 1]);
  flow.end();
  pair.server.machine.pushed(flow);
  pair.settle();
  assertEquals([call.ended, flow.over], [true, true]);
  assertEquals([pair.client.machine.open, pair.server.machine.open], [0, 0]);
});

Deno.test("SendFlow R14 stops at the window, and goes on with each grant", () => {
  const { pair, call, flow } = download();
  const items = Array.from({ length: 40 }, (_, n) => new Uint8Array(10 * KIB).fill(n));
  push(pair.server, flow, ...items);
  pair.settle();
  // 10,304 bytes each: 25 fit into the window, and a part of the next.
  assertEquals(call.items.length, 25);
  call.consume(pair.client);
  pair.settle();
  assertEquals(call.items.length, 15);
  call.consume(pair.client);
  flow.end();
  pair.server.machine.pushed(flow);
  pair.settle();
  assert(call.ended);
});

Deno.test("SendFlow R14 a stream without credit stalls by itself, and nothing else", () => {
  const first = download();
  const { pair } = first;
  const second = another(pair);
  push(pair.server, first.flow, ...many(2 * WINDOW));
  push(pair.server, second.flow, new Uint8Array(10));
  const third = pair.client.call();
  pair.settle();
  pair.server.answer();
  pair.settle();
  assertEquals([second.call.items.length, third.log], [1, ["responded"]]);
  assertEquals([pair.server.machine.hasOutput, first.flow.rotating], [false, false]);
  push(pair.server, second.flow, new Uint8Array(10));
  pair.settle();
  assertEquals(second.call.items.length, 2);
});

Deno.test("SendFlow carries an item that is larger than the window", () => {
  const { pair, call, flow } = download();
  const item = Uint8Array.from({ length: 1_024 * KIB }, (_, at) => at ^ (at >>> 8));
  push(pair.server, flow, new Uint8Array(1), item, new Uint8Array(2));
  pair.settle();
  // Pieces of what is not whole yet are granted again, as if they were consumed.
  assertEquals(call.items.map(({ payload }) => payload.length), [1, 1_024 * KIB, 2]);
  assertEquals(call.items[1]?.payload, item);
  // Now that it is whole it is held, and more than the window at once.
  push(pair.server, flow, ...many(300 * KIB));
  pair.settle();
  const before = call.items.length;
  assert(before < 30, `${before}`);
  call.consume(pair.client);
  pair.settle();
  assert(call.items.length > 0);
});

Deno.test("SendFlow waits for room below its low-water mark, counting what an item costs", () => {
  const { pair, flow } = download();
  let told = 0;
  assertEquals(flow.push(new Uint8Array(30 * KIB)), true);
  assertEquals(flow.push(new Uint8Array(2 * KIB)), false);
  flow.onRoom(() => told++);
  assertEquals(told, 0);
  pair.server.machine.pushed(flow);
  pair.settle();
  assertEquals(told, 1);
  flow.onRoom(() => told++);
  assertEquals(told, 2, "There is room now");
  // Empty items take up memory all the same.
  let pushed = 1;
  while (flow.push(EMPTY)) pushed++;
  assertEquals(pushed, 512);
  flow.onRoom(() => told++);
  flow.stop();
  assertEquals(told, 3, "Nobody waits for a flow that is over");
});

Deno.test("SendFlow tells once that its items are of no use", () => {
  const { pair, call, flow } = download();
  let stops = 0;
  flow.onStop(() => stops++);
  push(pair.server, flow, ...many(2 * WINDOW));
  pair.settle();
  assertEquals(stops, 0);
  const came = call.items.length;
  flow.stop();
  flow.stop();
  assertEquals([stops, flow.over], [1, true]);
  pair.settle();
  call.consume(pair.client);
  pair.settle();
  assertEquals([came, call.items.length, call.ended], [25, 0, false]);
  const ended = download();
  ended.flow.onStop(() => stops++);
  ended.flow.end();
  ended.pair.server.machine.pushed(ended.flow);
  ended.pair.settle();
  ended.flow.stop();
  assertEquals([stops, ended.call.ended], [1, true]);
});

Deno.test("Callee puts an error behind the items that were given before it", () => {
  const { pair, call, running, flow } = download();
  const failed = { code: "ABORTED", message: "No" } as const;
  push(pair.server, flow, ...many(WINDOW));
  const head = { ...failed, notExecuted: false, retryable: false, retryAfter: 0 };
  pair.server.machine.callee.fail(running, head, EMPTY);
  pair.settle();
  assertEquals([call.items.length, call.log], [25, ["streaming"]], "It waits as they do");
  call.consume(pair.client);
  pair.settle();
  assertEquals([call.items.length, call.log], [1, ["streaming", "failed ABORTED"]]);
  assertEquals([pair.client.machine.open, pair.server.machine.open], [0, 0]);
});

Deno.test("Callee puts an error in the place of items that nobody wants any more", () => {
  const { pair, call, running, flow } = download();
  push(pair.server, flow, ...many(2 * WINDOW));
  pair.settle();
  pair.client.machine.caller.cancel(call, "CANCELLED");
  pair.settle();
  assertEquals(pair.server.log.at(-1), "cancel 1 CANCELLED");
  const head = { notExecuted: false, retryable: false, retryAfter: 0, message: "" };
  pair.server.machine.callee.fail(running, { ...head, code: "CANCELLED" }, EMPTY);
  pair.settle();
  assertEquals([call.items.length, call.log], [25, ["streaming"]]);
  assertEquals([pair.client.machine.open, pair.server.machine.open], [0, 0]);
});

Deno.test("Callee ends a cancelled stream whose handler has given all its items", () => {
  for (const how of ["end", "error"] as const) {
    const { pair, call, running, flow } = download();
    push(pair.server, flow, ...many(WINDOW));
    if (how === "end") flow.end();
    else {
      const head = { notExecuted: false, retryable: false, retryAfter: 0, message: "" };
      pair.server.machine.callee.fail(running, { ...head, code: "ABORTED" }, EMPTY);
    }
    pair.settle();
    assertEquals(pair.server.machine.callee.size, 1, "It waits for credit that will not come");
    pair.client.machine.caller.cancel(call, "CANCELLED");
    pair.settle();
    assertEquals([pair.client.machine.open, pair.server.machine.open], [0, 0], how);
  }
});

Deno.test("ReceiveFlow R14 takes no CHUNK over its credit", () => {
  const pair = new CallPair();
  pair.client.call();
  pair.settle();
  feed(pair.client, encoded((out) => wire.encodeResponse(out, 1, 1, false, EMPTY)));
  const piece = new Uint8Array(64 * KIB - 64);
  const chunk = encoded((out) => wire.encodeChunk(out, 1, 1, false, piece));
  for (let n = 0; n < 4; n++) feed(pair.client, chunk);
  const empty = encoded((out) => wire.encodeChunk(out, 1, 1, false, EMPTY));
  assertEquals(assertThrows(() => feed(pair.client, empty), ProtocolError).code, "FLOW_CONTROL");
});

Deno.test("ReceiveFlow R14 grants to the last byte, and a smaller or enormous grant changes nothing", () => {
  const { pair, call, flow } = download({ streamBytes: 16 * KIB });
  const credit = (limit: number) =>
    feed(pair.server, encoded((out) => wire.encodeCredit(out, 1, 1, limit)));
  push(pair.server, flow, new Uint8Array(16 * KIB - 64), EMPTY);
  pair.settle();
  assertEquals(call.items.length, 1, "An empty item costs 64");
  credit(1_000);
  credit(16 * KIB);
  pair.settle();
  assertEquals(call.items.length, 1);
  call.consume(pair.client);
  pair.settle();
  assertEquals(call.items.length, 1);
  credit(2 ** 53 - 1);
  const bad = encoded((out) => wire.encodeCredit(out, 1, 1, 0));
  bad[16] = 0x7f;
  assertEquals(assertThrows(() => feed(pair.server, bad), ProtocolError).code, "BAD_FRAME");
});

Deno.test("ReceiveFlow keeps what comes before it has a taker, and grants none of it", () => {
  const pair = new CallPair();
  const call = pair.client.call({ upload: true });
  pair.settle();
  const { sending } = call;
  assert(sending !== undefined);
  push(pair.client, sending, new Uint8Array(200 * KIB), new Uint8Array(200 * KIB));
  pair.settle();
  const { receiving } = pair.server.next();
  assert(receiving !== undefined);
  assertEquals(receiving.grantDue, false);
  const taken: number[] = [];
  receiving.to({
    item: (payload, cost) => {
      taken.push(payload.length);
      pair.server.machine.consumed(receiving, cost);
    },
    ended: () => taken.push(-1),
  });
  sending.end();
  pair.client.machine.pushed(sending);
  pair.settle();
  assertEquals(taken, [200 * KIB, 200 * KIB, -1]);
});

Deno.test("ReceiveFlow takes fragments of CHUNK, with END on the first only, and nothing after it", () => {
  const begin = () => {
    const { pair, call } = download();
    const chunk = (size: number, end: boolean, total = -1) =>
      feed(
        pair.client,
        encoded((out) => wire.encodeChunk(out, 1, 1, end, new Uint8Array(size), total)),
      );
    const more = (size: number, flags: number) => {
      const bytes = encoded((out) => wire.encodeChunk(out, 1, 1, false, new Uint8Array(size)));
      bytes[5] = flags;
      feed(pair.client, bytes);
    };
    return { call, chunk, more };
  };
  const last = begin();
  last.chunk(5_000, true, 11_000);
  last.more(5_000, Flag.MORE);
  assertEquals([last.call.items.length, last.call.ended], [0, false]);
  last.more(1_000, 0);
  assertEquals(last.call.items.map(({ payload, cost }) => [payload.length, cost]), [[
    11_000,
    11_192,
  ]]);
  assertEquals(last.call.ended, true);

  const late = begin();
  late.chunk(5_000, false, 11_000);
  assertEquals(assertThrows(() => late.more(6_000, Flag.END), ProtocolError).code, "BAD_FRAME");

  const large = begin();
  const total = 2 ** 24 + 1;
  const error = assertThrows(() => large.chunk(5_000, false, total), ProtocolError);
  assertEquals(error.code, "FRAME_TOO_LARGE");
});

Deno.test("CallMachine takes no items of a call that brings none, or has an answer already", () => {
  const chunk = (id: number) => encoded((out) => wire.encodeChunk(out, id, 1, false, EMPTY));
  const pair = new CallPair();
  pair.client.call();
  pair.settle();
  for (const end of [pair.client, pair.server]) {
    assertEquals(assertThrows(() => feed(end, chunk(1)), ProtocolError).code, "PROTOCOL");
  }
  for (const end of [true, false]) {
    const { pair } = download();
    const again = encoded((out) => wire.encodeResponse(out, 1, 1, end, EMPTY));
    assertEquals(assertThrows(() => feed(pair.client, again), ProtocolError).code, "PROTOCOL");
  }
  const ended = new CallPair();
  ended.client.call({ upload: true });
  ended.settle();
  feed(ended.server, encoded((out) => wire.encodeChunk(out, 1, 1, true, EMPTY)));
  assertEquals(assertThrows(() => feed(ended.server, chunk(1)), ProtocolError).code, "PROTOCOL");
});

Deno.test("CallOutput takes turns between streams, and between streams and other large things", () => {
  const first = download();
  const { pair } = first;
  const flows = [first, another(pair), another(pair)].map(({ flow }) => flow);
  const large = pair.client.call();
  pair.settle();
  pair.server.answer(new Uint8Array(200 * KIB));
  for (const flow of flows) push(pair.server, flow, new Uint8Array(200 * KIB));
  const pieces: string[] = [];
  for (let part = pair.carry(pair.server); part.length > 0; part = pair.carry(pair.server)) {
    pieces.push(...part.map(({ type, id }) => `${type === FrameType.CHUNK ? "c" : "r"}${id}`));
  }
  const turns = pieces.slice(0, 24);
  for (let at = 4; at < 20; at += 4) {
    assertEquals(new Set(turns.slice(at, at + 4)).size, 4, `${turns}`);
  }
  assertEquals(large.log, ["responded"]);
  assertEquals([first.call.items.length], [1]);
});

Deno.test("CallOutput gives no stream a second turn for being told of its items one by one", () => {
  const first = download();
  const { pair } = first;
  const second = another(pair);
  const item = () => new Uint8Array(1_000);
  for (let n = 0; n < 10; n++) push(pair.server, first.flow, item());
  push(pair.server, second.flow, ...Array.from({ length: 10 }, item));
  assertEquals(pair.carry(pair.server).map(({ id }) => id), Array(10).fill([1, 3]).flat());
});

Deno.test("CallOutput gives a small call its turn within two pieces of any number of streams", () => {
  const first = download();
  const { pair } = first;
  for (const { flow } of [first, ...Array.from({ length: 20 }, () => another(pair))]) {
    push(pair.server, flow, new Uint8Array(200 * KIB));
  }
  pair.carry(pair.server);
  const small = pair.client.call();
  pair.carry(pair.client);
  pair.server.answer();
  const [head] = pair.carry(pair.server);
  assertEquals([head?.type, small.log], [FrameType.RESPONSE, ["responded"]]);
});

Deno.test("Caller tells no grant of a stream that is over for it, whatever is still consumed", () => {
  for (const how of ["cancel", "end"] as const) {
    const { pair, call, flow } = download();
    push(pair.server, flow, new Uint8Array(200 * KIB));
    pair.settle();
    if (how === "cancel") pair.client.machine.caller.cancel(call, "CANCELLED");
    else pair.client.machine.end();
    const written = pair.client.output().length;
    assertEquals(written > 0, how === "cancel");
    call.consume(pair.client);
    assertEquals([how, pair.client.machine.hasOutput], [how, false]);
    // On another session the same id would be another call.
    const next = new CallPair();
    if (call.flow !== undefined) next.client.machine.consumed(call.flow, 200 * KIB);
    assertEquals(next.client.machine.hasOutput, false);
  }
});

Deno.test("Callee counts streams of each direction apart", () => {
  const limits = { maxStreams: 3 };
  const pair = new CallPair({ client: limits, server: limits });
  const both = () => pair.client.call({ upload: true });
  const calls = [both(), both(), both()];
  pair.settle();
  const { callee } = pair.server.machine;
  const flows = pair.server.requests.splice(0).map((call) => callee.stream(call));
  assert(flows.every((flow) => flow !== undefined));
  const more = pair.client.call();
  pair.settle();
  assertEquals(callee.stream(pair.server.next()), undefined);
  pair.settle();
  assertEquals(more.log, ["failed RESOURCE_EXHAUSTED"]);
  assertEquals(calls.map(({ log }) => log), Array(3).fill(["uploading", "streaming"]));
  // A place is free again once a stream has ended.
  const [flow] = flows;
  flow?.end();
  if (flow !== undefined) pair.server.machine.pushed(flow);
  pair.settle();
  const last = both();
  pair.settle();
  assert(callee.stream(pair.server.next()) !== undefined);
  assertEquals(last.log, ["uploading"]);
});
