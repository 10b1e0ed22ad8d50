/**
 * Blanks what is not code in TypeScript: comments, and the inside of strings, templates and regular
 * expressions. Offsets and line breaks stay, so a match in the result can be looked up in the source.
 *
 * Knows just enough of the grammar for that; it is no parser.
 */

const COMMENT = /\/\/[^\n]*|\/\*[^]*?\*\//y;
const STRING = /"(?:\\[^]|[^"\\\n])*"|'(?:\\[^]|[^'\\\n])*'/y;
const REG_EXP = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
/** Template text, from a backtick or from the end of a `${…}`. */
const TEMPLATE = /[`}](?:\\[^]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/y;
const WORD = /[\w$]+/y;

/** After these words a value follows, so a slash begins a regular expression. */
const BEFORE_VALUE = /^(?:return|typeof|case|in|of|do|else|void|delete|throw|await|yield)$/;

/** The source with everything but code replaced by spaces. Quotes stay. */
export function codeOnly(source: string): string {
  let code = "";
  /** The last piece of code, to tell a division from a regular expression. */
  let last = "";
  /** How many braces were open at each `${` that still is. */
  const templates: number[] = [];
  let braces = 0;

  while (code.length < source.length) {
    const at = code.length;
    const take = (pattern: RegExp) => match(pattern, source, at);
    const char = source.charAt(at);
    const comment = take(COMMENT);
    if (comment) {
      code += blank(comment);
      continue;
    }
    let text: string | undefined;
    if (char === "`" || (char === "}" && templates.at(-1) === braces)) {
      text = take(TEMPLATE) ?? char;
      const end = text.endsWith("${") ? "${" : text.slice(1).slice(-1);
      if (char === "}") templates.pop();
      if (end === "${") templates.push(braces);
      code += char + blank(text.slice(1, text.length - end.length)) + end;
      last = end === "${" ? "{" : '"';
    } else if ((text = take(STRING) ?? (valueMayFollow(last) ? take(REG_EXP) : undefined))) {
      code += char + blank(text.slice(1, -1)) + text.slice(-1);
      last = '"';
    } else {
      text = take(WORD) ?? char;
      if (text === "{") braces++;
      if (text === "}") braces--;
      if (text.trim() !== "") last = text;
      code += text;
    }
  }
  return code;
}

function match(pattern: RegExp, source: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0];
}

function valueMayFollow(last: string): boolean {
  return last === "" || BEFORE_VALUE.test(last) || /^[(,=:[!&|?{};+\-*%~^<>]$/.test(last);
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}
