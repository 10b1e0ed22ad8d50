/**
 * Calls what the application gave, and sees to what it throws.
 *
 * An error of a hook ends no session by itself and is never swallowed: it goes to the one who
 * watches events, else to the logger, else to the runtime as an uncaught error; the last only if it is
 * the application's own, and not what vnet itself rejects with.
 */
import { ProtocolError, VnetError } from "../base/errors.ts";
import type { Logger } from "../base/types.ts";
import type { LogSummary } from "./log_summary.ts";

/** The application's callbacks of one client or server. */
export class Hooks {
  readonly #log: LogSummary;
  readonly #tell: (error: unknown) => boolean;

  /** `tell` hands an error to whoever watches; `false` when nobody does. */
  constructor(log: LogSummary, tell: (error: unknown) => boolean) {
    this.#log = log;
    this.#tell = tell;
  }

  /** Calls a hook; `failed` is called when it throws or rejects, after that was reported. */
  call(hook: (() => unknown) | undefined, failed: () => void = () => {}): void {
    if (hook === undefined) return;
    const fail = (error: unknown) => {
      this.report(error);
      failed();
    };
    try {
      const result = hook();
      if (result instanceof Promise) result.catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  /** Sees to an error. */
  report(error: unknown): void {
    if (!this.#tell(error)) this.reportQuietly(error);
  }

  /** As `report`, for an error of the one who watches. */
  reportQuietly(error: unknown): void {
    if (!this.#log.has("error")) {
      // Peers leave, fall behind and send nonsense: that must not be able to end the process.
      if (!(error instanceof VnetError)) reportError(error);
    } else if (error instanceof ProtocolError) {
      // What a serializer throws may quote the body that it could not read.
      const { code, message } = error;
      this.#log.error(code, message, { error: new ProtocolError(code, message) });
    } else {
      this.#log.error(kindOf(error), "A callback of the application failed", { error });
    }
  }
}

/** Errors that say the same are of one kind. What was thrown may throw when it is looked at. */
function kindOf(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 200) : typeof error;
  } catch {
    return "unknown";
  }
}

/** A logger that cannot fail: what logs must not be able to end what it logs of. */
export function guarded(logger: Logger | undefined): Logger | undefined {
  if (logger === undefined) return undefined;
  const levels = (["debug", "info", "warn", "error"] as const).filter((level) => logger[level]);
  return Object.fromEntries(levels.map((level) => [
    level,
    (message: string, fields?: Record<string, unknown>) => {
      try {
        const result: unknown = logger[level]?.(message, fields);
        // As below.
        if (result instanceof Promise) result.catch(() => {});
      } catch {
        // A logger that fails has nowhere left to be reported to.
      }
    },
  ]));
}

/** Text of the other end, as it may stand in a log line: no control characters, and not long. */
export function escaped(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)
    .replace(
      /[\u007f-\u009f\u2028\u2029]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}

/** As `escaped`, within a sentence: without quotes. */
export function printable(text: string): string {
  const short = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return short.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
