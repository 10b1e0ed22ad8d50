/**
 * The outbox: what waits, what makes way, what comes back after a link broke, and its account of bytes,
 * against a model that is as simple as can be.
 */
import { assert, assertEquals } from "@std/assert";
import { ByteBudget, Outbox } from "../../src/session/outbox.ts";
import type { Receipt } from "../../src/session/receipts.ts";
import { Rng } from "../_support/rng.ts";

const OVERHEAD = 64;
const OPERATIONS = 10_000;

/** The topics of what waits, in order; the outbox is empty afterwards. */
function drain(outbox: Outbox): string[] {
  const topics: string[] = [];
  for (let next = outbox.peek(); next !== undefined; next = outbox.peek()) {
    topics.push(next.topic);
    outbox.shift();
  }
  return topics;
}

function bytes(length: number): Uint8Array {
  return new Uint8Array(length);
}

/** A receipt that writes down what it is told. */
function receipt(log: string[], name: string): Receipt {
  return {
    over: false,
    accepted: () => log.push(`${name} accepted`),
    failed: (why) => log.push(`${name} ${why}`),
  };
}

Deno.test("Outbox.replace() keeps the place of the old, and the order of the others", () => {
  const outbox = new Outbox(10_000);
  for (const name of ["a", "k1", "b", "c"]) {
    outbox.push(name, bytes(100), 0, name === "k1" ? { key: "k" } : undefined);
  }
  assertEquals(outbox.replace("k", "k2", bytes(30)), 100);
  assertEquals(outbox.replace("k", "k3", bytes(200)), 30);
  assertEquals(outbox.replace("other", "x", bytes(1)), undefined);
  assertEquals([outbox.bytes, outbox.frames], [4 * OVERHEAD + 500, 4]);
  assertEquals(drain(outbox), ["a", "k3", "b", "c"]);
  assertEquals(outbox.replace("k", "late", bytes(1)), undefined);
});

Deno.test("Outbox.replace() needs room only for the difference, and none for the only message", () => {
  const outbox = new Outbox(1_000);
  outbox.push("k", bytes(400), 0, { key: "k" });
  assertEquals(outbox.replace("k", "alone", bytes(5_000)), 400);
  assertEquals(outbox.replace("k", "small", bytes(400)), 5_000);
  outbox.push("b", bytes(400));
  assertEquals(outbox.replace("k", "just", bytes(472)), 400);
  assertEquals([outbox.bytes, outbox.limit(0)], [1_000, "maxQueuedBytes"]);
  assertEquals(outbox.replace("k", "too much", bytes(473)), undefined);
  assertEquals(drain(outbox), ["just", "b"]);
});

Deno.test("Outbox.dropOldest() drops only what may be dropped, oldest first", () => {
  const outbox = new Outbox(10_000);
  for (const [at, name] of ["stays", "a", "stays too", "b"].entries()) {
    outbox.push(name, bytes(10 + at), 0, { droppable: !name.startsWith("stays") });
  }
  assertEquals([outbox.dropOldest(), outbox.dropOldest(), outbox.dropOldest()], [
    11,
    13,
    undefined,
  ]);
  assertEquals([outbox.frames, outbox.bytes], [2, 2 * OVERHEAD + 22]);
  assertEquals(drain(outbox), ["stays", "stays too"]);
});

Deno.test("Outbox.dropOldest() never drops one of which a part was written, nor after a rewind", () => {
  const outbox = new Outbox(100_000);
  outbox.push("half", bytes(10_000), 0, { droppable: true });
  outbox.push("next", bytes(10), 0, { droppable: true });
  outbox.begin(4_096);
  outbox.rewind();
  assertEquals([outbox.dropOldest(), outbox.dropOldest()], [10, undefined]);
  assertEquals([outbox.peek()?.payload.length, outbox.frames], [10_000, 1]);
  outbox.begin(4_096);
  assertEquals(outbox.peek()?.offset, 4_096);
  outbox.shift();
  assertEquals([outbox.bytes, outbox.frames, outbox.peek()], [0, 0, undefined]);
});

Deno.test("Outbox.dropOldest() leaves a message alone in whose place one was put that stays, or the other way round", () => {
  for (const [first, second] of [[true, false], [false, true]] as const) {
    const outbox = new Outbox(10_000);
    outbox.push("old", bytes(10), 0, { key: "k", droppable: first });
    outbox.replace("k", "new", bytes(20), { droppable: second });
    assertEquals([outbox.dropOldest(), drain(outbox)], [undefined, ["new"]]);
  }
  const outbox = new Outbox(10_000);
  outbox.push("old", bytes(10), 0, { key: "k", droppable: true });
  outbox.replace("k", "new", bytes(20), { droppable: true });
  assertEquals([outbox.dropOldest(), outbox.bytes], [20, 0]);
});

Deno.test("Outbox.limit() tells whether it would help to drop", () => {
  const outbox = new Outbox(1_000);
  outbox.push("stays", bytes(136));
  outbox.push("drops", bytes(536), 0, { droppable: true });
  assertEquals([outbox.limit(136), outbox.limit(137)], [undefined, "maxQueuedBytes"]);
  const dropping = (length: number, key?: string) => outbox.limit(length, key, true);
  assertEquals([dropping(736), dropping(737)], [undefined, "maxQueuedBytes"]);
  // What may be dropped and has the key counts once.
  outbox.dropOldest();
  outbox.push("price", bytes(536), 0, { key: "k", droppable: true });
  assertEquals([dropping(736, "k"), dropping(737, "k")], [undefined, "maxQueuedBytes"]);
  outbox.shift();
  assertEquals([outbox.limit(5_000), dropping(5_000)], ["maxQueuedBytes", undefined]);
  assertEquals(outbox.limit(5_000, "k"), undefined);
});

Deno.test("Outbox puts the next with a key behind one of which a part was written", () => {
  const outbox = new Outbox(100_000);
  outbox.push("old", bytes(10_000), 0, { key: "k" });
  outbox.push("b", bytes(10));
  outbox.begin(5_000);
  assertEquals(outbox.replace("k", "new", bytes(10)), undefined);
  outbox.push("new", bytes(10), 0, { key: "k" });
  outbox.rewind();
  assertEquals(outbox.replace("k", "newer", bytes(10)), 10);
  assertEquals(drain(outbox), ["old", "b", "newer"]);
});

Deno.test("Outbox tells each receipt one outcome", () => {
  const log: string[] = [];
  const outbox = new Outbox(100_000);
  const push = (name: string, key?: string, droppable = false) =>
    outbox.push(name, bytes(10), 0, { key, droppable, receipt: receipt(log, name) });
  push("written");
  push("replaced", "k");
  push("dropped", undefined, true);
  push("unsent");
  outbox.shift();
  outbox.replace("k", "newer", bytes(5), { receipt: receipt(log, "newer") });
  outbox.dropOldest();
  assertEquals(log, ["replaced dropped", "dropped dropped"]);
  assertEquals(outbox.clear(), { bytes: 2 * OVERHEAD + 15, frames: 2 });
  assertEquals(log.slice(2), ["newer unsent", "unsent unsent"]);
});

Deno.test("Outbox keeps no more gaps than messages and 64, whatever is dropped and sent", () => {
  const outbox = new Outbox(1 << 30);
  outbox.push("stuck", bytes(10));
  for (let n = 0; n < 10_000; n++) {
    outbox.push("", bytes(10), 0, { droppable: true });
    outbox.dropOldest();
    assert(outbox.places <= 2 * outbox.frames + 64, `${outbox.places} places after ${n}`);
  }
  // Gaps behind messages that are sent then: there were as many messages as gaps.
  for (let n = 0; n < 1_000; n++) outbox.push("first", bytes(10));
  for (let n = 0; n < 1_000; n++) outbox.push("gap", bytes(10), 0, { droppable: true });
  for (let n = 0; n < 1_000; n++) outbox.dropOldest();
  for (; outbox.frames > 0; outbox.shift()) {
    assert(outbox.places <= 2 * outbox.frames + 64, `${outbox.places} for ${outbox.frames}`);
  }
  assertEquals([outbox.peek(), outbox.places, outbox.bytes], [undefined, 0, 0]);
});

Deno.test("Outbox gives plain messages as bodies, in their order among others, and whole after a rewind", () => {
  const outbox = new Outbox(1 << 20);
  const bodies = [1, 2, 3, 4].map((length) => bytes(length));
  for (const [order, body] of bodies.entries()) {
    // The third has a topic.
    outbox.push(order === 2 ? "t" : "", body, order * 10);
  }
  assertEquals([outbox.frames, outbox.order, outbox.plainAt(0, Infinity)], [4, 0, bodies[0]]);
  assertEquals([1, 2, 9].map((index) => outbox.plainAt(index, Infinity)), [
    bodies[1],
    undefined,
    undefined,
  ]);
  assertEquals([outbox.plainAt(1, 11), outbox.plainAt(1, 10)], [bodies[1], undefined]);
  outbox.shiftPlains(1, 1);
  outbox.begin(1);
  assertEquals([outbox.order, outbox.plainAt(0, Infinity), outbox.peek()?.offset], [
    10,
    undefined,
    1,
  ]);
  outbox.rewind();
  assertEquals([outbox.peek()?.payload, outbox.peek()?.offset], [bodies[1], 0]);
  outbox.shift();
  assertEquals([outbox.order, outbox.plainAt(0, Infinity), outbox.peek()?.topic], [
    20,
    undefined,
    "t",
  ]);
  outbox.shift();
  assertEquals([outbox.order, outbox.plainAt(0, Infinity), outbox.bytes], [
    30,
    bodies[3],
    OVERHEAD + 4,
  ]);
  outbox.shiftPlains(1, 4);
  assertEquals([outbox.order, outbox.plainAt(0, Infinity), outbox.bytes], [Infinity, undefined, 0]);
});

/** A message of the model. */
interface Held {
  name: string;
  size: number;
  readonly key: string | undefined;
  droppable: boolean;
  begun: boolean;
}

/** The same as an outbox, with a plain list. */
class Model {
  held: Held[] = [];

  get bytes(): number {
    return this.held.reduce((sum, { size }) => sum + size + OVERHEAD, 0);
  }

  /** The one that waits with a key. */
  keyed(key: string | undefined): Held | undefined {
    return key === undefined ? undefined : this.held.find((it) => it.key === key && !it.begun);
  }

  dropOldest(): number | undefined {
    const at = this.held.findIndex(({ droppable, begun }) => droppable && !begun);
    return at < 0 ? undefined : this.held.splice(at, 1)[0]?.size;
  }
}

/** Whether so many bytes fit into one that holds `others`, and `all` bytes together with others. */
function fits(size: number, others: number, max: number, all: number, budget: number): boolean {
  return (others === 0 || others + size <= max) && all + size <= budget;
}

Deno.test("Outbox is what a plain list is, after each of 10,000 random operations", () => {
  for (const seed of [1, 2, 3]) {
    const rng = new Rng(seed);
    const budget = new ByteBudget(12_000);
    const max = 5_000;
    const both = Array.from({ length: 3 }, () => ({
      outbox: new Outbox(max, budget),
      model: new Model(),
    }));
    for (let n = 0; n < OPERATIONS; n++) {
      const note = `operation ${n} of seed ${seed}`;
      const { outbox, model } = rng.pick(both);
      const [length, key] = [rng.int(900), rng.int(3) === 0 ? `k${rng.int(4)}` : undefined];
      const droppable = rng.int(2) === 0;
      const all = both.reduce((sum, it) => sum + it.model.bytes, 0);
      const [next] = model.held;
      switch (rng.int(8)) {
        case 0:
        case 1:
        case 2: {
          // As a queue of a peer uses it: in the place of the one with its key, else behind all others.
          const old = model.keyed(key);
          const freed = old === undefined ? 0 : old.size + OVERHEAD;
          const others = model.bytes - freed;
          const size = length + OVERHEAD;
          const room = size <= freed || fits(size, others, max, all - freed, budget.max);
          if (key !== undefined && old !== undefined) {
            const replaced = outbox.replace(key, `${n}`, bytes(length), { droppable });
            assertEquals(replaced, room ? old.size : undefined, note);
            if (!room) break;
            [old.name, old.size, old.droppable] = [`${n}`, length, old.droppable && droppable];
          } else if (key === undefined && !droppable) {
            // A plain one has no name.
            assertEquals(outbox.push("", bytes(length), n), room, note);
            if (room) model.held.push({ name: "", size: length, key, droppable, begun: false });
          } else {
            assertEquals(outbox.push(`${n}`, bytes(length), n, { key, droppable }), room, note);
            if (room) model.held.push({ name: `${n}`, size: length, key, droppable, begun: false });
          }
          break;
        }
        case 3:
          assertEquals(outbox.dropOldest(), model.dropOldest(), note);
          break;
        case 4:
          if (next === undefined || next.size < 100) break;
          outbox.begin(100);
          next.begun = true;
          break;
        case 5:
        case 6:
          model.held.splice(0, shiftSome(outbox));
          break;
        case 7:
          if (rng.int(10) > 0) outbox.rewind();
          else if (rng.int(10) === 0) {
            const [frames, held] = [model.held.length, model.bytes];
            assertEquals(outbox.clear(), { bytes: held, frames }, note);
            model.held = [];
          }
      }
      const { length: frames } = model.held;
      const [first] = model.held;
      const plain = outbox.plainAt(0, Infinity);
      if (plain !== undefined) assertEquals([plain.length, ""], [first?.size, first?.name], note);
      // Now and then it is looked at as a message, which makes a record of it.
      const topic = plain === undefined || rng.int(4) === 0 ? outbox.peek()?.topic : "";
      assertEquals([outbox.bytes, outbox.frames, topic], [model.bytes, frames, first?.name], note);
      assertEquals(budget.used, both.reduce((sum, it) => sum + it.model.bytes, 0), note);
      assert(outbox.places <= 2 * frames + 64, note);
    }
    const held = both.map(({ model }) => model.held.map(({ name }) => name));
    assertEquals(both.map(({ outbox }) => drain(outbox)), held, `seed ${seed}`);
    assertEquals(budget.used, 0, `seed ${seed}`);
  }
});

/** Takes the first message off, or up to three plain ones; gives how many. */
function shiftSome(outbox: Outbox): number {
  const bodies: Uint8Array[] = [];
  for (let body = outbox.plainAt(0, Infinity); body !== undefined;) {
    bodies.push(body);
    body = bodies.length < 3 ? outbox.plainAt(bodies.length, Infinity) : undefined;
  }
  if (bodies.length === 0) outbox.shift();
  else outbox.shiftPlains(bodies.length, bodies.reduce((sum, { length }) => sum + length, 0));
  return Math.max(1, bodies.length);
}
