/** Timeouts, deadlines and signals, on a clock that is driven by hand. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { TimeoutError } from "@vgo/vnet/udp";
import { bytes, FakeOutside, text } from "./_support.ts";
import { Rng } from "../_support/rng.ts";

/** What becomes of a promise, and when. */
function watch(outside: FakeOutside, promise: Promise<unknown>): { at: number; error?: Error } {
  const seen: { at: number; error?: Error } = { at: NaN };
  promise.then(() => seen.at = outside.clock.now(), (error) => {
    seen.at = outside.clock.now();
    seen.error = error;
  });
  return seen;
}

Deno.test("receive() gives up after readTimeout, and later gets what came since", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen({ readTimeout: 100 });
  const first = watch(outside, conn.receive());
  await outside.clock.advance(99);
  assertEquals(first.at, NaN);
  await outside.clock.advance(1);
  assertEquals(first.at, 100);
  assert(first.error instanceof TimeoutError);
  assertEquals(first.error.message, "Cannot receive datagram as it took longer than 100 ms");
  outside.socket.arrive(bytes("late"));
  assertEquals(text((await conn.receive()).data), "late");
});

Deno.test("receive() prefers its own timeout, and each wait has its own", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen({ readTimeout: 100 });
  const seen = [
    watch(outside, conn.receive({ timeout: 300 })),
    watch(outside, conn.receive({ timeout: 50 })),
    watch(outside, conn.receive()),
    watch(outside, conn.read(new Uint8Array(1), { timeout: 0 })),
    watch(outside, conn.receive({ timeout: Infinity })),
  ];
  await outside.clock.advance(1_000);
  assertEquals(seen.map(({ at }) => at), [300, 50, 100, 0, NaN]);
});

Deno.test("readTimeout can be changed, for reads that begin from then on", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen();
  assertEquals([conn.readTimeout, conn.writeTimeout], [Infinity, Infinity]);
  const before = watch(outside, conn.receive());
  conn.readTimeout = 20;
  const after = watch(outside, conn.receive());
  await outside.clock.advance(1_000);
  assertEquals([before.at, after.at], [NaN, 20]);
  assertThrows(() => conn.readTimeout = -1, RangeError);
  assertThrows(() => conn.writeTimeout = NaN, RangeError);
  await assertRejects(() => conn.receive({ timeout: -1 }), RangeError);
  assertEquals(conn.readTimeout, 20);
});

Deno.test("setReadDeadline() holds for pending reads, and is an instant", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen();
  const pending = watch(outside, conn.receive());
  conn.setReadDeadline(new Date(outside.epoch + 80));
  conn.setReadDeadline(outside.epoch + 40); // sooner
  await outside.clock.advance(40);
  assertEquals(pending.at, 40);
  assertEquals(pending.error?.message, "Cannot receive datagram as its deadline has passed");

  // From then on reads fail, also where something has come; nothing is lost by it.
  outside.socket.arrive(bytes("kept"));
  await outside.clock.advance(1);
  await assertRejects(() => conn.receive(), TimeoutError, "its deadline has passed");
  conn.setReadDeadline(Infinity);
  assertEquals(text((await conn.receive()).data), "kept");
});

Deno.test("setReadDeadline() can be moved away while a read is pending", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen();
  conn.setReadDeadline(outside.epoch + 50);
  const pending = watch(outside, conn.receive());
  await outside.clock.advance(49);
  conn.setReadDeadline(outside.epoch + 200);
  await outside.clock.advance(100);
  assertEquals(pending.at, NaN);
  await outside.clock.advance(100);
  assertEquals(pending.at, 200);
});

Deno.test("the earlier of timeout and deadline holds", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen({ readTimeout: 100 });
  conn.setReadDeadline(outside.epoch + 150);
  const first = watch(outside, conn.receive());
  await outside.clock.advance(100);
  const second = watch(outside, conn.receive());
  await outside.clock.advance(100);
  assertEquals([first.at, second.at], [100, 150]);
});

Deno.test("setReadDeadline() refuses what is no instant", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen();
  assertThrows(() => conn.setReadDeadline(NaN), RangeError);
  assertThrows(() => conn.setDeadline(new Date("no date")), RangeError);
});

Deno.test("for await honours readTimeout, and can be begun again", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen({ readTimeout: 10 });
  const loop = async () => {
    for await (const { data } of conn) return text(data);
  };
  const failed = assertRejects(loop, TimeoutError);
  await outside.clock.advance(10);
  await failed;
  outside.socket.arrive(bytes("again"));
  assertEquals(await loop(), "again");
});

Deno.test("receive() rejects with signal.reason itself, before and while it waits", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen();
  const controller = new AbortController();
  const reason = { why: "enough" };
  const pending = conn.receive({ signal: controller.signal }).catch((error) => error);
  const next = conn.receive();
  controller.abort(reason);
  assertEquals(await pending === reason, true);
  outside.socket.arrive(bytes("for the next"));
  assertEquals(text((await next).data), "for the next");
  const late = await conn.receive({ signal: controller.signal }).catch((error) => error);
  assertEquals(late === reason, true);
});

Deno.test("a wait that is over has left its signal", async () => {
  const outside = new FakeOutside();
  await using conn = outside.listen({ readTimeout: 10 });
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = EventTarget.prototype;
  signal.addEventListener = (...args: Parameters<EventTarget["addEventListener"]>) => {
    listeners++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<EventTarget["addEventListener"]>) => {
    listeners--;
    removeEventListener.apply(signal, args);
  };
  const served = conn.receive({ signal });
  assertEquals(listeners, 1);
  outside.socket.arrive(bytes("x"));
  await served;
  const late = assertRejects(() => conn.receive({ signal }), TimeoutError);
  await outside.clock.advance(10);
  await late;
  assertEquals(listeners, 0);
});

Deno.test("send() gives up after writeTimeout or at the write deadline", async () => {
  const outside = new FakeOutside();
  await using conn = await outside.dial(5, { writeTimeout: 70 });
  outside.socket.onSend = () => new Promise(() => {});
  const byTimeout = watch(outside, conn.send("x"));
  await outside.clock.advance(70);
  conn.setWriteDeadline(outside.epoch + 90);
  const byDeadline = watch(outside, conn.send("x"));
  await outside.clock.advance(100);
  assertEquals([byTimeout.at, byDeadline.at], [70, 90]);
  assert(byTimeout.error instanceof TimeoutError && byDeadline.error instanceof TimeoutError);
  await assertRejects(() => conn.send("x"), TimeoutError, "Cannot send datagram");
  assertEquals(outside.socket.sent.length, 2);
  // Reading goes on meanwhile.
  outside.socket.arrive(bytes("still here"), 5);
  assertEquals(text((await conn.receive()).data), "still here");
});

Deno.test("setDeadline() sets both, and one read timer serves any number of reads", async () => {
  const outside = new FakeOutside();
  const conn = outside.listen({ readTimeout: 1_000 });
  conn.setDeadline(outside.epoch);
  await assertRejects(() => conn.receive(), TimeoutError);
  await assertRejects(() => conn.send("x", "127.0.0.1:5"), TimeoutError);
  conn.setDeadline(Infinity);
  for (let i = 0; i < 100; i++) {
    const reading = conn.receive();
    outside.socket.arrive(bytes("x"));
    await reading;
  }
  assertEquals(outside.clock.pending, 1);
  await conn.close();
  assertEquals(outside.clock.pending, 0);
});

Deno.test("reads that time out at random lose and reorder nothing", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const rng = new Rng(seed);
    const outside = new FakeOutside();
    await using conn = outside.listen({ maxQueued: 1_000 });
    const got: string[] = [];
    let reading = false;
    let sent = 0;
    const read = async () => {
      reading = true;
      try {
        got.push(text((await conn.receive({ timeout: rng.int(5) })).data));
      } catch (error) {
        assert(error instanceof TimeoutError, `seed ${seed}: ${error}`);
      }
      reading = false;
    };
    for (let step = 0; step < 200; step++) {
      const choice = rng.int(3);
      if (choice === 0) outside.socket.arrive(bytes(`${sent++}`));
      else if (choice === 1) await outside.clock.advance(rng.int(4));
      else if (!reading) read();
      if (rng.int(20) === 0) conn.setReadDeadline(outside.dateNow() + rng.int(6));
      if (rng.int(10) === 0) conn.setReadDeadline(Infinity);
    }
    await outside.clock.advance(10);
    conn.setReadDeadline(Infinity);
    while (got.length < sent) got.push(text((await conn.receive({ timeout: 0 })).data));
    const expected = Array.from({ length: sent }, (_, n) => `${n}`);
    assertEquals(got, expected, `seed ${seed}`);
  }
});
