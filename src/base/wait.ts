/**
 * Waiting with a limit and a way out, on an injected clock.
 */
import type { Clock, WaitOptions } from "./types.ts";
import { TimeoutError } from "./errors.ts";

/** A promise that something else settles, or its time limit, or its signal. */
export interface Wait<T> {
  /** What to wait for. */
  readonly promise: Promise<T>;
  /** Settles it; later calls do nothing. */
  readonly resolve: (value: T) => void;
  /** Settles it; later calls do nothing. */
  readonly reject: (reason: unknown) => void;
}

/**
 * Begins to wait. `left` is called once, however it settles; not when it never began, since the
 * signal was aborted before.
 *
 * Rejects with a `TimeoutError` that says `what` after `timeout` ms, or with `signal.reason`.
 */
export function startWait<T>(
  clock: Clock,
  options: WaitOptions,
  what: string,
  left: () => void = () => {},
): Wait<T> {
  const { timeout = Infinity, signal } = options;
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let timer: Disposable | undefined;
  const leave = () => {
    timer?.[Symbol.dispose]();
    timer = undefined;
    signal?.removeEventListener("abort", abort);
    left();
    left = () => {};
  };
  const wait: Wait<T> = {
    promise,
    resolve: (value) => {
      leave();
      resolve(value);
    },
    reject: (reason) => {
      leave();
      reject(reason);
    },
  };
  const abort = () => wait.reject(signal?.reason);
  if (signal?.aborted) {
    reject(signal.reason);
    return wait;
  }
  signal?.addEventListener("abort", abort, { once: true });
  if (timeout !== Infinity) {
    timer = clock.setTimer(clock.now() + Math.max(0, timeout), () => {
      timer = undefined;
      wait.reject(new TimeoutError(`Cannot ${what} as it took longer than ${timeout} ms`));
    });
  }
  return wait;
}
