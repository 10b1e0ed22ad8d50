/**
 * 10,000 clients that come and go, and what they leave behind: no timer, no table entry, no descriptor,
 * no heap.
 */
import { connect, type Runtime, serve, type Server, text, type Untyped } from "@vgo/vnet";
import {
  countedRuntime,
  DESCRIPTOR_SLACK,
  descriptors,
  descriptorsSince,
  holdsWithin,
  memoryInUse,
} from "./_measure.ts";
import { counts, figure, mebibytes, type Soak } from "./_report.ts";

/** So many at a time. */
const WORKERS = 32;
/** What is held may differ by so much, in MiB, however many have come and gone. */
const GOAL_HELD = 1;
/** How they go, in turn. */
const ENDS = ["client.close", "client.abort", "peer.close", "peer.abort"] as const;

type Text = Untyped<string>;

/** Runs it. */
export async function churn({ smoke, report }: Soak): Promise<void> {
  const clients = smoke ? 1_000 : 10_000;
  report.title(`${figure(clients)} connects and closes`);
  const { runtime, timers } = countedRuntime();
  const ends: Record<string, number> = {};
  let groups = 0;
  const server = await serve("127.0.0.1:0", {
    runtime,
    serializer: text(),
    methods: { hello: (word) => word },
    onConnect: (peer) => {
      for (const group of ["all", `${peer.id} alone`]) peer.join(group);
      groups = Math.max(groups, peer.server.group("all").size);
    },
    onDisconnect: ({ code }) => void (ends[code] = (ends[code] ?? 0) + 1),
  });
  const look = async () => ({
    timers: timers(),
    peers: server.peers.size,
    unregistered: server.stats().unregistered,
    group: server.group("all").size,
    queued: server.stats().queued.bytes,
    memory: await memoryInUse(),
  });
  await comeAndGo(server, runtime, 1_000); // what the compiler needs
  await empty(server);
  const before = await look();
  const files = await descriptors();
  const begun = performance.now();
  for (let done = 0; done < clients; done += clients / 5) {
    await comeAndGo(server, runtime, clients / 5);
    report.progress(`${figure(server.stats().total - 1_000)} have come`);
  }
  const seconds = (performance.now() - begun) / 1_000;
  const gone = await empty(server);
  const filesAfter = await descriptorsSince(files);
  const after = await look();
  const { peak, total, rejected } = server.stats();
  await server.close({ spread: 0 });

  report.table([
    ["left behind", "before", "after"],
    ["timers", figure(before.timers), figure(after.timers)],
    ["registered", figure(before.peers), figure(after.peers)],
    ["waiting to register", figure(before.unregistered), figure(after.unregistered)],
    ["members of the group of all", figure(before.group), figure(after.group)],
    ["bytes queued", figure(before.queued), figure(after.queued)],
    ["descriptors", `${files ?? "?"}`, `${filesAfter ?? "?"}`],
    ["held MiB", mebibytes(before.memory.held), mebibytes(after.memory.held)],
    ["RSS MiB", mebibytes(before.memory.rss), mebibytes(after.memory.rss)],
  ]);
  report.table([
    ["meanwhile", ""],
    ["a second", figure(clients / seconds)],
    ["registered in all", figure(total)],
    ["at once", figure(peak)],
    ["in the group at once", figure(groups)],
    ["refused", counts(rejected)],
    ...Object.entries(ends).map(([code, count]) => [`ended with ${code}`, figure(count)]),
  ]);
  report.holds("all are gone", gone);
  report.holds("all have registered", total === clients + 1_000, figure(total));
  for (const what of ["timers", "peers", "unregistered", "group", "queued"] as const) {
    report.holds(what, after[what] <= before[what], figure(after[what]));
  }
  const more = (filesAfter ?? 0) - (files ?? 0);
  report.holds("descriptors", more <= DESCRIPTOR_SLACK, `${more} more`);
  const grown = (after.memory.held - before.memory.held) / 1_048_576;
  report.atMost("held", grown, GOAL_HELD, "MiB more");
}

/** So many clients, some at a time, each of which calls once; they end in all ways there are. */
async function comeAndGo(server: Server<Text>, runtime: Runtime, clients: number): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let n = next++; n < clients; n = next++) {
      const id = `client-${n}`;
      const client = await connect(server.addr, {
        runtime,
        id,
        serializer: text(),
        reconnect: false,
      });
      await client.call("hello", "hello");
      switch (ENDS[n % ENDS.length]) {
        case "client.close":
          await client.close();
          break;
        case "client.abort":
          client.abort();
          break;
        case "peer.close":
          await server.peers.get(id)?.close();
          break;
        case "peer.abort":
          server.peers.get(id)?.abort();
      }
      await client.closed;
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
}

/** The server learns a little later than its clients that they are gone. */
function empty(server: Server<Text>): Promise<boolean> {
  return holdsWithin(5_000, () => server.peers.size === 0);
}
