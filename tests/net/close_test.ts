/** How a byte connection ends: each way once, with nothing left behind. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ClosedError } from "../../src/base/errors.ts";
import { memoryPair } from "@vgo/vnet/testing";
import { Connection } from "../../src/net/connection.ts";
import { settle } from "../../src/testing/clock.ts";
import { watch } from "../testing/_support.ts";
import { abortAll, endOf, pair, readText, timingOf, toFake } from "./_support.ts";

Deno.test("Conn.close() ends at once where nothing is on its way", async () => {
  const { conn, far } = toFake();
  const read = assertRejects(() => conn.read(new Uint8Array(1)), ClosedError);
  const info = await conn.close({ reason: "done" });
  assertEquals(info, { code: "NORMAL", reason: "done", initiator: "local" });
  const error = await read;
  assertEquals([error.code, error.info], ["NORMAL", info]);
  assertEquals(far.log, ["close"]);
});

Deno.test("Conn.close() and abort() are idempotent, in any order", async () => {
  const { clock, conn, far } = toFake();
  const all = await Promise.all([conn.close(), conn.close({ reason: "again" }), conn.closed]);
  conn.abort("too late");
  await conn[Symbol.asyncDispose]();
  assert(all.every((info) => info === all[0]));
  assertEquals([far.log, clock.pending], [["close"], 0]);

  const other = toFake();
  other.conn.abort(new Error("enough"));
  other.conn.abort("again");
  const info = await other.conn.close();
  assertEquals([info.code, info.reason, info.initiator], ["ABORTED", "enough", "local"]);
  assertEquals(other.far.log, ["close"]);
  for (const refused of [() => conn.write("x"), () => conn.closeWrite(), () => conn.readLine()]) {
    await assertRejects(refused, ClosedError);
  }
  assertThrows(() => conn.close({ grace: -1 }), RangeError);
});

Deno.test("Conn.close() writes what was accepted, then says that it has ended", async () => {
  const { clock, near, far } = pair();
  const data = new Uint8Array(600_000);
  const writes = [near.write(data), near.write("bye")];
  const closing = near.close();
  await assertRejects(() => near.write("more"), ClosedError);
  await assertRejects(() => near.read(new Uint8Array(1)), ClosedError);
  assertEquals((await far.readAll()).length, 600_003);
  assertEquals(await Promise.all(writes), [600_000, 3]);
  await far.close();
  assertEquals((await closing).code, "NORMAL");
  assertEquals([await endOf(far), clock.pending], ["NORMAL remote", 0]);
});

Deno.test("Conn.close() is over when its grace is, and says what was not written", async () => {
  for (const how of ["grace", "signal", "second close"]) {
    const { clock, near, far } = pair();
    const write = assertRejects(() => near.write(new Uint8Array(300_000)), ClosedError);
    const controller = new AbortController();
    const closing = near.close({ grace: 500, signal: controller.signal });
    await clock.advance(400);
    if (how === "signal") controller.abort();
    if (how === "second close") near.close({ grace: 0 });
    if (how === "grace") await clock.advance(99);
    const watched = watch(closing);
    await settle();
    assertEquals(watched.state, how === "signal" ? "ok" : undefined);
    await clock.advance(how === "grace" ? 1 : 0);
    const { code, reason, initiator } = await closing;
    assertEquals([code, initiator], ["WRITE_TIMEOUT", "local"]);
    assertEquals(reason, "37856 bytes could not be written within the grace");
    await write;
    assertEquals(clock.pending, 0);
    far.abort();
  }
});

Deno.test("Conn.close() waits a moment for an other end that is still sending, and drops what comes", async () => {
  const { clock, near, far } = pair();
  await near.write("answer");
  await far.write("question, and more of it");
  assertEquals(await readText(near), "question, and more of it");
  await far.write("unread");
  const closing = watch(near.close());
  await clock.advance(900);
  assertEquals(closing.state, undefined);
  assertEquals([await readText(far), await readText(far)], ["answer", null]);
  await far.write("still going on");
  await far.close({ grace: 0 });
  await settle();
  assertEquals([closing.state, clock.pending], ["ok", 0]);
});

Deno.test("Conn.close() does not wait for long for an other end that only keeps its direction open", async () => {
  const { clock, near, far } = pair();
  await near.write("answer");
  const closing = watch(near.close());
  await clock.advance(9);
  assertEquals(closing.state, undefined);
  await clock.advance(1);
  assertEquals(closing.state, "ok");
  assertEquals([await readText(far), await readText(far)], ["answer", null]);
  far.abort();

  // A read that was waiting shows that nothing was coming.
  const other = pair();
  await other.near.write("answer");
  const read = assertRejects(() => other.near.readLine(), ClosedError);
  await other.near.close();
  await read;
  abortAll(other.far);
});

Deno.test("Conn.close() waits at most 1 s for an other end that sends for ever", async () => {
  const { clock, near, far } = pair();
  await near.write("answer");
  const sending = (async () => {
    for (;;) {
      await far.write(new Uint8Array(100_000));
      await new Promise<void>((next) => clock.setTimer(clock.now() + 2, next));
    }
  })().catch((error) => error);
  await settle();
  const closing = watch(near.close());
  for (let ms = 0; ms < 999; ms += 3) await clock.advance(3);
  assertEquals(closing.state, undefined);
  await clock.advance(11);
  assertEquals(closing.state, "ok");
  assert(await sending instanceof ClosedError);
  far.abort();
});

Deno.test("Conn.abort() ends reads and writes that wait, at once", async () => {
  const { clock, near, far } = pair({ readTimeout: 1_000, writeTimeout: 1_000 });
  const { signal } = new AbortController();
  const waits = [
    near.read(new Uint8Array(1), { signal }),
    near.readAll(),
    near.write(new Uint8Array(300_000), { signal }),
    near.write("x"),
    near.closeWrite(),
  ].map(watch);
  const cause = new Error("enough");
  near.abort(cause);
  await settle();
  assertEquals(waits.map(({ state }) => state), waits.map(() => "ClosedError ABORTED"));
  assertEquals((await near.closed).error?.cause, cause);
  assertEquals(clock.pending, 0);
  far.abort();
});

Deno.test("Conn ends by itself when both directions have, and what had arrived can be read", async () => {
  const { clock, near, far } = pair({ readTimeout: 1_000 });
  const { near: one, far: two } = pair();
  // The other end is first.
  await far.write("hello");
  await far.closeWrite();
  assertEquals((await near.readExactly(2)).length, 2);
  assertEquals(await near.readLine(), "llo");
  assertEquals(await near.read(new Uint8Array(1)), null);
  await near.closeWrite();
  assertEquals([await endOf(near), clock.pending], ["NORMAL local", 0]);
  assertEquals([await near.read(new Uint8Array(1)), await near.readText()], [null, ""]);
  await assertRejects(() => near.write("x"), ClosedError);

  // The other end is last, and says more than is read.
  await one.closeWrite();
  const some = one.readExactly(3);
  await two.write("world");
  await two.closeWrite();
  assertEquals((await some).length, 3);
  assertEquals(await one.readText(), "ld");
  assertEquals(await endOf(one), "NORMAL remote");
  abortAll(far, two);
});

Deno.test("Conn.closed says LINK_LOST when the connection breaks", async () => {
  const { conn, far } = toFake();
  const read = assertRejects(() => conn.read(new Uint8Array(1)), ClosedError);
  far.arrive(new Deno.errors.ConnectionReset("Connection reset by peer"));
  await read;
  const { code, initiator, reason, error } = await conn.closed;
  assertEquals([code, initiator, reason], ["LINK_LOST", "network", "Connection reset by peer"]);
  assert(error?.cause instanceof Deno.errors.ConnectionReset);
});

Deno.test("Conn.id counts the connections of the process", () => {
  const { near, far } = pair();
  assertEquals(far.id, near.id + 1);
  abortAll(near, far);
});

Deno.test("Conn ends with the transport's own abort where it has one", async () => {
  const log: string[] = [];
  const { clock } = pair();
  const conn = new Connection(
    {
      read: () => new Promise(() => {}),
      write: (data) => Promise.resolve(data.length),
      close: () => log.push("close"),
      abort: () => log.push("abort"),
    },
    {},
    timingOf(clock),
  );
  conn.abort();
  await conn.closed;
  assertEquals(log, ["abort"]);
});

Deno.test("Conn over a Conn ends both", async () => {
  const { clock } = pair();
  const [a, b] = memoryPair();
  const timing = timingOf(clock);
  const inner = new Connection(a, {}, timing);
  const outer = new Connection(inner, {}, timing);
  const far = new Connection(b, {}, timing);
  await far.write("hello");
  assertEquals(await readText(outer), "hello");
  const stuck = assertRejects(() => outer.write(new Uint8Array(300_000)), ClosedError);
  outer.abort();
  await stuck;
  assertEquals(await endOf(inner), "ABORTED local");
  far.abort();
});
