/**
 * A client that tells its story: it says "ping" each second, and comes back by itself whenever its
 * link breaks. Start it before the server, kill the server, start the server again.
 *
 *     deno task demo:client --name A
 *     deno task demo:client -n B --retry 5000
 */
import { Client, type ClientEvent, ClosedError, type CloseInfo, text } from "@vgo/vnet";
import { clockTime, count, Log, numberOption, onStop, readOptions, seconds } from "./_program.ts";

const USAGE = `Usage: deno task demo:client [options]

  -n, --name <id>    the id to register with (default one that the server gives)
  --host <name>      where the server is (default 127.0.0.1)
  --port <number>    its port (default 9966)
  --retry <ms>       always wait so long before the next try (default a back-off with jitter)
  --max-wait <ms>    the longest wait of that back-off (default 10000)
  --color            colours even where the output is no terminal
  --help             shows this`;

const options = readOptions(USAGE, {
  name: { type: "string", short: "n", default: "" },
  host: { type: "string", default: "127.0.0.1" },
  port: { type: "string", default: "9966" },
  retry: { type: "string" },
  "max-wait": { type: "string", default: "10000" },
  color: { type: "boolean", default: false },
});
const hour = 3_600_000;
const port = numberOption(USAGE, "port", options.port, 65_535);
const maxDelay = numberOption(USAGE, "max-wait", options["max-wait"], hour);
const log = new Log(options.color);

const client = new Client({ hostname: options.host, port }, {
  id: options.name,
  serializer: text(),
  heartbeat: { interval: 2_000, timeout: 1_000 },
  reconnect: options.retry === undefined
    ? { initialDelay: Math.min(1_000, maxDelay), maxDelay }
    : { delay: numberOption(USAGE, "retry", options.retry, hour) },
  onMessage: (message) => log.info(`server says ${JSON.stringify(message.body)}`),
});
onStop((signal) => {
  log.info(`Closing, because of ${signal}`);
  client.close({ reason: `The client was stopped by ${signal}` });
});
const timer = setInterval(() => {
  // What is sent between two links would wait for the next one; an old ping is of no use then.
  if (client.state === "open") client.trySend(`ping ${clockTime()}`);
}, 1_000);

let brokenAt: number | undefined;
for await (const event of client.events()) tell(event);
clearInterval(timer);
const { messagesOut, messagesIn, links } = client.stats;
log.info(
  `Closed: ${count(messagesOut, "ping")}, ${count(messagesIn, "pong")}, ${count(links, "link")}`,
);
if ((await client.closed).initiator === "remote") Deno.exit(1);

function tell(event: ClientEvent): void {
  switch (event.type) {
    case "connect": {
      const where = `to ${event.remoteAddr.host} as ${client.id}`;
      if (brokenAt === undefined) log.info(`Connected ${where}`);
      else log.info(`Reconnected ${where} after ${seconds(performance.now() - brokenAt)}`);
      return;
    }
    case "disconnect":
      if (event.info.code === "NORMAL") return;
      brokenAt = performance.now();
      return log.warn(`Link broken: ${describe(event.info)}`);
    case "drain":
      return log.info("The server is going away, and wants us back later");
    case "wait": {
      // That the link broke was said above.
      const why = event.error instanceof ClosedError ? "" : `${event.error.message}. `;
      return log.warn(`${why}Next try in ${seconds(event.delay)}`);
    }
    case "error":
      return log.warn(`Error: ${event.error}`);
    case "close":
      if (event.info.initiator !== "local") log.warn(`Gave up: ${describe(event.info)}`);
  }
}

function describe({ code, reason }: CloseInfo): string {
  return reason === "" ? code : `${reason} (${code})`;
}
