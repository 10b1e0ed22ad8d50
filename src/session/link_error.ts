/**
 * What the end of a link says of what came before it.
 */
import { FrameError, VnetError } from "../base/errors.ts";

/** The error of a link that has ended with `error`; `undefined`: it has ended well. `partial`: within a frame. */
export function linkError(error: unknown, partial: boolean): VnetError | undefined {
  if (error instanceof VnetError) return error;
  if (error !== undefined) {
    return new VnetError("LINK_LOST", String(error), { cause: error, initiator: "network" });
  }
  if (!partial) return undefined;
  return new FrameError("Cannot take frame as the link ended in the middle of it", {
    code: "TRUNCATED",
  });
}
