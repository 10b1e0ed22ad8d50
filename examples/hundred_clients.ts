/**
 * A hundred clients at once, each with a connection of its own. Every client says something and is
 * answered; the server pushes to one of them by its id, and broadcasts to all, and to all but one.
 *
 *     deno run --allow-net=127.0.0.1 examples/hundred_clients.ts
 */
import { connect, serve, text } from "@vgo/vnet";

const CLIENTS = 100;

/** How many messages have come to the clients, by topic. */
const received = new Map<string, number>();
let arrival = Promise.withResolvers<void>();
let since = performance.now();

await using server = await serve("127.0.0.1:0", {
  serializer: text(),
  onMessage: (_message, peer) => peer.send(`I am server, you are ${peer.id}`, { topic: "answer" }),
});

const clients = await Promise.all(
  Array.from({ length: CLIENTS }, (_, n) =>
    connect(server.addr, {
      id: `client-${n}`,
      serializer: text(),
      onMessage({ topic }) {
        received.set(topic, (received.get(topic) ?? 0) + 1);
        arrival.resolve();
      },
    })),
);
report(`${server.peers.size} clients are connected`);

for (const client of clients) client.send("I am client");
await arrived("answer", CLIENTS);
report("every client said something and was answered");

await server.push("client-42", "only you", { topic: "push" });
await arrived("push", 1);
report("a push went to client-42");

await server.broadcast("all of you", { topic: "broadcast" });
await arrived("broadcast", CLIENTS);
report("a broadcast went to all of them");

const except = server.peers.getAll("client-42");
await server.broadcast("all but one", { topic: "others", except });
await arrived("others", CLIENTS - 1);
report("a broadcast went to all but client-42");

await Promise.all(clients.map((client) => client.close()));
const { total, peers, messagesIn, messagesOut } = server.stats();
report(`${total} clients came, ${peers} are left: ${messagesIn} messages in, ${messagesOut} out`);

/** Resolves when so many messages of a topic have come. */
async function arrived(topic: string, count: number): Promise<void> {
  while ((received.get(topic) ?? 0) < count) {
    arrival = Promise.withResolvers<void>();
    await arrival.promise;
  }
}

function report(what: string): void {
  console.log(`${(performance.now() - since).toFixed(1).padStart(7)} ms  ${what}`);
  since = performance.now();
}
