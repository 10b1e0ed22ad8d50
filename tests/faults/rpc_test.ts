import { attach, json, RpcError } from "@vgo/vnet";
import { ManualClock, memoryPair } from "@vgo/vnet/testing";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { FrameType } from "../../src/wire/constants.ts";
import { decodeRequest } from "../../src/wire/call.ts";
import { clientOf, serverOf } from "../calls/_by_hand.ts";
import {
  aborted,
  drain,
  fate,
  type Json,
  makePair,
  makeWorld,
  settle,
  tally,
} from "../calls/_support.ts";
import {
  cancel,
  chunk,
  credit,
  errorsOf,
  jsonBody,
  request,
  response,
  WirePeer,
} from "../calls/_wire_peer.ts";

Deno.test("call() R1 ignores answers to unknown and settled calls, and ends a flood of them", async () => {
  const { client, server, clock } = await clientOf();
  const call = client.call("f");
  await settle();
  await server.send(response(99, jsonBody("stray")), response(1, jsonBody("first")));
  assertEquals(await call, "first");
  await server.send(response(1, jsonBody("second")), credit(1, 1e6), chunk(1, jsonBody(1)));
  const next = client.call("f");
  await settle();
  await server.send(response(3, jsonBody("third")));
  assertEquals([await next, client.state], ["third", "open"]);

  const pending = fate(client.call("f"));
  await settle();
  for (let n = 0; n < 100 && server.closed === undefined; n++) {
    await server.send(...Array.from({ length: 100 }, () => response(1, jsonBody(0))));
  }
  assertEquals([server.closed, await pending], ["FLOOD", "UNAVAILABLE maybe"]);
  await server.close();
  await clock.advance(2_000);
  const { code, initiator } = await client.closed;
  assertEquals([code, initiator, clock.pending], ["FLOOD", "remote", 0]);
});

Deno.test("call() R2 ends a connection that reuses a live id, or has one of the wrong parity", async () => {
  const hang = () => new Promise(() => {});
  const cases = [
    ["PROTOCOL", [request(1, "hang"), request(1, "hang")]],
    ["PROTOCOL", [request(1, "hang", jsonBody(1), { upload: true }), request(1, "hang")]],
    ["BAD_FRAME", [request(2, "hang")]],
    ["BAD_FRAME", [request(0, "hang")]],
    ["BAD_FRAME", [response(1, jsonBody(1))]],
  ] as const;
  for (const [code, frames] of cases) {
    const { client, server, clock } = await serverOf({ hang });
    await client.send(...frames);
    assertEquals(client.closed, code);
    await client.close();
    await clock.advance(2_000);
    assertEquals([(await server.closed).code, clock.pending], [code, 0]);
  }
  // Once it is answered, an id may come again.
  const { client, server, clock } = await serverOf({ f: (n) => n });
  await client.send(request(1, "f", jsonBody(1)));
  await client.send(request(1, "f", jsonBody(2)));
  assertEquals(client.of(FrameType.RESPONSE).length, 2);
  await client.close();
  await clock.advance(2_000);
  await server.closed;
});

// R3, the wrap of ids with live ones, is in tests/session/calls_test.ts: it needs a first id near 2^31.

Deno.test("call() R4 does not run what was too late before its turn came", async () => {
  /** Each look at the time after a busy handler is 5 ms later. */
  class BusyClock extends ManualClock {
    busy = 0;
    override now(): number {
      return super.now() + this.busy;
    }
  }
  const clock = new BusyClock();
  let ran = 0;
  const busy = () => {
    ran++;
    clock.busy += 5;
  };
  const { client, server } = await serverOf({ busy }, clock);
  const ids = Array.from({ length: 200 }, (_, n) => 2 * n + 1);
  await client.send(...ids.map((id) => request(id, "busy", jsonBody(1), { deadline: 10 })));
  const late = [...errorsOf(client).values()];
  assertEquals(tally(late), { "DEADLINE_EXCEEDED not executed": 200 - ran });
  // They came in two reads, and of each the clock is looked at for every sixteenth call.
  assert(ran <= 32, `${ran}`);
  await client.send(request(1_001, "busy", jsonBody(1), { deadline: 10 }));
  assertEquals([ran, errorsOf(client).has(1_001)], [ran, false], "A new one has its 10 ms again");
  await client.close();
  await clock.advance(2_000);
  await server.closed;

  const made = await clientOf();
  assertEquals(await fate(made.client.call("f", 1, { deadline: 0 })), "DEADLINE_EXCEEDED no");
  assertEquals(made.server.of(FrameType.REQUEST).length, 0);
  await made.server.close();
  await made.clock.advance(2_000);
});

Deno.test("call() R5 takes any number for a time limit, and no other", async () => {
  const { client, server, clock } = await clientOf();
  const now = () => clock.now();
  await clock.advance(100);
  const longest = 2 ** 31 - 1;
  const written: [Record<string, number>, number][] = [
    [{ timeout: 2 ** 31 - 1 }, longest],
    [{ timeout: 2 ** 31 }, longest],
    [{ timeout: 2 ** 53 }, longest],
    [{ timeout: Number.MAX_VALUE }, longest],
    [{ timeout: Infinity }, 0],
    [{ timeout: 0.25 }, 1],
    [{ timeout: Infinity, deadline: now() + 2 ** 40 }, longest],
    [{ timeout: 500, deadline: Infinity }, 500],
    [{ deadline: now() + 70 }, 70],
  ];
  const calls = written.map(([options]) => fate(client.call("f", 1, options)));
  await settle();
  const deadlines = server.of(FrameType.REQUEST).map(({ flags, body }) =>
    decodeRequest(flags, body, 0, body.length).deadline
  );
  assertEquals(deadlines, written.map(([, deadline]) => deadline));
  for (
    const options of [{ timeout: 0 }, { timeout: -1 }, { timeout: -Infinity }, { deadline: -5 }]
  ) {
    assertEquals(await fate(client.call("f", 1, options)), "DEADLINE_EXCEEDED no");
  }
  for (const options of [{ timeout: NaN }, { deadline: NaN }]) {
    await assertRejects(() => client.call("f", 1, options), RangeError);
  }
  // None of the far ones fires at once, as a runtime's timer of 2^31 ms would.
  await clock.advance(1_000);
  const open = await Promise.all(calls.map((call) => Promise.race([call, settle()])));
  assertEquals(open.filter((end) => end === undefined).length, written.length - 3);
  await server.close();
  await clock.advance(2_000);
  assertEquals(tally(await Promise.all(calls)), {
    "UNAVAILABLE maybe": written.length - 3,
    "DEADLINE_EXCEEDED maybe": 3,
  });

  // A deadline as far as a u32 goes is as good to a handler, on the clock of the system too.
  const [here, there] = memoryPair();
  const raw = new WirePeer(here, "client");
  const peer = await attach<"server", Json>(there, {
    side: "server",
    serializer: json(),
    methods: { wait: async (_input, { signal }) => (await settle(), signal.aborted) },
  });
  await raw.send(request(1, "wait", jsonBody(1), { deadline: 2 ** 32 - 1 }));
  await settle(10);
  const [answer] = raw.of(FrameType.RESPONSE);
  assertEquals(new TextDecoder().decode(answer?.body), "false");
  peer.abort();
  await raw.close();
});

// R6, 10,000 random interleavings, is in tests/calls/interleavings_test.ts.

Deno.test("call() R6 cancel and answer that cross have one outcome, and the handler's signal fires", async () => {
  const fired: number[] = [];
  await using world = await makeWorld({
    seed: 6,
    faults: { delay: 10, jitter: 10 },
    server: {
      methods: {
        work: async (n, { signal }) => {
          signal.addEventListener("abort", () => fired.push(Number(n)));
          await world.sim.sleep(Number(n) % 25);
          return n;
        },
      },
    },
  });
  const { client, run, sim } = world;
  const ends = await run(Promise.all(Array.from({ length: 500 }, async (_, n) => {
    const controller = new AbortController();
    const call = client.call("work", n, { signal: controller.signal });
    sim.sleep(n % 60).then(() => controller.abort("given up"));
    return await call.then((value) => value === n ? "OK" : "another's answer", (reason) => reason);
  })));
  const { OK = 0, "given up": cancelled = 0, ...others } = tally(ends.map(String));
  assert(OK > 50 && cancelled > 50, `${OK} and ${cancelled}`);
  assertEquals(others, {});
  await sim.advance(100);
  assert(fired.length > 50 && new Set(fired).size === fired.length);
});

Deno.test("call() R7 frees a slot only when its handler ends, and takes more than the limit for a flood", async () => {
  let running = 0;
  let most = 0;
  const gates: (() => void)[] = [];
  const { client, server, clock } = await serverOf({
    work: async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => gates.push(resolve));
      running--;
    },
  });
  let sent = 0;
  while (client.closed === undefined && sent < 20_000) {
    const ids = Array.from({ length: 100 }, (_, n) => 2 * (sent + n) + 1);
    await client.send(...ids.flatMap((id) => [request(id, "work", jsonBody(1)), cancel(id)]));
    sent += 100;
  }
  assertEquals([client.closed, most], ["FLOOD", 1_024]);
  assert(sent < 1_300, `${sent}`);
  await client.close();
  await clock.advance(2_000);
  assertEquals([(await server.closed).code, clock.pending], ["FLOOD", 0]);
  for (const open of gates) open();
  await settle();
  assertEquals(running, 0);
});

Deno.test("handlers R8 whatever one throws, the caller gets INTERNAL without a word of it, and the peer lives", async () => {
  const hostile = () =>
    Object.defineProperty(new RpcError("ABORTED"), "message", {
      get(): never {
        throw new Error("secret");
      },
    });
  const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  };
  const thrown: Record<string, () => unknown> = {
    string: () => "secret",
    undefined: () => undefined,
    null: () => null,
    error: () => new Error("secret"),
    toString: () => ({
      toString() {
        throw new Error("secret");
      },
    }),
    symbol: () => Symbol("secret"),
    frozen: () => Object.freeze(Object.create(null)),
    revoked,
    hostile,
  };
  const results: Record<string, () => unknown> = {
    bigint: () => 10n,
    cyclic: () => {
      const cycle: Record<string, unknown> = {};
      return cycle.self = cycle, cycle;
    },
    then: () => ({
      get then(): never {
        throw new Error("secret");
      },
    }),
    thenThrows: () => ({
      then() {
        throw new Error("secret");
      },
    }),
    toJSON: () => ({
      toJSON() {
        throw new Error("secret");
      },
    }),
    iterator: () => ({
      [Symbol.asyncIterator]() {
        throw new Error("secret");
      },
    }),
    revoked,
  };
  const reported: unknown[] = [];
  await using world = await makeWorld({
    server: {
      onEvent: (event) => event.type === "error" && reported.push(event.error),
      methods: {
        sync: (name) => {
          throw thrown[String(name)]?.();
        },
        later: async (name) => {
          await settle();
          throw thrown[String(name)]?.();
        },
        items: async function* (name) {
          yield* [];
          throw thrown[String(name)]?.();
        },
        result: (name) => results[String(name)]?.(),
        resultLater: async (name) => (await settle(), results[String(name)]?.()),
        hang: () => new Promise(() => {}),
        rejectsLate: (_input, { signal }) =>
          aborted(signal).catch(() => Promise.reject(new Error("secret, and too late"))),
      },
    },
  });
  const { client, run, sim } = world;
  const names = Object.keys(thrown);
  const table = [
    ...["sync", "later", "items"].flatMap((method) => names.map((name) => [method, name] as const)),
    ...["result", "resultLater"].flatMap((method) =>
      Object.keys(results).map((name) => [method, name] as const)
    ),
  ];
  for (const [method, name] of table) {
    const { items, end } = await run(drain(client.stream(method, name)));
    assert(end instanceof RpcError, `${method} ${name}: ${end}`);
    assertEquals([method, name, items.length, end.code, end.executed], [
      method,
      name,
      0,
      "INTERNAL",
      "yes",
    ]);
    assert(!`${end.message} ${end.stack} ${JSON.stringify(end)}`.includes("secret"), name);
  }
  assertEquals(reported.length, table.length);
  const hung = [
    client.call("hang", 1, { timeout: 50 }),
    client.call("rejectsLate", 1, { timeout: 50 }),
  ];
  assertEquals(await run(Promise.all(hung.map(fate))), [
    "DEADLINE_EXCEEDED maybe",
    "DEADLINE_EXCEEDED maybe",
  ]);
  await sim.advance(100);
  assertEquals([client.stats.links, client.state], [1, "open"]);
});

Deno.test("call() R9 an unknown or empty method is UNIMPLEMENTED, and nothing ran", async () => {
  const [client, server] = await makePair({}, { methods: { known: () => 1 } });
  for (const name of ["", "unknown", "Known", "known ", "ä€😀", "x".repeat(255), "\u0000"]) {
    assertEquals([name, await fate(client.call(name))], [name, "UNIMPLEMENTED no"]);
  }
  using _empty = server.handle("", () => "empty");
  assertEquals(await client.call(""), "empty");
  await client.close();
});
