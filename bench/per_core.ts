/**
 * What it gains to serve one port by several processes: `serve({ reusePort: true })` in each, and the
 * system shares the connections out.
 *
 *     deno task bench:per_core [--smoke] [--json] [--rounds 5]
 *
 * Each call keeps its server busy for some 50 µs, so that it is the servers which are short of time. The
 * clients are in this process and take some as well, so on two cores a gain of 2 cannot be reached.
 */
import { connect, serve } from "../mod.ts";
import { progress, progressEnds } from "./_progress.ts";
import { show } from "./_report.ts";
import { rounds, scaled } from "./_settings.ts";
import { median } from "./_stats.ts";

const CORES = navigator.hardwareConcurrency;
const COUNTS = [1, 2, 4, 8, 16, 32].filter((count) => count <= Math.max(2, CORES));
/** So many that the shares of the processes are about equal. */
const CONNECTIONS = 64;
const IN_FLIGHT = 4;
const DURATION = scaled(1_000, 400);
/** Turns of a loop that take some 50 µs. */
const TURNS = 40_000;

if (Deno.args.includes("--server")) await runServer(Number(Deno.args.at(-1)));
else await runClients();

async function runServer(port: number): Promise<void> {
  await using _server = await serve({ hostname: "127.0.0.1", port }, {
    reusePort: true,
    methods: { work: (body) => (toil(), body) },
  });
  console.log("ready");
  // Until the process that started this one has ended, however it did.
  for await (const _ of Deno.stdin.readable) { /* it says nothing */ }
}

async function runClients(): Promise<void> {
  const rates = new Map(COUNTS.map((count) => [count, [] as number[]]));
  for (let round = 1; round <= rounds; round++) {
    for (const count of COUNTS) {
      progress("per core", `round ${round} of ${rounds}, ${count} processes`);
      rates.get(count)?.push(await rateWith(count));
    }
  }
  progressEnds();
  const one = median(rates.get(1) ?? []);
  show({
    title: "One port, several processes",
    tables: [{
      title: `calls that keep their server busy, ${CORES} cores`,
      columns: [
        { name: "processes", as: "text" },
        { name: "calls/s", as: "count" },
        { name: "gain", as: "ratio" },
      ],
      rows: [...rates].map(([count, rates]) => [
        String(count),
        median(rates),
        median(rates) / one,
      ]),
      bars: 1,
    }],
    goals: [],
    notes: ["The clients run on the same cores, and take what the servers then do not have."],
  });
}

/** Calls per second of many connections to so many processes. */
async function rateWith(count: number): Promise<number> {
  const port = freePort();
  const servers = Array.from({ length: count }, () =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-net", "--unstable-net", import.meta.url, "--server", String(port)],
      stdin: "piped",
      stdout: "piped",
    }).spawn());
  for (const { stdout } of servers) await stdout.getReader().read();
  const clients = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => connect({ hostname: "127.0.0.1", port })),
  );
  let calls = 0;
  let end = Infinity;
  const lanes = clients.flatMap((client) =>
    Array.from({ length: IN_FLIGHT }, async () => {
      for (; performance.now() < end; calls++) await client.call("work");
    })
  );
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  await pause(DURATION / 2); // what the compiler needs
  const [before, begin] = [calls, performance.now()];
  await pause(DURATION);
  const rate = (calls - before) / (performance.now() - begin) * 1_000;
  end = 0;
  await Promise.all(lanes);
  await Promise.all(clients.map((client) => client.close()));
  for (const { stdin, status } of servers) {
    await stdin.close();
    await status;
  }
  return rate;
}

function toil(): number {
  let sum = 0;
  for (let i = 0; i < TURNS; i++) sum += Math.sqrt(i);
  return sum;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
