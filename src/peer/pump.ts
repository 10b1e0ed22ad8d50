/**
 * Feeds the items of a source into a stream, as fast as the other end takes them.
 */
import { RpcError } from "../base/errors.ts";
import type { SendFlow } from "../session/flows.ts";
import type { Encoded } from "./bodies.ts";

/** What can be sent item by item. */
export type Source = AsyncIterable<unknown> | Iterable<unknown>;

/**
 * Sends every item and then the end. Stops early, and lets the source know, when the flow is over.
 * Rejects with what the source or the encoder throws, and with an `RpcError` for an item that the other
 * end would not take.
 */
export async function pump(
  source: Source,
  flow: SendFlow,
  encode: (item: unknown) => Encoded,
  pushed: () => void,
): Promise<void> {
  if (flow.over) return leave(source);
  for await (const item of stoppable(source, flow)) {
    if (flow.over) return;
    const encoded = encode(item);
    const payload = encoded instanceof Uint8Array ? encoded : await encoded;
    if (payload.length > flow.maxItem) {
      const words =
        `An item must be at most ${flow.maxItem} bytes: current value is ${payload.length}`;
      throw new RpcError("RESOURCE_EXHAUSTED", words);
    }
    const more = flow.push(payload);
    pushed();
    if (!more) await new Promise<void>((resolve) => flow.onRoom(resolve));
    if (flow.over) return;
  }
  flow.end();
  pushed();
}

/** Lets a source know that its items are of no use. */
export function leave(source: Source): void {
  if (Symbol.asyncIterator in source) end(source[Symbol.asyncIterator]());
}

/** One that waits for its next item, perhaps for ever, is to learn now that nobody wants it. */
function stoppable(source: Source, flow: SendFlow): Source {
  if (!(Symbol.asyncIterator in source)) return source;
  const items = source[Symbol.asyncIterator]();
  flow.onStop(() => end(items));
  return { [Symbol.asyncIterator]: () => items };
}

/** A generator in the middle of a step ends after it. */
async function end(items: AsyncIterator<unknown>): Promise<void> {
  try {
    await items.return?.();
  } catch {
    // Nobody is left to hear what its end throws.
  }
}
