/**
 * A signal on a long-lived thing is its `abort`; and what an abort's reason says.
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

/** The reason of an abort as text; it may be anything. */
export function inWords(reason: unknown): string {
  if (reason === undefined) return "";
  try {
    return reason instanceof Error ? reason.message : String(reason);
  } catch {
    return "What cannot be put in words";
  }
}
