/**
 * What a benchmark found: tables and goals, for the eye, for a file, or for a machine.
 */
import { json } from "./_settings.ts";

/** What one task found. */
export interface Report {
  readonly title: string;
  readonly tables: readonly Table[];
  readonly goals: readonly Goal[];
  /** What the reader must know to judge the figures. */
  readonly notes: readonly string[];
}

/** Figures of one thing, a contestant to a row. */
export interface Table {
  readonly title: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
  /** The column that is worth a picture. */
  readonly bars?: number;
}

/** A column: what it holds, and how that is written. */
export interface Column {
  readonly name: string;
  readonly as: "text" | "count" | "ratio" | "decimal";
}

/** `null`: there is no such figure. */
export type Cell = string | number | null;

/** A figure that was promised. */
export interface Goal {
  readonly name: string;
  readonly value: number;
  /** What must hold. */
  readonly floor?: number;
  /** What is possible. */
  readonly stretch?: number;
  /** Whether more is better, or less. */
  readonly better: "more" | "less";
}

const BAR = 40;

/** Prints a report: for a machine where the command line says so. */
export function show(report: Report): void {
  if (json) return console.log(JSON.stringify(report));
  for (const table of report.tables) {
    console.log(`\n${table.title}`);
    for (const line of aligned(table)) console.log(line);
    if (table.bars !== undefined && Deno.stdout.isTerminal()) picture(table, table.bars);
  }
  if (report.goals.length > 0) {
    console.log("\ngoals");
    for (const line of aligned(goalTable(report.goals))) console.log(line);
  }
  if (report.notes.length > 0) console.log();
  for (const note of report.notes) console.log(note);
}

/** A report as a section of a Markdown file. */
export function markdown(report: Report): string {
  const parts = [`## ${report.title}`];
  for (const table of report.tables) parts.push(table.title, markdownTable(table));
  if (report.goals.length > 0) parts.push("Goals:", markdownTable(goalTable(report.goals)));
  if (report.notes.length > 0) parts.push(report.notes.map((note) => `- ${note}`).join("\n"));
  return `${parts.join("\n\n")}\n`;
}

/** Whether the floor holds; where there is only a stretch, `undefined`. */
export function holds({ value, floor, better }: Goal): boolean | undefined {
  if (floor === undefined) return undefined;
  return better === "more" ? value >= floor : value <= floor;
}

function goalTable(goals: readonly Goal[]): Table {
  const bound = (goal: Goal, to: number | undefined) =>
    to === undefined ? "" : `${goal.better === "more" ? "≥" : "≤"} ${Number(to.toPrecision(3))}`;
  return {
    title: "",
    columns: [
      { name: "goal", as: "text" },
      { name: "figure", as: "ratio" },
      { name: "floor", as: "text" },
      { name: "", as: "text" },
      { name: "stretch", as: "text" },
      { name: "", as: "text" },
    ],
    rows: goals.map((goal) => {
      const { name, value, floor, stretch } = goal;
      const held = holds(goal);
      const reached = stretch !== undefined && holds({ ...goal, floor: stretch });
      return [
        name,
        value,
        bound(goal, floor),
        held === undefined ? "" : held ? "✓" : "✗",
        bound(goal, stretch),
        reached ? "✓" : "",
      ];
    }),
  };
}

function aligned({ columns, rows }: Table): string[] {
  const texts = [columns.map(({ name }) => name), ...rows.map((row) => cells(row, columns))];
  const widths = columns.map((_, at) => Math.max(...texts.map((row) => row[at]?.length ?? 0)));
  return texts.map((row) =>
    row.map((cell, at) => {
      const width = widths[at] ?? 0;
      return columns[at]?.as === "text" ? cell.padEnd(width) : cell.padStart(width);
    }).join("  ").trimEnd()
  );
}

function picture({ rows, columns }: Table, at: number): void {
  const numbers = rows.map((row) => Number(row[at] ?? 0));
  const most = Math.max(...numbers);
  const width = Math.max(...rows.map(([name]) => String(name).length));
  console.log(`\n${columns[at]?.name ?? ""}`);
  for (const [index, [name]] of rows.entries()) {
    const share = (numbers[index] ?? 0) / most;
    console.log(
      `${String(name).padEnd(width)}  ${"█".repeat(Math.max(1, Math.round(share * BAR)))}`,
    );
  }
}

function markdownTable({ columns, rows }: Table): string {
  const line = (texts: readonly string[]) => `| ${texts.join(" | ")} |`;
  return [
    line(columns.map(({ name }) => name)),
    line(columns.map(({ as }) => as === "text" ? "---" : "--:")),
    ...rows.map((row) => line(cells(row, columns))),
  ].join("\n");
}

function cells(row: readonly Cell[], columns: readonly Column[]): string[] {
  return columns.map(({ as }, at) => text(row[at] ?? null, as));
}

function text(cell: Cell, as: Column["as"]): string {
  if (cell === null) return "–";
  if (typeof cell === "string") return cell;
  switch (as) {
    case "count":
      if (cell >= 9_999_500) return `${(cell / 1e6).toFixed(1)} M`;
      if (cell >= 999_500) return `${(cell / 1e6).toFixed(2)} M`;
      if (cell >= 9_999.5) return `${(cell / 1e3).toFixed(0)} k`;
      return cell.toLocaleString("en", { maximumFractionDigits: 0 });
    case "ratio":
      // Three digits: a goal may be missed by little.
      if (cell === 0) return "0";
      return cell.toFixed(cell >= 99.95 ? 0 : cell >= 9.995 ? 1 : cell >= 0.9995 ? 2 : 3);
    case "decimal":
      return cell.toLocaleString("en", { maximumFractionDigits: cell < 1 ? 3 : cell < 10 ? 2 : 1 });
    case "text":
      return String(cell);
  }
}
