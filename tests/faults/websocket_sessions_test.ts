/**
 * The group WebSocket of the fault catalogue, as far as sessions go, with M4; what messages may be (W7, H3)
 * and who may ask (W6, H1, H2) is in tests/websocket/session_*_test.ts.
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { ClosedError, connect, serve, type Server, type ServerPeer } from "@vgo/vnet";
import { connectWebSocket } from "@vgo/vnet/websocket";
import { encodeMessage } from "../../src/wire/message.ts";
import { FrameType } from "../../src/wire/constants.ts";
import { body } from "../_support/feed.ts";
import { LIMITS } from "../_support/wire_client.ts";
import { MessagePeer, soon, until, VNET } from "../websocket/_session.ts";

const HERE = "ws://127.0.0.1:0/";
const KIB = 1_024;
const MIB = 1_024 * KIB;
const PIECE = 64 * KIB;
/** What one write takes out of the queue, about. */
const WRITE_SIZE = 64 * KIB;
/** The default of `queue.highWaterMark`. */
const HIGH_WATER = 64 * KIB;

/**
 * A client that grants more than anybody will send, and reads only when it is asked to: what holds the
 * server back is the connection itself.
 */
async function deaf(server: Server, id: string) {
  const ws = await connectWebSocket(server.addr, { protocols: [VNET], readAhead: 1 });
  const peer = new MessagePeer(ws);
  await peer.open({ clientId: id, limits: { ...LIMITS, recvBytes: 2 ** 31 } });
  peer.pause();
  await until(() => server.peers.has(id));
  const there = server.peers.get(id);
  assert(there !== undefined);
  const received = () =>
    peer.frames.reduce(
      (sum, { type, body }) => type === FrameType.MSG ? sum + body.length : sum,
      0,
    );
  return { ws, there, received, listen: () => peer.resume() };
}

/** Sends as fast as it may, and notes how much waited at most. */
function pour(peer: ServerPeer, total: number) {
  const seen = { sent: 0, most: 0 };
  const ended = (async () => {
    for (; seen.sent < total; seen.sent += PIECE) {
      const room = peer.send(new Uint8Array(PIECE));
      seen.most = Math.max(seen.most, peer.queued.bytes);
      await room;
    }
  })().then(() => undefined, (error: unknown) => error);
  return { seen, ended };
}

/** Waits until nothing more is sent. */
async function stuck(seen: { readonly sent: number }): Promise<void> {
  for (let before = -1, same = 0; same < 20; before = seen.sent) {
    same = seen.sent === before ? same + 1 : 0;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

Deno.test("M4 a session over WebSocket is held back by a client that reads nothing: what waits is bounded, and counted", async () => {
  await using server = await serve(HERE, { heartbeat: false });
  const slow = await deaf(server, "slow");
  // More than the buffers of both sockets hold.
  const total = 32 * MIB;
  const { seen, ended } = pour(slow.there, total);
  await stuck(seen);
  assert(seen.sent > PIECE && seen.sent < total / 2, `${seen.sent} bytes were accepted`);
  const { queued } = slow.there;
  assertEquals(server.stats().queued, queued);
  // What is being written, what waits up to the mark, and one message that goes beyond each.
  const bound = WRITE_SIZE + HIGH_WATER + 3 * PIECE;
  assert(queued.bytes >= PIECE && queued.frames > 0, `${queued.bytes} bytes wait`);
  assert(seen.most <= bound, `${seen.most} bytes waited, which are more than ${bound}`);
  slow.listen();
  assertEquals(await soon(ended), undefined);
  await until(() => slow.received() >= total);
  await until(() => slow.there.queued.bytes === 0);
  await slow.ws.close();
});

Deno.test("M4 trySend() over WebSocket is full at maxQueuedBytes, and what overflow drops is dropped", async () => {
  const maxQueuedBytes = 4 * PIECE;
  await using server = await serve(HERE, { heartbeat: false, limits: { maxQueuedBytes } });
  const slow = await deaf(server, "slow");
  const { there } = slow;
  const { seen, ended } = pour(there, 32 * MIB);
  await stuck(seen);
  const outcomes = Array.from({ length: 10 }, () => there.trySend(new Uint8Array(PIECE / 2)));
  assert(outcomes.includes("queued") && outcomes.at(-1) === "full", `${outcomes}`);
  // One message may go beyond the limit: it is full then.
  const bound = maxQueuedBytes + PIECE;
  assert(there.queued.bytes <= bound, `${there.queued.bytes}`);
  const { dropped } = there.stats;
  assertEquals((await server.broadcast(new Uint8Array(PIECE))).skipped, 1);
  assertEquals(there.stats.dropped, dropped + 1);
  assert(there.queued.bytes <= bound, `${there.queued.bytes}`);
  there.abort();
  assertInstanceOf(await soon(ended), ClosedError);
  assertEquals(server.stats().queued, { bytes: 0, frames: 0 });
  slow.ws.abort();
});

Deno.test("M1 a client over WebSocket that reads nothing is given up after writeTimeout, and freed", async () => {
  await using server = await serve(HERE, { heartbeat: false, writeTimeout: 150 });
  const slow = await deaf(server, "slow");
  const { seen, ended } = pour(slow.there, 64 * MIB);
  const { code, initiator, unsent } = await soon(slow.there.closed);
  assertEquals([code, initiator], ["WRITE_TIMEOUT", "network"]);
  assert(unsent.frames > 0 && seen.sent < 64 * MIB);
  const error = await ended;
  assertInstanceOf(error, ClosedError);
  assertEquals(error.code, "WRITE_TIMEOUT");
  const none = { bytes: 0, frames: 0 };
  assertEquals([slow.there.queued, server.stats().queued, server.peers.size], [none, none, 0]);
  slow.listen();
  assertEquals((await soon(slow.ws.closed)).code, 1006);
});

Deno.test("M2 one slow client of many over WebSocket delays nobody in a broadcast", async () => {
  await using server = await serve(HERE, { heartbeat: false });
  const slow = await deaf(server, "slow");
  const { seen, ended } = pour(slow.there, 32 * MIB);
  await stuck(seen);
  const counts = new Map<string, number>();
  const clients = await Promise.all(Array.from({ length: 8 }, (_, n) =>
    connect(server.addr, {
      id: `${n}`,
      onMessage: ({ body }) => counts.set(`${n}`, (counts.get(`${n}`) ?? 0) + body.length),
    })));
  for (let n = 0; n < 40; n++) {
    const options = { ack: n % 10 === 9, except: slow.there };
    const { sent, queued, missing } = await server.broadcast(body(10_000), options);
    assertEquals([sent + queued, missing.length], [8, 0]);
  }
  await until(() => [...counts.values()].filter((bytes) => bytes === 400_000).length === 8);
  slow.there.abort();
  await ended;
  await Promise.all(clients.map((client) => client.close()));
  slow.ws.abort();
});

Deno.test("M3 a client over WebSocket is read no faster than its messages are handled", async () => {
  const gate = Promise.withResolvers<void>();
  let handled = 0;
  await using server = await serve(HERE, {
    heartbeat: false,
    onMessage: () => {
      handled++;
      return gate.promise;
    },
  });
  await using client = await connect(server.addr, { heartbeat: false });
  const sent = { sent: 0 };
  const sending = (async () => {
    for (; sent.sent < 400; sent.sent++) await client.send(new Uint8Array(16 * KIB));
  })();
  await stuck(sent);
  // One window, and what waits at the client.
  assert(
    handled === 1 && sent.sent <= (MIB + 2 * HIGH_WATER + WRITE_SIZE) / (16 * KIB),
    `${sent.sent}`,
  );
  gate.resolve();
  await soon(sending);
  await until(() => handled === 400);
});

Deno.test("M3 a client over WebSocket that heeds no credit is ended with FLOW_CONTROL", async () => {
  await using server = await serve(HERE, {
    heartbeat: false,
    onMessage: () => new Promise(() => {}),
  });
  const peer = new MessagePeer(await connectWebSocket(server.addr, { protocols: [VNET] }));
  await peer.open();
  const flood = (async () => {
    for (let n = 1; n < 100; n++) await peer.send((out) => encodeMessage(out, n, "", body(PIECE)));
  })().catch((error: unknown) => error);
  assertEquals(await peer.farewell(), "CLOSE FLOW_CONTROL, 1000");
  assertInstanceOf(await flood, ClosedError);
});
