/**
 * The numbers of tracked frames: who has sent how many, and who has taken how many.
 *
 * Frame n travels as ((n - 1) mod (2^32 - 1)) + 1, since 0 means "not tracked". Counts are exact:
 * a JavaScript number holds them for longer than any session lives.
 */
const CYCLE = 2 ** 32 - 1;

/** What a received number says of its frame. */
export type Arrival = "next" | "repeat" | "gap";

/** The number that the frame with this count travels with. */
export function seqOf(count: number): number {
  return count <= CYCLE ? count : ((count - 1) % CYCLE) + 1;
}

/** How many tracked frames were sent. Whatever writes one takes its number here. */
export class SendCount {
  /** Tracked frames sent. */
  count: number;

  constructor(count = 0) {
    this.count = count;
  }

  /** The number of the next frame, which then counts as sent. */
  next(): number {
    return seqOf(++this.count);
  }
}

/** How many tracked frames were received, and whether the next one fits. */
export class ReceiveCount {
  /** Tracked frames received. */
  count: number;

  constructor(count = 0) {
    this.count = count;
  }

  /** The number of the next frame. */
  get next(): number {
    return seqOf(this.count + 1);
  }

  /** Judges a number, and counts its frame when it is the next one. */
  judge(seq: number): Arrival {
    if (seq === this.next) {
      this.count++;
      return "next";
    }
    if (this.count === 0) return "gap";
    const behind = (seqOf(this.count) - seq + CYCLE) % CYCLE;
    return behind < 2 ** 31 ? "repeat" : "gap";
  }
}
