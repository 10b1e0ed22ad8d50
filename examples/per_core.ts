/**
 * One server process per core, all on one port: the system hands each new connection to one of them.
 * Without options it starts them, lets clients come, tells which process answered how many of them,
 * and ends; with `--port` it serves until Ctrl-C.
 *
 *     deno run --allow-net --allow-run --unstable-net examples/per_core.ts
 *
 * Processes share nothing: `server.push` and `server.broadcast` reach the clients of their own process.
 */
import { connect, serve, text } from "@vgo/vnet";
import { Process } from "./_process.ts";
import { Log, numberOption, onStop, readOptions } from "./_program.ts";

const USAGE = `Usage: deno run ... examples/per_core.ts [options]

  --port <number>       serve on this port until Ctrl-C (default: any, and end by itself)
  --processes <number>  how many (default: as many as there are cores)
  --help                shows this`;

const CLIENTS = 100;

const options = readOptions(USAGE, {
  port: { type: "string", default: "0" },
  processes: { type: "string", default: String(navigator.hardwareConcurrency) },
  worker: { type: "boolean", default: false },
});
const port = numberOption(USAGE, "port", options.port, 65_535);
const count = numberOption(USAGE, "processes", options.processes, 1_024, 1);
const log = new Log();

if (options.worker) await work();
else await run();

/** What each process does. */
async function work(): Promise<void> {
  const server = await serve({ hostname: "127.0.0.1", port }, {
    reusePort: true,
    serializer: text(),
    methods: { who: () => String(Deno.pid) },
  });
  log.info(`Listening on ${server.addr}`);
  onStop(() => server.close({ spread: 0 }));
  await server.closed;
}

async function run(): Promise<void> {
  const shared = port === 0 ? freePort() : port;
  const stop = new AbortController();
  onStop((signal) => stop.abort(signal));
  const processes = Array.from({ length: count }, (_, index) => {
    const name = `process ${index + 1}`;
    const args = ["--allow-net", "--unstable-net", import.meta.url, "--worker"];
    args.push("--port", String(shared));
    return new Process({ name, prefix: `${name} │ `, args, signal: stop.signal });
  });
  const ended = Promise.race(processes.map((process) => process.ended));
  try {
    await Promise.all(processes.map((process) => process.says("Listening")));
    if (port === 0) await visit(shared);
    else await ended;
  } catch (error) {
    // Who asked for the end need not be told of it.
    if (!stop.signal.aborted) throw error;
  } finally {
    await Promise.all(processes.map((process) => process.stop()));
  }
}

/** Lets clients come, and counts who answers them. */
async function visit(port: number): Promise<void> {
  const answers = new Map<string, number>();
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    await using client = await connect({ hostname: "127.0.0.1", port }, { serializer: text() });
    const who = await client.call("who");
    answers.set(who, (answers.get(who) ?? 0) + 1);
  }));
  const shares = [...answers.values()].sort((a, b) => b - a).join(" + ");
  log.info(`${CLIENTS} clients were answered by ${answers.size} of ${count} processes: ${shares}`);
}

/** A port that nobody has: every process must be told the same one. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
