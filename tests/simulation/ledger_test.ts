/**
 * The rules of the ledger, shown on accounts that are wrong: a suite whose judge sees nothing proves
 * nothing.
 */
import { assertEquals } from "@std/assert";
import {
  type ClientLog,
  type ClientSession,
  downProblem,
  hooksProblem,
  prefixProblem,
  type ServerSession,
  upProblem,
} from "./ledger.ts";

function client(
  sessions: ClientSession[],
  { accepted = [], received = [] }: { accepted?: string[]; received?: string[] },
): ClientLog {
  return { id: "c", accepted, sessions, received, hooks: [] };
}

function session(key: string, start: number, end?: number, begun = 0): ClientSession {
  return { key, start, begun, end };
}

function server(
  key: string,
  token: number,
  { sent = [], received = [] }: { sent?: string[]; received?: string[] },
): [string, ServerSession] {
  return [key, { key, id: "c", token, sent, received, hooks: [] }];
}

const tally = () => ({ accepted: 0, delivered: 0, lost: 0, unsent: 0 });

const PREFIXES: [string, string[], string[], boolean, boolean][] = [
  ["takes a beginning", ["a", "b"], ["a"], false, true],
  ["takes the whole", ["a", "b"], ["a", "b"], true, true],
  ["refuses a beginning where all must come", ["a", "b"], ["a"], true, false],
  ["refuses a gap", ["a", "b", "c"], ["a", "c"], false, false],
  ["refuses a repeat", ["a", "b"], ["a", "a"], false, false],
  ["refuses another order", ["a", "b"], ["b", "a"], false, false],
  ["refuses what was never sent", ["a"], ["a", "b"], false, false],
];

for (const [name, sent, received, complete, good] of PREFIXES) {
  Deno.test(`prefixProblem() ${name}`, () => {
    assertEquals(prefixProblem(sent, received, complete) === undefined, good);
  });
}

Deno.test("upProblem() counts what a dead link has lost, and what was never sent", () => {
  const log = client([session("k", 0, 2)], { accepted: ["a", "b", "c"] });
  const count = tally();
  const sessions = new Map([server("k", 1, { received: ["a"] })]);
  assertEquals(upProblem(log, sessions, false, count), undefined);
  assertEquals(count, { accepted: 3, delivered: 1, lost: 1, unsent: 1 });
});

Deno.test("upProblem() sees a message that went out on two links", () => {
  const log = client(
    [session("k", 0, 1), session("l", 1)],
    { accepted: ["a", "b"] },
  );
  const sessions = new Map([
    server("k", 1, { received: ["a"] }),
    server("l", 2, { received: ["a", "b"] }),
  ]);
  assertEquals(
    upProblem(log, sessions, true, tally()),
    'up, in session l of c: message 0 is "a" and must be "b"',
  );
});

Deno.test("upProblem() sees a message that was forgotten between two links", () => {
  const log = client(
    [session("k", 0, 1), session("l", 2)],
    { accepted: ["a", "b", "c"] },
  );
  const sessions = new Map([server("k", 1, {}), server("l", 2, { received: ["c"] })]);
  assertEquals(upProblem(log, sessions, true, tally()), "session l of c began at message 2, not 1");
});

Deno.test("upProblem() takes one message less after each that was given up halfway", () => {
  const sessions = [session("k", 0, 1), session("l", 2, undefined, 1)];
  const log = client(sessions, { accepted: ["a", "half", "c"] });
  const servers = new Map([
    server("k", 1, { received: ["a"] }),
    server("l", 2, { received: ["c"] }),
  ]);
  const count = tally();
  assertEquals(upProblem(log, servers, true, count), undefined);
  assertEquals(count, { accepted: 3, delivered: 2, lost: 1, unsent: 0 });
});

Deno.test("upProblem() sees a session that the server never had", () => {
  const log = client([session("k", 0)], {});
  assertEquals(
    upProblem(log, new Map(), false, tally()),
    "the server knows nothing of session k of c",
  );
});

Deno.test("downProblem() takes each session's beginning, and all of the last one", () => {
  const log = client(
    [session("k", 0, 0), session("l", 0)],
    { received: ["hello#1", "a", "hello#2", "x", "y"] },
  );
  const sessions = new Map([
    server("k", 1, { sent: ["hello#1", "a", "b"] }),
    server("l", 2, { sent: ["hello#2", "x", "y"] }),
  ]);
  const count = tally();
  assertEquals(downProblem(log, sessions, true, count), undefined);
  assertEquals([count.delivered, count.lost], [5, 1]);
});

const DOWN: [string, string[], string][] = [
  ["a message that is missing", ["hello#1", "b"], 'message 1 is "b" and must be "a"'],
  ["one that did not come at last", ["hello#1", "a"], '2 of 3 messages came: "b" did not'],
];

for (const [name, received, problem] of DOWN) {
  Deno.test(`downProblem() sees ${name}`, () => {
    const log = client([session("k", 0)], { received });
    const sessions = new Map([server("k", 1, { sent: ["hello#1", "a", "b"] })]);
    assertEquals(
      downProblem(log, sessions, true, tally()),
      `down, in session k of c: ${problem}`,
    );
  });
}

Deno.test("downProblem() sees messages of another session", () => {
  const log = client([session("k", 0)], { received: ["hello#9", "a"] });
  const sessions = new Map([server("k", 1, { sent: ["hello#1"] })]);
  assertEquals(
    downProblem(log, sessions, false, tally()),
    "c was greeted in a session that it had not",
  );
});

Deno.test("downProblem() sees a message before any greeting", () => {
  const log = client([], { received: ["a"] });
  assertEquals(downProblem(log, new Map(), false, tally()), 'c got "a" before any greeting');
});

Deno.test("hooksProblem() wants 'onConnect' and 'onDisconnect' in turn", () => {
  assertEquals(hooksProblem("c", []), undefined);
  assertEquals(hooksProblem("c", ["connect", "disconnect", "connect"]), undefined);
  assertEquals(
    hooksProblem("c", ["connect", "disconnect", "disconnect"]),
    "hooks of c must take turns: connect,disconnect,disconnect",
  );
  assertEquals(
    hooksProblem("c", ["disconnect"]),
    "hooks of c must take turns: disconnect",
  );
});
