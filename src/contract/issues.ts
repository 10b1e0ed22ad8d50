/**
 * What a validator has against a value, in a form that may travel, and the way back.
 *
 * 1. Bounded, whatever the value: one with a million mistakes makes no larger error than one with ten.
 * 2. On arrival nothing is believed: what has another form is left out.
 */
import type { Issue } from "../base/errors.ts";

/** So many are told. */
export const MAX_ISSUES = 16;
/** Of the whole list: so many characters of text are enough to mend a value by. */
const MAX_TEXT = 2_048;
const MAX_MESSAGE = 200;
const MAX_DEPTH = 16;
const MAX_KEY = 64;

/** The first of the issues, with plain paths: texts and numbers only. */
export function boundIssues(issues: Iterable<Issue>): Issue[] {
  const bounded: Issue[] = [];
  let size = 0;
  for (const issue of issues) {
    const message = cut(String(issue.message), MAX_MESSAGE);
    const path: (string | number)[] = [];
    for (const key of issue.path ?? []) {
      if (path.length === MAX_DEPTH) break;
      path.push(plainKey(typeof key === "object" ? key.key : key));
    }
    size += path.reduce<number>((sum, key) => sum + String(key).length, message.length);
    if (bounded.length > 0 && size > MAX_TEXT) break;
    bounded.push({ message, path });
    if (bounded.length === MAX_ISSUES) break;
  }
  return bounded;
}

/** The issues in the data of an error that came; `undefined` when there are none. */
export function readIssues(data: unknown): readonly Issue[] | undefined {
  if (typeof data !== "object" || data === null || !("issues" in data)) return undefined;
  if (!Array.isArray(data.issues)) return undefined;
  const given: readonly unknown[] = data.issues;
  const issues = given.slice(0, MAX_ISSUES).filter(isIssue);
  return issues.length === 0 ? undefined : boundIssues(issues);
}

/** For a message: the first issue, and how many there are besides. */
export function issuesInWords(issues: readonly Issue[]): string {
  const [first, ...others] = issues;
  if (first === undefined) return "it is not said why";
  const path = (first.path ?? []).map(String).join(".");
  const words = path === "" ? first.message : `'${path}': ${first.message}`;
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  // It ends up in logs, and what it quotes may come from far.
  return words.replace(/[\p{Cc}\u2028\u2029]/gu, " ") + more;
}

function isIssue(issue: unknown): issue is Issue {
  if (typeof issue !== "object" || issue === null) return false;
  if (!("message" in issue) || typeof issue.message !== "string") return false;
  if (!("path" in issue) || issue.path === undefined) return true;
  return Array.isArray(issue.path) &&
    issue.path.every((key) => typeof key === "string" || typeof key === "number");
}

function plainKey(key: PropertyKey): string | number {
  return typeof key === "number" ? key : cut(String(key), MAX_KEY);
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
