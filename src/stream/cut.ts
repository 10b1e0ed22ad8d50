/**
 * The end of a transport, for whoever has nothing more to say or to hear on it.
 */
import { isPromiseLike } from "../base/resolved.ts";
import type { Transport } from "../base/types.ts";

/** Ends a transport now. Never throws; a returned promise never rejects. */
export function cutTransport(transport: Transport): PromiseLike<unknown> | undefined {
  try {
    if (transport.abort !== undefined) transport.abort();
    else {
      const closing = transport.close();
      if (isPromiseLike(closing)) return closing.then(ignore, ignore);
    }
  } catch {
    // Closed before by whoever gave it to us: closed is closed.
  }
  return undefined;
}

function ignore(): void {}
