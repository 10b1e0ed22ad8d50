/**
 * The three endings of a peer: `close` drains, `abort` is now, `closed` always resolves.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClosedError, type DrainInfo, LimitError, type Peer } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { atOnce, openPair, type Pair, type Text, until } from "../client/_support.ts";

const NOTHING = { bytes: 0, frames: 0 };

/** What both ends have in common. */
type End = Peer<Text["server"], Text["client"]>;

/** Either end of a pair may do it: a name, who ends it, and who sees it. */
const ENDS: [string, (pair: Pair) => { here: End; there: End }][] = [
  ["Client", ({ client, peer }) => ({ here: client, there: peer })],
  ["ServerPeer", ({ client, peer }) => ({ here: peer, there: client })],
];

for (const [name, pick] of ENDS) {
  Deno.test(`${name}.close() says goodbye, and both ends know why`, async () => {
    await using sim = new Simulation({ faults: { delay: 20 } });
    const pair = await openPair(sim, { connect: { reconnect: false } });
    const { here, there } = pick(pair);
    const started = sim.clock.now();
    const info = await sim.run(here.close({ reason: "Done" }));
    assertEquals(info, {
      code: "NORMAL",
      reason: "Done",
      initiator: "local",
      unsent: NOTHING,
      finished: 0,
      cut: 0,
    });
    const other = await sim.run(there.closed);
    assertEquals([other.code, other.reason, other.initiator], ["NORMAL", "Done", "remote"]);
    assertEquals(sim.clock.now() - started, 40);
    assertEquals([here.state, there.state, sim.links.length], ["closed", "closed", 0]);
  });

  Deno.test(`${name}.close() first sends what it had accepted`, async () => {
    await using sim = new Simulation();
    let got = 0;
    const count = () => void got++;
    const pair = await openPair(sim, {
      serve: { onMessage: count, queue: { highWaterMark: 10_000 } },
      connect: { onMessage: count, queue: { highWaterMark: 10_000 }, reconnect: false },
    });
    const { here } = pick(pair);
    sim.link(pair.client).degrade({ bytesPerSecond: 400_000 });
    for (let n = 0; n < 100; n++) here.send("x".repeat(10_000));
    const closing = here.close();
    assertEquals(here.state, "draining");
    await assertRejects(() => here.send("too late"), ClosedError);
    const info = await sim.run(closing);
    assertEquals([info.code, info.unsent], ["NORMAL", NOTHING]);
    await sim.advance(5_000);
    assertEquals(got, 100);
  });

  Deno.test(`${name}.close() gives up after its grace, and counts what is left`, async () => {
    await using sim = new Simulation();
    const pair = await stuck(sim);
    const { here } = pick(pair);
    const started = sim.clock.now();
    const info = await sim.run(here.close({ grace: 2_000 }));
    // The other end has a second to hang up as well.
    assertEquals(sim.clock.now() - started, 3_000);
    assertEquals([info.code, info.unsent.frames], ["NORMAL", 3]);
    assertEquals(here.queued, NOTHING);
  });

  Deno.test(`${name}.close() has a grace of 10 s`, async () => {
    await using sim = new Simulation();
    const pair = await stuck(sim);
    const started = sim.clock.now();
    await sim.run(pick(pair).here.close());
    assertEquals(sim.clock.now() - started, 11_000);
  });

  Deno.test(`${name}.close() cuts its grace short when its signal says so`, async () => {
    await using sim = new Simulation();
    const pair = await stuck(sim);
    const { here } = pick(pair);
    const controller = new AbortController();
    const started = sim.clock.now();
    const closing = here.close({ signal: controller.signal });
    await sim.advance(500);
    controller.abort();
    const info = await sim.run(closing);
    assertEquals([info.unsent.frames, sim.clock.now() - started], [3, 1_500]);
  });

  Deno.test(`${name}.close() with a grace of 0 drains nothing`, async () => {
    await using sim = new Simulation();
    const { here } = pick(await stuck(sim));
    const started = sim.clock.now();
    const info = await sim.run(here.close({ grace: 0 }));
    assertEquals([info.unsent.frames, sim.clock.now() - started], [3, 1_000]);
  });

  Deno.test(`${name}.close() ends its drain when the link dies`, async () => {
    await using sim = new Simulation();
    const pair = await stuck(sim);
    const { here } = pick(pair);
    const closing = here.close();
    await sim.advance(500);
    sim.link(pair.client).cut();
    const info = await atOnce(sim, closing);
    assertEquals([info.code, info.initiator, info.unsent.frames], ["LINK_LOST", "network", 3]);
  });

  Deno.test(`${name}.close() is the same the second time, whatever it is told`, async () => {
    await using sim = new Simulation();
    const { here } = pick(await stuck(sim));
    const first = here.close({ grace: 1_000, reason: "first" });
    const second = here.close({ grace: 5_000, reason: "second" });
    const infos = await sim.run(Promise.all([first, second, here.closed]));
    assert(infos.every((info) => info === infos[0]));
    assertEquals(infos[0].reason, "first");
    assert(await atOnce(sim, here.close()) === infos[0]);
    await here[Symbol.asyncDispose]();
  });

  Deno.test(`${name}.abort() ends an open session at once, and tells the other end nothing`, async () => {
    await using sim = new Simulation();
    const pair = await openPair(sim, { connect: { reconnect: false } });
    const { here, there } = pick(pair);
    here.abort(new Error("Out of memory"));
    assertEquals(here.state, "closed");
    const info = await atOnce(sim, here.closed);
    assertEquals([info.code, info.reason, info.initiator], ["ABORTED", "Out of memory", "local"]);
    const other = await sim.run(there.closed);
    assertEquals([other.code, other.initiator], ["LINK_LOST", "network"]);
  });

  Deno.test(`${name}.abort() ends a drain at once, and counts what is left`, async () => {
    await using sim = new Simulation();
    const pair = await stuck(sim);
    const { here } = pick(pair);
    const closing = here.close();
    await sim.advance(100);
    here.abort("enough");
    const info = await atOnce(sim, closing);
    assertEquals([info.code, info.reason, info.unsent.frames], ["ABORTED", "enough", 3]);
    await sim.advance(0);
    assert(await here.closed === info);
  });

  Deno.test(`${name}.abort() ends a farewell at once that nobody answers`, async () => {
    await using sim = new Simulation();
    const pair = await openPair(sim);
    const { here } = pick(pair);
    sim.link(pair.client).blackhole();
    const closing = here.close();
    await sim.advance(100);
    here.abort();
    const info = await atOnce(sim, closing);
    assertEquals(info.code, "NORMAL");
  });

  Deno.test(`${name}.abort() keeps an error of vnet as the error of its end`, async () => {
    await using sim = new Simulation();
    const { here } = pick(await openPair(sim));
    const error = new LimitError("QUEUE_FULL", "maxQueuedBytes", "That is too much");
    here.abort(error);
    const info: DrainInfo = await here.closed;
    assert(info.error === error);
    assertEquals(info.reason, "That is too much");
  });

  Deno.test(`${name}.abort() after close, and close after abort, change nothing`, async () => {
    await using sim = new Simulation();
    const { here, there } = pick(await openPair(sim, { connect: { reconnect: false } }));
    const info = await sim.run(here.close());
    here.abort("late");
    assert(await here.closed === info);
    await sim.run(there.closed);
    there.abort();
    assertEquals((await there.close()).code, "NORMAL");
  });

  Deno.test(`${name}.closed resolves when the other end is gone without a word`, async () => {
    await using sim = new Simulation();
    const pair = await openPair(sim, { connect: { reconnect: false } });
    const { here } = pick(pair);
    sim.link(pair.client).cut("close");
    const info = await atOnce(sim, here.closed);
    assertEquals([info.code, info.initiator, info.unsent], ["LINK_LOST", "network", NOTHING]);
  });

  Deno.test(`${name}.closed resolves as LINK_LOST with the platform's error after a reset`, async () => {
    await using sim = new Simulation();
    const pair = await openPair(sim, { connect: { reconnect: false } });
    const { here } = pick(pair);
    sim.link(pair.client).cut("reset");
    const { code, error } = await atOnce(sim, here.closed);
    assertEquals([code, error?.code], ["LINK_LOST", "LINK_LOST"]);
  });
}

Deno.test("Peer.abort() takes any reason, even one that cannot be text", async () => {
  for (const reason of [null, 5, Symbol("s"), {}, Object.create(null)]) {
    await using sim = new Simulation();
    const { client } = await openPair(sim);
    client.abort(reason);
    assertEquals((await atOnce(sim, client.closed)).code, "ABORTED");
  }
});

Deno.test("Client.close() in the last moment of a heartbeat still settles once", async () => {
  for (let at = 14_990; at <= 15_010; at += 2) {
    await using sim = new Simulation();
    const { client, peer } = await openPair(sim);
    sim.link(client).blackhole();
    await sim.advance(at);
    const infos = await sim.run(Promise.all([client.close(), client.closed, peer.closed]));
    assert(infos[0] === infos[1]);
    assertEquals(client.state, "closed");
  }
});

Deno.test("Peer.close() may be called by its own hooks", async () => {
  await using sim = new Simulation();
  const ended: string[] = [];
  const { client } = await openPair(sim, {
    serve: {
      onMessage: (_message, peer) => peer.close({ reason: "One is enough" }),
      onDisconnect: ({ code }, peer) => {
        ended.push(code);
        return peer.close();
      },
    },
    connect: { onDisconnect: (info, peer) => peer.close({ reason: `Enough: ${info.reason}` }) },
  });
  for (let n = 0; n < 3; n++) client.send("x");
  const info = await sim.run(client.closed);
  assertEquals([info.reason, ended], ["Enough: One is enough", ["NORMAL"]]);
});

/** Both ends have three messages that cannot go out. */
async function stuck(sim: Simulation): Promise<Pair> {
  const limits = { maxQueuedBytes: 2_000_000 };
  const pair = await openPair(sim, {
    serve: { limits },
    connect: { limits, reconnect: false },
  });
  sim.link(pair.client).blackhole();
  for (const end of [pair.client, pair.peer]) {
    for (let n = 0; n < 3; n++) end.send("x".repeat(600_000));
  }
  await sim.advance(0);
  await until(sim, () => pair.client.queued.frames === 3);
  return pair;
}
