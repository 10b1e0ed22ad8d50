/** Interceptors: in order, on both sides, for calls, streams and messages. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { connect, type IncomingCall, type Interceptor, RpcError, serve } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { ADDRESS } from "../client/_support.ts";
import { makeWorld } from "../calls/_support.ts";

/** Writes down what passes, before and after. */
function logged(name: string, log: string[]): Interceptor {
  return {
    async call(call, next) {
      log.push(`${name} call ${call.method} ${call.peer.side}`);
      const result = await next(call);
      log.push(`${name} called`);
      return result;
    },
    stream(call, next) {
      log.push(`${name} stream ${call.method}`);
      return next(call);
    },
    async handle(call, next) {
      log.push(`${name} handle ${call.method} ${call.input}`);
      const result = await next();
      log.push(`${name} handled`);
      return result;
    },
    send(message, next) {
      log.push(`${name} send ${message.body} ${message.peer?.side}`);
      return next(message);
    },
    receive(message, next) {
      log.push(`${name} receive ${message.body} ${message.peer.side}`);
      return next();
    },
  };
}

Deno.test("Interceptor.call() and handle() stand in the order of their list, outermost first", async () => {
  const log: string[] = [];
  await using world = await makeWorld({
    client: { interceptors: [logged("c1", log), logged("c2", log)] },
    server: {
      interceptors: [logged("s1", log), {}, logged("s2", log)],
      methods: { double: (n) => Number(n) * 2 },
    },
  });
  assertEquals(await world.run(world.client.call("double", 4)), 8);
  assertEquals(log, [
    "c1 call double client",
    "c2 call double client",
    "s1 handle double 4",
    "s2 handle double 4",
    "s2 handled",
    "s1 handled",
    "c2 called",
    "c1 called",
  ]);
});

Deno.test("Interceptor.call() may change, answer, refuse and repeat a call", async () => {
  let ran = 0;
  await using world = await makeWorld({
    server: {
      methods: {
        echo: (input, { metadata }) => [input, metadata.from],
        flaky: () => {
          if (++ran < 3) throw new RpcError("UNAVAILABLE", "not yet");
          return ran;
        },
      },
    },
    client: {
      interceptors: [{
        async call(call, next) {
          if (call.method === "cached") return "from the cache";
          if (call.method === "forbidden") throw new RpcError("PERMISSION_DENIED");
          for (let tries = 1;; tries++) {
            try {
              return await next({ ...call, metadata: { from: "here" } });
            } catch (error) {
              if (tries === 3 || !(error instanceof RpcError)) throw error;
            }
          }
        },
      }],
    },
  });
  const { client, run } = world;
  assertEquals(await run(client.call("echo", 1)), [1, "here"]);
  assertEquals(await run(client.call("cached")), "from the cache");
  assertEquals(await run(client.call("flaky")), 3);
  const error = await assertRejects(() => run(client.call("forbidden")), RpcError);
  assertEquals(error.code, "PERMISSION_DENIED");
});

Deno.test("Interceptor.handle() may refuse, and hands the handler the call it saw", async () => {
  const users = new WeakMap<object, string>();
  const auth: Interceptor = {
    async handle(call: IncomingCall, next) {
      const user = call.metadata["user"];
      if (user === undefined) throw new RpcError("UNAUTHENTICATED", "Who are you");
      users.set(call, user);
      return await next();
    },
  };
  await using world = await makeWorld({
    server: { interceptors: [auth], methods: { me: (_input, call) => users.get(call) } },
  });
  const { client, run } = world;
  assertEquals(await run(client.call("me", undefined, { metadata: { user: "ann" } })), "ann");
  const error = await assertRejects(() => run(client.call("me")), RpcError, "Who are you");
  // Its handler was not called.
  assertEquals([error.code, error.executed], ["UNAUTHENTICATED", "no"]);
});

Deno.test("Interceptor.handle() sees the items of a stream, and may change them", async () => {
  const shout: Interceptor = {
    async handle(_call, next) {
      const items = await next();
      if (typeof items !== "object" || items === null || !(Symbol.asyncIterator in items)) {
        return items;
      }
      return louder(items as AsyncIterable<unknown>);
    },
  };
  const log: string[] = [];
  await using world = await makeWorld({
    client: { interceptors: [logged("c", log)] },
    server: {
      interceptors: [shout],
      methods: {
        async *words() {
          yield "a";
          await Promise.resolve();
          yield "b";
        },
      },
    },
  });
  const got: unknown[] = [];
  await world.run((async () => {
    for await (const item of world.client.stream("words")) got.push(item);
  })());
  assertEquals([got, log], [["A", "B"], ["c stream words"]]);
});

Deno.test("Interceptor.send() and receive() see each message once, a broadcast too", async () => {
  const log: string[] = [];
  const got: unknown[] = [];
  await using world = await makeWorld({
    client: { interceptors: [logged("c", log)], onMessage: ({ body }) => void got.push(body) },
    server: { interceptors: [logged("s", log)], onMessage: () => {} },
  });
  const { client, server, peer, run, sim } = world;
  await run(client.send("up"));
  await sim.advance(10);
  await run(peer.send("down"));
  assertEquals(peer.trySend("try"), "sent");
  await run(server.push(client.id, "pushed"));
  assertEquals((await run(server.broadcast("all"))).sent, 1);
  await sim.advance(10);
  assertEquals(got, ["down", "try", "pushed", "all"]);
  const of = (side: string) => log.filter((line) => line.startsWith(side));
  assertEquals(of("s"), [
    "s receive up server",
    "s send down server",
    "s send try server",
    "s send pushed server",
    "s send all undefined",
  ]);
  assertEquals(of("c"), [
    "c send up client",
    "c receive down client",
    "c receive try client",
    "c receive pushed client",
    "c receive all client",
  ]);
});

Deno.test("Interceptor.send() may change a message, and refuse it", async () => {
  const got: unknown[] = [];
  await using world = await makeWorld({
    client: {
      interceptors: [{
        send(message, next) {
          if (message.body === "bad") throw new RangeError("No such words");
          return next({ ...message, body: `${message.body}!`, topic: "loud" });
        },
      }],
    },
    server: { onMessage: ({ body, topic }) => void got.push([body, topic]) },
  });
  await world.run(world.client.send("hi"));
  await assertRejects(() => world.client.send("bad"), RangeError);
  assertThrows(() => world.client.trySend("bad"), RangeError);
  await world.sim.advance(10);
  assertEquals(got, [["hi!", "loud"]]);
});

for (const door of ["onMessage", "messages"] as const) {
  Deno.test(`Interceptor.receive() holds messages back, lets them through or drops them: ${door}`, async () => {
    await using sim = new Simulation();
    const got: unknown[] = [];
    const seen: string[] = [];
    const interceptors: Interceptor[] = [{
      async receive(message, next) {
        const text = new TextDecoder().decode(message.body as Uint8Array);
        seen.push(text);
        await sim.sleep(100);
        if (text === "drop") return;
        if (text === "throw") throw new Error("checked and found wanting");
        await next();
      },
    }];
    const errors: unknown[] = [];
    const server = await serve(ADDRESS, {
      runtime: sim,
      interceptors,
      onEvent: (event) => event.type === "error" && errors.push(event.error),
      ...(door === "onMessage"
        ? { onMessage: ({ body }) => void got.push(new TextDecoder().decode(body)) }
        : {
          async onConnect(peer) {
            for await (const { body } of peer.messages) got.push(new TextDecoder().decode(body));
          },
        }),
    });
    const client = await sim.run(connect(ADDRESS, { runtime: sim }));
    for (const text of ["one", "drop", "throw", "two"]) {
      await client.send(new TextEncoder().encode(text));
    }
    await sim.advance(50);
    assertEquals([seen, got], [["one"], []]);
    await sim.advance(500);
    assertEquals([seen, got], [["one", "drop", "throw", "two"], ["one", "two"]]);
    assertEquals(errors.length, 1);
    await sim.run(server.close());
  });
}

Deno.test("interceptors that are none are refused at once", async () => {
  await using sim = new Simulation();
  const options = { runtime: sim, interceptors: [1] };
  // @ts-expect-error: a number is no interceptor
  await assertRejects(() => serve(ADDRESS, options), TypeError, "must hold objects");
});

async function* louder(items: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  for await (const item of items) yield `${item}`.toUpperCase();
}
