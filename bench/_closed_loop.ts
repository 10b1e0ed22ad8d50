/**
 * A closed loop of calls: so many are always in flight, and each answer makes room for the next call.
 */
import type { CallFigures, CallLoad } from "./_contestant.ts";
import { quantile } from "./_stats.ts";

/** Makes calls with bodies of one size for as long as the load says. */
export async function closedLoop(
  load: CallLoad,
  call: (body: Uint8Array<ArrayBuffer>) => Promise<unknown>,
): Promise<CallFigures> {
  const { inFlight, size, duration } = load;
  const body = new Uint8Array(size);
  const untimed = inFlight < 8 ? 0 : 7;
  const times: number[] = [];
  let count = 0;
  const begin = performance.now();
  const end = begin + duration;
  let over = false;
  const lane = async () => {
    while (!over) {
      if ((count++ & untimed) !== 0) {
        await call(body);
        continue;
      }
      const from = performance.now();
      await call(body);
      const to = performance.now();
      times.push(to - from);
      if (to >= end) over = true;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return { count, duration: performance.now() - begin, ...spread(times) };
}

/** What becomes of the single times, in ms. */
export function spread(times: number[]): { p50: number; p99: number } {
  times.sort((a, b) => a - b);
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}
