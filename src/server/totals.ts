/**
 * Sums over the peers of a server.
 */
import type { CloseInfo, DrainInfo } from "../base/lifecycle.ts";
import type { Traffic } from "../peer/stats.ts";

/** Adds what one peer has done to a sum. */
export function addTraffic(sum: Record<keyof Traffic, number>, stats: Traffic): void {
  sum.bytesIn += stats.bytesIn;
  sum.bytesOut += stats.bytesOut;
  sum.messagesIn += stats.messagesIn;
  sum.messagesOut += stats.messagesOut;
  sum.callsIn += stats.callsIn;
  sum.callsOut += stats.callsOut;
  sum.dropped += stats.dropped;
}

/** The ends of all peers as one. */
export class Total {
  readonly #unsent = { bytes: 0, frames: 0 };
  #finished = 0;
  #cut = 0;

  /** Adds the end of one. */
  add({ unsent, finished, cut }: DrainInfo): void {
    this.#unsent.bytes += unsent.bytes;
    this.#unsent.frames += unsent.frames;
    this.#finished += finished;
    this.#cut += cut;
  }

  /** The end of the server. */
  info(outcome: CloseInfo): DrainInfo {
    return { ...outcome, unsent: this.#unsent, finished: this.#finished, cut: this.#cut };
  }
}
