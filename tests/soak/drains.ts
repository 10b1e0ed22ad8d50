/**
 * A server that is replaced 50 times under 200 calls in flight: all complete, none is lost, none runs
 * twice.
 *
 * Each piece of work has an id. The server writes down which ids it has run; the program that calls
 * makes a call again only if it did not run (`executed: "no"`).
 */
import { type Client, connect, RpcError, serve, type Server, text, type Untyped } from "@vgo/vnet";
import { holdsWithin, quantile, sleep } from "./_measure.ts";
import { figure, type Report, type Soak } from "./_report.ts";

const CLIENTS = 8;
const IN_FLIGHT = 200;
const GRACE = 5_000;
/** Over which clients come back, in ms. */
const SPREAD = 200;
/** How long the work takes, in ms: each piece of it differently. */
const WORK = { least: 5, most: 60 };
/** A drain should take no longer than what runs, and its farewells, in ms. */
const GOAL_DRAIN = 250;
/** A call that meets a drain waits for it, and for its client to come back, in ms. */
const GOAL_CALL = 1_000;

type Text = Untyped<string>;

/** What happened to the work. */
class Ledger {
  /** How often each was run by a server. */
  readonly ran = new Map<number, number>();
  readonly completed = new Set<number>();
  /** Made again since they had not run. */
  repeated = 0;
  /** Of which nobody knows whether they ran. */
  readonly unclear: string[] = [];
  /** How long each took from the first call to the answer, in ms. */
  readonly times: number[] = [];
  asked = 0;
}

/** Runs it. */
export async function drains({ smoke, report }: Soak): Promise<void> {
  const rounds = smoke ? 5 : 50;
  report.title(`${rounds} drains with ${IN_FLIGHT} calls in flight`);
  const ledger = new Ledger();
  let running = 0;
  const start = (port: number) =>
    serve({ hostname: "127.0.0.1", port }, {
      serializer: text(),
      methods: {
        work: async (id) => {
          ledger.ran.set(Number(id), (ledger.ran.get(Number(id)) ?? 0) + 1);
          running++;
          await sleep(WORK.least + Number(id) * 7 % (WORK.most - WORK.least));
          running--;
          return id;
        },
      },
    });
  let server = await start(0);
  const { port } = server.addr;
  const clients = await Promise.all(Array.from({ length: CLIENTS }, (_, n) =>
    connect(server.addr, {
      id: `client-${n}`,
      serializer: text(),
      reconnect: { initialDelay: 50, maxDelay: 200 },
    })));
  let over = false;
  const workers = clients.flatMap((client) =>
    Array.from({ length: IN_FLIGHT / CLIENTS }, async () => {
      while (!over) await complete(client, ledger.asked++, ledger);
    })
  );

  const took: number[] = [];
  const finished: number[] = [];
  let cut = 0;
  for (let round = 1; round <= rounds; round++) {
    const full = await holdsWithin(5_000, () => running === IN_FLIGHT);
    report.holds(`round ${round}: ${IN_FLIGHT} calls are in flight`, full, `${running}`);
    // Not always at the same moment of the work: some are answered, and made anew, just then.
    await sleep(round % 8);
    const begun = performance.now();
    const info = await server.close({ grace: GRACE, spread: SPREAD });
    took.push(performance.now() - begun);
    finished.push(info.finished);
    cut += info.cut;
    server = await start(port);
    if (round % 10 === 0) {
      report.progress(`${round} drains, ${figure(ledger.completed.size)} calls`);
    }
  }
  over = true;
  await Promise.all(workers);
  for (const client of clients) await client.close();
  await stop(server);
  show(report, ledger, { took, finished, cut });
}

function show(
  report: Report,
  ledger: Ledger,
  { took, finished, cut }: {
    readonly took: readonly number[];
    readonly finished: readonly number[];
    readonly cut: number;
  },
): void {
  const { ran, completed, asked, repeated, unclear, times } = ledger;
  const twice = [...ran.values()].filter((count) => count > 1).length;
  const lost = asked - completed.size;
  report.table([
    ["", "least", "p50", "p99", "most"],
    row("finished by a drain, calls", finished),
    row("a drain took, ms", took),
    row("a call took, ms", times),
  ]);
  report.table([
    ["work", "pieces"],
    ["asked for", figure(asked)],
    ["completed", figure(completed.size)],
    ["called again, as it had not run", figure(repeated)],
    ["cut by a drain", figure(cut)],
    ["lost", figure(lost)],
    ["run twice", figure(twice)],
  ]);
  report.holds("all work is completed", lost === 0, `${lost} lost: ${unclear.slice(0, 3)}`);
  report.holds("nothing ran twice", twice === 0, `${twice}`);
  report.holds("what ran is what was completed", ran.size === completed.size, `${ran.size}`);
  report.holds("no drain cut a call", cut === 0, `${cut}`);
  const least = quantile(finished, 0);
  report.holds("each drain had calls to finish", least >= IN_FLIGHT / 10, `${least}`);
  report.atMost("a drain, p50", quantile(took, 0.5), GOAL_DRAIN, "ms");
  report.atMost("the slowest call", quantile(times, 1), GOAL_CALL, "ms");
}

/** Until it is known to have run, once. */
async function complete(client: Client<Text>, id: number, ledger: Ledger): Promise<void> {
  const begun = performance.now();
  while (true) {
    try {
      const answer = await client.call("work", String(id));
      if (Number(answer) === id) ledger.completed.add(id);
      ledger.times.push(performance.now() - begun);
      return;
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      if (error.executed !== "no") {
        ledger.unclear.push(`${id}: ${error.code}, executed ${error.executed}: ${error.message}`);
        return;
      }
      ledger.repeated++;
      await sleep(10);
    }
  }
}

async function stop(server: Server<Text>): Promise<void> {
  await server.close({ grace: GRACE, spread: 0 });
}

function row(name: string, values: readonly number[]): string[] {
  return [name, ...[0, 0.5, 0.99, 1].map((share) => figure(quantile(values, share)))];
}
