/**
 * Who takes part in a comparison, and where each runs.
 */
import { against, takesPart } from "./_settings.ts";

/** The package that vnet is compared with, in the version that was measured. */
export const WS = "npm:ws@8.23.0";

/** A contestant in a runtime. */
export interface Kind {
  /** As it is shown. */
  readonly label: string;
  /** Its name for a worker. */
  readonly name: string;
  readonly runtime: "deno" | "node";
  /** What it is in the comparison: the limit, the one that is judged, or another one of its sort. */
  readonly role: "raw" | "vnet" | "variant" | "peer";
  /** The checkout that it is taken from. @default this one */
  readonly root?: string;
  /** What else the engine is told, of a contestant on Deno. */
  readonly engine?: string;
}

/** Those that take part as the flags say; another version of what is judged stands right after it. */
export function takingPart(kinds: readonly Kind[]): Kind[] {
  return kinds.flatMap((kind) => {
    if (kind.role === "raw") return [kind];
    if (kind.role !== "vnet") return takesPart(kind.label) ? [kind] : [];
    if (against === undefined) return [kind];
    return [kind, { ...kind, label: `${kind.label}, other`, role: "variant", root: against }];
  });
}

export const RAW: Kind = { label: "raw Deno.Conn", name: "raw", runtime: "deno", role: "raw" };
export const VNET: Kind = { label: "vnet", name: "vnet", runtime: "deno", role: "vnet" };
/** The engine keeps less room for young objects: as fits a server that mostly waits. */
export const VNET_LEAN: Kind = {
  ...VNET,
  label: "vnet, --max-semi-space-size=4",
  role: "variant",
  engine: "--max-semi-space-size=4",
};
export const RAW_BEATING: Kind = {
  label: "raw, a byte and back each 10 s",
  name: "rawBeating",
  runtime: "deno",
  role: "variant",
};
export const FRAMES: Kind = {
  label: "vnet, frames alone",
  name: "frames",
  runtime: "deno",
  role: "variant",
};
export const DENO_WEBSOCKET: Kind = {
  label: "Deno WebSocket + ids",
  name: "denoWebSocket",
  runtime: "deno",
  role: "peer",
};
export const WS_DENO: Kind = { label: "ws on Deno", name: "ws", runtime: "deno", role: "peer" };
export const WS_NODE: Kind = { label: "ws on Node", name: "ws", runtime: "node", role: "peer" };
