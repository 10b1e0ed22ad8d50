/**
 * What our WebSocket and somebody else's do with each other, in both directions.
 *
 * Owns the script, as our client and as our server. The other side is a program that plays the same
 * script: `_websocket_ws.ts` with the npm package `ws`, `_websocket_python.py` with Python's
 * `websockets`, and `websocket_native_test.ts` with the runtime's own.
 */
import { assert, assertEquals } from "@std/assert";
import {
  ConnectError,
  connectWebSocket,
  serveWebSocket,
  type WebSocketCloseInfo,
  type WebSocketConn,
  type WebSocketServer,
} from "@vgo/vnet/websocket";

/** Lengths at and around which a frame's form changes, and one that comes in many reads. */
export const SIZES: readonly number[] = [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000];

/** What the script may leave out, where the other side has no such thing. */
export interface ScriptOptions {
  /** Both ends agree on compression. */
  readonly compression: boolean;
  /** The other end can answer with a status. @default {true} */
  readonly refuses?: boolean;
}

/** A text of so many bytes, mostly of more than one each. */
export function textOf(size: number): string {
  return "é☃".repeat(Math.floor(size / 5)) + "x".repeat(size % 5);
}

/** So many bytes. */
export function bytesOf(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(size).map((_, i) => i * 7);
}

/** Our client against a server that plays the script. */
export async function playClient(url: string, options: ScriptOptions): Promise<void> {
  const { compression, refuses = true } = options;
  const ws = await connectWebSocket(url, { compression, protocols: ["x", "chat"] });
  assertEquals(ws.protocol, "chat");
  const loop = ws[Symbol.asyncIterator]();
  const echoed = async (message: string | Uint8Array) => {
    const result = await loop.next();
    assert(result.done !== true, "The WebSocket ended within the script");
    const { value } = result;
    const same = typeof message === "string" || typeof value === "string"
      ? value === message
      : value.length === message.length && value.every((byte, i) => byte === message[i]);
    assert(same, `Another echo of ${typeof message} of length ${message.length}`);
  };
  for (const size of SIZES) {
    await ws.send(textOf(size));
    await echoed(textOf(size));
    await ws.send(bytesOf(size));
    await echoed(bytesOf(size));
  }
  await ws.write(new TextEncoder().encode("frag"), 1, { fin: false });
  assert(await ws.ping(new TextEncoder().encode("in between")) >= 0);
  await ws.write(new TextEncoder().encode("ment"), 0, { fin: false });
  await ws.write(new TextEncoder().encode("ed"), 0);
  await echoed("fragmented");
  assert(ws.lastPongAt !== undefined);
  for (let i = 0; i < 1_000; i++) await ws.send(`${i}`);
  for (let i = 0; i < 1_000; i++) await echoed(`${i}`);
  assertEquals(infoOf(await ws.close(4_000, "bye")), [4_000, true]);

  const closed = await connectWebSocket(`${url}close`, { protocols: ["chat"] });
  const info = await closed.closed;
  assertEquals([...infoOf(info), info.reason, info.initiator], [4_001, true, "enough", "remote"]);
  if (!refuses) return;
  const refusal = await connectWebSocket(`${url}no`).catch((error) => error);
  assert(refusal instanceof ConnectError && refusal.message.includes("403"), `${refusal}`);
}

/** Our server for a client that plays the script. */
export interface ScriptServer extends AsyncDisposable {
  readonly url: string;
  /** Resolves with how the next WebSocket has ended, and whether its messages were compressed. */
  ended(): Promise<WebSocketCloseInfo>;
}

/** Serves the script: echoes, closes what comes to /close, refuses what comes to /no. */
export async function serveScript({ compression }: ScriptOptions): Promise<ScriptServer> {
  const ends: WebSocketCloseInfo[] = [];
  let wake: () => void = () => {};
  const server: WebSocketServer = await serveWebSocket("ws://127.0.0.1:0", {
    compression,
    protocols: ["chat"],
    accept: (request) => !request.url.endsWith("/no"),
    onOpen: (ws) => ws.url.endsWith("/close") ? void ws.close(4_001, "enough") : pinged(ws),
    onMessage: (message, ws) => ws.send(message),
    onClose(info) {
      ends.push(info);
      wake();
    },
  });
  return {
    url: `ws://127.0.0.1:${server.addr.port}/`,
    async ended() {
      while (ends.length === 0) await new Promise<void>((resolve) => wake = resolve);
      const [first] = ends.splice(0, 1);
      assert(first !== undefined);
      return first;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Every implementation answers pings by itself. */
async function pinged(ws: WebSocketConn): Promise<void> {
  assert(await ws.ping() >= 0);
}

/** What a client that plays the script says on its way. */
export const EXPECTED_LINES: readonly string[] = [
  "protocol chat",
  ...SIZES.map((size) => `echo ${size}`),
  "fragmented",
  "pong",
  "many",
  "closed 4000",
  "closed 4001 enough",
  "refused 403",
];

/** Checks how the two WebSockets of the script have ended on our server. */
export async function checkEnds(server: ScriptServer): Promise<void> {
  const one = await server.ended();
  assertEquals([...infoOf(one), one.reason, one.initiator], [4_000, true, "bye", "remote"]);
  const two = await server.ended();
  assertEquals([...infoOf(two), two.initiator], [4_001, true, "local"]);
}

function infoOf({ code, wasClean }: WebSocketCloseInfo): [number, boolean] {
  return [code, wasClean];
}
