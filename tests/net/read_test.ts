/** Reads of a byte connection: what they give, and that giving them up loses nothing. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ClosedError, FrameError, LimitError, TimeoutError } from "../../src/base/errors.ts";
import { settle } from "../../src/testing/clock.ts";
import { watch } from "../testing/_support.ts";
import { abortAll, endOf, pair, readText, toFake, WALL } from "./_support.ts";

Deno.test("Conn.read() gives what has arrived, and null at the end", async () => {
  const { near, far } = pair();
  await far.write("hello");
  const buf = new Uint8Array(3);
  assertEquals([await near.read(buf), [...buf]], [3, [104, 101, 108]]);
  assertEquals(await near.read(new Uint8Array(0)), 0);
  assertEquals(await readText(near), "lo");
  const next = readText(near);
  await far.closeWrite();
  assertEquals([await next, await readText(near), await readText(near)], [null, null, null]);
  abortAll(near, far);
});

Deno.test("Conn.read() that took longer than its timeout can be repeated, and nothing is lost", async () => {
  const { clock, near, far } = pair();
  const buf = new Uint8Array(8);
  for (let turn = 1; turn <= 3; turn++) {
    const read = assertRejects(() => near.read(buf, { timeout: 20 }), TimeoutError, "than 20 ms");
    await clock.advance(19);
    const late = watch(read);
    await settle();
    assertEquals(late.state, undefined);
    await clock.advance(1);
    await read;
  }
  await far.write("data");
  await settle();
  // The read of the transport that was outstanding all the time has gone to the connection's own buffer.
  assertEquals([...buf], [0, 0, 0, 0, 0, 0, 0, 0]);
  assertEquals(await readText(near), "data");
  assertEquals(clock.pending, 0);
  abortAll(near, far);
});

Deno.test("Conn.readTimeout limits each read that names no timeout", async () => {
  const { clock, near, far } = pair({ readTimeout: 1_000 });
  assertEquals([near.readTimeout, near.writeTimeout, far.readTimeout], [1_000, Infinity, Infinity]);
  await far.write("x");
  assertEquals(await readText(near), "x");
  await clock.advance(5_000);
  const reads = [
    readText(near),
    readText(near, { timeout: 10 }),
    readText(near, { timeout: Infinity }),
  ]
    .map(watch);
  await clock.advance(999);
  assertEquals(reads.map(({ state }) => state), [undefined, "TimeoutError TIMEOUT", undefined]);
  near.readTimeout = Infinity; // holds for reads that begin from now on
  await clock.advance(1);
  assertEquals(reads.map(({ state }) => state)[0], "TimeoutError TIMEOUT");
  await clock.advance(1e9);
  assertEquals(reads.map(({ state }) => state)[2], undefined);
  abortAll(near, far);
});

Deno.test("Conn.setReadDeadline() limits all reads to an instant, those that wait included", async () => {
  const { clock, near, far } = pair();
  const first = watch(readText(near));
  near.setReadDeadline(WALL + 500);
  const second = watch(readText(near));
  const third = watch(readText(near, { timeout: 100 }));
  await clock.advance(499);
  assertEquals([first.state, second.state, third.state], [
    undefined,
    undefined,
    "TimeoutError TIMEOUT",
  ]);
  await clock.advance(1);
  assertEquals([first.state, second.state], ["TimeoutError TIMEOUT", "TimeoutError TIMEOUT"]);

  // As in Go: once it has passed every read fails, also where there is something to read.
  await far.write("late");
  await assertRejects(() => near.read(new Uint8Array(8)), TimeoutError, "the deadline has passed");
  near.setReadDeadline(new Date(WALL + 1_000));
  assertEquals(await readText(near), "late");

  const moved = watch(readText(near));
  near.setReadDeadline(WALL + 5_000);
  await clock.advance(4_000);
  assertEquals(moved.state, undefined);
  near.setReadDeadline(Infinity);
  await clock.advance(1e9);
  assertEquals(moved.state, undefined);
  near.setReadDeadline(0);
  await clock.advance(0);
  assertEquals(moved.state, "TimeoutError TIMEOUT");
  abortAll(near, far);
});

Deno.test("Conn.setDeadline() limits both directions", async () => {
  const { clock, conn, far } = toFake();
  far.block();
  conn.setDeadline(WALL + 100);
  const [read, write] = [watch(readText(conn)), watch(conn.write("x"))];
  await clock.advance(100);
  assertEquals([read.state, write.state], ["TimeoutError TIMEOUT", "TimeoutError TIMEOUT"]);
});

Deno.test("Conn.read() rejects with the signal's reason, and nothing is lost", async () => {
  const { near, far } = pair();
  const controller = new AbortController();
  const reason = { why: "no more" };
  const read = near.read(new Uint8Array(4), { signal: controller.signal, timeout: 1_000 });
  const other = readText(near);
  controller.abort(reason);
  assertEquals(await read.catch((error) => error === reason), true);
  assertEquals(
    await near.read(new Uint8Array(4), { signal: controller.signal }).catch((it) => it === reason),
    true,
  );
  await far.write("kept");
  assertEquals(await other, "kept");
  abortAll(near, far);
});

Deno.test("Conn.read() serves several reads in the order of their calls", async () => {
  const { near, far } = pair();
  const buf = new Uint8Array(2);
  const reads = [
    near.read(buf),
    near.readExactly(3).then((bytes) => String(bytes)),
    near.readLine(),
    near.readAll().then((bytes) => String(bytes)),
  ];
  await far.write(Uint8Array.of(1, 2, 3, 4, 5, 65, 66, 13, 10, 6));
  await far.closeWrite();
  assertEquals([await Promise.all(reads), [...buf]], [[2, "3,4,5", "AB", "6"], [1, 2]]);
  abortAll(near, far);
});

Deno.test("Conn.read() is served at once when the read before it, which wants more, is given up", async () => {
  const { clock, near, far } = pair();
  const first = assertRejects(() => near.readExactly(100, { timeout: 50 }), TimeoutError);
  const second = watch(readText(near));
  await far.write("not a hundred");
  await settle();
  assertEquals(second.state, undefined);
  await clock.advance(50);
  await first;
  assertEquals(second.state, "ok");
  abortAll(near, far);
});

Deno.test("Conn.readExactly() gives so many bytes, however they arrive", async () => {
  const { clock, near, far } = pair();
  const all = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
  const writing = far.write(all);
  assertEquals(await near.readExactly(0), new Uint8Array(0));
  assertEquals(await near.readExactly(10), all.slice(0, 10));
  assertEquals(await near.readExactly(200_000), all.slice(10, 200_010));
  await writing;
  const late = assertRejects(() => near.readExactly(100_000, { timeout: 10 }), TimeoutError);
  await clock.advance(10);
  await late;
  await far.closeWrite();
  const error = await assertRejects(() => near.readExactly(100_000), FrameError, "after 99990");
  assertEquals([error.code, error.initiator], ["TRUNCATED", "remote"]);
  assertEquals(await near.readAll(), all.slice(200_010));
  abortAll(near, far);
});

Deno.test("Conn.readExactly() gives bytes that nothing is written to afterwards", async () => {
  const { near, far } = pair();
  const kept: [number, Uint8Array][] = [];
  for (let turn = 0; turn < 200; turn++) {
    await far.write(new Uint8Array(1_500).fill(turn));
    if (turn % 3 > 0) kept.push([turn, await near.readExactly(1_500)]);
    else for (let left = 1_500; left > 0;) left -= await near.read(new Uint8Array(left)) ?? left;
  }
  for (const [turn, bytes] of kept) assert(bytes.every((byte) => byte === turn), `turn ${turn}`);
  abortAll(near, far);
});

Deno.test("Conn.readLine() gives lines that end with LF or CRLF, and the last one without", async () => {
  const { clock, near, far } = pair();
  await far.write("one\r\ntwo\n\n\r\nthr");
  for (const line of ["one", "two", "", ""]) assertEquals(await near.readLine(), line);
  const late = assertRejects(() => near.readLine({ timeout: 5 }), TimeoutError);
  await clock.advance(5);
  await late;
  await far.write("ee\r");
  await far.write("\nfö\r");
  await far.closeWrite();
  assertEquals([await near.readLine(), await near.readLine(), await near.readLine()], [
    "three",
    "fö\r",
    null,
  ]);
  abortAll(near, far);
});

Deno.test("Conn.readLine() refuses a line that is too long, and leaves it there", async () => {
  const { near, far } = pair();
  await far.write("12345\r\n123456\n");
  assertEquals(await near.readLine({ maxLength: 5 }), "12345");
  const error = await assertRejects(() => near.readLine({ maxLength: 5 }), LimitError);
  assertEquals([error.code, error.limit], ["TOO_LARGE", "maxLength"]);
  assertEquals(await near.readLine({ maxLength: Infinity }), "123456");

  const endless = assertRejects(() => near.readLine({ maxLength: 100 }), LimitError);
  await far.write("x".repeat(102));
  await endless;
  abortAll(near, far);
});

Deno.test("Conn.readAll() and readText() give all up to the end, within their limit", async () => {
  const { clock, near, far } = pair();
  const text = "añb€c\u{1f600}".repeat(10_000);
  const late = assertRejects(() => near.readText({ timeout: 10 }), TimeoutError);
  await far.write(text.slice(0, 49_000));
  await clock.advance(10);
  await late;
  const writing = far.write(text.slice(49_000)).then(() => far.closeWrite());
  await assertRejects(() => near.readAll({ maxLength: 1_000 }), LimitError, "at most 1000 bytes");
  assert(await near.readText() === text, "not the same text");
  await writing;
  assertEquals([await near.readText(), (await near.readAll()).length], ["", 0]);
  abortAll(near, far);
});

Deno.test("Conn.read() gives what had arrived before a reset, then a ClosedError", async () => {
  const { conn, far } = toFake();
  far.arrive("ab", new Deno.errors.ConnectionReset("Connection reset by peer"), null);
  const error = await assertRejects(() => conn.readExactly(3), ClosedError);
  assertEquals([error.code, error.initiator], ["LINK_LOST", "network"]);
  assert(error.info.error?.cause instanceof Deno.errors.ConnectionReset);
  assertEquals(await readText(conn), "ab");
  // The platform tells it only once; here it stays.
  await assertRejects(() => readText(conn), ClosedError);
  await assertRejects(() => conn.readAll(), ClosedError);
  await assertRejects(() => conn.write("x"), ClosedError);
  assertEquals([await endOf(conn), far.log], ["LINK_LOST network", ["close"]]);
});

Deno.test("Conn refuses limits that are none", async () => {
  const { near, far } = pair();
  for (const timeout of [-1, NaN]) {
    await assertRejects(() => near.read(new Uint8Array(1), { timeout }), RangeError, "Cannot read");
    await assertRejects(() => near.write("x", { timeout }), RangeError, "Cannot write");
    assertThrows(() => near.readTimeout = timeout, RangeError);
    assertThrows(() => near.writeTimeout = timeout, RangeError);
  }
  assertThrows(() => near.setDeadline(NaN), RangeError);
  assertThrows(() => near.setReadDeadline(new Date(NaN)), RangeError);
  for (const length of [-1, 1.5, NaN, Infinity]) {
    await assertRejects(() => near.readExactly(length), RangeError);
  }
  await assertRejects(() => near.readAll({ maxLength: -1 }), RangeError);
  await assertRejects(() => near.readLine({ maxLength: NaN }), RangeError);
  abortAll(near, far);
});

Deno.test("Conn arms one timer for all of its reads, and only while it must", async () => {
  const { clock, near, far } = pair({ readTimeout: 30_000 });
  let armed = 0;
  const setTimer = clock.setTimer.bind(clock);
  clock.setTimer = (at, run, background) => {
    armed++;
    return setTimer(at, run, background);
  };
  for (let turn = 0; turn < 1_000; turn++) {
    const read = near.read(new Uint8Array(8));
    await far.write("12345678");
    await read;
    await clock.advance(1);
  }
  assertEquals(armed, 1);
  abortAll(near, far);
  assertEquals(clock.pending, 0);
});
