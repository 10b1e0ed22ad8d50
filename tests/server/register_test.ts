/**
 * `register`: what it is asked, what it may answer, and what becomes of its answers.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Client,
  connect,
  ConnectError,
  type Decision,
  type Registration,
  type ServerEvent,
  type ServerPeer,
  text,
} from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { ADDRESS, connectText, only, openPair, serveText, type Text } from "../client/_support.ts";

interface Account {
  readonly name: string;
}

Deno.test("register that answers true lets the client in as it asked", async () => {
  await using sim = new Simulation();
  const { client, peer } = await openPair(sim, { serve: { register: () => true } });
  assertEquals([client.id, peer.id, peer.data], ["ann", "ann", undefined]);
});

Deno.test("register may give data, which is the peer's from the first hook on", async () => {
  await using sim = new Simulation();
  const account: Account = { name: "Ann" };
  const seen: Account[] = [];
  const { peer, server } = await openPair<Account>(sim, {
    serve: {
      register: () => ({ data: account }),
      onConnect: ({ data }) => seen.push(data),
      onDisconnect: (_info, { data }) => seen.push(data),
    },
  });
  assert(peer.data === account && peer.server === server);
  peer.abort();
  assert(seen.length === 2 && seen.every((data) => data === account));
});

const IDS: [string, Decision<Account>, string][] = [
  ["an id", { id: "other" }, "other"],
  ["an id and data", { id: "other", data: { name: "x" } }, "other"],
  ["data alone", { data: { name: "x" } }, "ann"],
];

for (const [name, decision, id] of IDS) {
  Deno.test(`register may give ${name}: both ends know the id`, async () => {
    await using sim = new Simulation();
    const { client, peer, server } = await openPair<Account>(sim, {
      serve: { register: () => decision },
    });
    assertEquals([client.id, peer.id, server.peers.has(id)], [id, id, true]);
  });
}

Deno.test("register may answer by a promise, and nothing flows before it has", async () => {
  await using sim = new Simulation();
  const log: string[] = [];
  const server = await serveText(sim, {
    register: async ({ id }) => {
      log.push(`asked for ${id}`);
      await sim.sleep(1_000);
      log.push("answered");
      return true;
    },
    onConnect: () => log.push("connect"),
    onMessage: ({ body }) => log.push(body),
  });
  const connecting = connect<Text>(ADDRESS, {
    runtime: sim,
    serializer: text(),
    id: "ann",
    onConnect: (client) => client.send("hello"),
  });
  await sim.advance(500);
  assertEquals([server.peers.size, server.stats().unregistered], [0, 1]);
  await sim.run(connecting);
  await sim.advance(0);
  assertEquals(log, ["asked for ann", "answered", "connect", "hello"]);
});

const REFUSALS: [
  string,
  () => Decision<undefined> | Promise<Decision<undefined>>,
  string,
  string,
][] = [
  ["false", () => false, "AUTH_FAILED", "refused the registration"],
  ["a promise of false", () => Promise.resolve(false), "AUTH_FAILED", "refused"],
  ["a code", () => ({ reject: "CLIENT_ID_INVALID" }), "CLIENT_ID_INVALID", "refused"],
  [
    "a code and a reason",
    () => ({ reject: "TOO_MANY_CONNECTIONS", reason: "Come back tomorrow" }),
    "TOO_MANY_CONNECTIONS",
    "Come back tomorrow",
  ],
];

for (const [name, register, code, reason] of REFUSALS) {
  Deno.test(`register refuses with ${name}, and no hook is called`, async () => {
    await using sim = new Simulation();
    const called: string[] = [];
    const events: ServerEvent<ServerPeer<Text>>[] = [];
    const server = await serveText(sim, {
      register,
      onConnect: () => called.push("connect"),
      onMessage: () => called.push("message"),
      onDisconnect: () => called.push("disconnect"),
      onEvent: (event) => events.push(event),
    });
    const error = await assertRejects(() => connectText(sim, { openTimeout: 0 }), ConnectError);
    assertEquals([error.code, error.initiator], [code, "remote"]);
    assert(error.message.includes(reason), error.message);
    assertEquals([called, server.stats().total, server.stats().rejected], [[], 0, { [code]: 1 }]);
    assertEquals(events.map((event) => event.type === "reject" ? `${event.code}` : ""), [code]);
    await sim.advance(1_000);
    assertEquals(sim.links.length, 0);
  });
}

Deno.test("register may say when to come back", async () => {
  await using sim = new Simulation();
  await serveText(sim, { register: () => ({ reject: "SERVER_RESTART", retryAfter: 7_000 }) });
  const error = await assertRejects(() => connectText(sim, { openTimeout: 0 }), ConnectError);
  assertEquals([error.code, error.retryAfter], ["SERVER_RESTART", 7_000]);
});

for (const fails of ["throws", "rejects"]) {
  Deno.test(`register that ${fails} refuses without its words, and is told of`, async () => {
    await using sim = new Simulation();
    const errors: string[] = [];
    const server = await serveText(sim, {
      register: () => {
        const error = new Error("password=hunter2");
        if (fails === "throws") throw error;
        return Promise.reject(error);
      },
      onEvent: (event) => event.type === "error" && errors.push(String(event.error)),
    });
    const error = await assertRejects(() => connectText(sim, { openTimeout: 0 }), ConnectError);
    assertEquals([error.code, error.initiator], ["INTERNAL", "remote"]);
    assert(!error.message.includes("hunter2"), error.message);
    assertEquals([errors, server.stats().total], [["Error: password=hunter2"], 0]);
  });
}

Deno.test("register that gives an id which is none is told of, and refuses", async () => {
  for (const id of ["", "x".repeat(300), "line\nbreak"]) {
    await using sim = new Simulation();
    const errors: unknown[] = [];
    await serveText(sim, {
      register: () => ({ id }),
      onEvent: (event) => event.type === "error" && errors.push(event.error),
    });
    const error = await assertRejects(() => connectText(sim, { openTimeout: 0 }), ConnectError);
    assertEquals(error.code, "INTERNAL");
    assert(errors.length === 1 && errors[0] instanceof TypeError);
  }
});

Deno.test("register learns that the client has left, and its answer comes to nothing", async () => {
  await using sim = new Simulation();
  const requests: Registration[] = [];
  const server = await serveText(sim, {
    register: async (request) => {
      requests.push(request);
      await sim.sleep(1_000);
      return true;
    },
  });
  const controller = new AbortController();
  const { signal } = controller;
  const connecting = connect<Text>(ADDRESS, { runtime: sim, serializer: text(), signal });
  connecting.catch(() => {});
  await sim.advance(500);
  const [request] = requests;
  assert(request !== undefined && !request.signal.aborted);
  controller.abort();
  await sim.advance(0);
  assert(request.signal.aborted);
  await sim.advance(1_000);
  assertEquals([server.stats().total, server.peers.size], [0, 0]);
});

Deno.test("register is asked for every session of a client", async () => {
  await using sim = new Simulation();
  let asked = 0;
  const server = await serveText<number>(sim, { register: () => ({ data: ++asked }) });
  const client: Client<Text> = await connectText(sim, { id: "ann" });
  client.reconnect();
  await sim.advance(0);
  assertEquals([asked, only(server).data], [2, 2]);
});
