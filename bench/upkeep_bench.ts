/**
 * What a heartbeat and a deadline cost for each message: CPU only, no socket.
 *
 * The first group is the parts that run for a call: its deadline is added and removed, bytes go out
 * and come in, and the next instant is asked for. The time is looked at once per turn, as it is once per
 * read. The baseline is what else could be done: a timer of the runtime that is set and cleared.
 * The second group is 64 messages between two whole sessions, with and without a heartbeat.
 */
import type { Timed } from "../src/base/deadlines.ts";
import { systemClock } from "../src/net/clock.ts";
import { DeadlineTimer } from "../src/peer/deadline_timer.ts";
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
  const deadlines = new DeadlineTimer<Timed>(systemClock, () => {});
  const upkeep = (call: Timed, now: number) => {
    call.deadlineAt = now + CALL_TIMEOUT;
    deadlines.add(call);
    heartbeat.sent(now);
    heartbeat.received(now);
    sink += heartbeat.nextTimeout();
    deadlines.delete(call);
  };
  const calls = Array.from({ length: CALLS }, (): Timed => ({ deadlineAt: 0, place: -1 }));
  Deno.bench("vnet, all in one read", { group, ...turns }, () => {
    const now = systemClock.now();
    for (const call of calls) upkeep(call, now);
  });
  Deno.bench("vnet, a read each", { group, ...turns }, () => {
    for (const call of calls) upkeep(call, systemClock.now());
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
