import { connect, json, serve, text } from "@vgo/vnet";
import { assert, assertEquals } from "@std/assert";
import { aborted, drain, fate, type Json, settle, tally } from "./_support.ts";

const LOCAL = "127.0.0.1:0";

Deno.test("100 clients call the server, and the server calls each of them", async () => {
  const asked: string[] = [];
  await using server = await serve(LOCAL, {
    serializer: text(),
    methods: { greet: (word, { peer }) => `${word}, ${peer.id}: I am server` },
    onConnect: async (peer) => void asked.push(await peer.call("whoami")),
  });
  const answers = await Promise.all(Array.from({ length: 100 }, async (_, n) => {
    const methods = { whoami: () => `I am client ${n}` };
    await using client = await connect(server.addr, {
      id: `client-${n}`,
      serializer: text(),
      methods,
    });
    const calls = Array.from(
      { length: 10 },
      () => client.call("greet", "hello", { timeout: 20_000 }),
    );
    return await Promise.all(calls);
  }));
  for (const [n, greetings] of answers.entries()) {
    assertEquals(greetings, Array(10).fill(`hello, client-${n}: I am server`));
  }
  assertEquals(asked.sort(), Array.from({ length: 100 }, (_, n) => `I am client ${n}`).sort());
});

Deno.test("calls, streams and 8 MiB bodies cross a real connection both ways at once", async () => {
  await using server = await serve<Json>(LOCAL, {
    serializer: json(),
    methods: {
      echo: (input) => input,
      later: async (input) => (await settle(1), input),
      count: async function* (to) {
        for (let n = 0; n < Number(to); n++) yield n;
      },
      length: async (_input, { stream }) => {
        let length = 0;
        for await (const item of stream) length += String(item).length;
        return length;
      },
    },
  });
  await using client = await connect<Json>(server.addr, {
    serializer: json(),
    // What is called in one turn waits together for its end.
    limits: { maxQueuedBytes: 16 << 20 },
    methods: { echo: (input) => input },
  });
  const [peer] = server.peers;
  assert(peer !== undefined);
  const large = "0123456789abcdef".repeat(524_288);
  const chunks = Array.from({ length: 64 }, () => "x".repeat(100_000));
  const small = Array.from({ length: 500 }, (_, n) => client.call(n % 2 ? "echo" : "later", n));
  const back = Array.from({ length: 500 }, (_, n) => peer.call("echo", n));
  const [echoed, counted, length] = await Promise.all([
    client.call("echo", large),
    drain(client.stream("count", 20_000)),
    client.call("length", undefined, { stream: chunks }),
  ]);
  assert(echoed === large);
  assertEquals([counted.items.length, counted.end, length], [20_000, undefined, 6_400_000]);
  const numbers = Array.from({ length: 500 }, (_, n) => n);
  assertEquals(await Promise.all(small), numbers);
  assertEquals(await Promise.all(back), numbers);
});

Deno.test("a time limit, a signal and a lost server settle calls on a real connection", async () => {
  const reasons: unknown[] = [];
  const server = await serve<Json>(LOCAL, {
    serializer: json(),
    methods: {
      hang: (_input, { signal }) =>
        aborted(signal).catch((reason) => void reasons.push(reason?.code)),
    },
  });
  await using client = await connect<Json>(server.addr, { serializer: json(), reconnect: false });
  assertEquals(await fate(client.call("hang", 1, { timeout: 20 })), "DEADLINE_EXCEEDED maybe");
  const signal = AbortSignal.timeout(20);
  assertEquals(await fate(client.call("hang", 1, { signal })), "TimeoutError");
  const calls = Array.from({ length: 1_000 }, () => fate(client.call("hang")));
  for (let turn = 0; turn < 100_000 && server.stats().callsIn < 1_002; turn++) await settle(1);
  server.abort();
  assertEquals(tally(await Promise.all(calls)), { "UNAVAILABLE maybe": 1_000 });
  await server.closed;
  await settle();
  assertEquals(tally(reasons.map(String)), {
    DEADLINE_EXCEEDED: 1,
    CANCELLED: 1,
    UNAVAILABLE: 1_000,
  });
});

Deno.test("close() on a real connection lets what was accepted finish", async () => {
  const gate = Promise.withResolvers<void>();
  await using server = await serve<Json>(LOCAL, {
    serializer: json(),
    methods: { slow: async () => (await gate.promise, "done") },
  });
  const client = await connect<Json>(server.addr, { serializer: json() });
  const calls = Array.from({ length: 200 }, () => client.call("slow"));
  const closed = client.close();
  const late = fate(client.call("slow"));
  gate.resolve();
  assertEquals(new Set(await Promise.all(calls)), new Set(["done"]));
  const { finished, cut } = await closed;
  assertEquals([finished, cut, await late], [200, 0, "UNAVAILABLE no"]);
});
