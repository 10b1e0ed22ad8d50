/**
 * What telemetry costs a call, on one connection in memory: nothing where no SDK is registered, and
 * beside it what an interceptor costs that does nothing, and what an SDK costs that keeps every span.
 */
import { propagation, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import { attach, type Interceptor, json } from "../mod.ts";
import { telemetry } from "../src/otel.ts";
import { memoryPair } from "../src/testing/mod.ts";
import { turns } from "./_settings.ts";

/** So many calls at once are one turn. */
const IN_FLIGHT = 64;
const group = `${IN_FLIGHT} calls at once`;
const nothing: Interceptor = { call: (call, next) => next(call), handle: (_call, next) => next() };

const rows: [string, () => Promise<void>][] = [
  ["no interceptor", await calls([])],
  ["telemetry, no SDK", await calls([telemetry().interceptor])],
  ["an interceptor that does nothing", await calls([nothing])],
];
trace.setGlobalTracerProvider(new TracerProvider());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
rows.push(["telemetry, with an SDK", await calls([telemetry().interceptor])]);

for (const [name, turn] of rows) {
  const baseline = name === "no interceptor";
  Deno.bench(name, { group, baseline, ...turns }, async () => await turn());
}

async function calls(interceptors: readonly Interceptor[]): Promise<() => Promise<void>> {
  const [here, there] = memoryPair();
  const common = { serializer: json<number>(), interceptors };
  const [client] = await Promise.all([
    attach(here, { ...common, side: "client" }),
    attach(there, { ...common, side: "server", methods: { inc: (n) => n + 1 } }),
  ]);
  return async () => {
    const answers: Promise<number>[] = [];
    for (let n = 0; n < IN_FLIGHT; n++) answers.push(client.call("inc", n));
    for (const answer of answers) await answer;
  };
}
