/**
 * What a soak run prints, and whether it has failed.
 *
 * 1. A broken invariant fails the run. A figure fails it only when it is ten times off its goal: on a
 *    busy machine less than that says nothing.
 */

/** So many times off its goal a figure is no accident any more. */
const TOLERANCE = 10;

/** What one scenario is run with. */
export interface Soak {
  /** Whether it shall only show that it works, and not how well. */
  readonly smoke: boolean;
  readonly report: Report;
}

/** What was found out. */
export class Report {
  /** What must not be, and was. */
  readonly failures: string[] = [];
  #since = performance.now();
  #checks = 0;
  #remarks: string[] = [];

  /** What comes now. */
  title(text: string): void {
    this.#since = performance.now();
    this.#checks = 0;
    this.#remarks = [];
    console.log(`\n━━ ${text}`);
  }

  /** How far it is. */
  progress(text: string): void {
    const seconds = ((performance.now() - this.#since) / 1_000).toFixed(1);
    console.log(`   ${seconds.padStart(5)} s  ${text}`);
  }

  /** Figures; the first row is the head, and the first column what they are of. */
  table(rows: readonly (readonly string[])[]): void {
    const widths: number[] = [];
    for (const row of rows) {
      for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
    }
    console.log();
    for (const [index, row] of rows.entries()) {
      const cells = row.map((cell, at) => {
        const width = widths[at] ?? 0;
        return at === 0 ? cell.padEnd(width) : cell.padStart(width);
      });
      console.log(`   ${cells.join("  ")}`.trimEnd());
      if (index === 0) console.log(`   ${widths.map((width) => "─".repeat(width)).join("  ")}`);
    }
  }

  /** Something that must hold. */
  holds(what: string, holds: boolean, found = ""): void {
    this.#checks++;
    if (holds) return;
    const line = found === "" ? what : `${what}: ${found}`;
    this.failures.push(line);
    this.#remarks.push(`BROKEN  ${line}`);
  }

  /** A figure that should be at most so much. */
  atMost(what: string, value: number, goal: number, unit = ""): void {
    const found = `${`${figure(value)} ${unit}`.trim()} (goal: at most ${figure(goal)})`;
    if (value <= goal || !(value <= goal * TOLERANCE)) this.holds(what, value <= goal, found);
    else this.#remark(what, found);
  }

  /** A figure that should be at least so much. */
  atLeast(what: string, value: number, goal: number, unit = ""): void {
    const found = `${`${figure(value)} ${unit}`.trim()} (goal: at least ${figure(goal)})`;
    if (value >= goal || !(value >= goal / TOLERANCE)) this.holds(what, value >= goal, found);
    else this.#remark(what, found);
  }

  /** The sum of what was checked since the title. */
  verdict(): void {
    const good = this.#checks - this.#remarks.length;
    console.log(`\n   ${good} of ${this.#checks} things are as they should be`);
    for (const remark of this.#remarks) console.log(`   ${remark}`);
  }

  /** Off its goal, but not by so much that it fails the run. */
  #remark(what: string, found: string): void {
    this.#checks++;
    this.#remarks.push(`off     ${what}: ${found}`);
  }
}

/** Three digits that matter. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
  return value.toFixed(size >= 10 ? 1 : 2);
}

/** Bytes as MiB. */
export function mebibytes(bytes: number | undefined): string {
  return bytes === undefined ? "?" : (bytes / 1_048_576).toFixed(1);
}

/** Counts by name, as "a 1, b 2". */
export function counts(record: Readonly<Partial<Record<string, number>>>): string {
  const entries = Object.entries(record).map(([name, count]) => `${name} ${figure(count ?? 0)}`);
  return entries.length === 0 ? "none" : entries.join(", ");
}
