/**
 * How thorough a benchmark is: in earnest by default, one quick turn with `deno bench … -- --smoke`.
 *
 * Continuous integration runs the quick form, which shows that the benchmarks still work. The tasks
 * that start processes of their own take `--json`, for machines, and `--rounds <count>` as well.
 */

/** Whether one quick turn is enough. */
export const smoke: boolean = Deno.args.includes("--smoke");

/** Whether the figures are for a machine. */
export const json: boolean = Deno.args.includes("--json");

/** To be spread into every definition: `Deno.bench({ name, ...turns, fn })`. */
export const turns: { n?: number; warmup?: number } = smoke ? { n: 1, warmup: 1 } : {};

/** How often everything is measured, in turns; the median counts. */
export const rounds: number = roundsOf(Deno.args.indexOf("--rounds"));

/** `full` in earnest, `small` in the quick form: sizes, counts, durations. */
export function scaled(full: number, small: number): number {
  return smoke ? small : full;
}

function roundsOf(at: number): number {
  const count = Number(Deno.args[at + 1]);
  return at >= 0 && count >= 1 ? count : scaled(5, 1);
}
