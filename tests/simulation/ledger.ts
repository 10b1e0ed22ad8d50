/**
 * What was said and what was heard, and whether the two go together.
 *
 * Owns the rules, on plain lists: no network, no time. Each check gives a problem in words, or nothing.
 *
 * 1. What a session delivers is a beginning of what was sent in it: in order, whole, nothing twice.
 * 2. What was never handed to a write goes out on the next link, once.
 */

/** One link as the client that dialled it saw it. */
export interface ClientSession {
  /** Address of the client's end: no other link has it. */
  readonly key: string;
  /** How many of the client's messages had been handed over, or given up, when it opened. */
  readonly start: number;
  /** How many of these were given up, since their link died when a part of them was handed over. */
  readonly begun: number;
  /** How many had been handed over as a whole when it ended; `undefined` while it is open. */
  end: number | undefined;
}

/** The same link as the server saw it. */
export interface ServerSession {
  readonly key: string;
  readonly id: string;
  /** Differs from that of every other session. */
  readonly token: number;
  /** What the server's `send` accepted for it. */
  readonly sent: string[];
  /** What its client's messages were, in order of delivery. */
  readonly received: string[];
  /** `onConnect` and `onDisconnect` as they were called. */
  readonly hooks: string[];
}

/** What one client object did and got. */
export interface ClientLog {
  readonly id: string;
  /** What its `send` accepted. */
  readonly accepted: string[];
  readonly sessions: ClientSession[];
  /** What arrived, in order, over all sessions. */
  readonly received: string[];
  readonly hooks: string[];
}

/** What came of the messages of one world. */
export interface Tally {
  accepted: number;
  delivered: number;
  /** Handed over on a link that died. */
  lost: number;
  /** Never handed over, since the end that held them ended. */
  unsent: number;
}

/** How the message begins that the server sends first in each session. */
const GREETING = "hello#";

/** The message that the server sends first in a session. */
export function greeting(token: number): string {
  return `${GREETING}${token}`;
}

/** `received` must be a beginning of `sent`, or all of it. */
export function prefixProblem(
  sent: readonly string[],
  received: readonly string[],
  complete: boolean,
): string | undefined {
  for (const [index, text] of received.entries()) {
    if (text === sent[index]) continue;
    return `message ${index} is ${shown(text)} and must be ${shown(sent[index])}`;
  }
  if (!complete || received.length === sent.length) return undefined;
  return `${received.length} of ${sent.length} messages came: ${
    shown(sent[received.length])
  } did not`;
}

/** Checks all that one client sent. `complete`: nothing of its last session may be missing. */
export function upProblem(
  log: ClientLog,
  servers: ReadonlyMap<string, ServerSession>,
  complete: boolean,
  tally: Tally,
): string | undefined {
  let next = 0;
  let givenUp = 0;
  for (const [index, { key, start, begun, end }] of log.sessions.entries()) {
    next += begun - givenUp;
    tally.lost += begun - givenUp;
    givenUp = begun;
    if (start !== next) return `session ${key} of ${log.id} began at message ${start}, not ${next}`;
    const last = index === log.sessions.length - 1;
    const stop = end ?? log.accepted.length;
    const received = servers.get(key)?.received;
    if (received === undefined) return `the server knows nothing of session ${key} of ${log.id}`;
    const sent = log.accepted.slice(start, stop);
    const problem = prefixProblem(sent, received, complete && last);
    if (problem !== undefined) return `up, in session ${key} of ${log.id}: ${problem}`;
    tally.delivered += received.length;
    tally.lost += sent.length - received.length;
    next = stop;
  }
  tally.accepted += log.accepted.length;
  tally.unsent += log.accepted.length - next;
  return undefined;
}

/** Checks all that one client got. `complete`: nothing of its last session may be missing. */
export function downProblem(
  log: ClientLog,
  servers: ReadonlyMap<string, ServerSession>,
  complete: boolean,
  tally: Tally,
): string | undefined {
  const blocks = new Map<string, string[]>();
  let block: string[] | undefined;
  for (const text of log.received) {
    if (text.startsWith(GREETING)) {
      if (blocks.has(text)) return `${log.id} was greeted twice by ${text}`;
      block = [];
      blocks.set(text, block);
    }
    if (block === undefined) return `${log.id} got ${shown(text)} before any greeting`;
    block.push(text);
  }
  const order = [...blocks.keys()];
  let seen = 0;
  for (const [index, { key }] of log.sessions.entries()) {
    const server = servers.get(key);
    if (server === undefined) return `the server knows nothing of session ${key} of ${log.id}`;
    const hello = greeting(server.token);
    const received = blocks.get(hello) ?? [];
    if (received.length > 0 && order[seen++] !== hello) return `sessions of ${log.id} are mixed up`;
    const last = index === log.sessions.length - 1;
    const problem = prefixProblem(server.sent, received, complete && last);
    if (problem !== undefined) return `down, in session ${key} of ${log.id}: ${problem}`;
    tally.delivered += received.length;
    tally.lost += server.sent.length - received.length;
  }
  if (seen !== blocks.size) return `${log.id} was greeted in a session that it had not`;
  return undefined;
}

/** Hooks come in turn: `onConnect`, `onDisconnect`, `onConnect` … */
export function hooksProblem(who: string, hooks: readonly string[]): string | undefined {
  const wrong = hooks.findIndex((hook, index) =>
    hook !== (index % 2 === 0 ? "connect" : "disconnect")
  );
  if (wrong < 0) return undefined;
  return `hooks of ${who} must take turns: ${hooks.slice(Math.max(0, wrong - 2), wrong + 1)}`;
}

function shown(text: string | undefined): string {
  return text === undefined ? "nothing" : JSON.stringify(text.slice(0, 20));
}
