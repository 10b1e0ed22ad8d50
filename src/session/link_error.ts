/**
 * What the end of a link says of what came before it, and what came of who has sent it.
 */
import { FrameError, ProtocolError, VnetError } from "../base/errors.ts";
import { sniff } from "../wire/sniff.ts";

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

/** What `error` really is, where `seen` came first; `undefined`: a mistake of somebody who speaks vnet. */
export function foreignError(error: ProtocolError, seen: Uint8Array): ProtocolError | undefined {
  const spoken = sniff(seen) ?? "something else";
  if (spoken === "vnet" || error.code === "BAD_VERSION") return undefined;
  const reason = `The other end speaks ${spoken}, not vnet`;
  return new ProtocolError(error.code, reason, { cause: error });
}

/** How a link has ended that nobody took leave of; `open`: the session was. */
export function endInWords(error: unknown, open: boolean): string {
  const how = error === undefined ? "closed without a word" : "lost";
  return `The link was ${how}${open ? "" : " before the session was open"}`;
}
