/**
 * Who sends too fast, and who goes beyond any other limit: held back or sent away, counted, and told.
 * L4 of the group Server limits.
 */
import { assert, assertEquals } from "@std/assert";
import {
  type ClientEvent,
  type CloseInfo,
  connect,
  LimitError,
  type MessageTransport,
  ProtocolError,
  serve,
  type ServeOptions,
  type Server,
  type ServerEvent,
  type ServerPeer,
  VnetError,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import type { OutBuffer } from "../../src/base/out_buffer.ts";
import type { Bytes } from "../../src/base/types.ts";
import * as call from "../../src/wire/call.ts";
import { FrameType } from "../../src/wire/constants.ts";
import { encodeClientPreface, encodeHello } from "../../src/wire/handshake.ts";
import { encodeMessage, encodeMessageStart } from "../../src/wire/message.ts";
import { offline, settle, StallClock } from "../_support/stall_clock.ts";
import { encoded, failure, HELLO, rawFrame } from "../_support/wire_client.ts";
import { WireServer } from "../_support/wire_server.ts";
import { World } from "../_support/world.ts";

const EMPTY = new Uint8Array(0);
const VOLATILE = encoded((out) => encodeMessage(out, 0, "", EMPTY));

type LimitEvent = Extract<ServerEvent<ServerPeer>, { type: "limit" }>;

Deno.test("serve() L4 reads 100,000 messages at 1,000 a second, and loses none", async () => {
  await using sim = new Simulation();
  const events: LimitEvent[] = [];
  let next = 0;
  let wrong = 0;
  const server = await serve("tcp://server:9966", {
    runtime: sim,
    limits: { messagesPerSecond: 1_000 },
    onMessage: ({ body }) => {
      if (new DataView(body.buffer, body.byteOffset).getUint32(0) !== next++) wrong++;
    },
    onEvent: (event) => void (event.type === "limit" && events.push(event)),
  });
  const client = await sim.run(connect(server.addr, { runtime: sim, id: "ann" }));
  const start = sim.clock.now();
  const sending = (async () => {
    for (let n = 0; n < 100_000; n++) {
      const body = new Uint8Array(4);
      new DataView(body.buffer).setUint32(0, n);
      await client.send(body);
    }
  })();
  await sim.run(sending, { timeout: 200_000 });
  while (next < 100_000 && sim.clock.now() < start + 200_000) await sim.advance(1_000);
  assertEquals(next, 100_000);
  const seconds = (sim.clock.now() - start) / 1_000;
  // The first second's worth is there at once, and so is that of the last read, which holds up nobody.
  assert(seconds >= 99 - 65_536 / 22 / 1_000 && seconds <= 102, `${seconds}`);
  assertEquals([wrong, client.stats.links, client.state], [0, 1, "open"]);
  // Told once for all of it; counted each time that it was held back.
  const peer = first(server);
  assertEquals(events, [{
    type: "limit",
    limit: "messagesPerSecond",
    value: 1_000,
    remoteAddr: peer.remoteAddr,
    peer,
  }]);
  const { messagesPerSecond = 0 } = server.stats().limits;
  assert(messagesPerSecond > 1, `${messagesPerSecond}`);
  assertEquals(peer.stats.limits, { messagesPerSecond });
  // It was within the limit for a while, and goes beyond it again.
  await sim.advance(5_000);
  for (let n = 0; n < 3_000; n++) client.trySend(new Uint8Array(4));
  await sim.advance(5_000);
  assertEquals([events.length, next], [2, 103_000]);
  await sim.run(client.close());
});

Deno.test("serve() L4 ends who sends ten seconds' worth at once, and nobody else", async () => {
  await using world = await World.start({ limits: { messagesPerSecond: 100 } });
  const peer = await world.open({ clientId: "ann" });
  const burst = new Uint8Array(VOLATILE.length * 1_101);
  for (let n = 0; n < 1_101; n++) burst.set(VOLATILE, n * VOLATILE.length);
  await peer.write(burst);
  await world.closed(peer, "FLOOD");
  assertEquals(told(world), [{ limit: "messagesPerSecond", value: 100, id: "ann" }]);
  assertEquals(world.server.stats().limits, { messagesPerSecond: 1 });
});

Deno.test("serve() L4 holds calls and items back as well, all of which are answered", async () => {
  await using sim = new Simulation();
  const server = await serve("tcp://server:9966", {
    runtime: sim,
    limits: { messagesPerSecond: 50 },
    methods: {
      echo: (body: Bytes) => body,
      async count(_: Bytes, { stream }: { readonly stream: AsyncIterable<unknown> }) {
        let items = 0;
        for await (const _ of stream) items++;
        return Uint8Array.of(items);
      },
    },
  });
  const client = await sim.run(connect(server.addr, { runtime: sim }));
  const start = sim.clock.now();
  const body = Uint8Array.of(7);
  const answers = await sim.run(
    Promise.all(Array.from({ length: 250 }, () => client.call("echo", body))),
  );
  assertEquals(answers.every(([first]) => first === 7), true);
  const items = Array.from({ length: 200 }, () => EMPTY);
  assertEquals(await sim.run(client.call("count", EMPTY, { stream: items })), Uint8Array.of(200));
  // 452 with the call and its end, 50 of them at once.
  const seconds = (sim.clock.now() - start) / 1_000;
  assert(seconds >= 4 && seconds <= 9.5, `${seconds}`);
  await sim.run(client.close());
});

Deno.test("serve() L4 reads no faster than bytesPerSecond, and judges nobody by its own pauses", async () => {
  const heartbeat = { interval: 200, timeout: 100 };
  await using sim = new Simulation();
  const ends: CloseInfo[] = [];
  const got: number[] = [];
  const server = await serve("tcp://server:9966", {
    runtime: sim,
    heartbeat,
    // Far shorter than the pauses within a frame of 128 KiB.
    frameTimeout: 500,
    limits: { bytesPerSecond: 20_000 },
    onMessage: ({ body }) => void got.push(body.length),
    onDisconnect: (info) => void ends.push(info),
  });
  const client = await sim.run(connect(server.addr, { runtime: sim, heartbeat, id: "ann" }));
  const start = sim.clock.now();
  for (let n = 0; n < 4; n++) await client.send(new Uint8Array(100_000));
  while (got.length < 4 && sim.clock.now() < start + 60_000) await sim.advance(500);
  const seconds = (sim.clock.now() - start) / 1_000;
  // What is left of a second's burst and the last read, a whole frame, come on top of the rate.
  assert(seconds > 400_000 / 20_000 - 1 - 100_018 / 20_000, `${seconds}`);
  assertEquals([got, ends], [[100_000, 100_000, 100_000, 100_000], []]);
  assertEquals([client.state, client.stats.links], ["open", 1]);
  const { bytesPerSecond = 0 } = server.stats().limits;
  assert(bytesPerSecond >= 4, `${bytesPerSecond}`);
  // It is a pause in reading and nothing else: what the server sends goes out meanwhile.
  await client.send(new Uint8Array(100_000));
  await sim.advance(100);
  first(server).trySend(Uint8Array.of(1));
  await sim.advance(50);
  assertEquals(client.stats.messagesIn, 1);
  await sim.advance(10_000);
  await sim.run(client.close());
  assertEquals(ends.length, 1);
});

for (
  const [name, end] of [
    ["server.close()", (server: Server) => server.close({ grace: 60_000 })],
    ["server.abort()", (server: Server) => server.abort()],
    ["peer.close()", (server: Server) => first(server).close({ grace: 60_000 })],
    ["peer.abort()", (server: Server) => first(server).abort()],
  ] as const
) {
  Deno.test(`serve() L4 ${name} does not wait until who sent too fast is read again`, async () => {
    await using sim = new Simulation();
    const { server, client } = await held(sim);
    const before = sim.clock.now();
    const peer = first(server);
    end(server);
    await sim.run(peer.closed);
    // A second at most in which the other end could say that it knows, and one in which it goes.
    assert(sim.clock.now() - before <= 2_000, `${sim.clock.now() - before}`);
    client.abort();
    await sim.run(server.close());
    assertEquals(sim.clock.pending, 0);
  });
}

Deno.test("serve() L4 takes who is held up for alive when another asks for its id", async () => {
  await using world = await World.start({ limits: { bytesPerSecond: 1_000 } });
  const owner = await world.open({ clientId: "ann" });
  await owner.send((out) => encodeMessage(out, 0, "", new Uint8Array(20_000)));
  await world.sim.advance(10);
  const other = await world.dial();
  await other.send(encodeClientPreface, (out) => encodeHello(out, { ...HELLO, clientId: "ann" }));
  await world.sim.advance(0);
  // It would be asked for a sign of life else, which cannot be read before the pause is over.
  assertEquals(other.farewells(), ["REJECT CLIENT_ID_IN_USE"]);
  assertEquals([...world.server.peers].map(({ id }) => id), ["witness", "ann"]);
});

Deno.test("serve() L4 takes no message off a message transport while it is held up", async () => {
  const clock = new StallClock();
  const got: number[] = [];
  const server = await serve([], {
    runtime: offline(clock),
    heartbeat: false,
    limits: { messagesPerSecond: 2 },
    onMessage: ({ body }) => void got.push(body.length),
  });
  const source = new Messages();
  const attaching = server.attach(source);
  source.give(encoded((out) => encodeHello(out, HELLO)));
  await attaching;
  for (let n = 0; n < 6; n++) {
    source.give(encoded((out) => encodeMessage(out, n + 1, "", new Uint8Array(n))));
  }
  await settle();
  assertEquals([got, source.waiting], [[0, 1, 2], 3]);
  clock.jump(499);
  await settle();
  assertEquals(got.length, 3);
  clock.jump(1);
  await settle();
  assertEquals([got, source.waiting], [[0, 1, 2, 3], 2]);
  server.abort();
  await settle();
  assertEquals([source.closed, clock.pending], [true, 0]);
});

const META = { name: "x".repeat(2_000) };

const VIOLATIONS: Record<string, {
  readonly options?: ServeOptions;
  readonly writes: readonly ((out: OutBuffer) => void)[];
  readonly code: string;
  readonly limit: LimitEvent["limit"];
  readonly value: number;
}> = {
  "a frame": {
    writes: [(out) => out.bytes(rawFrame({ type: FrameType.MSG, length: 262_141 }))],
    code: "FRAME_TOO_LARGE",
    limit: "maxFrameLength",
    value: 262_144,
  },
  "a message": {
    options: { limits: { maxMessageLength: 5_000 } },
    writes: [(out) => encodeMessageStart(out, 1, "", 5_001, new Uint8Array(4_096))],
    code: "FRAME_TOO_LARGE",
    limit: "maxMessageLength",
    value: 5_000,
  },
  "the input of a call": {
    options: { limits: { maxMessageLength: 5_000 } },
    writes: [(out) => call.encodeRequest(out, 1, 1, 0, "m", true, new Uint8Array(5_001))],
    code: "FRAME_TOO_LARGE",
    limit: "maxMessageLength",
    value: 5_000,
  },
  "metadata": {
    options: { limits: { maxMetadataLength: 1_024 } },
    writes: [(out) => encodeMessage(out, 1, "", EMPTY, META)],
    code: "FRAME_TOO_LARGE",
    limit: "maxMetadataLength",
    value: 1_024,
  },
  "the number of calls": {
    options: { limits: { maxInFlight: 2 }, methods: { m: () => new Promise(() => {}) } },
    writes: [1, 3, 5].map((id, n) => (out) =>
      call.encodeRequest(out, id, n + 1, 0, "m", true, EMPTY)
    ),
    code: "FLOOD",
    limit: "maxInFlight",
    value: 2,
  },
};

for (const [name, { options, writes, code, limit, value }] of Object.entries(VIOLATIONS)) {
  Deno.test(`serve() L4 tells of and counts ${name} beyond its limit, and ends the link`, async () => {
    await using world = await World.start(options);
    const peer = await world.open({ clientId: "ann" });
    const ann = world.server.peers.get("ann");
    await peer.send(...writes);
    await world.closed(peer, code);
    assertEquals(told(world), [{ limit, value, id: "ann" }]);
    assertEquals(ann?.stats.limits, { [limit]: 1 });
    assertEquals(world.server.stats().limits, { [limit]: 1 });
    const { error } = world.info();
    assert(error instanceof ProtocolError);
    assertEquals(error.limit, limit);
  });
}

Deno.test("serve() L4 tells of and counts limits of who has not registered", async () => {
  await using world = await World.start();
  const peer = await world.dial();
  await peer.send(
    encodeClientPreface,
    (out) => out.bytes(rawFrame({ type: FrameType.HELLO, length: 20_000 })),
  );
  await world.rejected(peer, "FRAME_TOO_LARGE");
  assertEquals(told(world), [{ limit: "maxFrameLength", value: 16_384, id: undefined }]);
  assertEquals(world.server.stats().limits, { maxFrameLength: 1 });
});

Deno.test("serve() L4 tells once of calls that it refuses for a limit, and counts each", async () => {
  await using world = await World.start({
    limits: { maxStreams: 1, maxMessageLength: 20_000 },
    methods: { m: () => new Promise(() => {}) },
  });
  const peer = await world.open({ clientId: "ann" });
  const body = new Uint8Array(20_000);
  let seq = 0;
  const request = (id: number, whole: boolean, input: Uint8Array) => (out: OutBuffer) =>
    call.encodeRequest(out, id, ++seq, 0, "m", whole, input);
  const uploads = [1, 3, 5, 7].map((id) => request(id, false, EMPTY));
  const inputs = [9, 11, 13, 15, 17].map((id) => request(id, true, body));
  await peer.send(...uploads, ...inputs);
  await world.sim.advance(0);
  const refused = peer.all(FrameType.ERROR).map(({ id }) => id);
  assertEquals(refused, [3, 5, 7, 13, 15, 17]);
  assertEquals(told(world), [
    { limit: "maxStreams", value: 1, id: "ann" },
    { limit: "maxMessageLength", value: 20_000, id: "ann" },
  ]);
  assertEquals(world.stats("ann").limits, { maxStreams: 3, maxMessageLength: 3 });
  await world.sim.advance(1_000);
  await peer.send(request(19, false, EMPTY));
  await world.sim.advance(0);
  assertEquals(told(world).length, 3);
  assertEquals(world.ends(), []);
});

Deno.test("connect() L4 tells of and counts limits that its server goes beyond", async () => {
  await using server = await WireServer.start();
  const { sim } = server;
  const events: ClientEvent[] = [];
  const opening = connect(server.addr, {
    runtime: sim,
    reconnect: false,
    onEvent: (event) => void events.push(event),
  });
  const peer = await sim.run(server.accept());
  await sim.run(peer.welcome());
  const client = await sim.run(opening);
  await peer.frame({ type: FrameType.MSG, length: 262_141 });
  assertEquals((await sim.run(client.closed)).code, "FRAME_TOO_LARGE");
  assertEquals(events.filter(({ type }) => type === "limit"), [
    { type: "limit", limit: "maxFrameLength", value: 262_144 },
  ]);
  assertEquals(client.stats.limits, { maxFrameLength: 1 });
});

Deno.test("send() and call() count what is beyond a limit by the caller's own doing, and tell no event", async () => {
  await using sim = new Simulation();
  const events: string[] = [];
  const note = ({ type }: { readonly type: string }) => void events.push(type);
  const server = await serve("tcp://server:9966", {
    runtime: sim,
    limits: { maxInFlight: 2, maxMessageLength: 5_000 },
    methods: { stuck: () => new Promise<Bytes>(() => {}), long: () => new Uint8Array(6_000) },
    onEvent: note,
  });
  const client = await sim.run(connect(server.addr, {
    runtime: sim,
    limits: { maxInFlight: 3, maxMessageLength: 5_500 },
    onEvent: note,
  }));
  events.length = 0;
  const error = await failure(client.send(new Uint8Array(5_501)));
  assert(error instanceof LimitError);
  // The server takes even less than the client would send, and answers more than the client takes.
  const tooLong = await sim.run(failure(client.call("stuck", new Uint8Array(5_100))));
  const answer = await sim.run(failure(client.call("long", EMPTY)));
  assertEquals([codeOf(tooLong), codeOf(answer)], ["RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"]);
  const calls = Array.from({ length: 6 }, () => failure(client.call("stuck", EMPTY)));
  await sim.advance(0);
  assertEquals(client.stats.limits, { maxMessageLength: 2, maxInFlight: 1 });
  assertEquals(first(server).stats.limits, { maxMessageLength: 1 });
  assertEquals(events, []);
  client.abort();
  await Promise.all(calls);
});

/** Messages that are there already, and those that the other end takes when it asks. */
class Messages implements MessageTransport {
  closed = false;
  readonly #messages: Bytes[] = [];
  #wake: (() => void) | undefined;

  /** Messages that nobody has asked for. */
  get waiting(): number {
    return this.#messages.length;
  }

  give(message: Bytes): void {
    this.#messages.push(message);
    this.#wake?.();
  }

  send(): void {}

  close(): void {
    this.closed = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes> {
    while (!this.closed) {
      const message = this.#messages.shift();
      if (message !== undefined) yield message;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

/** A client that has sent 20 seconds' worth at once. */
async function held(sim: Simulation) {
  const limits = { bytesPerSecond: 1_000 };
  const server = await serve("tcp://server:9966", { runtime: sim, limits });
  const client = await sim.run(connect(server.addr, { runtime: sim, reconnect: false }));
  client.trySend(new Uint8Array(20_000));
  await sim.advance(10);
  assertEquals(first(server).stats.limits, { bytesPerSecond: 1 });
  return { server, client };
}

function first(server: Server): ServerPeer {
  const [peer] = server.peers;
  assert(peer !== undefined, "There must be a client");
  return peer;
}

function codeOf(error: unknown): string {
  return error instanceof VnetError ? error.code : `${error}`;
}

/** Which limits were told of, and of whom. */
function told({ events }: World) {
  return events.flatMap((event) => {
    if (event.type !== "limit") return [];
    const { limit, value, peer } = event;
    return [{ limit, value, id: peer?.id }];
  });
}
