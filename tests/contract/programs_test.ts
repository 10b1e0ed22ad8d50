/**
 * The programs that were written before there was anything to run them, as far as they use a contract:
 * each almost as it stands in the design, on a port that is free.
 */
import * as v from "valibot";
import { z } from "zod";
import { assertEquals, assertRejects } from "@std/assert";
import { Client, connect, type Interceptor, json, RpcError, serve } from "@vgo/vnet";
import { bytes, contract, message, method, type } from "@vgo/vnet/contract";
import { fate } from "../calls/_support.ts";

interface Line {
  from: string;
  text: string;
}

const chat = contract({
  server: {
    join: method({ input: type<{ room: string }>(), output: type<{ members: string[] }>() }),
    say: message(type<{ room: string; text: string }>()),
  },
  client: {
    said: message(type<Line>()),
    joined: message(type<{ room: string; who: string }>()),
  },
});

/** Serves it, and writes down who left. */
function serveChat(left: string[] = []) {
  return serve(["tcp://127.0.0.1:0", "tcp://127.0.0.1:0"], {
    contract: chat,
    methods: {
      join({ room }, { peer }) {
        peer.join(room);
        const who = peer.id;
        peer.server.broadcast({ room, who }, { topic: "joined", group: room, except: peer });
        return { members: Array.from(peer.server.group(room), (member) => member.id) };
      },
    },
    onMessage({ body: { room, text } }, peer) {
      if (!peer.groups.has(room)) return;
      peer.server.broadcast({ from: peer.id, text }, { topic: "said", group: room });
    },
    onDisconnect: (info, peer) => void left.push(`${peer.id} left: ${info.reason}`),
  });
}

Deno.test("a chat: groups, typed messages, two listeners, both doors to messages", async () => {
  const left: string[] = [];
  await using server = await serveChat(left);
  const heard: string[] = [];
  const done = Promise.withResolvers<void>();
  await using ann = await connect(server.addrs[0] ?? "", { contract: chat, id: "ann" });
  assertEquals(await ann.call("join", { room: "lobby" }), { members: ["ann"] });
  await using bob = await connect(server.addrs[1] ?? "", {
    contract: chat,
    id: "bob",
    onMessage(message) {
      if (message.topic === "said") heard.push(`${message.body.from}: ${message.body.text}`);
      else heard.push(message.body.who);
      if (heard.length === 2) done.resolve();
    },
  });
  assertEquals(await bob.call("join", { room: "lobby" }), { members: ["ann", "bob"] });
  await ann.send({ room: "lobby", text: "hi all" }, { topic: "say" });
  await bob.send({ room: "kitchen", text: "nobody hears" }, { topic: "say" });
  await bob.send({ room: "lobby", text: "hi ann" }, { topic: "say" });
  const lines: string[] = [];
  for await (const message of ann.messages) {
    if (message.topic === "said") lines.push(`${message.body.from}: ${message.body.text}`);
    else lines.push(`* ${message.body.who} joined ${message.body.room}`);
    if (lines.length === 3) break;
  }
  await done.promise;
  // Two clients: who of them speaks first is the network's affair.
  assertEquals(lines.sort(), ["* bob joined lobby", "ann: hi all", "bob: hi ann"]);
  assertEquals(heard.sort(), ["ann: hi all", "bob: hi ann"]);
  await bob.close({ reason: "good night" });
  await server.close();
  assertEquals([left[0], left.length], ["bob left: good night", 2]);
});

Deno.test("a client that is there before it is open, with a credential that is asked for at each dial", async () => {
  await using server = await serveChat();
  const shown: string[] = [];
  const said = Promise.withResolvers<void>();
  await using client = new Client(server.addr, {
    contract: chat,
    auth: () => Promise.resolve("token"),
    onMessage(message) {
      if (message.topic !== "said") return;
      shown.push(`${message.body.from}: ${message.body.text}`);
      said.resolve();
    },
    onEvent(event) {
      shown.push(event.type === "wait" ? `next try in ${event.delay}` : client.state);
    },
  });
  await client.opened;
  await client.call("join", { room: "lobby" });
  await client.send({ room: "lobby", text: "hi" }, { topic: "say" });
  await said.promise;
  assertEquals(shown, ["connecting", "open", `${client.id}: hi`]);
});

Deno.test("a validated chat: what does not fit neither leaves nor arrives", async () => {
  const strict = contract({
    server: {
      join: method({ input: z.object({ room: z.string() }), output: z.array(z.string()) }),
      say: message(z.object({ room: z.string(), text: z.string().max(500) })),
    },
    client: { said: message(z.object({ from: z.string(), text: z.string() })) },
  });
  await using server = await serve("tcp://127.0.0.1:0", {
    contract: strict,
    methods: {
      join({ room }, { peer }) {
        peer.join(room);
        return Array.from(peer.server.group(room), (member) => member.id);
      },
    },
    onMessage({ body: { room, text } }, peer) {
      if (!peer.groups.has(room)) return;
      const line = { from: peer.id, text };
      peer.server.broadcast(line, { topic: "said", group: room, except: peer });
    },
  });
  await using bob = await connect(server.addr, { contract: strict, id: "bob" });
  await using ann = await connect(server.addr, { contract: strict, id: "ann" });
  assertEquals(await bob.call("join", { room: "lobby" }), ["bob"]);
  assertEquals(await ann.call("join", { room: "lobby" }), ["bob", "ann"]);
  const long = { room: "lobby", text: "x".repeat(501) };
  await assertRejects(() => ann.send(long, { topic: "say" }), TypeError, "'text'");
  await ann.send({ room: "lobby", text: "hi" }, { topic: "say" });
  for await (const { body } of bob.messages) {
    assertEquals(body, { from: "ann", text: "hi" });
    break;
  }
});

Deno.test("a shop: Zod and Valibot side by side, a call back, a stream down and a stream up", async () => {
  const Order = z.object({ symbol: z.string().min(1), amount: z.coerce.number().positive() });
  const shop = contract({
    server: {
      order: method({ input: Order, output: v.object({ ticket: v.number() }) }),
      prices: method({
        input: z.string(),
        yields: z.object({ at: z.coerce.date(), price: z.number() }),
      }),
      upload: method({
        input: z.object({ name: z.string() }),
        stream: bytes(),
        output: z.number(),
      }),
    },
    client: { confirm: method({ input: z.string(), output: z.boolean() }) },
  });
  const cancelled = Promise.withResolvers<void>();
  const names: string[] = [];
  await using server = await serve("tcp://127.0.0.1:0", {
    contract: shop,
    methods: {
      async order({ symbol, amount }, { peer }) {
        if (!await peer.call("confirm", `${amount} ${symbol}?`)) {
          throw new RpcError("ABORTED", "not confirmed");
        }
        return { ticket: 1 };
      },
      async *prices(_symbol, { signal }) {
        signal.addEventListener("abort", () => cancelled.resolve());
        for (let n = 0; !signal.aborted; n++) {
          yield { at: new Date(n), price: n / 10 };
          await Promise.resolve();
        }
      },
      async upload({ name }, { stream }) {
        let size = 0;
        for await (const chunk of stream) size += chunk.length;
        names.push(name);
        return size;
      },
    },
  });
  await using client = await connect(server.addr, {
    contract: shop,
    methods: { confirm: (question) => question === "5 VGO?" },
  });
  const error = await assertRejects(
    () => client.call("order", { symbol: "", amount: "5" }),
    RpcError,
  );
  assertEquals([error.code, error.issues[0]?.path], ["INVALID_ARGUMENT", ["symbol"]]);
  assertEquals(await client.call("order", { symbol: "VGO", amount: "5" }), { ticket: 1 });
  assertEquals(await fate(client.call("order", { symbol: "VGO", amount: 6 })), "ABORTED yes");
  for await (const { at, price } of client.stream("prices", "VGO")) {
    assertEquals(at, new Date(price * 10));
    if (price > 0.9) break; // cancels the handler on the far side
  }
  await cancelled.promise;
  const stream = [new Uint8Array(3), new Uint8Array(4)];
  assertEquals(await client.call("upload", { name: "a" }, { stream }), 7);
  assertEquals(names, ["a"]);
});

Deno.test("a relay: a worker answers, and `parent` hands on deadline and cancellation", async () => {
  const timed: string[] = [];
  const timing: Interceptor = {
    async handle(call, next) {
      const start = performance.now();
      try {
        return await next();
      } finally {
        timed.push(`${call.peer.id} ${call.method} ${performance.now() - start >= 0}`);
      }
    },
  };
  await using server = await serve("tcp://127.0.0.1:0", {
    serializer: json(),
    interceptors: [timing],
    methods: {
      relay(input, call) {
        const worker = call.peer.server.peers.get("worker");
        if (!worker) throw new RpcError("UNAVAILABLE", "no worker is connected");
        return worker.call("work", input, { parent: call });
      },
    },
  });
  await using client = await connect(server.addr, { serializer: json(), id: "ann" });
  assertEquals(await fate(client.call("relay", 1)), "UNAVAILABLE yes");
  const began = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<string>();
  const deadlines: boolean[] = [];
  await using _worker = await connect(server.addr, {
    serializer: json(),
    id: "worker",
    methods: {
      work(input, { signal, deadline }) {
        deadlines.push(deadline < Infinity);
        if (input !== "for ever") return input;
        began.resolve();
        return new Promise((_, reject) =>
          signal.addEventListener("abort", () => {
            ended.resolve(signal.reason.code);
            reject(signal.reason);
          })
        );
      },
    },
  });
  assertEquals(await client.call("relay", [2]), [2]);
  const gone = new AbortController();
  const call = client.call("relay", "for ever", { signal: gone.signal });
  await began.promise;
  gone.abort(new Error("enough"));
  await assertRejects(() => call, Error, "enough");
  assertEquals(await ended.promise, "CANCELLED");
  assertEquals(deadlines, [true, true]);
  assertEquals(timed.slice(0, 2), ["ann relay true", "ann relay true"]);
});
