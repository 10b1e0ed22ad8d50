import type { AnyPeer, CallContext } from "@vgo/vnet";
import { RpcError } from "@vgo/vnet";
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { aborted, drain, fate, makePair, makeWorld, rpcError, settle } from "./_support.ts";

/** A signal that counts its listeners. */
function countedSignal(): { controller: AbortController; readonly listeners: () => number } {
  const controller = new AbortController();
  const { signal } = controller;
  let count = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    count++;
    Reflect.apply(addEventListener, signal, args);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    count--;
    Reflect.apply(removeEventListener, signal, args);
  };
  return { controller, listeners: () => count };
}

Deno.test("call() with a timeout is DEADLINE_EXCEEDED then, and its handler's signal fires", async () => {
  const reasons: unknown[] = [];
  await using world = await makeWorld({
    faults: { delay: 20 },
    server: {
      methods: {
        slow: (_input, { signal }) => aborted(signal).catch((reason) => void reasons.push(reason)),
      },
    },
  });
  const { client, run, sim } = world;
  const begun = sim.clock.now();
  const error = await run(rpcError(client.call("slow", 1, { timeout: 500 })));
  assertEquals([error.code, error.executed, error.initiator], [
    "DEADLINE_EXCEEDED",
    "maybe",
    "local",
  ]);
  assertEquals(sim.clock.now() - begun, 500);
  await sim.advance(100);
  const [reason, ...rest] = reasons;
  assert(reason instanceof RpcError);
  assertEquals([reason.code, rest.length], ["DEADLINE_EXCEEDED", 0]);
});

Deno.test("call() has a default timeout, which is finite", async () => {
  await using world = await makeWorld({
    server: { methods: { hang: () => new Promise(() => {}) } },
  });
  const { client, peer, run, sim } = world;
  const begun = sim.clock.now();
  assertEquals(await run(fate(client.call("hang"))), "DEADLINE_EXCEEDED maybe");
  assertEquals(sim.clock.now() - begun, 30_000);
  await using short = await makeWorld({
    server: { callTimeout: 2_000 },
    client: { methods: { hang: () => new Promise(() => {}) } },
  });
  const start = short.sim.clock.now();
  assertEquals(await short.run(fate(short.peer.call("hang"))), "DEADLINE_EXCEEDED maybe");
  assertEquals(short.sim.clock.now() - start, 2_000);
  assertEquals(peer.state, "open");
});

Deno.test("call() takes the earlier of timeout and deadline", async () => {
  await using world = await makeWorld({
    server: { methods: { hang: () => new Promise(() => {}) } },
  });
  const { client, run, sim } = world;
  for (
    const [timeout, deadline, expected] of [[500, 300, 300], [200, 900, 200], [Infinity, 70, 70]]
  ) {
    const begun = sim.clock.now();
    const options = { timeout: timeout ?? 0, deadline: begun + (deadline ?? 0) };
    assertEquals(await run(fate(client.call("hang", 1, options))), "DEADLINE_EXCEEDED maybe");
    assertEquals(sim.clock.now() - begun, expected);
  }
});

Deno.test("call() rejects with signal.reason itself, and tells the handler", async () => {
  const reasons: unknown[] = [];
  await using world = await makeWorld({
    server: {
      methods: {
        slow: (_input, { signal }) => aborted(signal).catch((reason) => void reasons.push(reason)),
      },
    },
  });
  const { client, sim } = world;
  for (const reason of [new Error("mine"), "text", null]) {
    const { controller, listeners } = countedSignal();
    const call = client.call("slow", 1, { signal: controller.signal });
    const caught = call.then(() => "resolved", (error) => error);
    await sim.advance(10);
    assertEquals(listeners(), 1);
    controller.abort(reason);
    assertStrictEquals(await caught, reason);
    assertEquals(listeners(), 0);
    await sim.advance(10);
  }
  assertEquals(reasons.map((reason) => reason instanceof RpcError && reason.code), [
    "CANCELLED",
    "CANCELLED",
    "CANCELLED",
  ]);
});

Deno.test("call() leaves no listener, however it ends", async () => {
  await using world = await makeWorld({
    server: {
      methods: {
        ok: () => 1,
        fail: () => Promise.reject(new RpcError("ABORTED")),
        hang: () => new Promise(() => {}),
        items: async function* () {
          yield 1;
        },
      },
    },
  });
  const { client, run, sim } = world;
  const { controller, listeners } = countedSignal();
  const { signal } = controller;
  await run(client.call("ok", 1, { signal }));
  await run(fate(client.call("fail", 1, { signal })));
  await run(fate(client.call("hang", 1, { signal, timeout: 5 })));
  await run(fate(client.call("ok", "x".repeat(17 << 20), { signal })));
  await run(drain(client.stream("items", 1, { signal })));
  await run(drain(client.stream("fail", 1, { signal })));
  const broken = (async () => {
    for await (const _ of client.stream("items", 1, { signal })) break;
  })();
  await run(broken);
  await fate(client.call("ok", 1, { signal, deadline: sim.clock.now() }));
  const lost = fate(client.call("hang", 1, { signal }));
  await sim.advance(10);
  await run(client.close({ grace: 0 }));
  assertEquals(await lost, "UNAVAILABLE maybe");
  await fate(client.call("ok", 1, { signal }));
  assertEquals(listeners(), 0);
});

Deno.test("call() with a signal that has fired sends nothing", async () => {
  const [client] = await makePair({}, { methods: { f: () => 1 } });
  const reason = new Error("before");
  const signal = AbortSignal.abort(reason);
  assertStrictEquals(await client.call("f", 1, { signal }).catch((error) => error), reason);
  // A stream throws it where it throws everything else: at its loop.
  assertStrictEquals((await drain(client.stream("f", 1, { signal }))).end, reason);
  assertEquals(client.stats.callsOut, 0);
  await client.close();
});

Deno.test("call() with a parent ends with it, and has its deadline", async () => {
  const inner: { deadline: number; reason?: unknown }[] = [];
  const outcomes: string[] = [];
  await using world = await makeWorld({
    server: {
      methods: {
        outer: async (_input, call) => {
          outcomes.push(await fate(call.peer.call("inner", 1, { parent: call, timeout: 60_000 })));
        },
      },
    },
    client: {
      methods: {
        inner: (_input, { deadline, signal }) => {
          const seen: { deadline: number; reason?: unknown } = { deadline };
          inner.push(seen);
          return aborted(signal).catch((reason) => void (seen.reason = reason));
        },
      },
    },
  });
  const { client, run, sim } = world;
  const begun = sim.clock.now();
  assertEquals(
    await run(fate(client.call("outer", 1, { timeout: 400 }))),
    "DEADLINE_EXCEEDED maybe",
  );
  await sim.advance(10);
  assertEquals((inner[0]?.deadline ?? 0) - begun, 400);

  const controller = new AbortController();
  const call = fate(client.call("outer", 1, { signal: controller.signal }));
  await sim.advance(50);
  controller.abort(new Error("enough"));
  assertEquals(await call, "Error");
  await sim.advance(50);
  const { reason } = inner[1] ?? {};
  assert(reason instanceof RpcError);
  assertEquals(reason.code, "CANCELLED");
  assertEquals(outcomes[1], "CANCELLED maybe");
  assert(["CANCELLED maybe", "DEADLINE_EXCEEDED maybe"].includes(outcomes[0] ?? ""));
});

Deno.test("call() with a parent that has ended did not run", async () => {
  const kept: CallContext<AnyPeer, unknown>[] = [];
  let ran = 0;
  await using world = await makeWorld({
    server: {
      methods: {
        outer: (_input, call) => (kept.push(call), new Promise(() => {})),
        other: () => ran++,
      },
    },
    client: { methods: { inner: () => ran++ } },
  });
  const { client, peer, run, sim } = world;
  const controller = new AbortController();
  const outer = fate(client.call("outer", 1, { signal: controller.signal }));
  await sim.advance(10);
  controller.abort();
  await outer;
  await sim.advance(10);
  const [parent] = kept;
  assert(parent !== undefined && parent.signal.aborted);
  assertEquals(await run(fate(peer.call("inner", 1, { parent }))), "CANCELLED no");
  const { end } = await run(drain(peer.stream("inner", 1, { parent })));
  assert(end instanceof RpcError);
  assertEquals([end.code, end.executed, ran], ["CANCELLED", "no", 0]);
});

Deno.test("call() with a parent is never queued: it is RESOURCE_EXHAUSTED at once", async () => {
  const nested: string[] = [];
  await using world = await makeWorld({
    server: {
      methods: {
        outer: async (_input, call) => {
          // One takes the only place, and one more waits in the same turn.
          const first = call.peer.call("inner", 1);
          nested.push(await fate(call.peer.call("inner", 2, { parent: call })));
          await first;
          nested.push(await fate(call.peer.call("inner", 3, { parent: call })));
        },
      },
    },
    client: { limits: { maxInFlight: 1 }, methods: { inner: (n) => n } },
  });
  await world.run(world.client.call("outer"));
  assertEquals(nested, ["RESOURCE_EXHAUSTED no", "OK"]);
});

Deno.test("a handler that has ended hears of no cancel, and one that is cancelled hears of one", async () => {
  let fired = 0;
  const kept: CallContext<AnyPeer, unknown>[] = [];
  await using world = await makeWorld({
    server: {
      methods: {
        quick: (_input, call) => void kept.push(call),
        slow: async (_input, { signal }) => {
          signal.addEventListener("abort", () => fired++);
          await aborted(signal).catch(() => {});
          await settle();
        },
      },
    },
  });
  const { client, run } = world;
  await run(client.call("quick", 1, { timeout: 20 }));
  // The caller and the handler each count down the same 20 ms: both tell it.
  await run(fate(client.call("slow", 1, { timeout: 20 })));
  await run(client.close());
  assertEquals([fired, kept[0]?.signal.aborted], [1, false]);
});

Deno.test("a handler that ignores its signal keeps its slot until it ends", async () => {
  const gates: (() => void)[] = [];
  await using world = await makeWorld({
    server: {
      limits: { maxInFlight: 2 },
      methods: { slow: () => new Promise<void>((resolve) => gates.push(resolve)) },
    },
  });
  const { client, run, sim } = world;
  const calls = Array.from({ length: 3 }, () => fate(client.call("slow", 1, { timeout: 1_000 })));
  assertEquals(await run(Promise.all(calls)), [
    "DEADLINE_EXCEEDED maybe",
    "DEADLINE_EXCEEDED maybe",
    "DEADLINE_EXCEEDED no",
  ]);
  assertEquals(gates.length, 2);
  const next = fate(client.call("slow", 1, { timeout: 1_000 }));
  await sim.advance(100);
  assertEquals(gates.length, 2);
  gates[0]?.();
  await sim.advance(100);
  assertEquals(gates.length, 3);
  gates[2]?.();
  assertEquals(await run(next), "OK");
});
