/**
 * The time of this machine, for the parts of the testing room that work on real connections.
 */
import type { Clock } from "../base/types.ts";

/** Real time in ms. */
export const realClock: Clock = {
  now: () => performance.now(),
  setTimer(at, run) {
    let id = setTimeout(check, wait());
    function check(): void {
      // A timeout is counted in whole ms, and may come a little before the instant.
      if (wait() > 0) id = setTimeout(check, wait());
      else run();
    }
    /** Timeouts above 2^31 ms would come at once, and those below 0 are complained about. */
    function wait(): number {
      return Math.max(0, Math.min(at - performance.now(), 2 ** 31 - 1));
    }
    return { [Symbol.dispose]: () => clearTimeout(id) };
  },
};
