/** Credit, and the numbers of tracked frames. */
import { assert, assertEquals } from "@std/assert";
import { frameCost, ReceiveCredit, SendCredit } from "../../src/session/credit.ts";
import { ReceiveCount, seqOf } from "../../src/session/numbering.ts";
import { Rng } from "../_support/rng.ts";

const CYCLE = 2 ** 32 - 1;

Deno.test("frameCost() charges the length field and a share for keeping the frame", () => {
  assertEquals([frameCost(12), frameCost(1_000)], [76, 1_064]);
});

Deno.test("SendCredit takes only grants that rise", () => {
  const credit = new SendCredit(1_000);
  credit.spend(900);
  assertEquals(credit.available, 100);
  assertEquals([credit.grant(500), credit.grant(1_000), credit.grant(0)], [false, false, false]);
  assertEquals(credit.available, 100);
  assertEquals(credit.grant(1_500), true);
  assertEquals(credit.available, 600);
});

Deno.test("ReceiveCredit refuses what exceeds the grant, to the byte", () => {
  const credit = new ReceiveCredit(1_000);
  assertEquals([credit.receive(600), credit.receive(400), credit.receive(1)], [true, true, false]);
});

Deno.test("ReceiveCredit grants again what the application has consumed", () => {
  const credit = new ReceiveCredit(1_000);
  credit.receive(600);
  credit.hold(600);
  assertEquals([credit.due, credit.advertise()], [false, 1_000]);
  credit.release(249);
  assertEquals(credit.due, false);
  credit.release(1);
  assertEquals([credit.due, credit.advertise()], [true, 1_250]);
  assertEquals(credit.due, false);
});

Deno.test("ReceiveCredit grants what is not a whole message yet, so that it may be finished", () => {
  const credit = new ReceiveCredit(1_000);
  for (let i = 1; i <= 20; i++) {
    assert(credit.receive(250));
    assertEquals([credit.due, credit.advertise()], [true, 1_000 + 250 * i]);
  }
  credit.hold(5_000);
  // Held now: the grant stays where it was, and does not fall.
  assertEquals([credit.due, credit.advertise()], [false, 6_000]);
  credit.release(5_000);
  assertEquals(credit.advertise(), 6_000);
});

Deno.test("ReceiveCredit and SendCredit agree in 200 random runs, and never deadlock", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const rng = new Rng(seed);
    const window = 1_000 + rng.int(4_000);
    const send = new SendCredit(window);
    const receive = new ReceiveCredit(window);
    const held: number[] = [];
    let told = window;
    for (let step = 0; step < 300; step++) {
      const cost = 1 + rng.int(window / 4);
      if (cost <= send.available) {
        send.spend(cost);
        assert(receive.receive(cost), `seed ${seed}: an honest sender was refused`);
        receive.hold(cost);
        held.push(cost);
      }
      while (held.length > 0 && rng.int(2) === 0) receive.release(held.shift() ?? 0);
      if (receive.due) {
        const grant = receive.advertise();
        assert(grant >= told, `seed ${seed}: a grant fell`);
        send.grant(told = grant);
      }
      assert(receive.held <= window, `seed ${seed}: more is held than the window`);
    }
    for (const cost of held) receive.release(cost);
    if (receive.due) send.grant(receive.advertise());
    assert(send.available >= window / 2, `seed ${seed}: ${send.available} of ${window}`);
  }
});

Deno.test("seqOf() leaves out 0 when it wraps", () => {
  assertEquals([1, 2, CYCLE - 1, CYCLE, CYCLE + 1, 2 * CYCLE, 2 * CYCLE + 1].map(seqOf), [
    1,
    2,
    CYCLE - 1,
    CYCLE,
    1,
    CYCLE,
    1,
  ]);
});

Deno.test("ReceiveCount takes the next number only", () => {
  const count = new ReceiveCount();
  assertEquals([count.judge(2), count.judge(CYCLE), count.count], ["gap", "gap", 0]);
  assertEquals([count.judge(1), count.judge(1), count.judge(3)], ["next", "repeat", "gap"]);
  assertEquals([count.judge(2), count.judge(1), count.count], ["next", "repeat", 2]);
});

Deno.test("ReceiveCount goes on over 2^32-1 as if nothing were there", () => {
  const count = new ReceiveCount(CYCLE - 3);
  const seqs = [CYCLE - 2, CYCLE - 1, CYCLE, 1, 2, 3];
  for (const seq of seqs) {
    assertEquals(count.judge(seq), "next", `${seq}`);
    assertEquals(count.judge(seq), "repeat", `${seq}`);
  }
  assertEquals(count.count, CYCLE + 3);
  assertEquals([count.judge(CYCLE), count.judge(CYCLE - 10), count.judge(5)], [
    "repeat",
    "repeat",
    "gap",
  ]);
});

Deno.test("ReceiveCount tells a repeat from a gap half a cycle away", () => {
  for (const at of [2 ** 31, CYCLE, CYCLE + 10, 2 * CYCLE]) {
    const count = new ReceiveCount(at);
    const behind = (n: number) => seqOf(at - n + 2 * CYCLE);
    assertEquals(count.judge(behind(0)), "repeat");
    assertEquals(count.judge(behind(2 ** 31 - 1)), "repeat");
    assertEquals(count.judge(behind(2 ** 31)), "gap");
    assertEquals(count.judge(seqOf(at + 2)), "gap");
    assertEquals(count.count, at);
  }
});
