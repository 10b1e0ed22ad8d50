/** Messages under a contract, from one end to the other: checked on both, in order, by either door. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type AnyContract,
  attach,
  type Bytes,
  connect,
  type Interceptor,
  LimitError,
  type MessageOf,
  type Peer,
  ProtocolError,
  type SendOptions,
  serve,
  type Server,
  type ServerPeer,
  type Untyped,
} from "@vgo/vnet";
import { bytes, contract, json, message, method, type } from "@vgo/vnet/contract";
import { msgpack } from "@vgo/vnet/msgpack";
import { memoryPair, Simulation } from "@vgo/vnet/testing";
import { ADDRESS } from "../client/_support.ts";
import { taken } from "../../src/peer/trust.ts";
import { collector, type Json, type JsonPeer, settle } from "../calls/_support.ts";
import { BODIES, GOOD, MISFITS, VALIDATORS } from "./_hostile.ts";
import { contractPair, doubled, jsonBytes, own, refused, strangerPair, utf8 } from "./_support.ts";

/** As `doubled`, but the larger the number the sooner the answer. */
function doubledSoon() {
  return own<number>(async (value) => {
    if (typeof value !== "number") return refused("Expected a number");
    for (let turns = 20 - value; turns > 0; turns--) await Promise.resolve();
    return { value: value * 2 };
  });
}

/** Both ends understand the same. */
function bothWays() {
  const api = {
    now: message(doubled()),
    later: message(doubledSoon()),
    raw: message(bytes()),
    any: message(type<unknown>()),
    ["__proto__"]: message(doubled()),
  };
  return contract({ server: api, client: api });
}

/** A server of a contract, and a client that knows none and sends what it likes. */
interface Visited extends AsyncDisposable {
  readonly stranger: Peer<Untyped<Bytes>["server"], Untyped<Bytes>["client"]>;
  /** What the server was told of. */
  readonly errors: unknown[];
  /** Resolves when all that was sent has been seen to. */
  settled(): Promise<void>;
  /** Whether the session goes on. */
  readonly open: boolean;
}

/** Its messages go to `onMessage`. */
async function visited<C extends AnyContract>(
  contract: C,
  onMessage: (message: MessageOf<C["server"]>) => unknown,
): Promise<Visited> {
  const errors: unknown[] = [];
  const server = await serve<C>([], {
    contract,
    onMessage,
    onEvent: (event) => void (event.type === "error" && errors.push(event.error)),
  });
  const [here, there] = memoryPair();
  const [stranger, peer] = await Promise.all([
    attach<"client", Untyped<Bytes>>(here, { side: "client" }),
    server.attach(there),
  ]);
  return {
    stranger,
    errors,
    async settled() {
      await stranger.ping();
      await settle();
    },
    get open() {
      return peer.state === "open";
    },
    async [Symbol.asyncDispose]() {
      await stranger.close();
      await server.close();
    },
  };
}

Deno.test("send() checks on both ends, sends the original, and hands out what arrives as validated", async () => {
  const now = doubled();
  const later = doubledSoon();
  const api = contract({ server: { now: message(now) }, client: { later: message(later) } });
  const got: unknown[] = [];
  const [client, server] = await contractPair(
    api,
    { onMessage: ({ topic, body }) => void got.push([topic, body.toFixed()]) },
    { onMessage: ({ topic, body }) => void got.push([topic, body.toFixed()]) },
  );
  await client.send(5, { topic: "now" });
  await client.ping();
  await server.send(7, { topic: "later" });
  await server.ping();
  await settle();
  assertEquals(got, [["now", "10"], ["later", "14"]]);
  assertEquals([now.asked, later.asked], [2, 2]);
  await client.close();
});

for (const door of ["onMessage", "messages"] as const) {
  Deno.test(`messages keep their order whatever their checks take, on both ends: ${door}`, async () => {
    const api = bothWays();
    const got: unknown[] = [];
    const [client, server] = await contractPair(
      api,
      door === "onMessage" ? { onMessage: ({ topic, body }) => void got.push([topic, body]) } : {},
    );
    const sent: Promise<void>[] = [];
    const expected: unknown[] = [];
    for (let n = 0; n < 20; n++) {
      sent.push(
        n % 3 === 0
          ? client.send(n, { topic: "now" })
          : n % 3 === 1
          ? client.send(n, { topic: "later" })
          : client.send(n, { topic: "any" }),
      );
      expected.push([n % 3 === 0 ? "now" : n % 3 === 1 ? "later" : "any", n % 3 === 2 ? n : 2 * n]);
    }
    await Promise.all(sent);
    const closed = client.close();
    if (door === "messages") {
      for await (const { topic, body } of server.messages) got.push([topic, body]);
    }
    await Promise.all([closed, server.closed]);
    await settle();
    assertEquals(got, expected);
  });
}

Deno.test("messages narrows by topic, and one that does not fit is passed over", async () => {
  const { logger, errors } = collector();
  const [stranger, server] = await strangerPair(bothWays(), { logger });
  const bodies: [string, Bytes][] = [
    ["now", jsonBytes("x")],
    ["now", jsonBytes(1)],
    ["later", jsonBytes("x")],
    ["later", jsonBytes(2)],
    ["raw", utf8("{")],
    ["nope", jsonBytes(3)],
    ["any", jsonBytes({ a: 1 })],
    ["__proto__", jsonBytes(4)],
  ];
  for (const [topic, body] of bodies) await stranger.send(body, { topic });
  const got: unknown[] = [];
  for await (const message of server.messages) {
    switch (message.topic) {
      case "now":
      case "later":
      case "__proto__":
        got.push(message.body.toFixed());
        break;
      case "raw":
        got.push(message.body.length);
        break;
      case "any":
        got.push(message.body);
    }
    if (message.topic === "__proto__") break;
  }
  assertEquals(got, ["2", "4", 1, { a: 1 }, "8"]);
  assertEquals([errors.length, server.state, server.stats.dropped], [3, "open", 3]);
  await stranger.close();
});

Deno.test("send() what does not fit does not leave, and neither does what goes under no topic", async () => {
  const [client, server] = await contractPair(bothWays());
  const words = "Cannot send message 'now' as it must fit the contract: 'n': Expected a number";
  const untyped: JsonPeer = taken(client);
  const error = await assertRejects(() => untyped.send("x", { topic: "now" }), TypeError, words);
  assertEquals(error.cause, [{ message: "Expected a number", path: ["n"] }]);
  await assertRejects(() => untyped.send("x", { topic: "later" }), TypeError, "'later'");
  await assertRejects(() => untyped.send(1), TypeError, "has no topic");
  for (const topic of ["", "nope", "toString"]) {
    await assertRejects(() => untyped.send(1, { topic }), TypeError, "has no topic");
  }
  await assertRejects(() => untyped.send("no bytes", { topic: "raw" }), TypeError, "'raw'");
  await assertRejects(() => client.send(() => {}, { topic: "any" }), TypeError);
  await client.ping();
  assertEquals([client.stats.messagesOut, server.stats.messagesIn], [0, 0]);
  // What waited behind them goes.
  const late = untyped.send("x", { topic: "later" });
  const good = client.send(1, { topic: "now" });
  await assertRejects(() => late, TypeError);
  await good;
  await client.ping();
  assertEquals(server.stats.messagesIn, 1);
  await client.close();
});

Deno.test("bytes() go beside JSON and MessagePack as they are", async () => {
  for (const serializer of [json(), msgpack()]) {
    const api = contract({
      server: { raw: message(bytes()), any: message(type<unknown>()) },
      serializer,
    });
    const got: unknown[] = [];
    const [client] = await contractPair(api, {
      onMessage: (message) => void got.push(message.topic === "raw" ? message.body : message.body),
    });
    for (const body of [new Uint8Array(0), utf8("{"), Uint8Array.of(0xc1, 0, 255)]) {
      await client.send(body, { topic: "raw" });
      await client.send({ n: body.length }, { topic: "any" });
    }
    await client.ping();
    assertEquals(got, [
      new Uint8Array(0),
      { n: 0 },
      utf8("{"),
      { n: 1 },
      Uint8Array.of(0xc1, 0, 255),
      { n: 3 },
    ], serializer.name);
    await client.close();
  }
});

Deno.test("trySend() checks what can be checked at once, and never lets one overtake another", async () => {
  const [client, server] = await contractPair(bothWays());
  assertEquals(client.trySend(1, { topic: "now" }), "sent");
  const untyped: JsonPeer = taken(client);
  assertThrows(() => untyped.trySend("x", { topic: "now" }), TypeError, "'n': Expected a number");
  assertThrows(() => untyped.trySend(1, { topic: "nope" }), TypeError, "has no topic");
  assertThrows(() => client.trySend(1, { topic: "later" }), TypeError, "use send");
  const slow = client.send(2, { topic: "later" });
  assertEquals(client.trySend(3, { topic: "now" }), "full");
  await slow;
  await settle();
  assertEquals(client.trySend(3, { topic: "now" }), "sent");
  await client.ping();
  assertEquals(server.stats.messagesIn, 3);
  await client.close();
});

Deno.test("messages that wait for their check are bounded", async () => {
  const hold = Promise.withResolvers<void>();
  const held = own<number>(async (value) => {
    await hold.promise;
    return typeof value === "number" ? { value } : refused("Expected a number");
  });
  const api = contract({ server: { held: message(held) } });
  const limits = { maxInFlight: 4 };
  const [client, server] = await contractPair(api, {}, { limits });
  const sent = Array.from({ length: 4 }, (_, n) => client.send(n, { topic: "held" }));
  const error = await assertRejects(() => client.send(5, { topic: "held" }), LimitError);
  assertEquals([error.code, error.limit], ["QUEUE_FULL", "maxInFlight"]);
  hold.resolve();
  await Promise.all(sent);
  await client.send(6, { topic: "held" });
  await client.ping();
  assertEquals(server.stats.messagesIn, 5);
  await client.close();
});

Deno.test("push() and broadcast() are checked once, and keep their order", async () => {
  await using sim = new Simulation();
  const now = doubled();
  const later = doubledSoon();
  const api = contract({ client: { now: message(now), later: message(later) } });
  const server = await serve(ADDRESS, { runtime: sim, contract: api });
  const got: unknown[][] = [[], []];
  const clients = [];
  for (const [index, list] of got.entries()) {
    clients.push(
      await sim.run(
        connect(ADDRESS, {
          runtime: sim,
          contract: api,
          id: `${index}`,
          onMessage: ({ topic, body }) => void list.push(`${topic} ${body}`),
        }),
      ),
    );
  }
  const all = [
    server.broadcast(1, { topic: "later" }),
    server.broadcast(2, { topic: "now" }),
    server.broadcast(18, { topic: "later" }),
  ];
  const pushed = server.push("1", 3, { topic: "now" });
  assertEquals((await sim.run(Promise.all(all))).map(({ sent, queued }) => sent + queued), [
    2,
    2,
    2,
  ]);
  assertEquals(await sim.run(pushed), true);
  assertEquals(await sim.run(server.push("nobody", 3, { topic: "now" })), false);
  await sim.advance(100);
  assertEquals(got, [["later 2", "now 4", "later 36"], ["later 2", "now 4", "later 36", "now 6"]]);
  // Once here for both of them, and once there: 2 broadcasts by 3, and 1 and 2 of the pushes.
  assertEquals([later.asked, now.asked], [6, 3 + 3]);

  const untyped: Server<Json> = taken(server);
  const tellers: ((body: unknown, options?: SendOptions) => Promise<unknown>)[] = [
    (body, options) => untyped.push("1", body, options),
    (body, options) => untyped.broadcast(body, options),
  ];
  for (const tell of tellers) {
    await assertRejects(() => tell("x", { topic: "now" }), TypeError, "'n': Expected");
    await assertRejects(() => sim.run(tell("x", { topic: "later" })), TypeError, "'later'");
    await assertRejects(() => tell(1, { topic: "nope" }), TypeError, "has no topic");
    await assertRejects(() => tell(1), TypeError, "has no topic");
  }
  await sim.advance(100);
  assertEquals(got.flat().length, 7);
  await sim.run(server.close());
});

for (const serializer of [json(), msgpack()]) {
  const { name } = serializer;
  for (const [vendor, schema] of VALIDATORS) {
    Deno.test(`R15 ${name} and ${vendor}: each hostile message is one error where it arrives, and reaches nobody`, async () => {
      const got: unknown[] = [];
      const api = contract({ server: { order: message(schema) }, serializer });
      await using visit = await visited(api, ({ body }) => void got.push(body));
      const { stranger, errors } = visit;
      const misfits = MISFITS.map(([what, value]) =>
        [what, new Uint8Array(serializer.serialize(value))] as const
      );
      for (const [what, body] of [...misfits, ...BODIES[name] ?? []]) {
        await stranger.send(body, { topic: "order" });
        await visit.settled();
        const [error, ...more] = errors.splice(0);
        assert(error instanceof ProtocolError && more.length === 0, what);
        const { cause, message } = error;
        assert(cause instanceof Error && `${message}${cause.message}`.length < 600, what);
        assertEquals(got, [], what);
      }
      assertEquals([visit.open, Reflect.get({}, "polluted")], [true, undefined]);
      await stranger.send(new Uint8Array(serializer.serialize(GOOD)), { topic: "order" });
      await visit.settled();
      assertEquals([got, errors], [[GOOD], []]);
    });
  }
}

Deno.test("R15 a topic that the contract does not have is one error, whatever it is called", async () => {
  const got: unknown[] = [];
  const api = contract({
    server: { f: method(), said: message(type<number>()) },
    client: { told: message(type<number>()) },
  });
  await using visit = await visited(api, ({ topic }) => void got.push(topic));
  const { stranger, errors } = visit;
  const topics = ["", "f", "told", "__proto__", "constructor", "toString", "said ", "Said"];
  for (const topic of topics) await stranger.send(jsonBytes(1), { topic });
  await stranger.send(jsonBytes(1), { topic: "said" });
  await visit.settled();
  assertEquals([got, errors.length, visit.open], [["said"], topics.length, true]);
  for (const error of errors) {
    assert(error instanceof ProtocolError && error.cause instanceof TypeError);
    assert(error.cause.message.includes("has no topic"), error.cause.message);
  }
});

Deno.test("a validator of messages that fails itself is told, and the next message is taken", async () => {
  for (const how of ["throws", "rejects"] as const) {
    const got: unknown[] = [];
    const failing = own<number>((value) => {
      if (value === 7) return { value };
      if (how === "throws") throw new Error("broken");
      return Promise.reject(new Error("broken"));
    });
    const api = contract({ server: { f: message(failing) } });
    await using visit = await visited(api, ({ body }) => void got.push(body));
    const { stranger, errors } = visit;
    await stranger.send(jsonBytes(1), { topic: "f" });
    await stranger.send(jsonBytes(7), { topic: "f" });
    await visit.settled();
    const [error] = errors;
    assert(error instanceof ProtocolError && error.cause instanceof Error);
    assertEquals([error.cause.message, got, errors.length], ["broken", [7], 1]);
    assertEquals(visit.open, true);
    const [client] = await contractPair(api);
    await assertRejects(() => client.send(1, { topic: "f" }), Error, "broken");
    await client.close();
  }
});

Deno.test("what is being checked when its sender leaves still arrives, before the end is told", async () => {
  await using sim = new Simulation();
  const slow = own<string>(async (value) => {
    await sim.sleep(500);
    return typeof value === "string" ? { value } : refused("Expected a text");
  });
  const log: string[] = [];
  const api = contract({ server: { say: message(slow) } });
  const server = await serve(ADDRESS, {
    runtime: sim,
    contract: api,
    onMessage: ({ body }) => void log.push(body),
    onDisconnect: ({ code }) => void log.push(code),
  });
  const client = await sim.run(connect(ADDRESS, { runtime: sim, contract: api }));
  for (const text of ["one", "two"]) await sim.run(client.send(text, { topic: "say" }));
  await sim.run(client.close());
  await sim.advance(5_000);
  assertEquals(log, ["one", "two", "NORMAL"]);
  await sim.run(server.close());
});

Deno.test("a check that takes time holds the sender back, as a handler does", async () => {
  await using sim = new Simulation();
  const slow = own<string>(async (value) => {
    await sim.sleep(10);
    return typeof value === "string" ? { value } : refused("Expected a text");
  });
  const checked = contract({ server: { say: message(slow) } });
  const from = new Set<ServerPeer<typeof checked>>();
  let got = 0;
  const server = await serve(ADDRESS, {
    runtime: sim,
    contract: checked,
    onMessage: (_message, peer) => void (from.add(peer), got++),
  });
  // The sender checks nothing, so that only the receiver is slow.
  const loose = contract({ server: { say: message(type<string>()) } });
  const client = await sim.run(connect(ADDRESS, { runtime: sim, contract: loose }));
  const body = "x".repeat(16_384);
  let sent = 0;
  const sending = (async () => {
    for (; sent < 200; sent++) await client.send(body, { topic: "say" });
  })();
  await sim.advance(100);
  assert(got <= 10 && sent < 200, `${got} came of ${sent}`);
  await sim.run(sending);
  await sim.advance(5_000);
  assertEquals([got, from.size], [200, 1]);
  await sim.run(server.close());
});

Deno.test("Interceptor.send() sees the original and receive() what was made of it", async () => {
  const seen: unknown[] = [];
  const interceptor: Interceptor = {
    send(message, next) {
      seen.push(`send ${message.topic} ${message.body}`);
      return next(message.body === 3 ? { ...message, body: "three" } : message);
    },
    receive(message, next) {
      seen.push(`receive ${message.topic} ${message.body}`);
      return next();
    },
  };
  const options = { interceptors: [interceptor] };
  const [client] = await contractPair(
    bothWays(),
    { ...options, onMessage: ({ body }) => void seen.push(`got ${body}`) },
    options,
  );
  await client.send(1, { topic: "now" });
  await client.ping();
  await client.send(2, { topic: "later" });
  await client.ping();
  await settle();
  await assertRejects(() => client.send(3, { topic: "now" }), TypeError, "Expected a number");
  await client.ping();
  await settle();
  assertEquals(seen, [
    "send now 1",
    "receive now 2",
    "got 2",
    "send later 2",
    "receive later 4",
    "got 4",
    "send now 3",
  ]);
  await client.close();
});
