/**
 * Handshake faults (rows H6 and H8 to H10): what the two ends tell each other of themselves, what the
 * application's `register` makes of it, and a client whose server does not answer.
 */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import {
  Client,
  type ClientEvent,
  connect,
  ConnectError,
  type Decision,
  LimitError,
  type Registration,
  serve,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { FrameType } from "../../src/wire/constants.ts";
import * as handshake from "../../src/wire/handshake.ts";
import {
  encoded,
  failure,
  HELLO,
  LIMITS,
  utf8,
  WELCOME,
  WireClient,
} from "../_support/wire_client.ts";
import { WireServer } from "../_support/wire_server.ts";
import { World } from "../_support/world.ts";

const MAX = 2 ** 32 - 1;
const PREFACE = encoded(handshake.encodeClientPreface);

/** Limits that differ from good ones in some fields, and whether they may. */
const LIMIT_CASES: readonly [Partial<handshake.WireLimits>, boolean][] = [
  [{ maxFrame: 0 }, false],
  [{ maxFrame: 1 }, false],
  [{ maxFrame: 16_383 }, false],
  [{ maxFrame: 16_384 }, true],
  // Even the largest window is less than four such frames.
  [{ maxFrame: MAX, recvBytes: MAX }, false],
  [{ maxMessage: 0 }, false],
  [{ maxMessage: 1 }, true],
  [{ maxMessage: MAX }, true],
  [{ recvBytes: 0 }, false],
  [{ recvBytes: 1 }, false],
  [{ recvBytes: 4 * 262_144 - 1 }, false],
  [{ recvBytes: MAX }, true],
  [{ maxCalls: 1 }, true],
  [{ maxCalls: MAX }, true],
  [{ maxStreams: 1 }, false],
  [{ maxStreams: MAX, streamBytes: 1 }, false],
  [{ maxStreams: MAX, streamBytes: MAX }, true],
  [{ streamBytes: 1 }, true],
  [{ maxMetadata: 0 }, true],
  [{ maxMetadata: MAX }, true],
  [{ heartbeatMs: 1 }, false],
  [{ heartbeatMs: 99 }, false],
  [{ heartbeatMs: MAX }, true],
  [{ ttlMs: MAX }, true],
  [{ features: MAX }, true],
];

Deno.test("serve() H6 takes limits or rejects them, at every edge", async () => {
  await using world = await World.start();
  for (const [limits, fine] of LIMIT_CASES) {
    const peer = await world.dial();
    await peer.send(
      (out) => out.bytes(PREFACE),
      (out) => handshake.encodeHello(out, { ...HELLO, limits: { ...LIMITS, ...limits } }),
    );
    if (!fine) await world.rejected(peer, "BAD_LIMITS");
    else {
      assertEquals((await peer.next()).type, FrameType.WELCOME, JSON.stringify(limits));
      peer.close();
      await world.sim.advance(0);
      await world.undisturbed();
    }
    world.events.length = 0;
  }
});

Deno.test("serve() H6 keeps to the smallest limits, and drops what does not fit them", async () => {
  await using world = await World.start();
  const limits = { ...LIMITS, maxFrame: 16_384, recvBytes: 65_536, maxMessage: 40_000 };
  const peer = await world.open({ clientId: "ann", limits });
  await world.server.push("ann", new Uint8Array(40_001));
  await world.server.push("ann", new Uint8Array(40_000).fill(7));
  await world.server.push("ann", utf8("next"));
  let size = 0;
  while (size < 40_000) {
    const { body, flags } = await peer.next(FrameType.MSG);
    assert(body.length + 16 <= 16_384);
    size += body.length - (size === 0 ? 6 : 0);
    assertEquals(flags !== 0, size < 40_000);
  }
  assertEquals((await peer.next(FrameType.MSG)).body.subarray(2), utf8("next"));
  assertEquals(world.stats("ann").dropped, 1);
  const errors = world.errors();
  assertEquals(errors.length, 1);
  assertInstanceOf(errors[0], LimitError);
  assertEquals([errors[0].code, errors[0].initiator], ["TOO_LARGE", "remote"]);
});

Deno.test("serve() H6 is not ended by what a client's limits forbid, though nobody watches", async () => {
  await using sim = new Simulation();
  const server = await serve("tcp://0.0.0.0:9966", { runtime: sim, heartbeat: false });
  const peer = new WireClient(await sim.dial(server.addr));
  await peer.open({ clientId: "ann", limits: { ...LIMITS, maxMessage: 1 } });
  assertEquals(await server.broadcast(utf8("xx")), {
    sent: 1,
    queued: 0,
    skipped: 0,
    acked: [],
    missing: [],
  });
  await server.broadcast(utf8("y"));
  assertEquals((await peer.next(FrameType.MSG)).body, Uint8Array.of(0, 0, 121));
  assertEquals(server.peers.get("ann")?.stats.dropped, 1);
  peer.close();
});

Deno.test("connect() H6 closes on bad limits of the server", async () => {
  for (const [limits, fine] of LIMIT_CASES) {
    await using server = await WireServer.start();
    const client = new Client(server.addr, { runtime: server.sim, reconnect: false });
    const peer = await server.accept();
    await peer.next(FrameType.HELLO);
    await peer.send(
      (out) => handshake.encodeServerPreface(out, 1),
      (out) => handshake.encodeWelcome(out, { ...WELCOME, limits: { ...LIMITS, ...limits } }),
    );
    if (fine) {
      await client.opened;
      client.abort();
    } else {
      const error = await server.sim.run(failure(client.opened));
      assertInstanceOf(error, ConnectError);
      assertEquals([error.code, error.initiator], ["BAD_LIMITS", "remote"]);
      assertEquals((await server.sim.run(client.closed)).code, "BAD_LIMITS");
      assertEquals(peer.frames.map(({ type }) => type), [FrameType.HELLO]);
    }
  }
});

/** Ids, and whether a client may have them. */
const IDS: readonly [string, boolean][] = [
  ["a", true],
  ["__proto__", true],
  ["Ärger 🙂", true],
  ["x".repeat(255), true],
  ["x".repeat(256), false],
  ["ä".repeat(128), false],
  ["ann\0", false],
  // As the fourth seed sent them: padded to a fixed size.
  [`ann${"\0".repeat(29)}`, false],
  ["\0", false],
  ["a\nb", false],
  ["\x1b[31m", false],
  ["a\x7f", false],
  ["a\x85", false],
];

Deno.test("serve() H8 takes an id as it is, or refuses it", async () => {
  await using world = await World.start();
  for (const [id, fine] of IDS) {
    const peer = await world.dial();
    await peer.send((out) => out.bytes(PREFACE), (out) => out.bytes(helloFor(id)));
    if (!fine) await world.rejected(peer, "CLIENT_ID_INVALID");
    else {
      const { body } = await peer.next(FrameType.WELCOME);
      assertEquals(handshake.decodeWelcome(body, 0, body.length).id, id);
      assertEquals(world.server.peers.get(id)?.id, id);
      peer.close();
      await world.sim.advance(0);
      await world.undisturbed();
    }
    world.events.length = 0;
  }
});

Deno.test("serve() H8 gives an id of its own to each client that asks for none", async () => {
  await using world = await World.start();
  const ids = new Set<string>();
  for (let i = 0; i < 100; i++) ids.add((await world.sim.run((await world.dial()).open())).id);
  assertEquals(ids.size, 100);
  assert(!ids.has(""));
  for (const id of ids) assertEquals(world.server.peers.get(id)?.id, id);
});

Deno.test("connect() H8 refuses an id that no server would take, before it dials", async () => {
  await using server = await WireServer.start();
  for (const [id, fine] of IDS) {
    if (fine) continue;
    assertThrows(() => new Client(server.addr, { runtime: server.sim, id }), RangeError, "'id'");
  }
  assertThrows(
    () => new Client(server.addr, { runtime: server.sim, metadata: { Upper: "x" } }),
    TypeError,
    "metadata",
  );
  assertThrows(
    () => new Client(server.addr, { runtime: server.sim, auth: "x".repeat(20_000) }),
    RangeError,
  );
  await server.sim.advance(0);
  assertEquals(server.sim.links.length, 0);
});

Deno.test("connect() H8 fails with a typed error when its credential does not fit", async () => {
  await using server = await WireServer.start();
  const failed = failure(connect(server.addr, {
    runtime: server.sim,
    reconnect: false,
    auth: () => "x".repeat(20_000),
  }));
  const peer = await server.accept();
  const error = await server.sim.run(failed);
  assertInstanceOf(error, ConnectError);
  assertEquals([error.code, error.initiator], ["INTERNAL", "local"]);
  assertInstanceOf(error.cause, RangeError);
  assertEquals([await peer.ended, peer.bytesIn], ["eof", 0]);
});

Deno.test("serve() H9 rejects, without a session, when 'register' throws or says no", async () => {
  const hooks: Record<string, () => Decision<undefined> | Promise<Decision<undefined>>> = {
    "AUTH_FAILED": () => false,
    "AUTH_FAILED later": () => Promise.resolve(false),
    "CLIENT_ID_IN_USE": () => ({ reject: "CLIENT_ID_IN_USE", reason: "own", retryAfter: 1_500 }),
    "INTERNAL": () => {
      throw new Error("secret detail");
    },
    "INTERNAL later": () => Promise.reject(new Error("secret detail")),
    "INTERNAL for a bad id": () => ({ id: "a\0b" }),
    "INTERNAL for no id": () => ({ id: "" }),
  };
  for (const [name, hook] of Object.entries(hooks)) {
    await using world = await World.start({
      register: ({ id }) => id === "witness" ? true : hook(),
    });
    const peer = await world.dial();
    await peer.send((out) => out.bytes(PREFACE), (out) => handshake.encodeHello(out, HELLO));
    const [code = ""] = name.split(" ");
    await world.sim.run(peer.ended);
    const errors = world.errors();
    assertEquals(errors.length, code === "INTERNAL" ? 1 : 0, name);
    world.events.splice(
      0,
      world.events.length,
      ...world.events.filter((it) => it.type !== "error"),
    );
    await world.rejected(peer, code);
    const { aux, body } = peer.frames[0] ?? { aux: 0, body: new Uint8Array(0) };
    const { reason, retryAfter } = handshake.decodeReject(aux, body, 0, body.length);
    assert(!reason.includes("secret"), reason);
    assertEquals(retryAfter, code === "CLIENT_ID_IN_USE" ? 1_500 : 0);
    assertEquals(world.server.stats().total, 1, name);
  }
});

Deno.test("Registration.authEquals() H9 takes the whole secret and nothing else", async () => {
  const shown = ["", "s", "s3cre", "s3cret", "s3cret\0", "s3crets3cret", "S3cret", "x".repeat(300)];
  for (const secret of ["s3cret", new TextEncoder().encode("s3cret")]) {
    const letIn: string[] = [];
    for (const auth of shown) {
      await using world = await World.start({
        register: ({ id, authEquals }) => id === "witness" || authEquals(secret),
      });
      const { sim, server } = world;
      await sim.run(
        connect(server.addr, { runtime: sim, auth, reconnect: false }).then(
          () => letIn.push(auth),
          (error) => assertEquals(error.code, "AUTH_FAILED", auth),
        ),
      );
    }
    assertEquals(letIn, ["s3cret"]);
  }
  await using world = await World.start({
    register: ({ id, authEquals }) => id === "witness" || authEquals(""),
  });
  const { sim, server } = world;
  await sim.run(connect(server.addr, { runtime: sim }));
});

Deno.test("serve() H9 gives up on a 'register' that hangs, and ignores what it says later", async () => {
  const late = Promise.withResolvers<boolean>();
  const asked: Registration[] = [];
  await using world = await World.start({
    duplicateId: "replace",
    register: (request) => {
      asked.push(request);
      if (asked.length === 1) return true;
      return late.promise;
    },
  });
  const peer = await world.dial();
  // The owner of the id must not be robbed of it by one that is gone.
  await peer.send((out) => out.bytes(PREFACE), (out) => out.bytes(helloFor("witness")));
  await world.sim.advance(4_999);
  assertEquals([asked[1]?.signal.aborted, peer.end], [false, undefined]);
  await world.sim.advance(1);
  await world.rejected(peer, "HANDSHAKE_TIMEOUT");
  assertEquals(asked[1]?.signal.aborted, true);
  late.resolve(true);
  await world.sim.advance(10_000);
  await world.undisturbed();
  assertEquals(world.server.stats().total, 1);
});

Deno.test("connect() H10 times out, backs off, and never dials in a busy loop", async () => {
  const servers: Record<string, (server: WireServer) => Promise<unknown>> = {
    "accepts and is silent": (server) => server.accept(),
    "accepts and closes": async (server) => (await server.accept()).close(),
    "accepts and resets": async (server) => {
      await server.accept();
      server.sim.links.at(-1)?.cut();
    },
    "closes during the handshake": async (server) => {
      const peer = await server.accept();
      await peer.next(FrameType.HELLO);
      await peer.send((out) => handshake.encodeServerPreface(out, 1));
      peer.close();
    },
  };
  for (const [name, serveOne] of Object.entries(servers)) {
    for (let seed = 1; seed <= 5; seed++) {
      await using server = await WireServer.start({ seed });
      const events: ClientEvent[] = [];
      const client = new Client(server.addr, {
        runtime: server.sim,
        onEvent: (event) => events.push(event),
      });
      client.opened.catch(() => {});
      let over = false;
      (async () => {
        while (!over) await serveOne(server);
      })().catch(() => {});
      await server.sim.advance(60_000);
      over = true;
      const where = `${name}, seed ${seed}`;
      const silent = name.endsWith("silent");
      const dials = events.filter(({ type }) => type === "dial").length;
      const waits = events.flatMap((event) => event.type === "wait" ? [event] : []);
      assert(dials >= 5, `${dials} dials: ${where}`);
      assert(waits.length >= dials - 1, `${dials} dials, ${waits.length} waits: ${where}`);
      for (const [index, { delay, attempt, error }] of waits.entries()) {
        assertEquals(attempt, index + 1);
        assert(delay >= 50 && delay <= Math.min(10_000, 1_000 * 2 ** index), `${delay}: ${where}`);
        assertEquals(error.code, silent ? "HANDSHAKE_TIMEOUT" : "LINK_LOST", where);
      }
      client.abort();
      await client.closed;
      await server.sim.advance(20_000);
      for (const peer of server.peers) peer.close();
      await server.sim.advance(0);
      assertEquals([server.sim.links.length, server.sim.clock.pending], [0, 0], where);
    }
  }
});

/** A HELLO for any id, also for one that the encoder would refuse. */
function helloFor(id: string): Uint8Array {
  const [start, rest] = [16 + 40, 16 + 42];
  const hello = encoded((out) => handshake.encodeHello(out, HELLO));
  const name = utf8(id);
  const frame = Uint8Array.of(
    ...hello.subarray(0, start),
    name.length >>> 8,
    name.length & 255,
    ...name,
    ...hello.subarray(rest),
  );
  new DataView(frame.buffer).setUint32(0, frame.length - 4);
  return frame;
}
