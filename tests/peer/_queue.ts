/**
 * A queue of a peer by itself, for tests of what becomes of messages in it.
 */
import type { Overflow } from "@vgo/vnet";
import { ManualClock } from "@vgo/vnet/testing";
import { resolveSession } from "../../src/peer/options.ts";
import { SendQueue } from "../../src/peer/send_queue.ts";
import { Counters } from "../../src/peer/stats.ts";
import type { ByteBudget } from "../../src/session/outbox.ts";

/** A queue that nothing leaves by itself, and what it tells. */
export function makeQueue(
  options: { overflow?: Overflow; maxQueuedBytes?: number; budget?: ByteBudget } = {},
): {
  queue: SendQueue;
  told: string[];
  counters: Counters;
  clock: ManualClock;
  names: () => string[];
} {
  const { overflow = "wait", maxQueuedBytes = 1_000, budget } = options;
  const told: string[] = [];
  const counters = new Counters(0);
  const clock = new ManualClock();
  let order = 0;
  const queue = new SendQueue({
    settings: resolveSession({
      queue: { overflow, highWaterMark: 600 },
      limits: { maxQueuedBytes },
    }),
    clock,
    counters,
    budget,
    nextOrder: () => order++,
    inFlight: () => 0,
    openLink: () => ({ inFlight: 0, wake() {} }),
    sendRefusal: () => undefined,
    dropped: (frames, bytes, policy) => told.push(`drop ${frames} ${bytes} ${policy}`),
    limitMet: (limit, value) => told.push(`limit ${limit} ${value}`),
    slow: () => {},
    caughtUp: () => {},
    tooSlow: (reason) => told.push(`too slow: ${reason}`),
  });
  const names = () => {
    const topics: string[] = [];
    for (let next = queue.outbox.peek(); next !== undefined; next = queue.outbox.peek()) {
      topics.push(next.topic);
      queue.outbox.shift();
    }
    return topics;
  };
  return { queue, told, counters, clock, names };
}

/** A body of so many bytes. */
export function bytes(length: number): Uint8Array {
  return new Uint8Array(length);
}
