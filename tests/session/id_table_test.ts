import { assert, assertEquals } from "@std/assert";
import { Deadlines, type Timed } from "../../src/base/deadlines.ts";
import { IdTable, placeMask } from "../../src/session/id_table.ts";
import { Rng } from "../_support/rng.ts";

Deno.test("IdTable finds what was added, and only that", () => {
  const table = new IdTable<{ id: number }>(16);
  const items = Array.from({ length: 16 }, (_, i) => ({ id: 2 * i + 1 }));
  for (const item of items) table.add(item);
  assertEquals(table.size, 16);
  for (const item of items) assert(table.get(item.id) === item);
  for (const id of [0, 2, 33, 2 ** 31 - 1]) assertEquals(table.get(id), undefined);
  assertEquals(table.values(), items);
});

Deno.test("IdTable keeps ids apart that have the same place", () => {
  const table = new IdTable<{ id: number }>(16);
  const [first, second, third] = [1, 33, 65].map((id) => ({ id }));
  assert(first !== undefined && second !== undefined && third !== undefined);
  for (const item of [first, second, third]) table.add(item);
  assertEquals(
    [1, 33, 65, 97].map((id) => table.get(id)?.id),
    [1, 33, 65, undefined],
  );

  assertEquals(table.delete(first), true);
  assertEquals([1, 33, 65].map((id) => table.get(id)?.id), [undefined, 33, 65]);
  // The place is free, and what is added now must not hide the others.
  const fourth = { id: 97 };
  table.add(fourth);
  assertEquals([33, 65, 97].map((id) => table.get(id)?.id), [33, 65, 97]);
  assertEquals([table.delete(second), table.delete(third), table.delete(fourth)], [
    true,
    true,
    true,
  ]);
  assertEquals([table.size, table.values()], [0, []]);
});

Deno.test("IdTable removes the very item, not another with its id", () => {
  const table = new IdTable<{ id: number }>(16);
  const item = { id: 5 };
  table.add(item);
  assertEquals([table.delete({ id: 5 }), table.delete({ id: 37 }), table.size], [false, false, 1]);
  assertEquals([table.delete(item), table.delete(item), table.size], [true, false, 0]);
});

Deno.test("IdTable takes any number of items and the largest id, whatever its capacity", () => {
  for (const capacity of [0, 1, 1_000, 2 ** 32 - 1]) {
    const table = new IdTable<{ id: number }>(capacity);
    const items = Array.from({ length: 300 }, (_, i) => ({ id: 2 ** 31 - 1 - 2 * i }));
    for (const item of items) table.add(item);
    for (const item of items) assert(table.get(item.id) === item, `${capacity} ${item.id}`);
    for (const item of items) assert(table.delete(item));
    assertEquals(table.size, 0);
  }
});

Deno.test("IdTable agrees with a Map over random programs", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const rng = new Rng(seed);
    const table = new IdTable<{ id: number }>(16);
    const model = new Map<number, { id: number }>();
    for (let step = 0; step < 2_000; step++) {
      const id = 1 + 2 * rng.int(100);
      const item = model.get(id);
      assert(table.get(id) === item, `seed ${seed}`);
      if (item === undefined) {
        const added = { id };
        model.set(id, added);
        table.add(added);
      } else {
        model.delete(id);
        assert(table.delete(item), `seed ${seed}`);
      }
      assertEquals(table.size, model.size, `seed ${seed}`);
    }
    const ids = (items: Iterable<{ id: number }>) => [...items].map(({ id }) => id).sort();
    assertEquals(ids(table.values()), ids(model.values()), `seed ${seed}`);
  }
});

Deno.test("placeMask() has a place for each of so many ids in a row, within bounds", () => {
  assertEquals([0, 1, 16, 17, 1_024, 1_025].map(placeMask), [15, 15, 15, 31, 1_023, 2_047]);
  assertEquals([65_536, 2 ** 32 - 1].map(placeMask), [65_535, 65_535]);
});

// ── Deadlines ──

function timed(deadlineAt: number): Timed {
  return { deadlineAt, place: -1 };
}

Deno.test("Deadlines takes off what is due, and nothing else", () => {
  const deadlines = new Deadlines<Timed>();
  const items = [50, 10, 30, Infinity, 10].map(timed);
  for (const item of items) deadlines.add(item);
  assertEquals([deadlines.size, deadlines.nextAt], [5, 10]);
  assertEquals(deadlines.takeDue(9), []);
  assertEquals(deadlines.takeDue(30).map((item) => item.deadlineAt).sort(), [10, 10, 30]);
  assertEquals([deadlines.size, deadlines.nextAt], [2, 50]);
  assertEquals(items.map(({ place }) => place >= 0), [true, false, false, true, false]);
});

Deno.test("Deadlines removes in any order, and twice does nothing", () => {
  const deadlines = new Deadlines<Timed>();
  const items = [1, 2, 3, 4].map(timed);
  for (const item of items) deadlines.add(item);
  const [first, second] = items;
  assert(first !== undefined && second !== undefined);
  deadlines.delete(first);
  deadlines.delete(first);
  deadlines.delete(timed(7));
  assertEquals(deadlines.size, 3);
  // What took its place is still found.
  for (const item of items.slice(1)) deadlines.delete(item);
  assertEquals([deadlines.size, deadlines.nextAt], [0, Infinity]);
  deadlines.add(second);
  assertEquals([...deadlines], [second]);
});

Deno.test("Deadlines is never late: nextAt is at most the earliest, and exact after a sweep", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const rng = new Rng(seed);
    const deadlines = new Deadlines<Timed>();
    const model = new Set<Timed>();
    const earliest = () => Math.min(Infinity, ...[...model].map((item) => item.deadlineAt));
    for (let step = 0; step < 500; step++) {
      const [any] = model;
      if (any === undefined || rng.int(3) > 0) {
        const item = timed(rng.int(1_000));
        deadlines.add(item);
        model.add(item);
      } else if (rng.int(4) > 0) {
        deadlines.delete(any);
        model.delete(any);
      } else {
        const now = rng.int(200);
        for (const item of deadlines.takeDue(now)) {
          assert(item.deadlineAt <= now && model.delete(item), `seed ${seed}`);
        }
        assertEquals(deadlines.nextAt, earliest(), `seed ${seed}`);
      }
      assert(deadlines.nextAt <= earliest(), `seed ${seed}`);
      assertEquals(deadlines.size, model.size, `seed ${seed}`);
    }
    assertEquals(new Set(deadlines.clear()), model, `seed ${seed}`);
    assertEquals([deadlines.size, deadlines.nextAt], [0, Infinity]);
  }
});
