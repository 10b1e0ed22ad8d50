/**
 * Groups: joining, leaving, who is in which, and that nothing of them is left behind.
 */
import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { LimitError, type Server, type ServerEvent, type ServerPeer } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { Groups } from "../../src/server/groups.ts";
import { connectText, openPair, serveText, type Text, until } from "../client/_support.ts";
import { Rng } from "../_support/rng.ts";

/** A server with clients of these ids, and its peers. */
async function crowd(
  sim: Simulation,
  ...ids: string[]
): Promise<{ server: Server<Text>; peers: ServerPeer<Text>[] }> {
  const server = await serveText(sim);
  for (const id of ids) await connectText(sim, { id, reconnect: false });
  return { server, peers: [...server.peers] };
}

/** The ids of those in a group. */
function idsIn(server: Server<Text>, group: string): string[] {
  return [...server.group(group)].map(({ id }) => id);
}

Deno.test("ServerPeer.join() and leave() keep the peer's groups and the group's peers", async () => {
  await using sim = new Simulation();
  const { server, peers: [ann, bob] } = await crowd(sim, "ann", "bob");
  assert(ann !== undefined && bob !== undefined);
  const lobby = server.group("lobby");
  assertEquals(lobby.size, 0);
  ann.join("lobby");
  ann.join("lobby");
  bob.join("lobby");
  bob.join("staff");
  assertEquals([idsIn(server, "lobby"), idsIn(server, "staff")], [["ann", "bob"], ["bob"]]);
  assertEquals([[...ann.groups], [...bob.groups]], [["lobby"], ["lobby", "staff"]]);
  const now = server.group("lobby");
  bob.leave("lobby");
  bob.leave("lobby");
  bob.leave("never joined");
  // The set that was given follows.
  assertEquals([[...now].map(({ id }) => id), [...bob.groups]], [["ann"], ["staff"]]);
});

Deno.test("ServerPeer that goes leaves all its groups, however it goes; what it was in stays readable", async () => {
  const ways: Record<string, (sim: Simulation, peer: ServerPeer<Text>) => unknown> = {
    close: (_, peer) => peer.close(),
    abort: (_, peer) => peer.abort(),
    "lost link": (sim, peer) => sim.link(peer).cut(),
    "silent link": (sim, peer) => sim.link(peer).blackhole(),
    "server's end": (_, peer) => peer.server.close(),
  };
  for (const [name, go] of Object.entries(ways)) {
    await using sim = new Simulation();
    const told: string[][] = [];
    const { peer, server } = await openPair(sim, {
      serve: {
        onConnect: (peer) => peer.join("everybody"),
        onDisconnect: (_, peer) => {
          told.push([...peer.groups], idsIn(peer.server, "everybody"));
        },
      },
      connect: { reconnect: false },
    });
    peer.join("lobby");
    go(sim, peer);
    await until(sim, () => peer.state === "closed");
    assertEquals(told, [["everybody", "lobby"], []], name);
    assertEquals([idsIn(server, "everybody"), idsIn(server, "lobby")], [[], []], name);
    assertEquals([...peer.groups], ["everybody", "lobby"], name);
  }
});

Deno.test("ServerPeer.join() of one that is gone is ignored, and so is leave()", async () => {
  await using sim = new Simulation();
  const { server, peers: [ann] } = await crowd(sim, "ann");
  assert(ann !== undefined);
  ann.join("before");
  ann.abort();
  ann.join("after");
  ann.leave("before");
  assertEquals([server.group("after").size, [...ann.groups]], [0, ["before"]]);
});

Deno.test("ServerPeer that comes back is in no group of the one it was before", async () => {
  await using sim = new Simulation();
  const { client, peer, server } = await openPair(sim, { connect: { reconnect: { delay: 100 } } });
  peer.join("lobby");
  sim.link(client).cut();
  await until(sim, () => client.state === "open" && server.peers.size === 1);
  assertEquals([server.group("lobby").size, server.peers.get("ann")?.groups.size], [0, 0]);
});

Deno.test("ServerPeer.join() takes names that objects have members of, the empty one, and 255 bytes", async () => {
  await using sim = new Simulation();
  const { server, peers: [ann, bob] } = await crowd(sim, "ann", "bob");
  assert(ann !== undefined && bob !== undefined);
  const names = [
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "",
    "\u0000",
    "é".repeat(127),
  ];
  for (const name of names) {
    assertEquals(server.group(name).size, 0, name);
    ann.join(name);
    assertEquals([idsIn(server, name), bob.groups.has(name)], [["ann"], false]);
    assertEquals((await server.broadcast("x", { group: name })).sent, 1);
  }
  assertEquals([...ann.groups], names);
  for (const name of names) ann.leave(name);
  assertEquals(ann.groups.size, 0);
  assertThrows(() => ann.join("é".repeat(128)), RangeError);
  const [number, object] = JSON.parse("[5, {}]");
  assertThrows(() => ann.join(number), TypeError);
  assertThrows(() => ann.join(object), TypeError);
});

Deno.test("ServerPeer.join() refuses more than maxGroups, tells once, and counts each", async () => {
  await using sim = new Simulation();
  const events: ServerEvent<ServerPeer<Text>>[] = [];
  const { peer, server } = await openPair(sim, {
    serve: { limits: { maxGroups: 2 }, onEvent: (event) => events.push(event) },
  });
  peer.join("a");
  peer.join("b");
  peer.join("a");
  events.length = 0;
  for (let n = 0; n < 5; n++) {
    const error = assertThrows(() => peer.join("c"), LimitError);
    assertEquals([error.code, error.limit, error.initiator], ["TOO_MANY", "maxGroups", "local"]);
  }
  assertEquals(events, [{
    type: "limit",
    limit: "maxGroups",
    value: 2,
    remoteAddr: peer.remoteAddr,
    peer,
  }]);
  assertEquals([peer.stats.limits, server.stats().limits], [{ maxGroups: 5 }, { maxGroups: 5 }]);
  assertEquals([server.group("c").size, [...peer.groups]], [0, ["a", "b"]]);
  peer.leave("a");
  peer.join("c");
  assertEquals(idsIn(server, "c"), ["ann"]);
  await sim.advance(2_000);
  assertThrows(() => peer.join("d"), LimitError);
  assertEquals(events.length, 2);
  peer.abort();
  assertEquals(server.stats().limits, { maxGroups: 6 });
});

Deno.test("Server.group() keeps nothing of groups that are empty", async () => {
  await using sim = new Simulation();
  const { server, peers: [ann, bob] } = await crowd(sim, "ann", "bob");
  assert(ann !== undefined && bob !== undefined);
  const never = server.group("never existed");
  for (let n = 0; n < 1_000; n++) {
    ann.join(`${n}`);
    bob.join(`${n}`);
    ann.leave(`${n}`);
    bob.leave(`${n}`);
  }
  ann.join("last");
  ann.abort();
  for (const name of ["0", "999", "last"]) assertStrictEquals(server.group(name), never);
});

Deno.test("Groups is what a plain list of pairs is, after each of 5,000 random steps", () => {
  for (const seed of [1, 2, 3]) {
    const rng = new Rng(seed);
    const groups = new Groups<number>();
    const sets = new Map<number, Set<string>>();
    let pairs: [peer: number, group: string][] = [];
    let next = 0;
    for (let step = 0; step < 5_000; step++) {
      const peer = sets.size === 0 ? -1 : rng.pick([...sets.keys()]);
      const joined = sets.get(peer);
      const group = `${rng.int(6)}`;
      const note = `step ${step} of seed ${seed}`;
      switch (rng.int(8)) {
        case 0:
          if (sets.size < 8) sets.set(next++, new Set());
          break;
        case 1: {
          const last = pairs.filter(([who]) => who === peer).map(([, name]) => name);
          groups.exit(peer, joined ?? []);
          assertEquals([...joined ?? []].sort(), last.sort(), note);
          pairs = pairs.filter(([who]) => who !== peer);
          sets.delete(peer);
          break;
        }
        case 2:
        case 3:
        case 4:
          if (joined !== undefined) groups.leave(peer, joined, group);
          pairs = pairs.filter(([who, name]) => who !== peer || name !== group);
          break;
        default:
          if (joined === undefined) break;
          groups.join(peer, joined, group);
          if (!pairs.some(([who, name]) => who === peer && name === group)) {
            pairs.push([peer, group]);
          }
      }
      const expected = pairs.filter(([, name]) => name === group).map(([who]) => who);
      assertEquals([...groups.members(group)].sort(), expected.sort(), note);
    }
  }
});
