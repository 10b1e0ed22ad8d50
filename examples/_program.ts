/**
 * What the demos share beside vnet: options of the command line, log lines, an end in order.
 */
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";

/** The values that a command line gives for such options. */
export type Options<T extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ options: T }>
>["values"];

/** Reads the command line. A wrong one ends the program with the usage and exit code 2. */
export function readOptions<const T extends ParseArgsOptionsConfig>(
  usage: string,
  options: T,
): Options<T> {
  if (Deno.args.includes("--help")) {
    console.log(usage);
    Deno.exit(0);
  }
  // `deno task demo:client -- --name A` hands the dashes on.
  const args = Deno.args[0] === "--" ? Deno.args.slice(1) : Deno.args;
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    return misused(usage, error instanceof Error ? error.message : String(error));
  }
}

/** A whole number out of a command line. */
export function numberOption(
  usage: string,
  name: string,
  text: string,
  most: number,
  least = 0,
): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  return misused(usage, `--${name} must be a whole number from ${least} to ${most}, not ${text}`);
}

function misused(usage: string, problem: string): never {
  console.error(`${problem}\n\n${usage}`);
  Deno.exit(2);
}

/** Writes log lines: the time, how grave it is, and what happened. */
export class Log {
  readonly #paint: Paint;
  readonly #prefix: string;

  /** `color`: even where the output is no terminal. */
  constructor(color = false, prefix = "") {
    this.#paint = painter(color);
    this.#prefix = prefix;
  }

  /** What the reader should look at next. */
  title(text: string): void {
    this.#line(this.#paint("dim", "────"), this.#paint("bold", text));
  }

  /** What is as it should be. */
  info(text: string): void {
    this.#line(this.#paint("green", "INFO"), text);
  }

  /** What is not. */
  warn(text: string): void {
    this.#line(this.#paint("yellow", "WARN"), this.#paint("yellow", text));
  }

  #line(level: string, text: string): void {
    const milliseconds = String(Date.now() % 1_000).padStart(3, "0");
    const time = this.#paint("dim", `${clockTime()}.${milliseconds}`);
    console.log(`${this.#prefix}${time} ${level}  ${text}`);
  }
}

const CODES = { dim: 2, bold: 1, green: 32, yellow: 33, magenta: 35, cyan: 36, blue: 34 };

/** A colour, or the like, that a terminal knows. */
export type Color = keyof typeof CODES;

/** Puts a text in a colour. */
export type Paint = (color: Color, text: string) => string;

/** Colours only on a terminal, and not where `NO_COLOR` is set, unless it is asked for. */
export function painter(force = false): Paint {
  if (!force && (Deno.noColor || !Deno.stdout.isTerminal())) return (_color, text) => text;
  return (color, text) => `\x1b[${CODES[color]}m${text}\x1b[0m`;
}

/** The local time, as in 20:51:18. */
export function clockTime(): string {
  return new Date().toTimeString().slice(0, 8);
}

/** A time in ms, as in "0.4 s". */
export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** "1 client", "2 clients". */
export function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

/** Calls `stop` at the first SIGINT (Ctrl-C) or SIGTERM. A second Ctrl-C ends the program at once. */
export function onStop(stop: (signal: Deno.Signal) => unknown): void {
  let stopping = false;
  for (const signal of STOP_SIGNALS) {
    Deno.addSignalListener(signal, () => {
      if (stopping && signal === "SIGINT") Deno.exit(130);
      if (!stopping) stop(signal);
      stopping = true;
    });
  }
}

const STOP_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGTERM"];
