/**
 * Calls in both directions over one connection: the client calls the server, and while the server
 * answers it calls the client back, within the same deadline. Streams come along either way.
 *
 *     deno run --allow-net=127.0.0.1 examples/calls_both_ways.ts
 */
import { connect, json, serve } from "@vgo/vnet";

await using server = await serve("127.0.0.1:0", {
  serializer: json(),
  methods: {
    // `parent` hands on what is left of the caller's time, and its end.
    order: async (item, call) => {
      const sure = await call.peer.call("confirm", `one ${item}?`, { parent: call });
      return sure ? `${item} is on its way` : `no ${item}, then`;
    },
    async *countdown(from) {
      for (let n = Number(from); n > 0; n--) yield n;
    },
    sum: async (_input, { stream }) => {
      let sum = 0;
      for await (const item of stream) sum += Number(item);
      return sum;
    },
    async *echo(_input, { stream }) {
      for await (const item of stream) yield `${item}, ${item}`;
    },
  },
});

await using client = await connect(server.addr, {
  id: "ann",
  serializer: json(),
  methods: { confirm: (question) => question !== "one elephant?" },
});

console.log(await client.call("order", "cake", { timeout: 2_000 }));
console.log(await client.call("order", "elephant", { timeout: 2_000 }));

// The server calls by itself as well.
console.log("ann says", await server.peers.get("ann")?.call("confirm", "still there?"));

const seen = [];
for await (const n of client.stream("countdown", 1_000_000)) {
  seen.push(n);
  if (seen.length === 3) break; // the generator on the far side stops
}
console.log("countdown", seen.join(" "));
console.log("sum", await client.call("sum", undefined, { stream: [1, 2, 3] }));
for await (const item of client.stream("echo", undefined, { stream: ["one", "two"] })) {
  console.log("echo", item);
}
