import { assert, assertEquals } from "@std/assert";
import { Interleaving } from "./_interleaving.ts";

Deno.test("call() R6 10,000 interleavings of answer, cancel, deadline and session loss settle each call once, with a true `executed`", async () => {
  const ends = new Map<string, number>();
  for (let seed = 1; seed <= 10_000; seed++) {
    const report = await new Interleaving(seed).run();
    assertEquals(report.problems, [], `seed ${seed}`);
    for (const [end, count] of report.ends) ends.set(end, (ends.get(end) ?? 0) + count);
  }
  // Each kind of end has really been met, and often.
  for (
    const end of [
      "OK",
      "ABORTED yes",
      "UNIMPLEMENTED no",
      "given up",
      "left",
      "UNAVAILABLE maybe",
      "DEADLINE_EXCEEDED maybe",
      "DEADLINE_EXCEEDED no",
      "RESOURCE_EXHAUSTED no",
      "CANCELLED maybe",
    ]
  ) assert((ends.get(end) ?? 0) >= 100, `${end}: ${[...ends].map((it) => it.join(" "))}`);
});
