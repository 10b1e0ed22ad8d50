/**
 * The tracer and the instruments of calls, and the bound of the names that label them.
 */
import { type Histogram, metrics, trace, type Tracer } from "@opentelemetry/api";

/** The name of the tracer and the meter. */
export const METER = "@vgo/vnet";

/** Which end of a call. */
export type Role = "client" | "server";

/** In s, as the conventions have it. */
const BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** What calls are told to. */
export class Instruments {
  readonly tracer: Tracer;
  readonly #durations: Readonly<Record<Role, Histogram>>;
  readonly #methods = new Set<string>();
  readonly #maxMethods: number;

  constructor(maxMethods: number) {
    this.tracer = trace.getTracer(METER);
    const meter = metrics.getMeter(METER);
    const histogram = (role: Role, description: string) =>
      meter.createHistogram(`rpc.${role}.call.duration`, {
        description,
        unit: "s",
        advice: { explicitBucketBoundaries: BOUNDARIES },
      });
    this.#durations = {
      client: histogram("client", "How long calls took that were made"),
      server: histogram("server", "How long calls took that were answered"),
    };
    this.#maxMethods = maxMethods;
  }

  /** The histogram of one end of calls. */
  durations(role: Role): Histogram {
    return this.#durations[role];
  }

  /** The method, or `"_OTHER"` when there are too many: who calls may make names up. */
  bounded(method: string): string {
    if (this.#methods.has(method)) return method;
    if (this.#methods.size >= this.#maxMethods) return "_OTHER";
    this.#methods.add(method);
    return method;
  }
}
