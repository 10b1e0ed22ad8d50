import { assert, assertEquals } from "@std/assert";
import { attach, RpcError } from "@vgo/vnet";
import { bytes, contract, method, type } from "@vgo/vnet/contract";
import { memoryPair } from "@vgo/vnet/testing";
import { collector, drain, rpcError, settle } from "../calls/_support.ts";
import {
  contractPair,
  doubled,
  doubledLater,
  jsonBytes,
  own,
  refused,
  strangerPair,
  utf8,
} from "./_support.ts";

Deno.test("items are checked and handed out as the contract says, both ways", async () => {
  for (const schema of [doubled(), doubledLater()]) {
    const api = contract({ server: { echo: method({ stream: schema, yields: schema }) } });
    const [client] = await contractPair(api, {
      methods: {
        echo: async function* (_input, { stream }) {
          for await (const n of stream) yield n + 1;
        },
      },
    });
    const items = await Array.fromAsync(client.stream("echo", undefined, { stream: [1, 2, 3] }));
    assertEquals([items, schema.asked], [[6, 10, 14], 12]);
    await client.close();
  }
});

Deno.test("items that are bytes() pass the serializer by", async () => {
  const api = contract({ server: { join: method({ stream: bytes(), yields: bytes() }) } });
  const [client] = await contractPair(api, {
    methods: {
      join: async function* (_input, { stream }) {
        for await (const chunk of stream) yield chunk.subarray(0, 1);
      },
    },
  });
  const stream = [utf8("{"), new Uint8Array(0), utf8("ab")];
  const items = await Array.fromAsync(client.stream("join", undefined, { stream }));
  assertEquals(items, [utf8("{"), new Uint8Array(0), utf8("a")]);
  await client.close();
});

Deno.test("an item of one's own that does not fit ends the call, and the handler is told", async () => {
  for (const schema of [doubled(), doubledLater()]) {
    const seen: unknown[] = [];
    let source = "open";
    const api = contract({ server: { sum: method({ stream: schema, output: type<number>() }) } });
    const [client, server] = await contractPair(api, {
      methods: {
        sum: async (_input, { stream, signal }) => {
          signal.addEventListener("abort", () => seen.push(signal.reason.code));
          for await (const n of stream) seen.push(n);
          return 0;
        },
      },
    });
    const stream = function* () {
      try {
        yield 1;
        yield JSON.parse('"two"');
        yield 3;
      } finally {
        source = "left";
      }
    };
    const error = await rpcError(client.call("sum", undefined, { stream: stream() }));
    assertEquals([error.code, error.executed, error.initiator], [
      "INVALID_ARGUMENT",
      "maybe",
      "local",
    ]);
    assertEquals(error.issues[0]?.message, "Expected a number");
    assert(error.message.startsWith("An item for 'sum' does not fit the contract: "));
    await settle();
    // What came before may have been overtaken by the end.
    assertEquals([seen.at(-1), seen.length <= 2, source], ["CANCELLED", true, "left"]);
    assertEquals((await server.close({ grace: 1_000 })).cut, 0);
  }
});

Deno.test("an item of a stranger that does not fit fails the call, with its issues", async () => {
  const { logger, errors } = collector();
  for (const schema of [doubled(), doubledLater()]) {
    const seen: unknown[] = [];
    const api = contract({
      server: { sum: method({ stream: schema }), kind: method({ stream: schema }) },
    });
    const [stranger] = await strangerPair(api, {
      logger,
      methods: {
        sum: async (_input, { stream }) => {
          for await (const n of stream) seen.push(n);
        },
        kind: async (_input, { stream }) => {
          try {
            for await (const n of stream) seen.push(n);
          } catch (error) {
            assert(error instanceof RpcError);
            seen.push(error.code);
          }
        },
      },
    });
    const stream = [utf8("1"), utf8('"two"'), utf8("3")];
    const error = await rpcError(stranger.call("sum", undefined, { stream }));
    assertEquals([error.code, error.executed, seen.splice(0)], ["INVALID_ARGUMENT", "yes", [2]]);
    const [issue] = JSON.parse(new TextDecoder().decode(bytesOf(error.data))).issues;
    assertEquals(issue.message, "Expected a number");
    // A handler may forgive.
    await stranger.call("kind", undefined, { stream });
    assertEquals(seen, [2, "INVALID_ARGUMENT"]);
    const cut = await rpcError(stranger.call("sum", undefined, { stream: [utf8("{")] }));
    assertEquals([cut.code, cut.message], ["INVALID_ARGUMENT", "An item cannot be read"]);
    await stranger.close();
  }
  assertEquals(errors, []);
});

Deno.test("an item that a handler gives and does not fit is INTERNAL, behind those that do", async () => {
  for (const schema of [doubled(), doubledLater()]) {
    const { logger, errors } = collector();
    let ended = 0;
    const api = contract({ server: { count: method({ yields: schema }) } });
    const [client] = await contractPair(api, {
      logger,
      methods: {
        count: async function* () {
          try {
            for (const n of [1, 2, JSON.parse('"three"'), 4]) yield n;
          } finally {
            ended++;
          }
        },
      },
    });
    const { items, end } = await drain(client.stream("count"));
    assert(end instanceof RpcError);
    assertEquals([items, end.code, end.message, end.issues], [
      [2, 4],
      "INTERNAL",
      "The handler failed",
      [],
    ]);
    assertEquals([ended, errors.length, errors[0] instanceof TypeError], [1, 1, true]);
    await client.close();
  }
});

Deno.test("an item that arrives and does not fit throws in the loop, and the far side is told", async () => {
  for (const schema of [doubled(), doubledLater()]) {
    const [here, there] = memoryPair();
    let ended = 0;
    const [client, server] = await Promise.all([
      attach(here, {
        side: "client",
        contract: contract({ server: { count: method({ yields: schema }) } }),
      }),
      attach(there, {
        side: "server",
        contract: contract({ server: { count: method({ yields: type<unknown>() }) } }),
        methods: {
          count: async function* () {
            try {
              for (let n = 1;; n++) yield n === 3 ? "three" : n;
            } finally {
              ended++;
            }
          },
        },
      }),
    ]);
    const { items, end } = await drain(client.stream("count"));
    assert(end instanceof RpcError);
    assertEquals([items, end.code, end.initiator], [[2, 4], "INTERNAL", "remote"]);
    assertEquals(end.issues[0]?.message, "Expected a number");
    const { cut } = await server.close({ grace: 1_000 });
    assertEquals([cut, ended], [0, 1]);
  }
});

Deno.test("a loop may be left while an item is checked, and asks for one item at a time", async () => {
  const opens: (() => void)[] = [];
  const slow = own<number>(async (value) => {
    await new Promise<void>((resolve) => opens.push(resolve));
    return typeof value === "number" ? { value } : refused("No number");
  });
  const [here, there] = memoryPair();
  let ended = 0;
  const [client, server] = await Promise.all([
    attach(here, {
      side: "client",
      contract: contract({ server: { count: method({ yields: slow }) } }),
    }),
    attach(there, {
      side: "server",
      contract: contract({ server: { count: method({ yields: type<number>() }) } }),
      methods: {
        count: async function* () {
          try {
            for (let n = 1;; n++) yield n;
          } finally {
            ended++;
          }
        },
      },
    }),
  ]);
  const items = client.stream("count")[Symbol.asyncIterator]();
  const first = items.next();
  await settle();
  assertEquals(opens.length, 1);
  const second = await items.next().catch((error: unknown) => error);
  assert(second instanceof TypeError);
  opens.splice(0).forEach((open) => open());
  assertEquals(await first, { done: false, value: 1 });

  const third = items.next();
  await settle();
  await items.return?.();
  assertEquals(await third, { done: true, value: undefined });
  opens.splice(0).forEach((open) => open());
  assertEquals(await items.next(), { done: true, value: undefined });
  await settle();
  assertEquals([ended, (await server.close({ grace: 1_000 })).cut], [1, 0]);
});

Deno.test("the items of a failed stream that came before its end are still handed out, checked", async () => {
  const api = contract({ server: { two: method({ yields: doubledLater() }) } });
  const [stranger] = await strangerPair(api, {
    methods: {
      two: async function* () {
        yield 1;
        yield 2;
        throw new RpcError("ABORTED", "No more");
      },
    },
  });
  const { items, end } = await drain(stranger.stream("two"));
  assert(end instanceof RpcError);
  assertEquals([items, end.code], [[jsonBytes(1), jsonBytes(2)], "ABORTED"]);
  await stranger.close();

  const [client] = await contractPair(api, {
    methods: {
      two: async function* () {
        yield 1;
        yield 2;
        throw new RpcError("ABORTED", "No more");
      },
    },
  });
  const checked = await drain(client.stream("two"));
  assert(checked.end instanceof RpcError);
  assertEquals([checked.items, checked.end.code], [[2, 4], "ABORTED"]);
  await client.close();
});

function bytesOf(data: unknown): Uint8Array {
  assert(data instanceof Uint8Array);
  return data;
}
