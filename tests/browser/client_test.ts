/** What a client does when its page wakes up, or its network changes: in virtual time, and over real sockets. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Addr, ConnectError, serve, text, type Untyped } from "@vgo/vnet";
import * as browser from "@vgo/vnet/browser";
import { ManualClock, Simulation } from "@vgo/vnet/testing";
import { BrowserRuntime } from "../../src/runtime/browser.ts";
import { PageClient } from "../../src/runtime/browser_api.ts";
import { collect, serveText, type Text, until } from "../client/_support.ts";
import { settle } from "../websocket/_support.ts";
import { FakeScope } from "./_support.ts";

const ADDRESS = "tcp://server:9966";

/** A client on a page, in a simulated world, that would wait for an hour. */
function open(sim: Simulation, scope: FakeScope): PageClient<Text> {
  const options = { runtime: sim, serializer: text(), reconnect: { delay: 3_600_000 } };
  return new PageClient<Text>(ADDRESS, options, scope.page);
}

/** One that is open, and its server. */
async function openPair(sim: Simulation, scope: FakeScope) {
  const server = await serveText(sim);
  const client = open(sim, scope);
  await sim.run(client.opened);
  return { server, client };
}

const AWAKE: readonly [string, (scope: FakeScope) => void][] = [
  ["the network comes back", (scope) => scope.network(true)],
  ["it is looked at again", (scope) => scope.show(true)],
  ["it is shown as it was left", (scope) => scope.pageshow(true)],
];

for (const [what, happen] of AWAKE) {
  Deno.test(`Client of a page dials at once when ${what}`, async () => {
    await using sim = new Simulation();
    const scope = new FakeScope();
    const client = open(sim, scope);
    await sim.advance(1_000);
    await serveText(sim);
    await sim.advance(1_000);
    assertEquals(client.state, "connecting");
    happen(scope);
    await sim.advance(0);
    assertEquals(client.state, "open");
  });

  Deno.test(`Client of a page keeps a link that lives when ${what}`, async () => {
    await using sim = new Simulation();
    const scope = new FakeScope();
    const { client } = await openPair(sim, scope);
    for (let n = 0; n < 3; n++) {
      happen(scope);
      await sim.advance(4_000);
    }
    assertEquals([client.state, client.stats.links], ["open", 1]);
  });

  Deno.test(`Client of a page renews a dead link within 3 s when ${what}`, async () => {
    await using sim = new Simulation();
    const scope = new FakeScope();
    const { client } = await openPair(sim, scope);
    sim.link(client).blackhole();
    happen(scope);
    happen(scope);
    await sim.advance(2_999);
    assertEquals([client.state, client.stats.links], ["open", 1]);
    await until(sim, () => client.stats.links === 2, 2_000);
    assertEquals(client.state, "open");
    await sim.advance(10_000);
    assertEquals(client.stats.links, 2, "Two probes must not renew it twice");
  });
}

Deno.test("Client of a page finds out when the network goes, and dials no more", async () => {
  await using sim = new Simulation();
  const scope = new FakeScope();
  const { client } = await openPair(sim, scope);
  sim.setDialMode(ADDRESS, "refuse");
  sim.link(client).blackhole();
  scope.network(false);
  await until(sim, () => client.state === "waiting", 5_000);
  const dials = collect(client.events());
  await sim.advance(1_000);
  scope.show(true); // there is no network, so it makes no difference
  await sim.advance(1_000);
  client.abort();
  assertEquals((await dials).filter(({ type }) => type === "dial"), []);
});

Deno.test("Client of a page does not care that it is hidden", async () => {
  await using sim = new Simulation();
  const scope = new FakeScope();
  const { client } = await openPair(sim, scope);
  scope.show(false);
  sim.link(client).cut();
  await sim.advance(1_000);
  assertEquals(client.state, "waiting");
  scope.network(true); // of use to a hidden page as well: it may ring
  await sim.advance(0);
  assertEquals(client.state, "open");
});

Deno.test("Client of a page whose link ends while it is probed is mended once", async () => {
  await using sim = new Simulation();
  const scope = new FakeScope();
  const { client } = await openPair(sim, scope);
  const link = sim.link(client);
  link.blackhole();
  scope.show(true);
  await sim.advance(1_000);
  link.cut();
  await sim.advance(1_000);
  scope.network(true);
  await sim.advance(60_000);
  assertEquals([client.state, client.stats.links], ["open", 2]);
});

Deno.test("Client of a page lets go of it when it ends, however it ends", async () => {
  await using sim = new Simulation();
  const scope = new FakeScope();
  const { client } = await openPair(sim, scope);
  const lost = open(sim, scope);
  assert(scope.watched > 0);
  await sim.run(client.close());
  lost.abort();
  await lost.closed;
  await settle();
  assertEquals(scope.watched, 0);
  scope.show(true);
  assertEquals(client.state, "closed");
});

// ── without a network ──

/** A page's runtime whose dials do what the test says. */
function runtimeWith(scope: FakeScope, outcomes: readonly Error[], patient = true) {
  const clock = new ManualClock();
  const dials: number[] = [];
  const runtime = new BrowserRuntime(scope.page, {
    clock,
    patient,
    open() {
      const outcome = outcomes[dials.push(clock.now()) - 1];
      return Promise.reject(outcome ?? new Error("One dial too many"));
    },
  });
  const dial = (address: string, signal?: AbortSignal) =>
    runtime.dial(Addr.parse(address), signal === undefined ? {} : { signal })
      .then(() => "open", (error: unknown) => error);
  return { clock, dials, dial };
}

const DOWN = new ConnectError("UNREACHABLE", "Cannot dial as there is nothing");

Deno.test("a dial waits while there is no network, and goes on at once when there is", async () => {
  const scope = new FakeScope();
  scope.network(false);
  const { clock, dials, dial } = runtimeWith(scope, [DOWN]);
  const result = dial("wss://example.org/chat");
  await clock.advance(20_000);
  scope.show(true);
  await clock.advance(0);
  assertEquals(dials, []);
  scope.network(true);
  assertEquals([await result, dials], [DOWN, [20_000]]);
  assertEquals([clock.pending, scope.watched], [0, 0]);
});

Deno.test("a dial without a network tries now and then all the same, which counts as none", async () => {
  const scope = new FakeScope();
  scope.network(false);
  const wrong = new ConnectError("TIMEOUT", "Cannot dial as there was no answer");
  const { clock, dials, dial } = runtimeWith(scope, [DOWN, wrong, DOWN]);
  const result = dial("ws://10.0.0.1:8080/chat");
  await clock.advance(70_000);
  assertEquals(dials, [30_000, 60_000]);
  scope.network(true);
  assertEquals([await result, dials], [DOWN, [30_000, 60_000, 70_000]]);
  assertEquals([clock.pending, scope.watched], [0, 0]);
});

Deno.test("a dial that waits for the network can be aborted", async () => {
  const scope = new FakeScope();
  scope.network(false);
  const { clock, dials, dial } = runtimeWith(scope, []);
  const stop = new AbortController();
  const result = dial("ws://10.0.0.1:8080/chat", stop.signal);
  await clock.advance(1_000);
  stop.abort("enough");
  assertEquals([await result, dials], ["enough", []]);
  assertEquals([clock.pending, scope.watched], [0, 0]);
});

for (
  const address of ["ws://127.0.0.1:1/", "ws://127.1.2.3:1/", "ws://[::1]:1/", "ws://localhost:1/"]
) {
  Deno.test(`a dial of ${address} needs no network`, async () => {
    const scope = new FakeScope();
    scope.network(false);
    const { dials, dial } = runtimeWith(scope, [DOWN]);
    assertEquals([await dial(address), dials], [DOWN, [0]]);
  });
}

Deno.test("a dial of an impatient client fails at once without a network", async () => {
  const scope = new FakeScope();
  scope.network(false);
  const { dials, dial } = runtimeWith(scope, [DOWN], false);
  assertEquals([await dial("ws://10.0.0.1:1/"), dials], [DOWN, [0]]);
});

Deno.test("BrowserRuntime has WebSocket only, and does not listen", async () => {
  const runtime = new BrowserRuntime(new FakeScope().page);
  const addr = Addr.parse("tcp://127.0.0.1:1");
  await assertRejects(() => runtime.dial(addr, {}), TypeError, "use ws:// or wss://");
  await assertRejects(() => runtime.listen(addr), TypeError, "a page cannot listen");
  const error = await assertRejects(() => browser.connect(addr), ConnectError);
  assertEquals(error.code, "UNSUPPORTED");
});

// ── over real sockets ──

Deno.test("connect() of @vgo/vnet/browser calls, is called, sends and is pushed to", async () => {
  const said = Promise.withResolvers<string>();
  await using server = await serve("ws://127.0.0.1:0/chat", {
    serializer: text(),
    methods: {
      greet: (word, { peer }) => `${word}, ${peer.id}`,
      async *count(to) {
        for (let n = 1; n <= Number(to); n++) yield `${n}`;
      },
    },
    onMessage: ({ body }) => said.resolve(body),
  });
  const pushed = Promise.withResolvers<string>();
  const client = await browser.connect<Untyped<string>>(server.addr, {
    id: "ann",
    serializer: browser.text(),
    methods: { name: () => "Ann" },
    onMessage: ({ body, topic }) => pushed.resolve(`${topic}: ${body}`),
  });
  assertEquals(await client.call("greet", "hello"), "hello, ann");
  assertEquals(await collect(client.stream("count", "3")), ["1", "2", "3"]);
  assertEquals(await server.peers.get("ann")?.call("name"), "Ann");
  await client.send("hi", { ack: true });
  assertEquals(await said.promise, "hi");
  assertEquals(await server.push("ann", "only you", { topic: "news" }), true);
  assertEquals(await pushed.promise, "news: only you");
  const big = "x".repeat(3_000_000);
  assertEquals((await client.call("greet", big)).length, big.length + 5);
  await client.close();
  assertEquals(server.peers.size, 0);
});

Deno.test("new Client() of @vgo/vnet/browser comes back to a server that was restarted", async () => {
  const first = await serve("ws://127.0.0.1:0/", { serializer: text() });
  const client = new browser.Client<Untyped<string>>(first.addr, {
    serializer: text(),
    reconnect: { delay: 50 },
  });
  await client.opened;
  const events = client.events()[Symbol.asyncIterator]();
  await first.close({ grace: 0, spread: 0 });
  client.send("kept");
  const heard = Promise.withResolvers<string>();
  await using _second = await serve(first.addr, {
    serializer: text(),
    onMessage: ({ body }) => heard.resolve(body),
  });
  while ((await events.next()).value?.type !== "connect");
  assertEquals(await heard.promise, "kept");
  await client.close();
});

Deno.test("a client on a page's WebSocket tells a server that sends text, or talks of something else", async () => {
  await using server = await serveRaw((socket) => socket.send("hello"));
  await using other = await serveRaw((socket) => socket.send(new Uint8Array([1, 2, 3])));
  for (const { url } of [server, other]) {
    const error = await assertRejects(
      () => browser.connect(url, { reconnect: false }),
      ConnectError,
    );
    assertEquals(error.initiator, "remote", `${error.code}`);
  }
});

/** A server of WebSockets that speak `vnet.1`, they say. */
async function serveRaw(
  onOpen: (socket: { send(message: string | Uint8Array): unknown }) => unknown,
): Promise<AsyncDisposable & { readonly url: string }> {
  const { serveWebSocket } = await import("@vgo/vnet/websocket");
  const server = await serveWebSocket("ws://127.0.0.1:0/", { protocols: ["vnet.1"], onOpen });
  return {
    url: `${server.addr}`,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
