/**
 * What strangers send to a server that has a contract: each body is one typed error, and nothing reaches
 * a handler that its validator has not made.
 */
import { assert, assertEquals } from "@std/assert";
import type { Bytes, RpcError } from "@vgo/vnet";
import { contract, json, method, type Schema } from "@vgo/vnet/contract";
import { msgpack } from "@vgo/vnet/msgpack";
import { collector, drain, rpcError } from "../calls/_support.ts";
import { BODIES, GOOD, MISFITS, VALIDATORS } from "./_hostile.ts";
import { own, refused, strangerPair, utf8 } from "./_support.ts";

for (const serializer of [json(), msgpack()]) {
  const { name } = serializer;
  for (const [vendor, schema] of VALIDATORS) {
    Deno.test(`R15 ${name} and ${vendor}: each hostile body is one typed error, and no handler runs`, async () => {
      const { logger, errors } = collector();
      const ran: unknown[] = [];
      const api = contract({
        server: { order: method({ input: schema }), orders: method({ stream: schema }) },
        serializer,
      });
      const [stranger, server] = await strangerPair(api, {
        logger,
        methods: {
          order: (order) => void ran.push(order),
          orders: async (_input, { stream }) => {
            for await (const order of stream) ran.push(order);
          },
        },
      });
      const misfits = MISFITS.map(([what, value]) =>
        [what, new Uint8Array(serializer.serialize(value))] as const
      );
      for (const [what, body] of [...misfits, ...BODIES[name] ?? []]) {
        const error = await rpcError(stranger.call("order", body));
        assertEquals([error.code, error.executed], ["INVALID_ARGUMENT", "no"], what);
        assertBounded(error, what);
        const item = await rpcError(stranger.call("orders", undefined, { stream: [body] }));
        assertEquals([item.code, item.executed], ["INVALID_ARGUMENT", "yes"], what);
        assertBounded(item, what);
        assertEquals(ran, [], what);
      }
      // Nothing of it is the server's mistake, and the session goes on.
      assertEquals([errors, server.state, Reflect.get({}, "polluted")], [[], "open", undefined]);
      await stranger.call("order", encode(serializer.serialize, GOOD));
      assertEquals(ran, [GOOD]);
      await stranger.close();
    });
  }
}

Deno.test("R15 hostile answers and items are one typed error for the caller", async () => {
  for (const serializer of [json(), msgpack()]) {
    for (const [vendor, schema] of VALIDATORS) {
      const api = contract({
        client: { order: method({ output: schema }), orders: method({ yields: schema }) },
        serializer,
      });
      const [stranger, server] = await strangerPair(api);
      const bodies = BODIES[serializer.name] ?? [];
      for (const [what, body] of bodies) {
        using _order = stranger.handle("order", () => body);
        using _orders = stranger.handle("orders", async function* () {
          yield body;
        });
        const hint = `${serializer.name} ${vendor} ${what}`;
        const error = await rpcError(server.call("order"));
        assertEquals([error.code, error.executed], ["INTERNAL", "yes"], hint);
        const { items, end } = await drain(server.stream("orders"));
        assertEquals([items, Reflect.get(Object(end), "code")], [[], "INTERNAL"], hint);
      }
      assertEquals(server.state, "open");
      await stranger.close();
      await server.closed;
    }
  }
});

Deno.test("R15 a deep or wide body as large as a message may be does not end anything", async () => {
  const list: Schema<unknown[]> = own((value) =>
    Array.isArray(value) ? { value } : refused("Expected a list")
  );
  let ran = 0;
  const api = contract({ server: { f: method({ input: list, output: list }) } });
  const { logger, errors } = collector();
  const [stranger, server] = await strangerPair(api, {
    logger,
    limits: { maxMessageLength: 2 ** 20 },
    methods: { f: (input) => (ran++, input) },
  });
  const half = 2 ** 19;
  const whole = utf8("[".repeat(half) + "]".repeat(half));
  // A list like any other: what a handler gets is a value, and JSON can write it again.
  const answer = await stranger.call("f", whole).catch((error: RpcError) => error.code);
  assert(answer instanceof Uint8Array ? answer.length === 2 ** 20 : answer === "INTERNAL");
  assertEquals((await rpcError(stranger.call("f", utf8("[".repeat(2 ** 20))))).executed, "no");
  const wide = utf8(`[${"[],".repeat(2 ** 18)}[]]`);
  assertEquals((await stranger.call("f", wide)).length, wide.length);
  assertEquals([ran, server.state, errors.length <= 1], [2, "open", true]);
  await stranger.close();
});

/** No error is large, whatever it is about. */
function assertBounded(error: RpcError, what: string): void {
  assert(error.message.length < 400, what);
  assert(!(error.data instanceof Uint8Array) || error.data.length < 8_192, what);
}

function encode(serialize: (value: unknown) => Uint8Array, value: unknown): Bytes {
  return new Uint8Array(serialize(value));
}
