/**
 * What a heartbeat and a deadline cost for each message: CPU only, no socket.
 *
 * The first group is the parts that run for a call: its deadline is heeded, bytes go out and come in, and
 * the next instant is asked for. The time is looked at once per turn, as it is once per
 * read. The baseline is what else could be done: a timer of the runtime that is set and cleared.
 * The second group is 64 messages between two whole sessions, with and without a heartbeat.
 */
import { systemClock } from "../src/net/clock.ts";
import { DeadlineSweep } from "../src/peer/deadline_sweep.ts";
import { Heartbeat } from "../src/session/heartbeat.ts";
import { MachinePair } from "../tests/_support/machine_pair.ts";
import { turns } from "./_settings.ts";

const OPTIONS = { interval: 10_000, timeout: 5_000 };
const CALL_TIMEOUT = 30_000;
/** Calls of one turn. */
const CALLS = 64;
const BODY = new Uint8Array(128);

let sink = 0;

{
  const group = `deadline and heartbeat of ${CALLS} calls`;
  Deno.bench("setTimeout, clearTimeout", { group, baseline: true, ...turns }, () => {
    for (let i = 0; i < CALLS; i++) clearTimeout(setTimeout(() => {}, CALL_TIMEOUT));
  });
  const heartbeat = new Heartbeat(systemClock.now(), OPTIONS);
  // No call is left when it looks: each was done at once.
  const deadlines = new DeadlineSweep(systemClock, () => Infinity);
  const upkeep = (now: number) => {
    deadlines.heed(Math.ceil(now + CALL_TIMEOUT));
    heartbeat.sent(now);
    heartbeat.received(now);
    sink += heartbeat.nextTimeout();
  };
  Deno.bench("vnet, all in one read", { group, ...turns }, () => {
    const now = systemClock.now();
    for (let i = 0; i < CALLS; i++) upkeep(now);
  });
  Deno.bench("vnet, a read each", { group, ...turns }, () => {
    for (let i = 0; i < CALLS; i++) upkeep(systemClock.now());
  });
}

{
  const group = `${CALLS} messages between two sessions`;
  const bench = (name: string, pair: MachinePair, baseline: boolean) =>
    Deno.bench(name, { group, baseline, ...turns }, () => exchange(pair));
  bench("no heartbeat", MachinePair.open({ heartbeat: false }), true);
  bench("heartbeat", MachinePair.open({ heartbeat: OPTIONS }), false);
}

function exchange(pair: MachinePair): void {
  const { client, server } = pair;
  for (let i = 0; i < CALLS; i++) client.outbox.push("", BODY);
  pair.settle();
  for (const { cost } of server.got) server.machine.consumed(cost);
  // What the ends write down would be all that there is after a while.
  for (const { got, log } of [client, server]) got.length = log.length = 0;
}
