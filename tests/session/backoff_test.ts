/** How long a client waits: growth, cap, jitter, and what it is asked for. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { VnetError } from "../../src/base/errors.ts";
import { backoffDelay, type Reconnect, resolveReconnect } from "../../src/session/backoff.ts";
import { Rng } from "../_support/rng.ts";

const error = new VnetError("LINK_LOST", "lost");
const longest = () => 0;
const shortest = () => 1 - Number.EPSILON;

function delays(options: Reconnect, random: () => number, attempts = 7): number[] {
  const policy = resolveReconnect(options);
  return Array.from(
    { length: attempts },
    (_, i) => Math.round(backoffDelay(policy, { attempt: i + 1, error }, random)),
  );
}

Deno.test("resolveReconnect() fills in the defaults", () => {
  assertEquals(resolveReconnect(), {
    initialDelay: 1_000,
    maxDelay: 10_000,
    multiplier: 2,
    jitter: 1,
    maxAttempts: Infinity,
    stableAfter: 5_000,
  });
});

Deno.test("resolveReconnect() refuses what makes no sense, by name", () => {
  const wrong: [keyof Reconnect, Reconnect][] = [
    ["initialDelay", { initialDelay: -1 }],
    ["initialDelay", { initialDelay: NaN }],
    ["maxDelay", { maxDelay: 999 }],
    ["maxDelay", { initialDelay: 20_000 }],
    ["multiplier", { multiplier: 0.9 }],
    ["jitter", { jitter: 1.1 }],
    ["jitter", { jitter: -0.1 }],
    ["maxAttempts", { maxAttempts: 0 }],
    ["stableAfter", { stableAfter: -1 }],
    ["delay", { delay: -1 }],
    ["delay", { delay: NaN }],
  ];
  for (const [name, options] of wrong) {
    assertThrows(() => resolveReconnect(options), RangeError, `'${name}'`);
  }
});

Deno.test("backoffDelay() doubles up to its cap, with full jitter", () => {
  assertEquals(delays({}, longest), [1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
  assertEquals(delays({}, shortest), [50, 50, 50, 50, 50, 50, 50]);
  assertEquals(delays({}, () => 0.5), [500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
});

Deno.test("backoffDelay() takes the jitter and the growth that it is given", () => {
  assertEquals(delays({ jitter: 0 }, shortest, 3), [1_000, 2_000, 4_000]);
  assertEquals(delays({ jitter: 0.25 }, shortest, 3), [750, 1_500, 3_000]);
  assertEquals(delays({ multiplier: 1 }, longest, 3), [1_000, 1_000, 1_000]);
  assertEquals(delays({ initialDelay: 0, maxDelay: 0 }, longest, 2), [50, 50]);
});

Deno.test("backoffDelay() stays within its cap however often it failed", () => {
  const policy = resolveReconnect();
  for (const attempt of [0, 1, 100, 2_000, Number.MAX_SAFE_INTEGER]) {
    const delay = backoffDelay(policy, { attempt, error }, longest);
    assert(delay >= 1_000 && delay <= 10_000, `${attempt}: ${delay}`);
  }
});

Deno.test("backoffDelay() spreads a herd over the whole wait", () => {
  const rng = new Rng(1);
  const policy = resolveReconnect();
  const tenths = new Array<number>(10).fill(0);
  for (let i = 0; i < 1_000; i++) {
    const delay = backoffDelay(policy, { attempt: 5, error }, () => rng.next());
    const tenth = Math.min(9, Math.floor(delay / 1_000));
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  assert(tenths.every((count) => count > 50 && count < 200), `${tenths}`);
});

Deno.test("backoffDelay() takes a fixed delay, or what a function says", () => {
  assertEquals(delays({ delay: 5_000 }, shortest, 3), [5_000, 5_000, 5_000]);
  assertEquals(delays({ delay: 0 }, longest, 1), [50]);
  assertEquals(delays({ delay: ({ attempt }) => attempt * 100 }, longest, 3), [100, 200, 300]);
  for (const said of [NaN, Infinity, -Infinity]) {
    assertEquals(delays({ delay: () => said }, longest, 1), [10_000]);
  }
  assertEquals(delays({ delay: () => -5 }, longest, 1), [50]);
  const seen: unknown[] = [];
  delays({ delay: (state) => seen.push(state) }, longest, 1);
  assertEquals(seen, [{ attempt: 1, error }]);
});

Deno.test("backoffDelay() waits once or up to twice what it was asked to", () => {
  const policy = resolveReconnect({ delay: 100 });
  assertEquals(backoffDelay(policy, { attempt: 1, error }, () => 0, 30_000), 30_000);
  assertEquals(backoffDelay(policy, { attempt: 1, error }, () => 0.5, 30_000), 45_000);
  assertEquals(backoffDelay(policy, { attempt: 1, error }, () => 0.5, 0), 100);
});
