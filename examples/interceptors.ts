/**
 * What stands between an application and its calls: who may call, what is written down, what is
 * measured, and what is tried again. Each is a few lines of your own; the first of a list is the
 * outermost.
 *
 *     deno run --allow-net=127.0.0.1 examples/interceptors.ts
 */
import { connect, type Interceptor, json, RpcError, serve } from "@vgo/vnet";

/** Who may call: a token in the metadata says who it is. */
const users = new Map([["t0ken", "ann"]]);
const auth: Interceptor = {
  handle(call, next) {
    if (users.has(call.metadata["token"] ?? "")) return next();
    throw new RpcError("UNAUTHENTICATED", "Who are you");
  },
};

/** Shows its token. */
const token: Interceptor = {
  call: (call, next) => next({ ...call, metadata: { ...call.metadata, token: "t0ken" } }),
};

/** Writes down how each call ended. */
const log: Interceptor = {
  async handle(call, next) {
    try {
      const answer = await next();
      console.log(`server: ${call.peer.id} called ${call.method}`);
      return answer;
    } catch (error) {
      console.log(`server: ${call.peer.id} called ${call.method}: ${error}`);
      throw error;
    }
  },
};

/** Counts calls and adds up their time. */
const counts = new Map<string, { calls: number; ms: number }>();
const metrics: Interceptor = {
  async handle(call, next) {
    const start = performance.now();
    try {
      return await next();
    } finally {
      const { calls, ms } = counts.get(call.method) ?? { calls: 0, ms: 0 };
      counts.set(call.method, { calls: calls + 1, ms: ms + performance.now() - start });
    }
  },
};

/** Tries again what surely did not run, where it may run later. */
const AGAIN: ReadonlySet<string> = new Set(["UNAVAILABLE", "RESOURCE_EXHAUSTED"]);
const retry: Interceptor = {
  async call(call, next) {
    for (let tries = 1;; tries++) {
      try {
        return await next(call);
      } catch (error) {
        const safe = error instanceof RpcError && error.executed === "no";
        if (!safe || !AGAIN.has(error.code) || tries === 5) throw error;
        console.log(
          `client: ${call.method} of ${call.input} did not run (${error.code}): once more`,
        );
        await new Promise((resolve) => setTimeout(resolve, 20 * tries));
      }
    }
  },
};

await using server = await serve("127.0.0.1:0", {
  serializer: json(),
  limits: { maxInFlight: 2 },
  interceptors: [log, metrics, auth],
  methods: {
    pay: (invoice) => `${invoice} is paid`,
    refund: (invoice) => Promise.reject(new RpcError("NOT_FOUND", `There is no ${invoice}`)),
  },
});
const options = { serializer: json(), limits: { maxInFlight: 2 } };
await using client = await connect(server.addr, {
  ...options,
  id: "ann",
  interceptors: [retry, token],
});
// Two may run and two may wait: the fifth is refused on the spot.
const invoices = [1, 2, 3, 4, 5].map((n) => client.call("pay", `invoice ${n}`));
console.log((await Promise.all(invoices)).join(", "));
console.log(await client.call("refund", "invoice 8").catch(String));

await using stranger = await connect(server.addr, { ...options, id: "bob" });
console.log(await stranger.call("pay", "invoice 7").catch(String));
for (const [method, { calls, ms }] of counts) {
  console.log(`${method}: ${calls} calls, ${(ms / calls).toFixed(2)} ms each`);
}
