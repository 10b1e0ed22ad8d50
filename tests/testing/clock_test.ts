import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ManualClock } from "@vgo/vnet/testing";

Deno.test("ManualClock starts at 0 and stands still", async () => {
  const clock = new ManualClock();
  assertEquals(clock.now(), 0);
  await Promise.resolve();
  assertEquals(clock.now(), 0);
  assertEquals(clock.pending, 0);
  assertEquals(clock.nextAt, Infinity);
});

Deno.test("advance() runs each timer at its instant and ends at the end", async () => {
  const clock = new ManualClock();
  const seen: string[] = [];
  for (const at of [30, 10, 20, 41]) clock.setTimer(at, () => seen.push(`${at}@${clock.now()}`));
  assertEquals(clock.pending, 4);
  await clock.advance(40);
  assertEquals(seen, ["10@10", "20@20", "30@30"]);
  assertEquals([clock.now(), clock.pending, clock.nextAt], [40, 1, 41]);
  await clock.advance(1);
  assertEquals(seen.length, 4);
});

Deno.test("advance() runs timers of one instant in the order of setting", async () => {
  const clock = new ManualClock();
  const seen: number[] = [];
  for (let n = 0; n < 20; n++) clock.setTimer(5, () => seen.push(n));
  await clock.advance(5);
  assertEquals(seen, Array.from({ length: 20 }, (_, n) => n));
});

Deno.test("advance() runs what a timer sets, if it is due by the end", async () => {
  const clock = new ManualClock();
  const seen: number[] = [];
  const again = () => {
    seen.push(clock.now());
    clock.setTimer(clock.now() + 10, again);
  };
  clock.setTimer(10, again);
  await clock.advance(35);
  assertEquals(seen, [10, 20, 30]);
});

Deno.test("advance() runs a timer of the past at the present instant", async () => {
  const clock = new ManualClock();
  await clock.advance(100);
  let at = -1;
  clock.setTimer(3, () => at = clock.now());
  await clock.advance(0);
  assertEquals(at, 100);
});

Deno.test("advance() settles promises between two timers, also of one instant", async () => {
  const clock = new ManualClock();
  const seen: string[] = [];
  const deep = async (name: string) => {
    for (let n = 0; n < 50; n++) await Promise.resolve();
    seen.push(`${name} settled`);
  };
  clock.setTimer(1, () => void deep("first"));
  clock.setTimer(1, () => seen.push("second runs"));
  await clock.advance(1);
  assertEquals(seen, ["first settled", "second runs"]);
});

Deno.test("advance() first settles what was begun before it", async () => {
  const clock = new ManualClock();
  let ran = false;
  void (async () => {
    await Promise.resolve();
    clock.setTimer(clock.now() + 5, () => ran = true);
  })();
  await clock.advance(5);
  assert(ran);
});

Deno.test("advance() throws what a timer throws, at its instant, and can go on", async () => {
  const clock = new ManualClock();
  let ran = false;
  clock.setTimer(5, () => {
    throw new Error("from the timer");
  });
  clock.setTimer(6, () => ran = true);
  await assertRejects(() => clock.advance(10), Error, "from the timer");
  assertEquals([clock.now(), ran], [5, false]);
  await clock.advance(5);
  assertEquals([clock.now(), ran], [10, true]);
});

Deno.test("advance() ends with an error if a timer sets itself again at the same instant", async () => {
  const clock = new ManualClock();
  const again = () => void clock.setTimer(clock.now(), again);
  clock.setTimer(5, again);
  await assertRejects(() => clock.advance(10), Error, "sets itself again without end");
});

Deno.test("advance() twice at once comes to the later end", async () => {
  const clock = new ManualClock();
  const seen: number[] = [];
  for (const at of [5, 6, 20]) clock.setTimer(at, () => seen.push(clock.now()));
  const later = clock.advance(30);
  await clock.advance(10);
  assert(clock.now() >= 20, "time must not go back");
  await later;
  assertEquals([clock.now(), ...seen], [30, 5, 6, 20]);
});

Deno.test("advance() refuses what is no duration", async () => {
  const clock = new ManualClock();
  for (const ms of [-1, NaN, Infinity]) {
    await assertRejects(() => clock.advance(ms), RangeError, `current value is ${ms}`);
  }
});

Deno.test("setTimer() gives a handle that cancels", async () => {
  const clock = new ManualClock();
  let count = 0;
  const timer = clock.setTimer(5, () => count++, true);
  clock.setTimer(4, () => timer[Symbol.dispose]());
  await clock.advance(10);
  assertEquals([count, clock.pending], [0, 0]);
  timer[Symbol.dispose]();
  assertThrows(() => clock.setTimer(NaN, () => {}), RangeError);
});
