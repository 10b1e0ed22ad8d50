/**
 * A signal on a long-lived thing is its `abort`.
 */

/** Ends a thing when a signal says so. */
export function abortWith(
  signal: AbortSignal | undefined,
  thing: { readonly closed: Promise<unknown>; abort(reason?: unknown): void },
): void {
  if (signal === undefined) return;
  const abort = () => thing.abort(signal.reason);
  if (signal.aborted) return abort();
  signal.addEventListener("abort", abort, { once: true });
  thing.closed.then(() => signal.removeEventListener("abort", abort));
}
