import { assert, assertEquals } from "@std/assert";
import { attach, type Interceptor, json, RpcError } from "@vgo/vnet";
import { contract, method, type } from "@vgo/vnet/contract";
import { memoryPair } from "@vgo/vnet/testing";
import { taken } from "../../src/peer/trust.ts";
import { collector, fate, rpcError } from "../calls/_support.ts";
import { contractPair, doubled, doubledLater, jsonBytes, own, strangerPair } from "./_support.ts";

Deno.test("handlers that do not do what the contract says are the server's own mistake", async () => {
  const { logger, errors } = collector();
  const api = contract({
    server: { one: method({ output: doubled() }), many: method({ yields: type<number>() }) },
  });
  const methods = {
    one: async function* () {
      yield 1;
    },
    many: () => 5,
  };
  const [client] = await contractPair(api, {
    logger,
    methods: taken(methods),
  });
  assertEquals(await fate(client.call("one")), "INTERNAL yes");
  assertEquals(await fate(Array.fromAsync(client.stream("many"))), "INTERNAL yes");
  assertEquals(errors.map(String), [
    "TypeError: Cannot send answer of 'one' as it must fit the contract: 'n': Expected a number",
    "TypeError: Cannot answer 'many' as its handler must give items",
  ]);
  await client.close();
});

Deno.test("a validator that fails is the validator's mistake: INTERNAL, told, and nothing ran", async () => {
  const { logger, errors } = collector();
  const failing = (how: "throws" | "rejects" | "nothing" | "nonsense" | "deep") =>
    own<unknown>((value) => {
      if (value !== "fail") return { value };
      if (how === "throws") throw new Error("broken");
      if (how === "rejects") return Promise.reject(new Error("broken"));
      if (how === "deep") throw new RangeError("Maximum call stack size exceeded");
      return taken(how === "nothing" ? undefined : { issues: 5 });
    });
  let ran = 0;
  for (const how of ["throws", "rejects", "nothing", "nonsense", "deep"] as const) {
    const api = contract({
      server: { input: method({ input: failing(how) }), output: method({ output: failing(how) }) },
    });
    const methods = { input: () => void ran++, output: () => "fail" };
    const [stranger] = await strangerPair(api, { logger, methods });
    const error = await rpcError(stranger.call("input", jsonBytes("fail")));
    const expected = how === "deep" ? "INVALID_ARGUMENT" : "INTERNAL";
    assertEquals([error.code, error.executed, ran], [expected, "no", 0], how);
    assert(!error.message.includes("broken"), error.message);
    assertEquals(errors.splice(0).length, how === "deep" ? 0 : 1, how);
    assertEquals(await fate(stranger.call("output")), "INTERNAL yes", how);
    assertEquals(errors.splice(0).length, 1, how);
    await stranger.close();

    const [client] = await contractPair(api, { logger, methods });
    const local = await rpcError(client.call("input", "fail"));
    assertEquals([local.code, local.executed, ran], [expected, "no", 0], how);
    await client.close();
  }
});

Deno.test("type<T>() is never called, and neither is what nobody uses", async () => {
  const claimed = type<number>();
  Object.defineProperty(claimed["~standard"], "validate", {
    value: () => {
      throw new Error("It was called");
    },
  });
  const api = contract({
    server: { f: method({ input: claimed, output: claimed, stream: claimed }) },
  });
  const [client] = await contractPair(api, { methods: { f: (n) => n } });
  assertEquals(await client.call("f", 5, { stream: [] }), 5);
  await client.close();
});

Deno.test("a validator that answers at once costs a call no turn", async () => {
  const turns = async (call: () => Promise<unknown>) => {
    await call();
    let ended = false;
    call().then(() => ended = true);
    let count = 0;
    for (; !ended && count < 10_000; count++) await undefined;
    return count;
  };
  const [here, there] = memoryPair();
  const [plain] = await Promise.all([
    attach(here, { side: "client", serializer: json() }),
    attach(there, { side: "server", serializer: json(), methods: { f: (n) => n } }),
  ]);
  const counts = [await turns(() => plain.call("f", 1))];
  await plain.close();
  for (const schema of [doubled(), doubledLater()]) {
    const api = contract({ server: { f: method({ input: schema, output: schema }) } });
    const [client] = await contractPair(api, { methods: { f: (n) => n } });
    counts.push(await turns(() => client.call("f", 1)));
    await client.close();
  }
  const [without, atOnce, later] = counts;
  assert(without !== undefined && later !== undefined && later > without, `${counts}`);
  assertEquals(atOnce, without);
});

Deno.test("issues that a handler throws reach the caller like those of a validator", async () => {
  const api = contract({ server: { f: method() } });
  const issues = [{ message: "Taken already", path: ["name"] }];
  const [client] = await contractPair(api, {
    methods: {
      f: () => {
        throw new RpcError("INVALID_ARGUMENT", "No", { issues });
      },
    },
  });
  const error = await rpcError(client.call("f"));
  assertEquals([error.issues, error.executed, error.message], [issues, "yes", "No"]);
  await client.close();
});

Deno.test("interceptors see what the application sees: inputs as given, and as they arrive", async () => {
  const seen: unknown[] = [];
  const watch: Interceptor = {
    call: (call, next) => {
      seen.push(["call", call.input]);
      return next({ ...call, input: call.input === "five" ? 5 : call.input });
    },
    handle: async (call, next) => {
      seen.push(["handle", call.input]);
      const output = await next();
      seen.push(["handled", output]);
      return output === 99 ? "no number" : output;
    },
  };
  const { logger } = collector();
  for (const schema of [doubled(), doubledLater()]) {
    const api = contract({ server: { f: method({ input: schema, output: schema }) } });
    const [client] = await contractPair(
      api,
      { logger, interceptors: [watch], methods: { f: (n) => n } },
      { interceptors: [watch] },
    );
    // What an interceptor makes of it is what is checked, on the way out and on the way back.
    assertEquals(await client.call("f", taken("five")), 20);
    assertEquals(seen.splice(0), [["call", "five"], ["handle", 10], ["handled", 10]]);
    assertEquals(await fate(client.call("f", taken("six"))), "INVALID_ARGUMENT no");
    assertEquals(await fate(client.call("f", 49.5)), "INTERNAL yes");
    assertEquals(seen.splice(0), [["call", "six"], ["call", 49.5], ["handle", 99], [
      "handled",
      99,
    ]]);
    await client.close();
  }
});
