/**
 * The smallest server and client: what is sent comes back.
 *
 *     deno run --allow-net=127.0.0.1 examples/echo.ts
 */
import { connect, serve, text } from "@vgo/vnet";

await using server = await serve("127.0.0.1:0", {
  serializer: text(),
  onMessage: (message, peer) => peer.send(`echo: ${message.body}`),
});
await using client = await connect(server.addr, { serializer: text() });

await client.send("hello");
for await (const { body } of client.messages) {
  console.log(body);
  break; // leaving the loop closes nothing; `await using` does
}
