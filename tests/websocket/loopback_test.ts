/** On real sockets: what only they can show. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConnectError, connectWebSocket, serveWebSocket } from "@vgo/vnet/websocket";
import { faultProxy } from "../../src/testing/proxy.ts";
import { Rng } from "../_support/rng.ts";
import { settle, take } from "./_support.ts";

Deno.test("connectWebSocket() aborted at random moments leaves nothing behind", async () => {
  await using server = await serveWebSocket("ws://127.0.0.1:0/");
  const rng = new Rng(300);
  let opened = 0;
  for (let i = 0; i < 200; i++) {
    const stop = new AbortController();
    const opening = connectWebSocket(server.addr, { signal: stop.signal });
    await settle(rng.int(6));
    stop.abort("enough");
    try {
      const ws = await opening;
      opened++;
      ws.abort();
    } catch (reason) {
      assertEquals(reason, "enough", `seed 300, ${i}`);
    }
  }
  assert(opened < 200, "None was aborted before it was open");
  while (server.clients.size > 0) await settle();
});

Deno.test("a message of 16 MiB comes through, and one byte more ends the WebSocket with 1009", async () => {
  await using server = await serveWebSocket("ws://127.0.0.1:0/", {
    onMessage: (message, ws) => ws.send(`${message.length}`),
    maxQueuedBytes: 1 << 26,
  });
  const ws = await connectWebSocket(server.addr, { maxQueuedBytes: 1 << 26 });
  const message = new Uint8Array((1 << 24) + 1);
  ws.send(message.subarray(1));
  assertEquals(await take(ws, 1), ["16777216"]);
  ws.send(message).catch(() => {});
  const info = await ws.closed;
  // The close frame may be lost: the server leaves input unread when its patience is over.
  assert(info.code === 1009 || info.code === 1006, `${info.code}`);
});

Deno.test("a connection that is cut in the middle ends with 1006 on both ends", async () => {
  for (const how of ["reset", "close"] as const) {
    await using server = await serveWebSocket("ws://127.0.0.1:0/");
    await using proxy = await faultProxy(`127.0.0.1:${server.addr.port}`);
    const ws = await connectWebSocket(`ws://${proxy.addr.host}/`);
    while (server.clients.size === 0) await settle();
    const [client] = server.clients.values();
    for (const link of proxy.links) link.cut(how);
    assertEquals([(await ws.closed).code, (await client?.closed)?.code], [1006, 1006], how);
  }
});

Deno.test("a connection in pieces of one byte carries the handshake and messages", async () => {
  await using server = await serveWebSocket("ws://127.0.0.1:0/", {
    compression: true,
    onMessage: (message, ws) => ws.send(message),
  });
  await using proxy = await faultProxy(`127.0.0.1:${server.addr.port}`, { faults: { slice: 1 } });
  const accept = connectWebSocket(`ws://${proxy.addr.host}/`, { headers: { origin: "http://x" } });
  await assertRejects(() => accept, ConnectError, "403");
  await using ws = await connectWebSocket(`ws://${proxy.addr.host}/`, { compression: true });
  ws.send("é".repeat(3_000));
  assertEquals(await take(ws, 1), ["é".repeat(3_000)]);
});
