/** A server to be killed: echoes on the port that it is told, and says when it listens. */
import { serve, text } from "../../mod.ts";

const server = await serve({ hostname: "127.0.0.1", port: Number(Deno.args[0]) }, {
  serializer: text(),
  onMessage: (message, peer) => peer.send(`echo ${message.body}`),
});
console.log(`listening on ${server.addr}`);
