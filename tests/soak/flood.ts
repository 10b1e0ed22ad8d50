/**
 * 500 sockets that send a byte a second, and 2,000 dials at once, while a good client connects and calls.
 */
import { type Client, connect, serve } from "@vgo/vnet";
import {
  DESCRIPTOR_SLACK,
  descriptors,
  descriptorsSince,
  holdsWithin,
  memoryInUse,
  program,
  quantile,
  sleep,
} from "./_measure.ts";
import { counts, figure, mebibytes, type Soak } from "./_report.ts";

const DRIPPING = 500;
/** The server's own limit: with the 500 there are few places left. */
const MAX_UNREGISTERED = 512;
const HANDSHAKE_TIMEOUT = 5_000;
const BODY = new Uint8Array(128);
/** So many times the p99 of idle days that of a call may be. */
const GOAL_CALL = 10;
/** How long a connect may take, in ms: with all places taken it is hung up on, and tries again. */
const GOAL_CONNECT = 2_000;

/** How a good client fares. */
interface Figures {
  readonly name: string;
  /** In ms. */
  readonly connects: readonly number[];
  /** In ms. */
  readonly calls: readonly number[];
  /** How often its link was refused before one was open. */
  readonly retries: number;
}

/** Runs it. */
export async function flood({ smoke, report }: Soak): Promise<void> {
  const dials = smoke ? 400 : 2_000;
  report.title(
    `${DRIPPING} dripping sockets and a burst of ${figure(dials)} dials beside a good client`,
  );
  let limits = 0;
  await using server = await serve("127.0.0.1:0", {
    methods: { echo: (body) => body },
    handshakeTimeout: HANDSHAKE_TIMEOUT,
    limits: { maxUnregistered: MAX_UNREGISTERED },
    onEvent: (event) => {
      if (event.type === "limit") limits++;
    },
  });
  const { port } = server.addr;
  const client = await connect(server.addr);
  await fares(client, "", enough(300)); // what the compiler needs
  const before = { files: await descriptors(), memory: await memoryInUse() };
  const runs: Figures[] = [];

  runs.push(await fares(client, "idle", enough(smoke ? 300 : 1_500)));
  report.progress("the good client has the server for itself");

  const lasts = smoke ? 4_000 : 14_000;
  const dripping = program("_flood.ts", port, "drip", DRIPPING, lasts);
  const beset = await holdsWithin(15_000, () => server.stats().unregistered >= 0.9 * DRIPPING);
  report.holds("the dripping sockets are there", beset, `${server.stats().unregistered}`);
  runs.push(await fares(client, "500 drip", enough(smoke ? 300 : 1_500)));
  report.progress(`${server.stats().unregistered} dripping sockets`);

  const turnedAway = server.stats().rejected.TOO_MANY_CONNECTIONS ?? 0;
  const burst = program("_flood.ts", port, "burst", dials, HANDSHAKE_TIMEOUT + 3_000);
  await holdsWithin(10_000, () => (server.stats().rejected.TOO_MANY_CONNECTIONS ?? 0) > turnedAway);
  let over = false;
  burst.status.then(() => over = true);
  runs.push(await fares(client, "500 drip, and the burst", () => over));
  report.progress(`the burst is over: ${counts(server.stats().rejected)} so far`);

  await dripping.status;
  await holdsWithin(HANDSHAKE_TIMEOUT + 2_000, () => server.stats().unregistered === 0);
  runs.push(await fares(client, "after it", enough(300)));
  const gone = await holdsWithin(3_000, () => server.stats().peers === 1);
  report.progress("all are gone");
  const after = { files: await descriptorsSince(before.files), memory: await memoryInUse() };
  await client.close();
  const { rejected, peak, total, unregistered } = server.stats();

  const [idle] = runs;
  report.table([
    [
      "a good client",
      "connects",
      "p50 ms",
      "max ms",
      "refused",
      "calls",
      "p50 µs",
      "p99 µs",
      "max ms",
    ],
    ...runs.map(({ name, connects, calls, retries }) => [
      name,
      figure(connects.length),
      figure(quantile(connects, 0.5)),
      figure(quantile(connects, 1)),
      figure(retries),
      figure(calls.length),
      figure(1_000 * quantile(calls, 0.5)),
      figure(1_000 * quantile(calls, 0.99)),
      figure(quantile(calls, 1)),
    ]),
  ]);
  report.table([
    ["the server", "before", "after"],
    ["descriptors", `${before.files ?? "?"}`, `${after.files ?? "?"}`],
    ["held MiB", mebibytes(before.memory.held), mebibytes(after.memory.held)],
    ["RSS MiB", mebibytes(before.memory.rss), mebibytes(after.memory.rss)],
    ["registered, in all", "", figure(total)],
    ["at once", "", figure(peak)],
    ...Object.entries(rejected).map((
      [code, count],
    ) => [`refused: ${code}`, "", figure(count ?? 0)]),
    ["limit events", "", figure(limits)],
  ]);
  const more = (after.files ?? 0) - (before.files ?? 0);
  report.holds("descriptors are back to what they were", more <= DESCRIPTOR_SLACK, `${more} more`);
  report.holds("nobody is left", gone && unregistered === 0);
  const asked = DRIPPING + dials;
  const refused = Object.values(rejected).reduce((sum, count) => sum + (count ?? 0), 0);
  report.holds("whoever did not register is counted", refused >= asked, `${refused} of ${asked}`);
  if (idle === undefined) return;
  for (const run of runs.slice(1)) {
    const ratio = quantile(run.calls, 0.99) / quantile(idle.calls, 0.99);
    report.atMost(`${run.name}: p99 of calls, times that of idle`, ratio, GOAL_CALL);
    report.atMost(`${run.name}: slowest connect`, quantile(run.connects, 1), GOAL_CONNECT, "ms");
  }
}

/** A client that is there calls, and others come and go, until it is over. */
async function fares(
  client: Client,
  name: string,
  over: (calls: number) => boolean,
): Promise<Figures> {
  const connects: number[] = [];
  const calls: number[] = [];
  let retries = 0;
  let done = false;
  const others = (async () => {
    while (!done) {
      const begun = performance.now();
      const other = await connect(client.remoteAddr, {
        openTimeout: 30_000,
        onEvent: (event) => {
          if (event.type === "wait") retries++;
        },
      });
      connects.push(performance.now() - begun);
      await other.close();
    }
  })();
  while (!over(calls.length)) {
    const begun = performance.now();
    await client.call("echo", BODY);
    calls.push(performance.now() - begun);
    // Calls without a pause would be all that this program does.
    if (calls.length % 8 === 0) await sleep(1);
  }
  done = true;
  await others;
  return { name, connects, calls, retries };
}

/** Ends after so many calls. */
function enough(most: number): (calls: number) => boolean {
  return (calls) => calls >= most;
}
