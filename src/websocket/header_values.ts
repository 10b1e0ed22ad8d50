/**
 * The grammar of the header fields that an opening handshake is made of: lists of tokens, and
 * extensions with their parameters (RFC 6455, section 9.1; RFC 9110, section 5.6).
 *
 * 1. Each function looks at a character a fixed number of times, whatever the text is: no regular
 *    expression here can go back over what it has seen.
 * 2. What does not keep to the grammar is `undefined`, and never half a list.
 */

/** One extension as it is offered or agreed on. */
export interface Extension {
  /** Its token. */
  readonly name: string;
  /** Its parameters in order; `true` for one without a value. */
  readonly params: readonly (readonly [name: string, value: string | true])[];
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Whether a text is one token. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** The tokens of a list; empty members do not count. */
export function tokensOf(value: string): string[] | undefined {
  const tokens: string[] = [];
  for (const part of value.split(",")) {
    const token = trimBlanks(part);
    if (token === "") continue;
    if (!isToken(token)) return undefined;
    tokens.push(token);
  }
  return tokens;
}

/** Whether a list names a token, in any case. */
export function hasToken(value: string, token: string): boolean {
  return value.split(",").some((part) => trimBlanks(part).toLowerCase() === token);
}

/** The extensions of a list. */
export function extensionsOf(value: string): Extension[] | undefined {
  const extensions: Extension[] = [];
  for (const member of splitUnquoted(value, ",")) {
    if (trimBlanks(member) === "") continue;
    const [name = "", ...rest] = splitUnquoted(member, ";").map(trimBlanks);
    if (!isToken(name)) return undefined;
    const params: [string, string | true][] = [];
    for (const text of rest) {
      const param = paramOf(text);
      if (param === undefined) return undefined;
      params.push(param);
    }
    extensions.push({ name, params });
  }
  return extensions;
}

/** Without the blanks and tabs at its ends; `trim` would take more than those. */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function paramOf(text: string): [string, string | true] | undefined {
  const equals = text.indexOf("=");
  if (equals < 0) return isToken(text) ? [text, true] : undefined;
  const name = trimBlanks(text.slice(0, equals));
  const value = unquoted(trimBlanks(text.slice(equals + 1)));
  return isToken(name) && isToken(value) ? [name, value] : undefined;
}

/** A quoted value must be a token once its quotes are gone. */
function unquoted(value: string): string {
  if (value.length < 2 || !value.startsWith('"') || !value.endsWith('"')) return value;
  return value.slice(1, -1).replaceAll("\\", "");
}

/** Splits where the separator is not within quotes. */
function splitUnquoted(text: string, separator: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (quoted && char === "\\") at++;
    else if (char === '"') quoted = !quoted;
    else if (char === separator && !quoted) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  parts.push(text.slice(from));
  return parts;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
