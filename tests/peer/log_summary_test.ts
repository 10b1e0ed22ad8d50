/** What becomes of lines of which there are many. */
import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "@vgo/vnet/testing";
import { LogSummary } from "../../src/peer/log_summary.ts";

const MINUTE = 60_000;
const HOUR = 3_600_000;

/** A log on a clock, and its lines as "level message". */
function logOf(options?: { readonly quiet?: number }) {
  const clock = new ManualClock();
  const lines: string[] = [];
  const line = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
  const logger = { info: line("info"), warn: line("warn"), error: line("error") };
  return { clock, lines, log: new LogSummary(logger, clock, options) };
}

Deno.test("LogSummary writes the first few of a kind, and then each time their number has doubled", async () => {
  const { clock, lines, log } = logOf();
  for (let n = 1; n <= 10; n++) {
    log.warn("kind", `no ${n}`);
    await clock.advance(1_000);
  }
  assertEquals(lines, [
    "warn no 1",
    "warn no 2",
    "warn no 3",
    "warn no 4",
    "warn no 8 (3 more like this in 4 s)",
  ]);
  log.flush();
  assertEquals(lines.slice(5), ["warn no 10 (1 more like this in 3 s)"]);
  log.flush();
  assertEquals(lines.length, 6);
});

Deno.test("LogSummary counts every line that it leaves out, in some other line", async () => {
  const { clock, lines, log } = logOf();
  for (let n = 1; n <= 100_000; n++) {
    log.warn("kind", "again");
    if (n % 100 === 0) await clock.advance(1);
  }
  log.flush();
  assert(lines.length <= 20, `${lines.length}`);
  const counts = lines.map((line) => 1 + Number(/\((\d+) more/.exec(line)?.[1] ?? 0));
  assertEquals(counts.reduce((sum, count) => sum + count, 0), 100_000);
});

Deno.test("LogSummary keeps kinds apart, and begins anew after a quiet minute", async () => {
  const { clock, lines, log } = logOf();
  for (let n = 1; n <= 7; n++) log.warn("a", "a");
  log.error("b", "b", {});
  assertEquals(lines.length, 5);
  await clock.advance(MINUTE);
  log.state("something else");
  assertEquals(lines.slice(5), ["warn a (2 more like this in 60 s)", "info something else"]);
  log.warn("a", "a");
  assertEquals(lines.at(-1), "warn a");
});

Deno.test("LogSummary with a long memory says at least once an hour that it goes on", async () => {
  const { clock, lines, log } = logOf({ quiet: HOUR });
  // What fails every two minutes has been quiet for more than one each time.
  for (let n = 1; n <= 1_000; n++) {
    log.warn("retry", "failed");
    await clock.advance(2 * MINUTE);
  }
  const hours = 1_000 * 2 / 60;
  assert(lines.length >= hours - 1 && lines.length <= hours + 12, `${lines.length}`);
  log.settled("retry");
  const { length } = lines;
  for (let n = 0; n < 3; n++) log.warn("retry", "failed");
  assertEquals(lines.slice(length), ["warn failed", "warn failed", "warn failed"]);
  log.settled("never seen");
  for (let n = 0; n < 7; n++) log.warn("retry", "failed");
  await clock.advance(HOUR);
  log.warn("retry", "failed");
  assertEquals(lines.slice(-2), ["warn failed (1 more like this in 3600 s)", "warn failed"]);
});

Deno.test("LogSummary keeps no more kinds than it has to, whatever they are called", () => {
  const { lines, log } = logOf();
  for (let n = 0; n < 100_000; n++) log.error(`kind ${n}`, `error ${n}`, {});
  assert(lines.length <= 100, `${lines.length}`);
  log.flush();
  assertEquals(lines.at(-1)?.startsWith("error error 99999 ("), true, lines.at(-1));
});

Deno.test("LogSummary does nothing without a logger, or for a level that it does not have", () => {
  const clock = new ManualClock();
  const none = new LogSummary(undefined, clock);
  none.warn("a", "a");
  none.state("a");
  none.flush();
  assertEquals([none.has("warn"), none.has("error")], [false, false]);
  const lines: string[] = [];
  const some = new LogSummary({ error: (line) => lines.push(line) }, clock);
  some.warn("a", "a");
  some.info("a", "a");
  some.state("a");
  some.error("a", "b", {});
  assertEquals([lines, some.has("warn"), some.has("error")], [["b"], false, true]);
});

Deno.test("LogSummary gives the fields of the line that stands for the others", () => {
  const given: unknown[] = [];
  const logger = { error: (_: string, fields?: Record<string, unknown>) => given.push(fields?.n) };
  const log = new LogSummary(logger, new ManualClock());
  for (let n = 1; n <= 10; n++) log.error("kind", "failed", { n });
  log.flush();
  assertEquals(given, [1, 2, 3, 4, 8, 10]);
});
