/**
 * What is logged, as text, and what errors say.
 */
import type { Logger } from "@vgo/vnet";

/** Everything that a logger is given, as text. */
export class Lines {
  readonly lines: string[] = [];
  readonly logger: Logger;

  constructor() {
    const line = (level: string) => (message: string, fields?: Record<string, unknown>) => {
      const more = Object.entries(fields ?? {}).map(([name, value]) => ` ${name}=${words(value)}`);
      this.lines.push(`${level} ${message}${more.join("")}`);
    };
    this.logger = {
      debug: line("debug"),
      info: line("info"),
      warn: line("warn"),
      error: line("error"),
    };
  }

  /** Lines that have this text. */
  with(text: string): string[] {
    return this.lines.filter((line) => line.includes(text));
  }
}

/** All that an error says, and what lies beneath it. */
export function words(value: unknown): string {
  if (!(value instanceof Error)) return String(value);
  const cause = value.cause === undefined ? "" : ` <- ${words(value.cause)}`;
  return `${value.name}: ${value.message}${cause}`;
}

/** How many events lines tell of, those included that they only count. */
export function counted(lines: readonly string[]): number {
  return lines.reduce((total, line) => total + 1 + Number(/\((\d+) more/.exec(line)?.[1] ?? 0), 0);
}
