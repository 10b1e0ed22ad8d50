/** Our WebSocket and the runtime's own understand each other, whichever end is the client. */
import { assert, assertEquals } from "@std/assert";
import { systemTest } from "./_process.ts";
import { bytesOf, checkEnds, playClient, serveScript, SIZES, textOf } from "./_websocket_script.ts";

const needs = { permissions: ["net"] } as const;

systemTest("our server understands the runtime's client", needs, async () => {
  await using server = await serveScript({ compression: true });
  const ws = await open(server.url, ["x", "chat"]);
  assertEquals([ws.protocol, ws.extensions], ["chat", ""]);
  const messages: unknown[] = [];
  let wake: () => void = () => {};
  ws.onmessage = ({ data }) => {
    messages.push(data instanceof ArrayBuffer ? new Uint8Array(data) : data);
    wake();
  };
  const next = async () => {
    while (messages.length === 0) await new Promise<void>((resolve) => wake = resolve);
    return messages.shift();
  };
  for (const size of SIZES) {
    ws.send(textOf(size));
    assertEquals(await next(), textOf(size));
    ws.send(bytesOf(size));
    const echo = await next();
    assert(echo instanceof Uint8Array && echo.length === size);
    assert(bytesOf(size).every((byte, i) => byte === echo[i]));
  }
  for (let i = 0; i < 1_000; i++) ws.send(`${i}`);
  for (let i = 0; i < 1_000; i++) assertEquals(await next(), `${i}`);
  assertEquals(await closed(ws, () => ws.close(4_000, "bye")), [4_000, true, "bye"]);

  const other = await open(`${server.url}close`, ["chat"], false);
  assertEquals(await closed(other), [4_001, true, "enough"]);
  await checkEnds(server);
  const refused = new WebSocket(`${server.url}no`);
  const { promise, resolve } = Promise.withResolvers<string>();
  refused.onerror = (event) => resolve(event instanceof ErrorEvent ? event.message : "");
  assert((await promise).includes("403"));
});

systemTest("our client understands the runtime's server", needs, async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/no") return new Response(null, { status: 403 });
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "chat" });
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      if (pathname === "/close") socket.close(4_001, "enough");
    };
    socket.onmessage = ({ data }) => socket.send(data);
    return response;
  });
  await playClient(`ws://127.0.0.1:${server.addr.port}/`, { compression: true });
  await server.shutdown();
});

async function open(url: string, protocols: string[], wait = true): Promise<WebSocket> {
  const ws = new WebSocket(url, protocols);
  ws.binaryType = "arraybuffer";
  if (wait) await new Promise((resolve) => ws.addEventListener("open", resolve, { once: true }));
  return ws;
}

/** How it ends. */
function closed(ws: WebSocket, begin: () => void = () => {}): Promise<[number, boolean, string]> {
  const { promise, resolve } = Promise.withResolvers<[number, boolean, string]>();
  ws.onclose = ({ code, wasClean, reason }) => resolve([code, wasClean, reason]);
  begin();
  return promise;
}
