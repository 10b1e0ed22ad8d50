/**
 * Hours of trouble in three minutes, on real sockets of this machine:
 *
 *   deno task test:soak [--smoke] [slow-consumer | flood | drains | churn …]
 *
 * Prints what it finds, and ends with 1 only when something that must hold does not, or a figure is ten
 * times off its goal. `--smoke`: small sizes, to show that it runs.
 */
import { Report, type Soak } from "./_report.ts";
import { churn } from "./churn.ts";
import { drains } from "./drains.ts";
import { flood } from "./flood.ts";
import { slowConsumer } from "./slow_consumer.ts";

const SCENARIOS: Readonly<Record<string, (soak: Soak) => Promise<void>>> = {
  "slow-consumer": slowConsumer,
  flood,
  drains,
  churn,
};
/** So long all of it may take, in ms. */
const TOO_LONG = 300_000;

const smoke = Deno.args.includes("--smoke");
const names = Deno.args.filter((arg) => arg !== "--smoke" && arg !== "--");
for (const name of names) {
  if (Object.hasOwn(SCENARIOS, name)) continue;
  console.error(`There is no scenario ${name}, but ${Object.keys(SCENARIOS).join(", ")}`);
  Deno.exit(2);
}

const guard = setTimeout(() => {
  console.error(`It takes longer than ${TOO_LONG / 1_000} s`);
  Deno.exit(1);
}, TOO_LONG);
Deno.unrefTimer(guard);
const report = new Report();
const begun = performance.now();
for (const [name, scenario] of Object.entries(SCENARIOS)) {
  if (names.length > 0 && !names.includes(name)) continue;
  await scenario({ smoke, report });
  report.verdict();
}
const seconds = ((performance.now() - begun) / 1_000).toFixed(0);
if (report.failures.length === 0) {
  console.log(`\nAll of it holds, after ${seconds} s`);
} else {
  console.log(`\n${report.failures.length} of it does not hold, after ${seconds} s`);
  for (const failure of report.failures) console.log(`- ${failure}`);
}
Deno.exit(report.failures.length === 0 ? 0 : 1);
