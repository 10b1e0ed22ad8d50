/**
 * Where the time of a call and of a push goes: the functions in which each end spends most of it, by
 * self time, from samples of the engine.
 *
 *     deno task bench:profile [--smoke] [--json]
 *
 * Each end has a core of its own where the system allows it: on one core a write would seem to take as
 * long as the other end needs to read it. Functions that the compiler has put into others count as those others. For a flame graph there is
 * `deno run --cpu-prof`, which writes a file for the developer tools of a browser.
 */
import { VNET } from "./_kinds.ts";
import { Pair, twoCores } from "./_processes.ts";
import type { SelfTime } from "./_profiler.ts";
import { progress, progressEnds } from "./_progress.ts";
import { show, type Table } from "./_report.ts";
import { scaled } from "./_settings.ts";

const TOP = 10;
const DURATION = scaled(3_000, 100);
const LOAD = { size: 128, inFlight: 64 };
const PUSHES: readonly (readonly [name: string, size: number, count: number])[] = [
  ["32 B", 32, scaled(4_000_000, 10_000)],
  ["1 KiB", 1_024, scaled(1_500_000, 5_000)],
];

const tables: Table[] = [];
{
  await using pair = await Pair.start({ ...VNET, name: "vnetAsync" }, twoCores);
  await pair.connect(1, false);
  await profiled(
    "a call of 128 B, 64 in flight",
    pair,
    (warm) => pair.client.ask("calls", { ...LOAD, duration: warm ? DURATION / 3 : DURATION }),
  );
}
for (const [name, size, count] of PUSHES) {
  await using pair = await Pair.start(VNET, twoCores);
  await pair.connect(1, true);
  await profiled(`a push of ${name}`, pair, async (warm) => {
    const some = warm ? count / 4 : count;
    await pair.client.ask("expect", { bytes: size * some });
    await pair.server.ask("push", { size, count: some });
    await pair.client.ask("arrived", {});
  });
}
progressEnds();
show({ title: "Where the time goes", tables, goals: [], notes: [] });

async function profiled(
  what: string,
  pair: Pair,
  run: (warm: boolean) => Promise<unknown>,
): Promise<void> {
  progress(what);
  await run(true);
  const ends = [["client", pair.client], ["server", pair.server]] as const;
  for (const [, end] of ends) await end.ask("profile", {});
  await run(false);
  for (const [name, end] of ends) {
    tables.push(tableOf(`${what}: ${name}`, await end.ask("profiled", {})));
  }
}

function tableOf(title: string, entries: readonly SelfTime[]): Table {
  return {
    title,
    columns: [
      { name: "self %", as: "decimal" },
      { name: "function", as: "text" },
      { name: "where", as: "text" },
    ],
    rows: entries.slice(0, TOP).map(({ name, place, share }) => [share * 100, name, place]),
  };
}
