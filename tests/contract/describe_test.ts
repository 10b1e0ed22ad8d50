import { type as arktype } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { assertEquals, assertRejects } from "@std/assert";
import { attach, json } from "@vgo/vnet";
import {
  bytes,
  contract,
  describe,
  type Description,
  message,
  method,
  type,
} from "@vgo/vnet/contract";
import { memoryPair } from "@vgo/vnet/testing";
import { fate } from "../calls/_support.ts";
import { contractPair, own } from "./_support.ts";

const shop = {
  server: {
    order: method({ input: z.string().transform((it) => it.length), output: v.number() }),
    prices: method({ input: arktype("string"), yields: z.object({ price: z.number() }) }),
    upload: method({ stream: bytes(), output: type<number>() }),
    touch: method(),
    ["__proto__"]: method({ input: z.date() }),
    say: message(z.string().max(5)),
  },
  client: { said: message(own<string>((value) => ({ value: String(value) }))) },
};

/** JSON Schemas without the address of their draft. */
const expected: Description = {
  serializer: "json",
  server: {
    methods: [
      {
        name: "order",
        input: {
          kind: "value",
          vendor: "zod",
          // What travels is what goes in, and not what the schema makes of it.
          schema: { type: "string" },
        },
        output: { kind: "value", vendor: "valibot" },
      },
      {
        name: "prices",
        input: { kind: "value", vendor: "arktype", schema: { type: "string" } },
        yields: {
          kind: "value",
          vendor: "zod",
          schema: {
            type: "object",
            properties: { price: { type: "number" } },
            required: ["price"],
          },
        },
      },
      {
        name: "upload",
        stream: { kind: "bytes", vendor: "vnet" },
        output: { kind: "unchecked", vendor: "vnet" },
      },
      { name: "touch" },
      // There is no JSON Schema for a Date.
      { name: "__proto__", input: { kind: "value", vendor: "zod" } },
    ],
    messages: [
      {
        name: "say",
        body: { kind: "value", vendor: "zod", schema: { type: "string", maxLength: 5 } },
      },
    ],
  },
  client: {
    methods: [],
    messages: [{ name: "said", body: { kind: "value", vendor: "test" } }],
  },
};

Deno.test("describe() tells names, directions, and JSON Schemas where validators give them", () => {
  assertEquals(plain(describe(contract(shop))), plain(expected));
});

Deno.test("__describe answers tools where the contract allows it, and nobody else", async () => {
  const answers = [];
  for (const described of [false, true]) {
    const [here, there] = memoryPair();
    const api = contract({ ...shop, describe: described });
    const [tool, server] = await Promise.all([
      attach(here, { side: "client", serializer: json() }),
      attach(there, { side: "server", contract: api }),
    ]);
    if (described) answers.push(await tool.call("__describe"), await tool.call("__describe"));
    else assertEquals(await fate(tool.call("__describe")), "UNIMPLEMENTED no");
    assertEquals(await fate(tool.call("touch")), "UNIMPLEMENTED no", "There is no handler");
    await tool.close();
    await server.closed;
  }
  assertEquals(answers.map(plain), [plain(expected), plain(expected)]);

  // A single end may tell. The client's half answers as the server's does.
  const api = contract(shop);
  const [here, there] = memoryPair();
  const [client, tool] = await Promise.all([
    attach(here, { side: "client", contract: { ...api, describe: true } }),
    attach(there, { side: "server", serializer: json() }),
  ]);
  assertEquals(plain(await tool.call("__describe")), plain(expected));
  await client.close();
  const [quiet] = await contractPair(api);
  const ask = () => Reflect.apply(quiet.call, quiet, ["__describe"]);
  await assertRejects(ask, TypeError, "the contract has no such method");
  await quiet.close();
});

Deno.test("__describe is a name like any other without a contract", async () => {
  const [here, there] = memoryPair();
  const [client] = await Promise.all([
    attach(here, { side: "client", serializer: json() }),
    attach(there, {
      side: "server",
      serializer: json(),
      methods: { __describe: () => "it is mine" },
    }),
  ]);
  assertEquals(await client.call("__describe"), "it is mine");
  await client.close();
});

function plain(description: unknown): unknown {
  return JSON.parse(
    JSON.stringify(
      description,
      (key, value) => key === "$schema" || key === "additionalProperties" ? undefined : value,
    ),
  );
}
