/**
 * WebSockets over loopback, both ends in this process: messages one way, masked (client to server) and not
 * (server to client), and echoed; and calls over a WebSocket beside calls over TCP.
 *
 *     deno bench --allow-net --allow-env bench/websocket_bench.ts
 *
 * In each group the baseline carries as many bytes over a bare connection, 64 KiB to a write or pipelined:
 * no frames, no message, which is the limit of the runtime. Beside vnet are the WebSocket that is built
 * into Deno and the npm package `ws`, once with its writes held together by hand (corked). Where that is not
 * to be had, or may not read variables, it is left out. The report's unit is one turn: so many messages have
 * all arrived, or so many calls are made at once and all have been answered. Only ratios within a group mean
 * anything.
 *
 * Goals (floor / stretch, of the baseline; of the best peer):
 *
 * - calls over our WebSocket, 128 B, 64 in flight: 0.10 / 0.20; 3 / 6 times ws with ids
 * - push of 32 B and 1 KiB, not masked: 0.10 / 0.25; 1.2 / 3 times ws corked, 6 / 15 times Deno's
 * - client to server, masked, 1 KiB and 64 KiB: 0.3 / 0.6; 1.2 / 2 times ws
 */
import { connect, serve } from "../mod.ts";
import { connectWebSocket, serveWebSocket, type WebSocketConn } from "../src/websocket.ts";
import { WS } from "./_kinds.ts";
import { echo, pair, readCount, writeAll } from "./_raw.ts";
import { scaled, turns } from "./_settings.ts";
import { Waiting } from "./contestants/_waiting.ts";

type Body = Uint8Array<ArrayBuffer>;

/** Two ends that are connected. */
interface Contestant {
  readonly name: string;
  /** One end sends so many messages; resolves when the other has them all. */
  readonly push: (from: "client" | "server", body: Body, count: number) => Promise<void>;
  /** The client sends so many messages, and resolves when all have come back. */
  readonly echo: (body: Body, count: number) => Promise<void>;
  /** Makes so many calls at once, and resolves when all are answered. */
  readonly calls?: (body: Body, count: number) => Promise<void>;
}

/** What is used of the package `ws`. */
interface WsSocket {
  readonly bufferedAmount: number;
  /** The connection below: not documented, and how its users hold writes together. */
  readonly _socket: { cork(): void; uncork(): void };
  on(event: "open", listener: () => void): void;
  on(event: "message", listener: (data: Body) => void): void;
  send(data: Uint8Array): void;
}
interface WsServer {
  on(event: "listening", listener: () => void): void;
  on(event: "connection", listener: (ws: WsSocket) => void): void;
  address(): { readonly port: number };
}
interface WsModule {
  readonly WebSocket: new (url: string, options: object) => WsSocket;
  readonly WebSocketServer: new (options: object) => WsServer;
}

/** Counts messages, and tells when there are as many as somebody waits for. */
class Count {
  #left = 0;
  #resolve = () => {};

  add(): void {
    if (--this.#left === 0) this.#resolve();
  }

  after(count: number): Promise<void> {
    this.#left = count;
    return new Promise((resolve) => this.#resolve = resolve);
  }
}

const SIZES: readonly [name: string, size: number, count: number, atOnce: number][] = [
  ["32 B", 32, scaled(8_192, 64), 64],
  ["1 KiB", 1_024, scaled(4_096, 64), 64],
  ["64 KiB", 65_536, scaled(128, 4), 16],
];
const CALLS = 64;
const CALL_BODY = new Uint8Array(128);
/** A call of vnet has so many bytes beside its body, each way; a WebSocket's frame a few more. */
const OVERHEAD = 21;
/** So much is sent before a push looks whether there is room, and so much may wait with a socket then. */
const BATCH = 65_536;
const HIGH_WATER = 262_144;

const contestants: readonly Contestant[] = [
  await bare(),
  await ours(),
  await denos(),
  ...await packages(),
];

for (const from of ["server", "client"] as const) {
  for (const [size, bytes, count] of SIZES) {
    const masked = from === "server" ? "server to client, not masked" : "client to server, masked";
    group(`${masked}, ${size}`, ({ push }) => push(from, new Uint8Array(bytes), count));
  }
}
for (const [size, bytes, , atOnce] of SIZES) {
  group(`echo, ${atOnce} at once, ${size}`, ({ echo }) => echo(new Uint8Array(bytes), atOnce));
}
const callers: readonly Contestant[] = [
  ...contestants,
  await session("vnet session over WebSocket", "ws://127.0.0.1:0/chat"),
  await session("vnet session over TCP", "tcp://127.0.0.1:0"),
];
for (const { name, calls } of callers) {
  if (calls === undefined) continue;
  const baseline = name === contestants[0]?.name;
  Deno.bench(
    name,
    { group: `calls, ${CALLS} at once, 128 B`, baseline, ...turns },
    async () => await calls(CALL_BODY, CALLS),
  );
}

function group(group: string, turn: (contestant: Contestant) => Promise<void>): void {
  for (const [index, contestant] of contestants.entries()) {
    // Only what is declared async is awaited by the runner.
    Deno.bench(
      contestant.name,
      { group, baseline: index === 0, ...turns },
      async () => await turn(contestant),
    );
  }
}

async function bare(): Promise<Contestant> {
  const [near, far] = await pair();
  const [asking, answering] = await pair();
  echo(answering).catch(console.error);
  const source = new Uint8Array(65_536);
  const target = new Uint8Array(65_536);
  const carry = async (bytes: number, from: Deno.Conn, to: Deno.Conn) => {
    const sending = (async () => {
      for (let left = bytes; left > 0; left -= source.length) {
        await writeAll(from, source.subarray(0, Math.min(left, source.length)));
      }
    })();
    await Promise.all([sending, readCount(to, target, bytes)]);
  };
  return {
    name: "bare connection",
    push: (from, body, count) =>
      from === "client"
        ? carry(body.length * count, near, far)
        : carry(body.length * count, far, near),
    echo: (body, count) => carry(body.length * count, asking, asking),
    calls: (body, count) => carry((body.length + OVERHEAD) * count, asking, asking),
  };
}

async function ours(): Promise<Contestant> {
  const arrived = { client: new Count(), server: new Count() };
  const opened = Promise.withResolvers<WebSocketConn>();
  const listening = await serveWebSocket("ws://127.0.0.1:0/push", {
    highWaterMark: HIGH_WATER,
    onOpen: (ws) => opened.resolve(ws),
    onMessage: () => arrived.server.add(),
  });
  const echoing = await serveWebSocket("ws://127.0.0.1:0/echo", {
    onMessage: (message, ws) => ws.send(message),
  });
  const count = () => arrived.client.add();
  const client = await connectWebSocket(listening.addr, {
    highWaterMark: HIGH_WATER,
    onMessage: count,
  });
  const server = await opened.promise;
  const asking = await connectWebSocket(echoing.addr, { onMessage: count });
  return {
    name: "vnet WebSocket",
    async push(from, body, count) {
      const there = (from === "client" ? arrived.server : arrived.client).after(count);
      const ws = from === "client" ? client : server;
      for (let sent = 0; sent < count;) {
        let room: Promise<void> | undefined;
        for (let bytes = 0; bytes < BATCH && sent < count; bytes += body.length, sent++) {
          room = ws.send(body);
        }
        await room;
      }
      await there;
    },
    async echo(body, count) {
      const there = arrived.client.after(count);
      for (let sent = 0; sent < count; sent++) asking.send(body);
      await there;
    },
  };
}

async function denos(): Promise<Contestant> {
  const arrived = { client: new Count(), server: new Count() };
  const opened = Promise.withResolvers<WebSocket>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.binaryType = "arraybuffer";
    const echoes = request.url.endsWith("/echo");
    if (!echoes) socket.onopen = () => opened.resolve(socket);
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) =>
      echoes ? socket.send(data) : arrived.server.add();
    return response;
  });
  const dial = async (path: string) => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.addr.port}${path}`);
    socket.binaryType = "arraybuffer";
    await new Promise((resolve) => socket.onopen = resolve);
    return socket;
  };
  const client = await dial("/push");
  const asking = await dial("/echo");
  const waiting = new Waiting();
  const caller = await dial("/echo");
  client.onmessage = asking.onmessage = () => arrived.client.add();
  caller.onmessage = ({ data }: MessageEvent<ArrayBuffer>) =>
    waiting.answered(new Uint8Array(data));
  const there = await opened.promise;
  return {
    name: "Deno's WebSocket",
    push: (from, body, count) =>
      from === "client"
        ? pushTo(client, body, count, arrived.server)
        : pushTo(there, body, count, arrived.client),
    async echo(body, count) {
      const there = arrived.client.after(count);
      for (let sent = 0; sent < count; sent++) asking.send(body);
      await there;
    },
    calls: (body, count) => byHand(waiting, caller, body, count),
  };
}

async function packages(): Promise<Contestant[]> {
  const ws = await packageWs();
  if (ws === undefined) return [];
  const arrived = { client: new Count(), server: new Count() };
  const sockets: WsSocket[] = [];
  const listen = async (onMessage: (ws: WsSocket, data: Body) => void) => {
    const server = new ws.WebSocketServer({
      host: "127.0.0.1",
      port: 0,
      perMessageDeflate: false,
    });
    await new Promise<void>((resolve) => server.on("listening", resolve));
    server.on("connection", (socket) => {
      sockets.push(socket);
      socket.on("message", (data) => onMessage(socket, data));
    });
    return `ws://127.0.0.1:${server.address().port}`;
  };
  const dial = async (url: string) => {
    const socket = new ws.WebSocket(url, { perMessageDeflate: false });
    await new Promise<void>((resolve) => socket.on("open", resolve));
    return socket;
  };
  const client = await dial(await listen(() => arrived.server.add()));
  const [there] = sockets;
  if (there === undefined) throw new Error("There must be a connection");
  const echoing = await listen((socket, data) => socket.send(data));
  const asking = await dial(echoing);
  const caller = await dial(echoing);
  const waiting = new Waiting();
  client.on("message", () => arrived.client.add());
  asking.on("message", () => arrived.client.add());
  caller.on("message", (data) => waiting.answered(data));
  const contestant = (name: string, corked: boolean): Contestant => ({
    name,
    push: (from, body, count) =>
      from === "client"
        ? pushTo(client, body, count, arrived.server, corked ? client._socket : undefined)
        : pushTo(there, body, count, arrived.client, corked ? there._socket : undefined),
    async echo(body, count) {
      const there = arrived.client.after(count);
      if (corked) asking._socket.cork();
      for (let sent = 0; sent < count; sent++) asking.send(body);
      if (corked) asking._socket.uncork();
      await there;
    },
    calls: (body, count) =>
      byHand(waiting, caller, body, count, corked ? caller._socket : undefined),
  });
  return [contestant("ws", false), contestant("ws, corked", true)];
}

async function session(name: string, address: string): Promise<Contestant> {
  const server = await serve(address, { methods: { echo: (body) => body } });
  const client = await connect(server.addr);
  const none = () => Promise.reject(new TypeError("There are only calls"));
  return {
    name,
    push: none,
    echo: none,
    async calls(body, count) {
      const answers: Promise<Uint8Array>[] = [];
      for (let i = 0; i < count; i++) answers.push(client.call("echo", body));
      for (const answer of answers) await answer;
    },
  };
}

/** Sends with what tells only how much waits. */
async function pushTo(
  socket: { readonly bufferedAmount: number; send(data: Body): void },
  body: Body,
  count: number,
  arrived: Count,
  corking?: { cork(): void; uncork(): void },
): Promise<void> {
  const there = arrived.after(count);
  for (let sent = 0; sent < count;) {
    corking?.cork();
    for (let bytes = 0; bytes < BATCH && sent < count; bytes += body.length, sent++) {
      socket.send(body);
    }
    corking?.uncork();
    while (socket.bufferedAmount > HIGH_WATER) await immediate();
  }
  await there;
}

async function byHand(
  waiting: Waiting,
  socket: { send(data: Body): void },
  body: Body,
  count: number,
  corking?: { cork(): void; uncork(): void },
): Promise<void> {
  const answers: Promise<Uint8Array>[] = [];
  corking?.cork();
  for (let i = 0; i < count; i++) {
    answers.push(waiting.call(body, (message) => socket.send(message)));
  }
  corking?.uncork();
  for (const answer of answers) await answer;
}

/** The package, unless it is not to be had or may not run. */
async function packageWs(): Promise<WsModule | undefined> {
  try {
    return await import(WS);
  } catch (error) {
    console.error(`${WS} is left out: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

function immediate(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
