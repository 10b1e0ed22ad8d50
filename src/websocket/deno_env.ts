/**
 * What WebSockets need of the system: its time, its chance, SHA-1 and zlib.
 */
import { createHash } from "node:crypto";
import { systemClock } from "../net/clock.ts";
import { zlibDeflate } from "./deno_zlib.ts";
import type { WebSocketEnv } from "./env.ts";

/** So many at once: a call into the system costs as much as a hundred of them. */
const masks = new Int32Array(1_024);
let used = masks.length;

/** The system's. */
export const systemEnv: WebSocketEnv = {
  clock: systemClock,
  nextMask() {
    if (used === masks.length) {
      crypto.getRandomValues(masks);
      used = 0;
    }
    return masks[used++]!;
  },
  newKey: () => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16)))),
  newId: () => crypto.randomUUID(),
  // That of Web Crypto is asynchronous.
  sha1: (text) => createHash("sha1").update(text).digest("base64"),
  deflate: zlibDeflate,
};
