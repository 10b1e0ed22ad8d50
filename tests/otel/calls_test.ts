/** Spans of calls: who has one, what it says, and to which trace it belongs. */
import { context, propagation, trace } from "@opentelemetry/api";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Interceptor, RpcError } from "@vgo/vnet";
import { telemetry } from "@vgo/vnet/otel";
import { taken } from "../../src/peer/trust.ts";
import { fate, makeWorld } from "../calls/_support.ts";
import { line, lines, only, register } from "./_support.ts";

const sdk = register();
const interceptors: readonly Interceptor[] = [telemetry().interceptor];

Deno.test("telemetry() a call has a span on both sides, of one trace", async () => {
  const seen: unknown[] = [];
  await using world = await makeWorld({
    client: { interceptors, id: "ann" },
    server: {
      interceptors,
      methods: {
        double: (n, { metadata }) => {
          seen.push(metadata, trace.getActiveSpan()?.spanContext().traceId);
          return Number(n) * 2;
        },
      },
    },
  });
  const call = world.client.call("double", 4, { metadata: { user: "ann" } });
  assertEquals(await world.run(call), 8);
  const spans = await sdk.spans();
  const [client, server] = [only(spans, "CLIENT"), only(spans, "SERVER")];
  assertEquals(spans.map(line), ["SERVER double UNSET OK", "CLIENT double UNSET OK"]);
  const { traceId, spanId } = client.spanContext();
  assertEquals(client.parentSpanContext, undefined);
  assertEquals(server.spanContext().traceId, traceId);
  assertEquals(server.parentSpanContext?.spanId, spanId);
  // The caller's own metadata is still there, and the handler's span is the active one.
  const traceparent = `00-${traceId}-${spanId}-01`;
  assertEquals(seen, [Object.assign(Object.create(null), { traceparent, user: "ann" }), traceId]);
  const { remoteAddr, localAddr } = world.client;
  const common = {
    "rpc.system.name": "vnet",
    "rpc.method": "double",
    "rpc.response.status_code": "OK",
    "server.address": remoteAddr.hostname,
    "server.port": remoteAddr.port,
    "vnet.client.id": "ann",
  };
  assertEquals(client.attributes, common);
  assertEquals(server.attributes, {
    ...common,
    "client.address": localAddr.hostname,
    "client.port": localAddr.port,
  });
});

Deno.test("telemetry() a call of the server's is a span of the same kinds", async () => {
  await using world = await makeWorld({
    server: { interceptors },
    client: { interceptors, methods: { ask: () => "yes" } },
  });
  assertEquals(await world.run(world.peer.call("ask")), "yes");
  const spans = await sdk.spans();
  const [client, server] = [only(spans, "CLIENT"), only(spans, "SERVER")];
  assertEquals(server.parentSpanContext?.spanId, client.spanContext().spanId);
});

Deno.test("telemetry() a call goes on with the trace of the call that it is made for", async () => {
  const inner = trace.getTracer("test");
  await using world = await makeWorld({
    client: { interceptors, methods: { ask: () => "yes" } },
    server: {
      interceptors: [telemetry().interceptor],
      methods: {
        // Nothing is active any more.
        later: async (_input, call) => {
          await Promise.resolve();
          assertEquals(trace.getActiveSpan(), undefined);
          return await call.peer.call("ask", undefined, { parent: call });
        },
        active: (_input, { peer }) => peer.call("ask"),
        // The handler's own span is nearer than that of its call.
        own: (_input, call) =>
          inner.startActiveSpan("own", (span) => {
            span.end();
            return call.peer.call("ask", undefined, { parent: call });
          }),
        // Another trace is not.
        other: (_input, call) =>
          inner.startActiveSpan("other", { root: true }, (span) => {
            span.end();
            return call.peer.call("ask", undefined, { parent: call });
          }),
        // It says nothing, and nothing is active.
        alone: async (_input, { peer }) => {
          await Promise.resolve();
          return await peer.call("ask");
        },
      },
    },
  });
  const { client, run } = world;
  const parents: Record<string, string | undefined> = {};
  for (const method of ["later", "active", "own", "other", "alone"]) {
    assertEquals(await run(client.call(method)), "yes");
    const spans = await sdk.spans();
    const asked = spans.find(({ name, kind }) => name === "ask" && kind === 2);
    const parent = asked?.parentSpanContext?.spanId;
    const found = spans.find((span) => span.spanContext().spanId === parent);
    parents[method] = found && line(found);
  }
  assertEquals(parents, {
    later: "SERVER later UNSET OK",
    active: "SERVER active UNSET OK",
    own: "INTERNAL own UNSET -",
    other: "SERVER other UNSET OK",
    alone: undefined,
  });
});

Deno.test("telemetry() a failure is an error at its caller, and at its handler if that is at fault", async () => {
  await using world = await makeWorld({
    client: { interceptors },
    server: {
      interceptors,
      methods: {
        missing: () => Promise.reject(new RpcError("NOT_FOUND", "No such order")),
        lost: () => Promise.reject(new RpcError("DATA_LOSS")),
        broken: () => {
          throw new Error("the password");
        },
        strange: () => {
          throw hostile();
        },
        slow: (_input, { signal }) =>
          new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
      },
    },
  });
  const { client, run, sim, errors } = world;
  const spansOf = async (call: Promise<unknown>) => {
    await run(fate(call));
    await sim.advance(50);
    return lines(await sdk.spans());
  };
  const gone = new AbortController();
  sim.clock.setTimer(sim.clock.now() + 10, () => gone.abort(new Error("enough")));
  assertEquals(await spansOf(client.call("slow", 0, { signal: gone.signal })), [
    "CLIENT slow ERROR CANCELLED",
    "SERVER slow UNSET CANCELLED",
  ]);
  assertEquals(await spansOf(client.call("slow", 0, { timeout: 10 })), [
    "CLIENT slow ERROR DEADLINE_EXCEEDED",
    "SERVER slow ERROR DEADLINE_EXCEEDED",
  ]);
  assertEquals(await spansOf(client.call("lost")), [
    "CLIENT lost ERROR DATA_LOSS",
    "SERVER lost ERROR DATA_LOSS",
  ]);
  assertEquals(await spansOf(client.call("strange")), [
    "CLIENT strange ERROR INTERNAL",
    "SERVER strange ERROR INTERNAL",
  ]);
  // What is refused before it has a handler shows at its caller.
  assertEquals(await spansOf(client.call("nope")), ["CLIENT nope ERROR UNIMPLEMENTED"]);

  await run(fate(client.call("missing")));
  const missing = await sdk.spans();
  assertEquals(lines(missing), [
    "CLIENT missing ERROR NOT_FOUND",
    "SERVER missing UNSET NOT_FOUND",
  ]);
  const { attributes, status, events } = only(missing, "CLIENT");
  assertEquals([attributes["error.type"], attributes["vnet.executed"]], ["NOT_FOUND", "yes"]);
  assertEquals(status.message, "NOT_FOUND: No such order");
  assertEquals(events.map(({ name, attributes }) => [name, attributes?.["exception.message"]]), [
    ["exception", "No such order"],
  ]);
  assertEquals(only(missing, "SERVER").events, []);

  await run(fate(client.call("broken")));
  const broken = await sdk.spans();
  // Who watches the server learns why; the caller does not.
  assertEquals(only(broken, "SERVER").status.message, "INTERNAL: the password");
  assertEquals(only(broken, "CLIENT").status.message, "INTERNAL: The handler failed");
  assertEquals(errors.length, 2);
});

Deno.test("telemetry({ publicEndpoint }) takes nothing over but a link", async () => {
  const baggage: unknown[] = [];
  const methods = {
    f: () => {
      baggage.push(propagation.getActiveBaggage()?.getEntry("user")?.value);
      return 1;
    },
  };
  const mine = propagation.setBaggage(
    context.active(),
    propagation.createBaggage({ user: { value: "root" } }),
  );
  for (const publicEndpoint of [false, true]) {
    await using world = await makeWorld({
      client: { interceptors },
      server: { interceptors: [telemetry({ publicEndpoint }).interceptor], methods },
    });
    await world.run(context.with(mine, () => world.client.call("f")));
    const spans = await sdk.spans();
    const [client, server] = [only(spans, "CLIENT"), only(spans, "SERVER")];
    const same = server.spanContext().traceId === client.spanContext().traceId;
    assertEquals(same, !publicEndpoint);
    const links = server.links.map(({ context: { spanId } }) => spanId);
    assertEquals(links, publicEndpoint ? [client.spanContext().spanId] : []);
  }
  assertEquals(baggage, ["root", undefined]);
});

Deno.test("telemetry() what strangers send as a trace is none, and harms nobody", async () => {
  await using world = await makeWorld({ server: { interceptors, methods: { f: () => 1 } } });
  for (
    const metadata of [
      {},
      { traceparent: "" },
      { traceparent: "00-00000000000000000000000000000000-0000000000000000-01" },
      { traceparent: `ff-${"a".repeat(32)}-${"b".repeat(16)}-01` },
      { traceparent: "x".repeat(10_000), tracestate: "y".repeat(4_000) },
      { baggage: "=;,=%zz,\u{1f600}=1", constructor: "1", ["__proto__"]: "1" },
    ]
  ) {
    assertEquals(await world.run(world.client.call("f", 0, { metadata })), 1);
    const { parentSpanContext, links } = only(await sdk.spans(), "SERVER");
    assertEquals([parentSpanContext, links], [undefined, []]);
  }
});

Deno.test("telemetry() what a propagator writes never makes a call fail", async () => {
  await using world = await makeWorld({
    client: { interceptors },
    server: { interceptors, methods: { f: (_input, { metadata }) => ({ ...metadata }) } },
  });
  const before = await world.run(world.client.call("f"));
  assert(typeof before === "object" && before !== null && "traceparent" in before);
  const read: unknown[] = [];
  propagation.disable();
  propagation.setGlobalPropagator({
    fields: () => ["X-B3-TraceId"],
    inject(_context, carrier, { set }) {
      set(carrier, "X-B3-TraceId", "7");
      set(carrier, "not a name", "1");
      set(carrier, "", "1");
      set(carrier, "x".repeat(256), "1");
      set(carrier, "large", "x".repeat(70_000));
    },
    extract(context, carrier, { get, keys }) {
      read.push(get(carrier, "X-B3-TraceId"), get(carrier, "toString"), keys(carrier));
      return context;
    },
  });
  assertEquals(await world.run(world.client.call("f")), { "x-b3-traceid": "7" });
  assertEquals(read, ["7", undefined, ["x-b3-traceid"]]);
  assertEquals((await sdk.spans()).length, 4);
});

Deno.test("telemetry() refuses an option that makes no sense", () => {
  for (const maxMethods of [-1, 1.5, NaN, Infinity]) {
    assertThrows(() => telemetry({ maxMethods }), RangeError, "'maxMethods'");
  }
});

Deno.test("telemetry() an interceptor sees misuse as it is", async () => {
  await using world = await makeWorld({ client: { interceptors } });
  await assertRejects(() => world.client.call("f", 0, { timeout: NaN }), RangeError);
  await assertRejects(() => world.client.call("f", 0, { metadata: { Upper: "1" } }), TypeError);
  assertThrows(() => world.client.stream("f", 0, { idleTimeout: 0 }), RangeError);
  const types = (await sdk.spans()).map(({ attributes }) => attributes["error.type"]);
  assertEquals(types, ["RangeError", "TypeError", "RangeError"]);
});

/** An error that throws when it is looked at. */
function hostile(): unknown {
  const refuse = (): never => {
    throw new Error("Do not look");
  };
  return taken(new Proxy(new Error(), { get: refuse, getPrototypeOf: refuse }));
}
