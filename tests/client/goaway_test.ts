/**
 * When a client comes back to a server that has asked it to go: when it was asked to, and not when it
 * would after a failure.
 */
import { assert, assertEquals } from "@std/assert";
import { type Client, type ClientEvent, connect, type ConnectOptions, text } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { connectText, ofType, serveText, type Text, until } from "./_support.ts";

const ONE = "tcp://server:9966";
const TWO = "tcp://server:9967";

/** A client that knows two servers, and waits for an hour after a failure. */
function connectPatient(
  sim: Simulation,
  options: ConnectOptions<Text> = {},
): Promise<Client<Text>> {
  return sim.run(
    connect<Text>([ONE, TWO], {
      runtime: sim,
      id: "ann",
      serializer: text(),
      reconnect: { delay: 3_600_000 },
      ...options,
    }),
  );
}

Deno.test("Server.close() with a spread of 0 has its clients go elsewhere at once", async () => {
  await using sim = new Simulation();
  const events: ClientEvent[] = [];
  const first = await serveText(sim, {}, ONE);
  const second = await serveText(sim, {}, TWO);
  const client = await connectPatient(sim, { onEvent: (event) => events.push(event) });
  await sim.run(first.close({ spread: 0 }));
  await until(sim, () => client.state === "open");
  assertEquals(second.peers.has("ann"), true);
  const [wait] = ofType(events, "wait");
  // It has not failed.
  assertEquals([wait?.delay, wait?.attempt], [50, 0]);
});

Deno.test("Server.close() counts 'spread' from its beginning, whatever still runs", async () => {
  await using sim = new Simulation({ seed: 3 });
  const first = await serveText(sim, { methods: { slow: () => sim.sleep(3_000) } }, ONE);
  const second = await serveText(sim, {}, TWO);
  const client = await connectPatient(sim);
  const call = client.call("slow");
  await sim.advance(10);
  const closing = first.close({ spread: 2_000 });
  const { finished, cut } = await sim.run(closing);
  await call;
  // Its random moment has passed while the call ran.
  await sim.advance(60);
  assertEquals([finished, cut, client.state, second.peers.has("ann")], [1, 0, "open", true]);
});

Deno.test("Server.close() spreads its clients over 'spread'", async () => {
  await using sim = new Simulation({ seed: 5 });
  const first = await serveText(sim, {}, ONE);
  const delays: number[] = [];
  for (let n = 0; n < 40; n++) {
    await connectPatient(sim, {
      id: `client-${n}`,
      onEvent: (event) => event.type === "wait" && delays.push(event.delay),
    });
  }
  await sim.run(first.close({ spread: 2_000 }));
  assertEquals(delays.length, 40);
  assert(delays.every((delay) => delay >= 50 && delay < 2_000), `${delays}`);
  const early = delays.filter((delay) => delay < 1_000).length;
  assert(early > 10 && early < 35, `${early} of 40 in the first half`);
});

Deno.test("Client counts no failure when it is asked to go, and all that come after it", async () => {
  await using sim = new Simulation();
  const attempts: number[] = [];
  const server = await serveText(sim);
  const client = await connectText(sim, {
    onEvent: (event) => event.type === "wait" && attempts.push(event.attempt),
  });
  await sim.run(server.close({ spread: 0 }));
  await until(sim, () => attempts.length === 3);
  assertEquals(attempts, [0, 1, 2]);
  await client.close();
});

Deno.test("Client asks the server last that was going away, even if it is there again", async () => {
  await using sim = new Simulation();
  const dials: string[] = [];
  const first = await serveText(sim, {}, ONE);
  await serveText(sim, {}, TWO);
  const client = await connectPatient(sim, {
    onEvent: (event) => event.type === "dial" && dials.push(`${event.addr}`),
  });
  await sim.run(first.close({ spread: 0 }));
  await serveText(sim, {}, ONE);
  await until(sim, () => client.state === "open");
  assertEquals(dials, [ONE, TWO]);
});
