import { assert, assertEquals, assertThrows } from "@std/assert";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import { body, hex, join, sameFrame } from "../_support/feed.ts";
import { Rng } from "../_support/rng.ts";

/** Puts bytes where a connection reads them to; returns how often memory was changed for others. */
function receive(queue: ByteQueue, bytes: Uint8Array, chunk = Infinity): number {
  let moves = 0;
  for (let at = 0; at < bytes.length;) {
    const before = queue.buffer;
    const space = queue.space();
    if (queue.buffer !== before) moves++;
    const count = Math.min(chunk, space.length, bytes.length - at);
    space.set(bytes.subarray(at, at + count));
    queue.fill(count);
    at += count;
  }
  return moves;
}

Deno.test("ByteQueue reads in both byte orders, and up to its end only", () => {
  const queue = new ByteQueue(hex("00 01 02 fc fd fe ff"));
  assertEquals(queue.takeUint8(), 0);
  assertEquals([queue.peekUint8(0), queue.peekUint8(5)], [1, 0xff]);
  assertEquals([queue.peekUint16(4), queue.peekUint16(4, true)], [0xfeff, 0xfffe]);
  assertEquals([queue.peekUint32(2), queue.peekUint32(2, true)], [0xfcfdfeff, 0xfffefdfc]);
  assertEquals(queue.length, 6);
  const wrong = [
    () => queue.peekUint8(6),
    () => queue.peekUint16(5),
    () => queue.peekUint32(3),
    () => queue.peekUint8(-1),
    () => queue.peekUint8(0.5),
    () => queue.peekUint8(NaN),
    () => queue.take(7),
    () => queue.take(-1),
    () => queue.skip(7),
    () => queue.skip(NaN),
    () => queue.skip(1.5),
  ];
  for (const access of wrong) assertThrows(access, RangeError);
  assertEquals(queue.length, 6);
  queue.skip(6);
  assertThrows(() => queue.takeUint8(), RangeError);
});

Deno.test("ByteQueue does as a plain list of bytes would, and leaves F16 what it gave alone", () => {
  const seed = 16;
  const rng = new Rng(seed);
  // Few enough that some are asked for again before they come, and more than are remembered.
  const needles = ["00", "01", "0001", "0101", "030303", "03020100"].map(hex);
  const queue = new ByteQueue();
  let model: number[] = [];
  const held: [view: Uint8Array, copy: Uint8Array][] = [];
  for (let step = 0; step < 30_000; step++) {
    const bytes = rng.bytes(rng.int(rng.int(50) === 0 ? 3_000 : 30)).map((byte) => byte & 3);
    switch (rng.int(9)) {
      case 0:
        queue.push(bytes);
        model.push(...bytes);
        break;
      case 5: {
        // Of what lies around it nothing may be taken, and nothing be written to.
        const around = join("##", bytes, "##");
        queue.adopt(around.subarray(2, -2));
        held.push([around, around.slice()]);
        model.push(...bytes);
        break;
      }
      case 1: {
        const space = queue.space(rng.int(2) * rng.int(5_000));
        assert(space.length > 0);
        const count = Math.min(space.length, bytes.length);
        space.set(bytes.subarray(0, count));
        queue.fill(count);
        model.push(...bytes.subarray(0, count));
        break;
      }
      case 2: {
        const length = rng.int(model.length + 1);
        const view = queue.take(length);
        held.push([view, Uint8Array.from(model.slice(0, length))]);
        model = model.slice(length);
        break;
      }
      case 3: {
        const length = rng.int(Math.min(20, model.length) + 1);
        queue.skip(length);
        model = model.slice(length);
        break;
      }
      case 4:
        if (model.length > 0) assertEquals(queue.takeUint8(), model.shift());
        break;
      default: {
        const needle = rng.pick(needles);
        const text = String.fromCharCode(...model);
        const expected = text.indexOf(String.fromCharCode(...needle));
        const asked = needle.length === 1 ? needle[0] ?? 0 : needle;
        assertEquals(queue.indexOf(asked), expected, `step ${step} of seed ${seed}`);
      }
    }
    assertEquals(queue.length, model.length, `step ${step} of seed ${seed}`);
  }
  assert(held.length > 1_000);
  for (const [view, copy] of held) assert(sameFrame(view, copy), `seed ${seed}`);
});

Deno.test("ByteQueue.adopt() makes views of the memory that it was given, where nothing waits", () => {
  const chunk = body(20).subarray(5, 15);
  const queue = new ByteQueue();
  queue.adopt(chunk);
  const first = queue.take(4);
  assertEquals([first.buffer === chunk.buffer, first], [true, body(4, 5)]);
  queue.adopt(body(2, 15));
  assertEquals(queue.length, 8);
  const second = queue.take(8);
  assertEquals([second.buffer === chunk.buffer, second], [false, body(8, 9)]);
});

Deno.test("ByteQueue.rewind() leaves alone what lies before memory that was given", () => {
  const around = body(20);
  const queue = new ByteQueue();
  queue.adopt(around.subarray(5, 15));
  queue.skip(6);
  queue.rewind();
  assertEquals([queue.start, queue.take(4)], [5, body(4, 11)]);
  queue.rewind();
  queue.space().fill(0xff);
  assertEquals([around.subarray(0, 5), around.subarray(15)], [body(5), body(5, 15)]);
});

Deno.test("ByteQueue.indexOf() refuses a needle that can be nowhere", () => {
  const queue = new ByteQueue(body(3));
  for (const needle of [-1, 256, 1.5, NaN, new Uint8Array(0)]) {
    assertThrows(() => queue.indexOf(needle), RangeError);
  }
});

Deno.test("ByteQueue.indexOf() F14 remembers several needles, by what they are", () => {
  const size = 300_000;
  const queue = new ByteQueue();
  const needle = join("yz");
  const start = performance.now();
  for (let i = 0; i < size; i++) {
    queue.push(join("x"));
    assert(queue.indexOf(10) + queue.indexOf(13) + queue.indexOf(join("ab")) === -3);
    assert(queue.indexOf(needle) === -1);
  }
  // Less than a second here; with one place to remember, or by identity, it would be minutes.
  assert(performance.now() - start < 15_000);
  needle.set(join("xx"));
  assertEquals(queue.indexOf(needle), 0);
});

Deno.test("ByteQueue.indexOf() finds again what it found, until it is taken", () => {
  const queue = new ByteQueue(join("ab,cd,"));
  assertEquals([queue.indexOf(44), queue.indexOf(44)], [2, 2]);
  queue.skip(2);
  assertEquals(queue.indexOf(44), 0);
  queue.skip(1);
  assertEquals(queue.indexOf(44), 2);
});

Deno.test("ByteQueue.space() is small while idle, large under load, small again after quiet", () => {
  const queue = new ByteQueue();
  const drop = () => queue.skip(queue.length);
  assertEquals(queue.space().length, 512);
  for (let i = 0; i < 50; i++) {
    receive(queue, body(24));
    drop();
  }
  assertEquals(queue.buffer.length, 512);
  receive(queue, body(2_000));
  assertEquals(queue.buffer.length, 65_536);
  drop();
  for (let i = 0; i < 8; i++) {
    assertEquals(queue.buffer.length, 65_536);
    receive(queue, body(24));
    drop();
  }
  assertEquals(queue.space().length, 512);
});

Deno.test("ByteQueue.space() is not small for frames whose views are kept, small again after quiet", () => {
  const queue = new ByteQueue();
  for (let i = 0; i < 4; i++) {
    receive(queue, body(150));
    queue.take(150);
  }
  assertEquals(queue.buffer.length, 4_096);
  for (let i = 0; i < 8; i++) {
    receive(queue, body(24));
    queue.skip(24);
  }
  assertEquals(queue.space().length, 512);
});

Deno.test("ByteQueue.space() F1 believes a header as far as bytes have come", () => {
  const queue = new ByteQueue();
  const wanted = 2 ** 30;
  let largest = 0;
  for (let received = 0; received < 3_000_000;) {
    const space = queue.space(wanted);
    const { length } = queue.buffer;
    const allowed = received < 512 ? 512 : Math.max(65_536, 4 * received);
    assert(length <= allowed, `${length} bytes after ${received}`);
    largest = Math.max(largest, length);
    received += space.length;
    queue.fill(space.length);
  }
  assert(largest > 1_000_000);
});

Deno.test("ByteQueue.space() F4 copies each byte a few times at most, however it is cut", () => {
  const size = 1 << 20;
  for (const chunk of [1, 7, 1_460, 65_536]) {
    for (const wanted of ["known", "unknown", "one more"]) {
      const queue = new ByteQueue();
      let copied = 0;
      let allocated = 0;
      while (queue.length < size) {
        const before = queue.buffer;
        const hint = { known: size, unknown: 0, "one more": queue.length + 1 }[wanted];
        const space = queue.space(hint);
        if (queue.buffer !== before) {
          copied += queue.length;
          allocated += queue.buffer.length;
        }
        queue.fill(Math.min(chunk, space.length, size - queue.length));
      }
      const what = `${chunk} B chunks, ${wanted}: ${copied} copied, ${allocated} allocated`;
      assert(copied <= (wanted === "known" ? 0.75 : 2) * size, what);
      assert(allocated <= 5 * size, what);
    }
  }
});

Deno.test("ByteQueue.space() gives the next large frame memory of its size at once", () => {
  const queue = new ByteQueue();
  const size = 500_000;
  const frame = new Uint8Array(size);
  const moves = [1, 2, 3].map(() => {
    let count = 0;
    while (queue.length < size) {
      const before = queue.buffer;
      const { length } = queue.space(size);
      if (queue.buffer !== before) count++;
      queue.fill(Math.min(length, size - queue.length));
    }
    assertEquals(queue.take(size).length, frame.length);
    return count;
  });
  assert((moves[0] ?? 0) > 2);
  assertEquals(moves.slice(1), [1, 1]);
});

Deno.test("ByteQueue.fill() refuses more than there was space for", () => {
  const queue = new ByteQueue();
  const { length } = queue.space();
  for (const count of [length + 1, -1, 0.5, NaN]) {
    assertThrows(() => queue.fill(count), RangeError);
  }
  assertEquals(queue.length, 0);
  queue.fill(length);
  assertEquals(queue.length, length);
});

Deno.test("ByteQueue.space() after a large frame is for one as large, until frames are small again", () => {
  const queue = new ByteQueue();
  const frame = 70_000;
  /** Reads as much as there is space for, as frames of `size` bytes; gives the sizes of the reads. */
  const reads = (size: number, count: number): number[] =>
    Array.from({ length: count }, () => {
      const waiting = queue.length;
      const { length } = queue.space(waiting > 0 ? size : 0);
      queue.fill(length);
      queue.skip(queue.length - queue.length % size);
      return length;
    });
  reads(frame, 6);
  assertEquals(reads(frame, 3), [frame, frame, frame]);
  // The slab's end cuts one of them.
  reads(999, 2);
  assert(Math.max(...reads(999, 5)) <= 65_536);
});

Deno.test("ByteQueue.wanted lasts until bytes come", () => {
  const queue = new ByteQueue(body(4));
  queue.wanted = 1_000;
  queue.space();
  assertEquals(queue.wanted, 1_000);
  queue.fill(1);
  assertEquals(queue.wanted, 0);
});
