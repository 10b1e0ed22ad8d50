/**
 * One paused consumer among 50 while 100 MB go to each of the others: what it costs the others, what it
 * costs in memory, and what becomes of it by each policy.
 *
 * On a machine that does other things too, two runs one after the other cannot be compared. So rounds
 * that go to the paused one as well and rounds that leave it out take turns, and medians are compared.
 */
import { type Overflow, serve, type Server } from "@vgo/vnet";
import {
  holdsWithin,
  type Memory,
  memory,
  memoryInUse,
  program,
  quantile,
  sleep,
} from "./_measure.ts";
import { counts, figure, mebibytes, type Report, type Soak } from "./_report.ts";

const CONSUMERS = 50;
const BODY = 65_536;
/** What may wait for one consumer. */
const MAX_QUEUED = 1_048_576;
/** A socket that takes nothing for so long is given up, in ms. */
const WRITE_TIMEOUT = 2_000;
/** Rounds of each sort. */
const ROUNDS = 10;
/** What a paused consumer may add to what is held, in MiB. */
const GOAL_HELD = 4;
/** At least this part of their rate the others should keep. */
const GOAL_RATE = 0.8;

/** Who is paused, and what becomes of what it does not take. */
interface Kind {
  readonly name: string;
  readonly paused: "handler" | "socket";
  readonly overflow: Overflow;
  /** Messages are of so many keys in turn. */
  readonly keys?: number;
  /** What is to become of it. */
  readonly end: string;
}

const STAYS = "still there";
const KINDS: readonly Kind[] = [
  { name: "handler, drop-newest", paused: "handler", overflow: "drop-newest", end: STAYS },
  { name: "handler, drop-oldest", paused: "handler", overflow: "drop-oldest", end: STAYS },
  { name: "handler, 8 keys", paused: "handler", overflow: "drop-newest", keys: 8, end: STAYS },
  { name: "handler, disconnect", paused: "handler", overflow: "disconnect", end: "SLOW_CONSUMER" },
  { name: "socket, drop-newest", paused: "socket", overflow: "drop-newest", end: "WRITE_TIMEOUT" },
];

/** What one run has shown. */
interface Figures {
  /** To each of the others, in MB/s: with the paused one, and without. */
  readonly rate: number;
  readonly alone: number;
  /** Whether each of the others has got every byte. */
  readonly whole: boolean;
  /** The most that waited for the paused one, and for all, in bytes. */
  readonly queued: number;
  readonly queuedByAll: number;
  readonly before: Memory;
  /** The most at any moment: `rss` with garbage, `held` without. */
  readonly peak: Memory;
  readonly after: Memory;
  /** Messages for the paused one that were dropped, by policy, as events told. */
  readonly dropped: Readonly<Record<string, number>>;
  /** All that were dropped, as the server counts. */
  readonly counted: number;
  /** How the paused one was ended, if it was. */
  readonly ended: string;
}

/** Runs it. */
export async function slowConsumer({ smoke, report }: Soak): Promise<void> {
  const bodies = smoke ? 8 : 153;
  const size = Math.round(ROUNDS * bodies * BODY / 1e6);
  report.title(`One paused consumer among ${CONSUMERS}, ${size} MB to each of the others`);
  const runs: { readonly kind: Kind; readonly figures: Figures }[] = [];
  for (const kind of KINDS) {
    // A socket takes some before it is full: much where the system gives it much room.
    const figures = await run(kind, kind.paused === "socket" ? Math.max(32, bodies) : bodies);
    runs.push({ kind, figures });
    report.progress(`paused ${kind.name}: ${figure(figures.rate)} MB/s to each of the others`);
  }
  report.table([
    ["what is paused, and policy", "MB/s to each", "without it", "ratio", "dropped", "its end"],
    ...runs.map(({ kind: { name }, figures: { rate, alone, dropped, ended } }) => [
      name,
      figure(rate),
      figure(alone),
      (rate / alone).toFixed(2),
      counts(dropped),
      ended,
    ]),
  ]);
  report.table([
    [
      "memory in MiB",
      "queued for it",
      "for all",
      "held before",
      "at most",
      "after",
      "RSS before",
      "at most",
      "after",
    ],
    ...runs.map(({ kind: { name }, figures: { queued, queuedByAll, before, peak, after } }) => [
      name,
      ...[queued, queuedByAll, before.held, peak.held, after.held].map(mebibytes),
      ...[before.rss, peak.rss, after.rss].map(mebibytes),
    ]),
  ]);
  for (const { kind, figures } of runs) judge(report, kind, figures);
}

function judge(report: Report, { name, overflow, keys, end }: Kind, figures: Figures): void {
  const { whole, queued, before, peak, after, rate, alone, ended, dropped, counted } = figures;
  report.holds(`${name}: the others have got every byte`, whole);
  // One message is taken whatever its size, and one may be on its way to the socket.
  const most = MAX_QUEUED + 2 * BODY;
  const found = `${mebibytes(queued)} of ${mebibytes(most)} MiB`;
  report.holds(`${name}: what waits is within its budget`, queued <= most, found);
  const held = (peak.held - before.held) / 1_048_576;
  report.atMost(`${name}: more memory held meanwhile`, held, GOAL_HELD, "MiB");
  const kept = (after.held - before.held) / 1_048_576;
  report.atMost(`${name}: and afterwards`, kept, GOAL_HELD, "MiB");
  report.atLeast(`${name}: ratio of rates`, rate / alone, GOAL_RATE, "");
  const policy = keys === undefined ? overflow : "key";
  const told = dropped[policy] ?? 0;
  report.holds(`${name}: there are drops`, overflow === "disconnect" || told > 0);
  report.holds(`${name}: each is counted and told`, told === counted, `${told} of ${counted}`);
  report.holds(`${name}: its end is ${end}`, ended.startsWith(end), ended);
}

async function run(kind: Kind, bodies: number): Promise<Figures> {
  const dropped: Record<string, number> = {};
  const took: number[] = [];
  let ended = STAYS;
  let begun = 0;
  let over = false;
  const server = await serve("127.0.0.1:0", {
    limits: { maxQueuedBytes: MAX_QUEUED },
    queue: { highWaterMark: 4 * BODY },
    writeTimeout: WRITE_TIMEOUT,
    onMessage: ({ body }) => void took.push(Number(new TextDecoder().decode(body))),
    onDisconnect({ code }, peer) {
      if (peer.id !== "paused" || over) return;
      ended = `${code} after ${((performance.now() - begun) / 1_000).toFixed(1)} s`;
    },
    onEvent(event) {
      if (event.type !== "drop" || event.peer.id !== "paused") return;
      dropped[event.policy] = (dropped[event.policy] ?? 0) + event.frames;
    },
  });
  const consumers = program("_consumers.ts", server.addr.port, CONSUMERS - 1, kind.paused);
  if (!await holdsWithin(20_000, () => server.peers.size === CONSUMERS)) {
    throw new Error(`Only ${server.peers.size} of ${CONSUMERS} consumers came`);
  }
  const except = server.peers.getAll("paused");
  const watch = new Watch(server);
  await broadcast(server, { overflow: "wait", except }, 16, watch); // what the compiler needs
  const before = await memoryInUse();
  begun = performance.now();
  const rates: number[] = [];
  const ratesAlone: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { overflow, keys } = kind;
    rates.push(await broadcast(server, { overflow, ...(keys && { keys }) }, bodies, watch));
    ratesAlone.push(await broadcast(server, { overflow, except }, bodies / 2, watch));
    if (round % 3 === 0) await watch.lookCloser();
  }
  await server.broadcast(new Uint8Array(0), { topic: "end", except });
  await holdsWithin(20_000, () => took.length === CONSUMERS - 1);
  if (kind.paused === "socket") await holdsWithin(2 * WRITE_TIMEOUT, () => ended !== STAYS);
  const after = await memoryInUse();
  over = true;
  const { dropped: counted } = server.stats();
  await server.close({ grace: 100, spread: 0 });
  await consumers.status;
  const bytes = (ROUNDS * (bodies + Math.floor(bodies / 2)) + 16) * BODY;
  return {
    rate: quantile(rates, 0.5),
    alone: quantile(ratesAlone, 0.5),
    whole: took.length === CONSUMERS - 1 && took.every((size) => size === bytes),
    queued: watch.queued,
    queuedByAll: watch.queuedByAll,
    before,
    peak: { rss: watch.rss, held: watch.held },
    after,
    dropped,
    counted,
    ended,
  };
}

/** How bodies are sent. */
interface How {
  readonly overflow: Overflow;
  readonly keys?: number;
  readonly except?: Iterable<Server["peers"] extends Iterable<infer P> ? P : never>;
}

/** As fast as the fast ones take it: nobody else is waited for. Gives the rate, in MB/s. */
async function broadcast(
  server: Server,
  { keys, ...options }: How,
  bodies: number,
  watch: Watch,
): Promise<number> {
  const fast = [...server.peers].filter(({ id }) => id !== "paused");
  const begun = performance.now();
  for (let n = 1; n <= bodies; n++) {
    // A body of its own each, so that what is kept too long is seen.
    const key = keys === undefined ? {} : { key: `${n % keys}` };
    server.broadcast(new Uint8Array(BODY), { ...options, ...key });
    for (const peer of fast) await peer.ready;
    if (n % 16 === 0) watch.look();
  }
  return Math.floor(bodies) * BODY / 1e3 / (performance.now() - begun);
}

/** The most of everything. */
class Watch {
  queued = 0;
  queuedByAll = 0;
  rss = 0;
  held = 0;
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
  }

  look(): void {
    const queued = this.#server.peers.get("paused")?.queued.bytes ?? 0;
    this.queued = Math.max(this.queued, queued);
    this.queuedByAll = Math.max(this.queuedByAll, this.#server.stats().queued.bytes);
    this.rss = Math.max(this.rss, memory().rss);
  }

  /** What is held can be told only when nothing is left to collect. */
  async lookCloser(): Promise<void> {
    this.look();
    await sleep(0);
    this.held = Math.max(this.held, (await memoryInUse()).held);
  }
}
