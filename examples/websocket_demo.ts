/**
 * The WebSocket demo: a server that echoes and pings each of its clients, and a client that says
 * something twice. Every step of both is a line.
 *
 *     deno run --allow-net=127.0.0.1 examples/websocket_demo.ts
 *     deno run --allow-net=127.0.0.1 examples/websocket_demo.ts --port 0
 */
import { connectWebSocket, serveWebSocket, type WebSocketConn } from "@vgo/vnet/websocket";
import { numberOption, readOptions } from "./_program.ts";

const USAGE = `Usage: deno run --allow-net=127.0.0.1 examples/websocket_demo.ts [options]

  --port <number>  of the server; 0 is a free one (default 30000)
  --help           shows this`;

const options = readOptions(USAGE, { port: { type: "string", default: "30000" } });
const port = numberOption(USAGE, "port", options.port, 65_535);

await using server = await serveWebSocket(`ws://127.0.0.1:${port}/`, {
  pingInterval: 100_000,
  // The origin could be looked at here as well, or a token. Without this only pages of this host come in.
  accept(request, remoteAddr) {
    console.log(`server: ${remoteAddr.hostname} asks for ${new URL(request.url).pathname}`);
    return request.headers.get("authorization") === "Bearer s3cret";
  },
  onMessage: (message, ws) => ws.send(message), // text comes back as text, bytes as bytes
  onClose: ({ code, reason }) => console.log(`server: a client is gone: ${code} ${reason}`),
});

try {
  await connectWebSocket(server.addr);
} catch (error) {
  console.log(`client: ${error instanceof Error ? error.message.replace(/:\d+/g, ":…") : error}`);
}

const messages = ["a", new Uint8Array([1, 2, 3])];
let left = messages.length;
const ws: WebSocketConn = await connectWebSocket(server.addr, {
  headers: { authorization: "Bearer s3cret" },
  onOpen(ws) {
    console.log("client: open!");
    ws.pong();
  },
  onMessage(message, ws) {
    if (typeof message === "string") console.log(`client: Message: ${message}`);
    else console.log(`client: Binary message of ${message.length} bytes`);
    if (--left === 0) ws.close(1000, "that was all");
  },
  onError: (error) => console.log(`client: error: ${error}`),
  onClose: ({ code, reason }) => console.log(`client: closed: ${code} ${reason}`),
});

console.log(`client: a round trip takes less than a second: ${await ws.ping() < 1_000}`);
for (const message of messages) await ws.send(message);
await ws.closed;
