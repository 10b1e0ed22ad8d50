/**
 * How thorough a benchmark is: in earnest by default, one quick turn with `deno bench … -- --smoke`.
 *
 * Continuous integration runs the quick form, which shows that the benchmarks still work. The tasks
 * that start processes of their own take `--json`, for machines, and `--rounds <count>`; those with
 * contestants also `--kinds <label,label>`, for less than all of them ("none": the limit and vnet alone),
 * `--only <text>`, for the loads whose title has that text, and `--against <folder>`, a checkout of
 * another version that is measured in the same rounds.
 */

/** Whether one quick turn is enough. */
export const smoke: boolean = Deno.args.includes("--smoke");

/** Whether the figures are for a machine. */
export const json: boolean = Deno.args.includes("--json");

/** To be spread into every definition: `Deno.bench({ name, ...turns, fn })`. */
export const turns: { n?: number; warmup?: number } = smoke ? { n: 1, warmup: 1 } : {};

/** How often everything is measured, in turns; the median counts. */
export const rounds: number = roundsOf(after("--rounds"));

/** Parts of the labels of the contestants that are wanted; `undefined`: all. */
const kinds = after("--kinds")?.split(",");

/** A checkout of another version, to be measured as well. */
export const against: string | undefined = after("--against");

/** Whether a contestant that can be left out takes part. */
export function takesPart(label: string): boolean {
  return kinds === undefined || kinds.some((part) => label.includes(part));
}

/** Whether what has this title is measured. */
export function wanted(title: string): boolean {
  return title.includes(after("--only") ?? "");
}

/** `full` in earnest, `small` in the quick form: sizes, counts, durations. */
export function scaled(full: number, small: number): number {
  return smoke ? small : full;
}

function roundsOf(text: string | undefined): number {
  const count = Number(text);
  return count >= 1 ? count : scaled(5, 1);
}

function after(flag: string): string | undefined {
  const at = Deno.args.indexOf(flag);
  return at < 0 ? undefined : Deno.args[at + 1];
}
