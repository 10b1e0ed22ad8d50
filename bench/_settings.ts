/**
 * How thorough a benchmark is: in earnest by default, one quick turn with `deno bench … -- --smoke`.
 *
 * Continuous integration runs the quick form, which shows that the benchmarks still work.
 */

/** Whether one quick turn is enough. */
export const smoke: boolean = Deno.args.includes("--smoke");

/** To be spread into every definition: `Deno.bench({ name, ...turns, fn })`. */
export const turns: { n?: number; warmup?: number } = smoke ? { n: 1, warmup: 1 } : {};

/** `full` in earnest, `small` in the quick form: sizes, counts, durations. */
export function scaled(full: number, small: number): number {
  return smoke ? small : full;
}
