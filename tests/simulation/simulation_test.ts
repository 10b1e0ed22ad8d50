/**
 * The simulation suite: the real client and the real server in worlds that break.
 *
 * One seed again, with every step shown if it fails: `deno test --allow-net tests/simulation -- --seed=7`.
 * Thousands of seeds: `deno task test:seeds`.
 */
import { assert, assertEquals, assertGreater, assertNotEquals, assertRejects } from "@std/assert";
import { replayCommand, runSeed, type SeedResult } from "./run_seed.ts";
import { World } from "./world.ts";

const SEEDS = 500;
const BLOCK = 100;

const wanted = Deno.args.find((arg) => arg.startsWith("--seed="))?.slice("--seed=".length);

if (wanted !== undefined) {
  Deno.test(`runSeed() holds for seed ${wanted}`, async () => {
    await runSeed(Number(wanted), true);
  });
} else {
  for (let from = 0; from < SEEDS; from += BLOCK) {
    Deno.test(`runSeed() holds for the seeds ${from} to ${from + BLOCK - 1}`, async () => {
      const results: SeedResult[] = [];
      for (let seed = from; seed < from + BLOCK; seed++) results.push(await runSeed(seed));
      const sum = (field: "faults" | "sessions" | "delivered" | "lost") =>
        results.reduce((total, result) => total + result[field], 0);
      // A suite in which nothing happens holds as well.
      for (const { seed, lasted } of results) assertGreater(lasted, 60_000, `seed ${seed}`);
      assertGreater(sum("faults"), 10 * BLOCK);
      assertGreater(sum("sessions"), 10 * BLOCK);
      assertGreater(sum("delivered"), 1_000 * BLOCK);
      assertGreater(sum("lost"), BLOCK);
    });
  }

  Deno.test("runSeed() replays a seed exactly", async () => {
    const first = await runSeed(7, true);
    const again = await runSeed(7, true);
    const other = await runSeed(8);
    assertEquals(again, first);
    assertNotEquals(other.traceHash, first.traceHash);
    assertGreater(first.notes.length, 10);
  });

  Deno.test("runSeed() rejects with the seed and the command that replays it", async () => {
    // A seed that no generator takes stands for one that fails.
    const error = await assertRejects(() => runSeed(0.5), Error);
    assert(error.message.includes("Seed 0.5 failed"), error.message);
    assert(error.message.includes(replayCommand(0.5)), error.message);
  });

  Deno.test("World.promised() tells of what never settles, is late, or is rejected by a stranger", async () => {
    const world = new World(1);
    await using sim = world.sim;
    world.promised("first", new Promise(() => {}));
    world.promised("second", sim.sleep(10), 5);
    world.promised("third", Promise.reject(new TypeError("a defect")));
    await sim.advance(10);
    assertEquals(world.unsettled, ["first at 0.0 ms"]);
    const error = await assertRejects(async () => await world.check(), Error);
    assert(error.message.includes("second took 10 ms, not 5 at most"), error.message);
    assert(error.message.includes("third was rejected: TypeError: a defect"), error.message);
  });
}
