/** Numbers that wrap, and the window over them. */
import { assertEquals, assertThrows } from "@std/assert";
import { SequenceTracker, type SequenceVerdict } from "@vgo/vnet/udp";

function counts(tracker: SequenceTracker): number[] {
  const { received, lost, missing, duplicates, reordered, late } = tracker;
  return [received, lost, missing, duplicates, reordered, late];
}

Deno.test("SequenceTracker has nothing to report of numbers in order, over any wrap", () => {
  const tracker = new SequenceTracker({ bits: 8 });
  for (let n = 250; n < 250 + 1_000; n++) assertEquals(tracker.observe(n % 256), "new");
  assertEquals(counts(tracker), [1_000, 0, 0, 0, 0, 0]);
});

Deno.test("SequenceTracker.observe() tells new, reordered, duplicate and late apart", () => {
  const tracker = new SequenceTracker({ bits: 8, window: 4 });
  const cases: [number, SequenceVerdict][] = [
    [10, "new"],
    [12, "new"],
    [11, "reordered"],
    [11, "duplicate"],
    [12, "duplicate"],
    [15, "new"], // 13 and 14 may still come
    [12, "duplicate"],
    [11, "late"],
    [17, "new"], // 13 cannot any more
    [13, "late"],
    [14, "reordered"],
  ];
  for (const [number, verdict] of cases) assertEquals(tracker.observe(number), verdict);
  assertEquals(counts(tracker), [6, 1, 1, 3, 2, 2]);
});

Deno.test("SequenceTracker counts a gap larger than its window at once", () => {
  const tracker = new SequenceTracker({ bits: 32, window: 8 });
  tracker.observe(0);
  assertEquals(tracker.observe(2 ** 31 - 1), "new");
  // 1 to 2^31 - 2 have not come: seven of them are within the window.
  assertEquals([tracker.lost, tracker.missing], [2 ** 31 - 2 - 7, 7]);
});

Deno.test("SequenceTracker counts nothing before the first number as lost", () => {
  const tracker = new SequenceTracker({ bits: 16, window: 8 });
  tracker.observe(0);
  for (let n = 1; n < 100; n++) tracker.observe(n);
  assertEquals([tracker.lost, tracker.missing], [0, 0]);
  const other = new SequenceTracker({ bits: 16, window: 8 });
  other.observe(0);
  assertEquals(other.observe(65_533), "reordered"); // then the two between are missing
  assertEquals([other.lost, other.missing], [0, 2]);
});

Deno.test("SequenceTracker takes what lies a half away as old (RFC 1982 leaves it open)", () => {
  const tracker = new SequenceTracker({ bits: 8, window: 16 });
  tracker.observe(0);
  assertEquals(tracker.observe(128), "late");
  assertEquals(tracker.observe(127), "new");
});

Deno.test("SequenceTracker refuses what is no number of its kind", () => {
  for (const options of [{ bits: 7 }, { bits: 33 }, { bits: 8.5 }]) {
    assertThrows(() => new SequenceTracker(options), RangeError, "'bits' must be");
  }
  for (const window of [0, 1.5, 128, NaN]) {
    assertThrows(() => new SequenceTracker({ bits: 8, window }), RangeError, "'window' must be");
  }
  const tracker = new SequenceTracker({ bits: 8 });
  for (const number of [-1, 256, 0.5, NaN]) {
    assertThrows(() => tracker.observe(number), RangeError, "from 0 to 255");
  }
  assertEquals(counts(tracker), [0, 0, 0, 0, 0, 0]);
});
