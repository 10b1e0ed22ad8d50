/** The platform's streams over a byte connection: they take nothing along when they go. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClosedError, TimeoutError } from "../../src/base/errors.ts";
import { abortAll, endOf, pair, readText } from "./_support.ts";

Deno.test("Conn.readable gives what arrives, up to the end", async () => {
  const { near, far } = pair();
  const sent = Uint8Array.from({ length: 500_000 }, (_, i) => i % 249);
  const writing = far.write(sent).then(() => far.closeWrite());
  const received: number[] = [];
  const chunks: Uint8Array[] = [];
  for await (const chunk of near.readable) {
    chunks.push(chunk);
    received.push(chunk.length);
  }
  await writing;
  assertEquals(received.reduce((sum, length) => sum + length, 0), sent.length);
  // Nothing was written to what had been given before.
  let at = 0;
  for (const chunk of chunks) {
    assert(chunk.every((byte, i) => byte === (at + i) % 249), `chunk at ${at}`);
    at += chunk.length;
  }
  // At the end nothing is closed.
  await near.write("still there");
  assertEquals(await readText(far), "still there");
  abortAll(near, far);
});

Deno.test("Conn.readable that is left closes nothing and loses nothing", async () => {
  const { near, far } = pair();
  await far.write("one");
  for await (const chunk of near.readable) {
    assertEquals(new TextDecoder().decode(chunk), "one");
    break;
  }
  await far.write("two");
  assertEquals(await readText(near), "two");

  // Cancelled while it waits, and at every moment of an arrival.
  for (let hops = -1; hops < 12; hops++) {
    const reader = near.readable.getReader();
    const read = reader.read();
    const writing = hops < 0 ? undefined : far.write("three");
    for (let hop = 0; hop < hops; hop++) await undefined;
    await reader.cancel();
    await (writing ?? far.write("three"));
    const { done, value } = await read;
    const text = done ? await readText(near, { timeout: 0 }) : new TextDecoder().decode(value);
    assertEquals(text, "three", `${hops} hops`);
  }
  const reader = near.readable.getReader();
  const read = reader.read();
  await far.write("four");
  assertEquals(new TextDecoder().decode((await read).value), "four");
  reader.releaseLock();
  abortAll(near, far);
});

Deno.test("Conn.readable fails with a TimeoutError, and the next one goes on", async () => {
  const { clock, near, far } = pair({ readTimeout: 100 });
  const reader = near.readable.getReader();
  const read = assertRejects(() => reader.read(), TimeoutError);
  await clock.advance(100);
  await read;
  await far.write("late");
  for await (const chunk of near.readable) {
    assertEquals(new TextDecoder().decode(chunk), "late");
    break;
  }
  abortAll(near, far);
  const closed = near.readable.getReader();
  await assertRejects(() => closed.read(), ClosedError);
});

Deno.test("Conn.readable leaves to others what they take first", async () => {
  const { near, far } = pair();
  const first = near.readExactly(5);
  const reader = near.readable.getReader();
  const read = reader.read();
  await far.write("first");
  assertEquals(new TextDecoder().decode(await first), "first");
  await far.write("second");
  assertEquals(new TextDecoder().decode((await read).value), "second");
  await reader.cancel();
  abortAll(near, far);
});

Deno.test("Conn.writable writes, and its close is closeWrite()", async () => {
  const { near, far } = pair();
  const chunks = ["a", "bc", "def"].map((text) => new TextEncoder().encode(text));
  const [text] = await Promise.all([
    far.readText(),
    ReadableStream.from(chunks).pipeTo(near.writable),
  ]);
  assertEquals(text, "abcdef");
  await far.write("back");
  assertEquals(await readText(near), "back");
  abortAll(near, far);
});

Deno.test("Conn.writable that is aborted ends the connection: what came is not all", async () => {
  const { near, far } = pair();
  const source = new ReadableStream<Uint8Array>({
    pull() {
      throw new Error("no more to be had");
    },
  });
  await assertRejects(() => source.pipeTo(near.writable), Error, "no more");
  assertEquals(await endOf(near), "ABORTED local");
  far.abort();
});

Deno.test("Conn.readable pipes to Conn.writable", async () => {
  const [one, two] = [pair(), pair()];
  const piping = one.far.readable.pipeTo(two.near.writable);
  const data = new Uint8Array(700_000).fill(7);
  const [received] = await Promise.all([
    two.far.readAll(),
    one.near.write(data).then(() => one.near.closeWrite()),
    piping,
  ]);
  assertEquals(received, data);
  abortAll(one.near, one.far, two.near, two.far);
});
