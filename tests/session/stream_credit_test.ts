/** What a stream leaves of its window for the small frames that go along. */
import { assert, assertEquals } from "@std/assert";
import { ReceiveCredit, StreamCredit } from "../../src/session/credit.ts";
import { FrameType } from "../../src/wire/constants.ts";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { ReceiveFlow } from "../../src/session/flows.ts";
import { CallPair, feed, TestCall, type Written } from "./_calls.ts";
import { Rng } from "../_support/rng.ts";

const WINDOW = 262_144;
const THIRD = WINDOW / 3;

Deno.test("StreamCredit gives a third of the window beside small frames, else all of it", () => {
  const credit = new StreamCredit(WINDOW);
  assertEquals([credit.room(false), Math.round(credit.room(true))], [WINDOW, Math.round(THIRD)]);
  credit.spend(80_000);
  assertEquals(Math.round(credit.room(true)), Math.round(THIRD - 80_000));
  credit.grantAt(WINDOW + 80_000, 0);
  assertEquals(Math.round(credit.room(true)), Math.round(THIRD));
});

Deno.test("StreamCredit takes the whole window where grants are slow, as long as they are", () => {
  const credit = new StreamCredit(WINDOW);
  let limit = WINDOW;
  const grant = (waited: number) => {
    credit.wait(1_000);
    credit.wait(1_000 + waited - 0.1);
    credit.grantAt(limit += 1, 1_000 + waited);
  };
  for (let i = 0; i < 3; i++) grant(50);
  grant(0.2);
  for (let i = 0; i < 3; i++) grant(50);
  assertEquals(credit.room(true) < credit.room(false), true);
  grant(50);
  assertEquals(credit.room(true), credit.room(false));
  // A grant that nobody waited for says nothing.
  credit.grantAt(limit += 1, 2_000);
  assertEquals(credit.room(true), credit.room(false));
  grant(0.2);
  assertEquals(credit.room(true) < credit.room(false), true);
});

Deno.test("StreamCredit goes on with every window that is allowed, as PROTOCOL.md makes grants", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const rng = new Rng(seed);
    const window = 16_384 + rng.int(seed % 2 === 0 ? 500_000 : 50_000);
    const send = new StreamCredit(window);
    const receive = new ReceiveCredit(window);
    let left = 2_000_000;
    let item = 0;
    for (let turn = 0; left > 0; turn++) {
      assert(turn < 10_000, `seed ${seed}: it stands still with a window of ${window}`);
      // Pieces as a stream cuts them: of 4 KiB at least, but for the last of an item.
      while (left > 0) {
        if (item === 0) item = 1 + rng.int(rng.pick([2_000, 100_000]));
        const size = Math.min(item, 32_768, Math.floor(send.room(true)) - 64);
        if (size < item && size < 4_096) break;
        send.spend(size + 64);
        assert(receive.receive(size + 64), `seed ${seed}: more than was granted`);
        item -= size;
        left -= size;
      }
      if (receive.due) send.grantAt(receive.advertise(), turn * 0.01);
    }
  }
});

Deno.test("a stream leaves two thirds of its window for a second after small calls", () => {
  const pair = new CallPair();
  const call = new StreamedCall();
  pair.client.lane.push(call);
  pair.settle();
  const flow = pair.server.machine.callee.stream(pair.server.next());
  assert(flow !== undefined);
  let now = 0;
  /** How much of the window the server uses, to a tenth. */
  const used = () => {
    const sent = turn(pair, now).filter(({ type }) => type === FrameType.CHUNK);
    return Math.round(sent.reduce((sum, { size }) => sum + size, 0) / WINDOW * 10) / 10;
  };
  /** What has come is consumed and granted again. */
  const consume = () => {
    call.consume(pair);
    feed(pair.server, pair.client.output(now), now);
  };
  for (let i = 0; i < 200; i++) flow.push(new Uint8Array(10_000));
  pair.server.machine.pushed(flow);
  assertEquals(used(), 1);
  const small = pair.client.call();
  consume();
  pair.server.answer();
  // The answer goes first; what is in front of the next one is a third of the window.
  assertEquals([used(), small.log], [0.3, ["responded"]]);
  now = 999;
  consume();
  assertEquals(used(), 0.3);
  now = 1_000;
  consume();
  assertEquals(used(), 1);
});

/** Takes items, and gives them back when the test says so. */
class StreamedCall extends TestCall {
  #flow: ReceiveFlow | undefined;
  #cost = 0;

  override streaming(flow: ReceiveFlow): void {
    this.#flow = flow;
    flow.to({ item: (_payload, cost) => this.#cost += cost, ended: () => {} });
  }

  consume({ client }: CallPair): void {
    if (this.#flow !== undefined) client.machine.consumed(this.#flow, this.#cost);
    this.#cost = 0;
  }
}

/** Carries what the server writes until it writes nothing, as a session does it. */
function turn({ server, client }: CallPair, now: number): Written[] {
  const { output } = server.machine;
  const out = new OutBuffer();
  server.machine.writeSmall(out, 65_536);
  while (output.writeBulk(out, now));
  return feed(client, out.toBytes(), now);
}
