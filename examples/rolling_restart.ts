/**
 * A rolling restart under load: two servers, twenty clients that know both and call all the time, and
 * one server after the other is drained and started anew. No call is lost and none runs twice.
 *
 *     deno run --allow-net=127.0.0.1 examples/rolling_restart.ts
 */
import { type Client, connect, RpcError, serve, type Server, text, type Untyped } from "@vgo/vnet";
import { count } from "./_program.ts";

type Text = Untyped<string>;

const CLIENTS = 20;
const calls = { made: 0, completed: 0, repeated: 0, lost: 0, slowest: 0 };
/** What was run, by any server. */
const ran: string[] = [];
let over = false;

const servers = [await start(0), await start(0)];
const addrs = servers.map(({ addr }) => addr);
// Each second client prefers the other server. Where the first address does not answer the next is tried.
const clients = await Promise.all(Array.from({ length: CLIENTS }, (_, n) => {
  const options = { id: `client-${n}`, serializer: text() };
  return connect(n % 2 === 0 ? addrs : addrs.toReversed(), options);
}));
const load = clients.map(work);
await pause(500);
report("both servers are up");

for (const [index, server] of servers.entries()) {
  // What runs may finish. Clients find another server within half a second, and not all at once.
  const { finished, cut } = await server.close({ grace: 5_000, spread: 500 });
  console.log(`server ${index + 1} is drained: ${finished} calls finished, ${cut} cut`);
  await pause(1_000); // a new version is installed
  servers[index] = await start(server.addr.port);
  report(`server ${index + 1} is back`);
}

over = true;
await Promise.all(load);
for (const client of clients) await client.close();
for (const server of servers) await server.close();
const { made, completed, repeated, lost, slowest } = calls;
console.log(`${made} calls made, ${completed} completed, ${repeated} repeated, ${lost} lost`);
console.log(`${ran.length} ran, ${ran.length - new Set(ran).size} of them twice`);
console.log(
  `the slowest took ${Math.round(slowest)} ms: its client was on the way to another server`,
);

function start(port: number): Promise<Server<Text>> {
  return serve({ hostname: "127.0.0.1", port }, {
    serializer: text(),
    methods: {
      work: async (id) => {
        ran.push(id);
        await pause(10 + 40 * Math.random());
        return `${id} is done`;
      },
    },
  });
}

/** One call after the other. */
async function work(client: Client<Text>): Promise<void> {
  for (let n = 0; !over; n++) {
    const started = performance.now();
    calls.made++;
    await complete(client, `${client.id}/${n}`);
    calls.slowest = Math.max(calls.slowest, performance.now() - started);
  }
}

/** A call that surely did not run is made again; of one that may have run nobody should. */
async function complete(client: Client<Text>, id: string): Promise<void> {
  while (true) {
    try {
      await client.call("work", id);
      calls.completed++;
      return;
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      if (error.executed !== "no") {
        calls.lost++;
        return;
      }
      calls.repeated++;
      await pause(20);
    }
  }
}

function report(what: string): void {
  const [one, two] = servers.map(({ peers }) => count(peers.size, "client"));
  console.log(`${what}: 1 has ${one}, 2 has ${two}, ${calls.completed} calls so far`);
}

function pause(ms: number): Promise<void> {
  return new Promise((next) => setTimeout(next, ms));
}
