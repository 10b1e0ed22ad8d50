/**
 * One seed, from its first dial to an empty world.
 *
 *   chaos ──> healed: all are open in time ──> quiet: all that was accepted has arrived ──> ended
 *
 * Owns the course and the account at the end.
 */
import { Chaos } from "./chaos.ts";
import { downProblem, hooksProblem, type Tally, upProblem } from "./ledger.ts";
import { recoveryTime } from "./plan.ts";
import { World } from "./world.ts";

/** How long things go wrong, in virtual ms. */
const CHAOS = 50_000;
/** A world that is left alone comes to rest within so many virtual ms. */
const REST = 15_000;

/** What a seed came to. */
export interface SeedResult extends Tally {
  readonly seed: number;
  /** Of everything that happened on the network. */
  readonly traceHash: number;
  /** Virtual ms. */
  readonly lasted: number;
  readonly faults: number;
  readonly sessions: number;
  /** What happened, a line each; empty unless asked for. */
  readonly notes: readonly string[];
}

/** How a person runs one seed again, with every step shown. */
export function replayCommand(seed: number): string {
  return `deno test --allow-net tests/simulation -- --seed=${seed}`;
}

/**
 * Runs a seed.
 *
 * @throws {Error} when anything is wrong; the message has the seed and the command that replays it
 */
export async function runSeed(seed: number, verbose = false): Promise<SeedResult> {
  const notes: string[] = [];
  try {
    return await run(new World(seed, verbose ? notes : undefined), notes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const lines = [`Seed ${seed} failed: ${reason}`, `Replay: ${replayCommand(seed)}`, ...notes];
    throw new Error(lines.join("\n"), { cause: error });
  }
}

async function run(world: World, notes: readonly string[]): Promise<SeedResult> {
  await using sim = world.sim;
  const chaos = new Chaos(world);
  await chaos.start();
  chaos.rage().catch((error) => world.violated(`a fault failed: ${error}`));
  await sim.advance(CHAOS);
  world.check();
  await chaos.heal();
  await sim.advance(recoveryTime(world.plan));
  checkRecovered(world, chaos);
  world.quiet = true;
  await comeToRest(world, chaos);
  account(world, chaos, true, true);
  const tally = await end(world, chaos);
  const { seed, counts: { faults, sessions } } = world;
  return {
    ...tally,
    seed,
    traceHash: sim.traceHash,
    lasted: sim.clock.now(),
    faults,
    sessions,
    notes,
  };
}

/** Every client is open, and the server knows each of them exactly once. */
function checkRecovered(world: World, { clients, server }: Chaos): void {
  for (const { id, client } of clients.values()) {
    if (client.state !== "open") world.violated(`${id} is ${client.state} though all is healed`);
    const owners = server?.server.peers.getAll(id) ?? [];
    const here = owners.filter((peer) => `${peer.remoteAddr}` === `${client.localAddr}`);
    if (owners.length !== 1 || here.length !== 1) {
      world.violated(`${id} is registered ${owners.length} times, ${here.length} rightly`);
    }
  }
  const { size } = server?.server.peers ?? { size: 0 };
  if (size !== clients.size) world.violated(`${size} peers for ${clients.size} clients`);
  server?.checkRegistry();
  world.check();
}

/** Nobody says anything new: what waits has to arrive. */
async function comeToRest(world: World, { clients, server }: Chaos): Promise<void> {
  const ends = [...clients.values()].map(({ client }) => client);
  const until = world.sim.clock.now() + REST;
  let last = -1;
  while (world.sim.clock.now() < until) {
    await world.sim.advance(250);
    const waiting = [...ends, ...server?.server.peers ?? []].some(({ queued }) =>
      queued.frames > 0
    );
    const heard = world.clients.reduce((sum, { received }) => sum + received.length, 0) +
      [...world.sessions.values()].reduce((sum, { received }) => sum + received.length, 0);
    if (!waiting && heard === last) return world.check();
    last = heard;
  }
  world.violated(`the world has not come to rest within ${REST} ms`);
  world.check();
}

/** Compares what was said and what was heard. `up`, `down`: in which direction nothing may be missing. */
function account(world: World, { clients }: Chaos, up: boolean, down: boolean): Tally {
  const tally: Tally = { accepted: 0, delivered: 0, lost: 0, unsent: 0 };
  for (const log of world.clients) {
    const last = clients.get(log.id) === log;
    world.violated(upProblem(log, world.sessions, up && last, tally));
    world.violated(downProblem(log, world.sessions, down && last, tally));
    world.violated(hooksProblem(log.id, log.hooks));
  }
  const keys = new Set(world.clients.flatMap(({ sessions }) => sessions.map(({ key }) => key)));
  for (const session of world.sessions.values()) {
    world.violated(hooksProblem(`peer ${session.id}`, session.hooks.slice(0, 3)));
    tally.accepted += session.sent.length;
    // Its client never learnt that it was let in, so it has not said anything.
    if (keys.has(session.key) || session.received.length === 0) continue;
    world.violated(`session ${session.key} delivered messages that no client sent`);
  }
  world.check();
  return tally;
}

/** Everybody leaves. The side that goes first has some last words, and they must arrive. */
async function end(world: World, chaos: Chaos): Promise<Tally> {
  const { clients, server } = chaos;
  const { sim, plan } = world;
  const leave = async () => {
    await Promise.all([...clients.values()].map(async (client) => {
      const { unsent, code } = await client.close(1_000);
      if (unsent.frames > 0 || code !== "NORMAL") {
        world.violated(`${client.id} ended with ${code}, ${unsent.frames} messages unsent`);
      }
    }));
  };
  const stop = async () => {
    const end = await server?.close(1_000);
    if (end?.unsent.frames !== 0 || end.code !== "NORMAL") {
      world.violated(`the server ended with ${end?.code}, ${end?.unsent.frames} messages unsent`);
    }
  };
  if (plan.serverEndsFirst) server?.sayToAll();
  else for (const client of clients.values()) client.say();
  for (const step of plan.serverEndsFirst ? [stop, leave] : [leave, stop]) await sim.run(step());
  // The last word of a link may take a second.
  await sim.advance(1_001);
  for (const what of world.unsettled) world.violated(`never settled: ${what}`);
  for (const { id, hooks } of world.clients) {
    if (hooks.length % 2 !== 0) world.violated(`${id} has had no last 'onDisconnect'`);
  }
  for (const { id, hooks } of world.sessions.values()) {
    if (hooks.length !== 2) world.violated(`peer ${id} has had ${hooks.length} hooks, not 2`);
  }
  if (sim.links.length > 0) world.violated(`${sim.links.length} links are left`);
  return account(world, chaos, !plan.serverEndsFirst, plan.serverEndsFirst);
}
