/**
 * A gateway with limits before a server without: it passes calls on, no faster than it should, to whom it
 * lets in, and tells each limit that somebody meets.
 *
 *     deno run --allow-net=127.0.0.1 examples/gateway.ts
 */
import { type Client, connect, ConnectError, serve, text, type Untyped } from "@vgo/vnet";
import { seconds } from "./_program.ts";

await using backend = await serve("127.0.0.1:0", {
  serializer: text(),
  methods: { price: (symbol) => `${symbol} is at 42` },
});
await using upstream = await connect(backend.addr, { id: "gateway", serializer: text() });

await using gateway = await serve("127.0.0.1:0", {
  serializer: text(),
  limits: {
    messagesPerSecond: 100, // of one client, calls included; whoever sends more is read no faster
    maxConnectionsPerHost: 4,
    maxUnregistered: 2,
  },
  // What is left of the caller's time goes along, and so does its change of mind.
  methods: { price: (symbol, call) => upstream.call("price", symbol, { parent: call }) },
  onEvent(event) {
    switch (event.type) {
      case "limit":
        return tell(`${event.peer?.id ?? "somebody"} has met ${event.limit}: ${event.value}`);
      case "reject":
        return tell(`somebody was not let in: ${event.code}`);
      case "disconnect":
        return tell(`${event.peer.id} is gone: ${event.info.code}`);
    }
  },
});

console.log("── a greedy client gets all that it asks for, but not at once; a modest one does");
const [greedy, modest] = [await enter("greedy"), await enter("modest")];
await Promise.all([timed(greedy, 300), timed(modest, 50)]);

console.log("── one too many from this host, where there may be 4");
const others = [await enter("third"), await enter("fourth")];
await enter("fifth").catch((error) => {
  if (!(error instanceof ConnectError)) throw error;
  console.log(`fifth: ${error.code}`);
});
for (const other of [greedy, ...others]) await other.close();

console.log("── sockets that say nothing: 2 may wait, the third is hung up on");
const { hostname, port } = gateway.addr;
const silent = await Promise.all([1, 2, 3].map(() => Deno.connect({ hostname, port })));
const ends = silent.map((conn) => conn.read(new Uint8Array(1)));
await Promise.race(ends);
for (const conn of silent) conn.close();
await Promise.allSettled(ends);

console.log("── one who sends 2,000 messages without waiting for anything");
const flood = await enter("flood");
for (let n = 0; n < 2_000; n++) flood.send("me first").catch(() => {});
console.log(`flood: ${(await flood.closed).code}`);
await modest.close();

const { limits, rejected, callsIn } = gateway.stats();
console.log(`${callsIn} calls came in, ${backend.stats().callsIn} went on`);
console.log("limits met:", JSON.stringify(limits));
console.log("refused:", JSON.stringify(rejected));

function enter(id: string): Promise<Client<Untyped<string>>> {
  return connect(gateway.addr, { id, serializer: text(), reconnect: false, openTimeout: 0 });
}

/** So many calls, ten at a time. */
async function timed(client: Client<Untyped<string>>, calls: number): Promise<void> {
  const started = performance.now();
  let left = calls;
  const caller = async () => {
    while (left-- > 0) await client.call("price", "VGO");
  };
  await Promise.all(Array.from({ length: 10 }, caller));
  console.log(`${client.id}: ${calls} calls in ${seconds(performance.now() - started)}`);
}

function tell(what: string): void {
  console.log(`   gateway: ${what}`);
}
