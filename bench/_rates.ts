/**
 * The table that benchmarks in processes of their own have: rates, beside the runtime's limit and the best
 * of the others, and what they cost.
 */
import { type Measured, medianOf, ratio, rivals } from "./_compare.ts";
import type { Column, Table } from "./_report.ts";

/** One round of one contestant. */
export interface Rated {
  /** What is counted, in a second. */
  readonly rate: number;
  /** Processor time of one, in µs. */
  readonly server: number;
  readonly client: number;
}

/** Columns between the ratios and the costs. */
export interface Between<R> {
  readonly columns: readonly Column[];
  readonly valuesOf: readonly ((round: R) => number)[];
}

/** `unit`: what is counted; `clients`: how the other end is called. */
export function rateTable<R extends Rated>(
  title: string,
  all: readonly Measured<R>[],
  names: { readonly unit: string; readonly clients?: string },
  { columns, valuesOf }: Between<R> = { columns: [], valuesOf: [] },
): Table {
  const { raw, peer } = rivals(all, rateOf);
  const { unit, clients = "client" } = names;
  return {
    title,
    columns: [
      { name: "", as: "text" },
      { name: `${unit}/s`, as: "count" },
      { name: "of raw", as: "ratio" },
      { name: "of the best peer", as: "ratio" },
      ...columns,
      { name: "server CPU µs", as: "decimal" },
      { name: `${clients} CPU µs`, as: "decimal" },
    ],
    rows: all.map((one) => [
      one.kind.label,
      medianOf(one, rateOf),
      ratio(one, raw, rateOf),
      peer === undefined ? null : ratio(one, peer, rateOf),
      ...valuesOf.map((valueOf) => medianOf(one, valueOf)),
      medianOf(one, ({ server }) => server),
      medianOf(one, ({ client }) => client),
    ]),
    bars: 1,
  };
}

/** What contestants are compared by. */
export function rateOf({ rate }: Rated): number {
  return rate;
}
