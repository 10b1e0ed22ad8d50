/**
 * What a caller learns when a call fails, and when it may simply be made again: `executed` says whether
 * the handler ran. A payment that may have been made is not made twice.
 *
 *     deno run --allow-net=127.0.0.1 examples/call_errors.ts
 */
import { connect, json, RpcError, serve } from "@vgo/vnet";
import type { CallOptions } from "@vgo/vnet";

const paid: unknown[] = [];
let busy = true;

await using server = await serve("127.0.0.1:0", {
  serializer: json(),
  methods: {
    pay: (invoice) => {
      // The handler alone knows that it has done nothing yet: it says so by `retryable`.
      if (busy) throw new RpcError("UNAVAILABLE", "The till is busy", { data: { retryIn: 20 } });
      paid.push(invoice);
      return `invoice ${invoice} is paid`;
    },
    slow: () => new Promise((answer) => setTimeout(answer, 200)),
    broken: () => {
      throw new Error("the password of the database is hunter2");
    },
  },
  onEvent: (event) => {
    if (event.type === "error") console.log("server: a handler failed:", String(event.error));
  },
});
await using client = await connect(server.addr, { serializer: json() });

await tell("an unknown method", client.call("nothing"));
await tell("too slow", client.call("slow", 1, { timeout: 20 }));
await tell("broken", client.call("broken"));
await tell("busy", client.call("pay", 1));

setTimeout(() => busy = false, 30);
console.log("with a retry:", await callSafely("pay", 7));

// A link that dies under a call leaves it open whether the handler ran.
const call = client.call("slow", 2);
await client.ping();
client.reconnect();
await tell("a lost link", call);
console.log("paid:", paid.join(", "));

/** Makes a call again when that is safe: the handler did not run, or says that nothing has happened. */
async function callSafely(method: string, input: unknown, options?: CallOptions): Promise<unknown> {
  for (let attempt = 1;; attempt++) {
    try {
      return await client.call(method, input, options);
    } catch (error) {
      const safe = error instanceof RpcError && (error.executed === "no" || error.retryable) &&
        error.executed !== "maybe";
      if (!safe || attempt === 5) throw error;
      console.log(`try ${attempt}: ${error.code}, executed ${error.executed}: once more`);
      await new Promise((next) => setTimeout(next, 20 * attempt));
    }
  }
}

async function tell(what: string, call: Promise<unknown>): Promise<void> {
  try {
    console.log(`${what}:`, await call);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    const data = error.data === undefined ? "" : ` ${JSON.stringify(error.data)}`;
    console.log(`${what}: ${error.code}, executed ${error.executed}: ${error.message}${data}`);
  }
}
