import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { ConnectError } from "../../src/base/errors.ts";
import { Addr } from "../../src/base/addr.ts";
import { Simulation } from "@vgo/vnet/testing";
import {
  accept,
  connected,
  counting,
  errorOf,
  LISTEN,
  PORT,
  readAll,
  SERVER,
  watch,
} from "./_support.ts";

Deno.test("dial() is refused where nobody listens", async () => {
  await using sim = new Simulation();
  const error = await assertRejects(() => sim.dial(SERVER), ConnectError);
  assertEquals([error.code, error.message.includes(`${SERVER}`)], ["REFUSED", true]);
});

Deno.test("dial() finds a listener by port whatever the hostname and transport, and by path", async () => {
  await using sim = new Simulation();
  const listener = await sim.listen(Addr.parse("ws://127.0.0.1:80/chat"));
  const unix = await sim.listen(Addr.parse("unix:/run/a.sock"));
  const conns = [
    await sim.dial(Addr.parse("wss://example.test:80/chat")),
    await accept(listener),
    await sim.dial(Addr.parse("unix:/run/a.sock")),
    await accept(unix),
  ];
  await assertRejects(() => sim.dial(Addr.parse("unix:/run/b.sock")), ConnectError);
  const addrs = conns.map(({ localAddr, remoteAddr }) => [`${localAddr}`, `${remoteAddr}`]);
  assertEquals(addrs[0], addrs[1]?.toReversed());
  assertEquals(addrs[2], addrs[3]?.toReversed());
  for (const conn of conns) conn.close();
});

Deno.test("dial() gives each connection an address of its own, the same at both ends", async () => {
  await using sim = new Simulation();
  const listener = await sim.listen(LISTEN);
  const seen = new Set<string>();
  for (let n = 0; n < 50; n++) {
    const client = await sim.dial(SERVER);
    const server = await accept(listener);
    assert(client.localAddr instanceof Addr && client.remoteAddr instanceof Addr);
    assertEquals(`${server.remoteAddr}`, `${client.localAddr}`);
    assertEquals(`${client.remoteAddr}`, "tcp://server:9966");
    seen.add(`${client.localAddr}`);
    client.close();
    server.close();
  }
  assertEquals(seen.size, 50);
});

Deno.test("dial() takes the delay, refused or not", async () => {
  await using sim = new Simulation({ faults: { delay: 40, jitter: 20 } });
  assertEquals(await sim.run(errorOf(sim.dial(SERVER))), "ConnectError REFUSED");
  const first = sim.clock.now();
  assert(first >= 40 && first <= 60, `${first}`);
  const [client, server] = await connected(sim);
  const took = sim.clock.now() - first;
  assert(took >= 40 && took <= 60 && took !== first, `${took}`);
  client.close();
  server.close();
});

Deno.test("dial() draws its jitter from the seed", async () => {
  const took = async (seed: number) => {
    await using sim = new Simulation({ seed, faults: { jitter: 100 } });
    await sim.run(errorOf(sim.dial(SERVER)));
    return sim.clock.now();
  };
  assertEquals(await took(1), await took(1));
  assertNotEquals(await took(1), await took(2));
});

Deno.test("dial() uses the ports of closed connections again", async () => {
  await using sim = new Simulation();
  const listener = await sim.listen(LISTEN);
  const held = await sim.dial(SERVER);
  const heldServer = await accept(listener);
  for (let n = 0; n < 30_000; n++) {
    const client = await sim.dial(SERVER);
    if (`${client.localAddr}` === `${held.localAddr}`) throw new Error("A live port was given");
    client.close();
    (await accept(listener)).close();
  }
  held.close();
  heldServer.close();
});

Deno.test('dial() hangs behind setDialMode("hang") until its timeout', async () => {
  await using sim = new Simulation();
  const listener = await sim.listen(LISTEN);
  sim.setDialMode(`:${PORT}`, "hang");
  const error = await sim.run(
    assertRejects(() => sim.dial(SERVER, { timeout: 5_000 }), ConnectError),
  );
  assertEquals([error.code, sim.clock.now()], ["TIMEOUT", 5_000]);
  listener.close();
});

Deno.test("dial() rejects with the signal's reason, at once or later", async () => {
  await using sim = new Simulation();
  const reason = new Error("enough");
  const before = await assertRejects(() => sim.dial(SERVER, { signal: AbortSignal.abort(reason) }));
  sim.setDialMode(SERVER, "hang");
  const controller = new AbortController();
  const dial = sim.dial(SERVER, { signal: controller.signal, timeout: 1_000 });
  controller.abort(reason);
  const during = await assertRejects(() => dial);
  assert(before === reason && during === reason);
  assertEquals(sim.clock.pending, 0);
});

Deno.test("setDialMode() answers what waits: it connects, or is refused", async () => {
  await using sim = new Simulation();
  const listener = await sim.listen(LISTEN);
  sim.setDialMode(SERVER, "hang");
  const first = sim.dial(SERVER);
  const second = watch(sim.dial(SERVER));
  await sim.advance(60_000);
  assertEquals(second.state, undefined);
  sim.setDialMode(SERVER, "refuse");
  assertEquals(await errorOf(first), "ConnectError REFUSED");
  await sim.advance(0);
  assertEquals(second.state, "ConnectError REFUSED");
  assertEquals(await errorOf(sim.dial(SERVER)), "ConnectError REFUSED");

  sim.setDialMode(SERVER, "hang");
  const third = sim.dial(SERVER);
  sim.setDialMode(SERVER, "answer");
  const client = await third;
  client.close();
  (await accept(listener)).close();
});

Deno.test("dial() waits while 512 connections are not accepted", async () => {
  await using sim = new Simulation();
  const listener = await sim.listen(LISTEN);
  const conns = await Promise.all(Array.from({ length: 512 }, () => sim.dial(SERVER)));
  const late = sim.dial(SERVER);
  const watched = watch(late);
  await sim.advance(1_000);
  assertEquals(watched.state, undefined);
  conns.push(await accept(listener), await late);
  listener.close();
  for (const conn of conns) conn.close();
});

Deno.test("listen() gives port 0 a free port, and refuses one that is in use", async () => {
  await using sim = new Simulation();
  const free = [await sim.listen(Addr.parse(":0")), await sim.listen(Addr.parse(":0"))];
  const ports = free.map(({ addr }) => addr instanceof Addr ? addr.port : 0);
  assert(ports.every((port) => port > 0) && ports[0] !== ports[1]);
  const again = Addr.parse(`tcp://localhost:${ports[0]}`);
  const error = await assertRejects(() => sim.listen(again), ConnectError);
  assertEquals(error.code, "ADDRESS_IN_USE");
  const client = await sim.dial(again);
  const taken = client.localAddr instanceof Addr ? client.localAddr.port : 0;
  await assertRejects(() => sim.listen(Addr.parse(`:${taken}`)), ConnectError);
  client.close();
  free[0]?.close();
  const rebound = await sim.listen(again);
  assertEquals(`${rebound.addr}`, `${again}`);
});

Deno.test("listener.close() ends its loop and resets what was not accepted", async () => {
  await using sim = new Simulation();
  const listener = await sim.listen(LISTEN);
  const loop = (async () => {
    let count = 0;
    for await (const conn of listener) {
      conn.close();
      count++;
    }
    return count;
  })();
  const first = await sim.dial(SERVER);
  await sim.advance(0);
  listener.close();
  listener.close();
  assertEquals(await loop, 1);
  first.close();

  const other = await sim.listen(LISTEN);
  const waiting = await sim.dial(SERVER);
  other.close();
  assertEquals(await errorOf(waiting.read(new Uint8Array(1))), "ConnectionReset ECONNRESET");
  waiting.close();
  assertEquals(await errorOf(sim.dial(SERVER)), "ConnectError REFUSED");
});

Deno.test("link() is found from either end's addresses, and only while connected", async () => {
  await using sim = new Simulation();
  const [client, server] = await connected(sim);
  assert(sim.link(client) === sim.link(server));
  assertEquals(sim.links.map(({ localAddr }) => `${localAddr}`), [`${client.localAddr}`]);
  client.close();
  assertEquals(sim.links.length, 1);
  server.close();
  assertEquals(sim.links.length, 0);
  assertThrows(() => sim.link(client), Error, "Cannot find link as the peer must be connected");
});

Deno.test("faults of a simulation are those of connections to come", async () => {
  await using sim = new Simulation();
  sim.faults = { slice: 1 };
  assertThrows(() => sim.faults = { slice: -1 }, RangeError);
  const [client, server] = await connected(sim);
  sim.faults = {};
  await client.write(counting(3));
  client.close();
  assertEquals((await readAll(server)).reads, [1, 1, 1]);
  server.close();
});

Deno.test("run() lets time pass until the work settles, and no further", async () => {
  await using sim = new Simulation();
  const later = sim.clock.setTimer(500, () => {});
  assertEquals(await sim.run(sim.sleep(300).then(() => "done")), "done");
  assertEquals(sim.clock.now(), 300);
  await assertRejects(
    () => sim.run(Promise.reject(new RangeError("its own"))),
    RangeError,
    "its own",
  );
  later[Symbol.dispose]();
});

Deno.test("run() says when work cannot settle, or not in time", async () => {
  await using sim = new Simulation({ seed: 12 });
  const never = new Promise(() => {});
  await assertRejects(
    () => sim.run(never),
    Error,
    "no timer is set that could lead to it (seed 12)",
  );
  const tick = () => void (timer = sim.clock.setTimer(sim.clock.now() + 60_000, tick));
  let timer = sim.clock.setTimer(60_000, tick);
  await assertRejects(() => sim.run(never), Error, "within 3600000 ms of virtual time");
  assertEquals(sim.clock.now(), 3_600_000);
  await assertRejects(() => sim.run(never, { timeout: 90_000 }), Error, "within 90000 ms");
  timer[Symbol.dispose]();
});

Deno.test("run() throws what a timer throws", async () => {
  await using sim = new Simulation();
  sim.clock.setTimer(5, () => {
    throw new Error("from the timer");
  });
  await assertRejects(() => sim.run(sim.sleep(10)), Error, "from the timer");
});

Deno.test("random() is drawn from the seed, and not disturbed by the network", async () => {
  const draw = async (seed: number, traffic: boolean) => {
    await using sim = new Simulation({ seed, faults: { jitter: 5 } });
    if (traffic) {
      const [client, server] = await connected(sim);
      await client.write(counting(9));
      client.close();
      await sim.run(readAll(server));
      server.close();
    }
    return [sim.random(), sim.random(), sim.random()];
  };
  const numbers = await draw(1, false);
  assertEquals(numbers, await draw(1, true));
  assertNotEquals(numbers, await draw(2, false));
  assert(numbers.every((number) => number >= 0 && number < 1));
  for (const seed of [NaN, 1.5, 2 ** 60]) {
    assertThrows(() => new Simulation({ seed }), RangeError, "Cannot use seed");
  }
});

Deno.test("random() spreads evenly, also over neighbouring seeds", () => {
  const buckets = Array(10).fill(0);
  for (let seed = 0; seed < 2_000; seed++) {
    const sim = new Simulation({ seed });
    for (let n = 0; n < 5; n++) buckets[Math.floor(sim.random() * 10)]++;
  }
  assert(buckets.every((count) => count > 850 && count < 1_150), `${buckets}`);
});

Deno.test("traceHash is the same for the same seed, and differs for others", async () => {
  const trace = async (seed: number, sent: number) => {
    await using sim = new Simulation({ seed, faults: { delay: 5, jitter: 50, slice: 9 } });
    const hashes = [sim.traceHash];
    const [client, server] = await connected(sim);
    hashes.push(sim.traceHash);
    for (let n = 0; n < 20; n++) {
      await client.write(counting(10, n));
      await server.write(counting(10, n === 19 ? sent : n));
      await sim.advance(10);
    }
    sim.link(client).cut("close");
    const both = await sim.run(Promise.all([readAll(client), readAll(server)]));
    client.close();
    server.close();
    hashes.push(sim.traceHash);
    assertEquals(new Set(hashes).size, 3);
    assertEquals(both.map(({ bytes }) => bytes.length), [200, 200]);
    return sim.traceHash;
  };
  assertEquals(await trace(1, 0), await trace(1, 0));
  const hashes = new Set<number>();
  for (let seed = 0; seed < 50; seed++) hashes.add(await trace(seed, 0));
  hashes.add(await trace(1, 1));
  assertEquals(hashes.size, 51);
});

Deno.test("sleep() ends with the simulation, silently", async () => {
  let woke = false;
  {
    await using sim = new Simulation();
    void sim.sleep(100_000).then(() => woke = true);
  }
  assertEquals(woke, false);
});

Deno.test("disposal aborts what was adopted and waits for its end", async () => {
  const told: unknown[] = [];
  {
    await using sim = new Simulation();
    const { promise, resolve } = Promise.withResolvers<void>();
    const abort = (reason: unknown) => {
      told.push(reason);
      sim.clock.setTimer(sim.clock.now() + 1_000, resolve);
    };
    sim.adopt({ closed: promise, abort });
    sim.adopt({ closed: Promise.resolve(), abort: () => told.push("ended before") });
    await sim.advance(0);
  }
  assertEquals(told.length, 1);
  assert(told[0] instanceof Error);
});

Deno.test("disposal throws and names what was leaked", async (t) => {
  const leaks: [string, RegExp, (sim: Simulation) => unknown][] = [
    ["timer", /current leaks are 1 timer$/, (sim) => sim.clock.setTimer(60_000, () => {})],
    ["timers that go on", /1 timer$/, (sim) => {
      const tick = () => void sim.clock.setTimer(sim.clock.now() + 250, tick, true);
      tick();
    }],
    ["dial", /dial to tcp:\/\/server:9966$/, (sim) => {
      sim.setDialMode(SERVER, "hang");
      void sim.dial(SERVER);
    }],
    [
      "both ends",
      /connection tcp:\/\/127.0.0.1:\d+ to tcp:\/\/server:9966, open at the dialling and accepting end$/,
      connected,
    ],
    ["dialling end", /open at the dialling end$/, async (sim) => (await connected(sim))[1].close()],
    ["accepting end", /open at the accepting end$/, async (sim) => {
      (await connected(sim))[0].close();
    }],
    ["reset but not closed", /open at the dialling and accepting end$/, async (sim) => {
      sim.link((await connected(sim))[0]).cut();
    }],
    ["adopted", /1 aborted but not closed$/, (sim) => {
      sim.adopt({ closed: new Promise(() => {}), abort: () => {} });
    }],
  ];
  for (const [name, pattern, leak] of leaks) {
    await t.step(name, async () => {
      const sim = new Simulation({ seed: 77 });
      await leak(sim);
      const error = await assertRejects(() => sim[Symbol.asyncDispose](), Error, "(seed 77)");
      assert(error instanceof Error && pattern.test(error.message), String(error));
    });
  }
});

Deno.test("disposal leaves bytes on their way to nobody, and listeners, without complaint", async () => {
  await using sim = new Simulation({ faults: { delay: 5_000 } });
  const [client, server] = await connected(sim);
  await sim.listen(LISTEN);
  await client.write(counting(5));
  client.close();
  server.close();
  assertEquals(sim.clock.pending, 0);
});
