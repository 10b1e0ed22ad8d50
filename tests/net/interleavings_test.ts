import { assert, assertEquals } from "@std/assert";
import { Interleaving } from "./_interleaving.ts";

Deno.test("Conn.read() loses and reorders no byte in 10,000 interleavings of data, deadlines and repeated reads", async () => {
  const ends = new Map<string, number>();
  for (let seed = 1; seed <= 10_000; seed++) {
    const { sent, received, problems, ...story } = await new Interleaving(seed).tell();
    assertEquals(problems, [], `seed ${seed}`);
    assertEquals(received, sent, `seed ${seed}`);
    for (const [end, count] of story.ends) ends.set(end, (ends.get(end) ?? 0) + count);
  }
  // Each kind of end has really been met, and often.
  for (
    const end of [
      "read",
      "readExactly",
      "readLine",
      "end",
      "timeout",
      "deadline",
      "signal",
      "truncated",
    ]
  ) assert((ends.get(end) ?? 0) >= 5_000, `${end}: ${[...ends].map((it) => it.join(" "))}`);
});
