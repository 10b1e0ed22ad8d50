/**
 * Thousands of seeds of the simulation suite, with progress: `deno task test:seeds [count] [from]`.
 *
 * Ends with 1 at the first seed that fails, and says how to run it again.
 */
import { runSeed } from "./run_seed.ts";

const EVERY = 200;

const [count = 5_000, from = 0] = Deno.args.map(Number);
const started = performance.now();
const sum = { faults: 0, sessions: 0, delivered: 0, lost: 0, unsent: 0 };
for (let done = 1; done <= count; done++) {
  try {
    const result = await runSeed(from + done - 1);
    sum.faults += result.faults;
    sum.sessions += result.sessions;
    sum.delivered += result.delivered;
    sum.lost += result.lost;
    sum.unsent += result.unsent;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
  if (done % EVERY > 0 && done < count) continue;
  const seconds = (performance.now() - started) / 1_000;
  console.log(
    `${done} of ${count} seeds in ${seconds.toFixed(0)} s: ${sum.faults} faults, ` +
      `${sum.sessions} sessions, ${sum.delivered} messages, ${sum.lost} lost on links that died, ` +
      `${sum.unsent} unsent`,
  );
}
