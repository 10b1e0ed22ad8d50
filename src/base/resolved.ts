/**
 * The promise of what is done already. One for all, so that it costs nothing to give, and so that who
 * gets it can know by looking that there is nothing to wait for.
 */
export const RESOLVED: Promise<void> = Promise.resolve();

/** Whether a value is one to wait for: a promise, or whatever acts as one. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value &&
    typeof value.then === "function";
}
