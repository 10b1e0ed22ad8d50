/** Heap that is used up beside memory that is given away. */
import { assert } from "@std/assert";
import { gaveAway } from "../../src/base/collector_pace.ts";

/** By how much the heap grows, in bytes: the median, since now and then there is a collection in between. */
function growth(size: number, count: number): number {
  const grown = Array.from({ length: 20 }, () => {
    const before = Deno.memoryUsage().heapUsed;
    for (let n = 0; n < count; n++) gaveAway(size);
    return Deno.memoryUsage().heapUsed - before;
  });
  return grown.sort((a, b) => a - b)[10] ?? 0;
}

Deno.test("gaveAway() uses up as much heap as what is large, and none for what is small", () => {
  assert(growth(65_536, 4) > 100_000);
  assert(growth(1_024, 400) > 100_000);
  assert(growth(128, 10_000) < 50_000);
  assert(growth(1 << 30, 1) < 200_000);
});
