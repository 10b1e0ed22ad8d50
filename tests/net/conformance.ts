/**
 * What every byte connection must do, whatever carries it. Each kind says how two connected ends are
 * had; `conformance` registers the tests of one kind.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { attach } from "@vgo/vnet";
import { FrameStream, line } from "@vgo/vnet/frames";
import { ClosedError, type Conn, type ConnOptions, TimeoutError } from "@vgo/vnet/net";
import { endOf, readText } from "./_support.ts";

/** A way to get two connected ends. */
export interface Kind {
  readonly name: string;
  /** Both ends, made with the same options; whoever accepted the one has ended. */
  readonly connect: (options: ConnOptions) => Promise<readonly [Conn, Conn]>;
  /**
   * Whether what the transport has taken arrives, though the connection is cut. Over TLS there may be
   * something unread of which nobody knows (session tickets), and then it is a reset.
   */
  readonly sure?: boolean;
}

/** How a kind's tests are registered. */
export type Register = (name: string, fn: () => Promise<void>) => void;

/** More than any buffer on the way holds. */
const LARGE = 16 << 20;

/** Registers the tests of a kind. */
export function conformance(
  { name, connect, sure = true }: Kind,
  register: Register = Deno.test,
): void {
  const test = (criterion: string, fn: (a: Conn, b: Conn) => Promise<void>, options = {}) =>
    register(`Conn over ${name} ${criterion}`, async () => {
      const [a, b] = await connect(options);
      try {
        await fn(a, b);
      } finally {
        a.abort();
        b.abort();
        await Promise.all([a.closed, b.closed]);
      }
    });

  test("writes all of what takes many partial writes, both ways at once", async (a, b) => {
    const data = Uint8Array.from({ length: 3 << 20 }, (_, i) => i % 251);
    const received = await Promise.all([a, b].map(async (conn) => {
      const [bytes, written] = await Promise.all([
        conn.readExactly(data.length),
        conn.write(data),
      ]);
      assertEquals(written, data.length);
      return bytes;
    }));
    for (const bytes of received) assert(same(bytes, data));
  });

  test("ends one direction and goes on in the other", async (a, b) => {
    await a.write("question");
    await a.closeWrite();
    assertEquals(await b.readText(), "question");
    assertEquals(await b.read(new Uint8Array(1)), null);
    await b.write("answer");
    await b.closeWrite();
    assertEquals(await a.readText(), "answer");
    await assertRejects(() => a.write("more"), ClosedError);
    assertEquals([(await a.closed).code, (await b.closed).code], ["NORMAL", "NORMAL"]);
  });

  test("tells of a reset once and for all", async (a, b) => {
    await a.write(new Uint8Array(100_000));
    await b.read(new Uint8Array(10));
    const writing = assertRejects(() => b.write(new Uint8Array(LARGE)), ClosedError);
    await a.read(new Uint8Array(10));
    // It has something unread and something unsent: that is what makes it a reset.
    b.abort();
    await writing;
    const ends: string[] = [];
    for (let i = 0; i < 2; i++) {
      const error = await assertRejects(() => a.readAll({ maxLength: Infinity }), ClosedError);
      ends.push(`${error.code} ${error.initiator}`);
    }
    assertEquals([...ends, await endOf(a)], Array(3).fill("LINK_LOST network"));
    await assertRejects(() => a.write("x"), ClosedError);
  });

  test("aborts reads and writes that wait", async (a, b) => {
    const cause = new Error("enough");
    const waits = [a.read(new Uint8Array(1)), a.write(new Uint8Array(LARGE)), a.write("x")]
      .map((wait) => assertRejects(() => wait, ClosedError));
    a.abort(cause);
    for (const error of await Promise.all(waits)) assertEquals(error.code, "ABORTED");
    assertEquals((await a.closed).error?.cause, cause);
    // What was on its way may arrive or not, and then nothing more does.
    await b.readAll({ maxLength: LARGE }).catch((error) => assert(error instanceof ClosedError));
  });

  test("loses nothing to a read that took too long", async (a, b) => {
    const buf = new Uint8Array(16);
    await assertRejects(() => a.read(buf), TimeoutError);
    await assertRejects(() => a.readLine({ timeout: 1 }), TimeoutError);
    a.setReadDeadline(Date.now() - 1);
    await b.write("late but ");
    await assertRejects(() => a.read(buf, { timeout: Infinity }), TimeoutError);
    a.setReadDeadline(new Date(Date.now() + 60_000));
    const { signal } = new AbortController();
    await b.write("whole\n");
    assertEquals(await a.readLine({ timeout: Infinity, signal }), "late but whole");
    assertEquals(buf, new Uint8Array(16));
  }, { readTimeout: 5 });

  test("ends with a write that took too long, and says how much was handed over", async (a, b) => {
    const error = await assertRejects(() => a.write(new Uint8Array(LARGE)), TimeoutError);
    const { bytesWritten = -1 } = error;
    assert(bytesWritten >= 0 && bytesWritten < LARGE, `${bytesWritten}`);
    const info = await a.closed;
    assertEquals([info.code, info.error], ["WRITE_TIMEOUT", error]);
    let received = 0;
    const buf = new Uint8Array(65_536);
    try {
      for (let n = await b.read(buf); n !== null; n = await b.read(buf)) received += n;
    } catch (error) {
      assert(error instanceof ClosedError);
    }
    assert(!sure || received >= bytesWritten, `${received} of ${bytesWritten}`);
  }, { writeTimeout: 50 });

  test("takes a read back by its signal, and loses nothing", async (a, b) => {
    const reason = { why: "no more" };
    const controller = new AbortController();
    const { signal } = controller;
    const read = a.readAll({ signal }).catch((error) => error);
    await b.write("kept");
    controller.abort(reason);
    assertEquals(await read === reason, true);
    assertEquals(await readText(a), "kept");
  });

  test("closes once, with what was accepted written", async (a, b) => {
    const write = a.write(new Uint8Array(1 << 20));
    const closing = [a.close({ reason: "done" }), a.close(), a[Symbol.asyncDispose]()];
    assertEquals((await b.readAll()).length, 1 << 20);
    assertEquals(await write, 1 << 20);
    await b.close();
    await Promise.all(closing);
    a.abort();
    assertEquals(await endOf(a), "NORMAL local");
    assertEquals(await endOf(b), "NORMAL remote");
    for (const conn of [a, b]) {
      await assertRejects(() => conn.write("x"), ClosedError);
      await assertRejects(() => conn.read(new Uint8Array(1)), ClosedError);
    }
  });

  test(
    "closes without losing what it wrote last, though the other end sends still",
    async (a, b) => {
      const sending = (async () => {
        for (;;) await b.write(new Uint8Array(65_536));
      })().catch((error) => error);
      await a.readExactly(100_000);
      const answer = new Uint8Array(1 << 20).fill(7);
      const writing = a.write(answer);
      const closing = a.close();
      const received = await b.readExactly(answer.length);
      assert(same(received, answer));
      assertEquals(await writing, answer.length);
      b.abort();
      assert(await sending instanceof ClosedError);
      await closing;
    },
  );

  test("has streams", async (a, b) => {
    const echo = b.readable.pipeTo(b.writable);
    const text = "to and fro ".repeat(50_000);
    const [back] = await Promise.all([
      a.readText(),
      new Blob([text]).stream().pipeTo(a.writable),
      echo,
    ]);
    assert(back === text);
  });

  test("carries frames", async (a, b) => {
    const far = new FrameStream(b, line());
    const near = new FrameStream(a, line());
    const echo = (async () => {
      for await (const text of far) await far.send(text.toUpperCase());
    })();
    await near.send("hello");
    for await (const text of near) {
      assertEquals(text, "HELLO");
      break;
    }
    await Promise.all([near.close(), far.close(), echo]);
    assertEquals([(await near.closed).code, (await far.closed).code], ["NORMAL", "NORMAL"]);
  });

  test("carries a session, with either end as the client", async (a, b) => {
    const methods = { double: (input: Uint8Array) => input.map((byte) => 2 * byte) };
    const [client, server] = await Promise.all([
      attach(b, { side: "client", id: "ann" }),
      attach(a, { side: "server", methods }),
    ]);
    assertEquals(server.id, "ann");
    assertEquals(await client.call("double", Uint8Array.of(1, 2, 21)), Uint8Array.of(2, 4, 42));
    const [, info] = await Promise.all([client.close(), server.closed]);
    assertEquals([info.code, info.initiator], ["NORMAL", "remote"]);
    await Promise.all([a.closed, b.closed]);
  });
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
