/**
 * The whole story in one terminal, in about 20 seconds: a server and two clients, each a process of
 * its own. The server is killed and comes back, a client freezes and comes back, the server is restarted
 * in order, all end in order.
 *
 *     deno task demo
 */
import { delay } from "@std/async";
import { Process } from "./_process.ts";
import { type Color, Log, numberOption, onStop, painter, readOptions } from "./_program.ts";

const USAGE = `Usage: deno task demo [options]

  --port <number>  port of the server (default 9966, or any that is free where that is taken)
  --color          colours even where the output is no terminal
  --help           shows this`;

/** The longest that all of it may take, in ms: something is wrong by then. */
const TOO_LONG = 45_000;

const options = readOptions(USAGE, {
  port: { type: "string", default: "9966" },
  color: { type: "boolean", default: false },
});
const paint = painter(options.color);
const colored = paint("dim", "") !== "";
const log = new Log(options.color, prefix("demo", "bold"));
const port = String(freePort(numberOption(USAGE, "port", options.port, 65_535)));

/** Aborted when the demo is to end early. */
const stop = new AbortController();
const processes = new Set<Process>();
onStop((signal) => stop.abort(signal));
const guard = setTimeout(() => stop.abort(`it takes longer than ${TOO_LONG} ms`), TOO_LONG);

try {
  await story();
  log.title("That was all");
} catch (error) {
  log.warn(`Ended early: ${error instanceof Error ? error.message : error}`);
  Deno.exitCode = stop.signal.reason === "SIGINT" ? 130 : 1;
  await Promise.all([...processes].map((child) => child.stop()));
}
clearTimeout(guard);

async function story(): Promise<void> {
  log.title("A server, and two clients that say ping each second");
  let server = startServer();
  await server.says("Listening");
  // One after the other: who comes at the same moment is counted before either is told of.
  const a = startClient("A", "cyan");
  await a.says("Connected");
  const b = startClient("B", "blue");
  await b.says("Connected");
  await pause(2_500);

  log.title("Somebody kills the server (SIGKILL): it cannot say goodbye");
  const noticed = Promise.all([a.says("Link broken"), b.says("Link broken")]);
  server.kill("SIGKILL");
  await noticed;
  await pause(2_500);

  log.title("The server is started again: the clients find it by themselves");
  const back = Promise.all([a.says("Reconnected"), b.says("Reconnected")]);
  server = startServer();
  await back;
  await pause(1_500);

  // There is no such signal on Windows.
  if (Deno.build.os !== "windows") await freeze(server, b);

  log.title("A new version: the server is stopped in order (SIGTERM), and started again");
  const again = Promise.all([a.says("Reconnected"), b.says("Reconnected")]);
  await server.stop();
  server = startServer();
  await again;
  await pause(1_500);

  log.title("All end in order: B, then A, then the server (SIGTERM)");
  for (const child of [b, a, server]) await child.stop();
}

async function freeze(server: Process, client: Process): Promise<void> {
  log.title("Client B freezes (SIGSTOP): its link is open, but nothing comes any more");
  const dropped = server.says("B disconnected");
  client.kill("SIGSTOP");
  await dropped;
  await pause(500);

  log.title("Client B goes on (SIGCONT)");
  const back = client.says("Reconnected");
  client.kill("SIGCONT");
  await back;
  await pause(1_500);
}

function startServer(): Process {
  return start("server", "magenta", ["./demo_server.ts", "--port", port]);
}

function startClient(name: string, color: Color): Process {
  // Short waits, so that the story goes on.
  const args = ["./demo_client.ts", "--name", name, "--port", port, "--max-wait", "2000"];
  return start(`client ${name}`, color, args);
}

function start(name: string, color: Color, [script = "", ...args]: string[]): Process {
  const url = new URL(script, import.meta.url).href;
  const program = ["--allow-net", url, ...args, ...(colored ? ["--color"] : [])];
  const { signal } = stop;
  const child = new Process({ name, prefix: prefix(name, color), args: program, signal });
  processes.add(child);
  child.ended.then(() => processes.delete(child));
  return child;
}

function prefix(name: string, color: Color): string {
  return `${paint(color, name.padEnd(8))} ${paint("dim", "│")} `;
}

async function pause(ms: number): Promise<void> {
  await delay(ms, { signal: stop.signal });
}

/** The wanted port, or another one where somebody has that already. */
function freePort(wanted: number): number {
  for (const port of [wanted, 0]) {
    try {
      using listener = Deno.listen({ hostname: "127.0.0.1", port });
      return listener.addr.port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error("No port is free");
}
