import { attach, type CallContext, json, RpcError } from "@vgo/vnet";
import { ManualClock, memoryPair } from "@vgo/vnet/testing";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { FrameType } from "../../src/wire/constants.ts";
import { decodeRequest } from "../../src/wire/call.ts";
import {
  aborted,
  drain,
  fate,
  type Json,
  type JsonPeer,
  makePair,
  makeWorld,
  rpcError,
  runtimeOf,
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

/** A client of ours, and a server that speaks by hand. */
async function clientOf(clock = new ManualClock()) {
  const [here, there] = memoryPair();
  const server = new WirePeer(there, "server");
  const runtime = runtimeOf(clock);
  const client = await attach<"client", Json>(here, {
    side: "client",
    serializer: json(),
    heartbeat: false,
    runtime,
  });
  return { client, server, clock };
}

/** A server of ours, and a client that speaks by hand. */
async function serverOf(
  methods: Record<string, (input: unknown, call: { signal: AbortSignal }) => unknown>,
  clock = new ManualClock(),
) {
  const [here, there] = memoryPair();
  const client = new WirePeer(here, "client");
  const server = await attach<"server", Json>(there, {
    side: "server",
    serializer: json(),
    heartbeat: false,
    runtime: runtimeOf(clock),
    methods,
  });
  return { client, server, clock };
}

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
  // The clock is read for every sixteenth call.
  assert(ran <= 16, `${ran}`);
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
  class Hostile extends RpcError {
    override get message(): string {
      throw new Error("secret getter");
    }
  }
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
    hostile: () => new Hostile("ABORTED"),
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

Deno.test("call() R10 all pending calls settle at once when the connection dies", async () => {
  const limits = { maxInFlight: 10_000 };
  await using world = await makeWorld({
    server: { limits, methods: { hang: () => new Promise(() => {}) } },
    client: { limits },
  });
  const { client, sim } = world;
  const calls = Array.from(
    { length: 10_000 },
    () => fate(client.call("hang", 1, { timeout: 1e9 })),
  );
  await sim.advance(10);
  const unwritten = Array.from(
    { length: 10 },
    () => fate(client.call("hang", 1, { timeout: 1e9 })),
  );
  await sim.advance(10);
  const instant = sim.clock.now();
  client.abort();
  const ends = await Promise.all([...calls, ...unwritten]);
  assertEquals(tally(ends), { "UNAVAILABLE maybe": 10_000, "UNAVAILABLE no": 10 });
  assertEquals(sim.clock.now(), instant);
});

Deno.test("call() R11 a million calls with far deadlines leave no timer and no entry", async () => {
  const clock = new ManualClock();
  const runtime = runtimeOf(clock);
  const [client, server] = await makePair({ runtime }, { runtime, methods: { echo: (n) => n } });
  const run = async (calls: number) => {
    let left = calls;
    const worker = async () => {
      while (left-- > 0) await client.call("echo", left, { timeout: 2 ** 31 - 1 });
    };
    await Promise.all(Array.from({ length: 128 }, worker));
  };
  await run(1_000);
  const before = clock.pending;
  await run(1_000_000);
  assertEquals(clock.pending, before);
  assertEquals(server.stats.callsIn, 1_001_000);
  // A peer with anything in its tables would wait for it.
  const { finished, cut } = await client.close();
  await server.closed;
  assertEquals([finished, cut, clock.pending], [0, 0, 0]);
});

Deno.test("call() R12 an answer that is too large for the caller is RESOURCE_EXHAUSTED, and no more", async () => {
  const [client] = await makePair({ limits: { maxMessageLength: 100_000 } }, {
    methods: { long: (n) => "x".repeat(Number(n)), later: async (n) => "x".repeat(Number(n)) },
  });
  for (const method of ["long", "later"]) {
    const error = await rpcError(client.call(method, 200_000));
    assertEquals([error.code, error.executed], ["RESOURCE_EXHAUSTED", "yes"]);
    assertEquals(String(await client.call(method, 99_998)).length, 99_998);
  }
  await client.close();
});

Deno.test("call() R13 two ends that call each other at their limits never wait for each other", async () => {
  for (
    const [maxInFlight, end, reached] of [[1, "RESOURCE_EXHAUSTED yes", 2], [8, "OK", 16]] as const
  ) {
    const deadlines: number[] = [];
    const methods = {
      nest: async (depth: unknown, call: CallContext<JsonPeer, unknown>): Promise<unknown> => {
        deadlines.push(call.deadline);
        if (depth === 16) return depth;
        // Its own, later deadline does not count.
        const options = { parent: call, timeout: 60_000 };
        return await call.peer.call("nest", Number(depth) + 1, options);
      },
    };
    const clock = new ManualClock();
    const common = { methods, limits: { maxInFlight }, runtime: runtimeOf(clock) };
    const [client] = await makePair(common, common);
    const call = fate(client.call("nest", 1, { timeout: 5_000 }));
    await settle(20);
    assertEquals([await call, deadlines.length], [end, reached]);
    assertEquals(new Set(deadlines), new Set([5_000]));
    const { cut } = await client.close();
    assertEquals(cut, 0);
  }
});

Deno.test("streams R14 ends a connection that sends over its credit, and stalls a stream without any", async () => {
  const items = async (_input: unknown, { stream }: { stream: AsyncIterable<unknown> }) => {
    for await (const _ of stream) await new Promise(() => {});
  };
  const [here, there] = memoryPair();
  const over = new WirePeer(here, "client");
  const clock = new ManualClock();
  const server = await attach<"server", Json>(there, {
    side: "server",
    serializer: json(),
    heartbeat: false,
    runtime: runtimeOf(clock),
    methods: { items },
  });
  const piece = new Uint8Array(65_536 - 16).fill(0x20);
  await over.send(request(1, "items", jsonBody(1), { upload: true }));
  for (let n = 0; n < 4; n++) await over.send(chunk(1, piece));
  assertEquals(over.closed, undefined, "Just the window");
  await over.send(chunk(1, jsonBody(1)));
  assertEquals(over.closed, "FLOW_CONTROL");
  await over.close();
  await clock.advance(2_000);
  assertEquals((await server.closed).code, "FLOW_CONTROL");

  // Credit as large as it gets is credit, and the next smaller one takes nothing back.
  const far = await serverOf({
    count: async function* () {
      for (let n = 0; n < 100; n++) yield "x".repeat(10_000);
    },
    f: (n) => n,
  });
  await far.client.send(request(1, "count"), request(3, "count"));
  const before = [1, 3].map((id) => far.client.of(FrameType.CHUNK, id).length);
  assertEquals(before, [26, 26]);
  await far.client.send(request(5, "f", jsonBody(5)));
  assertEquals(far.client.of(FrameType.RESPONSE, 5).length, 1);
  await far.client.send(credit(3, 2 ** 53 - 1), credit(3, 0));
  const after = [1, 3].map((id) => far.client.of(FrameType.CHUNK, id).length);
  assertEquals(after, [26, 101], "The other one stalls by itself");
  await far.client.close();
  await far.clock.advance(2_000);
  assertEquals((await far.server.closed).code, "LINK_LOST");
});

Deno.test("call() R15 a body that is a bomb is one typed error, and one over maxMessage never arrives", async () => {
  const sizes: number[] = [];
  const [here, there] = memoryPair();
  const bomber = new WirePeer(here, "client");
  const clock = new ManualClock();
  const server = await attach<"server", Json>(there, {
    side: "server",
    serializer: json(),
    heartbeat: false,
    runtime: runtimeOf(clock),
    limits: { maxMessageLength: 4_000_000 },
    methods: { f: (input) => void sizes.push(JSON.stringify(Object.keys(Object(input))).length) },
  });
  const text = new TextEncoder();
  const keys = Array.from({ length: 100_000 }, (_, n) => `"k${n}":0`).join();
  const bombs: [string, string][] = [
    ["deep and whole", "[".repeat(257) + "]".repeat(257)],
    ["deeper", "[".repeat(120_000) + "]".repeat(120_000)],
    ["deep and cut", "[".repeat(240_000)],
    ["a long number", "9".repeat(200_000)],
    ["a bigint", "10n"],
    ["not a number", "NaN"],
    ["a control character", '"\u0000'],
    ["half a string", '"'],
    ["a comment", "/* */1"],
    ["__proto__", '{"__proto__":{"polluted":1}}'],
  ];
  const cannot = new Set(["deep and cut", "a bigint", "not a number", "a control character"]);
  for (const what of ["half a string", "a comment"]) cannot.add(what);
  for (const [index, [what, body]] of bombs.entries()) {
    const id = 2 * index + 1;
    await bomber.send(request(id, "f", text.encode(body)));
    const answered = bomber.of(FrameType.RESPONSE, id).length;
    const error = errorsOf(bomber).get(id);
    const expected = cannot.has(what) ? "INVALID_ARGUMENT not executed" : undefined;
    assertEquals([what, answered, error], [what, expected === undefined ? 1 : 0, expected]);
  }
  assertEquals(Reflect.get({}, "polluted"), undefined);
  const client = await makePair({}, {
    methods: { keys: (input) => Object.keys(Object(input)).length },
  });
  assertEquals(await client[0].call("keys", JSON.parse(`{${keys}}`)), 100_000);
  await client[0].close();

  assertEquals([server.state, bomber.closed], ["open", undefined]);
  await bomber.send(request(1_001, "f", new Uint8Array(5_000), { total: 4_000_001 }));
  assertEquals(bomber.closed, "FRAME_TOO_LARGE");
  await bomber.close();
  await clock.advance(2_000);
  assertEquals([(await server.closed).code, clock.pending], ["FRAME_TOO_LARGE", 0]);
});

Deno.test("close() B10 the heartbeat goes on while it drains, and kills no call in flight", async () => {
  const heartbeat = { interval: 1_000, timeout: 500 };
  for (const closing of ["client", "server"] as const) {
    await using world = await makeWorld({
      faults: { delay: 20 },
      server: { heartbeat, methods: { slow: () => world.sim.sleep(5_000).then(() => "done") } },
      client: { heartbeat, reconnect: false },
    });
    const { client, peer, server, run, sim } = world;
    const call = client.call("slow");
    await sim.advance(100);
    const closed = closing === "client" ? client.close() : server.close();
    const pings = peer.stats.bytesIn;
    assertEquals(await run(call), "done");
    assert(peer.stats.bytesIn > pings, "Life was shown meanwhile");
    const { finished, cut } = await run(closed);
    assertEquals([finished, cut], [1, 0]);
  }
  // A link that dies in the drain is noticed as at any time.
  await using world = await makeWorld({
    server: { heartbeat, methods: { hang: () => new Promise(() => {}) } },
    client: { heartbeat, reconnect: false },
  });
  const { client, sim } = world;
  const call = fate(client.call("hang", 1, { timeout: 60_000 }));
  await sim.advance(100);
  const closed = client.close({ grace: 60_000 });
  sim.link(client).blackhole();
  await sim.advance(2_000);
  assertEquals(await call, "UNAVAILABLE maybe");
  const { finished, cut } = await closed;
  assertEquals([finished, cut], [0, 1]);
});

Deno.test("names F12 __proto__, constructor and toString are names like any other", async () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty", "then", "prototype"];
  for (const name of names) {
    const messages: string[] = [];
    await using world = await makeWorld({
      server: {
        methods: { [name]: (input: unknown) => [name, input] },
        onMessage: ({ topic }) => void messages.push(topic),
      },
      client: { id: name },
    });
    const { client, peer, server, run, sim } = world;
    assertEquals(await run(client.call(name, 5)), [name, 5]);
    for (const other of names) {
      if (other !== name) assertEquals(await run(fate(client.call(other))), "UNIMPLEMENTED no");
      assertEquals(server.peers.has(other), other === name);
    }
    assertEquals([server.peers.get(name) === peer, peer.id], [true, name]);
    using _own = client.handle(name, () => "own");
    assertEquals(await run(peer.call(name)), "own");
    await run(client.send(1, { topic: name }));
    await sim.advance(10);
    assertEquals(messages, [name]);
    assertEquals(await run(client.call(name, JSON.parse(`{"${name}":1}`))), [
      name,
      JSON.parse(`{"${name}":1}`),
    ]);
  }
  const seen: Record<string, string>[] = [];
  const [client] = await makePair({}, {
    methods: { f: (_input, { metadata }) => void seen.push({ ...metadata }) },
  });
  const metadata = { ["__proto__"]: "a", constructor: "b", prototype: "c" };
  await client.call("f", 1, { metadata });
  await client.call("f", 1);
  assertEquals(seen.map((it) => Object.entries(it)), [Object.entries(metadata), []]);
  const inherited = Object.create({ inherited: "x" });
  await client.call("f", 1, { metadata: inherited });
  assertEquals(seen[2], {});
  await assertRejects(() => client.call("f", 1, { metadata: { toString: "x" } }), TypeError);
  await client.close();
});
