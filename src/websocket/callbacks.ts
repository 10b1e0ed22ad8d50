/**
 * Calls what the application gave, and sees to what it throws.
 *
 * An error is never swallowed: it goes to `onError`, else to the logger, else to the runtime as an
 * uncaught error; the last only if it is the application's own, and not what this package rejects with.
 */
import { VnetError } from "../base/errors.ts";
import { isPromiseLike } from "../base/resolved.ts";
import type { Logger } from "../base/types.ts";

/** The callbacks of one WebSocket or server. */
export class Callbacks {
  readonly #logger: Logger | undefined;
  readonly #onError: ((error: unknown) => unknown) | undefined;

  constructor(logger: Logger | undefined, onError: ((error: unknown) => unknown) | undefined) {
    this.#logger = logger;
    this.#onError = onError;
  }

  /** Calls one; `failed` is called when it throws or rejects, after that was reported. */
  call(callback: (() => unknown) | undefined, failed: () => void = () => {}): void {
    run(callback, (error) => {
      this.report(error);
      failed();
    });
  }

  /** Sees to an error. */
  report(error: unknown): void {
    const onError = this.#onError;
    if (onError === undefined) this.#last(error);
    else run(() => onError(error), (thrown) => this.#last(thrown));
  }

  #last(error: unknown): void {
    try {
      if (this.#logger?.error === undefined) {
        // The other end leaves, or sends nonsense: that must not be able to end the process.
        if (!(error instanceof VnetError)) reportError(error);
      } else {
        this.#logger.error("A callback of a WebSocket failed", { error });
      }
    } catch {
      // A logger that fails has nowhere left to be reported to.
    }
  }
}

function run(callback: (() => unknown) | undefined, failed: (error: unknown) => void): void {
  try {
    const result = callback?.();
    if (isPromiseLike(result)) result.then(undefined, failed);
  } catch (error) {
    failed(error);
  }
}
