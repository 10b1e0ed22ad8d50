/**
 * An id that is in use: what each policy does to its owner and to the newcomer.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Client,
  connect,
  ConnectError,
  type DuplicateId,
  type ServerEvent,
  type ServerPeer,
  text,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import {
  Acceptor,
  ADDRESS,
  connectText,
  only,
  openPair,
  serveText,
  type Text,
} from "../client/_support.ts";

/** A newcomer that tries once. */
function dialAnn(sim: Simulation): Promise<Client<Text>> {
  return connect<Text>(ADDRESS, {
    runtime: sim,
    serializer: text(),
    id: "ann",
    openTimeout: 0,
    handshakeTimeout: 60_000,
  });
}

Deno.test("duplicateId probe refuses the newcomer while the owner answers, and is the default", async () => {
  for (const serve of [{}, { duplicateId: "probe" }] as const) {
    await using sim = new Simulation({ faults: { delay: 50 } });
    const { client, peer, server } = await openPair(sim, { serve });
    const started = sim.clock.now();
    const error = await assertRejects(() => sim.run(dialAnn(sim)), ConnectError);
    assertEquals([error.code, error.initiator], ["CLIENT_ID_IN_USE", "remote"]);
    // The dial, the HELLO, the probe to the owner and back, the answer: 50 ms each.
    assertEquals(sim.clock.now() - started, 250);
    assertEquals([client.state, server.peers.get("ann") === peer], ["open", true]);
  }
});

Deno.test("duplicateId probe lets the newcomer in when the owner is silent for 1 s", async () => {
  await using sim = new Simulation();
  const ended: string[] = [];
  const { client, peer, server } = await openPair(sim, {
    serve: { onDisconnect: ({ code, initiator }) => ended.push(`${code} ${initiator}`) },
  });
  sim.link(client).blackhole();
  const started = sim.clock.now();
  const newcomer = await sim.run(dialAnn(sim));
  assertEquals(sim.clock.now() - started, 1_000);
  assert(only(server) !== peer && newcomer.state === "open");
  assertEquals([peer.state, ended], ["closed", ["TAKEN_OVER local"]]);
});

Deno.test("duplicateId probe takes a lost link for an answer", async () => {
  await using sim = new Simulation();
  const { client, server } = await openPair(sim, { connect: { reconnect: false } });
  sim.link(client).blackhole();
  const connecting = dialAnn(sim);
  await sim.advance(400);
  sim.link(client).cut();
  const newcomer = await sim.run(connecting, { timeout: 0 });
  assertEquals([newcomer.state, server.peers.size, server.stats().total], ["open", 1, 2]);
});

Deno.test("duplicateId probe leaves the owner alone when the newcomer leaves meanwhile", async () => {
  await using sim = new Simulation();
  const { client, peer, server } = await openPair(sim);
  sim.link(client).blackhole();
  const newcomer = dialAnn(sim).catch(() => {});
  await sim.advance(500);
  for (const link of sim.links) if (link !== sim.link(client)) link.cut();
  await newcomer;
  await sim.advance(2_000);
  assertEquals([peer.state, server.peers.size], ["open", 1]);
  sim.link(client).heal();
  await sim.advance(20_000);
  assertEquals([client.state, peer.state], ["open", "open"]);
});

Deno.test("duplicateId probe lets one of several newcomers in", async () => {
  await using sim = new Simulation();
  const { client, server } = await openPair(sim);
  sim.link(client).blackhole();
  const results = await sim.run(
    Promise.allSettled(Array.from({ length: 5 }, () => dialAnn(sim))),
  );
  const winners = results.filter(({ status }) => status === "fulfilled");
  assertEquals([winners.length, server.peers.getAll("ann").length], [1, 1]);
});

Deno.test("duplicateId replace ends the owner at once, and it does not come back", async () => {
  await using sim = new Simulation();
  const { client, peer, server } = await openPair(sim, { serve: { duplicateId: "replace" } });
  const newcomer = await sim.run(dialAnn(sim), { timeout: 0 });
  const owner = only(server);
  assert(owner !== peer && owner.remoteAddr.port === newcomer.localAddr.port);
  const info = await sim.run(client.closed);
  assertEquals([info.code, info.initiator], ["TAKEN_OVER", "remote"]);
  await sim.advance(60_000);
  assertEquals(server.stats().total, 2);
});

Deno.test("duplicateId replace never has two owners of one id", async () => {
  await using sim = new Simulation({ faults: { delay: 5, jitter: 20 } });
  let here = 0;
  let most = 0;
  const server = await serveText(sim, {
    duplicateId: "replace",
    onConnect: () => most = Math.max(most, ++here),
    onDisconnect: () => here--,
  });
  const clients = await Promise.allSettled(
    Array.from({ length: 50 }, () => sim.run(dialAnn(sim))),
  );
  await sim.advance(1_000);
  assertEquals([most, here, server.peers.size], [1, 1, 1]);
  const open = clients.filter((result) =>
    result.status === "fulfilled" && result.value.state === "open"
  );
  assertEquals(open.length, 1);
});

Deno.test("duplicateId reject refuses the newcomer, even while the owner is silent", async () => {
  await using sim = new Simulation();
  const { client, peer, server } = await openPair(sim, { serve: { duplicateId: "reject" } });
  sim.link(client).blackhole();
  const error = await assertRejects(() => sim.run(dialAnn(sim), { timeout: 0 }), ConnectError);
  assertEquals(error.code, "CLIENT_ID_IN_USE");
  assertEquals([server.peers.get("ann") === peer, peer.state], [true, "open"]);
});

Deno.test("duplicateId reject lets the newcomer in once the owner is gone", async () => {
  await using sim = new Simulation();
  const { client, server } = await openPair(sim, { serve: { duplicateId: "reject" } });
  const newcomer = connect<Text>(ADDRESS, {
    runtime: sim,
    serializer: text(),
    id: "ann",
    openTimeout: 60_000,
  });
  await sim.advance(3_000);
  assertEquals(server.stats().total, 1);
  await sim.run(client.close());
  assertEquals((await sim.run(newcomer)).state, "open");
});

Deno.test("duplicateId allow lets both in; the newest is the one that get gives", async () => {
  await using sim = new Simulation();
  const { client, peer, server } = await openPair(sim, { serve: { duplicateId: "allow" } });
  const second = await sim.run(dialAnn(sim));
  const [first, newest, ...others] = server.peers.getAll("ann");
  assert(first === peer && newest !== undefined && others.length === 0);
  assert(server.peers.get("ann") === newest);
  assertEquals([client.state, second.state, server.peers.size], ["open", "open", 2]);
  await sim.run(second.close());
  assert(server.peers.get("ann") === peer);
  assertEquals(server.peers.size, 1);
});

for (const duplicateId of ["probe", "replace", "reject", "allow"] satisfies DuplicateId[]) {
  Deno.test(`duplicateId ${duplicateId}: a client that comes back takes its own half-open place`, async () => {
    await using sim = new Simulation();
    const events: ServerEvent<ServerPeer<Text>>[] = [];
    const { client, peer, server } = await openPair(sim, {
      serve: { duplicateId, onEvent: (event) => events.push(event) },
    });
    // The server does not see that the client has given the link up.
    sim.link(client).blackhole("up");
    client.reconnect();
    await sim.advance(0);
    assertEquals(client.state, "open");
    const owner = server.peers.get("ann");
    assert(owner !== undefined && owner !== peer);
    const left = duplicateId === "allow" ? "open" : "closed";
    assertEquals([peer.state, server.peers.size], [left, left === "open" ? 2 : 1]);
    await sim.advance(20_000);
    assertEquals([client.state, server.peers.size, peer.state], ["open", 1, "closed"]);
    assertEquals(events.filter(({ type }) => type === "reject"), []);
  });

  Deno.test(`duplicateId ${duplicateId}: a HELLO that was held up does not end what came after it`, async () => {
    await using sim = new Simulation();
    const server = await serveText(sim, { duplicateId, handshakeTimeout: 60_000 });
    const connecting = connectText(sim, {
      id: "ann",
      handshakeTimeout: 1_000,
      reconnect: { delay: 100 },
      onEvent: ({ type }) => {
        // The first link carries nothing, from its first byte on.
        if (type === "dial" && sim.links.length === 0) queueMicrotask(() => hold(sim));
      },
    });
    const client = await connecting;
    const [stale] = sim.links;
    assert(stale !== undefined && stale !== sim.link(client));
    stale.heal();
    await sim.advance(0);
    assertEquals([client.state, server.peers.get("ann")?.state], ["open", "open"]);
    await sim.advance(20_000);
    assertEquals([client.state, server.peers.size], ["open", 1]);
    assertEquals(client.stats.links, 1);
  });
}

Deno.test("duplicateId probe asks an owner that never answered a HELLO of anybody else", async () => {
  await using sim = new Simulation();
  await using _other = await Acceptor.listen(sim, () => {}, "tcp://server:1");
  const { client, server } = await openPair(sim);
  const before = client.stats.bytesIn;
  await assertRejects(() => sim.run(dialAnn(sim)), ConnectError);
  // One PING, and nothing that the application would see.
  assertEquals(client.stats.bytesIn - before, 32);
  assertEquals([client.state, server.peers.size], ["open", 1]);
});

/** Lets nothing through on the one link that there is. */
function hold(sim: Simulation): void {
  const [link] = sim.links;
  link?.blackhole("up");
}
