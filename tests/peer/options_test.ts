/**
 * Options that make no sense are refused where they are given, before anything is dialled or bound.
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { attach, Client, connect, type ConnectOptions, serve, type ServeOptions } from "@vgo/vnet";
import { memoryPair, Simulation } from "@vgo/vnet/testing";
import { ADDRESS } from "../client/_support.ts";

type Common = Pick<
  ConnectOptions,
  "handshakeTimeout" | "frameTimeout" | "writeTimeout" | "heartbeat" | "queue" | "limits"
>;

/** Of both sides: what is given, and what the message names. */
const SESSION: [Common, string][] = [
  [{ handshakeTimeout: 0 }, "'handshakeTimeout' must be more than 0 ms: current value is 0"],
  [{ handshakeTimeout: NaN }, "'handshakeTimeout'"],
  [{ frameTimeout: -1 }, "'frameTimeout'"],
  [{ writeTimeout: 0 }, "'writeTimeout'"],
  [{ heartbeat: { interval: 99 } }, "'heartbeat.interval' must be 100 ms or more"],
  [{ heartbeat: { interval: Infinity } }, "'heartbeat.interval'"],
  [{ heartbeat: { timeout: 0 } }, "'heartbeat.timeout'"],
  [{ heartbeat: { timeout: NaN } }, "'heartbeat.timeout'"],
  [{ queue: { highWaterMark: 0 } }, "'queue.highWaterMark'"],
  [{ queue: { highWaterMark: 10, lowWaterMark: 11 } }, "'queue.lowWaterMark' must be from 0 to"],
  [{ queue: { lowWaterMark: -1 } }, "'queue.lowWaterMark'"],
  [{ limits: { maxFrameLength: 16_383 } }, "'limits.maxFrameLength'"],
  [{ limits: { maxFrameLength: 67_108_865 } }, "'limits.maxFrameLength'"],
  [{ limits: { maxFrameLength: 20_000.5 } }, "'limits.maxFrameLength'"],
  [{ limits: { maxMessageLength: 0 } }, "'limits.maxMessageLength'"],
  [{ limits: { maxMessageLength: 2 ** 31 + 1 } }, "'limits.maxMessageLength'"],
  [{ limits: { maxMetadataLength: -1 } }, "'limits.maxMetadataLength'"],
  [
    { limits: { maxFrameLength: 16_384, maxMetadataLength: 16_384 } },
    "'limits.maxMetadataLength'",
  ],
  [{ limits: { maxQueuedBytes: 0 } }, "'limits.maxQueuedBytes'"],
  [{ limits: { maxQueuedBytes: NaN } }, "'limits.maxQueuedBytes'"],
];

const CONNECT: [ConnectOptions, string][] = [
  [{ dialTimeout: 0 }, "'dialTimeout'"],
  [{ dialTimeout: NaN }, "'dialTimeout'"],
  [{ openTimeout: -1 }, "'openTimeout' must be 0 ms or more: current value is -1"],
  [{ openTimeout: NaN }, "'openTimeout'"],
  [{ reconnect: { initialDelay: -1 } }, "'initialDelay'"],
  [{ reconnect: { maxDelay: 999 } }, "'maxDelay'"],
  [{ reconnect: { multiplier: 0.9 } }, "'multiplier'"],
  [{ reconnect: { jitter: 1.1 } }, "'jitter'"],
  [{ reconnect: { maxAttempts: 0 } }, "'maxAttempts'"],
  [{ reconnect: { stableAfter: -1 } }, "'stableAfter'"],
  [{ reconnect: { delay: -1 } }, "'delay'"],
  [{ reconnect: { delay: NaN } }, "'delay'"],
];

const SERVE: [ServeOptions, string][] = [
  [{ limits: { maxConnections: 0 } }, "'limits.maxConnections'"],
  [{ limits: { maxUnregistered: NaN } }, "'limits.maxUnregistered'"],
];

for (const [options, message] of [...SESSION, ...CONNECT]) {
  Deno.test(`connect() refuses ${show(options)}`, async () => {
    await using sim = new Simulation();
    assertThrows(() => new Client(ADDRESS, { runtime: sim, ...options }), RangeError, message);
    await assertRejects(
      () => connect(ADDRESS, { runtime: sim, ...options }),
      RangeError,
      message,
    );
    assertEquals(sim.clock.pending, 0);
  });
}

for (const [options, message] of [...SESSION, ...SERVE]) {
  Deno.test(`serve() refuses ${show(options)}, and binds nothing`, async () => {
    await using sim = new Simulation();
    await assertRejects(() => serve(ADDRESS, { runtime: sim, ...options }), RangeError, message);
    await serve(ADDRESS, { runtime: sim });
  });
}

for (const [options, message] of SESSION) {
  Deno.test(`attach() refuses ${show(options)}`, async () => {
    const [here, there] = memoryPair();
    await assertRejects(() => attach(here, { side: "client", ...options }), RangeError, message);
    // Whose connection it is has not changed.
    await here.write(new Uint8Array([1]));
    assertEquals(await there.read(new Uint8Array(2)), 1);
    here.close();
    there.close();
  });
}

Deno.test("connect() and serve() take the limits of every range", async () => {
  await using sim = new Simulation();
  const options = {
    runtime: sim,
    handshakeTimeout: Infinity,
    frameTimeout: Infinity,
    writeTimeout: Infinity,
    heartbeat: { interval: 100, timeout: 1 },
    queue: { highWaterMark: 1, lowWaterMark: 0 },
    limits: {
      maxFrameLength: 16_384,
      maxMessageLength: 1,
      maxMetadataLength: 0,
      maxQueuedBytes: Infinity,
    },
  };
  const server = await serve(ADDRESS, options);
  const client = await sim.run(connect(ADDRESS, {
    ...options,
    dialTimeout: Infinity,
    openTimeout: Infinity,
    reconnect: { initialDelay: 0, maxDelay: 0, multiplier: 1, jitter: 0, stableAfter: 0 },
  }));
  await client.send(new Uint8Array(1));
  await sim.advance(0);
  assertEquals([client.state, server.stats().messagesIn], ["open", 1]);
});

/** What the types forbid, as a program without types may give it. */
const untyped = JSON.parse(`{
  "offline": "maybe",
  "duplicateId": "perhaps",
  "side": "both",
  "address": 5,
  "nothing": null
}`);

Deno.test("connect(), serve() and attach() refuse what has the wrong form with a TypeError", async () => {
  await using sim = new Simulation();
  const { offline, duplicateId, side, address, nothing } = untyped;
  const runtime = sim;
  const rejected = async (work: () => Promise<unknown>, message: string) => {
    await assertRejects(work, TypeError, message);
  };
  await rejected(() => connect(ADDRESS, { runtime, queue: { offline } }), "'queue.offline'");
  await rejected(() => serve(ADDRESS, { runtime, queue: { offline } }), "'queue.offline'");
  await rejected(() => serve(ADDRESS, { runtime, duplicateId }), "'duplicateId'");
  await rejected(() => connect(address, { runtime }), "Cannot use address");
  await rejected(() => connect(nothing, { runtime }), "Cannot use address");
  await rejected(() => connect("not an address", { runtime }), "Cannot use address");
  await rejected(() => connect("gopher://host:70", { runtime }), "Cannot use address");
  await rejected(() => connect([], { runtime }), "at least one address");
  await rejected(() => connect([ADDRESS, "nope"], { runtime }), "Cannot use address");
  await rejected(() => serve("nope", { runtime }), "Cannot use address");
  await rejected(() => serve(nothing, { runtime }), "Cannot use address");
  const [here, there] = memoryPair();
  await rejected(() => attach(here, { side }), "'side' must be");
  here.close();
  there.close();
});

Deno.test("connect() and serve() refuse a port out of range with a RangeError", async () => {
  await using sim = new Simulation();
  await assertRejects(() => connect("host:65536", { runtime: sim }), RangeError, "port");
  await assertRejects(() => serve({ port: 65_536 }, { runtime: sim }), RangeError, "port");
});

Deno.test("connect() and serve() name the transports that sessions have", async () => {
  await assertRejects(() => serve("udp://127.0.0.1:0"), TypeError, "udp");
  await assertRejects(
    () => connect("udp://127.0.0.1:1", { openTimeout: 0 }),
    Error,
    "the transports tcp, tls, unix",
  );
});

function show(options: object): string {
  return Deno.inspect(options, { compact: true, breakLength: Infinity });
}
