/** What may be sent to addresses that may be forged, by the arithmetic alone. */
import { assertEquals } from "@std/assert";
import { ReplyBudget } from "../../src/udp/reply_limit.ts";

Deno.test("ReplyBudget allows a multiple of what came", () => {
  const budget = new ReplyBudget({});
  assertEquals(budget.room("a", 0), 0);
  budget.received("a", 0, 0);
  assertEquals(budget.room("a", 0), 0);
  budget.received("a", 10, 0);
  assertEquals(budget.room("a", 0), 30);
  budget.spend("a", 25);
  assertEquals([budget.room("a", 0), budget.room("b", 0)], [5, 0]);
  budget.received("a", 1, 0);
  assertEquals(budget.room("a", 0), 8);
});

Deno.test("ReplyBudget takes a factor that is no integer, and one of 0", () => {
  const budget = new ReplyBudget({ factor: 1.5 });
  budget.received("a", 3, 0);
  assertEquals(budget.room("a", 0), 4);
  const none = new ReplyBudget({ factor: 0 });
  none.received("a", 100, 0);
  assertEquals(none.room("a", 0), 0);
  none.validate("a", 0);
  assertEquals(none.room("a", 0), Infinity);
});

Deno.test("ReplyBudget forgets who was silent, and validated ones too", () => {
  const budget = new ReplyBudget({ ttl: 100 });
  budget.received("a", 10, 0);
  budget.spend("a", 30);
  budget.validate("b", 0);
  assertEquals([budget.room("a", 99), budget.room("b", 99)], [0, Infinity]);
  assertEquals([budget.room("a", 100), budget.room("b", 100)], [0, 0]);
  budget.received("a", 1, 150); // begins anew
  assertEquals(budget.room("a", 150), 3);
  budget.validate("b", 150);
  budget.received("b", 1, 240);
  assertEquals(budget.room("b", 300), Infinity);
});

Deno.test("ReplyBudget remembers so many; a flood of forged ones pushes out no validated one", () => {
  const budget = new ReplyBudget({ maxAddresses: 3 });
  budget.received("good", 1, 0);
  budget.validate("good", 0);
  for (const key of ["a", "b", "c"]) budget.received(key, 1, 0);
  budget.received("a", 1, 0); // heard again: "b" is the oldest now
  for (let n = 0; n < 2; n++) budget.received(`forged ${n}`, 1, 0);
  assertEquals(["a", "b", "c"].map((key) => budget.room(key, 0)), [6, 0, 0]);
  for (let n = 0; n < 1_000; n++) budget.received(`forged ${n}`, 1, 0);
  assertEquals([budget.room("good", 0), budget.room("a", 0)], [Infinity, 0]);
  for (let n = 0; n < 3; n++) budget.validate(`other ${n}`, 0);
  assertEquals(budget.room("good", 0), 0);
});
