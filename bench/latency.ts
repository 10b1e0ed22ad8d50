/**
 * How long a small call takes while a stream of 100 MB runs on the same connection, beside how long it
 * takes alone. The server is a process of its own, as it is in real life.
 *
 *     deno task bench:latency
 *
 * A round: calls alone, during a stream to the client, and during one to the server; each call waits
 * for the one before it. The figures are medians of all rounds, so that no single bad moment of the
 * machine decides.
 */
import { type Client, connect, serve } from "../mod.ts";
import { scaled } from "./_settings.ts";
import { median, quantile } from "./_stats.ts";

const ROUNDS = scaled(15, 1);
/** Of 64 KiB each: 100 MB. */
const ITEMS = scaled(1_526, 16);
const ITEM = new Uint8Array(65_536);
const BODY = new Uint8Array(128);
/** How long calls are made alone, in ms: about as long as a stream takes. */
const ALONE = scaled(300, 10);
/** So many times the p99 alone is what it may be during a stream. */
const GOAL = 5;

/** What one kind of round has shown. */
interface Figures {
  /** In us. */
  readonly p50: number;
  /** In us. */
  readonly p99: number;
  /** Of the whole, in ms. */
  readonly duration: number;
}

const KINDS = {
  "alone": (client: Client) => measured(client, () => new Promise((end) => setTimeout(end, ALONE))),
  "stream to the client": (client: Client) =>
    measured(client, async () => {
      for await (const _ of client.stream("download")) { /* it is only to arrive */ }
    }),
  "stream to the server": (client: Client) =>
    measured(client, () => client.call("upload", undefined, { stream: items() })),
};

if (Deno.args.includes("--server")) await runServer();
else await runClient();

async function runServer(): Promise<void> {
  await using server = await serve("127.0.0.1:0", {
    methods: {
      echo: (body) => body,
      download: () => items(),
      async upload(_input, { stream }) {
        for await (const _ of stream) { /* it is only to arrive */ }
      },
    },
  });
  console.log(server.addr.port);
  // Until the process that started this one has ended, however it did.
  for await (const _ of Deno.stdin.readable) { /* it says nothing */ }
}

async function runClient(): Promise<void> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-net", import.meta.filename ?? "", "--server", ...Deno.args],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const { value } = await process.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(value));
  const client = await connect({ hostname: "127.0.0.1", port });
  for (const kind of Object.values(KINDS)) await kind(client); // what the compiler needs
  console.log("p50 / p99 of a call of 128 B in µs");
  const rounds: Figures[][] = Object.keys(KINDS).map(() => []);
  for (let round = 1; round <= ROUNDS; round++) {
    const shown: string[] = [];
    for (const [index, [name, kind]] of Object.entries(KINDS).entries()) {
      const figures = await kind(client);
      rounds[index]?.push(figures);
      shown.push(`${name} ${text(figures)}`);
    }
    console.log(`${String(round).padStart(2)} of ${ROUNDS}: ${shown.join(", ")}`);
  }
  await client.close();
  await process.stdin.close();
  await process.status;
  report(rounds);
}

function report(rounds: readonly Figures[][]): void {
  console.log(`\nmedians of ${ROUNDS} rounds, and the p99 as a multiple of that alone`);
  const alone = median(rounds[0]?.map(({ p99 }) => p99) ?? []);
  for (const [index, name] of Object.keys(KINDS).entries()) {
    const of = (key: keyof Figures) => median(rounds[index]?.map((figures) => figures[key]) ?? []);
    const figures = text({ p50: of("p50"), p99: of("p99"), duration: 0 });
    if (index === 0) {
      console.log(`${name.padEnd(20)}  ${figures}`);
      continue;
    }
    const ratio = of("p99") / alone;
    const speed = ITEMS * ITEM.length / of("duration") / 1_000;
    console.log(
      `${name.padEnd(20)}  ${figures}  ${ratio.toFixed(1)} (goal: at most ${GOAL})  at ${
        speed.toFixed(0)
      } MB/s`,
    );
  }
}

/** Calls, one after the other, for as long as something else takes. */
async function measured(client: Client, during: () => Promise<unknown>): Promise<Figures> {
  const times: number[] = [];
  let over = false;
  const begin = performance.now();
  const end = during().then(() => over = true);
  while (!over) {
    const at = performance.now();
    await client.call("echo", BODY);
    times.push((performance.now() - at) * 1_000);
  }
  await end;
  const duration = performance.now() - begin;
  times.sort((a, b) => a - b);
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99), duration };
}

async function* items(): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < ITEMS; i++) yield ITEM;
}

function text({ p50, p99 }: Figures): string {
  return `${p50.toFixed(0)} / ${p99.toFixed(0)}`;
}
