/**
 * A chat under a contract: one value says what either end understands, both infer their types from it,
 * and Zod says what a line may be. A room is a group. A bad line does not leave its client; that of a
 * stranger reaches nobody.
 *
 *     deno run --allow-net=127.0.0.1 examples/typed_chat.ts
 */
import { z } from "zod";
import { type Client, connect, json, RpcError, serve } from "@vgo/vnet";
import { contract, message, method } from "@vgo/vnet/contract";

const Room = z.string().regex(/^[a-z]{1,20}$/);
const Text = z.string().trim().min(1).max(200); // what arrives is trimmed

const chat = contract({
  server: {
    join: method({ input: z.object({ room: Room }), output: z.array(z.string()) }),
    say: message(z.object({ room: Room, text: Text })),
  },
  client: {
    said: message(z.object({ room: Room, from: z.string(), text: Text })),
    joined: message(z.object({ room: Room, who: z.string() })),
  },
});

await using server = await serve("127.0.0.1:0", {
  contract: chat,
  methods: {
    join({ room }, { peer }) {
      peer.server.broadcast({ room, who: peer.id }, { topic: "joined", group: room });
      peer.join(room);
      return Array.from(peer.server.group(room), ({ id }) => id);
    },
  },
  onMessage({ body: { room, text } }, peer) {
    if (!peer.groups.has(room)) return;
    const line = { room, from: peer.id, text };
    peer.server.broadcast(line, { topic: "said", group: room, except: peer });
  },
  onEvent(event) {
    if (event.type !== "error" || !(event.error instanceof Error)) return;
    console.log(`server: ${event.error.cause}`);
  },
});

const [ann, bob] = [await enter("ann"), await enter("bob")];
console.log("ann joins:", (await ann.call("join", { room: "lobby" })).join(", "));
console.log("bob joins:", (await bob.call("join", { room: "lobby" })).join(", "));
await hears(ann);

await ann.send({ room: "lobby", text: "  hi all  " }, { topic: "say" });
await hears(bob);

// What is wrong shows where it is made: neither of the two leaves.
await bob.call("join", { room: "No Such Room" }).catch(tell);
await bob.send({ room: "lobby", text: " " }, { topic: "say" }).catch(tell);

// Who does not know the contract can send what it likes, which is told to the server's watcher.
await using stranger = await connect(server.addr, { id: "stranger", serializer: json() });
await stranger.call("join", { room: "lobby" });
await hears(ann);
await stranger.send({ room: "lobby", text: { toString: 1 } }, { topic: "say" });
await stranger.send("hello?", { topic: "shout" });
await stranger.send({ room: "lobby", text: "now in words" }, { topic: "say" });
await hears(ann);
await Promise.all([ann.close(), bob.close()]);

function enter(id: string): Promise<Client<typeof chat>> {
  return connect(server.addr, { contract: chat, id });
}

/** Shows the next message; its topic says what its body is. */
async function hears(client: Client<typeof chat>): Promise<void> {
  for await (const message of client.messages) {
    const { room } = message.body;
    if (message.topic === "said") {
      console.log(`${client.id} in ${room}: ${message.body.from}: ${message.body.text}`);
    } else {
      console.log(`${client.id} in ${room}: ${message.body.who} has come`);
    }
    return; // leaving the loop closes nothing
  }
}

function tell(error: unknown): void {
  const name = error instanceof RpcError ? error.code : error instanceof Error ? error.name : "";
  console.log(`${name}: ${error instanceof Error ? error.message : error}`);
}
