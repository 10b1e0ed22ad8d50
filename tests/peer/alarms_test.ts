/** Wake-ups of many by one timer. */
import { assertEquals } from "@std/assert";
import { ManualClock } from "@vgo/vnet/testing";
import { Alarm, Alarms } from "../../src/peer/alarms.ts";
import { Rng } from "../_support/rng.ts";

class Bell extends Alarm {
  readonly #rang: () => void;

  constructor(rang: () => void) {
    super();
    this.#rang = rang;
  }

  ring(): void {
    this.#rang();
  }
}

Deno.test("Alarms rings each alarm once, at its instant, by one timer at a time", async () => {
  for (const seed of [1, 2, 3]) {
    const rng = new Rng(seed);
    const clock = new ManualClock();
    const alarms = new Alarms(clock);
    const rung: string[] = [];
    const bells = Array.from(
      { length: 20 },
      (_, index): Bell => new Bell(() => rung.push(`${index} at ${clock.now()}`)),
    );
    const expected = new Map<number, number>();
    for (let step = 0; step < 2_000; step++) {
      const index = rng.int(bells.length);
      const bell = bells[index];
      if (bell === undefined) continue;
      const at = rng.int(5) === 0 ? Infinity : clock.now() + 1 + rng.int(50);
      alarms.set(bell, at);
      if (at === Infinity) expected.delete(index);
      else expected.set(index, at);
      assertEquals(clock.pending, expected.size === 0 ? 0 : 1);
      if (rng.int(8) > 0) continue;
      await clock.advance(rng.int(20));
      const due = [...expected].filter(([, at]) => at <= clock.now());
      assertEquals(rung.splice(0).sort(), due.map(([index, at]) => `${index} at ${at}`).sort());
      for (const [index] of due) expected.delete(index);
    }
    for (const bell of bells) alarms.set(bell, Infinity);
    assertEquals(clock.pending, 0);
  }
});

Deno.test("Alarms lets an alarm that rings set itself and others anew", async () => {
  const clock = new ManualClock();
  const alarms = new Alarms(clock);
  const rung: string[] = [];
  const other = new Bell(() => rung.push(`other at ${clock.now()}`));
  const bell: Bell = new Bell(() => {
    rung.push(`bell at ${clock.now()}`);
    if (rung.length < 4) alarms.set(bell, clock.now() + 10);
    alarms.set(other, clock.now() + 15);
  });
  alarms.set(bell, 10);
  await clock.advance(100);
  assertEquals(rung, ["bell at 10", "bell at 20", "bell at 30", "bell at 40", "other at 55"]);
});
