/**
 * The row H7 of the fault catalogue: one id, asked for twice. Whatever the policy and the state of the
 * owner there are never two of them, somebody wins, and the two do not fight.
 */
import { assert, assertEquals } from "@std/assert";
import {
  Client,
  type ClientEvent,
  type DuplicateId,
  type ServeOptions,
  type Server,
  text,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { ADDRESS, serveText, type Text, until } from "../client/_support.ts";
import { Rng } from "../_support/rng.ts";

const ROUNDS = 100;

/** A client that asks for the one id, and what it has told. */
interface Asking {
  readonly client: Client<Text>;
  readonly events: ClientEvent[];
}

function ask(sim: Simulation): Asking {
  const events: ClientEvent[] = [];
  const client = new Client<Text>(ADDRESS, {
    runtime: sim,
    serializer: text(),
    id: "ann",
    onEvent: (event) => events.push(event),
  });
  client.opened.catch(() => {});
  return { client, events };
}

/** How often a client has told something. */
function count({ events }: Asking, type: ClientEvent["type"]): number {
  return events.filter((event) => event.type === type).length;
}

/** A server that counts how many owners of the id there are at once. */
async function serveOne(
  sim: Simulation,
  options: ServeOptions<Text>,
): Promise<{ server: Server<Text>; most: () => number }> {
  let [here, most] = [0, 0];
  const server = await serveText(sim, {
    onConnect: () => most = Math.max(most, ++here),
    onDisconnect: () => here--,
    ...options,
    onEvent: () => {
      most = Math.max(most, server?.peers.getAll("ann").length ?? 0);
    },
  });
  return { server, most: () => most };
}

/** What becomes of an owner and a newcomer within 5 s, by policy and by the owner's state. */
const TABLE: Record<
  Exclude<DuplicateId, "allow">,
  Record<"live" | "half-open" | "dead", readonly [owner: string, newcomer: string]>
> = {
  probe: {
    live: ["open", "waiting for it"],
    "half-open": ["robbed", "open"],
    dead: ["gone", "open"],
  },
  replace: {
    live: ["TAKEN_OVER", "open"],
    "half-open": ["robbed", "open"],
    dead: ["gone", "open"],
  },
  reject: {
    live: ["open", "waiting for it"],
    "half-open": ["open", "waiting for it"],
    dead: ["gone", "open"],
  },
};

for (const policy of ["probe", "replace", "reject"] as const) {
  for (const state of ["live", "half-open", "dead"] as const) {
    Deno.test(`H7 duplicateId ${policy}: the owner is ${state}`, async () => {
      for (let seed = 1; seed <= 10; seed++) {
        await using sim = new Simulation({ seed, faults: { delay: seed % 3 * 10 } });
        const { server, most } = await serveOne(sim, { duplicateId: policy });
        const owner = ask(sim);
        await sim.run(owner.client.opened);
        const [peer] = server.peers;
        assert(peer !== undefined);
        if (state === "half-open") sim.link(owner.client).blackhole();
        if (state === "dead") {
          owner.client.abort();
          await sim.advance(100);
        }
        const newcomer = ask(sim);
        await sim.advance(5_000);
        const ends: Record<string, () => boolean> = {
          open: () => owner.client.state === "open" && server.peers.get("ann") === peer,
          gone: () => owner.client.state === "closed" && peer.state === "closed",
          // The server has given its place away, and it cannot know yet.
          robbed: () => owner.client.state === "open" && peer.state === "closed",
          TAKEN_OVER: () => owner.client.state === "closed" && count(owner, "dial") === 1,
        };
        const [left, came] = TABLE[policy][state];
        assert(ends[left]?.(), `The owner is ${owner.client.state} with seed ${seed}`);
        assertEquals(newcomer.client.state, came === "open" ? "open" : "connecting");
        assertEquals([most(), server.peers.size], [1, 1], `seed ${seed}`);
        if (left === "TAKEN_OVER") {
          const { code, initiator } = await sim.run(owner.client.closed);
          assertEquals([code, initiator], ["TAKEN_OVER", "remote"]);
        }
        if (came !== "open") {
          const { rejected } = server.stats();
          assertEquals(Object.keys(rejected), ["CLIENT_ID_IN_USE"]);
        }
      }
    });
  }
}

Deno.test("H7 duplicateId lets the newcomer in by itself once the owner is gone for good", async () => {
  for (const policy of ["probe", "reject"] as const) {
    await using sim = new Simulation();
    const { server, most } = await serveOne(sim, { duplicateId: policy });
    const owner = ask(sim);
    await sim.run(owner.client.opened);
    const newcomer = ask(sim);
    await sim.advance(3_000);
    assertEquals(newcomer.client.state, "connecting");
    await sim.run(owner.client.close());
    await until(sim, () => newcomer.client.state === "open", 11_000);
    assertEquals([server.peers.size, most()], [1, 1]);
  }
});

Deno.test("H7 duplicateId robbed: the one that could not know comes to an end with the other, not a fight", async () => {
  for (const policy of ["probe", "replace"] as const) {
    await using sim = new Simulation({ seed: 5 });
    const { server, most } = await serveOne(sim, { duplicateId: policy });
    const first = ask(sim);
    await sim.run(first.client.opened);
    sim.link(first.client).blackhole();
    const second = ask(sim);
    await until(sim, () => second.client.state === "open");
    // The first notices by its heartbeat, and asks again.
    await sim.advance(300_000);
    const { total } = server.stats();
    assertEquals([server.peers.size, most()], [1, 1]);
    if (policy === "probe") {
      assertEquals([first.client.state, second.client.state, total], ["waiting", "open", 2]);
    } else {
      // It took its place back, once; the other was told and stays away.
      assertEquals([first.client.state, second.client.state, total], ["open", "closed", 3]);
      assertEquals((await second.client.closed).code, "TAKEN_OVER");
    }
    // Five minutes with waits of up to 10 s, 5 s on average: no busy loop.
    assert(count(first, "dial") < 120, `${count(first, "dial")} dials`);
  }
});

for (const policy of ["probe", "replace", "reject", "allow"] satisfies DuplicateId[]) {
  Deno.test(`H7 duplicateId ${policy}: ${ROUNDS} rounds of two clients with one id, which do not fight`, async () => {
    await using sim = new Simulation({ seed: 11, faults: { delay: 1, jitter: 10 } });
    const rng = new Rng(11);
    const { server, most } = await serveOne(sim, {
      duplicateId: policy,
      heartbeat: { interval: 1_000, timeout: 500 },
    });
    for (let round = 0; round < ROUNDS; round++) {
      const before = server.stats().total;
      const both = [ask(sim), ask(sim)];
      let faults = 0;
      for (let step = 0; step < 5; step++) {
        await sim.advance(rng.int(2_000));
        const { client } = rng.pick(both);
        if (client.state !== "open") continue;
        const link = sim.link(client);
        faults++;
        switch (rng.int(4)) {
          case 0:
            link.cut();
            break;
          case 1:
            link.blackhole(rng.pick(["up", "down", "both"]));
            break;
          case 2:
            client.reconnect();
            break;
          case 3:
            // A link that was silent for a while.
            link.blackhole();
            await sim.advance(1_200);
            link.heal();
        }
      }
      for (const link of sim.links) link.heal();
      const since = both.map((one) => count(one, "dial"));
      await sim.advance(30_000);
      const note = `round ${round}`;
      // In half a minute without faults: one has it, the other waits for it in peace or was sent away.
      const open = both.filter(({ client }) => client.state === "open").length;
      assertEquals(open, policy === "allow" ? 2 : 1, note);
      for (const [n, one] of both.entries()) {
        const dials = count(one, "dial") - (since[n] ?? 0);
        assert(dials <= 20, `${dials} dials in ${note}`);
        if (one.client.state === "closed") {
          assertEquals((await one.client.closed).code, "TAKEN_OVER", note);
        }
      }
      const sessions = server.stats().total - before;
      assert(sessions <= 2 + 2 * faults, `${sessions} sessions for ${faults} faults in ${note}`);
      for (const { client } of both) client.abort();
      await until(sim, () => server.peers.size === 0 && sim.links.length === 0);
    }
    if (policy !== "allow") assertEquals(most(), 1);
  });
}
