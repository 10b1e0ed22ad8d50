import { attach, type CallContext, json } from "@vgo/vnet";
import { ManualClock, memoryPair } from "@vgo/vnet/testing";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { FrameType } from "../../src/wire/constants.ts";
import { serverOf } from "../calls/_by_hand.ts";
import {
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
import { chunk, credit, errorsOf, jsonBody, request, WirePeer } from "../calls/_wire_peer.ts";

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
  // Without bodies: coding two million of them would take most of the time.
  const [client, server] = await makePair({ runtime }, { runtime, methods: { none: () => {} } });
  const run = async (calls: number) => {
    let left = calls;
    const worker = async () => {
      while (left-- > 0) await client.call("none", undefined, { timeout: 2 ** 31 - 1 });
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
    methods: {
      long: (n) => "x".repeat(Number(n)),
      later: (n) => Promise.resolve("x".repeat(Number(n))),
    },
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
  const piece = jsonBody("x".repeat(65_536 - 64 - 2));
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
  assertEquals(await world.run(call), "UNAVAILABLE maybe");
  const { finished, cut } = await world.run(closed);
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
