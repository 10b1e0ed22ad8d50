/**
 * A chat in the browser: its server, which gives out the page, and is what the page talks to, on one port.
 *
 *     deno run --unstable-bundle --allow-net --allow-read examples/chat_page/server.ts
 *
 * Open what it prints in two windows. Stop it, write something, and start it again: both windows come
 * back, and what was written arrives. With `--host 0.0.0.0` a phone in the same network can come in.
 *
 * The page's script is bundled when the server starts, for which `--unstable-bundle` is needed, and
 * `--allow-read` for the files. The first time of all Deno may have to download its bundler.
 */
import { serve, type ServerPeer } from "@vgo/vnet";
import { Log, numberOption, onStop, readOptions } from "../_program.ts";
import { pageFiles } from "./files.ts";
import { chat, isName } from "./contract.ts";
import { Memory } from "./memory.ts";

const USAGE =
  `Usage: deno run --unstable-bundle --allow-net --allow-read examples/chat_page/server.ts

  --port <number>  port to listen on; 0: any that is free (default 8080)
  --host <name>    interface to listen on; 0.0.0.0: all of them (default 127.0.0.1)
  --help           shows this`;

const options = readOptions(USAGE, {
  port: { type: "string", default: "8080" },
  host: { type: "string", default: "127.0.0.1" },
});
const log = new Log();
const memory = new Memory();
const rooms = new Set<string>();
const respond = await pageFiles();

/** Rooms that a page is told of. */
const LISTED = 30;

const server = await serve({
  transport: "ws",
  hostname: options.host,
  port: numberOption(USAGE, "port", options.port, 65_535),
  path: "/chat",
}, {
  contract: chat,
  // By default only pages of this very host may talk to it: there is nothing to be done about `accept`.
  http: { respond },
  // The id is the name. Whose connection broke comes back under it; nobody else can meanwhile.
  register: ({ id }) =>
    isName(id) || { reject: "CLIENT_ID_INVALID", reason: "Please choose another name" },
  limits: {
    maxMessageLength: 8_192,
    maxGroups: 20,
    messagesPerSecond: 50,
    maxConnectionsPerHost: 200,
  },
  methods: {
    join({ room }, { peer }) {
      join(room, peer);
      return { people: peopleIn(room), lines: memory.of(room) };
    },
    leave({ room }, { peer }) {
      peer.leave(room);
      tellWhoIsIn(room);
    },
  },
  onMessage({ body }, peer) {
    // What waited in the page may come before its word that it is in the room again.
    if (!peer.groups.has(body.room)) join(body.room, peer);
    const line = { ...body, from: peer.id, at: Date.now() };
    // One that comes again is one of which the page could not know that it had arrived.
    if (!memory.add(line)) return;
    server.broadcast(line, { topic: "said", group: body.room, except: peer });
  },
  onConnect: (peer) => log.info(`${peer.id} has come`),
  onDisconnect(info, peer) {
    log.info(`${peer.id} is gone: ${info.code}`);
    // It is in none of them any more; these are the ones that it was in.
    for (const room of peer.groups) tellWhoIsIn(room);
  },
});

const { port } = server.addr;
const shown = options.host === "0.0.0.0" ? "localhost" : options.host;
log.info(`The chat is at http://${shown}:${port}/`);
onStop(() => server.close({ grace: 1_000, spread: 1_000, reason: "The chat is being restarted" }));
await server.closed;

function join(room: string, peer: ServerPeer<typeof chat>): void {
  peer.join(room);
  rooms.add(room);
  tellWhoIsIn(room);
}

/** Who is slow gets the newest lists only: that is what `key` does. */
function tellWhoIsIn(room: string): void {
  const people = { room, people: peopleIn(room) };
  server.broadcast(people, { topic: "people", group: room, key: `people of ${room}` });
  if (people.people.length === 0) rooms.delete(room);
  const list = Array.from(rooms, (room) => ({ room, count: peopleIn(room).length }));
  list.sort((a, b) => b.count - a.count);
  server.broadcast({ rooms: list.slice(0, LISTED) }, { topic: "rooms", key: "rooms" });
}

function peopleIn(room: string): string[] {
  return Array.from(server.group(room), ({ id }) => id).sort();
}
