/**
 * Messages as they arrive: by `onMessage`, and by the loop over `messages`.
 */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import type { ServerEvent, ServerPeer } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import {
  bodies,
  collect,
  connectText,
  openPair,
  serveText,
  type Text,
  until,
} from "../client/_support.ts";

Deno.test("onMessage gets each message with its topic, in order, on both sides", async () => {
  await using sim = new Simulation({ faults: { delay: 3, jitter: 20, slice: 7 } });
  const up: string[] = [];
  const down: string[] = [];
  const { client, peer } = await openPair(sim, {
    serve: { onMessage: ({ body, topic }, from) => up.push(`${from.id} ${topic} ${body}`) },
    connect: { onMessage: ({ body, topic }, from) => down.push(`${from.id} ${topic} ${body}`) },
  });
  for (let n = 0; n < 100; n++) {
    client.send(`up ${n}`, { topic: "a" });
    peer.send(`down ${n}`);
    if (n % 7 === 0) await sim.advance(1);
  }
  await sim.advance(30_000);
  assertEquals(up, Array.from({ length: 100 }, (_, n) => `ann a up ${n}`));
  assertEquals(down, Array.from({ length: 100 }, (_, n) => `ann  down ${n}`));
});

Deno.test("onMessage takes one at a time: the next waits for a returned promise", async () => {
  await using sim = new Simulation();
  const log: string[] = [];
  const { client } = await openPair(sim, {
    serve: {
      onMessage: async ({ body }) => {
        log.push(`${body} in`);
        await sim.sleep(10);
        log.push(`${body} out`);
      },
    },
  });
  for (const body of ["a", "b", "c"]) client.send(body);
  await sim.advance(25);
  assertEquals(log, ["a in", "a out", "b in", "b out", "c in"]);
  await sim.advance(5);
  assertEquals(log.length, 6);
});

Deno.test("onMessage may return what is no promise, or only looks like one", async () => {
  await using sim = new Simulation();
  const got: string[] = [];
  const { client } = await openPair(sim, {
    serve: {
      onMessage: ({ body }) => {
        got.push(body);
        return body === "a" ? 42 : body === "b" ? { then: (done: () => void) => done() } : null;
      },
    },
  });
  for (const body of ["a", "b", "c"]) client.send(body);
  await sim.advance(0);
  assertEquals(got, ["a", "b", "c"]);
});

Deno.test("onMessage that is slow with one client does not hold up another", async () => {
  await using sim = new Simulation();
  const got: string[] = [];
  await serveText(sim, {
    onMessage: ({ body }, { id }) => {
      got.push(`${id} ${body}`);
      return id === "slow" ? sim.sleep(60_000) : undefined;
    },
  });
  const slow = await connectText(sim, { id: "slow" });
  const fast = await connectText(sim, { id: "fast" });
  for (let n = 0; n < 3; n++) {
    slow.send(`${n}`);
    fast.send(`${n}`);
  }
  await sim.advance(0);
  assertEquals(got.sort(), ["fast 0", "fast 1", "fast 2", "slow 0"]);
});

Deno.test("onMessage that throws or rejects is told of, and ends nothing", async () => {
  await using sim = new Simulation();
  const events: ServerEvent<ServerPeer<Text>>[] = [];
  const got: string[] = [];
  const { client, peer } = await openPair(sim, {
    serve: {
      onMessage: ({ body }) => {
        got.push(body);
        if (body === "throw") throw new Error("thrown");
        return body === "reject" ? Promise.reject("rejected") : undefined;
      },
      onEvent: (event) => events.push(event),
    },
  });
  for (const body of ["throw", "reject", "fine"]) client.send(body);
  await sim.advance(0);
  assertEquals(got, ["throw", "reject", "fine"]);
  const errors = events.filter((event) => event.type === "error");
  assertEquals(errors.map(({ error }) => `${error}`), ["Error: thrown", "rejected"]);
  assert(errors.every((event) => event.peer === peer));
  assertEquals([client.state, peer.state], ["open", "open"]);
});

Deno.test("onMessage that throws where nobody watches goes to the logger", async () => {
  await using sim = new Simulation();
  const logged: unknown[] = [];
  const { client, peer } = await openPair(sim, {
    connect: {
      onMessage: () => Promise.reject(new Error("async")),
      logger: { error: (_message, fields) => logged.push(fields?.error) },
    },
  });
  peer.send("x");
  await sim.advance(0);
  assertEquals([logged.map(String), client.state], [["Error: async"], "open"]);
});

Deno.test("onMessage that throws where nobody watches or logs goes to reportError", async () => {
  await using sim = new Simulation();
  const reported: unknown[] = [];
  const listener = (event: ErrorEvent) => {
    event.preventDefault();
    reported.push(event.error);
  };
  globalThis.addEventListener("error", listener);
  const defect = new Error("a defect");
  const { client, peer } = await openPair(sim, {
    connect: {
      onMessage: () => {
        throw defect;
      },
    },
  });
  peer.send("x");
  await sim.advance(0);
  globalThis.removeEventListener("error", listener);
  assertEquals([reported.length, client.state], [1, "open"]);
  assert(reported[0] === defect);
});

Deno.test("messages gives what came before the loop began, and what comes after", async () => {
  await using sim = new Simulation();
  const { client, peer } = await openPair(sim);
  peer.send("before", { topic: "t" });
  await sim.advance(0);
  const reading = collect(client.messages, 2);
  peer.send("after");
  assertEquals(await sim.run(reading), [
    { body: "before", topic: "t" },
    { body: "after", topic: "" },
  ]);
});

Deno.test("messages may be left and taken up again: nothing is lost, and nothing closes", async () => {
  await using sim = new Simulation();
  const { client, peer } = await openPair(sim);
  for (const body of ["1", "2", "3", "4"]) peer.send(body);
  assertEquals(bodies(await sim.run(collect(client.messages, 1))), ["1"]);
  const { messages } = client;
  assertEquals(bodies(await sim.run(collect(messages, 2))), ["2", "3"]);
  assertEquals(bodies(await sim.run(collect(messages, 1))), ["4"]);
  assertEquals([client.state, peer.state], ["open", "open"]);
});

Deno.test("messages has one reader, and may not be read with onMessage", async () => {
  await using sim = new Simulation();
  const { client, peer } = await openPair(sim, { serve: { onMessage: () => {} } });
  assertThrows(() => peer.messages, TypeError, "'onMessage' was given");
  const first = client.messages[Symbol.asyncIterator]();
  assertThrows(() => client.messages[Symbol.asyncIterator](), TypeError, "another loop");
  const next = first.next();
  await assertRejects(() => first.next(), TypeError, "another read is waiting");
  await first.return?.();
  assertEquals(await next, { done: true, value: undefined });
  const second = client.messages[Symbol.asyncIterator]();
  peer.send("for the second");
  const { value } = await sim.run(second.next());
  assertEquals(value?.body, "for the second");
});

Deno.test("messages of one client go on over its links", async () => {
  await using sim = new Simulation();
  const { client } = await openPair(sim, { serve: { onConnect: (peer) => peer.send(peer.id) } });
  const reading = collect(client.messages, 3);
  for (let n = 0; n < 2; n++) {
    sim.link(client).cut();
    await until(sim, () => client.state === "open");
  }
  assertEquals(bodies(await sim.run(reading)), ["ann", "ann", "ann"]);
});

Deno.test("messages ends quietly with the peer, after what had come before", async () => {
  for (const how of ["close", "abort", "cut"] as const) {
    await using sim = new Simulation();
    const { client, peer } = await openPair(sim);
    for (const body of ["1", "2"]) client.send(body);
    await sim.advance(0);
    if (how === "close") client.close();
    else if (how === "abort") client.abort();
    else sim.link(client).cut();
    await sim.advance(0);
    assertEquals(bodies(await sim.run(collect(peer.messages))), ["1", "2"], how);
    assertEquals(await collect(peer.messages), []);
  }
});

Deno.test("messages ends when it waits and the peer ends", async () => {
  await using sim = new Simulation();
  const { client, peer } = await openPair(sim);
  const both = Promise.all([collect(client.messages), collect(peer.messages)]);
  await sim.advance(0);
  client.close();
  assertEquals(await sim.run(both), [[], []]);
});

Deno.test("messages holds the next one back until the loop asks for it", async () => {
  await using sim = new Simulation();
  const { client, peer } = await openPair(sim, {
    serve: { limits: { maxQueuedBytes: 10_000_000 } },
  });
  const size = 300_000;
  for (let n = 0; n < 10; n++) peer.send("x".repeat(size));
  await sim.advance(1_000);
  // The window is 1 MiB: the rest waits at the sender until some of it was taken.
  const waiting = peer.queued.frames;
  assert(waiting >= 6, `${waiting} wait`);
  const loop = client.messages[Symbol.asyncIterator]();
  for (let n = 0; n < 10; n++) {
    const { value } = await sim.run(loop.next());
    assertEquals(value?.body.length, size);
    await sim.advance(100);
  }
  assertEquals(peer.queued.frames, 0);
});

Deno.test("messages that nobody reads are warned of, once", async () => {
  await using sim = new Simulation();
  const warnings: string[] = [];
  const { peer } = await openPair(sim, {
    connect: { logger: { warn: (line) => warnings.push(line) } },
  });
  for (let n = 0; n < 1_000; n++) await peer.send("x");
  await sim.advance(0);
  assertEquals(warnings.length, 1);
  assert(warnings[0]?.includes("nobody reads"), warnings[0]);
});

Deno.test("messages passes over a body that its serializer does not take", async () => {
  await using sim = new Simulation();
  const errors: unknown[] = [];
  const { client, peer } = await openPair(sim, {
    serve: {
      serializer: {
        name: "raw",
        serialize: (value: string) => new TextEncoder().encode(value).map((byte) => byte ^ 0x80),
        deserialize: () => "",
      },
    },
    connect: { onEvent: (event) => event.type === "error" && errors.push(event.error) },
  });
  peer.send("not UTF-8 any more");
  await sim.advance(0);
  const reading = collect(client.messages);
  await sim.advance(0);
  assertEquals(errors.length, 1);
  assertInstanceOf(errors[0], Error);
  await sim.run(client.close());
  assertEquals(await reading, []);
});
