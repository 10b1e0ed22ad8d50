/**
 * What the tests of telemetry share: an SDK that is registered, keeps everything in memory, and needs no
 * permission.
 *
 * Owns no rule. The registration is global: one file of tests has one, and clears it between tests.
 */
import {
  type Attributes,
  context,
  metrics,
  propagation,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import {
  CompositePropagator,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import { type DataPoint, MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  StackContextManager,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { assert } from "@std/assert";

/** An SDK that is registered. */
export interface Sdk {
  /** Spans that have ended since it was last asked, in the order in which they ended. */
  spans(): Promise<ReadableSpan[]>;
  /** The value of a metric, for exactly these attributes. */
  metric(name: string, attributes: Attributes): Promise<unknown>;
  /** The attributes that a metric has values for. */
  series(name: string): Promise<Attributes[]>;
}

/** Registers an SDK. */
export function register(): Sdk {
  const exporter = new InMemorySpanExporter();
  const tracers = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  const reader = new Reader();
  trace.setGlobalTracerProvider(tracers);
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  propagation.setGlobalPropagator(
    new CompositePropagator({
      propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
    }),
  );
  // It knows what is active in this very turn only, so that nothing is active by accident.
  context.setGlobalContextManager(new StackContextManager().enable());
  const points = async (name: string): Promise<DataPoint<unknown>[]> => {
    const { resourceMetrics } = await reader.collect();
    return resourceMetrics.scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap<DataPoint<unknown>>(({ descriptor, dataPoints }) =>
        descriptor.name === name ? dataPoints : []
      )
    );
  };
  return {
    async spans() {
      await tracers.forceFlush();
      const spans = exporter.getFinishedSpans();
      exporter.reset();
      return spans;
    },
    async metric(name, attributes) {
      const wanted = inWords(attributes);
      return (await points(name)).find(({ attributes }) => inWords(attributes) === wanted)?.value;
    },
    series: async (name) => (await points(name)).map(({ attributes }) => attributes),
  };
}

/** The one span of this kind. */
export function only(spans: readonly ReadableSpan[], kind: keyof typeof SpanKind): ReadableSpan {
  const [span, ...others] = spans.filter((span) => span.kind === SpanKind[kind]);
  assert(span !== undefined && others.length === 0, `There must be exactly one ${kind} span`);
  return span;
}

/** A span in a line: its kind, its name, its status and its code. */
export function line({ kind, name, status, attributes }: ReadableSpan): string {
  const code = attributes["rpc.response.status_code"] ?? "-";
  return `${SpanKind[kind]} ${name} ${SpanStatusCode[status.code]} ${code}`;
}

/** Spans in lines, in no order. */
export function lines(spans: readonly ReadableSpan[]): string[] {
  return spans.map(line).sort();
}

function inWords(attributes: Attributes): string {
  return JSON.stringify(Object.entries(attributes).sort());
}

class Reader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}
