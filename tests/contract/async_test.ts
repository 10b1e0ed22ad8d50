import { assert, assertEquals } from "@std/assert";
import { attach } from "@vgo/vnet";
import { contract, method, type } from "@vgo/vnet/contract";
import { ManualClock, memoryPair } from "@vgo/vnet/testing";
import { taken } from "../../src/peer/trust.ts";
import { collector, fate, rpcError, runtimeOf, settle, tally } from "../calls/_support.ts";
import { contractPair, doubledLater, own, refused } from "./_support.ts";

interface Num {
  n: number;
}

/** A schema whose answers come when the test says so. */
function gate() {
  const waiting: (() => void)[] = [];
  const schema = own<Num>(async (value) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    if (typeof value !== "object" || value === null || !("n" in value)) return refused("No object");
    return typeof value.n === "number" ? { value: { n: value.n } } : refused("No number", ["n"]);
  });
  return { schema, waiting, open: () => waiting.splice(0).forEach((resolve) => resolve()) };
}

type Slow = "client's input" | "server's input" | "server's output" | "client's output";

/** Two ends that do not share their validators: one body is checked at one end, and that takes time. */
async function slowPair(slow: Slow, maxInFlight = 16) {
  const limits = { maxInFlight };
  const { schema, waiting, open } = gate();
  const clock = new ManualClock();
  const ran: number[] = [];
  const { logger, errors } = collector();
  const claimed = type<Num>();
  const api = (end: string) =>
    contract({
      server: {
        f: method({
          input: slow === `${end}'s input` ? schema : claimed,
          output: slow === `${end}'s output` ? schema : claimed,
        }),
        many: method({ input: slow === `${end}'s input` ? schema : claimed, yields: claimed }),
      },
    });
  const common = { runtime: runtimeOf(clock), heartbeat: false, logger, limits } as const;
  const [here, there] = memoryPair();
  const [client, server] = await Promise.all([
    attach(here, { ...common, side: "client", contract: api("client") }),
    attach(there, {
      ...common,
      side: "server",
      contract: api("server"),
      methods: {
        f: (input) => (ran.push(input.n), input),
        many: async function* (input) {
          ran.push(input.n);
          yield await Promise.resolve(input);
        },
      },
    }),
  ]);
  return { client, server, clock, waiting, open, ran, errors };
}

Deno.test("checks that take time are waited for on both ends, and transforms run once", async () => {
  const schema = doubledLater();
  const api = contract({
    server: { f: method({ input: schema, output: schema }), many: method({ yields: schema }) },
  });
  const [client] = await contractPair(api, {
    methods: {
      f: (n) => Promise.resolve(n + 1),
      many: async function* () {
        yield* [1, 2, 3];
      },
    },
  });
  const answers = await Promise.all([1, 2, 3].map((n) => client.call("f", n)));
  assertEquals([answers, schema.asked], [[6, 10, 14], 12]);
  assertEquals(await Array.fromAsync(client.stream("many")), [2, 4, 6]);
  const error = await rpcError(Reflect.apply(client.call, client, ["f", "x"]));
  assertEquals([error.code, error.executed, error.initiator], ["INVALID_ARGUMENT", "no", "local"]);
  await client.close();
});

Deno.test("call() what is checked is what is sent, and others need not wait for it", async () => {
  const { client, server, waiting, open, ran } = await slowPair("client's input");
  const input = { n: 1 };
  const call = client.call("f", input);
  input.n = 2;
  await settle();
  assertEquals([waiting.length, ran, server.stats.callsIn], [1, [], 0]);
  open();
  assertEquals([await call, ran], [{ n: 1 }, [1]]);
  const bad = client.call("f", JSON.parse('{"n":"5"}'));
  const good = client.call("f", { n: 3 });
  open();
  const error = await rpcError(bad);
  assertEquals([error.code, error.executed, error.issues[0]?.path], [
    "INVALID_ARGUMENT",
    "no",
    ["n"],
  ]);
  assertEquals([await good, server.stats.callsIn], [{ n: 3 }, 2]);
  const items = Array.fromAsync(client.stream("many", { n: 4 }));
  open();
  assertEquals(await items, [{ n: 4 }]);
  await client.close();
});

Deno.test("call() that is given up while its input is checked is never sent", async () => {
  const { client, server, clock, waiting, open, ran } = await slowPair("client's input");
  const controller = new AbortController();
  const late = fate(client.call("f", { n: 1 }, { timeout: 50 }));
  const cancelled = client.call("f", { n: 2 }, { signal: controller.signal }).catch((it) => it);
  const items = client.stream("many", { n: 3 });
  const left = fate(Array.fromAsync(items));
  items.cancel();
  assertEquals(await left, "AbortError");
  const reason = new Error("enough");
  controller.abort(reason);
  assert(await cancelled === reason);
  await clock.advance(60);
  assertEquals([await late, waiting.length], ["DEADLINE_EXCEEDED no", 3]);
  open();
  await settle();
  assertEquals([ran, server.stats.callsIn], [[], 0]);

  const doomed = fate(client.call("f", { n: 4 }));
  client.abort();
  assertEquals(await doomed, "UNAVAILABLE no");
  open();
  await settle();
  assertEquals([ran, clock.pending], [[], 0]);
  await server.closed;
});

Deno.test("close() waits for calls whose input is being checked", async () => {
  const { client, server, open, ran } = await slowPair("client's input");
  const call = client.call("f", { n: 1 });
  const closed = client.close();
  await settle();
  open();
  assertEquals(await call, { n: 1 });
  const { finished, cut } = await closed;
  assertEquals([finished, cut, ran], [1, 0, [1]]);
  await server.closed;
});

Deno.test("call() inputs that are being checked are bounded as calls that wait are", async () => {
  const { client, server, open } = await slowPair("client's input", 4);
  const begin = (count: number, pad = "") =>
    Array.from({ length: count }, (_, n) => fate(client.call("f", taken({ n, pad }))));
  const ends = async (calls: Promise<string>[]) => {
    await settle();
    open();
    return tally(await Promise.all(calls));
  };
  // Four may wait, and as many as the server takes at once do not wait.
  const bound = { OK: 4 + 4, "RESOURCE_EXHAUSTED no": 4 };
  assertEquals(await ends(begin(12)), bound);

  // Those that were given up hold no places, neither before their checks are through nor after.
  const controller = new AbortController();
  const { signal } = controller;
  const left = Array.from({ length: 8 }, (_, n) => fate(client.call("f", { n }, { signal })));
  controller.abort();
  assertEquals(tally(await Promise.all(left)), { AbortError: 8 });
  assertEquals(await ends(begin(12)), bound);
  assertEquals(await ends(begin(12)), bound);

  // Bytes are bounded as well: as many as a message may have.
  const large = begin(3, "x".repeat(6_000_000));
  assertEquals(await ends(large), { OK: 2, "RESOURCE_EXHAUSTED no": 1 });
  await client.close();
  await server.closed;
});

Deno.test("a handler is not begun for who has left while the input was checked", async () => {
  const { client, server, clock, waiting, open, ran } = await slowPair("server's input");
  const controller = new AbortController();
  const cancelled = client.call("f", { n: 1 }, { signal: controller.signal }).catch(() => "left");
  const late = fate(client.call("f", { n: 2 }, { timeout: 50 }));
  const kept = fate(client.call("f", { n: 3 }, { timeout: 5_000 }));
  const bad = rpcError(client.call("f", JSON.parse('{"n":"5"}')));
  await settle();
  assertEquals(waiting.length, 4);
  controller.abort();
  await clock.advance(60);
  assertEquals([await cancelled, await late], ["left", "DEADLINE_EXCEEDED maybe"]);
  open();
  assertEquals([await kept, ran], ["OK", [3]]);
  const { code, executed, issues } = await bad;
  assertEquals([code, executed, issues[0]?.path], ["INVALID_ARGUMENT", "no", ["n"]]);

  // And not when the session is gone either.
  const lost = fate(client.call("f", { n: 4 }));
  await settle();
  client.abort();
  assertEquals(await lost, "UNAVAILABLE maybe");
  await settle();
  open();
  await settle();
  assertEquals([ran, (await server.closed).cut], [[3], 1]);
});

Deno.test("an answer is given when its check is through, if it fits", async () => {
  const { client, waiting, open, ran, errors } = await slowPair("server's output");
  const good = client.call("f", { n: 1 });
  const bad = fate(client.call("f", JSON.parse('{"n":"5"}')));
  await settle();
  assertEquals([ran.length, waiting.length], [2, 2]);
  open();
  assertEquals([await good, await bad], [{ n: 1 }, "INTERNAL yes"]);
  assert(errors.length === 1 && errors[0] instanceof TypeError);
  await client.close();
});

Deno.test("an answer that is being checked is still within its deadline and its signal", async () => {
  const { client, server, clock, waiting, open } = await slowPair("client's output");
  const controller = new AbortController();
  const late = fate(client.call("f", { n: 1 }, { timeout: 50 }));
  const cancelled = client.call("f", { n: 2 }, { signal: controller.signal }).catch((it) => it);
  const doomed = fate(client.call("f", { n: 3 }));
  const good = client.call("f", { n: 4 });
  await settle();
  assertEquals(waiting.length, 4);
  const reason = new Error("enough");
  controller.abort(reason);
  await clock.advance(60);
  // It was answered: that much is known.
  assertEquals([await late, await cancelled], ["DEADLINE_EXCEEDED yes", reason]);
  waiting.splice(3, 1).forEach((resolve) => resolve());
  assertEquals(await good, { n: 4 });
  client.abort();
  assertEquals(await doomed, "UNAVAILABLE yes");
  open();
  await settle();
  assertEquals(clock.pending, 0);
  await server.closed;
});
