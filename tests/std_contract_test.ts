/**
 * What vnet's tests rely on in `@std/*`: true of the adapters in `tests/std` and of the real packages.
 *
 * Run it against the real ones with `deno task test:jsr`. Left out on purpose, since Node's equality
 * differs from std's there: `0` and `-0`, objects without a prototype, two errors of one message.
 */
import {
  assert,
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  equal,
  fail,
  unreachable,
} from "@std/assert";
import { deadline, delay, pooledMap, retry, RetryError } from "@std/async";
import { concat, equals, indexOfNeedle, startsWith } from "@std/bytes";

const bytes = (...values: number[]) => new Uint8Array(values);

/** `yes` must pass. `no` must throw an AssertionError, which is judged here without the adapters. */
function holds(name: string, yes: () => void, no: () => void): void {
  Deno.test(`${name}() passes what holds and rejects what does not`, () => {
    yes();
    let thrown: unknown;
    try {
      no();
    } catch (error) {
      thrown = error;
    }
    if (!(thrown instanceof AssertionError)) throw new Error(`${name} threw ${thrown}`);
    if (thrown.name !== "AssertionError") throw new Error(`The name is ${thrown.name}`);
  });
}

holds("assert", () => assert(1), () => assert(0));
holds("assertFalse", () => assertFalse(0), () => assertFalse(1));
holds("assertStrictEquals", () => assertStrictEquals(NaN, NaN), () => assertStrictEquals([1], [1]));
holds("assertExists", () => assertExists(0), () => assertExists(undefined));
holds("assertExists", () => assertExists(""), () => assertExists(null));
holds("assertGreater", () => assertGreater(2, 1), () => assertGreater(1, 1));
holds("assertGreaterOrEqual", () => assertGreaterOrEqual(1, 1), () => assertGreaterOrEqual(0, 1));
holds("assertLess", () => assertLess(1, 2), () => assertLess(1, 1));
holds("assertLessOrEqual", () => assertLessOrEqual(1, 1), () => assertLessOrEqual(NaN, 1));
holds("assertMatch", () => assertMatch("abc", /b/), () => assertMatch("abc", /^b/));
holds(
  "assertStringIncludes",
  () => assertStringIncludes("abc", "bc"),
  () => assertStringIncludes("abc", "cb"),
);
holds(
  "assertArrayIncludes",
  () => assertArrayIncludes<unknown>([{ a: 1 }, 2, NaN], [{ a: 1 }, NaN]),
  () => assertArrayIncludes([1, 2], [2, 3]),
);
holds(
  "assertInstanceOf",
  () => assertInstanceOf(new RangeError(), Error),
  () => assertInstanceOf(new Error(), RangeError),
);
holds(
  "assertAlmostEquals",
  () => assertAlmostEquals(1.000_000_01, 1),
  () => assertAlmostEquals(1.001, 1),
);
holds(
  "assertAlmostEquals",
  () => assertAlmostEquals(10.4, 10, 0.5),
  () => assertAlmostEquals(10.6, 10, 0.5),
);
holds("fail", () => {}, () => fail());
holds("unreachable", () => {}, () => unreachable());

const EQUAL: [string, unknown, unknown][] = [
  ["primitives", 1, 1],
  ["NaN", NaN, NaN],
  ["nested objects in another order", { a: { b: [1, 2] }, c: 1n }, { c: 1n, a: { b: [1, 2] } }],
  ["views of different buffers", bytes(0, 1, 2).subarray(1), bytes(1, 2)],
  ["maps", new Map([["a", { b: 1 }]]), new Map([["a", { b: 1 }]])],
  ["sets", new Set([1, 2]), new Set([2, 1])],
  ["dates", new Date(1), new Date(1)],
];
const DIFFERENT: [string, unknown, unknown][] = [
  ["a number and its text", 1, "1"],
  ["null and undefined", null, undefined],
  ["arrays of different lengths", [1], [1, 2]],
  ["bytes and an array", bytes(1), [1]],
  ["bytes", bytes(1, 2), bytes(1, 3)],
  ["a missing property", { a: 1 }, { a: 1, b: 1 }],
  ["maps", new Map([["a", 1]]), new Map([["a", 2]])],
  ["classes", new (class A {})(), new (class B {})()],
];

Deno.test("assertEquals() and assertNotEquals() agree with equal()", () => {
  for (const [name, a, b] of EQUAL) {
    if (!equal(a, b)) throw new Error(`Not equal: ${name}`);
    assertEquals(a, b);
    assertThrows(() => assertNotEquals(a, b), AssertionError);
  }
  for (const [name, a, b] of DIFFERENT) {
    if (equal(a, b)) throw new Error(`Equal: ${name}`);
    assertNotEquals(a, b);
    assertThrows(() => assertEquals(a, b), AssertionError);
  }
});

Deno.test("assertEquals() puts the given text into its message", () => {
  assertThrows(() => assertEquals(1, 2, "seed 42"), AssertionError, "seed 42");
  assertThrows(() => assert(false, "seed 42"), AssertionError, "seed 42");
  assertThrows(() => assertLess(2, 1, "seed 42"), AssertionError, "seed 42");
});

Deno.test("assertObjectMatch() compares what is expected, at every depth", () => {
  const actual = { a: 1, b: { c: [{ d: 1, e: 2 }, 3], f: 4 }, g: bytes(1), h: null };
  assertObjectMatch(actual, { b: { c: [{ d: 1 }] } });
  assertObjectMatch(actual, { g: bytes(1), h: null });
  const different: Record<string, unknown>[] = [
    { a: 2 },
    { b: { c: [{ d: 2 }] } },
    { b: { c: { 0: 1 } } },
    { g: bytes(2) },
    { h: {} },
    { z: undefined },
  ];
  for (const expected of different) {
    assertThrows(() => assertObjectMatch(actual, expected), AssertionError);
  }
});

Deno.test("assertThrows() returns the error, typed by its class", () => {
  const thrown = new RangeError("Too far");
  const error: RangeError = assertThrows(
    () => {
      throw thrown;
    },
    RangeError,
    "far",
  );
  assertStrictEquals(error, thrown);
  const value: unknown = assertThrows(() => {
    throw "text";
  });
  assertStrictEquals(value, "text");
});

Deno.test("assertThrows() fails on no error, another class or another message", () => {
  const throwing = () => {
    throw new Error("Too far");
  };
  assertThrows(() => assertThrows(() => {}), AssertionError);
  assertThrows(() => assertThrows(() => {}, Error), AssertionError);
  assertThrows(() => assertThrows(throwing, RangeError), AssertionError);
  assertThrows(() => assertThrows(throwing, Error, "near"), AssertionError);
});

Deno.test("assertRejects() returns the error, typed by its class", async () => {
  const reason = new TypeError("Bad shape");
  const error: TypeError = await assertRejects(() => Promise.reject(reason), TypeError, "shape");
  assertStrictEquals(error, reason);
  assertStrictEquals(await assertRejects(() => Promise.reject("text")), "text");
});

Deno.test("assertRejects() fails on a result, a throw, another class or another message", async () => {
  const rejecting = () => Promise.reject(new Error("Too far"));
  const failing: (() => Promise<unknown>)[] = [
    () => assertRejects(() => Promise.resolve()),
    () =>
      assertRejects(() => {
        throw new Error("Too far");
      }, Error),
    () => assertRejects(rejecting, RangeError),
    () => assertRejects(rejecting, Error, "near"),
  ];
  for (const run of failing) await assertRejects(run, AssertionError);
});

Deno.test("delay() resolves later, and rejects with the reason of its signal", async () => {
  const order: string[] = [];
  await Promise.all([delay(2).then(() => order.push("late")), order.push("now")]);
  assertEquals(order, ["now", "late"]);

  const reason = new Error("Stop");
  const controller = new AbortController();
  const waiting = delay(60_000, { signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
  assertStrictEquals(
    await assertRejects(() => delay(60_000, { signal: controller.signal, persistent: false })),
    reason,
  );
});

Deno.test("deadline() settles as its promise does", async () => {
  assertStrictEquals(await deadline(Promise.resolve("value"), 10_000), "value");
  const reason = new Error("Broken");
  const error = await assertRejects(() => deadline(Promise.reject(reason), 10_000));
  assertStrictEquals(error, reason);
});

Deno.test("deadline() rejects with a TimeoutError, or with the reason of its signal", async () => {
  const never = new Promise<never>(() => {});
  const late = await assertRejects(() => deadline(never, 1), DOMException);
  assertStrictEquals(late.name, "TimeoutError");

  const reason = new Error("Stop");
  const signal = AbortSignal.abort(reason);
  assertStrictEquals(await assertRejects(() => deadline(never, 10_000, { signal })), reason);
});

Deno.test("retry() calls until it succeeds", async () => {
  let calls = 0;
  const result = await retry(() => {
    if (++calls < 3) throw new Error("Not yet");
    return calls;
  }, { minTimeout: 0 });
  assertStrictEquals(result, 3);
});

Deno.test("retry() gives up with the last error as the cause", async () => {
  let calls = 0;
  const error = await assertRejects(
    () => retry(() => Promise.reject(++calls), { maxAttempts: 2, minTimeout: 0 }),
    RetryError,
  );
  assertStrictEquals(calls, 2);
  assertStrictEquals(error.cause, 2);
});

Deno.test("retry() throws at once what is not worth another attempt", async () => {
  const reason = new Error("Fatal");
  let calls = 0;
  const error = await assertRejects(() =>
    retry(() => {
      calls++;
      throw reason;
    }, { isRetriable: () => false })
  );
  assertStrictEquals(error, reason);
  assertStrictEquals(calls, 1);
});

Deno.test("pooledMap() keeps the order and the limit", async () => {
  let running = 0;
  let most = 0;
  const results = await Array.fromAsync(pooledMap(2, [5, 1, 1, 1], async (ms) => {
    most = Math.max(most, ++running);
    await delay(ms);
    running--;
    return ms;
  }));
  assertEquals(results, [5, 1, 1, 1]);
  assertStrictEquals(most, 2);
});

Deno.test("pooledMap() starts nothing new after a failure", async () => {
  const started: number[] = [];
  const reason = new Error("Broken");
  const error = await assertRejects(() =>
    Array.fromAsync(pooledMap(1, [1, 2, 3], (item) => {
      started.push(item);
      return item === 2 ? Promise.reject(reason) : Promise.resolve(item);
    })), AggregateError);
  assertEquals(started, [1, 2]);
  assertEquals(error.errors, [reason]);
});

Deno.test("concat() joins into bytes of its own", () => {
  const part = bytes(1, 2);
  const joined: Uint8Array<ArrayBuffer> = concat([part, bytes(), bytes(3)]);
  part[0] = 9;
  assertEquals(joined, bytes(1, 2, 3));
  assertStrictEquals(joined.buffer.byteLength, 3);
  assertEquals(concat([]), bytes());
});

Deno.test("equals() compares the bytes of views", () => {
  assert(equals(bytes(0, 1, 2).subarray(1), bytes(1, 2)));
  assertFalse(equals(bytes(1, 2), bytes(1, 3)));
  assertFalse(equals(bytes(1, 2), bytes(1)));
});

Deno.test("indexOfNeedle() finds from the start that is given", () => {
  const source = bytes(9, 1, 2, 1, 2).subarray(1);
  assertStrictEquals(indexOfNeedle(source, bytes(1, 2)), 0);
  assertStrictEquals(indexOfNeedle(source, bytes(1, 2), 1), 2);
  assertStrictEquals(indexOfNeedle(source, bytes(1, 2), -2), 2);
  assertStrictEquals(indexOfNeedle(source, bytes(2, 2)), -1);
  assertStrictEquals(indexOfNeedle(source, bytes(1, 2), 4), -1);
  assertStrictEquals(indexOfNeedle(source, bytes()), -1);
});

Deno.test("startsWith() compares the first bytes", () => {
  assert(startsWith(bytes(1, 2, 3), bytes(1, 2)));
  assert(startsWith(bytes(1), bytes(1)));
  assertFalse(startsWith(bytes(1), bytes(1, 2)));
  assertFalse(startsWith(bytes(2, 1), bytes(1)));
});
