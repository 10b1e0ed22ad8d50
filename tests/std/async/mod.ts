/**
 * Stands in for `jsr:@std/async` where JSR cannot be reached. Covers what vnet's tests use.
 *
 * Every wait ends with `signal.reason` itself, and leaves no timer and no listener behind.
 *
 * @module
 */

/** From here on a timer would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Options of {@linkcode delay}. */
export interface DelayOptions {
  /** Ends the wait early. */
  signal?: AbortSignal;
  /** Whether the wait keeps the process alive. @default {true} */
  persistent?: boolean;
}

/** Options of {@linkcode deadline}. */
export interface DeadlineOptions {
  /** Ends the wait early. */
  signal?: AbortSignal;
}

/** Options of {@linkcode retry}. */
export interface RetryOptions {
  /** What the wait grows by. @default {2} */
  multiplier?: number;
  /** Longest wait, in ms. @default {60000} */
  maxTimeout?: number;
  /** @default {5} */
  maxAttempts?: number;
  /** First wait, in ms. @default {1000} */
  minTimeout?: number;
  /** The part of a wait that is left to chance, 0 to 1. @default {1} */
  jitter?: number;
  /** Whether it is worth another attempt. @default {() => true} */
  isRetriable?: (error: unknown) => boolean;
  /** Ends the retrying early. */
  signal?: AbortSignal;
}

/** Every attempt failed; `cause` is the last failure. */
export class RetryError extends Error {
  constructor(cause: unknown, attempts: number) {
    super(`Retrying exceeded the maxAttempts (${attempts}).`, { cause });
    this.name = "RetryError";
  }
}

/** Resolves after `ms` milliseconds. */
export function delay(ms: number, options: DelayOptions = {}): Promise<void> {
  const { signal, persistent = true } = options;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (signal?.aborted) {
    reject(signal.reason);
    return promise;
  }
  const abort = () => {
    clearTimeout(timer);
    reject(signal?.reason);
  };
  const timer = setTimeout(() => {
    signal?.removeEventListener("abort", abort);
    resolve();
  }, ms);
  signal?.addEventListener("abort", abort, { once: true });
  if (!persistent) Deno.unrefTimer(timer);
  return promise;
}

/** Settles as `promise` does, or rejects with a `TimeoutError` after `ms` milliseconds. */
export async function deadline<T>(
  promise: Promise<T>,
  ms: number,
  options: DeadlineOptions = {},
): Promise<T> {
  const { signal } = options;
  signal?.throwIfAborted();
  const end = Promise.withResolvers<never>();
  const abort = () => end.reject(signal?.reason);
  const late = () => end.reject(new DOMException("Signal timed out.", "TimeoutError"));
  const timer = ms > LONGEST_TIMER ? undefined : setTimeout(late, ms);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, end.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** Calls `fn` until it succeeds, with growing waits between the attempts. */
export async function retry<T>(
  fn: (() => Promise<T>) | (() => T),
  options: RetryOptions = {},
): Promise<T> {
  const { multiplier = 2, maxTimeout = 60_000, maxAttempts = 5, minTimeout = 1_000 } = options;
  const { jitter = 1, isRetriable = () => true, signal } = options;
  for (let attempt = 1;; attempt++) {
    signal?.throwIfAborted();
    try {
      return await fn();
    } catch (error) {
      if (!isRetriable(error)) throw error;
      if (attempt >= maxAttempts) throw new RetryError(error, attempt);
    }
    const wait = Math.min(maxTimeout, minTimeout * multiplier ** (attempt - 1));
    await delay(wait * (1 - jitter * Math.random()), { ...(signal && { signal }) });
  }
}

/**
 * Maps `fn` over `items`, at most `limit` at a time; results come in the order of `items`.
 * After a failure no new call is made; once the others have ended it throws an `AggregateError`.
 */
export async function* pooledMap<T, R>(
  limit: number,
  items: Iterable<T> | AsyncIterable<T>,
  fn: (item: T) => Promise<R>,
): AsyncIterableIterator<R> {
  const running = new Set<Promise<unknown>>();
  const results: { promise: Promise<unknown>; values?: R[] }[] = [];
  const errors: unknown[] = [];
  for await (const item of items) {
    const result: { promise: Promise<unknown>; values?: R[] } = {
      promise: Promise.try(fn, item).then((value) => {
        result.values = [value];
      }, (error) => {
        result.values = [];
        errors.push(error);
      }).finally(() => running.delete(result.promise)),
    };
    running.add(result.promise);
    results.push(result);
    if (running.size >= limit) await Promise.race(running);
    while (results[0]?.values) yield* results.shift()?.values ?? [];
    if (errors.length > 0) break;
  }
  await Promise.all(running);
  for (const { values = [] } of results) yield* values;
  if (errors.length > 0) throw new AggregateError(errors, "Threw while mapping.");
}
