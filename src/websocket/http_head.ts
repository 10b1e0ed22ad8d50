/**
 * The head of an HTTP/1.1 message: its first line and its header fields (RFC 9112).
 *
 * Owns the grammar, strictly: what one reader takes for two lines and another for one is refused.
 * Knows no WebSocket.
 *
 * 1. The limits hold while bytes come, not only when all of them are there.
 * 2. Work is linear in the bytes, however they are cut into reads.
 */
import type { ByteQueue } from "../base/byte_queue.ts";
import { ProtocolError } from "../base/errors.ts";
import type { Bytes } from "../base/types.ts";
import { isToken, trimBlanks } from "./header_values.ts";

/** The head is no head, or beyond a limit. `status` is what a server answers. */
export class HttpError extends ProtocolError {
  /** The status code. */
  readonly status: number;
  /** Header fields that the answer needs. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super("PROTOCOL", message);
    this.status = status;
    this.headers = headers;
  }
}

/** How large a head may be. */
export interface HeadLimits {
  /** Most bytes, blank line included. */
  readonly maxLength: number;
  /** Most header fields. */
  readonly maxFields: number;
  /** What it must begin with; what does not is no head. @default {a letter} */
  readonly beginning?: string;
}

/** What a stranger may send before it is known to speak WebSocket. */
export const HEAD_LIMITS: HeadLimits = Object.freeze({ maxLength: 16_384, maxFields: 100 });
/** The same for what a server answers. */
export const ANSWER_LIMITS: HeadLimits = Object.freeze({ ...HEAD_LIMITS, beginning: "HTTP/" });

/** Header fields. Names are looked up in lower case. */
export class HeaderFields {
  readonly #fields: [name: string, value: string][] = [];

  /** Adds a field. */
  add(name: string, value: string): void {
    this.#fields.push([name.toLowerCase(), value]);
  }

  /** All values of a name, in order. */
  all(name: string): string[] {
    return this.#fields.filter(([own]) => own === name).map(([, value]) => value);
  }

  /** The values of a name as one list; "" where there is none. */
  list(name: string): string {
    return this.all(name).join(", ");
  }

  /** All fields in order. */
  [Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    return this.#fields.values();
  }
}

/** A head. */
export interface HttpHead {
  /** The three parts of the first line; the last may be empty and hold blanks. */
  readonly line: readonly [string, string, string];
  readonly fields: HeaderFields;
}

const END = new Uint8Array([13, 10, 13, 10]);
const LF = 10;
const BLANK = 32;
/** So many bytes at once are made characters of: they are arguments of a function. */
const PIECE = 4_096;
// No control character but the tab, neither in a value nor in the first line.
// deno-lint-ignore no-control-regex
const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/;

/** Takes a head off `input`; `undefined` while there is not all of it. @throws {HttpError} */
export function takeHead(input: ByteQueue, limits: HeadLimits = HEAD_LIMITS): HttpHead | undefined {
  const length = input.indexOf(END);
  if (length < 0 ? input.length > limits.maxLength : length + END.length > limits.maxLength) {
    throw new HttpError(
      431,
      `Cannot read head as it must have at most ${limits.maxLength} bytes: it has more`,
    );
  }
  if (length < 0) {
    checkBeginning(input, limits);
    return undefined;
  }
  const text = latin1(input.take(length));
  input.skip(END.length);
  return parse(text, limits);
}

/** What is no HTTP at all need not be waited for. */
function checkBeginning(input: ByteQueue, { beginning = "" }: HeadLimits): void {
  if (input.length === 0) return;
  const first = input.peekUint8(0);
  const letter = (first | 0x20) >= 0x61 && (first | 0x20) <= 0x7a;
  let same = letter;
  for (let i = 0; i < beginning.length && i < input.length; i++) {
    same &&= input.peekUint8(i) === beginning.charCodeAt(i);
  }
  const line = input.indexOf(LF);
  if (same && (line < 0 || isFirstLine(input, line))) return;
  throw broken("its first line must be one of HTTP/1.1");
}

/** As far as is cheap to say: it has parts, and ends as a line of HTTP does. */
function isFirstLine(input: ByteQueue, end: number): boolean {
  const blank = input.indexOf(BLANK);
  return blank > 0 && blank < end && input.peekUint8(end - 1) === 13;
}

function parse(text: string, { maxFields }: HeadLimits): HttpHead {
  const lines = text.split("\r\n");
  if (lines.length - 1 > maxFields) {
    throw new HttpError(
      431,
      `Cannot read head as it must have at most ${maxFields} header fields: current value is ${
        lines.length - 1
      }`,
    );
  }
  const fields = new HeaderFields();
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon));
    // Also a line that begins with a blank: it would continue the one before.
    if (!isToken(name)) throw broken("each header field must have a name and a colon");
    const value = trimBlanks(line.slice(colon + 1));
    if (CONTROL.test(value)) throw broken("no header field may hold control characters");
    fields.add(name, value);
  }
  return { line: firstLine(lines[0]!), fields };
}

function firstLine(line: string): [string, string, string] {
  const one = line.indexOf(" ");
  const two = one < 0 ? -1 : line.indexOf(" ", one + 1);
  if (one <= 0 || CONTROL.test(line)) throw broken("its first line must have three parts");
  // A status line may end with its code.
  const middle = two < 0 ? line.slice(one + 1) : line.slice(one + 1, two);
  return [line.slice(0, one), middle, two < 0 ? "" : line.slice(two + 1)];
}

function latin1(bytes: Bytes): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += PIECE) {
    text += Reflect.apply(String.fromCharCode, undefined, bytes.subarray(at, at + PIECE));
  }
  return text;
}

function broken(why: string): HttpError {
  return new HttpError(400, `Cannot read head as ${why}`);
}
