/** Writes of a byte connection: whole, in order, and with an end when they take too long. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClosedError, TimeoutError } from "../../src/base/errors.ts";
import { settle } from "../../src/testing/clock.ts";
import { watch } from "../testing/_support.ts";
import { abortAll, endOf, pair, readText, toFake, WALL } from "./_support.ts";

Deno.test("Conn.write() writes all of it, and tells how many bytes that was", async () => {
  const { conn, far } = toFake();
  far.writeLimit = 3;
  assertEquals(await conn.write("hällo"), 6);
  assertEquals(await conn.write(new TextEncoder().encode("12345678")), 8);
  assertEquals([await conn.write(""), await conn.write(new Uint8Array(0))], [0, 0]);
  assertEquals(far.written.join(""), "hällo12345678");
  assertEquals(far.written.length, 5);
  conn.abort();
});

Deno.test("Conn.write() keeps several writes whole and in the order of their calls", async () => {
  const { conn, far } = toFake();
  far.writeLimit = 2;
  const texts = ["aaaaa", "b", "", "cccccccc", "dd"];
  assertEquals(await Promise.all(texts.map((text) => conn.write(text))), [5, 1, 0, 8, 2]);
  assertEquals(far.written.join(""), "aaaaabccccccccdd");
  conn.abort();
});

Deno.test("Conn.write() waits while the other end reads nothing", async () => {
  const { near, far } = pair();
  const data = Uint8Array.from({ length: 1_000_000 }, (_, i) => i % 253);
  const write = watch(near.write(data));
  await settle();
  assertEquals(write.state, undefined);
  assertEquals(await far.readExactly(data.length), data);
  await settle();
  assertEquals(write.state, "ok");
  abortAll(near, far);
});

Deno.test("Conn.write() that takes too long says how much was handed over, and ends the connection", async () => {
  const { clock, near, far } = pair({ writeTimeout: 200 });
  const read = watch(near.read(new Uint8Array(1)));
  const first = near.write(new Uint8Array(200_000));
  const late = near.write(new Uint8Array(200_000));
  const behind = near.write("never");
  const errors = [late, behind].map((write) => write.catch((error) => error));
  assertEquals(await first, 200_000);
  await clock.advance(199);
  assertEquals(read.state, undefined);
  await clock.advance(1);

  const [error, other] = await Promise.all(errors);
  assert(error instanceof TimeoutError);
  assertEquals([error.code, error.bytesWritten], ["TIMEOUT", 262_144 - 200_000]);
  assertEquals(error.message, "Cannot write as it took longer than 200 ms");
  assert(other instanceof TimeoutError);
  assertEquals(other.bytesWritten, 0);
  assertEquals(read.state, "ClosedError WRITE_TIMEOUT");
  const info = await near.closed;
  assertEquals([info.code, info.error], ["WRITE_TIMEOUT", error]);
  await assertRejects(() => near.write("more"), ClosedError);
  // The bytes that it spoke of have arrived.
  assertEquals((await far.readExactly(262_144)).length, 262_144);
  far.abort();
});

Deno.test("Conn.setWriteDeadline() limits all writes to an instant, those that wait included", async () => {
  const { clock, conn, far } = toFake();
  conn.setWriteDeadline(WALL + 1_000);
  assertEquals(await conn.write("in time"), 7);
  far.block();
  const write = watch(conn.write("stuck"));
  conn.setWriteDeadline(WALL + 60_000);
  await clock.advance(59_000);
  assertEquals(write.state, undefined);
  conn.setWriteDeadline(new Date(WALL + 59_500));
  await clock.advance(500);
  assertEquals([write.state, await endOf(conn)], ["TimeoutError TIMEOUT", "WRITE_TIMEOUT network"]);
});

Deno.test("Conn.write() after its deadline fails at once, and ends the connection", async () => {
  const { conn, far } = toFake();
  conn.setWriteDeadline(WALL - 1);
  const error = await assertRejects(() => conn.write("x"), TimeoutError);
  assertEquals([error.bytesWritten, await endOf(conn)], [0, "WRITE_TIMEOUT network"]);
  assertEquals(far.written, []);
});

Deno.test("Conn.write() that its signal takes back before it has begun leaves no trace", async () => {
  const { conn, far } = toFake();
  const controller = new AbortController();
  const reason = new Error("changed my mind");
  const { signal } = controller;
  far.block();
  const first = conn.write("first ");
  const taken = [conn.write("gone", { signal }), conn.write("gone too", { signal })]
    .map((write) => write.catch((error) => error));
  const last = conn.write("last");
  controller.abort(reason);
  assertEquals(await Promise.all(taken), [reason, reason]);
  assertEquals(await conn.write("x", { signal }).catch((error) => error), reason);
  far.unblock();
  assertEquals(await Promise.all([first, last]), [6, 4]);
  assertEquals(far.written.join(""), "first last");
  conn.abort();
});

Deno.test("Conn.write() that its signal ends after it has begun ends the connection", async () => {
  const { conn, far } = toFake();
  const controller = new AbortController();
  far.block();
  const write = conn.write("half a message", { signal: controller.signal });
  const other = assertRejects(() => conn.write("next"), ClosedError);
  controller.abort("stop");
  assertEquals(await write.catch((error) => error), "stop");
  await other;
  assertEquals([await endOf(conn), far.log], ["ABORTED local", ["close"]]);
});

Deno.test("Conn.write() fails once nobody can receive, and what was sent before can be read", async () => {
  const { conn, far } = toFake();
  far.block();
  const writes = ["a", "b"].map((text) => assertRejects(() => conn.write(text), ClosedError));
  far.unblock(new Deno.errors.BrokenPipe("Broken pipe"));
  for (const error of await Promise.all(writes)) {
    assertEquals([error.code, error.initiator], ["LINK_LOST", "network"]);
  }
  await assertRejects(() => conn.write("c"), ClosedError);
  far.arrive("why not", null);
  assertEquals([await readText(conn), await readText(conn)], ["why not", null]);
  assertEquals(far.log, []);
  assertEquals((await conn.close()).code, "NORMAL");
});

Deno.test("Conn.read() does not take a reset for the end, where a write was told of it first", async () => {
  const { conn, far } = toFake();
  far.block();
  const write = assertRejects(() => conn.write("a"), ClosedError);
  far.unblock(new Deno.errors.ConnectionReset("Connection reset by peer"));
  await write;
  // The platform tells of a reset only once: this looks like an end.
  far.arrive("all but", null);
  assertEquals(await readText(conn), "all but");
  const error = await assertRejects(() => conn.read(new Uint8Array(1)), ClosedError);
  assert(error.info.error?.cause instanceof Deno.errors.ConnectionReset);
  assertEquals(await endOf(conn), "LINK_LOST network");
});

Deno.test("Conn.closeWrite() ends one direction, after what was written before", async () => {
  const { near, far } = pair();
  const data = new Uint8Array(400_000);
  const write = near.write(data);
  const end = near.closeWrite();
  assertEquals(near.closeWrite(), end);
  const refused = await assertRejects(() => near.write("too late"), ClosedError, "closeWrite()");
  assertEquals(refused.initiator, "local");
  assertEquals((await far.readAll()).length, data.length);
  assertEquals(await write, data.length);
  await end;
  await far.write("and back");
  assertEquals(await readText(near), "and back");
  abortAll(near, far);
  await assertRejects(() => far.closeWrite(), ClosedError);
});

Deno.test("Conn.closeWrite() is refused where the transport has one end for both directions", async () => {
  const { near } = pair();
  near.abort();
  const { Connection } = await import("../../src/net/connection.ts");
  const conn = new Connection({
    read: () => new Promise(() => {}),
    write: (data) => Promise.resolve(data.length),
    close() {},
  });
  await assertRejects(() => conn.closeWrite(), TypeError);
  assertEquals(await conn.write("x"), 1);
  assertEquals((await conn.close()).code, "NORMAL");
});
