/**
 * Measuring contestants in turns, so that a bad moment of the machine hits all of them.
 */
import type { Kind } from "./_kinds.ts";
import type { Pair } from "./_processes.ts";
import { progress } from "./_progress.ts";
import { rounds } from "./_settings.ts";
import { median } from "./_stats.ts";

/** The measurements of one contestant, a round each. */
export interface Measured<M> {
  readonly kind: Kind;
  readonly rounds: readonly M[];
}

/** Measures every contestant once to warm it up, and then in rounds. */
export async function compare<M>(
  name: string,
  pairs: readonly Pair[],
  measure: (pair: Pair) => Promise<M>,
): Promise<Measured<M>[]> {
  progress(name);
  for (const pair of pairs) await measure(pair);
  const all = pairs.map(({ kind }) => ({ kind, rounds: [] as M[] }));
  for (let round = 1; round <= rounds; round++) {
    for (const [index, pair] of pairs.entries()) {
      progress(name, `round ${round} of ${rounds}, ${pair.kind.label}`);
      all[index]?.rounds.push(await measure(pair));
    }
  }
  return all;
}

/** The median of a figure of one contestant. */
export function medianOf<M>({ rounds }: Measured<M>, figure: (measurement: M) => number): number {
  return median(rounds.map(figure));
}

/** What stands beside each other in a comparison. */
export interface Rivals<M> {
  readonly raw: Measured<M>;
  readonly vnet: Measured<M>;
  /** The best of the others in this very run. */
  readonly peer: Measured<M> | undefined;
}

/** Finds the three; the peer is the best by a figure of which more is better. */
export function rivals<M>(
  all: readonly Measured<M>[],
  figure: (measurement: M) => number,
): Rivals<M> {
  const [raw] = all.filter(({ kind }) => kind.role === "raw");
  const [vnet] = all.filter(({ kind }) => kind.role === "vnet");
  if (raw === undefined || vnet === undefined) throw new TypeError("Both must take part");
  const [peer] = all
    .filter(({ kind }) => kind.role === "peer")
    .sort((a, b) => medianOf(b, figure) - medianOf(a, figure));
  return { raw, vnet, peer };
}

/** How many times the one is of the other: the median of the ratios of each round. */
export function ratio<M>(
  above: Measured<M>,
  below: Measured<M> | undefined,
  figure: (measurement: M) => number,
): number {
  if (below === undefined) return NaN;
  const ratios = above.rounds.flatMap((measurement, round) => {
    const other = below.rounds[round];
    return other === undefined ? [] : [figure(measurement) / figure(other)];
  });
  return median(ratios);
}
