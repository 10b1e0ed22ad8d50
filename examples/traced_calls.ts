/**
 * One trace across two servers: a client calls a gateway, and the gateway calls a backend. The trace
 * travels in the metadata of the calls; `parent` says for which call another one is made.
 *
 *     deno run --allow-net=127.0.0.1 --allow-read --allow-run examples/traced_calls.ts
 *
 * It runs itself once more with Deno's own exporter of OpenTelemetry, which writes to the terminal, and
 * shows the spans that come out. By hand that is
 *
 *     OTEL_DENO=true OTEL_EXPORTER_OTLP_PROTOCOL=console \
 *       deno run --allow-net=127.0.0.1 examples/traced_calls.ts --traced
 *
 * Without the second variable spans and metrics go to a collector at http://localhost:4318.
 */
import { trace } from "@opentelemetry/api";
import { connect, json, serve } from "@vgo/vnet";
import { telemetry } from "@vgo/vnet/otel";

interface Order {
  readonly symbol: string;
  readonly amount: number;
}

if (Deno.args.includes("--traced")) await order();
else await exported();

/** The program itself. */
async function order(): Promise<void> {
  const otel = telemetry();
  const interceptors = [otel.interceptor];
  const options = { serializer: json<Order | number>(), interceptors };

  await using backend = await serve("127.0.0.1:0", {
    ...options,
    methods: {
      price(order) {
        tell("backend");
        return typeof order === "object" ? order.symbol.length * order.amount : 0;
      },
    },
  });
  await using toBackend = await connect(backend.addr, { ...options, id: "gateway" });
  await using gateway = await serve("127.0.0.1:0", {
    ...options,
    methods: {
      order(order, call) {
        tell("gateway");
        // Its deadline, its end and its trace are handed on.
        return toBackend.call("price", order, { parent: call });
      },
    },
  });
  for (const end of [backend, toBackend, gateway]) otel.observe(end);
  await using client = await connect(gateway.addr, { ...options, id: "ann" });

  await trace.getTracer("shop").startActiveSpan("checkout", async (span) => {
    tell("client");
    console.log("to pay:", await client.call("order", { symbol: "VGO", amount: 5 }));
    span.end();
  });
}

/** Says which trace the code that runs belongs to. */
function tell(where: string): void {
  console.log(`${where}: trace ${trace.getActiveSpan()?.spanContext().traceId ?? "unknown"}`);
}

/** Runs the program with Deno's exporter, and shows what came of it. */
async function exported(): Promise<void> {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-net=127.0.0.1", import.meta.url, "--traced"],
    env: { OTEL_DENO: "true", OTEL_EXPORTER_OTLP_PROTOCOL: "console", NO_COLOR: "1" },
  }).output();
  const [said = "", told = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  console.log(said.trimEnd());
  if (!success) throw new Error(`It failed:\n${told}`);

  const traces = new Set<string>();
  const spans = [...told.matchAll(/^SPAN (\w+) \[(\w+)\/\w+\] (\w+) (.+)$/gm)];
  for (const [, name, id = "", kind, took] of spans) {
    traces.add(id);
    console.log(`span ${kind} ${name}: ${took}`);
  }
  for (const [, metric] of told.matchAll(/^METRIC (rpc\.\S+)/gm)) console.log(`metric ${metric}`);
  console.log(`spans: ${spans.length}, traces: ${traces.size}`);
}
