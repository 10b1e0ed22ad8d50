/**
 * What can be wrong with a link, and the handle that makes it go wrong.
 *
 * Owns the vocabulary and its checks. Moves no byte: `lane.ts` does what is said here.
 */

/** What a link does to the bytes that it carries. Bytes of one direction never change their order. */
export interface Faults {
  /** How long bytes are on their way, in ms. @default {0} */
  readonly delay?: number;
  /** Up to how many ms more, by chance. @default {0} */
  readonly jitter?: number;
  /** How many bytes each direction carries in a second. @default {Infinity} */
  readonly bytesPerSecond?: number;
  /** A read gives at most this many bytes, by chance fewer; 1 gives one byte each. @default {Infinity} */
  readonly slice?: number;
  /** The chance, from 0 to 1, that one bit of a byte arrives flipped. @default {0} */
  readonly corrupt?: number;
  /**
   * After this many bytes, both directions together, the connection is reset. What arrived before
   * can still be read. @default {Infinity}
   */
  readonly cutAfter?: number;
}

/** One connection's way through the network, to be damaged while it is in use. */
export interface Link {
  /**
   * Ends the connection from the middle. `"reset"`: what is on its way or unread is lost, and both
   * ends fail with `ConnectionReset`. `"close"`: both ends read what is on its way, then the end
   * of the stream, and their writes fail with `BrokenPipe`. @default {"reset"}
   */
  cut(how?: "reset" | "close"): void;
  /**
   * Lets nothing arrive any more, neither bytes nor an end, and closes nothing: writers block once
   * the buffers are full. All of it is kept, as TCP would send it again. `"up"` is away from the
   * end that dialled. @default {"both"}
   */
  blackhole(direction?: "up" | "down" | "both"): void;
  /** From now on the link has these faults, instead of those it had. Black holes stay. */
  degrade(faults: Faults): void;
  /** Removes all faults and black holes. What was held or on its way arrives at once, in order. */
  heal(): void;
}

/** Faults with nothing left open. */
export type ResolvedFaults = Readonly<Required<Faults>>;

/** Fills in what is missing. Throws a `RangeError` that names the field which is out of range. */
export function resolveFaults(faults: Faults): ResolvedFaults {
  const {
    delay = 0,
    jitter = 0,
    bytesPerSecond = Infinity,
    slice = Infinity,
    corrupt = 0,
    cutAfter = Infinity,
  } = faults;
  check("delay", delay, delay >= 0 && delay < Infinity, "a number of ms from 0");
  check("jitter", jitter, jitter >= 0 && jitter < Infinity, "a number of ms from 0");
  check("bytesPerSecond", bytesPerSecond, bytesPerSecond > 0, "a number above 0");
  check("slice", slice, slice === Infinity || isCount(slice, 1), "an integer from 1");
  check("corrupt", corrupt, corrupt >= 0 && corrupt <= 1, "a chance from 0 to 1");
  check("cutAfter", cutAfter, cutAfter === Infinity || isCount(cutAfter, 0), "an integer from 0");
  return { delay, jitter, bytesPerSecond, slice, corrupt, cutAfter };
}

function isCount(value: number, least: number): boolean {
  return Number.isSafeInteger(value) && value >= least;
}

function check(name: string, value: number, valid: boolean, expected: string): void {
  if (valid) return;
  throw new RangeError(
    `Cannot use faults as '${name}' must be ${expected}: current value is ${value}`,
  );
}
