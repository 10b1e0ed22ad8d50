/** Telemetry where nobody listens. */
import { propagation, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import { assertEquals } from "@std/assert";
import { telemetry } from "@vgo/vnet/otel";
import { makeWorld } from "../calls/_support.ts";

Deno.test("telemetry() has no interceptor until somebody listens", async () => {
  const otel = telemetry({ messages: true });
  assertEquals(Object.keys(otel.interceptor), []);
  await using world = await makeWorld({
    client: { interceptors: [otel.interceptor] },
    server: {
      interceptors: [otel.interceptor],
      methods: { metadata: (_input, { metadata }) => Object.keys(metadata) },
    },
  });
  using _observed = otel.observe(world.server);
  assertEquals(await world.run(world.client.call("metadata")), []);

  trace.setGlobalTracerProvider(new TracerProvider());
  assertEquals(Object.keys(otel.interceptor), ["call", "stream", "handle", "send", "receive"]);
  assertEquals(otel.interceptor === otel.interceptor, true);
  trace.disable();
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  assertEquals(Object.keys(telemetry().interceptor), ["call", "stream", "handle"]);
  propagation.disable();
  assertEquals(Object.keys(telemetry().interceptor), []);
});
