/** One connection per sender. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  ClosedError,
  dialUdp,
  LimitError,
  listenUdpPeers,
  type ListenUdpPeersOptions,
  TimeoutError,
  type UdpListener,
} from "@vgo/vnet/udp";
import { openPeers } from "../../src/udp/peers.ts";
import { settle } from "../_support/stall_clock.ts";
import { bytes, exchange, FakeOutside, text } from "./_support.ts";

function fake(
  options: ListenUdpPeersOptions = {},
): { outside: FakeOutside; listener: UdpListener } {
  const outside = new FakeOutside();
  return { outside, listener: openPeers("127.0.0.1:0", options, outside) };
}

Deno.test("listenUdpPeers() gives each sender a connection of its own", async () => {
  await using listener = await listenUdpPeers("127.0.0.1:0");
  const serving: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const conn of listener) {
      serving.push((async () => {
        let count = 0;
        for await (const { data } of conn) await conn.send(`${text(data)} ${++count}`);
      })());
    }
  })();
  await using a = await dialUdp(listener.addr);
  await using b = await dialUdp(listener.addr);
  assertEquals(await exchange(a, "a"), "a 1");
  assertEquals(await exchange(b, "b"), "b 1");
  assertEquals(await exchange(a, "a"), "a 2");
  assertEquals(listener.peers, 2);
  await listener.close();
  await accepting; // ends quietly, and so do its connections
  await Promise.all(serving);
  assertEquals(serving.length, 2);
});

Deno.test("accept() gives who came first, with what it has sent since", async () => {
  const { outside, listener } = fake();
  await using _ = listener;
  outside.socket.arrive(bytes("1"), 11);
  outside.socket.arrive(bytes("2"), 12);
  outside.socket.arrive(bytes("3"), 11);
  await settle();
  const first = await listener.accept();
  const second = await listener.accept();
  assertEquals([first.remoteAddr?.port, second.remoteAddr?.port], [11, 12]);
  assertEquals([first.stats.queued, second.stats.queued], [2, 1]);
  const third = listener.accept();
  outside.socket.arrive(bytes("4"), 13);
  assertEquals(text((await (await third).receive()).data), "4");
});

Deno.test("accept() has timeout, deadline and signal", async () => {
  const { outside, listener } = fake({ acceptTimeout: 100 });
  await using _ = listener;
  assertEquals(listener.acceptTimeout, 100);
  const late = assertRejects(() => listener.accept(), TimeoutError, "Cannot accept");
  await outside.clock.advance(100);
  await late;
  listener.acceptTimeout = Infinity;
  listener.setAcceptDeadline(outside.dateNow() + 50);
  const later = assertRejects(() => listener.accept(), TimeoutError);
  await outside.clock.advance(50);
  await later;
  listener.setAcceptDeadline(Infinity);
  const reason = new Error("no more");
  const signal = AbortSignal.abort(reason);
  assertEquals(await listener.accept({ signal }).catch((error) => error), reason);
});

Deno.test("a peer that is silent is ended and may come back; one that speaks or is spoken to is not", async () => {
  const { outside, listener } = fake({ idleTimeout: 1_000 });
  await using _ = listener;
  outside.socket.arrive(bytes("a"), 11);
  outside.socket.arrive(bytes("b"), 12);
  outside.socket.arrive(bytes("c"), 13);
  const [a, b, c] = [await listener.accept(), await listener.accept(), await listener.accept()];
  const loop = (async () => {
    for await (const _ of a);
    return "over";
  })();
  for (let i = 0; i < 5; i++) {
    await outside.clock.advance(300);
    await b.send("are you there?");
    outside.socket.arrive(bytes("I am here"), 13);
  }
  const info = await a.closed;
  assertEquals([info.code, info.initiator], ["NORMAL", "network"]);
  assertEquals(info.reason, "Nothing came or went for 1000 ms");
  assertEquals([await loop, listener.peers], ["over", 2]);
  assertEquals(c.stats.queued, 6);
  await assertRejects(() => a.send("x"), ClosedError);
  outside.socket.arrive(bytes("me again"), 11);
  const again = await listener.accept();
  assertEquals([again.remoteAddr?.port, again.id !== a.id], [11, true]);
  await outside.clock.advance(2_000);
  assertEquals([listener.peers, outside.clock.pending], [0, 0]);
});

Deno.test("senders that nobody accepts are bounded, and forgotten", async () => {
  const { outside, listener } = fake({ maxPeers: 10, idleTimeout: 1_000 });
  await using _ = listener;
  for (let n = 0; n < 1_000; n++) outside.socket.arrive(bytes("forged"), 1 + n);
  await settle();
  assertEquals([listener.peers, listener.dropped], [10, 990]);
  await outside.clock.advance(2_000);
  assertEquals(listener.peers, 0);
  outside.socket.arrive(bytes("real"), 5_000);
  const conn = await listener.accept();
  assertEquals(text((await conn.receive()).data), "real");
});

Deno.test("all queues together are bounded in bytes", async () => {
  const { outside, listener } = fake({ maxQueuedBytes: 1_000 });
  await using _ = listener;
  for (let n = 0; n < 5; n++) outside.socket.arrive(new Uint8Array(300), 1 + n);
  await settle();
  assertEquals([listener.peers, listener.dropped], [5, 2]);
  const first = await listener.accept();
  first.abort();
  outside.socket.arrive(new Uint8Array(300), 3);
  await settle();
  assertEquals(listener.dropped, 2);
});

Deno.test("a connection that ends leaves the others and the listener alone", async () => {
  const { outside, listener } = fake();
  await using _ = listener;
  outside.socket.arrive(bytes("a"), 11);
  outside.socket.arrive(bytes("b"), 12);
  const [a, b] = [await listener.accept(), await listener.accept()];
  await a.close();
  await a.close();
  assertEquals([listener.peers, outside.socket.closes], [1, 0]);
  await b.send("still here");
  outside.socket.arrive(bytes("new"), 11);
  assertEquals(text((await (await listener.accept()).receive()).data), "new");
});

Deno.test("U4 a peer that nothing can be sent to is no error", async () => {
  const { outside, listener } = fake();
  await using _ = listener;
  outside.socket.onSend = () => Promise.reject(new Deno.errors.NetworkUnreachable("os error 101"));
  outside.socket.arrive(bytes("?"), 0, "240.0.0.1");
  const conn = await listener.accept();
  await conn.send("anybody?");
  assertEquals([conn.stats.sent, conn.stats.networkErrors], [0, 1]);
});

Deno.test("U3 replyLimit holds for each connection until it is validated", async () => {
  const { outside, listener } = fake({ replyLimit: {} });
  await using _ = listener;
  outside.socket.arrive(bytes("?"), 11);
  const conn = await listener.accept();
  await assertRejects(() => conn.send("four"), LimitError);
  await conn.send("3 B");
  conn.validate();
  await conn.send(new Uint8Array(1_000));
  assertEquals(outside.socket.sent.length, 2);
});

Deno.test("close() and abort() of the listener end its connections, once", async () => {
  for (const way of ["close", "abort", "vanish"] as const) {
    const { outside, listener } = fake();
    outside.socket.arrive(bytes("a"), 11);
    const conn = await listener.accept();
    const waiting = assertRejects(() => listener.accept(), ClosedError);
    if (way === "vanish") outside.socket.vanish();
    else listener[way]();
    const code = { close: "NORMAL", abort: "ABORTED", vanish: "LINK_LOST" }[way];
    assertEquals([(await listener.closed).code, (await conn.closed).code], [code, code]);
    assertEquals((await waiting).code, code);
    await listener.close();
    listener.abort();
    assert(outside.socket.closes <= 1);
    assertEquals([listener.peers, outside.clock.pending], [0, 0]);
    await assertRejects(() => listener.accept(), ClosedError);
  }
});

Deno.test("close() of the listener waits for pending sends, within the grace", async () => {
  const { outside, listener } = fake();
  outside.socket.arrive(bytes("a"), 11);
  const conn = await listener.accept();
  outside.socket.onSend = () => new Promise(() => {});
  const cut = assertRejects(() => conn.send("x"), ClosedError);
  const closing = listener.close({ grace: 100 });
  await outside.clock.advance(99);
  assertEquals(outside.socket.closes, 0);
  await outside.clock.advance(1);
  assertEquals((await closing).code, "NORMAL");
  await cut;
  await assertRejects(
    () => openPeers(":0", {}, new FakeOutside()).close({ grace: -1 }),
    RangeError,
  );
});

Deno.test("listenUdpPeers() checks its options", async () => {
  for (
    const options of [{ idleTimeout: 0 }, { maxPeers: 0 }, { maxPeers: Infinity }, {
      acceptTimeout: -1,
    }]
  ) {
    await assertRejects(() => listenUdpPeers("127.0.0.1:0", options), RangeError, "must be");
  }
});
