/**
 * A process of a comparison, on Deno: its argument says which contestant.
 */
import type { Contestant } from "./_contestant.ts";
import { WS } from "./_kinds.ts";
import { work } from "./_worker.ts";

const CONTESTANTS: Readonly<Record<string, () => Promise<Contestant>>> = {
  raw: async () => (await import("./contestants/raw.ts")).raw,
  rawBeating: async () => (await import("./contestants/raw.ts")).rawBeating,
  vnet: async () => (await import("./contestants/vnet.ts")).vnet,
  vnetAsync: async () => (await import("./contestants/vnet.ts")).vnetAsync,
  frames: async () => (await import("./contestants/frames.ts")).frames,
  denoWebSocket: async () => (await import("./contestants/deno_websocket.ts")).denoWebSocket,
  ws: async () => await (await import("./contestants/ws.ts")).ws(WS),
};

const [name = ""] = Deno.args;
const contestant = await CONTESTANTS[name]?.();
if (contestant === undefined) throw new TypeError(`There is no contestant '${name}'`);
await work(contestant);
