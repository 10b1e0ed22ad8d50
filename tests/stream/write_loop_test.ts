/** Writing at once what is for many links, beside what a source gives. */
import { assertEquals } from "@std/assert";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import { WriteLoop } from "../../src/stream/write_loop.ts";
import { join as bytes } from "../_support/feed.ts";
import { FakeConn, settle } from "./fake_conn.ts";

interface Written {
  readonly conn: FakeConn;
  readonly loop: WriteLoop;
  /** Output for the loop to pull. */
  readonly texts: string[];
  readonly log: string[];
}

function makeLoop(): Written {
  const conn = new FakeConn();
  const texts: string[] = [];
  const log: string[] = [];
  const loop = new WriteLoop(conn, {
    nextOutput() {
      const text = texts.shift();
      if (text === undefined) return undefined;
      const out = new OutBuffer();
      out.bytes(bytes(text));
      return out;
    },
    wrote: (count) => log.push(`wrote ${count}, ${loop.inFlight} left`),
    writeFailed: (error) => log.push(String(error)),
  });
  return { conn, loop, texts, log };
}

Deno.test("WriteLoop.write() hands over at once, in parts where the transport takes no more", async () => {
  const { conn, loop, log } = makeLoop();
  conn.writeLimit = 2;
  loop.write(bytes("hello"));
  assertEquals([loop.free, loop.inFlight, loop.writing], [false, 5, true]);
  await settle();
  assertEquals(conn.written, ["he", "ll", "o"]);
  assertEquals(log, ["wrote 2, 3 left", "wrote 2, 1 left", "wrote 1, 0 left"]);
  assertEquals([loop.free, loop.inFlight], [true, 0]);
});

Deno.test("WriteLoop.write() is followed by what came meanwhile, and by who waits for its end", async () => {
  const { conn, loop, texts } = makeLoop();
  conn.block();
  loop.write(bytes("first"));
  texts.push("second");
  loop.wake();
  assertEquals(loop.free, false);
  let idle = false;
  loop.idle().then(() => idle = true);
  await settle();
  assertEquals([conn.written, idle], [[], false]);
  conn.unblock();
  await settle();
  assertEquals([conn.written, idle, loop.free], [["first", "second"], true, true]);
});

Deno.test("WriteLoop.hold() lets nothing go before what it is for", async () => {
  const { conn, loop, texts } = makeLoop();
  loop.hold();
  assertEquals(loop.free, false);
  texts.push("second");
  loop.wake();
  loop.write(bytes("first"));
  await settle();
  assertEquals([conn.written, loop.free], [["first", "second"], true]);
});

Deno.test("WriteLoop.write() after a stop writes nothing", async () => {
  const { conn, loop, log } = makeLoop();
  loop.hold();
  loop.stop();
  loop.write(bytes("x"));
  await settle();
  assertEquals([conn.written, log, loop.free], [[], [], false]);
});

Deno.test("WriteLoop that has been woken is not free", async () => {
  const { conn, loop, texts } = makeLoop();
  texts.push("x");
  loop.wake();
  assertEquals(loop.free, false);
  await settle();
  assertEquals([conn.written, loop.free], [["x"], true]);
});

Deno.test("WriteLoop.write() that fails ends the loop, and is told once", async () => {
  const { conn, loop, texts, log } = makeLoop();
  conn.block();
  loop.write(bytes("x"));
  texts.push("y");
  loop.wake();
  conn.unblock(new Error("gone"));
  await settle();
  assertEquals([conn.written, log, loop.free], [[], ["Error: gone"], false]);
  await loop.idle();
});

Deno.test("WriteLoop.write() after a stop tells nothing more", async () => {
  const { conn, loop, log } = makeLoop();
  conn.block();
  loop.write(bytes("x"));
  loop.stop();
  conn.unblock();
  await settle();
  assertEquals([log, loop.free, loop.inFlight], [[], false, 0]);
});

Deno.test("WriteLoop.wake() learns whether a turn is worth waiting for, so that one write carries it", async () => {
  const conn = new FakeConn();
  let text = "";
  const loop = new WriteLoop(conn, {
    nextOutput() {
      if (text === "") return undefined;
      const out = new OutBuffer();
      out.bytes(bytes(text));
      text = "";
      return out;
    },
    writeFailed: () => {},
  });
  const say = (word: string) => {
    text += word;
    loop.wake();
  };
  const hear = (word: string) => {
    loop.beginTurn();
    say(word);
  };
  /** Says two words, with so many microtasks between that a patient loop takes them together. */
  const turn = async () => {
    hear("one");
    for (let i = 0; i < 3; i++) await undefined;
    say("two");
    await settle();
    return conn.written.splice(0);
  };
  assertEquals(await turn(), ["onetwo"]);
  for (let i = 0; i < 100; i++) {
    hear("word");
    await settle();
  }
  assertEquals(conn.written.splice(0).length, 100);
  // Nothing has been gained by waiting for long. What comes in the same microtask still goes along.
  hear("one");
  say("two");
  await settle();
  assertEquals(conn.written.splice(0), ["onetwo"]);
  assertEquals(await turn(), ["one", "two"]);
  assertEquals(await turn(), ["onetwo"]);
});
