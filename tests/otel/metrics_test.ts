/** Metrics: durations by method and code, connections, bytes and messages; and spans of messages. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect, RpcError, serve } from "@vgo/vnet";
import { telemetry } from "@vgo/vnet/otel";
import { Simulation } from "@vgo/vnet/testing";
import { ADDRESS } from "../client/_support.ts";
import { fate, makePair, makeWorld } from "../calls/_support.ts";
import { lines, register } from "./_support.ts";

const sdk = register();

Deno.test("telemetry() measures calls by method and code", async () => {
  const interceptors = [telemetry().interceptor];
  await using world = await makeWorld({
    client: { interceptors },
    server: {
      interceptors,
      methods: {
        f: () => 1,
        g: () => Promise.reject(new RpcError("NOT_FOUND")),
        async *h() {
          yield 1;
          await Promise.resolve();
        },
      },
    },
  });
  const { client, run } = world;
  await run(Promise.all([client.call("f"), client.call("f"), fate(client.call("g"))]));
  await run(Array.fromAsync(client.stream("h")));
  for (const role of ["client", "server"]) {
    const name = `rpc.${role}.call.duration`;
    const common = { "rpc.system.name": "vnet", "rpc.response.status_code": "OK" };
    const failed = {
      "rpc.system.name": "vnet",
      "rpc.method": "g",
      "rpc.response.status_code": "NOT_FOUND",
      "error.type": "NOT_FOUND",
    };
    const f = await sdk.metric(name, { ...common, "rpc.method": "f" });
    assert(typeof f === "object" && f !== null && "count" in f && "sum" in f, name);
    assertEquals(f.count, 2);
    // In seconds: a call in memory takes no whole one.
    assert(typeof f.sum === "number" && f.sum > 0 && f.sum < 2, `${f.sum}`);
    assert(await sdk.metric(name, failed) !== undefined, name);
    assert(await sdk.metric(name, { ...common, "rpc.method": "h" }) !== undefined, name);
    assertEquals((await sdk.series(name)).length, 3);
  }
  await sdk.spans();
});

Deno.test("telemetry({ maxMethods }) keeps made-up names out of the metrics, and in the spans", async () => {
  await using world = await makeWorld({
    client: { interceptors: [telemetry({ maxMethods: 2 }).interceptor] },
  });
  for (let n = 0; n < 50; n++) await world.run(fate(world.client.call(`made up ${n % 10}`)));
  const series = await sdk.series("rpc.client.call.duration");
  const names = series.map((attributes) => `${attributes["rpc.method"]}`).filter((name) =>
    /made up|_OTHER/.test(name)
  );
  assertEquals(names.sort(), ["_OTHER", "made up 0", "made up 1"]);
  assertEquals(new Set((await sdk.spans()).map(({ name }) => name)).size, 10);
});

Deno.test("Telemetry.observe() counts connections, bytes and messages of a server and of clients", async () => {
  const otel = telemetry();
  await using sim = new Simulation();
  const server = await serve(ADDRESS, { runtime: sim, onMessage: () => {} });
  otel.observe(server);
  const clients = [await sim.run(connect(ADDRESS, { runtime: sim }))];
  clients.push(await sim.run(connect(ADDRESS, { runtime: sim })));
  for (const client of clients) otel.observe(client);
  // Twice is once.
  otel.observe(server);
  const counts = async (side: string) => {
    const of = (name: string, direction?: string) =>
      sdk.metric(name, {
        "vnet.side": side,
        ...(direction === undefined ? {} : { "network.io.direction": direction }),
      });
    return [
      await of("vnet.connections"),
      await of("vnet.network.io", "receive"),
      await of("vnet.network.io", "transmit"),
      await of("vnet.messages", "receive"),
      await of("vnet.messages", "transmit"),
    ];
  };
  for (const client of clients) await sim.run(client.send(new Uint8Array(1_000)));
  await sim.advance(100);
  const { bytesIn, bytesOut } = server.stats();
  assert(bytesIn > 2_000 && bytesOut > 0);
  assertEquals(await counts("server"), [2, bytesIn, bytesOut, 2, 0]);
  assertEquals(await counts("client"), [2, bytesOut, bytesIn, 0, 2]);

  // One that is gone leaves its counts behind.
  const [first, second] = clients;
  assert(first !== undefined && second !== undefined);
  await sim.run(first.close());
  await sim.advance(100);
  const [connections, , , messages] = await counts("server");
  assertEquals([connections, messages], [1, 2]);
  const [open, , , , sent] = await counts("client");
  assertEquals([open, sent], [1, 2]);
  await sim.run(second.close());
  await sim.run(server.close());
  const after = server.stats();
  assertEquals(await counts("server"), [0, after.bytesIn, after.bytesOut, 2, 0]);
  const out = first.stats.bytesOut + second.stats.bytesOut;
  assertEquals(await counts("client"), [0, after.bytesOut, out, 0, 2]);
});

Deno.test("Telemetry.observe() ends when it is disposed of, and takes what attach() gives", async () => {
  const [here, there] = await makePair({}, { onMessage: () => {} });
  const before = await sent();
  const observed = telemetry().observe(here);
  await here.send("one");
  await here.ping();
  assertEquals(await sent() - before, 1);
  assertEquals(await sdk.metric("vnet.connections", { "vnet.side": "client" }), 1);
  observed[Symbol.dispose]();
  await here.send("two");
  await here.ping();
  assertEquals(await sent() - before, 1);
  assertEquals(await sdk.metric("vnet.connections", { "vnet.side": "client" }), 0);
  await Promise.all([here.close(), there.close()]);
});

Deno.test("telemetry({ messages }) gives messages spans of their own, without a trace in common", async () => {
  for (const messages of [false, true]) {
    const interceptors = [telemetry({ messages }).interceptor];
    await using world = await makeWorld({
      client: { interceptors },
      server: {
        interceptors,
        onMessage({ body }) {
          if (body === "bad") throw new TypeError("not that");
        },
      },
    });
    const { client, server, run, sim } = world;
    await run(client.send("good", { topic: "t" }));
    await run(client.send("bad"));
    await sim.advance(10);
    assertEquals(client.trySend("good"), "sent");
    await run(server.broadcast("all"));
    await sim.advance(10);
    await assertRejects(() => client.send(() => {}), TypeError);
    const spans = await sdk.spans();
    assertEquals(
      lines(spans),
      messages
        ? [
          "CONSUMER process ERROR -",
          "CONSUMER process UNSET -",
          "CONSUMER process UNSET -",
          "PRODUCER send ERROR -",
          "PRODUCER send UNSET -",
          "PRODUCER send UNSET -",
          "PRODUCER send UNSET -",
          "PRODUCER send UNSET -",
        ]
        : [],
    );
    if (!messages) continue;
    assertEquals(new Set(spans.map((span) => span.spanContext().traceId)).size, spans.length);
    const topics = spans.filter(({ attributes }) =>
      attributes["messaging.destination.name"] === "t"
    );
    assertEquals(topics.length, 2);
    const tried = spans.filter(({ attributes }) => attributes["vnet.outcome"] === "sent");
    assertEquals(tried.length, 1);
  }
});

async function sent(): Promise<number> {
  const attributes = { "vnet.side": "client", "network.io.direction": "transmit" };
  return Number(await sdk.metric("vnet.messages", attributes));
}
