/**
 * No callbacks: one plain function per connection, as in Go, that reads with `for await` and lives as
 * long as its client. Here it is a chat: a client is asked for its name, then hears the others.
 *
 *     deno run --allow-net=127.0.0.1 examples/plain_function.ts
 */
import { type Client, connect, serve, type ServerPeer, text, type Untyped } from "@vgo/vnet";

type Chat = Untyped<string>;

await using server = await serve("127.0.0.1:0", { serializer: text(), onConnect: chat });

await using ann = await join("ann");
await using bob = await join("bob");
await ann.send("hello, bob");
await next(bob);
await bob.send("hello, ann");
await next(ann);

/** One client's whole stay. */
async function chat(peer: ServerPeer<Chat>): Promise<void> {
  await peer.send("What is your name?");
  let name = "";
  for await (const { body } of peer.messages) {
    if (name === "") {
      name = body;
      await peer.send(`Welcome, ${name}`);
    } else {
      await peer.server.broadcast(`${name}: ${body}`, { except: peer });
    }
  }
  console.log(`${name} is gone: ${(await peer.closed).code}`);
}

async function join(name: string): Promise<Client<Chat>> {
  const client = await connect(server.addr, { id: name, serializer: text() });
  await next(client);
  await client.send(name);
  await next(client);
  return client;
}

/** Shows the next message. Breaking off the loop leaves the others for the next loop. */
async function next(client: Client<Chat>): Promise<void> {
  for await (const { body } of client.messages) {
    console.log(`${client.id} reads: ${body}`);
    return;
  }
}
