/**
 * What must and what must not compile with a contract. Checked by `deno check`, never run: each
 * directive below is an error where the line after it compiles, and each `is` where types differ.
 */
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import {
  type AnyPeer,
  attach,
  type Bytes,
  type CallContext,
  type CallStream,
  Client,
  connect,
  type Handlers,
  json,
  type Message,
  type Peer,
  raw,
  RpcError,
  serve,
  type Server,
  type ServerPeer,
  text,
} from "@vgo/vnet";
import {
  bytes,
  contract,
  describe,
  type Description,
  type Issue,
  message,
  method,
  type Schema,
  type as claim,
} from "@vgo/vnet/contract";
import { msgpack } from "@vgo/vnet/msgpack";
import { memoryPair } from "@vgo/vnet/testing";

/** Whether two types are one and the same. */
type Eq<A, B> = (<X>() => X extends A ? 1 : 2) extends (<X>() => X extends B ? 1 : 2) ? true
  : false;
declare function is<T extends true>(): T;

const api = contract({
  server: {
    add: method({ input: claim<[number, number]>(), output: claim<number>() }),
    now: method({ output: z.coerce.date() }),
    touch: method(),
    ticks: method({ input: claim<{ every: number }>(), yields: claim<number>() }),
    upload: method({ input: claim<string>(), stream: bytes(), output: claim<number>() }),
    echo: method({ stream: claim<string>(), yields: claim<string>() }),
    say: message(claim<string>()),
  },
  client: {
    ask: method({ input: claim<string>(), output: claim<boolean>() }),
    price: message(claim<number>()),
    name: message(claim<string>()),
  },
});
type Shop = typeof api;

interface User {
  id: string;
  admin: boolean;
}

/** What the client calls and sends. */
export async function client(): Promise<void> {
  const client = await connect("x", { contract: api });
  is<Eq<typeof client, Client<Shop>>>();

  is<Eq<Awaited<ReturnType<typeof client.call<"add">>>, number>>();
  const sum = await client.call("add", [1, 2]);
  is<Eq<typeof sum, number>>();
  const now = await client.call("now");
  is<Eq<typeof now, Date>>();
  const nothing = await client.call("touch");
  is<Eq<typeof nothing, void>>();
  await client.call("touch", undefined, { timeout: 5 });
  const ticks = client.stream("ticks", { every: 5 });
  is<Eq<typeof ticks, CallStream<number>>>();
  for await (const tick of ticks) is<Eq<typeof tick, number>>();
  await client.call("upload", "name", { stream: [new Uint8Array(1)], timeout: 5 });
  for await (const item of client.stream("echo", undefined, { stream: ["a"] })) {
    is<Eq<typeof item, string>>();
  }
  // @ts-expect-error no such method
  await client.call("sub", [1, 2]);
  // @ts-expect-error wrong input
  await client.call("add", ["1", 2]);
  // @ts-expect-error input is missing
  await client.call("add");
  // @ts-expect-error there is more than the input has
  await client.call("add", [1, 2, 3]);
  // @ts-expect-error this method has no input
  await client.call("now", 123);
  // @ts-expect-error nor has this one
  await client.call("touch", null);
  // @ts-expect-error a streaming method is not called
  await client.call("ticks", { every: 5 });
  // @ts-expect-error a plain method is not streamed
  client.stream("add", [1, 2]);
  // @ts-expect-error an input of a stream is one like any other
  client.stream("ticks", { each: 5 });
  // @ts-expect-error the stream that goes along is missing
  await client.call("upload", "name");
  // @ts-expect-error the items that go along are bytes
  await client.call("upload", "name", { stream: ["text"] });
  // @ts-expect-error this method takes no stream
  await client.call("add", [1, 2], { stream: [1] });
  // @ts-expect-error methods of the client are not the server's
  await client.call("ask", "?");
  // @ts-expect-error a message is not called
  await client.call("say", "hi");

  await client.send("hi", { topic: "say" });
  client.trySend("hi", { topic: "say" });
  // @ts-expect-error a contract's message needs its topic
  await client.send("hi");
  // @ts-expect-error not a topic the server knows
  await client.send(1, { topic: "price" });
  // @ts-expect-error the body does not fit the topic
  await client.send(1, { topic: "say" });
  // @ts-expect-error a method is not sent
  await client.send([1, 2], { topic: "add" });
  for await (const message of client.messages) {
    is<Eq<typeof message, Message<number, "price"> | Message<string, "name">>>();
    if (message.topic === "price") message.body.toFixed();
    else message.body.trim();
  }

  const early: Client<Shop> = new Client<Shop>("x", {
    contract: api,
    methods: { ask: () => true },
  });
  early.handle("ask", (question, call) => {
    is<Eq<typeof question, string>>();
    is<Eq<typeof call, CallContext<typeof early, never>>>();
    return question.length > 1;
  })[Symbol.dispose]();
  const inferred = new Client("x", { contract: api });
  is<Eq<typeof inferred, Client<Shop>>>();
  // @ts-expect-error a handler of the client gives what the contract says
  early.handle("ask", () => "yes");
  // @ts-expect-error the methods of the server are the server's
  early.handle("add", () => 1);
  // @ts-expect-error contract and serializer are alternatives
  await connect("x", { contract: api, serializer: json() });
  // @ts-expect-error contract and serializer are alternatives, whichever
  await connect("x", { contract: api, serializer: text() });
  // @ts-expect-error a contract is made by contract()
  await connect("x", { contract: {} });
}

/** What the server answers, sends and holds. */
export async function server(): Promise<void> {
  const methods = {
    add: ([a, b]: [number, number]) => a + b,
    now: () => new Date(),
    touch: () => {},
    ticks: async function* () {},
    upload: () => 1,
    echo: async function* () {},
  };
  const server = await serve("x", {
    contract: api,
    register: async ({ auth }) =>
      (await Promise.resolve(auth))
        ? { id: "u", data: { id: "u", admin: true } satisfies User as User }
        : false,
    onConnect(peer) {
      is<Eq<typeof peer, ServerPeer<Shop, User>>>();
      peer.send(1, { topic: "price" });
    },
    onMessage(message, peer) {
      is<Eq<typeof message, Message<string, "say">>>();
      message.body.trim();
      is<Eq<typeof peer.data.admin, boolean>>();
    },
    methods: {
      add: ([a, b]) => a + b,
      now: () => new Date(),
      touch: async (input) => {
        is<Eq<typeof input, void>>();
        await Promise.resolve();
      },
      async *ticks({ every }, { signal, peer }) {
        is<Eq<typeof peer, ServerPeer<Shop, User>>>();
        while (!signal.aborted && peer.data.admin) yield await Promise.resolve(every);
      },
      async upload(name, { stream }) {
        let length = name.length;
        for await (const chunk of stream) {
          is<Eq<typeof chunk, Bytes>>();
          length += chunk.length;
        }
        return length;
      },
      async *echo(_nothing, { stream }) {
        for await (const item of stream) yield item.toUpperCase();
      },
    },
  });
  is<Eq<typeof server, Server<Shop, User>>>();
  await server.push("u", 1.5, { topic: "price" });
  await server.broadcast("x", { topic: "name", except: server.peers });
  server.handle("add", ([a, b]) => a - b);
  for (const peer of server.peers) {
    kick(peer);
    is<Eq<Awaited<ReturnType<typeof greet>>, boolean>>();
    await greet(peer);
    // Helpers need not know what `register` attaches.
    tell(server, peer);
  }
  // @ts-expect-error the body does not fit the topic
  await server.broadcast("x", { topic: "price" });
  // @ts-expect-error a topic of the server is none for its clients
  await server.push("u", "x", { topic: "say" });
  // @ts-expect-error no such method
  server.handle("sub", () => 1);
  // @ts-expect-error a handler gives what the contract says
  server.handle("add", ([a, b]) => `${a}${b}`);
  // @ts-expect-error items are what the contract says
  server.handle("ticks", async function* () {
    yield "1";
  });
  // @ts-expect-error a streaming method answers item by item
  server.handle("ticks", () => 1);
  // @ts-expect-error a method that gives nothing gives nothing
  server.handle("touch", () => 5);

  await serve("x", { contract: api, methods });
  // @ts-expect-error `methods` leaves some out
  await serve("x", { contract: api, methods: { add: () => 1 } });
  // @ts-expect-error a handler gives the wrong type
  await serve("x", { contract: api, methods: { ...methods, add: () => "3" } });
  // @ts-expect-error a handler forgets its result
  await serve("x", { contract: api, methods: { ...methods, add: () => {} } });
  // @ts-expect-error one method more than there are
  await serve("x", { contract: api, methods: { ...methods, nope: () => 1 } });
  // @ts-expect-error contract and serializer are alternatives
  await serve("x", { contract: api, serializer: json() });
}

/** Either end, on a connection that exists. */
export async function attached(): Promise<void> {
  const [here] = memoryPair();
  const mine = await attach(here, { side: "server", contract: api });
  is<Eq<typeof mine, Peer<Shop["client"], Shop["server"]>>>();
  await mine.send(1, { topic: "price" });
  await mine.call("ask", "?");
  const other = await attach(here, { side: "client", contract: api, methods: { ask: () => true } });
  is<Eq<typeof other, Peer<Shop["server"], Shop["client"]>>>();
  await other.call("add", [1, 2]);
  // @ts-expect-error the methods of a side are its own
  await attach(here, { side: "client", contract: api, methods: { add: () => 1 } });
  // @ts-expect-error what the other side understands depends on the side
  await mine.call("add", [1, 2]);
}

/** What validators of the field infer. */
export async function validators(): Promise<void> {
  const shop = contract({
    server: {
      zod: method({
        input: z.object({ symbol: z.string(), amount: z.coerce.number() }),
        output: z.string().transform((it) => it.length),
      }),
      valibot: method({
        input: v.pipe(v.string(), v.transform((it) => it.length)),
        yields: v.object({ at: v.date() }),
      }),
      arktype: method({ input: type({ name: "string", "age?": "number" }) }),
      own: method({ input: even(), output: even() }),
    },
    serializer: msgpack(),
  });
  const client = await connect("x", { contract: shop });
  const length = await client.call("zod", { symbol: "VGO", amount: "5" });
  is<Eq<typeof length, number>>();
  for await (const { at } of client.stream("valibot", "abc")) is<Eq<typeof at, Date>>();
  await client.call("arktype", { name: "ann" });
  const doubled = await client.call("own", 2);
  is<Eq<typeof doubled, bigint>>();
  // @ts-expect-error a field is missing
  await client.call("zod", { amount: 5 });
  // @ts-expect-error what goes in is what the schema takes, not what it makes of it
  client.stream("valibot", 3);
  // @ts-expect-error a wrong field
  await client.call("arktype", { name: "ann", age: "5" });
  await serve("x", {
    contract: shop,
    methods: {
      zod: ({ symbol, amount }) => {
        is<Eq<typeof amount, number>>();
        return symbol;
      },
      async *valibot(input) {
        is<Eq<typeof input, number>>();
        yield await Promise.resolve({ at: new Date() });
      },
      arktype: (input) => {
        is<Eq<typeof input, { name: string; age?: number }>>();
      },
      own: (input) => {
        is<Eq<typeof input, bigint>>();
        return 5;
      },
    },
  });
}

/** Contracts themselves. */
export function contracts(error: unknown): Description {
  // @ts-expect-error an entry is made by method() or message()
  contract({ server: { x: 5 } });
  // @ts-expect-error a body has a schema
  message("text");
  // @ts-expect-error an input has a schema
  method({ input: String });
  // @ts-expect-error one value or many
  method({ output: claim<number>(), yields: claim<number>() });
  // @ts-expect-error no such part
  method({ inputs: claim<number>() });
  // @ts-expect-error a serializer has a name
  contract({ serializer: { serialize: () => new Uint8Array(), deserialize: () => 1 } });
  const one = contract({ server: { f: method() }, serializer: raw() });
  is<Eq<typeof one.client, Record<never, never>>>();
  const handlers: Handlers<typeof one.server, AnyPeer> = { f: () => {} };
  handlers.f(undefined, anyCall());
  if (error instanceof RpcError) is<Eq<typeof error.issues, readonly Issue[]>>();
  // The same contract, but that one end tells what it is.
  new Client("x", { contract: { ...api, describe: true } }).call("add", [1, 2]);
  return describe(one);
}

function even(): Schema<number, bigint> {
  return {
    "~standard": {
      version: 1,
      vendor: "own",
      validate: (value) =>
        typeof value === "number" ? { value: BigInt(value) } : { issues: [{ message: "No" }] },
    },
  };
}

function kick(peer: AnyPeer): void {
  peer.abort("bye");
}

function greet(peer: Peer<Shop["client"], Shop["server"]>): Promise<boolean> {
  return peer.call("ask", "hello?");
}

function tell(server: Server<Shop, unknown>, peer: ServerPeer<Shop, unknown>): void {
  server.broadcast(1, { topic: "price", except: peer });
}

function anyCall(): CallContext<AnyPeer> {
  throw new Error("Nobody calls this");
}
