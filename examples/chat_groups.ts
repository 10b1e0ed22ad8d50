/**
 * A chat with rooms: a room is a group, and the topic of a message says to which room it goes. The
 * others of the room hear it. Who leaves the server leaves all rooms.
 *
 *     deno run --allow-net=127.0.0.1 examples/chat_groups.ts
 */
import { type Client, connect, serve, text, type Untyped } from "@vgo/vnet";

type Chat = Untyped<string>;

let lines = 0;
let arrival = Promise.withResolvers<void>();

await using server = await serve("127.0.0.1:0", {
  serializer: text(),
  methods: {
    join: (room, { peer }) => {
      peer.join(room);
      peer.server.broadcast("has come", {
        group: room,
        topic: `${room}: ${peer.id}`,
        except: peer,
      });
      return [...peer.server.group(room)].map(({ id }) => id).join(", ");
    },
    leave: (room, { peer }) => {
      peer.leave(room);
      return [...peer.groups].join(", ");
    },
  },
  onMessage({ topic: room, body }, peer) {
    if (!peer.groups.has(room)) return peer.send("you are not in it", { topic: room });
    peer.server.broadcast(body, { group: room, topic: `${room}: ${peer.id}`, except: peer });
  },
  onDisconnect(_info, peer) {
    // It is in none of them any more; these are the ones that it was in.
    for (const room of peer.groups) {
      peer.server.broadcast("is gone", { group: room, topic: `${room}: ${peer.id}` });
    }
  },
});

const [ann, bob, cem] = [await enter("ann"), await enter("bob"), await enter("cem")];
console.log("in the lobby:", await ann.call("join", "lobby"));
console.log("in the lobby:", await bob.call("join", "lobby"));
console.log("in the lobby:", await cem.call("join", "lobby"));
console.log("in the kitchen:", await cem.call("join", "kitchen"));
await heard(3); // ann hears of both, bob of one

await ann.send("hello", { topic: "lobby" });
await heard(2);
await bob.send("anything to eat?", { topic: "kitchen" });
await heard(1);
console.log("bob joins them:", await bob.call("join", "kitchen"));
await heard(1);
await bob.send("anything to eat?", { topic: "kitchen" });
await heard(1);
console.log("bob goes back to:", await bob.call("leave", "kitchen"));
await cem.close();
await heard(2);

const rooms = ["lobby", "kitchen"].map((room) => `${server.group(room).size} in the ${room}`);
console.log(`${rooms.join(", ")}; ${server.stats().messagesOut} lines were sent to somebody`);
await Promise.all([ann.close(), bob.close()]);

/** One more who shows what is said. */
function enter(id: string): Promise<Client<Chat>> {
  return connect(server.addr, {
    id,
    serializer: text(),
    onMessage({ topic, body }) {
      console.log(`${id} reads: ${topic}: ${body}`);
      lines++;
      arrival.resolve();
    },
  });
}

/** Resolves when so many lines more have come to somebody. */
async function heard(more: number): Promise<void> {
  for (; lines < more; arrival = Promise.withResolvers<void>()) await arrival.promise;
  lines -= more;
}
