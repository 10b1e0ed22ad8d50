/** The validators of the field, as they are: what a contract makes of their values and their issues. */
import { type as arktype } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { assert, assertEquals } from "@std/assert";
import { contract, method, type Schema, type } from "@vgo/vnet/contract";
import { msgpack } from "@vgo/vnet/msgpack";
import { rpcError } from "../calls/_support.ts";
import { contractPair } from "./_support.ts";

interface Order {
  symbol: string;
  items: { amount: number }[];
}

const ORDERS: readonly [vendor: string, schema: Schema<Order>][] = [
  [
    "zod",
    z.object({ symbol: z.string().min(1), items: z.array(z.object({ amount: z.number() })) }),
  ],
  [
    "valibot",
    v.object({
      symbol: v.pipe(v.string(), v.minLength(1)),
      items: v.array(v.object({ amount: v.number() })),
    }),
  ],
  ["arktype", arktype({ symbol: "string >= 1", items: arktype({ amount: "number" }).array() })],
];

Deno.test("issues of Zod, Valibot and ArkType come with the same paths, from either end", async () => {
  for (const [vendor, schema] of ORDERS) {
    const api = contract({ server: { order: method({ input: schema, output: schema }) } });
    const [client] = await contractPair(api, { methods: { order: (order) => order } });
    const good = { symbol: "VGO", items: [{ amount: 1 }] };
    assertEquals(await client.call("order", good), good, vendor);
    const bad = JSON.parse('{"symbol":"","items":[{"amount":1},{"amount":"2"}]}');
    const error = await rpcError(client.call("order", bad));
    const paths = error.issues.map(({ path }) => path?.map(String).join(".")).sort();
    assertEquals([error.code, paths], ["INVALID_ARGUMENT", ["items.1.amount", "symbol"]], vendor);
    assert(error.issues.every(({ message }) => message !== ""), vendor);
    await client.close();
  }
});

Deno.test("coercions and transforms run once, where a value arrives", async () => {
  const api = contract({
    server: {
      zod: method({
        input: z.object({ amount: z.coerce.number().positive() }),
        output: z.coerce.date(),
      }),
      valibot: method({
        input: v.pipe(v.string(), v.transform((it) => it.length)),
        output: v.pipe(v.number(), v.transform((it) => `${it}!`)),
      }),
      arktype: method({ input: arktype("string.numeric.parse"), output: type<number>() }),
      later: method({
        input: z.string().refine(async (it) => await Promise.resolve(it !== "bad")),
        output: v.pipeAsync(
          v.string(),
          v.transformAsync(async (it) => await Promise.resolve([it])),
        ),
      }),
    },
  });
  const seen: unknown[] = [];
  const [client] = await contractPair(api, {
    methods: {
      zod: ({ amount }) => (seen.push(amount), new Date(amount)),
      valibot: (length) => (seen.push(length), length + 1),
      arktype: (n) => (seen.push(n), n + 1),
      later: (it) => (seen.push(it), it),
    },
  });
  // "5" travels, 5 arrives; a Date travels as text, and a Date arrives.
  assertEquals(await client.call("zod", { amount: "5" }), new Date(5));
  assertEquals(await client.call("valibot", "abc"), "4!");
  assertEquals(await client.call("arktype", "7"), 8);
  assertEquals(await client.call("later", "x"), ["x"]);
  assertEquals(seen, [5, 3, 7, "x"]);
  const error = await rpcError(client.call("later", "bad"));
  assertEquals([error.code, error.executed], ["INVALID_ARGUMENT", "no"]);
  await client.close();
});

Deno.test("what JSON cannot hold goes by msgpack(): dates, bigints and bytes as they are", async () => {
  const Stamp = z.object({ at: z.date(), count: z.bigint(), hash: z.instanceof(Uint8Array) });
  const api = contract({
    server: { stamp: method({ input: Stamp, yields: Stamp }) },
    serializer: msgpack(),
  });
  const [client] = await contractPair(api, {
    methods: {
      stamp: async function* (stamp) {
        yield stamp;
        yield { ...stamp, count: stamp.count + 1n };
      },
    },
  });
  const stamp = { at: new Date(1_700_000_000_123), count: 2n ** 60n, hash: Uint8Array.of(1, 2) };
  const items = await Array.fromAsync(client.stream("stamp", stamp));
  assertEquals(items, [stamp, { ...stamp, count: stamp.count + 1n }]);
  await client.close();
});
