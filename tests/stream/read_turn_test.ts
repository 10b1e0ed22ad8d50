import { assertEquals } from "@std/assert";
import { type Link, linkOf } from "../../src/stream/link.ts";
import { type EndedRead, ReadTurn } from "../../src/stream/read_turn.ts";
import type { ByteTransport } from "../../src/base/types.ts";

/** More than are few. */
const MANY = 100;

Deno.test("ReadTurn.add() handles at once where few links are read", () => {
  const { turn, log, read } = setUp(1);
  turn.add(read("a"));
  assertEquals(log, ["handle a"]);
});

Deno.test("ReadTurn.add() looks at several of many links before it handles them, in their order", async () => {
  const { turn, log, read } = setUp(MANY);
  for (const name of ["a", "b", "c"]) turn.add(read(name));
  assertEquals(log, []);
  await Promise.resolve();
  assertEquals(log, ["look a", "look b", "look c", "handle a", "handle b", "handle c"]);
});

Deno.test("ReadTurn.add() keeps the order where links become few meanwhile", async () => {
  const { turn, log, read } = setUp(MANY);
  turn.add(read("a"));
  for (let i = 0; i < MANY; i++) turn.leave();
  turn.add(read("b"));
  await Promise.resolve();
  assertEquals(log.filter((line) => line.startsWith("handle")), ["handle a", "handle b"]);
});

Deno.test("ReadTurn.add() lets no more than a block wait, each read handled once", async () => {
  const { turn, log, read } = setUp(MANY);
  const handled = () => log.filter((line) => line.startsWith("handle")).length;
  let most = 0;
  for (let i = 1; i <= 80; i++) {
    turn.add(read(String(i)));
    most = Math.max(most, i - handled());
  }
  assertEquals(most, 31);
  await Promise.resolve();
  assertEquals(handled(), 80);
});

Deno.test("ReadTurn.add() handles the others where one throws, whose error is still told", async () => {
  const { turn, log, read } = setUp(MANY);
  const told: unknown[] = [];
  const listener = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    told.push(event.reason);
  };
  addEventListener("unhandledrejection", listener);
  const error = new Error("of b");
  turn.add(read("a"));
  turn.add(read("b", error));
  turn.add(read("c"));
  await new Promise<void>((resolve) => setTimeout(resolve));
  removeEventListener("unhandledrejection", listener);
  assertEquals(log.slice(3), ["handle a", "handle b", "handle c"]);
  assertEquals(told, [error]);
});

Deno.test("linkOf() takes nothing of a link that another's message closes in the same turn", async () => {
  const took: number[] = [];
  const links: Link[] = [];
  const conns = Array.from({ length: MANY }, () => new Conn());
  for (const [i, conn] of conns.entries()) {
    const link = linkOf(conn);
    links.push(link);
    link.start({
      wanted: 0,
      shared: false,
      held: undefined,
      look: () => 0,
      received(_buffer, _start, end) {
        took.push(i);
        if (i === 0) links[2]?.abort();
        return end;
      },
      nextOutput: () => undefined,
      wrote: () => {},
      violated: () => {},
      ended: () => {},
    });
  }
  for (const conn of conns.slice(0, 4)) conn.give();
  await new Promise<void>((resolve) => setTimeout(resolve));
  assertEquals(took, [0, 1, 3]);
  for (const link of links) link.abort();
  await new Promise<void>((resolve) => setTimeout(resolve));
});

function setUp(links: number) {
  const turn = new ReadTurn();
  for (let i = 0; i < links; i++) turn.join();
  const log: string[] = [];
  const read = (name: string, error?: Error): EndedRead => ({
    look: () => log.push(`look ${name}`),
    handle() {
      log.push(`handle ${name}`);
      if (error !== undefined) throw error;
    },
  });
  return { turn, log, read };
}

/** Brings one byte when it is told to, and its end when it is aborted. */
class Conn implements ByteTransport {
  #resolve: ((count: number | null) => void) | undefined;

  read(): Promise<number | null> {
    return new Promise((resolve) => this.#resolve = resolve);
  }

  give(): void {
    this.#resolve?.(1);
  }

  write(data: Uint8Array): Promise<number> {
    return Promise.resolve(data.length);
  }

  abort(): void {
    this.#resolve?.(null);
  }

  close(): void {}
}
