/** Listeners: accepts that can be limited, a loop that nothing ends but the listener's own end. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ManualClock, memoryPair } from "@vgo/vnet/testing";
import { Addr } from "../../src/base/addr.ts";
import { ClosedError, TimeoutError } from "../../src/base/errors.ts";
import type { ByteTransport } from "../../src/base/types.ts";
import { Connection } from "../../src/net/connection.ts";
import { ConnListener } from "../../src/net/listener.ts";
import { settle } from "../../src/testing/clock.ts";
import { watch } from "../testing/_support.ts";
import { abortAll, endOf, readText, timingOf, WALL } from "./_support.ts";

const ADDR = Addr.parse("tcp://127.0.0.1:1");

/** Where the test says what is dialled. As with an async generator, a failure ends an iteration. */
class Dials implements AsyncIterable<ByteTransport> {
  /** Other ends of what was accepted. */
  readonly ends: Connection[] = [];
  closes = 0;
  /** How many accepts were begun. */
  accepts = 0;
  readonly #items: (ByteTransport | Error)[] = [];
  #waiting: PromiseWithResolvers<void> | undefined;

  /** A connection comes in. */
  dial(): Connection {
    const [a, b] = memoryPair();
    this.#arrive(b);
    const end = new Connection(a);
    this.ends.push(end);
    return end;
  }

  /** The next accept fails. */
  fail(error: Error): void {
    this.#arrive(error);
  }

  close(): void {
    this.closes++;
    this.#waiting?.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ByteTransport, void> {
    while (this.closes === 0) {
      this.accepts++;
      while (this.#items.length === 0 && this.closes === 0) {
        this.#waiting = Promise.withResolvers<void>();
        await this.#waiting.promise;
      }
      const item = this.#items.shift();
      if (item instanceof Error) throw item;
      if (item !== undefined) yield item;
    }
  }

  #arrive(item: ByteTransport | Error): void {
    this.#items.push(item);
    this.#waiting?.resolve();
  }
}

function listening(options: { acceptTimeout?: number } = {}): {
  clock: ManualClock;
  dials: Dials;
  listener: ConnListener<ByteTransport, Connection>;
} {
  const clock = new ManualClock();
  const dials = new Dials();
  const wrap = (transport: ByteTransport) => new Connection(transport, {}, timingOf(clock));
  const listener = new ConnListener(dials, ADDR, wrap, options, timingOf(clock));
  return { clock, dials, listener };
}

function tooManyFiles(): Error {
  return Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" });
}

Deno.test("Listener.accept() gives connections in the order of the calls", async () => {
  const { dials, listener } = listening();
  assertEquals([listener.addr, dials.accepts], [ADDR, 0]);
  const accepted = Promise.all([listener.accept(), listener.accept()]);
  for (const name of ["one", "two", "three"]) await dials.dial().write(name);
  const conns = [...await accepted, await listener.accept()];
  const names: (string | null)[] = [];
  for (const conn of conns) names.push(await readText(conn));
  assertEquals(names, ["one", "two", "three"]);
  await listener.close();
  // What was accepted stays open.
  await conns[0]?.write("still here");
  abortAll(...conns, ...dials.ends);
});

Deno.test("Listener.accept() that took too long can be repeated, and loses no connection", async () => {
  const { clock, dials, listener } = listening({ acceptTimeout: 1_000 });
  const late = [listener.accept(), listener.accept({ timeout: 50 })].map(watch);
  await clock.advance(50);
  assertEquals(late.map(({ state }) => state), [undefined, "TimeoutError TIMEOUT"]);
  await clock.advance(950);
  assertEquals(late[0]?.state, "TimeoutError TIMEOUT");
  await dials.dial().write("meanwhile");
  await clock.advance(10_000);
  const conn = await listener.accept();
  assertEquals([await readText(conn), dials.accepts], ["meanwhile", 1]);
  await listener.close();
  abortAll(conn, ...dials.ends);
  assertEquals(clock.pending, 0);
});

Deno.test("Listener.setAcceptDeadline() limits all accepts to an instant", async () => {
  const { clock, dials, listener } = listening();
  const accept = watch(listener.accept());
  listener.setAcceptDeadline(WALL + 200);
  await clock.advance(199);
  assertEquals(accept.state, undefined);
  await clock.advance(1);
  assertEquals(accept.state, "TimeoutError TIMEOUT");
  dials.dial();
  await assertRejects(() => listener.accept(), TimeoutError, "the deadline has passed");
  listener.setAcceptDeadline(Infinity);
  const conn = await listener.accept();
  assertThrows(() => listener.setAcceptDeadline(NaN), RangeError);
  assertThrows(() => listener.acceptTimeout = -1, RangeError);
  await listener.close();
  abortAll(conn, ...dials.ends);
});

Deno.test("Listener.accept() rejects with the signal's reason, and loses no connection", async () => {
  const { dials, listener } = listening();
  const controller = new AbortController();
  const accept = listener.accept({ signal: controller.signal });
  controller.abort("enough");
  assertEquals(await accept.catch((reason) => reason), "enough");
  await dials.dial().write("hello");
  const conn = await listener.accept();
  assertEquals(await readText(conn), "hello");
  await listener.close();
  abortAll(conn, ...dials.ends);
});

Deno.test("Listener gives its connections to a loop, which ends when it is closed", async () => {
  const { dials, listener } = listening();
  const names: (string | null)[] = [];
  const serving = (async () => {
    for await (const conn of listener) {
      names.push(await readText(conn));
      conn.abort();
    }
    return "over";
  })();
  for (const name of ["a", "b"]) await dials.dial().write(name);
  while (names.length < 2) await settle();
  await listener.close();
  assertEquals([await serving, names], ["over", ["a", "b"]]);

  for await (const _ of listener) throw new Error("It gives nothing any more");
  abortAll(...dials.ends);
});

Deno.test("Listener survives that a loop over it is left", async () => {
  const { dials, listener } = listening();
  for (let turn = 0; turn < 3; turn++) {
    dials.dial();
    for await (const conn of listener) {
      conn.abort();
      break;
    }
  }
  assertEquals(dials.closes, 0);
  await listener.close();
  abortAll(...dials.ends);
});

Deno.test("L3 Listener survives too many open files: it pauses, 10 ms at first and 1 s at most", async () => {
  const { clock, dials, listener } = listening();
  const accept = watch(listener.accept());
  const pauses: number[] = [];
  for (let failures = 0; failures < 9; failures++) {
    const { accepts } = dials;
    dials.fail(tooManyFiles());
    const since = clock.now();
    while (dials.accepts === accepts) await clock.advance(1);
    pauses.push(clock.now() - since);
  }
  assertEquals(pauses, [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]);
  assertEquals(accept.state, undefined);
  dials.dial();
  await settle();
  assertEquals(accept.state, "ok");

  // An accept that goes well makes the next pause short again.
  const conn = listener.accept();
  dials.fail(tooManyFiles());
  dials.dial();
  await clock.advance(10);
  abortAll(await conn);

  const late = assertRejects(() => listener.accept({ timeout: 100 }), TimeoutError);
  for (let i = 0; i < 9; i++) dials.fail(tooManyFiles());
  await clock.advance(100);
  const { cause } = await late;
  assert(cause instanceof Error && cause.message.startsWith("Too many open files"));
  await listener.close();
  abortAll(...dials.ends);
  assertEquals(clock.pending, 0);
});

Deno.test("Listener goes on where a connection was given up before it was accepted", async () => {
  const clock = new ManualClock();
  const dials = new Dials();
  let dead = 2;
  const listener = new ConnListener<ByteTransport, Connection>(dials, ADDR, (transport) => {
    const conn = new Connection(transport, {}, timingOf(clock));
    if (dead-- === 0) return conn;
    conn.abort();
    throw new Error("Invalid argument (os error 22)");
  });
  const accept = listener.accept();
  for (let i = 0; i < 3; i++) dials.dial();
  const conn = await accept;
  assertEquals(dials.accepts, 3);
  await listener.close();
  abortAll(conn, ...dials.ends);
});

Deno.test("Listener.close() and abort() end accepts that wait, and pauses, once", async () => {
  for (const how of ["close", "abort"] as const) {
    const { clock, dials, listener } = listening({ acceptTimeout: 5_000 });
    const waits = [listener.accept(), listener.accept()].map(watch);
    if (how === "abort") dials.fail(tooManyFiles());
    await settle();
    const ended = how === "close" ? listener.close({ reason: "done" }) : listener.abort("done");
    listener.abort();
    await Promise.all([ended, listener.close(), listener[Symbol.asyncDispose]()]);
    const code = how === "close" ? "NORMAL" : "ABORTED";
    assertEquals(waits.map(({ state }) => state), Array(2).fill(`ClosedError ${code}`));
    assertEquals([await endOf(listener), (await listener.closed).reason], [
      `${code} local`,
      "done",
    ]);
    await assertRejects(() => listener.accept(), ClosedError);
    assertEquals([dials.closes, clock.pending], [1, 0]);
  }
});

Deno.test("Listener.close() closes a connection that nobody has accepted", async () => {
  const { clock, dials, listener } = listening();
  const late = assertRejects(() => listener.accept({ timeout: 5 }), TimeoutError);
  await clock.advance(5);
  await late;
  const first = dials.dial();
  await settle();
  await listener.close();
  assertEquals(await first.read(new Uint8Array(1)), null);
  // Another comes just as it closes.
  const other = listening();
  const refused = assertRejects(() => other.listener.accept(), ClosedError);
  const second = other.dials.dial();
  await other.listener.close();
  await refused;
  assertEquals(await second.read(new Uint8Array(1)), null);
  abortAll(first, second);
});
