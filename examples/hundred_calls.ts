/**
 * A hundred clients at once, each calling the server and called by it, over one connection each; and
 * one client that is built on a connection that exists already, as a call client and nothing else.
 *
 *     deno run --allow-net=127.0.0.1 examples/hundred_calls.ts
 */
import { attach, connect, serve, text } from "@vgo/vnet";

const CLIENTS = 100;
const answers = new Map<string, unknown>();

await using server = await serve("127.0.0.1:0", {
  serializer: text(),
  methods: { greet: (word, { peer }) => `${word}, ${peer.id}: I am server` },
  // The server calls the same way as soon as a client is there.
  onConnect: async (peer) => {
    answers.set(peer.id, await peer.call("whoami", undefined, { timeout: 2_000 }));
  },
});

const started = performance.now();
const greetings = await Promise.all(Array.from({ length: CLIENTS }, async (_, n) => {
  await using client = await connect(server.addr, {
    id: `client-${n}`,
    serializer: text(),
    methods: { whoami: () => `I am client ${n}` },
  });
  return await client.call("greet", "hello", { timeout: 2_000 });
}));
console.log(`${greetings.length} clients called, ${answers.size} were called`);
console.log(greetings[42]);
console.log(answers.get("client-42"));

// Calls over a connection that somebody else has opened.
const { hostname, port } = server.addr;
await using caller = await attach(await Deno.connect({ hostname, port }), {
  side: "client",
  id: "attached",
  serializer: text(),
  methods: { whoami: () => "I came by another way" },
});
console.log(await caller.call("greet", "hello"));
console.log(answers.get("attached"));
console.log(`all in ${Math.round(performance.now() - started)} ms`);
