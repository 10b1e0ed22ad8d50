import { assert, assertEquals } from "@std/assert";
import { attach, json } from "@vgo/vnet";
import { ManualClock, memoryPair } from "@vgo/vnet/testing";
import { FrameType } from "../../src/wire/constants.ts";
import {
  collector,
  fate,
  type Json,
  makePair,
  makeWorld,
  runtimeOf,
  settle,
  tally,
} from "./_support.ts";
import { cancel, chunk, credit, errorsOf, jsonBody, request, WirePeer } from "./_wire_peer.ts";

Deno.test("calls over the limit wait their turn, in order, and a bounded number of them", async () => {
  let running = 0;
  let most = 0;
  const order: unknown[] = [];
  await using world = await makeWorld({
    server: {
      limits: { maxInFlight: 4 },
      methods: {
        work: async (n) => {
          most = Math.max(most, ++running);
          order.push(n);
          await world.sim.sleep(10);
          running--;
        },
      },
    },
    client: { limits: { maxInFlight: 10 } },
  });
  const { client, run, sim } = world;
  const begin = (from: number, count: number) =>
    Array.from({ length: count }, (_, n) => fate(client.call("work", from + n)));
  const calls = begin(0, 4);
  await sim.advance(0);
  calls.push(...begin(4, 13));
  assertEquals(tally(await run(Promise.all(calls))), { OK: 14, "RESOURCE_EXHAUSTED no": 3 });
  assertEquals([most, order], [4, Array.from({ length: 14 }, (_, n) => n)]);
});

Deno.test("calls of one turn that can be written at its end do not wait, and are not refused", async () => {
  await using world = await makeWorld({ server: { methods: { size: (it) => String(it).length } } });
  const { client, run } = world;
  const small = Array.from({ length: 2_000 }, () => fate(client.call("size", 1)));
  assertEquals(tally(await run(Promise.all(small))), { OK: 2_000 });
  const large = Array.from({ length: 300 }, () => fate(client.call("size", "x".repeat(4_096))));
  assertEquals(tally(await run(Promise.all(large))), { OK: 300 });
  const many = Array.from({ length: 2_100 }, () => fate(client.call("size", 1)));
  assertEquals(tally(await run(Promise.all(many))), { OK: 2_048, "RESOURCE_EXHAUSTED no": 52 });
});

Deno.test("a call that waits for its turn and is given up was not executed", async () => {
  const ran: unknown[] = [];
  await using world = await makeWorld({
    server: {
      limits: { maxInFlight: 1 },
      methods: { work: async (n) => (ran.push(n), await world.sim.sleep(100)) },
    },
  });
  const { client, run } = world;
  const first = fate(client.call("work", 1));
  const second = fate(client.call("work", 2, { timeout: 50 }));
  const third = fate(client.call("work", 3));
  assertEquals(await run(Promise.all([first, second, third])), [
    "OK",
    "DEADLINE_EXCEEDED no",
    "OK",
  ]);
  assertEquals(ran, [1, 3]);
});

Deno.test("an honest caller that calls and cancels in a loop is never cut off", async () => {
  let running = 0;
  let most = 0;
  await using world = await makeWorld({
    faults: { delay: 5 },
    server: {
      limits: { maxInFlight: 16 },
      methods: {
        work: async () => {
          most = Math.max(most, ++running);
          await world.sim.sleep(50);
          running--;
        },
        quick: () => 1,
      },
    },
  });
  const { client, peer, run, sim } = world;
  const fates: string[] = [];
  for (let round = 0; round < 200; round++) {
    const controller = new AbortController();
    for (let n = 0; n < 100; n++) {
      const method = n % 2 === 0 ? "work" : "quick";
      fate(client.call(method, 1, { signal: controller.signal })).then((end) => fates.push(end));
    }
    await sim.advance(round % 12);
    controller.abort();
    await settle(1);
  }
  await sim.advance(1_000);
  assertEquals(fates.length, 20_000);
  assertEquals(await run(client.call("quick")), 1);
  assertEquals([client.stats.links, client.state, peer.state], [1, "open", "open"]);
  assert(most <= 16, `${most}`);
  assertEquals(running, 0);
});

Deno.test("an honest caller whose cancels cross the answers, a thousand at once, is never cut off", async () => {
  await using world = await makeWorld({
    faults: { delay: 50 },
    server: { limits: { maxInFlight: 4_096 }, methods: { quick: () => 1 } },
    client: { limits: { maxInFlight: 4_096 } },
  });
  const { client, run, sim } = world;
  for (let round = 0; round < 4; round++) {
    const calls = Array.from(
      { length: 4_000 },
      () => fate(client.call("quick", 1, { timeout: 75 })),
    );
    assertEquals(tally(await run(Promise.all(calls))), { "DEADLINE_EXCEEDED maybe": 4_000 });
    await sim.advance(50);
  }
  assertEquals(await run(client.call("quick")), 1);
  assertEquals([client.stats.links, client.state], [1, "open"]);
});

Deno.test("an honest caller that sends many small items to a handler that wants none is never cut off", async () => {
  await using world = await makeWorld({
    faults: { delay: 50 },
    server: { methods: { upload: () => 1 } },
  });
  const { client, run } = world;
  function* endless(): Generator<number> {
    for (let n = 0;; n++) yield n % 10;
  }
  for (let round = 0; round < 4; round++) {
    assertEquals(await run(client.call("upload", 1, { stream: endless() })), 1);
  }
  assertEquals([client.stats.links, client.state], [1, "open"]);
});

/** A server side that is attacked, and who attacks it. */
async function attacked(
  methods: Record<string, (input: unknown) => unknown>,
  maxInFlight = 16,
) {
  const clock = new ManualClock();
  const [here, there] = memoryPair();
  const attacker = new WirePeer(here, "client");
  const { logger, errors } = collector();
  const peer = await attach<"server", Json>(there, {
    side: "server",
    serializer: json(),
    runtime: runtimeOf(clock),
    heartbeat: false,
    limits: { maxInFlight },
    logger,
    methods,
  });
  const end = async () => {
    await attacker.close();
    await clock.advance(2_000);
    assertEquals([peer.state, clock.pending, errors], ["closed", 0, []]);
    return await peer.closed;
  };
  return { attacker, peer, clock, end };
}

Deno.test("a flood of calls that are cancelled at once is cut off, and never runs more than the limit", async () => {
  let running = 0;
  let most = 0;
  const gates: (() => void)[] = [];
  const { attacker, end } = await attacked({
    work: async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => gates.push(resolve));
      running--;
    },
  });
  for (let n = 0; n < 20_000 && attacker.closed === undefined; n += 10) {
    const ids = Array.from({ length: 10 }, (_, i) => 2 * (n + i) + 1);
    await attacker.send(...ids.flatMap((id) => [request(id, "work", jsonBody(1)), cancel(id)]));
  }
  assertEquals([attacker.closed, most], ["FLOOD", 16]);
  assertEquals((await end()).code, "FLOOD");
  for (const open of gates) open();
  await settle();
  assertEquals(running, 0);
});

Deno.test("a flood of quick calls that does not wait for answers is cut off as well", async () => {
  const { attacker, end } = await attacked({ quick: () => 1 });
  const ids = Array.from({ length: 17 }, (_, i) => 2 * i + 1);
  await attacker.send(...ids.slice(0, 16).map((id) => request(id, "quick", jsonBody(1))));
  assertEquals([attacker.closed, attacker.of(FrameType.RESPONSE).length], [undefined, 16]);
  await attacker.send(...ids.map((id) => request(id + 100, "quick", jsonBody(1))));
  assertEquals((await end()).code, "FLOOD");
  assertEquals(attacker.closed, "FLOOD");
});

Deno.test("bad items end the connection, not the call: they free no slot for another", async () => {
  const hang = () => new Promise(() => {});
  const large = new Uint8Array(250_000);
  const attacks: [string, string, Parameters<WirePeer["send"]>][] = [
    ["after the end", "PROTOCOL", [chunk(1, jsonBody(1), true), chunk(1, jsonBody(1))]],
    ["over the credit", "FLOW_CONTROL", [chunk(1, large), chunk(1, large)]],
    ["of a call without a stream", "PROTOCOL", [chunk(3, jsonBody(1))]],
  ];
  for (const [what, code, frames] of attacks) {
    const { attacker, end } = await attacked({ hang });
    await attacker.send(
      request(1, "hang", jsonBody(1), { upload: true }),
      request(3, "hang", jsonBody(1)),
    );
    await attacker.send(...frames);
    assertEquals([what, attacker.closed], [what, code]);
    assertEquals((await end()).code, code);
  }
});

Deno.test("streams over the limit are refused, and one that ends makes room", async () => {
  await using world = await makeWorld({
    server: {
      methods: {
        items: async function* (_input, { signal }) {
          yield 1;
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
        sum: async (_input, { stream }) => {
          let sum = 0;
          for await (const item of stream) sum += Number(item);
          return sum;
        },
        both: async function* (_input, { stream }) {
          for await (const item of stream) yield item;
        },
      },
    },
  });
  const { client, run, sim } = world;
  const streams = Array.from({ length: 65 }, () => client.stream("items"));
  const readers = streams.map((stream) => stream[Symbol.asyncIterator]());
  const firsts = await run(Promise.all(readers.map((reader) => fate(reader.next()))));
  assertEquals(tally(firsts), { OK: 64, "RESOURCE_EXHAUSTED yes": 1 });
  await readers[0]?.return?.();
  await sim.advance(10);
  const next = client.stream("items")[Symbol.asyncIterator]();
  assertEquals(await run(fate(next.next())), "OK");
  for (const reader of [...readers, next]) await reader.return?.();

  const gates = Array.from({ length: 65 }, () => Promise.withResolvers<number>());
  const uploads = gates.map(({ promise }) =>
    fate(client.call("sum", 1, {
      stream: (async function* () {
        yield await promise;
      })(),
    }))
  );
  await sim.advance(10);
  for (const { resolve } of gates) resolve(5);
  assertEquals(tally(await run(Promise.all(uploads))), { OK: 64, "RESOURCE_EXHAUSTED no": 1 });
  // Each direction counts for itself.
  const echoes = Array.from({ length: 64 }, async () => {
    const got = [];
    for await (const item of client.stream("both", 1, { stream: [1, 2] })) got.push(item);
    return `${got}`;
  });
  assertEquals(tally(await run(Promise.all(echoes))), { "1,2": 64 });
});

Deno.test("inputs that are held together are bounded, and their callers told so", async () => {
  const gates: (() => void)[] = [];
  const [client, server] = await makePair({ limits: { maxInFlight: 100 } }, {
    limits: { maxMessageLength: 100_000 },
    methods: { hold: () => new Promise<void>((resolve) => gates.push(resolve)) },
  });
  const fates = Array.from({ length: 4 }, async () => {
    const end = await fate(client.call("hold", "x".repeat(90_000)));
    return end;
  });
  await settle(10);
  for (const open of gates) open();
  assertEquals(tally(await Promise.all(fates)), { OK: 2, "RESOURCE_EXHAUSTED no": 2 });
  await client.close();
  await server.closed;
});

Deno.test("credit for calls that are over is no flood; for calls that never were it is", async () => {
  const { attacker, end } = await attacked({ quick: () => 1 });
  await attacker.send(request(1, "quick", jsonBody(1)));
  await attacker.send(...Array.from({ length: 2_000 }, () => credit(1, 1e6)));
  assertEquals(attacker.closed, undefined);
  await attacker.send(request(3, "nope", jsonBody(1)));
  assertEquals(errorsOf(attacker), new Map([[3, "UNIMPLEMENTED not executed"]]));
  await attacker.send(...Array.from({ length: 1_001 }, () => credit(5, 1e6)));
  assertEquals(attacker.closed, "FLOOD");
  await end();
});
