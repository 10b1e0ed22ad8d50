/**
 * `onConnect` and `onDisconnect`: once per session, around its messages; and what becomes of hooks
 * that fail.
 */
import { assert, assertEquals } from "@std/assert";
import type { Client, ClientEvent, ServerEvent, ServerPeer } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import { atOnce, connectText, openPair, serveText, type Text, until } from "../client/_support.ts";

Deno.test("onConnect comes before the first message, on both sides", async () => {
  await using sim = new Simulation();
  const log: string[] = [];
  await openPair(sim, {
    serve: {
      onConnect: (peer) => {
        log.push(`server connect ${peer.state}`);
        peer.send("welcome");
      },
      onMessage: ({ body }) => log.push(`server ${body}`),
    },
    connect: {
      onConnect: (client) => {
        log.push(`client connect ${client.state}`);
        client.send("thanks");
      },
      onMessage: ({ body }) => log.push(`client ${body}`),
    },
  });
  await sim.advance(0);
  assertEquals(log, [
    "server connect open",
    "client connect open",
    "client welcome",
    "server thanks",
  ]);
});

Deno.test("onConnect may live as long as its session, and read its messages", async () => {
  await using sim = new Simulation();
  const log: string[] = [];
  const { client } = await openPair(sim, {
    serve: {
      onConnect: async (peer) => {
        for await (const { body } of peer.messages) log.push(body);
        log.push("over");
      },
    },
  });
  for (const body of ["1", "2"]) client.send(body);
  await sim.run(client.close());
  await sim.advance(0);
  assertEquals(log, ["1", "2", "over"]);
});

Deno.test("onConnect runs again for each session of a client", async () => {
  await using sim = new Simulation();
  const log: string[] = [];
  const { client } = await openPair(sim, {
    connect: {
      onConnect: ({ id }) => log.push(`connect ${id}`),
      onDisconnect: ({ code }, { state }) => log.push(`disconnect ${code} ${state}`),
    },
  });
  for (let n = 0; n < 2; n++) {
    sim.link(client).cut();
    await until(sim, () => client.state === "open");
  }
  await sim.run(client.close());
  assertEquals(log, [
    "connect ann",
    "disconnect LINK_LOST waiting",
    "connect ann",
    "disconnect LINK_LOST waiting",
    "connect ann",
    "disconnect NORMAL draining",
  ]);
});

for (const fails of ["throws", "rejects"]) {
  const fail = () => {
    if (fails === "throws") throw new Error("No");
    return Promise.reject(new Error("No"));
  };

  Deno.test(`onConnect of a server that ${fails} ends that client, and nobody else`, async () => {
    await using sim = new Simulation();
    const events: ServerEvent<ServerPeer<Text>>[] = [];
    const server = await serveText(sim, {
      onConnect: ({ id }) => id === "bad" ? fail() : undefined,
      onEvent: (event) => events.push(event),
    });
    const good = await connectText(sim, { id: "good" });
    const bad = await connectText(sim, { id: "bad", reconnect: false });
    const info = await sim.run(bad.closed);
    assertEquals([info.code, info.initiator], ["INTERNAL", "remote"]);
    // What went wrong in the server is none of the client's business.
    assert(!info.reason.includes("No"), info.reason);
    assertEquals([good.state, server.peers.size], ["open", 1]);
    const errors = events.flatMap((event) => event.type === "error" ? [String(event.error)] : []);
    assertEquals(errors, ["Error: No"]);
  });

  Deno.test(`onConnect of a client that ${fails} ends the client for good`, async () => {
    await using sim = new Simulation();
    const events: ClientEvent[] = [];
    const server = await serveText(sim);
    const client: Client<Text> = await connectText(sim, {
      onConnect: fail,
      onEvent: (event) => events.push(event),
    });
    const info = await sim.run(client.closed);
    assertEquals([info.code, info.initiator], ["INTERNAL", "local"]);
    await sim.advance(60_000);
    assertEquals([server.peers.size, server.stats().total], [0, 1]);
    assertEquals(
      events.map(({ type }) => type).sort(),
      ["close", "connect", "dial", "disconnect", "error"],
    );
  });
}

Deno.test("onConnect that fails late ends only its own session", async () => {
  await using sim = new Simulation();
  let calls = 0;
  const { client, server } = await openPair(sim, {
    serve: {
      onConnect: async () => {
        if (++calls > 1) return;
        await sim.sleep(5_000);
        throw new Error("Too late to matter");
      },
      onEvent: () => {},
    },
  });
  sim.link(client).cut();
  await until(sim, () => client.state === "open");
  await sim.advance(10_000);
  assertEquals([client.state, server.peers.size, server.stats().total], ["open", 1, 2]);
});

Deno.test("onConnect of a client that fails late ends only its own session", async () => {
  await using sim = new Simulation();
  let calls = 0;
  const { client } = await openPair(sim, {
    connect: {
      onConnect: async () => {
        if (++calls > 1) return;
        await sim.sleep(5_000);
        throw new Error("Too late to matter");
      },
      onEvent: () => {},
    },
  });
  sim.link(client).cut();
  await until(sim, () => client.state === "open");
  await sim.advance(10_000);
  assertEquals(client.state, "open");
});

Deno.test("onDisconnect comes once per session, after its last message", async () => {
  await using sim = new Simulation();
  const log: string[] = [];
  const { client } = await openPair(sim, {
    serve: {
      onMessage: async ({ body }) => {
        await sim.sleep(10);
        log.push(body);
      },
      onDisconnect: ({ code, initiator }) => log.push(`${code} by ${initiator}`),
    },
  });
  for (const body of ["1", "2", "3"]) client.send(body);
  await sim.run(client.close());
  assertEquals(log, []);
  await sim.advance(100);
  assertEquals(log, ["1", "2", "3", "NORMAL by remote"]);
});

Deno.test("onDisconnect comes at once after an abort, and no message after it", async () => {
  await using sim = new Simulation();
  const log: string[] = [];
  const { client, peer } = await openPair(sim, {
    serve: {
      onMessage: async ({ body }) => {
        log.push(body);
        await sim.sleep(10);
      },
      onDisconnect: ({ code }) => log.push(code),
    },
  });
  for (const body of ["1", "2", "3"]) client.send(body);
  await sim.advance(5);
  peer.abort();
  assertEquals(log, ["1", "ABORTED"]);
  await sim.advance(1_000);
  assertEquals(log, ["1", "ABORTED"]);
});

Deno.test("onDisconnect is not called where onConnect was not", async () => {
  await using sim = new Simulation();
  const log: string[] = [];
  await serveText(sim, {
    register: () => false,
    onConnect: () => log.push("connect"),
    onDisconnect: () => log.push("disconnect"),
  });
  await connectText(sim, {
    onConnect: () => log.push("connect"),
    onDisconnect: () => log.push("disconnect"),
  }).catch(() => {});
  assertEquals(log, []);
});

Deno.test("onDisconnect that fails is told of, and ends nothing else", async () => {
  await using sim = new Simulation();
  const errors: string[] = [];
  const { client, server } = await openPair(sim, {
    serve: {
      onDisconnect: () => Promise.reject(new Error("server")),
      onEvent: (event) => event.type === "error" && errors.push(String(event.error)),
    },
    connect: {
      onDisconnect: () => {
        throw new Error("client");
      },
      onEvent: (event) => event.type === "error" && errors.push(String(event.error)),
    },
  });
  sim.link(client).cut();
  await until(sim, () => client.state === "open");
  assertEquals([errors.sort(), server.peers.size], [["Error: client", "Error: server"], 1]);
});

Deno.test("onEvent of a server that fails goes to the logger, and the server goes on", async () => {
  await using sim = new Simulation();
  const logged: string[] = [];
  const { client } = await openPair(sim, {
    serve: {
      onEvent: ({ type }) => {
        if (type === "connect") throw new Error("sync");
        return Promise.reject(new Error("async"));
      },
      logger: { error: (_message, fields) => logged.push(String(fields?.error)) },
    },
  });
  assertEquals(client.state, "open");
  await sim.run(client.close());
  await sim.advance(0);
  assertEquals(logged, ["Error: sync", "Error: async"]);
});

Deno.test("Server and Client survive a logger that fails", async () => {
  await using sim = new Simulation();
  const broken = () => {
    throw new Error("The disk is full");
  };
  const logger = { info: broken, warn: broken, error: broken };
  const { client, server } = await openPair(sim, {
    serve: { logger, onMessage: broken },
    connect: { logger },
  });
  client.send("x");
  await sim.advance(0);
  sim.link(client).cut();
  await until(sim, () => client.state === "open");
  assertEquals(server.peers.size, 1);
  await atOnce(sim, client.close());
  await atOnce(sim, server.close());
});
