import { attach, type Peer, text, type Untyped } from "@vgo/vnet";
import { FrameStream, lengthField } from "@vgo/vnet/frames";
import { memoryPair } from "@vgo/vnet/testing";
import { assert, assertEquals } from "@std/assert";
import { collector, drain, fate, makePair, rpcError, settle } from "./_support.ts";

type Text = Untyped<string>;
type TextPeer = Peer<Text["server"], Text["client"]>;

const codec = lengthField({ width: 4, maxFrameLength: 1 << 20 });

/** A connection on this machine, both ends of it. */
async function tcpPair(): Promise<[Deno.TcpConn, Deno.TcpConn]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  return await Promise.all([Deno.connect({ hostname: "127.0.0.1", port }), listener.accept()]);
}

/** Seed 001's NewSyncFromTcpStream: who has the stream becomes a caller, whichever end it is. */
async function callOnly(
  here: FrameStream<Uint8Array>,
  there: FrameStream<Uint8Array>,
): Promise<[TextPeer, TextPeer]> {
  return await Promise.all([
    attach<"client", Text>(here, {
      side: "client",
      serializer: text(),
      methods: { whoami: () => "I am client" },
    }),
    attach<"server", Text>(there, {
      side: "server",
      serializer: text(),
      methods: {
        whoami: () => "I am server",
        items: async function* (_input, { stream }) {
          for await (const item of stream) yield `${item}!`;
        },
        echo: (input) => input,
      },
    }),
  ]);
}

Deno.test("attach() makes a call-only client of a FrameStream that exists, on either side", async () => {
  for (const [here, there] of [memoryPair(), await tcpPair()]) {
    const ends = await callOnly(new FrameStream(here, codec), new FrameStream(there, codec));
    const [client, server] = ends;
    const answers = ends.map((end) => end.call("whoami", undefined, { timeout: 2_000 }));
    assertEquals(await Promise.all(answers), ["I am server", "I am client"]);
    // Multiplexed: many at once, both ways, on the one stream.
    const many = Array.from({ length: 200 }, (_, n) => client.call("echo", `${n}`));
    const back = Array.from({ length: 200 }, () => server.call("whoami"));
    assertEquals(await Promise.all(many), Array.from({ length: 200 }, (_, n) => `${n}`));
    assertEquals(new Set(await Promise.all(back)), new Set(["I am client"]));
    const { items } = await drain(client.stream("items", undefined, { stream: ["a", "b"] }));
    assertEquals(items, ["a!", "b!"]);
    const large = "x".repeat(2 << 20);
    assert(await client.call("echo", large) === large);
    const error = await rpcError(server.call("items"));
    assertEquals([error.code, error.executed], ["UNIMPLEMENTED", "no"]);
    await client.close();
    await server.closed;
  }
});

Deno.test("attach() takes any byte connection, such as Deno's", async () => {
  const [here, there] = await tcpPair();
  const [client, server] = await Promise.all([
    attach<"client", Text>(here, { side: "client", serializer: text(), id: "ann" }),
    attach<"server", Text>(there, {
      side: "server",
      serializer: text(),
      methods: { greet: (word, { peer }) => `${word}, ${peer.id}` },
    }),
  ]);
  assertEquals(await client.call("greet", "hello"), "hello, ann");
  assertEquals([client.side, server.side], ["client", "server"]);
  await server.close();
  await client.closed;
});

Deno.test("attach() settles calls when its connection ends, and comes back for none", async () => {
  const [here, there] = memoryPair();
  const [client, server] = await Promise.all([
    attach(here, { side: "client" }),
    attach(there, { side: "server", methods: { hang: () => new Promise<Uint8Array>(() => {}) } }),
  ]);
  const calls = [client.call("hang"), client.call("hang")].map(fate);
  await settle();
  there.close();
  here.close();
  assertEquals(await Promise.all(calls), ["UNAVAILABLE maybe", "UNAVAILABLE maybe"]);
  assertEquals(await fate(client.call("hang")), "UNAVAILABLE no");
  await Promise.all([client.closed, server.closed]);
});

Deno.test("attach() reports what a handler throws to its logger", async () => {
  const { logger, errors } = collector();
  const cause = new Error("mine");
  const [client] = await makePair({}, {
    logger,
    methods: {
      f: () => {
        throw cause;
      },
    },
  });
  assertEquals(await fate(client.call("f")), "INTERNAL yes");
  assertEquals(errors, [cause]);
  await client.close();
});

Deno.test("handle() of an attached peer comes before its methods", async () => {
  const [client, server] = await makePair({}, { methods: { f: () => "methods" } });
  const own = server.handle("f", () => "own");
  assertEquals(await client.call("f"), "own");
  own[Symbol.dispose]();
  assertEquals(await client.call("f"), "methods");
  await client.close();
});
