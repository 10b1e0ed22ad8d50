/**
 * A server that tells its story: who comes, what they say, who goes, and why. It answers every
 * message with "pong" and the time, and closes dead clients by itself.
 *
 *     deno task demo:server
 *     deno task demo:server --port 9966 --host 0.0.0.0
 */
import {
  type CloseInfo,
  ConnectError,
  serve,
  type ServerEvent,
  type ServerPeer,
  text,
  type Untyped,
} from "@vgo/vnet";
import { clockTime, count, Log, numberOption, onStop, readOptions } from "./_program.ts";

const USAGE = `Usage: deno task demo:server [options]

  --port <number>  port to listen on; 0: any that is free (default 9966)
  --host <name>    interface to listen on; 0.0.0.0: all of them (default 127.0.0.1)
  --color          colours even where the output is no terminal
  --help           shows this`;

const options = readOptions(USAGE, {
  port: { type: "string", default: "9966" },
  host: { type: "string", default: "127.0.0.1" },
  color: { type: "boolean", default: false },
});
const port = numberOption(USAGE, "port", options.port, 65_535);
const log = new Log(options.color);

try {
  await run();
} catch (error) {
  if (!(error instanceof ConnectError)) throw error;
  log.warn(error.message);
  Deno.exit(1);
}

async function run(): Promise<void> {
  const server = await serve({ hostname: options.host, port }, {
    serializer: text(),
    // After 2 s of silence a client is asked for a sign of life, and closed 1 s later.
    heartbeat: { interval: 2_000, timeout: 1_000 },
    limits: { maxMessageLength: 1_024 },
    onMessage(message, peer) {
      log.info(`${peer.id} says ${JSON.stringify(message.body)}`);
      return peer.send(`pong ${clockTime()}`);
    },
  });
  log.info(`Listening on ${server.addr.host} (${reach(options.host)})`);
  onStop((signal) => {
    log.info(`Closing, because of ${signal}`);
    // What was accepted is finished, and the clients do not all come back at once.
    const reason = `The server was stopped by ${signal}`;
    server.close({ reason, grace: 5_000, spread: 2_000 });
  });
  for await (const event of server.events()) tell(event);
  const { finished, cut, unsent } = await server.closed;
  log.info(`Drained: ${finished} calls finished, ${cut} cut; ${unsent.frames} messages unsent`);
  const { total, peak, messagesIn } = server.stats();
  const most = `at most ${peak} at once`;
  log.info(`Closed: ${count(total, "session")}, ${most}, ${count(messagesIn, "message")}`);
}

function tell(event: ServerEvent<ServerPeer<Untyped<string>>>): void {
  switch (event.type) {
    case "connect": {
      const { peer } = event;
      return log.info(`${peer.id} connected from ${peer.remoteAddr.host} · ${live(peer)}`);
    }
    case "disconnect": {
      const { peer, info } = event;
      const line = `${peer.id} disconnected: ${describe(info)} · ${live(peer)}`;
      const inOrder = info.code === "NORMAL" || info.code === "DRAINING";
      return inOrder ? log.info(line) : log.warn(line);
    }
    case "reject":
      return log.warn(`${event.remoteAddr.host} was not let in: ${describe(event)}`);
    case "limit":
      return log.warn(`${event.remoteAddr.host} was not let in: ${event.limit} is ${event.value}`);
    case "accept-error":
    case "error":
      return log.warn(`Error: ${event.error}`);
  }
}

function live({ server }: ServerPeer<Untyped<string>>): string {
  return count(server.peers.size, "client");
}

function describe({ code, reason }: Pick<CloseInfo, "code" | "reason">): string {
  return reason === "" ? code : `${reason} (${code})`;
}

function reach(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "every interface: reachable from other machines";
  return /^127\.|^::1$|^localhost$/.test(host) ? "this machine only" : "this interface only";
}
