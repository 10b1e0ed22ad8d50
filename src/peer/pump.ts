/**
 * Feeds the items of a source into a stream, as fast as the other end takes them.
 */
import type { SendFlow } from "../session/flows.ts";

/** What can be sent item by item. */
export type Source = AsyncIterable<unknown> | Iterable<unknown>;

/**
 * Sends every item and then the end. Stops early, and lets the source know, when the flow is over.
 * Rejects with what the source or the encoder throws.
 */
export async function pump(
  source: Source,
  flow: SendFlow,
  encode: (item: unknown) => Uint8Array,
  pushed: () => void,
): Promise<void> {
  for await (const item of source) {
    if (flow.over) return;
    const more = flow.push(encode(item));
    pushed();
    if (!more) await new Promise<void>((resolve) => flow.onRoom(resolve));
    if (flow.over) return;
  }
  flow.end();
  pushed();
}
