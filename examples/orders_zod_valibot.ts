/**
 * Orders under a contract: one file says what either end understands, Zod and Valibot say what a body
 * must be, and both ends infer their types from it. A bad order does not reach its handler; the client
 * is told what is wrong with it, and where.
 *
 *     deno run --allow-net=127.0.0.1 examples/orders_zod_valibot.ts
 */
import * as v from "valibot";
import { z } from "zod";
import { attach, connect, json, RpcError, serve } from "@vgo/vnet";
import { bytes, contract, method } from "@vgo/vnet/contract";
import { memoryPair } from "@vgo/vnet/testing";

const Order = z.object({
  symbol: z.string().min(1),
  amount: z.coerce.number().positive(), // "5" travels, 5 arrives
});
const shop = contract({
  server: {
    order: method({ input: Order, output: v.object({ ticket: v.number() }) }),
    prices: method({
      input: z.string(),
      yields: z.object({ at: z.coerce.date(), price: z.number() }),
    }),
    upload: method({ input: z.object({ name: z.string() }), stream: bytes(), output: z.number() }),
  },
  client: { confirm: method({ input: z.string(), output: z.boolean() }) },
});

await using server = await serve("127.0.0.1:0", {
  contract: shop,
  methods: {
    async order({ symbol, amount }, call) {
      const sure = await call.peer.call("confirm", `${amount} ${symbol}?`, { parent: call });
      if (!sure) throw new RpcError("ABORTED", "The client is not sure");
      // A mistake of the server's own: its watcher learns what it is, the client does not.
      return symbol === "BUG" ? JSON.parse('{"ticket":"seven"}') : { ticket: amount * 100 };
    },
    async *prices(symbol, { signal }) {
      for (let n = 1; !signal.aborted; n++) {
        yield { at: new Date(n * 1_000), price: symbol.length * n };
        await Promise.resolve();
      }
    },
    async upload({ name }, { stream }) {
      let size = name.length;
      for await (const chunk of stream) size += chunk.length;
      return size;
    },
  },
  onEvent: (event) => {
    if (event.type === "error") console.log(`server: ${event.error}`);
  },
});
await using client = await connect(server.addr, {
  contract: shop,
  methods: { confirm: (question) => !question.startsWith("1000 ") },
});

const { ticket } = await client.call("order", { symbol: "VGO", amount: "5" });
console.log(`ticket ${ticket}`);
for await (const { at, price } of client.stream("prices", "VGO")) {
  console.log(`${at.toISOString()} ${price}`);
  if (price > 5) break; // cancels the handler on the far side
}
const chunks = [new Uint8Array(1_000), new Uint8Array(24)];
console.log(`${await client.call("upload", { name: "" }, { stream: chunks })} bytes`);

await tell("not sure", client.call("order", { symbol: "VGO", amount: 1_000 }));
await tell("the server's bug", client.call("order", { symbol: "BUG", amount: 1 }));
// It does not even leave, since the client checks as well.
await tell("a bad order", client.call("order", { symbol: "", amount: "-5" }));

// Who does not know the contract is checked where it arrives, and told in the same words.
const [here, there] = memoryPair();
const [stranger] = await Promise.all([
  attach(here, { side: "client", serializer: json() }),
  server.attach(there),
]);
await tell("a stranger", stranger.call("order", { symbol: 7 }));
await stranger.close();

async function tell(what: string, call: Promise<unknown>): Promise<void> {
  try {
    console.log(`${what}:`, await call);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    console.log(`${what}: ${error.code}, executed ${error.executed}: ${error.message}`);
    for (const { path = [], message } of error.issues) {
      console.log(`  ${path.join(".")}: ${message}`);
    }
  }
}
