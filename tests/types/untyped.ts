/**
 * What must and what must not compile without a contract. Checked by `deno check`, never run: each
 * directive below is an error where the line after it compiles, and each `is` where types differ.
 */
import {
  type AnyPeer,
  attach,
  type Bytes,
  type CallContext,
  type CallOptions,
  type CallStream,
  Client,
  connect,
  type DrainInfo,
  type Executed,
  type Handler,
  type Handlers,
  json,
  type Loose,
  type Message,
  type Peer,
  RpcError,
  type Serializer,
  serve,
  type Server,
  type ServerPeer,
  text,
  type Untyped,
} from "@vgo/vnet";
import { FrameStream, lengthField, line } from "@vgo/vnet/frames";
import { memoryPair } from "@vgo/vnet/testing";

/** Whether two types are one and the same. */
type Eq<A, B> = (<X>() => X extends A ? 1 : 2) extends (<X>() => X extends B ? 1 : 2) ? true
  : false;
declare function is<T extends true>(): T;

/** Bytes, since no serializer was given. */
export async function bytes(): Promise<void> {
  const client = await connect("x");
  is<Eq<typeof client, Client<Untyped<Bytes>>>>();
  is<Eq<typeof client, Client>>();

  // call() takes any view and gives bytes of one's own.
  is<Eq<Awaited<ReturnType<typeof client.call>>, Bytes>>();
  const answer = await client.call("x");
  is<Eq<typeof answer, Bytes>>();
  await crypto.subtle.digest("SHA-256", answer);
  const shared: Uint8Array = new Uint8Array(new SharedArrayBuffer(4));
  await client.call("x", shared);
  await client.call("x", undefined, { timeout: 5 });
  // @ts-expect-error bytes, not text, without a serializer
  await client.call("x", "hello");
  // @ts-expect-error the method has a name
  await client.call(5);
  // @ts-expect-error the method is missing
  await client.call();
  // @ts-expect-error options are not the input
  await client.call("x", { timeout: 5 });
  // @ts-expect-error no such option
  await client.call("x", shared, { timeOut: 5 });
  // @ts-expect-error a number of ms
  await client.call("x", shared, { timeout: "5s" });
  // @ts-expect-error texts by name
  await client.call("x", shared, { metadata: { count: 5 } });
  // @ts-expect-error a signal, not its controller
  await client.call("x", shared, { signal: new AbortController() });
  // @ts-expect-error nothing is between the input and the options
  await client.call("x", shared, undefined, { timeout: 5 });

  // stream() gives items, and both send some along.
  const items = client.stream("x");
  is<Eq<typeof items, CallStream<Bytes>>>();
  for await (const item of items) is<Eq<typeof item, Bytes>>();
  items.cancel();
  items.cancel(new Error("enough"));
  await items[Symbol.asyncDispose]();
  await client.call("x", undefined, { stream: [shared] });
  await client.call("x", undefined, { stream: ReadableStream.from([shared]) });
  client.stream("x", shared, { stream: generator(shared), idleTimeout: 5 });
  // @ts-expect-error items are bytes as well
  await client.call("x", undefined, { stream: ["text"] });
  // @ts-expect-error one value is no stream
  await client.call("x", undefined, { stream: 5 });
  // @ts-expect-error a stream is iterated, not awaited for a value
  (await client.stream("x")).length;
  // @ts-expect-error a promise is awaited, not iterated
  for await (const _ of client.call("x"));
  // @ts-expect-error its items are for `for await`
  for (const _ of items);

  // handle()
  const handled = client.handle("x", (input, call) => {
    is<Eq<typeof input, Bytes>>();
    is<Eq<typeof call, CallContext<typeof client, Bytes>>>();
    is<Eq<typeof call.stream, AsyncIterable<Bytes>>>();
    return input;
  });
  is<Eq<typeof handled, Disposable>>();
  client.handle("x", () => {});
  client.handle("x", async () => await Promise.resolve(shared));
  client.handle("x", async function* (_input, { stream }) {
    yield* stream;
    yield shared;
  });
  // @ts-expect-error a handler gives bytes
  client.handle("x", () => "text");
  // @ts-expect-error and so does one that is late
  client.handle("x", () => Promise.resolve(5));
  // @ts-expect-error and so does a generator
  client.handle("x", async function* () {
    yield "text";
  });
  // @ts-expect-error items come one at a time: what iterates at once is no answer
  client.handle("x", () => [shared]);
  // @ts-expect-error a handler is a function
  client.handle("x", shared);
  // @ts-expect-error bytes, not text, without a serializer
  await client.send("hello");
}

/** Text, and what is typed by it. */
export async function texts(): Promise<void> {
  const server = await serve("x", {
    serializer: text(),
    methods: {
      greet: (word, { peer, method, signal, deadline, metadata }) => {
        is<Eq<typeof word, string>>();
        is<Eq<typeof peer, ServerPeer<Untyped<string>>>>();
        is<Eq<typeof method, string>>();
        is<Eq<typeof signal, AbortSignal>>();
        is<Eq<typeof deadline, number>>();
        is<Eq<typeof metadata, Readonly<Record<string, string>>>>();
        return `${word}, ${peer.id}`;
      },
      shout: async function* (word, { stream }) {
        yield word.toUpperCase();
        for await (const item of stream) yield item.toUpperCase();
      },
      none: () => {},
    },
    onConnect: async (peer) => {
      const answer = await peer.call("whoami");
      is<Eq<typeof answer, string>>();
    },
  });
  is<Eq<typeof server, Server<Untyped<string>>>>();
  const client = await connect(server.addr, {
    serializer: text(),
    methods: { whoami: () => "ann" },
  });
  is<Eq<typeof client, Client<Untyped<string>>>>();
  const answer = await client.call("greet", "hello");
  is<Eq<typeof answer, string>>();
  for await (const item of client.stream("shout", "a", { stream: ["b"] })) {
    is<Eq<typeof item, string>>();
  }
  for await (const message of client.messages) is<Eq<typeof message, Message<string>>>();
  using _all = server.handle("x", (word, { peer }) => `${peer.server === server} ${word.length}`);
  // @ts-expect-error a number is not a text
  await client.call("greet", 5);
  // @ts-expect-error nor is one sent along
  await client.call("greet", "a", { stream: [5] });
  // @ts-expect-error a number is not a text
  await client.send(5);
  // @ts-expect-error a handler gives text
  await serve("x", { serializer: text(), methods: { n: () => 5 } });
  // @ts-expect-error a handler is a function
  await connect("x", { serializer: text(), methods: { n: "text" } });
  // @ts-expect-error methods go by name
  await connect("x", { serializer: text(), methods: [() => "a"] });
}

/** JSON, of one type or of any. */
export async function values(): Promise<void> {
  const unknown = await (await connect("x", { serializer: json() })).call("f", { a: 1 });
  is<Eq<typeof unknown, unknown>>();
  await serve("x", {
    serializer: json<{ n: number }>(),
    methods: {
      log: ({ n }) => void n.toFixed(),
      inc: ({ n }) => ({ n: n + 1 }),
      later: ({ n }) => Promise.resolve({ n }),
    },
  });
  const client = await connect("x", { serializer: json<{ n: number }>() });
  const { n } = await client.call("inc", { n: 1 });
  is<Eq<typeof n, number>>();
  // @ts-expect-error not what the serializer carries
  await client.call("inc", { n: "1" });
  // @ts-expect-error not what the serializer carries
  await serve("x", { serializer: json<{ n: number }>(), methods: { inc: ({ n }) => n } });
  const dates: Serializer<Date> = {
    name: "dates",
    serialize: (date) => new TextEncoder().encode(date.toISOString()),
    deserialize: (bytes) => new Date(new TextDecoder().decode(bytes)),
  };
  const own = await (await connect("x", { serializer: dates })).call("now");
  is<Eq<typeof own, Date>>();
  // @ts-expect-error a serializer has a name
  await connect("x", { serializer: { serialize: () => new Uint8Array(), deserialize: () => 1 } });
}

/** Peers of either side, and what users write for them. */
export async function peers(): Promise<void> {
  const server = await serve("x", { serializer: text() });
  const client = await connect("x", { serializer: text() });
  for (const peer of server.peers) {
    kick(peer);
    is<Eq<Awaited<ReturnType<typeof greet>>, string>>();
    await greet(peer);
  }
  kick(client);
  await greet(client);
  const early: Client<Untyped<string>> = new Client("x", { serializer: text() });
  early.handle("ask", (question) => question.slice(1))[Symbol.dispose]();

  const [here, there] = memoryPair();
  const mine = await attach(here, { side: "server", serializer: text() });
  is<Eq<typeof mine, Peer<Loose<string>, Loose<string>>>>();
  const framed = await attach(new FrameStream(there, lengthField({ width: 4 })), {
    side: "client",
  });
  is<Eq<Awaited<ReturnType<typeof framed.call>>, Bytes>>();
  await attach(await Deno.connect({ port: 1 }), {
    side: "client",
    methods: { f: (input) => input },
  });
  // @ts-expect-error a stream of text lines cannot carry a session
  await attach(new FrameStream(there, line()), { side: "client" });
  // @ts-expect-error an attached peer is on one side or the other
  await attach(here, {});
  // @ts-expect-error there are two sides
  await attach(here, { side: "both" });
  // @ts-expect-error any peer can be ended, but what it understands is not known
  await anyOf(client).call("f");

  const info: DrainInfo = await client.close();
  is<Eq<typeof info.finished | typeof info.cut, number>>();
  is<Eq<typeof client.stats.callsIn, number>>();
}

/** Handlers by themselves, and calls within them. */
export function handlers(): Handlers<Loose<string>, Peer<Loose<string>, Loose<string>>> {
  type Method = Loose<string>[string];
  const one: Handler<Method, AnyPeer> = (input) => input.toUpperCase();
  const relay: Handler<Method, Peer<Loose<string>, Loose<string>>> = async (input, call) => {
    // What it is called with is handed on: deadline, end, and what is sent along.
    const options: CallOptions = { parent: call, metadata: call.metadata, signal: call.signal };
    return await call.peer.call("next", input, { ...options, stream: call.stream });
  };
  const pass: Handler<Method, Peer<Loose<string>, Loose<string>>> = (input, call) =>
    call.peer.stream("next", input, { parent: call });
  // @ts-expect-error the parent of a call is a call
  const wrong: CallOptions = { parent: {} };
  return { one, relay, pass, wrong: () => `${wrong}` };
}

/** What a call rejects with. */
export function errors(error: unknown): Executed | undefined {
  // @ts-expect-error the code of a call's error is one of sixteen
  new RpcError("ROOM_FULL");
  // @ts-expect-error no such answer
  new RpcError("ABORTED", "No", { executed: "perhaps" });
  new RpcError("ABORTED", "No", { data: { at: 5 }, retryable: true, cause: error });
  if (!(error instanceof RpcError)) return undefined;
  is<Eq<typeof error.data, unknown>>();
  // @ts-expect-error never one of these
  if (error.code === "OK") return "no";
  // @ts-expect-error an error is as it is
  error.executed = "yes";
  return error.executed;
}

async function* generator<T>(item: T): AsyncGenerator<T> {
  yield await Promise.resolve(item);
}

function kick(peer: AnyPeer): void {
  peer.abort("bye");
}

function anyOf(peer: AnyPeer): AnyPeer {
  return peer;
}

async function greet(peer: Peer<Loose<string>, Loose<string>>): Promise<string> {
  return await peer.call("greet", "hello");
}
