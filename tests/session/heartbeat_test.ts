/** The heartbeat machine: its two rules, its forgiveness, and that they never mix. */
import { assert, assertEquals } from "@std/assert";
import { Heartbeat } from "../../src/session/heartbeat.ts";
import { MachinePair } from "../_support/machine_pair.ts";
import { Rng } from "../_support/rng.ts";

const OPTIONS = { interval: 200, timeout: 100 };

/** At an instant: something happens, or `handleTimeout` says something. */
type Step = readonly [at: number, what: "sent" | "received" | "none" | "ping" | "dead"];

const TRACES: Record<string, readonly Step[]> = {
  "asks after a silence, and gives up when no answer comes": [
    [199, "none"],
    [200, "ping"],
    [201, "none"],
    [299, "none"],
    [300, "dead"],
  ],
  "is content with any byte": [
    [200, "ping"],
    [299, "received"],
    [300, "none"],
    [399, "none"],
    [400, "ping"], // It owes one.
    [498, "none"],
    [499, "ping"], // It asks.
    [598, "none"],
    [599, "dead"],
  ],
  "shows life although it hears all the time": [
    [50, "received"],
    [150, "received"],
    [199, "none"],
    [200, "ping"],
    [250, "received"],
    [350, "received"],
    [399, "none"],
    [400, "ping"],
  ],
  "owes nothing while it sends": [
    [150, "sent"],
    [190, "received"],
    [200, "none"],
    [340, "sent"],
    [380, "received"],
    [500, "none"],
    [540, "ping"],
  ],
  "does not take its own sending for life": [
    [100, "sent"],
    [199, "sent"],
    [200, "ping"],
    [250, "sent"],
    [299, "sent"],
    [300, "dead"],
  ],
  "forgives its own stall once, and asks again": [
    [200, "ping"],
    [351, "ping"],
    [352, "none"],
    [450, "none"],
    [451, "dead"],
  ],
  "does not forgive what is hardly late": [
    [200, "ping"],
    [350, "dead"],
  ],
  "asks before it judges when it wakes up long after": [
    [10_000, "ping"],
    [10_099, "none"],
    [10_100, "dead"],
  ],
  "hears the answer that waited during its stall": [
    [200, "ping"],
    [900, "ping"],
    [901, "received"],
    [1_000, "none"],
    [1_100, "ping"],
    [1_101, "ping"],
    [1_201, "dead"],
  ],
};

for (const [name, steps] of Object.entries(TRACES)) {
  Deno.test(`Heartbeat ${name}`, () => {
    const heartbeat = new Heartbeat(0, OPTIONS);
    for (const [at, what] of steps) {
      if (what === "sent" || what === "received") heartbeat[what](at);
      else assertEquals(heartbeat.handleTimeout(at), what, `at ${at}`);
    }
  });
}

Deno.test("Heartbeat.nextTimeout() is when something is due, and not before", () => {
  const heartbeat = new Heartbeat(1_000, OPTIONS);
  assertEquals(heartbeat.nextTimeout(), 1_200);
  heartbeat.received(1_100);
  assertEquals(heartbeat.nextTimeout(), 1_200);
  heartbeat.sent(1_150);
  assertEquals(heartbeat.nextTimeout(), 1_300);
  assertEquals(heartbeat.handleTimeout(1_300), "ping");
  assertEquals(heartbeat.nextTimeout(), 1_400);
  heartbeat.received(1_350);
  assertEquals(heartbeat.nextTimeout(), 1_500);
});

Deno.test("Heartbeat of a client shows life early, and judges the other end as a server does", () => {
  const heartbeat = new Heartbeat(0, { interval: 1_600, timeout: 400 }, "client");
  assertEquals(heartbeat.nextTimeout(), 1_550);
  assertEquals(heartbeat.handleTimeout(1_549), "none");
  assertEquals(heartbeat.handleTimeout(1_550), "ping");
  assertEquals(heartbeat.nextTimeout(), 1_600);
  assertEquals(heartbeat.handleTimeout(1_600), "ping");
  assertEquals(heartbeat.handleTimeout(1_999), "none");
  assertEquals(heartbeat.handleTimeout(2_000), "dead");
});

Deno.test("Heartbeat of who has not measured for three intervals is early, and no more than once", () => {
  const heartbeat = new Heartbeat(0, { interval: 1_600, timeout: 400 });
  heartbeat.sent(4_000);
  heartbeat.received(4_000);
  assertEquals(heartbeat.nextTimeout(0), 5_500);
  assertEquals(heartbeat.handleTimeout(5_499, 0), "none");
  assertEquals(heartbeat.handleTimeout(5_500, 0), "ping");
  assertEquals(heartbeat.nextTimeout(0), 5_600);
  heartbeat.received(5_510);
  assertEquals(heartbeat.nextTimeout(5_510), 7_100);
  // Not before it is due.
  assertEquals(heartbeat.nextTimeout(2_200), 7_000);
});

Deno.test("SessionMachine lets one PING of the client do for both ends", () => {
  const pair = MachinePair.open({ heartbeat: { interval: 1_000, timeout: 500 } });
  pair.advance(30_000);
  assert(pair.client.machine.open && pair.server.machine.open);
  const [asked, own] = [pair.client, pair.server].map(({ log }) =>
    log.filter((what) => what.startsWith("pong")).length
  );
  // The server asks only to measure the round trip, and the client has nothing to ask then.
  assertEquals([asked, own], [24, 8]);
});

Deno.test("Heartbeat with an interval below its timeout goes on showing life while it waits", () => {
  const heartbeat = new Heartbeat(0, { interval: 100, timeout: 350 });
  const said = [];
  for (let at = 0; at <= 500; at += 10) {
    const what = heartbeat.handleTimeout(at);
    if (what !== "none") said.push([at, what]);
  }
  assertEquals(said, [
    [100, "ping"],
    [200, "ping"],
    [300, "ping"],
    [400, "ping"],
    [450, "dead"],
    [
      460,
      "dead",
    ],
    [470, "dead"],
    [480, "dead"],
    [490, "dead"],
    [500, "dead"],
  ]);
});

Deno.test("Heartbeat keeps its promises in 2,000 random lives", () => {
  for (let seed = 1; seed <= 2_000; seed++) {
    const rng = new Rng(seed);
    const interval = 100 + rng.int(400);
    const timeout = 50 + rng.int(400);
    const heartbeat = new Heartbeat(0, { interval, timeout });
    let [now, sent, received, asked] = [0, 0, 0, -1];
    for (let step = 0; step < 60; step++) {
      const due = heartbeat.nextTimeout();
      // Never so that it would spin: after `handleTimeout` the next instant lies ahead.
      assert(due > now, `seed ${seed}: at ${now} due ${due}`);
      const kind = rng.int(4);
      if (kind < 2) {
        now = Math.min(due, now + rng.int(interval));
        if (kind === 0) heartbeat.sent(sent = now);
        else {
          heartbeat.received(received = now);
          asked = -1;
        }
      } else now = due;
      const what = heartbeat.handleTimeout(now);
      const where = `seed ${seed}: ${what} at ${now}, sent ${sent}, received ${received}`;
      if (what === "dead") {
        assert(
          asked >= 0 && now === asked + timeout && now >= received + interval + timeout,
          where,
        );
        break;
      }
      if (what === "ping") {
        assert(now >= sent + interval || now >= received + interval, where);
        if (asked < 0 && now >= received + interval) asked = now;
        sent = now;
      } else assert(now < sent + interval, where);
    }
  }
});
